/* op_dir.c - listing directories. */
#include "fuse/session_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where the link to the control files stands in a listed root: after all that fs gives. */
#define CTL_OFF INT64_MAX

static void reply_dir(fuse_req_t req, struct handle *h, int r, struct fuse_file_info *fi)
{
    struct fs_dir_hints hints;

    if (r < 0) {
        handle_unref(h);
        reply_err(req, r);
        return;
    }
    hints = fs_dir_hints(h->dir);
    fi->cache_readdir = h->session->expire && hints.cache;
    fi->keep_cache = h->session->expire && hints.keep;
    reply_open(req, h, fi);
}

static struct handle *new_dir_handle(struct session *s, uint64_t ino)
{
    struct handle *h = handle_new(s, HANDLE_DIR);

    if (h)
        h->root = ino == FS_ROOT;
    return h;
}

static void slow_opendir(struct call *c)
{
    struct handle *h = new_dir_handle(c->session, c->ino);
    int r = h ? fs_opendir(c->session->fs, c->ino, &h->dir) : -ENOMEM;

    reply_dir(c->req, h, r, &c->fi);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct session *s = fuse_req_userdata(req);
    struct handle *h;
    int r;

    if (ino_is_ctl(ino)) {
        ctl_op_opendir(req, s, ino, fi);
        return;
    }
    h = new_dir_handle(s, ino);
    r = h ? fs_opendir_cached(s->fs, ino, &h->dir) : -ENOMEM;
    if (r == -EAGAIN) {
        handle_unref(h);
        call_slow(req, SLOW_META, slow_opendir, &(struct call){.ino = ino, .fi = *fi});
        return;
    }
    reply_dir(req, h, r, fi);
}

struct listing {
    fuse_req_t req;
    struct session *session;
    bool plus, root;
    bool full;       /* an entry did not fit */
    uint64_t hidden; /* to be forgotten; not from within fill */
    size_t size, used;
    char *p; /* size bytes */
};

/* 0, or 1 when there is no more room. */
static int listing_add(struct listing *l, const char *name, const struct fs_entry *e,
                       uint64_t next_off)
{
    struct fuse_entry_param param;
    size_t need;

    if (l->plus) {
        entry_to_param(l->session, e, &param);
        need = fuse_add_direntry_plus(l->req, l->p + l->used, l->size - l->used, name, &param,
                                      (off_t)next_off);
    } else {
        need = fuse_add_direntry(l->req, l->p + l->used, l->size - l->used, name, &e->st,
                                 (off_t)next_off);
    }
    if (need > l->size - l->used) {
        l->full = true;
        return 1;
    }
    l->used += need;
    return 0;
}

static int listing_fill(void *arg, const char *name, const struct fs_entry *e, uint64_t next_off)
{
    struct listing *l = arg;

    /* One that appeared since the mount was made: ours hides it. */
    if (l->root && ctl_owns(l->session, FS_ROOT, name)) {
        if (l->plus)
            l->hidden = e->ino; /* it counts as given, but the kernel never hears of it */
        return 0;
    }
    return listing_add(l, name, e, next_off);
}

typedef int (*readdir_fn)(struct fs_dir *dir, uint64_t off, bool plus, fs_fill fill, void *arg);

static int listing_make(struct listing *l, readdir_fn fn, struct handle *h, uint64_t off)
{
    struct session *s = l->session;
    struct fs_entry e;
    int r;

    if (off == CTL_OFF)
        return 0;
    l->root = h->root && s->ctl;
    l->p = malloc(l->size);
    if (!l->p)
        return -ENOMEM;
    r = fn(h->dir, off, l->plus, listing_fill, l);
    if (l->hidden)
        fs_forget(s->fs, l->hidden, 1);
    if (r < 0 || l->full || !l->root || !s->ctl_link)
        return r;
    r = ctl_link_entry(s, &e);
    if (r == 0)
        (void)listing_add(l, s->ctl_link, &e, CTL_OFF); /* or with the next request */
    return r;
}

static void slow_readdir(struct call *c)
{
    struct listing l = {
        .req = c->req, .session = c->session, .plus = c->flags != 0, .size = c->size};
    int r = listing_make(&l, fs_readdir, c->handle, c->off);

    reply_data(c->req, r < 0 ? r : (ssize_t)l.used, l.p);
    free(l.p);
}

static void list(fuse_req_t req, uint64_t ino, size_t size, off_t off, struct fuse_file_info *fi,
                 bool plus)
{
    struct session *s = fuse_req_userdata(req);
    struct listing l = {.req = req, .session = s, .plus = plus, .size = size};
    struct handle *h = handle_of(fi);
    int r;

    if (ino_is_ctl(ino)) {
        ctl_op_readdir(req, h, ino, size, off, plus);
        return;
    }
    r = listing_make(&l, fs_readdir_cached, h, (uint64_t)off);
    if (r == -EAGAIN)
        call_slow(req, SLOW_META, slow_readdir,
                  &(struct call){.handle = h, .size = size, .off = (uint64_t)off, .flags = plus});
    else
        reply_data(req, r < 0 ? r : (ssize_t)l.used, l.p);
    free(l.p);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                       struct fuse_file_info *fi)
{
    list(req, ino, size, off, fi, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                           struct fuse_file_info *fi)
{
    list(req, ino, size, off, fi, true);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    handle_unref(handle_of(fi));
    reply_err(req, 0);
}

/* In plain mode a name is in the sandbox when the call that made it returns. */
static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)ino, (void)datasync, (void)fi;
    reply_err(req, 0);
}

void dir_ops(struct fuse_lowlevel_ops *ops)
{
    ops->opendir = op_opendir;
    ops->readdir = op_readdir;
    ops->readdirplus = op_readdirplus;
    ops->releasedir = op_releasedir;
    ops->fsyncdir = op_fsyncdir;
}
