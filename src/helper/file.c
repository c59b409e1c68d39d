/*
 * stat; read: the bytes of a file between two looks at its attributes. What is short enough is read
 * again until both show the same, and nothing that could have changed unseen.
 */
#include "helper/verbs.h"

#include "helper/walk.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 << 10, STEADY_MAX = (1 << 20) + 1, STEADY_TRIES = 5 };

/* Two changes within one tick of the clock look alike. */
static const int64_t tick_ns = 20 * NS_PER_MS;

static void emit_file_frame(struct emit *e, enum proto_kind kind, const struct look *attr,
                            const char *target)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    const struct proto_entry entry = emit_entry_of(attr, "", target);
    int r = proto_put_entry(&body, &entry);

    if (r == 0)
        emit_frame(e, kind, &body);
    else
        emit_raw(e, r);
    buf_done(&body);
}

static void emit_data(struct emit *e, uint64_t off, const char *p, size_t n)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = proto_put_uint(&body, off);

    if (r == 0)
        r = proto_put_string(&body, p, n);
    if (r == 0)
        emit_frame(e, PROTO_DATA, &body);
    else
        emit_raw(e, r);
    buf_done(&body);
}

/* Bytes off to off + len of the file. 0, or -errno of a read: what was emitted is then a start. */
static int emit_range(struct emit *e, int fd, uint64_t off, uint64_t len)
{
    char chunk[CHUNK];

    while (len > 0 && e->err == 0) {
        const ssize_t n = pread(fd, chunk, len < CHUNK ? len : CHUNK, (off_t)off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        emit_data(e, off, chunk, (size_t)n);
        off += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return e->err;
}

static int emit_long(struct emit *e, int fd, const struct look *before, uint64_t off, uint64_t len)
{
    struct look after = *before;
    int r;

    emit_file_frame(e, PROTO_FILE, before, NULL);
    r = emit_range(e, fd, off, len);
    if (fstat(fd, &after.st) < 0)
        r = -errno;
    emit_file_frame(e, PROTO_FILE_END, &after, NULL);
    return r;
}

static bool same_version(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && timespec_to_ns(a->st_mtim) == timespec_to_ns(b->st_mtim) &&
           timespec_to_ns(a->st_ctim) == timespec_to_ns(b->st_ctim);
}

/* Until the last change is so old that the next one shows. */
static int await_tick(int fd, struct stat *st)
{
    const int64_t age_ns = clock_real_ns() - timespec_to_ns(st->st_ctim);
    struct timespec left;

    if (age_ns < 0 || age_ns >= tick_ns)
        return 0;
    left = ns_to_timespec(tick_ns - age_ns);
    (void)nanosleep(&left, NULL);
    return fstat(fd, st) < 0 ? -errno : 0;
}

static int read_range(int fd, uint64_t off, uint64_t len, struct buf *out)
{
    char chunk[CHUNK];

    while (len > 0) {
        const ssize_t n = pread(fd, chunk, len < CHUNK ? len : CHUNK, (off_t)off);
        const int r = n > 0 ? buf_append(out, chunk, (size_t)n) : 0;

        if (r < 0)
            return r;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        off += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return 0;
}

/* What is written all the time is shown as it was found, between two looks that differ. */
static int read_steadily(int fd, uint64_t off, uint64_t len, struct stat *before,
                         struct stat *after, struct buf *out)
{
    for (unsigned i = 0; i < STEADY_TRIES; i++) {
        int r = await_tick(fd, before);

        buf_truncate(out, 0);
        if (r == 0)
            r = read_range(fd, off, len, out);
        if (r == 0 && fstat(fd, after) < 0)
            r = -errno;
        if (r < 0)
            return r;
        if (same_version(before, after))
            break;
        if (i + 1 < STEADY_TRIES)
            *before = *after;
    }
    return 0;
}

static int emit_short(struct emit *e, int fd, struct look *before, uint64_t off, uint64_t len)
{
    struct buf bytes = BUF_INIT(STEADY_MAX);
    struct look after = *before;
    int r = read_steadily(fd, off, len, &before->st, &after.st, &bytes);

    if (r == 0) {
        emit_file_frame(e, PROTO_FILE, before, NULL);
        for (size_t done = 0; done < bytes.len && e->err == 0;) {
            const size_t n = bytes.len - done < CHUNK ? bytes.len - done : CHUNK;

            emit_data(e, off + done, bytes.data + done, n);
            done += n;
        }
        emit_file_frame(e, PROTO_FILE_END, &after, NULL);
    }
    buf_done(&bytes);
    return r;
}

static int emit_file(struct emit *e, int root, const char *path, uint64_t off, uint64_t len)
{
    struct look attr;
    const int fd = walk_file(root, path, &attr);
    int r;

    if (fd < 0)
        return fd;
    r = len <= STEADY_MAX ? emit_short(e, fd, &attr, off, len) : emit_long(e, fd, &attr, off, len);
    close(fd);
    return r;
}

int verb_read(struct emit *e, const struct proto_request *req, bool *ret_more)
{
    const int root = walk_root(req->root);
    int r;

    if (root < 0)
        return root;
    r = req->path_count == 1 ? emit_file(e, root, req->paths[0], req->off, req->len) : -EINVAL;
    close(root);
    return r;
}

static void emit_failed(struct emit *e, const char *path, int r)
{
    const struct proto_dir failed = {.path = path, .path_len = strlen(path), .err = -r};

    EMIT(e, proto_put_dir, &failed);
}

int verb_stat(struct emit *e, const struct proto_request *req, bool *ret_more)
{
    const int root = walk_root(req->root);

    if (root < 0)
        return root;
    for (size_t i = 0; i < req->path_count && e->err == 0; i++) {
        char *target;
        struct look attr;
        const int r = walk_stat(root, req->paths[i], &attr, &target);

        if (r < 0)
            emit_failed(e, req->paths[i], r);
        else
            emit_file_frame(e, PROTO_FILE, &attr, target);
        free(target);
    }
    close(root);
    return e->err;
}
