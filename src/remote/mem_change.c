/* mem_change.c - one change of a batch of remote_mem, and what is kept of what loses its name. */
#include "remote/mem_internal.h"

#include "util/path.h"
#include "util/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What lost its last name. */
struct mem_kept {
    char *path;            /* owned */
    struct mem_node *node; /* counted as a name */
    UT_hash_handle hh;
};

/* ---- what is kept ---- */

static char *kept_path(const char *client, uint64_t key)
{
    const struct remote_info info = {.kept_dir = (char *)MEM_KEPT_DIR};

    return remote_kept_path(&info, client, key);
}

struct mem_node *mem_kept_at(struct mem *m, const char *path)
{
    struct mem_kept *k = NULL;

    if (m->kept)
        HASH_FIND_STR(m->kept, path, k);
    return k ? k->node : NULL;
}

static bool keep(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                 struct mem_node *n)
{
    struct mem_kept *k = calloc(1, sizeof(*k));

    if (k)
        k->path = kept_path(b->client, c->key);
    if (!k || !k->path) {
        free(k);
        return false;
    }
    k->node = n;
    n->attr.nlink++;
    HASH_ADD_KEYPTR(hh, m->kept, k->path, strlen(k->path), k);
    return true;
}

static bool is_named(const struct remote_batch *b, const char *path)
{
    bool named = false;

    for (size_t i = 0; i < b->kept_count && !named; i++) {
        char *other = kept_path(b->client, b->kept[i]);

        named = other && strcmp(other, path) == 0;
        free(other);
    }
    return named;
}

void mem_kept_drop(struct mem *m, const struct remote_batch *b)
{
    for (struct mem_kept *k = m->kept, *next; k; k = next) {
        next = k->hh.next;
        if (b && (!strstr(k->path, b->client) || is_named(b, k->path)))
            continue;
        HASH_DEL(m->kept, k);
        mem_release(m, k->node);
        free(k->path);
        free(k);
    }
}

/* ---- is it the object that is meant? ---- */

struct mem_node *mem_node_at(struct mem *m, const char *path, int *ret_err)
{
    struct mem_node *n = NULL;
    const int r = mem_walk(m, path, &n);

    *ret_err = r == -ENOENT || r == -ENOTDIR ? 0 : r;
    return r == 0 ? n : NULL;
}

bool mem_has_hash(const struct mem_node *n, const uint8_t *hash, uint64_t size)
{
    uint8_t got[SHA256_BYTES];
    uint8_t *p;

    if (!hash || !S_ISREG(n->attr.mode) || n->attr.size != size)
        return false;
    p = malloc(n->data.size + 1);
    if (!p)
        return false;
    mem_data_read(&n->data, p, n->data.size, 0);
    sha256(p, n->data.size, got);
    free(p);
    return memcmp(got, hash, sizeof(got)) == 0;
}

static bool is_object(const struct mem_node *n, const struct remote_attr *a)
{
    return (a->dev == 0 || n->attr.dev == a->dev) && n->attr.ino == a->ino &&
           !remote_attr_reborn(&n->attr, a);
}

static bool is_version(const struct mem_node *n, const struct remote_attr *a)
{
    return is_object(n, a) &&
           (S_ISDIR(n->attr.mode) || (n->attr.size == a->size && n->attr.mtime_ns == a->mtime_ns &&
                                      (a->ctime_ns == 0 || n->attr.ctime_ns == a->ctime_ns)));
}

/* name: only a name is given or taken, and with it nothing of a file that has others. */
static bool is_meant(const struct mem_node *n, const struct remote_object *o, bool name,
                     const struct remote_result *so_far)
{
    const bool several = name && n && !S_ISDIR(n->attr.mode) && n->attr.nlink > 1;
    const struct remote_attr a = {.dev = o->dev,
                                  .ino = o->ino,
                                  .size = o->size,
                                  .mtime_ns = o->mtime_ns,
                                  .ctime_ns = o->ctime_ns,
                                  .birth = o->birth};
    struct remote_result left;

    switch (o->means) {
    case REMOTE_ANY:
        return true;
    case REMOTE_ABSENT:
        return !n;
    case REMOTE_SAME:
        return n && is_object(n, &a);
    case REMOTE_VERSION:
        return n && (is_version(n, &a) || (several && is_object(n, &a)) ||
                     mem_has_hash(n, o->hash, o->size));
    case REMOTE_LEFT_BY:
        left = so_far[o->change];
        if (left.outcome != REMOTE_DONE)
            return false;
        if (left.now.ino == 0)
            return !n;
        left.now.ctime_ns = 0; /* other names of it may have come or gone since */
        return n && (is_version(n, &left.now) || (several && is_object(n, &left.now)));
    }
    return false;
}

static bool two_paths(const struct remote_change *c)
{
    return c->kind == REMOTE_CHANGE_LINK || c->kind == REMOTE_CHANGE_RENAME;
}

static bool stands_on(const struct remote_change *c, const char *path)
{
    return path_is_below(c->path, path) || (two_paths(c) && path_is_below(c->path2, path));
}

static bool poisoned(const struct remote_batch *b, const struct remote_result *so_far, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        const struct remote_change *bad = &b->v[k];

        if (so_far[k].outcome != REMOTE_DONE &&
            (stands_on(&b->v[i], bad->path) || (two_paths(bad) && stands_on(&b->v[i], bad->path2))))
            return true;
    }
    return false;
}

/* ---- making one change ---- */

static int add_pieces(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                      uint64_t base, struct mem_data *d)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->piece_count; i++) {
        const struct remote_piece *p = &c->pieces[i];

        r = mem_data_write(d, mem_piece(m, b, p), p->len, base + p->off);
    }
    return r;
}

static int fill(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                const struct mem_node *old, struct mem_data *d)
{
    const uint64_t had = old ? old->data.size : 0;
    const uint8_t *joined = mem_joined(m, c, had);
    const bool append = c->flags & REMOTE_CHANGE_APPEND;
    int r = old ? mem_data_copy(d, &old->data, c->keep < had ? c->keep : had) : 0;

    if (r == 0 && c->size == REMOTE_ALL && c->keep == REMOTE_ALL)
        mem_data_resize(d, had);
    if (joined)
        return r < 0 ? r : mem_data_write(d, joined, c->joined->size, 0);
    if (r == 0)
        r = add_pieces(m, b, c, append ? had : 0, d);
    if (r == 0 && c->size != REMOTE_ALL)
        mem_data_resize(d, c->size);
    return r;
}

static int make_write(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                      struct mem_node *old, struct mem_node **ret)
{
    const bool in_place = c->flags & (REMOTE_CHANGE_APPEND | REMOTE_CHANGE_IN_PLACE);
    const struct remote_attr made = {.mode =
                                         c->set.mask & REMOTE_SET_MODE ? c->set.attr.mode : 0644};
    const int64_t old_mtime_ns = old ? old->attr.mtime_ns : 0;
    struct mem_data d = {0};
    struct mem_node *n = old;
    int r = 0;

    if (old && !S_ISREG(old->attr.mode))
        return S_ISDIR(old->attr.mode) ? -EISDIR : -EINVAL;
    /* Its owner may replace it, whatever its mode: who wrote had it open for that. */
    if (old && !mem_may(m, old, W_OK) && old->attr.uid != m->uid)
        return -EACCES;
    r = fill(m, b, c, old, &d);
    if (r == 0 && !(in_place && old))
        r = mem_put_node(m, c->path, &(struct remote_put){.replace = &made}, &d, &n);
    if (old && ((r == 0 && in_place) || r == -EACCES)) {
        mem_data_done(&old->data);
        old->data = d;
        r = 0;
    }
    if (r < 0) {
        mem_data_done(&d);
        return r;
    }
    n->attr.size = n->data.size;
    n->attr.ctime_ns = mem_tick(m);
    n->attr.mtime_ns = old && n != old ? old_mtime_ns : n->attr.ctime_ns;
    *ret = n;
    return mem_set_node(m, n, &c->set);
}

/* What has lost a name, and lives on: gone is what had it, if it had others. */
static int take_name(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                     struct mem_node *gone, struct remote_result *res)
{
    const unsigned flags = c->flags & REMOTE_CHANGE_NOREPLACE ? REMOTE_RENAME_NOREPLACE : 0u;
    struct remote_attr both[2];
    int r;

    if (c->flags & REMOTE_CHANGE_EXCHANGE) {
        r = mem_exchange_nodes(m, c->path, c->path2, NULL, both);
        res->now = r == 0 ? both[1] : res->now;
        return r;
    }

    if (gone && ((c->flags & REMOTE_CHANGE_KEEP) && S_ISREG(gone->attr.mode)))
        (void)keep(m, b, c, gone);
    if (gone && (S_ISDIR(gone->attr.mode) || gone->attr.nlink < 2))
        gone = NULL;
    r = c->kind == REMOTE_CHANGE_RENAME
            ? mem_rename_node(m, c->path, c->path2, flags, &res->now)
            : mem_remove_name(m, c->path, c->kind == REMOTE_CHANGE_RMDIR);
    if (r == 0 && gone)
        res->other = gone->attr;
    return r;
}

static int make(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                struct mem_node *n, struct mem_node *n2, struct remote_result *res)
{
    int r = 0;

    switch (c->kind) {
    case REMOTE_CHANGE_WRITE:
        if (n && (c->flags & REMOTE_CHANGE_APPEND))
            res->other = n->attr;
        r = make_write(m, b, c, n, &n);
        break;
    case REMOTE_CHANGE_MKDIR:
        r = mem_make_node(m, c->path, S_IFDIR | (c->set.attr.mode & 07777), NULL, &n);
        if (r == 0)
            r = mem_set_node(m, n, &c->set);
        break;
    case REMOTE_CHANGE_SYMLINK:
        r = mem_make_node(m, c->path, S_IFLNK | 0777, c->path2, &n);
        break;
    case REMOTE_CHANGE_LINK:
        return mem_link_node(m, c->path, c->path2, &res->now);
    case REMOTE_CHANGE_RENAME:
        return take_name(m, b, c, n2, res);
    case REMOTE_CHANGE_UNLINK:
    case REMOTE_CHANGE_RMDIR:
        return take_name(m, b, c, n, res);
    case REMOTE_CHANGE_SETATTR:
        r = n ? mem_set_node(m, n, &c->set) : -ENOENT;
        break;
    case REMOTE_CHANGE_FSYNC:
        r = n ? 0 : -ENOENT;
        break;
    }
    if (r == 0)
        res->now = n->attr;
    return r;
}

/* What it kept when it was made. */
static void tell_kept(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                      struct remote_result *res)
{
    char *path = c->flags & REMOTE_CHANGE_KEEP ? kept_path(b->client, c->key) : NULL;
    const struct mem_node *n = path ? mem_kept_at(m, path) : NULL;

    if (n)
        res->other = n->attr;
    free(path);
}

void mem_change(struct mem *m, const struct remote_batch *b, const struct mem_renew *renew,
                size_t i, struct remote_result *so_far)
{
    const struct remote_change *c = &b->v[i];
    struct remote_result *res = &so_far[i];
    struct mem_node *n, *n2 = NULL;
    bool meant, name;
    int r, r2 = 0;

    n = mem_node_at(m, c->path, &r);
    if (two_paths(c))
        n2 = mem_node_at(m, c->path2, &r2);
    if (poisoned(b, so_far, i)) {
        *res = (struct remote_result){.outcome = REMOTE_POISONED, .err = -ECANCELED};
        return;
    }
    if (mem_renew_tell(renew, i, res)) {
        tell_kept(m, b, c, res);
        return;
    }
    r = r < 0 ? r : r2;
    /* What is only added goes to whatever is there, but not to nothing. */
    name = c->kind == REMOTE_CHANGE_UNLINK || c->kind == REMOTE_CHANGE_RENAME;
    meant = c->flags & REMOTE_CHANGE_APPEND ? n || c->at.means <= REMOTE_ABSENT
                                            : is_meant(n, &c->at, name, so_far);
    if (r == 0 && !meant) {
        *res = (struct remote_result){.outcome = REMOTE_CONFLICT, .err = -EBUSY};
        if (n)
            res->now = n->attr;
        return;
    }
    if (r == 0 && two_paths(c) && !is_meant(n2, &c->at2, name, so_far)) {
        *res = (struct remote_result){.outcome = REMOTE_CONFLICT, .err = -EBUSY};
        if (n2)
            res->now = n2->attr;
        return;
    }
    if (r == 0)
        r = make(m, b, c, n, n2, res);
    res->outcome = r < 0 ? REMOTE_FAILED : REMOTE_DONE;
    res->err = r;
    if (r < 0)
        *res = (struct remote_result){.outcome = REMOTE_FAILED, .err = r};
}
