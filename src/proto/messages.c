#include "proto/proto.h"

#include "util/array.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int put_framed(struct buf *out, enum proto_kind kind, const uint64_t *v, size_t count)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = proto_put_uints(&body, v, count);

    return proto_end_frame(out, kind, &body, r);
}

/* ---- request ---- */

static size_t shared_prefix(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] && a[n] == b[n])
        n++;
    return n;
}

static int put_paths(struct buf *body, const struct proto_request *req)
{
    const char *before = "";
    int r = proto_put_uint(body, req->path_count);

    for (size_t i = 0; i < req->path_count && r == 0; i++) {
        const char *path = req->paths[i];
        const size_t shared = shared_prefix(before, path);

        r = proto_put_uint(body, shared);
        if (r == 0)
            r = proto_put_string(body, path + shared, strlen(path + shared));
        before = path;
    }
    return r;
}

int proto_put_request(struct buf *out, const struct proto_request *req)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = proto_put_uint(&body, req->verb);

    if (r == 0)
        r = proto_put_string(&body, req->root, strlen(req->root));
    if (r == 0)
        r = PROTO_PUT_UINTS(&body, req->max_entries, req->max_bytes);
    if (r == 0)
        r = proto_put_int(&body, req->since_ns);
    if (r == 0)
        r = PROTO_PUT_UINTS(&body, req->wait_ms, req->off, req->len);
    if (r == 0)
        r = put_paths(&body, req);
    return proto_end_frame(out, PROTO_REQUEST, &body, r);
}

/* Relative, every component valid: what is below the root by its form alone. */
static bool path_stays_below(const char *path)
{
    const char *part = path;

    if (*path == '\0')
        return true;
    for (;;) {
        const char *end = strchrnul(part, '/');

        if (!path_name_valid(part, (size_t)(end - part)))
            return false;
        if (*end == '\0')
            return true;
        part = end + 1;
    }
}

static char *get_path(struct proto_in *in, const char *before)
{
    const uint64_t shared = proto_get_uint(in);
    size_t len;
    const char *rest = proto_get_string(in, PROTO_PATH_MAX, &len);
    char *path;

    if (in->bad || shared > strlen(before) || shared + len > PROTO_PATH_MAX ||
        memchr(rest, '\0', len))
        return NULL;
    path = malloc(shared + len + 1);
    if (!path)
        return NULL;
    memcpy(path, before, shared);
    memcpy(path + shared, rest, len);
    path[shared + len] = '\0';
    if (!path_stays_below(path)) {
        free(path);
        return NULL;
    }
    return path;
}

static int get_paths(struct proto_in *in, struct proto_request *req)
{
    const uint64_t count = proto_get_uint(in);

    /* Each takes two bytes at least, so a short body cannot ask for much memory. */
    if (in->bad || count > PROTO_DIRS_MAX || count > (uint64_t)(in->end - in->p) / 2)
        return -EBADMSG;
    req->paths = calloc(count + 1, sizeof(*req->paths));
    if (!req->paths)
        return -ENOMEM;
    for (; req->path_count < count; req->path_count++) {
        const char *before = req->path_count > 0 ? req->paths[req->path_count - 1] : "";

        req->paths[req->path_count] = get_path(in, before);
        if (!req->paths[req->path_count])
            return -EBADMSG;
    }
    return 0;
}

int proto_get_request(const struct proto_frame *frame, struct proto_request *ret)
{
    struct proto_in in = proto_in_frame(frame);
    struct proto_request req = {0};
    const char *root;
    size_t len;
    int r = -EBADMSG;

    if (frame->kind != PROTO_REQUEST)
        return -EBADMSG;
    req.verb = (enum proto_verb)proto_get_uint(&in);
    root = proto_get_string(&in, PROTO_PATH_MAX, &len);
    if (in.bad || len == 0 || root[0] != '/' || memchr(root, '\0', len))
        goto out;
    req.root = strndup(root, len);
    req.max_entries = proto_get_uint(&in);
    req.max_bytes = proto_get_uint(&in);
    req.since_ns = proto_get_int(&in);
    req.wait_ms = proto_get_uint(&in);
    req.off = proto_get_uint(&in);
    req.len = proto_get_uint(&in);
    r = req.root ? get_paths(&in, &req) : -ENOMEM;
    if (r == 0 && !proto_in_done(&in))
        r = -EBADMSG;
out:
    if (r < 0)
        proto_request_done(&req);
    else
        *ret = req;
    return r;
}

void proto_request_done(struct proto_request *req)
{
    for (size_t i = 0; i < req->path_count; i++)
        free(req->paths[i]);
    free(req->paths);
    free(req->root);
    *req = (struct proto_request){0};
}

/* ---- answers ---- */

int proto_put_start(struct buf *out, const struct proto_start *s)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = proto_put_int(&body, s->now_ns);

    if (r == 0)
        r = proto_put_int(&body, s->uptime_ns);
    if (r == 0)
        r = proto_put_string(&body, s->boot, s->boot_len);
    return proto_end_frame(out, PROTO_START, &body, r);
}

int proto_get_start(const struct proto_frame *f, struct proto_start *ret)
{
    struct proto_in in = proto_in_frame(f);
    struct proto_start s;

    s.now_ns = proto_get_int(&in);
    s.uptime_ns = proto_get_int(&in);
    s.boot = proto_get_string(&in, PROTO_NAME_MAX, &s.boot_len);
    if (f->kind != PROTO_START || !proto_in_done(&in))
        return -EBADMSG;
    *ret = s;
    return 0;
}

uint32_t proto_birth(int64_t birth_ns)
{
    const uint64_t mixed = (uint64_t)birth_ns * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)(mixed >> 32) | 1;
}

int proto_put_entry(struct buf *out, const struct proto_entry *e)
{
    const size_t start = out->len;
    int r = proto_put_uint(out, (e->target ? PROTO_ENTRY_TARGET : 0) |
                                    (e->has_birth ? PROTO_ENTRY_BIRTH : 0));

    if (r == 0)
        r = proto_put_string(out, e->name, e->name_len);
    if (r == 0 && e->target)
        r = proto_put_string(out, e->target, e->target_len);
    if (r == 0)
        r = PROTO_PUT_UINTS(out, e->dev, e->ino, e->mode, e->nlink, e->uid, e->gid, e->size,
                            e->blocks, e->rdev);
    if (r == 0)
        r = proto_put_times(out, e->mtime_ns, e->ctime_ns);
    if (r == 0 && e->has_birth)
        r = proto_put_int(out, (int64_t)((uint64_t)e->ctime_ns - (uint64_t)e->birth_ns));
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

bool proto_get_entry(struct proto_in *in, struct proto_entry *ret)
{
    struct proto_entry e = {0};
    const uint64_t flags = proto_get_uint(in);

    e.name = proto_get_string(in, PROTO_NAME_MAX, &e.name_len);
    if (flags & PROTO_ENTRY_TARGET) {
        e.target = proto_get_string(in, PATH_LEN_MAX, &e.target_len);
        in->bad = in->bad || e.target_len == 0 || memchr(e.target, '\0', e.target_len);
    }
    e.dev = proto_get_uint(in);
    e.ino = proto_get_uint(in);
    e.mode = proto_get_uint32(in);
    e.nlink = proto_get_uint32(in);
    e.uid = proto_get_uint32(in);
    e.gid = proto_get_uint32(in);
    e.size = proto_get_uint(in);
    e.blocks = proto_get_uint(in);
    e.rdev = proto_get_uint(in);
    proto_get_times(in, &e.mtime_ns, &e.ctime_ns);
    e.has_birth = flags & PROTO_ENTRY_BIRTH;
    if (e.has_birth)
        e.birth_ns = (int64_t)((uint64_t)e.ctime_ns - (uint64_t)proto_get_int(in));
    if (in->bad || flags > (PROTO_ENTRY_TARGET | PROTO_ENTRY_BIRTH) || e.size > INT64_MAX ||
        (e.name_len > 0 && !path_name_valid(e.name, e.name_len))) {
        in->bad = true;
        return false;
    }
    *ret = e;
    return true;
}

int proto_put_dir(struct buf *out, const struct proto_dir *d)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = PROTO_PUT_UINTS(&body, d->flags, (uint64_t)d->err);

    if (r == 0)
        r = proto_put_string(&body, d->path, d->path_len);
    if (r == 0 && d->err == 0)
        r = proto_put_entry(&body, &d->self);
    return proto_end_frame(out, PROTO_DIR, &body, r);
}

int proto_get_dir(const struct proto_frame *f, struct proto_dir *ret)
{
    struct proto_in in = proto_in_frame(f);
    struct proto_dir d = {0};
    const uint64_t flags = proto_get_uint(&in), err = proto_get_uint(&in);

    d.path = proto_get_string(&in, PROTO_PATH_MAX, &d.path_len);
    d.flags = (unsigned)flags;
    d.err = (int)err;
    if (!in.bad && err == 0)
        (void)proto_get_entry(&in, &d.self);
    if (f->kind != PROTO_DIR || flags > PROTO_DIR_WHOLE || err > 4095 ||
        memchr(d.path, '\0', d.path_len) || !proto_in_done(&in))
        return -EBADMSG;
    *ret = d;
    return 0;
}

int proto_put_statfs(struct buf *out, const struct proto_statfs *s)
{
    const uint64_t v[] = {s->block_size, s->blocks,     s->blocks_free, s->blocks_avail,
                          s->files,      s->files_free, s->type};

    return put_framed(out, PROTO_STATFS, v, ARRAY_LEN(v));
}

int proto_get_statfs(const struct proto_frame *f, struct proto_statfs *ret)
{
    struct proto_in in = proto_in_frame(f);
    struct proto_statfs s = {0};
    uint64_t *const fields[] = {&s.block_size, &s.blocks,     &s.blocks_free, &s.blocks_avail,
                                &s.files,      &s.files_free, &s.type};

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        *fields[i] = proto_get_uint(&in);
    if (f->kind != PROTO_STATFS || !proto_in_done(&in))
        return -EBADMSG;
    *ret = s;
    return 0;
}

int proto_put_info(struct buf *out, const struct proto_info *i)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = PROTO_PUT_UINTS(&body, i->uid, i->gid, i->group_count);

    if (r == 0)
        r = proto_put_uints(&body, i->groups, i->group_count);
    if (r == 0)
        r = PROTO_PUT_UINTS(&body, i->capabilities, i->umask, i->folder_dev);
    return proto_end_frame(out, PROTO_INFO, &body, r);
}

int proto_get_info(const struct proto_frame *f, struct proto_info *ret)
{
    struct proto_in in = proto_in_frame(f);
    struct proto_info i = {.uid = proto_get_uint32(&in), .gid = proto_get_uint32(&in)};
    const uint64_t count = proto_get_uint(&in);

    if (count > PROTO_GROUPS_MAX)
        return -EBADMSG;
    i.group_count = (size_t)count;
    for (size_t k = 0; k < i.group_count; k++)
        i.groups[k] = proto_get_uint32(&in);
    i.capabilities = proto_get_uint(&in);
    i.umask = proto_get_uint(&in);
    i.folder_dev = proto_get_uint(&in);
    if (f->kind != PROTO_INFO || !proto_in_done(&in))
        return -EBADMSG;
    *ret = i;
    return 0;
}

int proto_put_end(struct buf *out, const struct proto_end *e)
{
    return put_framed(out, PROTO_END, (uint64_t[]){e->err, e->more, e->entries}, 3);
}

int proto_get_end(const struct proto_frame *f, struct proto_end *ret)
{
    struct proto_in in = proto_in_frame(f);
    struct proto_end e;

    e.err = proto_get_uint(&in);
    e.more = proto_get_uint(&in);
    e.entries = proto_get_uint(&in);
    if (f->kind != PROTO_END || e.err > 4095 || e.more > 1 || !proto_in_done(&in))
        return -EBADMSG;
    *ret = e;
    return 0;
}
