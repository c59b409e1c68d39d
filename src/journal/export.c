/*
 * export.c - replays a journal into a local directory. Links in it came from wherever they came:
 * every path is walked one component at a time, and none is followed.
 */
#include "journal/export.h"

#include "util/errtext.h"
#include "util/keyedhash.h"
#include "util/path.h"
#include "util/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_MAX = 1 << 20 }; /* of the list, before they are written */

/* A change that needs nothing more. */
struct ended {
    uint64_t seq;
    UT_hash_handle hh;
};

struct export
{
    int root, list_fd; /* dir/files, dir/CHANGES */
    struct ended *ended;
    struct buf lines; /* of the list, not yet written */
    uint64_t list_len;
    struct buf data;
    struct journal_exported told;
};

/* ---- which changes are left ---- */

static int set_ended(struct export *x, uint64_t seq, bool ended)
{
    struct ended *e;

    HASH_FIND(hh, x->ended, &seq, sizeof(seq), e);
    if (ended == (e != NULL))
        return 0;
    if (!ended) {
        HASH_DEL(x->ended, e);
        free(e);
        return 0;
    }
    e = calloc(1, sizeof(*e));
    if (!e)
        return -ENOMEM;
    e->seq = seq;
    HASH_ADD(hh, x->ended, seq, sizeof(seq), e);
    return 0;
}

static int note_result(void *arg, struct journal_salvage *s, const struct journal_record *rec)
{
    struct export *x = arg;
    int r = 0;

    for (size_t i = 0; r == 0 && i < rec->result_count; i++) {
        const struct journal_result result = journal_record_result(rec, i);
        const bool over = result.settled == JOURNAL_DONE || result.settled == JOURNAL_DROPPED;

        r = set_ended(x, result.seq,
                      over || (rec->kind != JOURNAL_SETTLED && result.said == JOURNAL_DONE &&
                               result.settled == JOURNAL_OPEN));
    }
    return r;
}

static void forget_ended(struct export *x)
{
    struct ended *e, *next;

    HASH_ITER(hh, x->ended, e, next) {
        HASH_DEL(x->ended, e);
        free(e);
    }
}

/* ---- one change ---- */

/* The directory that path's last component, *ret_name, is in: a descriptor. */
static int open_parent(struct export *x, const char *path, char name[PATH_NAME_MAX + 1])
{
    int fd = dup(x->root), r;

    for (;;) {
        const size_t len = strcspn(path += strspn(path, "/"), "/");

        if (fd < 0)
            return -errno;
        if (!path_name_valid(path, len)) {
            close(fd);
            return -EINVAL;
        }
        memcpy(name, path, len);
        name[len] = '\0';
        path += len;
        if (path[strspn(path, "/")] == '\0')
            return fd;
        if (mkdirat(fd, name, 0700) < 0 && errno != EEXIST)
            r = -1;
        else
            r = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        close(fd);
        fd = r;
    }
}

static int write_at(struct export *x, int fd, uint64_t off, const void *p, size_t n)
{
    const char *bytes = p;

    while (n > 0) {
        const ssize_t done = pwrite(fd, bytes, n, (off_t)off);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        bytes += done;
        off += (uint64_t)done;
        n -= (size_t)done;
        x->told.bytes += (uint64_t)done;
    }
    return 0;
}

/* What is damaged is left out: -EBADMSG, and all the rest is there. */
static int put_data(struct export *x, struct journal_salvage *s, const struct journal_record *rec,
                    int fd)
{
    bool damaged = false;
    uint64_t start = 0;
    struct stat st;
    int r = 0;

    if (rec->kind == JOURNAL_APPEND) {
        if (fstat(fd, &st) < 0)
            return -errno;
        start = (uint64_t)st.st_size;
    }
    if (rec->data_len > 0)
        r = write_at(x, fd, start + (rec->kind == JOURNAL_APPEND ? 0 : rec->off), rec->data,
                     rec->data_len);
    for (size_t i = 0; r == 0 && i < rec->extent_count; i++) {
        const struct journal_extent e = journal_record_extent(rec, i);

        buf_truncate(&x->data, 0);
        r = journal_salvage_read(s, rec, i, &x->data);
        if (r == 0)
            r = write_at(x, fd, start + e.off, x->data.data, x->data.len);
        else if (r == -EBADMSG)
            damaged = true;
        r = r == -EBADMSG ? 0 : r;
    }
    return r == 0 && damaged ? -EBADMSG : r;
}

static int make_content(struct export *x, struct journal_salvage *s,
                        const struct journal_record *rec, int dir, const char *name)
{
    const bool sized = rec->kind == JOURNAL_PUT || rec->kind == JOURNAL_TRUNCATE;
    int r = 0;
    const int fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    if (rec->kind == JOURNAL_PUT && ftruncate(fd, 0) < 0)
        r = -errno;
    if (r == 0)
        r = put_data(x, s, rec, fd);
    if ((r == 0 || r == -EBADMSG) && sized && ftruncate(fd, (off_t)rec->size) < 0)
        r = -errno;
    close(fd);
    return r;
}

/* Whoever saves it can reach all of it, whatever its mode: what comes later is written there, too.
 */
static int make_mode(const struct journal_record *rec, int dir, const char *name, mode_t owner)
{
    if ((rec->attr.mask & JOURNAL_ATTR_MODE) &&
        fchmodat(dir, name, (rec->attr.mode & 0777) | owner, 0) < 0)
        return -errno;
    return 0;
}

static int make_attr(const struct journal_record *rec, int dir, const char *name, bool is_dir)
{
    const unsigned mask = rec->attr.mask;
    const struct timespec keep = {.tv_nsec = UTIME_OMIT};
    struct timespec times[2] = {keep, keep};
    const int r = make_mode(rec, dir, name, is_dir ? 0700 : 0600);

    if (mask & JOURNAL_ATTR_ATIME)
        times[0] = (struct timespec){.tv_sec = rec->attr.atime_ns / 1000000000,
                                     .tv_nsec = rec->attr.atime_ns % 1000000000};
    if (mask & JOURNAL_ATTR_MTIME)
        times[1] = (struct timespec){.tv_sec = rec->attr.mtime_ns / 1000000000,
                                     .tv_nsec = rec->attr.mtime_ns % 1000000000};
    if (r == 0 && (mask & (JOURNAL_ATTR_ATIME | JOURNAL_ATTR_MTIME)) &&
        utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return r;
}

static int exists(int dir, const char *name, mode_t *ret)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    *ret = st.st_mode;
    return 0;
}

/* What was there before this journal is not here: then there is nothing to be done. */
static int make_change(struct export *x, struct journal_salvage *s,
                       const struct journal_record *rec, int dir, const char *name, int dir2,
                       const char *name2)
{
    mode_t mode;
    const bool here = exists(dir, name, &mode) == 0;
    int r = 0;

    switch (rec->kind) {
    case JOURNAL_PUT:
    case JOURNAL_PATCH:
    case JOURNAL_APPEND:
    case JOURNAL_TRUNCATE:
    case JOURNAL_CREATE:
        r = make_content(x, s, rec, dir, name);
        return r == 0 && rec->kind == JOURNAL_CREATE ? make_mode(rec, dir, name, 0600) : r;
    case JOURNAL_MKDIR:
        r = mkdirat(dir, name, 0700);
        return r < 0 && errno != EEXIST ? -errno : make_mode(rec, dir, name, 0700);
    case JOURNAL_SYMLINK:
        r = symlinkat(rec->path2, dir, name);
        break;
    case JOURNAL_LINK:
        r = here ? linkat(dir, name, dir2, name2, 0) : 0;
        break;
    case JOURNAL_RENAME:
        r = here ? renameat(dir, name, dir2, name2) : 0;
        break;
    case JOURNAL_UNLINK:
        r = here ? unlinkat(dir, name, 0) : 0;
        break;
    case JOURNAL_RMDIR:
        r = here ? unlinkat(dir, name, AT_REMOVEDIR) : 0;
        break;
    case JOURNAL_SETATTR:
        return here && !S_ISLNK(mode) ? make_attr(rec, dir, name, S_ISDIR(mode)) : 0;
    default:
        break;
    }
    return r < 0 ? -errno : 0;
}

static int apply(struct export *x, struct journal_salvage *s, const struct journal_record *rec)
{
    const bool two = rec->kind == JOURNAL_LINK || rec->kind == JOURNAL_RENAME;
    char name[PATH_NAME_MAX + 1], name2[PATH_NAME_MAX + 1] = "";
    const int dir = open_parent(x, rec->path, name);
    const int dir2 = dir >= 0 && two ? open_parent(x, rec->path2, name2) : -1;
    int r;

    if (dir < 0 || (two && dir2 < 0))
        r = dir < 0 ? dir : dir2;
    else
        r = make_change(x, s, rec, dir, name, dir2, name2);
    if (dir >= 0)
        close(dir);
    if (dir2 >= 0)
        close(dir2);
    return r;
}

static int write_lines(struct export *x)
{
    const uint64_t bytes = x->told.bytes;
    const int r = write_at(x, x->list_fd, x->list_len, x->lines.data, x->lines.len);

    x->told.bytes = bytes;
    x->list_len += x->lines.len;
    buf_truncate(&x->lines, 0);
    return r;
}

static int list_change(struct export *x, const struct journal_record *rec, int err)
{
    int r = x->lines.len > LINES_MAX / 4 ? write_lines(x) : 0;

    if (r == 0)
        r = buf_printf(&x->lines, "%s ", journal_kind_name(rec->kind));
    if (r == 0)
        r = text_escape(&x->lines, rec->path, "\\");
    if (r == 0 && rec->path2 && *rec->path2)
        r = buf_puts(&x->lines, " -> ");
    if (r == 0 && rec->path2)
        r = text_escape(&x->lines, rec->path2, "\\");
    if (r == 0 && err < 0)
        r = buf_printf(&x->lines, err == -EBADMSG ? " (damaged: in part)" : " (not made here: %s)",
                       errtext_sentence(err));
    return r == 0 ? buf_putc(&x->lines, '\n') : r;
}

static int export_record(void *arg, struct journal_salvage *s, const struct journal_record *rec)
{
    struct export *x = arg;
    struct ended *e;
    int err;

    HASH_FIND(hh, x->ended, &rec->seq, sizeof(rec->seq), e);
    if (!journal_is_change(rec->kind) || e)
        return 0;
    x->told.changes++;
    err = apply(x, s, rec);
    if (err < 0)
        x->told.failed++;
    return list_change(x, rec, err);
}

static uint64_t data_bytes(const struct journal_record *rec)
{
    uint64_t bytes = rec->data_len;

    for (size_t i = 0; i < rec->extent_count; i++)
        bytes += journal_record_extent(rec, i).len;
    return bytes;
}

static int survey_record(void *arg, struct journal_salvage *s, const struct journal_record *rec)
{
    struct export *x = arg;
    struct ended *e;

    HASH_FIND(hh, x->ended, &rec->seq, sizeof(rec->seq), e);
    if (journal_is_change(rec->kind) && !e) {
        x->told.changes++;
        x->told.bytes += data_bytes(rec);
    }
    return 0;
}

/* ---- all of it ---- */

static int make_dirs(struct export *x, const char *dir)
{
    int top, r = 0;

    if (mkdir(dir, 0700) < 0)
        return -errno;
    top = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0 || mkdirat(top, "files", 0700) < 0)
        r = -errno;
    if (r == 0)
        x->root = openat(top, "files", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (r == 0)
        x->list_fd = openat(top, "CHANGES", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (r == 0 && (x->root < 0 || x->list_fd < 0))
        r = -errno;
    if (top >= 0)
        close(top);
    return r;
}

int journal_survey(const char *base, const char *name, struct journal_exported *ret)
{
    struct export x = {0};
    int r = journal_salvage(base, name, note_result, &x, &x.told.bad);

    if (r == 0)
        r = journal_salvage(base, name, survey_record, &x, &x.told.bad);
    if (r == 0)
        *ret = x.told;
    forget_ended(&x);
    return r;
}

int journal_export(const char *base, const char *name, const char *dir,
                   struct journal_exported *ret)
{
    struct export x = {.root = -1,
                       .list_fd = -1,
                       .lines = BUF_INIT(LINES_MAX),
                       .data = BUF_INIT(JOURNAL_EXTENT_MAX)};
    int r;

    r = journal_salvage(base, name, note_result, &x, &x.told.bad);
    if (r == 0)
        r = make_dirs(&x, dir);
    if (r == 0)
        r = journal_salvage(base, name, export_record, &x, &x.told.bad);
    if (r == 0)
        r = write_lines(&x);
    if (r == 0)
        *ret = x.told;
    if (x.root >= 0)
        close(x.root);
    if (x.list_fd >= 0)
        close(x.list_fd);
    forget_ended(&x);
    buf_done(&x.lines);
    buf_done(&x.data);
    return r;
}
