/* op_file.c - regular files and what they hold. Control files turn off to op_ctl.c. */
#include "fuse/session_internal.h"

#include "util/path.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static void set_hints(struct fuse_file_info *fi, const struct fs_open_hints *hints)
{
    fi->direct_io = hints->direct_io;
    fi->keep_cache = hints->keep_cache;
}

static void reply_file(fuse_req_t req, struct handle *h, int r, const struct fs_open_hints *hints,
                       struct fuse_file_info *fi)
{
    if (r < 0) {
        handle_unref(h);
        reply_err(req, r);
        return;
    }
    set_hints(fi, hints);
    reply_open(req, h, fi);
}

static void slow_open(struct call *c)
{
    struct handle *h = handle_new(c->session, HANDLE_FILE);
    struct fs_open_hints hints = {0};
    int r = -ENOMEM;

    if (h)
        r = fs_open(c->session->fs, c->ino, c->flags, &h->file, &hints);
    reply_file(c->req, h, r, &hints, &c->fi);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct session *s = fuse_req_userdata(req);
    struct fs_open_hints hints = {0};
    struct handle *h;
    int r = -ENOMEM;

    if (ino_is_ctl(ino)) {
        ctl_op_open(req, s, ino, fi);
        return;
    }
    fs_caller(fuse_req_ctx(req)->pid);
    h = handle_new(s, HANDLE_FILE);
    if (h)
        r = fs_open_cached(s->fs, ino, fi->flags, &h->file, &hints);
    if (r == -EAGAIN) {
        handle_unref(h);
        call_slow(req, SLOW_DATA, slow_open,
                  &(struct call){.ino = ino, .flags = fi->flags, .fi = *fi});
        return;
    }
    reply_file(req, h, r, &hints, fi);
}

static void slow_create(struct call *c)
{
    struct handle *h = handle_new(c->session, HANDLE_FILE);
    struct fs_open_hints hints = {0};
    struct fs_entry e;
    int r = -ENOMEM;

    if (h)
        r = fs_create(c->session->fs, c->ino, c->name, c->mode, c->flags, &e, &h->file, &hints);
    if (r < 0) {
        handle_unref(h);
        reply_err(c->req, r);
        return;
    }
    set_hints(&c->fi, &hints);
    reply_create(c->req, &e, h, &c->fi);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                      struct fuse_file_info *fi)
{
    const struct session *s = fuse_req_userdata(req);

    if (ino_is_ctl(parent))
        reply_err(req, -EPERM);
    else if (ctl_owns(s, parent, name))
        reply_err(req, -EEXIST);
    else if (strlen(name) > PATH_NAME_MAX)
        reply_err(req, -ENAMETOOLONG);
    else
        call_slow(req, SLOW_DATA, slow_create,
                  &(struct call){
                      .ino = parent, .name = name, .mode = mode, .flags = fi->flags, .fi = *fi});
}

static void slow_read(struct call *c)
{
    char *p = malloc(c->size);
    ssize_t r = p ? fs_read(c->handle->file, c->off, p, c->size) : -ENOMEM;

    reply_data(c->req, r, p);
    free(p);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);
    ssize_t r = -ENOMEM;
    char *p;

    (void)ino;
    if (h->kind == HANDLE_CTL) {
        ctl_op_read(req, h, size, off);
        return;
    }
    p = malloc(size);
    if (p)
        r = fs_read_cached(h->file, (uint64_t)off, p, size);
    if (r == -EAGAIN)
        call_slow(req, SLOW_DATA, slow_read,
                  &(struct call){.handle = h, .size = size, .off = (uint64_t)off});
    else
        reply_data(req, r, p);
    free(p);
}

static void slow_write(struct call *c)
{
    reply_count(c->req, fs_write(c->handle->file, c->off, c->data, c->size));
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
                     struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);
    ssize_t r;

    (void)ino;
    if (h->kind == HANDLE_CTL) {
        ctl_op_write(req, h, data, size, off);
        return;
    }
    r = fs_write_cached(h->file, (uint64_t)off, data, size);
    if (r == -EAGAIN)
        call_slow(req, SLOW_DATA, slow_write,
                  &(struct call){.handle = h, .data = data, .size = size, .off = (uint64_t)off});
    else
        reply_count(req, r);
}

static void slow_flush(struct call *c)
{
    reply_err(c->req, fs_flush(c->handle->file));
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);
    int r;

    (void)ino;
    if (h->kind == HANDLE_CTL) {
        ctl_op_flush(req, h);
        return;
    }
    r = fs_flush_cached(h->file);
    if (r == -EAGAIN)
        call_slow(req, SLOW_DATA, slow_flush, &(struct call){.handle = h});
    else
        reply_err(req, r);
}

static void slow_fsync(struct call *c)
{
    reply_err(c->req, fs_fsync(c->handle->file));
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);

    (void)ino, (void)datasync;
    if (h->kind == HANDLE_CTL)
        reply_err(req, 0);
    else
        call_slow(req, SLOW_DATA, slow_fsync, &(struct call){.handle = h});
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    handle_unref(handle_of(fi));
    reply_err(req, 0);
}

static void slow_fallocate(struct call *c)
{
    reply_err(c->req, fs_fallocate(c->handle->file, c->flags, c->off, c->ino2));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
                         struct fuse_file_info *fi)
{
    struct handle *h = handle_of(fi);

    (void)ino;
    if (h->kind == HANDLE_CTL)
        reply_err(req, -EOPNOTSUPP);
    else
        call_slow(req, SLOW_DATA, slow_fallocate,
                  &(struct call){
                      .handle = h, .flags = mode, .off = (uint64_t)off, .ino2 = (uint64_t)len});
}

static void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
                    struct fuse_pollhandle *ph)
{
    struct handle *h = handle_of(fi);

    (void)ino;
    if (h->kind == HANDLE_CTL) {
        ctl_op_poll(req, h, ph);
        return;
    }
    if (ph)
        fuse_pollhandle_destroy(ph);
    fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM); /* as any file */
}

void file_ops(struct fuse_lowlevel_ops *ops)
{
    ops->open = op_open;
    ops->create = op_create;
    ops->read = op_read;
    ops->write = op_write;
    ops->flush = op_flush;
    ops->fsync = op_fsync;
    ops->release = op_release;
    ops->fallocate = op_fallocate;
    ops->poll = op_poll;
}
