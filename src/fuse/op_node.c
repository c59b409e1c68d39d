/* op_node.c - names and attributes. */
#include "fuse/session_internal.h"

#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A name that cannot be, or that only this program may use. 0: go on. */
static int check_name(const struct session *s, uint64_t parent, const char *name)
{
    if (ino_is_ctl(parent))
        return -EPERM;
    if (ctl_owns(s, parent, name))
        return -EEXIST;
    return strlen(name) > PATH_NAME_MAX ? -ENAMETOOLONG : 0;
}

static void slow_lookup(struct call *c)
{
    struct fs_entry e;
    int r = fs_lookup(c->session->fs, c->ino, c->name, &e);

    reply_entry(c->req, c->session, r, &e);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct session *s = fuse_req_userdata(req);
    struct fs_entry e;
    int r;

    if (ino_is_ctl(parent) || ctl_owns(s, parent, name)) {
        ctl_op_lookup(req, s, parent, name);
        return;
    }
    if (strlen(name) > PATH_NAME_MAX) {
        reply_err(req, -ENAMETOOLONG);
        return;
    }
    r = fs_lookup_cached(s->fs, parent, name, &e);
    if (r == -EAGAIN)
        call_slow(req, SLOW_META, slow_lookup, &(struct call){.ino = parent, .name = name});
    else
        reply_entry(req, s, r, &e);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    session_forget(fuse_req_userdata(req), ino, count);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        session_forget(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

static void slow_getattr(struct call *c)
{
    struct fs_entry e;
    int r = fs_getattr(c->session->fs, c->ino, handle_file(c->handle), &e);

    reply_attr(c->req, r, &e);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct session *s = fuse_req_userdata(req);
    struct handle *h = handle_of(fi);
    struct fs_entry e;
    int r;

    if (ino_is_ctl(ino)) {
        ctl_op_getattr(req, s, ino);
        return;
    }
    fs_caller(fuse_req_ctx(req)->pid);
    r = fs_getattr_cached(s->fs, ino, handle_file(h), &e);
    if (r == -EAGAIN)
        call_slow(req, SLOW_META, slow_getattr, &(struct call){.ino = ino, .handle = h});
    else
        reply_attr(req, r, &e);
}

/* clang-format off */
static const struct {
    int fuse;
    enum fs_set fs;
} set_bits[] = {
    {FUSE_SET_ATTR_MODE,      FS_SET_MODE},
    {FUSE_SET_ATTR_UID,       FS_SET_UID},
    {FUSE_SET_ATTR_GID,       FS_SET_GID},
    {FUSE_SET_ATTR_SIZE,      FS_SET_SIZE},
    {FUSE_SET_ATTR_ATIME,     FS_SET_ATIME},
    {FUSE_SET_ATTR_MTIME,     FS_SET_MTIME},
    {FUSE_SET_ATTR_ATIME_NOW, FS_SET_ATIME_NOW},
    {FUSE_SET_ATTR_MTIME_NOW, FS_SET_MTIME_NOW},
};
/* clang-format on */

static unsigned set_mask(int to_set)
{
    unsigned mask = 0;

    for (size_t i = 0; i < sizeof(set_bits) / sizeof(set_bits[0]); i++)
        if (to_set & set_bits[i].fuse)
            mask |= set_bits[i].fs;
    /* The kernel sets both bits of a "now". */
    if (mask & FS_SET_ATIME_NOW)
        mask &= ~(unsigned)FS_SET_ATIME;
    if (mask & FS_SET_MTIME_NOW)
        mask &= ~(unsigned)FS_SET_MTIME;
    return mask;
}

static void slow_setattr(struct call *c)
{
    struct fs_entry e;
    int r = fs_setattr(c->session->fs, c->ino, handle_file(c->handle), c->mask, &c->st, &e);

    reply_attr(c->req, r, &e);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int to_set,
                       struct fuse_file_info *fi)
{
    const unsigned mask = set_mask(to_set);

    if (ino_is_ctl(ino)) /* `>` truncates: nothing to do; touch, chmod: nothing to keep */
        ctl_op_getattr(req, fuse_req_userdata(req), ino);
    else
        call_slow(req, mask & FS_SET_SIZE ? SLOW_DATA : SLOW_META, slow_setattr,
                  &(struct call){.ino = ino, .mask = mask, .st = *st, .handle = handle_of(fi)});
}

static void slow_access(struct call *c)
{
    reply_err(c->req, fs_access(c->session->fs, c->ino, c->flags));
}

static void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
    struct session *s = fuse_req_userdata(req);
    int r;

    if (ino_is_ctl(ino)) {
        ctl_op_access(req, s, ino, mask);
        return;
    }
    r = fs_access_cached(s->fs, ino, mask);
    if (r == -EAGAIN)
        call_slow(req, SLOW_META, slow_access, &(struct call){.ino = ino, .flags = mask});
    else
        reply_err(req, r);
}

static void reply_readlink(fuse_req_t req, int r, char *target)
{
    if (r < 0) {
        reply_err(req, r);
        return;
    }
    req_settle(req);
    fuse_reply_readlink(req, target);
    free(target);
}

static void slow_readlink(struct call *c)
{
    char *target = NULL;
    int r = fs_readlink(c->session->fs, c->ino, &target);

    reply_readlink(c->req, r, target);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct session *s = fuse_req_userdata(req);
    char *target = NULL;
    int r;

    if (ino_is_ctl(ino)) {
        ctl_op_readlink(req, s, ino);
        return;
    }
    r = fs_readlink_cached(s->fs, ino, &target);
    if (r == -EAGAIN)
        call_slow(req, SLOW_META, slow_readlink, &(struct call){.ino = ino});
    else
        reply_readlink(req, r, target);
}

/* ---- changes of names: each asks the sandbox ---- */

static void slow_mkdir(struct call *c)
{
    struct fs_entry e;
    int r = fs_mkdir(c->session->fs, c->ino, c->name, c->mode, &e);

    reply_entry(c->req, c->session, r, &e);
}

static void slow_mknod(struct call *c)
{
    struct fs_entry e;
    int r = fs_mknod(c->session->fs, c->ino, c->name, c->mode, &e);

    reply_entry(c->req, c->session, r, &e);
}

static void slow_symlink(struct call *c)
{
    struct fs_entry e;
    int r = fs_symlink(c->session->fs, c->name2, c->ino, c->name, &e);

    reply_entry(c->req, c->session, r, &e);
}

static void slow_link(struct call *c)
{
    struct fs_entry e;
    int r = fs_link(c->session->fs, c->ino2, c->ino, c->name, &e);

    reply_entry(c->req, c->session, r, &e);
}

static void slow_unlink(struct call *c)
{
    reply_err(c->req, fs_unlink(c->session->fs, c->ino, c->name));
}

static void slow_rmdir(struct call *c)
{
    reply_err(c->req, fs_rmdir(c->session->fs, c->ino, c->name));
}

static void slow_rename(struct call *c)
{
    reply_err(c->req,
              fs_rename(c->session->fs, c->ino, c->name, c->ino2, c->name2, (unsigned)c->flags));
}

static void slow_statfs(struct call *c)
{
    struct statvfs st;
    int r = fs_statfs(c->session->fs, &st);

    if (r < 0) {
        reply_err(c->req, r);
        return;
    }
    req_settle(c->req);
    fuse_reply_statfs(c->req, &st);
}

static void change(fuse_req_t req, int r, void (*fn)(struct call *c), const struct call *args)
{
    if (r < 0)
        reply_err(req, r);
    else
        call_slow(req, SLOW_META, fn, args);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    if (ino_is_ctl(parent))
        ctl_op_mkdir(req, parent, name);
    else
        change(req, check_name(fuse_req_userdata(req), parent, name), slow_mkdir,
               &(struct call){.ino = parent, .name = name, .mode = mode});
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    (void)rdev; /* there are no device nodes to make */
    change(req, check_name(fuse_req_userdata(req), parent, name), slow_mknod,
           &(struct call){.ino = parent, .name = name, .mode = mode});
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    change(req, check_name(fuse_req_userdata(req), parent, name), slow_symlink,
           &(struct call){.ino = parent, .name = name, .name2 = target});
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    int r = check_name(fuse_req_userdata(req), parent, name);

    if (ino_is_ctl(ino))
        r = -EPERM;
    change(req, r, slow_link, &(struct call){.ino = parent, .name = name, .ino2 = ino});
}

/* What is there may not be taken away. */
static int check_old(const struct session *s, uint64_t parent, const char *name)
{
    return ino_is_ctl(parent) || ctl_owns(s, parent, name) ? -EPERM : 0;
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (ino_is_ctl(parent))
        ctl_op_unlink(req, parent, name);
    else
        change(req, check_old(fuse_req_userdata(req), parent, name), slow_unlink,
               &(struct call){.ino = parent, .name = name});
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (ino_is_ctl(parent))
        ctl_op_rmdir(req, parent, name);
    else
        change(req, check_old(fuse_req_userdata(req), parent, name), slow_rmdir,
               &(struct call){.ino = parent, .name = name});
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                      const char *new_name, unsigned flags)
{
    const struct session *s = fuse_req_userdata(req);
    int r = check_old(s, parent, name);

    if (r == 0)
        r = check_name(s, new_parent, new_name);
    change(req, r, slow_rename,
           &(struct call){.ino = parent,
                          .name = name,
                          .ino2 = new_parent,
                          .name2 = new_name,
                          .flags = (int)flags});
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    (void)ino;
    call_slow(req, SLOW_META, slow_statfs, &(struct call){0});
}

void node_ops(struct fuse_lowlevel_ops *ops)
{
    ops->lookup = op_lookup;
    ops->forget = op_forget;
    ops->forget_multi = op_forget_multi;
    ops->getattr = op_getattr;
    ops->setattr = op_setattr;
    ops->access = op_access;
    ops->readlink = op_readlink;
    ops->mkdir = op_mkdir;
    ops->mknod = op_mknod;
    ops->symlink = op_symlink;
    ops->link = op_link;
    ops->unlink = op_unlink;
    ops->rmdir = op_rmdir;
    ops->rename = op_rename;
    ops->statfs = op_statfs;
}
