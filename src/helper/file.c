/* stat; read and pack: the bytes of files, each between two looks at its attributes. */
#include "helper/verbs.h"

#include "helper/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64 << 10 };

static void emit_file_frame(struct emit *e, enum proto_kind kind, const struct stat *st,
                            const char *target)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    const struct proto_entry entry = emit_entry_of(st, "", target);
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

static int emit_file(struct emit *e, int root, const char *path, uint64_t off, uint64_t len)
{
    struct stat st;
    const int fd = walk_file(root, path, &st);
    int r;

    if (fd < 0)
        return fd;
    emit_file_frame(e, PROTO_FILE, &st, NULL);
    r = emit_range(e, fd, off, len);
    if (fstat(fd, &st) < 0)
        r = -errno;
    close(fd);
    emit_file_frame(e, PROTO_FILE_END, &st, NULL);
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
        struct stat st;
        const int r = walk_stat(root, req->paths[i], &st, &target);

        if (r < 0)
            emit_failed(e, req->paths[i], r);
        else
            emit_file_frame(e, PROTO_FILE, &st, target);
        free(target);
    }
    close(root);
    return e->err;
}

/* Whole files, as many as max_bytes allows; one that cannot be read is a PROTO_DIR with its errno.
 */
int verb_pack(struct emit *e, const struct proto_request *req, bool *ret_more)
{
    const int root = walk_root(req->root);

    if (root < 0)
        return root;
    for (size_t i = 0; i < req->path_count && e->err == 0; i++) {
        const char *path = req->paths[i];
        int r;

        if (i > 0 && req->max_bytes > 0 && e->sent + e->raw.len >= req->max_bytes) {
            *ret_more = true;
            break;
        }
        r = emit_file(e, root, path, 0, UINT64_MAX);
        if (r < 0 && e->err == 0)
            emit_failed(e, path, r);
        e->count++;
    }
    close(root);
    return e->err;
}
