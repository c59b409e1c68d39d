#include "flush_model.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void model_up(struct flush_model *m, struct flush_rig *g)
{
    memset(m, 0, sizeof(*m));
    m->tree = remote_mem_new(0, 0);
    m->g = g;
    assert_non_null(m->tree);
}

void model_down(struct flush_model *m)
{
    m->tree = remote_free(m->tree);
}

/* ---- which change is the last of an object ---- */

static uint64_t *seq_of(struct flush_model *m, uint64_t ino)
{
    for (size_t i = 0; i < m->object_count; i++)
        if (m->objects[i].ino == ino)
            return &m->objects[i].seq;
    assert_true(m->object_count < MODEL_OBJECTS);
    m->objects[m->object_count].ino = ino;
    m->objects[m->object_count].seq = 0;
    return &m->objects[m->object_count++].seq;
}

static uint64_t ino_of(struct flush_model *m, const char *path)
{
    struct remote_attr attr;

    return remote_stat(m->tree, path, &attr, NULL) == 0 ? attr.ino : 0;
}

static struct journal_object object_at(struct flush_model *m, uint64_t ino)
{
    const uint64_t seq = ino ? *seq_of(m, ino) : 0;

    if (ino == 0)
        return (struct journal_object){.means = JOURNAL_ABSENT};
    return (struct journal_object){.means = seq ? JOURNAL_MADE : JOURNAL_ANY, .made_by = seq};
}

static bool is_over(struct flush_model *m)
{
    if (m->err == 0 && m->limit && m->taken == m->limit)
        m->err = -ECANCELED;
    return m->err != 0;
}

/* before: what was at path; after the operation it may be another one under the same name. */
static int give(struct flush_model *m, struct journal_record *rec, uint64_t before,
                const char *after)
{
    const uint64_t ino = ino_of(m, after);
    uint64_t seq;
    int r;

    if (before && ino && ino != before && *seq_of(m, before)) /* the tree replaced the file */
        *seq_of(m, ino) = *seq_of(m, before);
    if (!m->g) {
        m->taken++;
        return 0;
    }
    rec->when_ns = clock_real_ns();
    rec->group = m->group;
    r = flush_append(m->g->flush, rec, &seq);
    if (r < 0) {
        m->err = r;
        return r;
    }
    m->last = seq;
    m->taken++;
    if (ino)
        *seq_of(m, ino) = seq;
    return 0;
}

/* ---- operations ---- */

int model_create(struct flush_model *m, const char *path)
{
    struct journal_record rec = {.kind = JOURNAL_CREATE,
                                 .path = path,
                                 .object[JOURNAL_AT].means = JOURNAL_ABSENT,
                                 .attr = {.mask = JOURNAL_ATTR_MODE, .mode = 0644}};
    struct remote_attr attr;
    int r = is_over(m) ? m->err : remote_create(m->tree, path, 0644, &attr);

    return r < 0 ? r : give(m, &rec, 0, path);
}

static int change_content(struct flush_model *m, const char *path, uint64_t off, const void *p,
                          size_t n)
{
    struct remote_attr attr;
    const int fd = memfd_create("model", 0);
    uint64_t len;
    int r = remote_stat(m->tree, path, &attr, NULL);

    if (r == 0)
        r = remote_fetch(m->tree, path, NULL, 0, attr.size, fd, &len);
    if (r == 0) {
        const struct remote_attr old = attr;
        struct remote_put put = {.fd = fd, .replace = &old, .mtime_ns = INT64_MIN};

        assert_int_equal(pwrite(fd, p, n, (off_t)off), n);
        put.size = off + n > attr.size ? off + n : attr.size;
        r = remote_put(m->tree, path, &put, &attr);
    }
    close(fd);
    return r;
}

static int write_to(struct flush_model *m, enum journal_kind kind, const char *path, uint64_t off,
                    const void *p, size_t n)
{
    const uint64_t ino = ino_of(m, path);
    struct journal_record rec = {.kind = kind,
                                 .path = path,
                                 .object[JOURNAL_AT] = object_at(m, ino),
                                 .off = off,
                                 .data = p,
                                 .data_len = n};
    const int r = is_over(m) ? m->err : change_content(m, path, off, p, n);

    return r < 0 ? r : give(m, &rec, ino, path);
}

int model_write(struct flush_model *m, const char *path, uint64_t off, const void *p, size_t n)
{
    return write_to(m, JOURNAL_PATCH, path, off, p, n);
}

int model_append(struct flush_model *m, const char *path, const void *p, size_t n)
{
    struct remote_attr attr;
    const int r = remote_stat(m->tree, path, &attr, NULL);

    return r < 0 ? r : write_to(m, JOURNAL_APPEND, path, attr.size, p, n);
}

int model_truncate(struct flush_model *m, const char *path, uint64_t size)
{
    const uint64_t ino = ino_of(m, path);
    struct journal_record rec = {.kind = JOURNAL_TRUNCATE,
                                 .path = path,
                                 .object[JOURNAL_AT] = object_at(m, ino),
                                 .size = size};
    const struct remote_setattr set = {.mask = REMOTE_SET_SIZE, .attr.size = size};
    struct remote_attr attr;
    const int r = is_over(m) ? m->err : remote_setattr(m->tree, path, &set, &attr);

    return r < 0 ? r : give(m, &rec, ino, path);
}

int model_mkdir(struct flush_model *m, const char *path)
{
    struct journal_record rec = {.kind = JOURNAL_MKDIR,
                                 .path = path,
                                 .object[JOURNAL_AT].means = JOURNAL_ABSENT,
                                 .attr = {.mask = JOURNAL_ATTR_MODE, .mode = 0755}};
    struct remote_attr attr;
    const int r = is_over(m) ? m->err : remote_mkdir(m->tree, path, 0755, &attr);

    return r < 0 ? r : give(m, &rec, 0, path);
}

int model_symlink(struct flush_model *m, const char *target, const char *path)
{
    struct journal_record rec = {.kind = JOURNAL_SYMLINK,
                                 .path = path,
                                 .path2 = target,
                                 .object[JOURNAL_AT].means = JOURNAL_ABSENT};
    struct remote_attr attr;
    const int r = is_over(m) ? m->err : remote_symlink(m->tree, target, path, &attr);

    return r < 0 ? r : give(m, &rec, 0, path);
}

int model_link(struct flush_model *m, const char *from, const char *to)
{
    struct journal_record rec = {.kind = JOURNAL_LINK,
                                 .path = from,
                                 .path2 = to,
                                 .object[JOURNAL_AT] = object_at(m, ino_of(m, from)),
                                 .object[JOURNAL_AT2].means = JOURNAL_ABSENT};
    struct remote_attr attr;
    const int r = is_over(m) ? m->err : remote_link(m->tree, from, to, &attr);

    return r < 0 ? r : give(m, &rec, 0, to);
}

int model_rename(struct flush_model *m, const char *from, const char *to)
{
    const uint64_t old = ino_of(m, from), over = ino_of(m, to);
    struct journal_record rec = {.kind = JOURNAL_RENAME,
                                 .path = from,
                                 .path2 = to,
                                 .object[JOURNAL_AT] = object_at(m, old),
                                 .object[JOURNAL_AT2] = object_at(m, over)};
    struct remote_attr attr;
    int r;

    if (old && old == over)
        return -EEXIST; /* nothing would be done */
    r = is_over(m) ? m->err : remote_rename(m->tree, from, to, 0, &attr);
    return r < 0 ? r : give(m, &rec, 0, to);
}

static int take_away(struct flush_model *m, enum journal_kind kind, const char *path)
{
    struct remote_attr before = {0};
    struct journal_record rec = {.kind = kind, .path = path};
    int r = is_over(m) ? m->err : remote_stat(m->tree, path, &before, NULL);

    rec.object[JOURNAL_AT] = object_at(m, before.ino);
    if (r == 0)
        r = kind == JOURNAL_UNLINK ? remote_unlink(m->tree, path) : remote_rmdir(m->tree, path);
    if (r == 0)
        r = give(m, &rec, 0, path);
    if (r == 0 && before.nlink > 1 && kind == JOURNAL_UNLINK && m->g)
        *seq_of(m, before.ino) = m->last; /* it touched the object that other names have */
    return r;
}

int model_unlink(struct flush_model *m, const char *path)
{
    return take_away(m, JOURNAL_UNLINK, path);
}

int model_rmdir(struct flush_model *m, const char *path)
{
    return take_away(m, JOURNAL_RMDIR, path);
}

int model_chmod(struct flush_model *m, const char *path, unsigned mode)
{
    const uint64_t ino = ino_of(m, path);
    struct journal_record rec = {.kind = JOURNAL_SETATTR,
                                 .path = path,
                                 .object[JOURNAL_AT] = object_at(m, ino),
                                 .attr = {.mask = JOURNAL_ATTR_MODE, .mode = mode}};
    const struct remote_setattr set = {.mask = REMOTE_SET_MODE, .attr.mode = mode};
    struct remote_attr attr;
    const int r = is_over(m) ? m->err : remote_setattr(m->tree, path, &set, &attr);

    return r < 0 ? r : give(m, &rec, ino, path);
}

void model_wait(struct flush_model *m, bool fsync)
{
    if (!m->g || m->err != 0 || is_over(m))
        return;
    for (int i = 0; i < 20; i++) {
        m->err = flush_wait(m->g->flush, m->last, fsync);
        if (m->err == 0)
            m->waited = m->taken;
        if (!m->patient || (m->err != -EHOSTDOWN && m->err != -ETIMEDOUT))
            return;
    }
}

/* ---- comparing ---- */

static int by_name(const void *a, const void *b)
{
    const struct remote_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static bool same_content(struct remote *a, struct remote *b, const char *path, size_t size)
{
    char *p = calloc(2, size + 1);
    struct remote *const both[] = {a, b};
    bool same;

    for (int i = 0; i < 2; i++) {
        const int fd = memfd_create("model", 0);
        uint64_t len;

        assert_int_equal(remote_fetch(both[i], path, NULL, 0, size, fd, &len), 0);
        assert_int_equal(pread(fd, p + (size_t)i * size, size, 0), size);
        close(fd);
    }
    same = memcmp(p, p + size, size) == 0;
    free(p);
    return same;
}

static bool same_entry(struct remote *a, struct remote *b, const struct remote_entry *x,
                       const struct remote_entry *y)
{
    const mode_t type = x->attr.mode & S_IFMT;
    char *path;
    bool same;

    if (strcmp(x->name, y->name) != 0 || x->attr.mode != y->attr.mode ||
        x->attr.nlink != y->attr.nlink)
        return false;
    if (type == S_IFLNK)
        return strcmp(x->target, y->target) == 0;
    if (type != S_IFREG)
        return true;
    path = path_join("/", x->name);
    same = x->attr.size == y->attr.size && same_content(a, b, path, (size_t)x->attr.size);
    free(path);
    return same;
}

char *model_differs(struct remote *a, struct remote *b)
{
    struct remote_list x, y;
    char *what = NULL;

    assert_int_equal(remote_list(a, "/", 100, 100000, &x), 0);
    assert_int_equal(remote_list(b, "/", 100, 100000, &y), 0);
    if (x.count)
        qsort(x.v, x.count, sizeof(*x.v), by_name);
    if (y.count)
        qsort(y.v, y.count, sizeof(*y.v), by_name);
    for (size_t i = 0; !what && (i < x.count || i < y.count); i++) {
        const char *name = i < x.count ? x.v[i].name : "(nothing)";

        if (i >= x.count || i >= y.count || !same_entry(a, b, &x.v[i], &y.v[i]))
            if (asprintf(&what, "%s, %s", name, i < y.count ? y.v[i].name : "(nothing)") < 0)
                abort();
    }
    remote_list_done(&x);
    remote_list_done(&y);
    return what;
}
