/* names.c - names that come: create, mknod, mkdir, symlink, link. */
#include "fs/fs_internal.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One name that is about to appear. */
struct making {
    struct op op;
    char *path;
    int64_t start_ns;
};

/* What it will be the name of. */
struct thing {
    mode_t mode;        /* with its type */
    const char *target; /* of a symbolic link */
};

int names_path_locked(struct fs *fs, const struct node *dir, const char *name, char **ret)
{
    if (node_gone_locked(dir))
        return -ENOENT;
    return node_path_in_locked(fs, dir, name, ret);
}

static int begin_making(struct fs *fs, struct node *dir, const char *name, struct making *m)
{
    const int64_t since = fs_since(fs);
    struct node *n;
    int64_t known_ns;
    int r;

    r = tree_lookup(fs, dir, name, since, &n, &known_ns);
    if (r == 0 && n) {
        node_unref_locked(fs, n);
        r = -EEXIST;
    }
    if (r == 0 && fs->config.read_only)
        r = -EROFS;
    if (r == 0)
        r = perm_names(fs, dir, NULL, since);
    if (r == 0)
        r = op_begin_name(fs, &m->op, dir, name, false);
    if (r < 0)
        return r;
    r = names_path_locked(fs, dir, name, &m->path);
    if (r < 0) {
        op_end_locked(fs, &m->op);
        return r;
    }
    m->start_ns = clock_mono_ns();
    return 0;
}

/* What is made there is empty. Counted. NULL without memory, or if the name has content here. */
static struct node *add_made_locked(struct fs *fs, struct node *dir, const char *name,
                                    const struct remote_attr *attr, int64_t start_ns)
{
    struct node *old = node_child_locked(dir, name), *n;

    if (old)
        flight_vanish_locked(fs, old);
    if (node_child_locked(dir, name))
        return NULL;
    n = node_new_locked(fs, dir, name, attr);
    if (!n)
        return NULL;
    node_known_locked(n, start_ns);
    n->changed_seq = fs->seq + 1; /* as op_end will set for the name */
    if (n->dir) {
        n->dir->listed = true;
        n->dir->list_ns = start_ns;
        n->dir->covered = fs->serves && attr->ino != 0 && attr->ctime_ns > 0;
        n->dir->covered_ns = attr->ctime_ns;
    }
    return node_ref_locked(n);
}

/* r and attr: how it went. ret: the new node, counted. */
static int end_making(struct fs *fs, struct node *dir, const char *name, struct making *m, int r,
                      const struct remote_attr *attr, struct node **ret)
{
    if (r == 0) {
        *ret = add_made_locked(fs, dir, name, attr, m->start_ns);
        dir->times_stale = true;
        if (!*ret)
            r = -ENOMEM;
    }
    if (r < 0 && (r == -EEXIST || r == -ENOENT || r == -ENOMEM || op_unknown(r)))
        tree_dir_stale_locked(dir);
    if (op_maybe(r))
        tree_dir_unsure_locked(dir);
    op_end_locked(fs, &m->op);
    free(m->path);
    return r;
}

/* The line broke: is there now what was not there before, as we wanted it? */
static int look_if_made(struct fs *fs, const char *path, int err, const struct thing *t,
                        struct remote_attr *ret)
{
    const mode_t mode = t->mode;
    struct remote_attr now;
    char *there = NULL;
    bool same;

    if (!op_lost(err) || remote_stat(fs->remote, path, &now, &there) < 0)
        return err;
    same = (now.mode & S_IFMT) == (mode & S_IFMT);
    if (S_ISLNK(mode))
        same = same && there && strcmp(there, t->target) == 0;
    else
        same = same && (now.mode & 0777) == (mode & 0777) && (!S_ISREG(mode) || now.size == 0);
    free(there);
    if (!same)
        return err;
    *ret = now;
    return 0;
}

static int make_there(struct fs *fs, const char *path, const struct thing *t,
                      struct remote_attr *ret)
{
    int r;

    if (S_ISDIR(t->mode))
        r = remote_mkdir(fs->remote, path, t->mode & 07777, ret);
    else if (S_ISLNK(t->mode))
        r = remote_symlink(fs->remote, t->target, path, ret);
    else
        r = remote_create(fs->remote, path, t->mode & 07777, ret);
    return r < 0 ? look_if_made(fs, path, r, t, ret) : 0;
}

/* What it will be like. The sandbox has the last word when it is done. */
static struct remote_attr predict(struct fs *fs, const struct node *dir, const struct thing *t)
{
    const bool group = dir->attr.mode & S_ISGID;
    const int64_t now_ns = fs_sandbox_now(fs);

    return (struct remote_attr){
        .dev = dir->attr.dev,
        .mode =
            S_ISLNK(t->mode) ? S_IFLNK | 0777 : t->mode | (S_ISDIR(t->mode) && group ? S_ISGID : 0),
        .size = S_ISLNK(t->mode) ? strlen(t->target) : 0,
        .nlink = S_ISDIR(t->mode) ? 2 : 1,
        .uid = fs->info.uid,
        .gid = group ? dir->attr.gid : fs->info.gid,
        .mtime_ns = now_ns,
        .ctime_ns = now_ns,
        .atime_ns = now_ns,
    };
}

/* In the journal. */
static int make_waiting_locked(struct fs *fs, struct node *dir, const char *name,
                               const struct thing *t, struct making *m, struct node **ret)
{
    const struct remote_attr attr = predict(fs, dir, t);
    struct journal_record rec = {
        .kind = S_ISDIR(t->mode)   ? JOURNAL_MKDIR
                : S_ISLNK(t->mode) ? JOURNAL_SYMLINK
                                   : JOURNAL_CREATE,
        .path2 = t->target,
        .attr = {.mask = JOURNAL_ATTR_MODE, .mode = attr.mode & 07777},
    };
    struct node *n = add_made_locked(fs, dir, name, &attr, m->start_ns);
    int r = -ENOMEM;

    if (n) {
        n->shown_ino = show_own_ino(n);
        r = change_append_locked(fs, &rec,
                                 &(struct change_about){.node = n, .dir = dir, .name = name});
        change_shown_locked(n, rec.when_ns, rec.when_ns);
    }
    if (r == 0) {
        change_dir_locked(fs, dir, n->dir ? 1 : 0);
        *ret = n;
    } else if (n) {
        node_detach_locked(fs, n);
        node_unref_locked(fs, n);
    }
    op_end_locked(fs, &m->op);
    free(m->path);
    return r;
}

static int make(struct fs *fs, struct node *dir, const char *name, const struct thing *t,
                struct node **ret)
{
    struct remote_attr attr;
    struct making m;
    int r;

    r = begin_making(fs, dir, name, &m);
    if (r < 0)
        return r;
    if (change_names_wait(fs))
        return make_waiting_locked(fs, dir, name, t, &m, ret);
    fs_unlock(fs);
    r = make_there(fs, m.path, t, &attr);
    fs_lock(fs);
    return end_making(fs, dir, name, &m, r, &attr, ret);
}

int names_create(struct fs *fs, struct node *dir, const char *name, mode_t mode, bool excl,
                 struct node **ret, bool *ret_created)
{
    const struct thing file = {.mode = S_IFREG | (mode & 07777)};
    int64_t known_ns;
    int r = -EEXIST;

    /* It may come and go between our questions: a few rounds, then what was said last counts. */
    for (unsigned i = 0; i < FS_TRIES && r == -EEXIST; i++) {
        *ret = NULL;
        r = make(fs, dir, name, &file, ret);
        *ret_created = r == 0;
        if (r != -EEXIST || excl)
            return r;
        r = tree_lookup(fs, dir, name, fs_since(fs), ret, &known_ns);
        if (r == 0 && !*ret)
            r = -EEXIST;
    }
    return r;
}

/* Hands a new node to the kernel. */
static void give_entry_locked(struct fs *fs, struct node *n, struct fs_entry *ret)
{
    n->nlookup++;
    show_told_locked(fs, n, ret);
    node_unref_locked(fs, n);
}

static int make_at(struct fs *fs, uint64_t parent, const char *name, const struct thing *t,
                   struct fs_entry *ret)
{
    char *copy = t->target ? strdup(t->target) : NULL;
    struct change_call c;
    struct node *n;
    int r;

    if (t->target && !copy)
        return -ENOMEM;
    r = change_enter(fs, &c, parent, NULL);
    if (r < 0)
        goto out;
    r = make(fs, c.node, name, t, &n);
    if (r == 0 && copy) {
        node_set_target_locked(n, copy);
        n->own_link = true;
        copy = NULL;
    }
    if (r == 0)
        give_entry_locked(fs, n, ret);
    change_leave(fs, &c);
out:
    free(copy);
    return r;
}

int fs_mknod(struct fs *fs, uint64_t parent, const char *name, mode_t mode, struct fs_entry *ret)
{
    if ((mode & S_IFMT) != S_IFREG && (mode & S_IFMT) != 0)
        return -EPERM;
    return make_at(fs, parent, name, &(struct thing){.mode = S_IFREG | (mode & 07777)}, ret);
}

int fs_mkdir(struct fs *fs, uint64_t parent, const char *name, mode_t mode, struct fs_entry *ret)
{
    return make_at(fs, parent, name, &(struct thing){.mode = S_IFDIR | (mode & 07777)}, ret);
}

int fs_symlink(struct fs *fs, const char *target, uint64_t parent, const char *name,
               struct fs_entry *ret)
{
    if (target[0] == '\0')
        return -ENOENT;
    if (strlen(target) > PATH_LEN_MAX)
        return -ENAMETOOLONG;
    return make_at(fs, parent, name, &(struct thing){.mode = S_IFLNK, .target = target}, ret);
}

/* ---- link ---- */

static int remote_link_sure(struct fs *fs, const char *from, const char *to,
                            const struct remote_attr *source, struct remote_attr *ret)
{
    int r = remote_link(fs->remote, from, to, ret);
    struct remote_attr now;

    if (op_lost(r) && source->ino != 0 && remote_stat(fs->remote, to, &now, NULL) == 0 &&
        remote_attr_same_object(&now, source)) {
        *ret = now;
        return 0;
    }
    return r;
}

enum { LINKS_MAX = 30000 }; /* of one file: beyond it the sandbox is asked if it takes more */

/*
 * Is it known here what the sandbox will say? Its file system may be another one for each
 * directory; what of the content is still to come must be the same under both names.
 */
static bool link_can_wait_locked(const struct fs *fs, struct node *n, const struct node *dir,
                                 int64_t since)
{
    const uint64_t dev = dir->attr.dev;

    return change_names_wait(fs) && !node_gone_locked(n) && n->attr.nlink < LINKS_MAX &&
           (n->parent == dir || (dev != 0 && n->parent->attr.dev == dev)) &&
           perm_link(fs, &n->attr) && links_may_share_locked(fs, n) &&
           links_quiet_locked(fs, n, since);
}

/* In the journal. */
static int link_waiting_locked(struct fs *fs, struct node *n, struct node *dir, const char *name,
                               struct making *m, struct node **ret)
{
    struct journal_record rec = {.kind = JOURNAL_LINK};
    struct remote_attr attr = n->attr;
    struct node *new;
    struct stat shown;
    int r;

    attr.nlink++;
    new = add_made_locked(fs, dir, name, &attr, m->start_ns);
    if (!new)
        return -ENOMEM;
    node_show_ino_locked(fs, new, n->shown_ino);
    r = links_share_locked(n, new);
    if (r == 0)
        r = change_append_locked(
            fs, &rec, &(struct change_about){.node = new, .from = n, .dir = dir, .name = name});
    if (r < 0) {
        node_detach_locked(fs, new);
        node_unref_locked(fs, new);
        return r;
    }
    links_moved_locked(fs, new, 1);
    show_stat_locked(fs, n, &shown);
    change_shown_locked(new, timespec_to_ns(shown.st_mtim), timespec_to_ns(shown.st_ctim));
    if (node_local(new))
        new->file->ctime_ns = new->shown_ctime_ns;
    change_dir_locked(fs, dir, 0);
    if (n->file)
        flush_ready(fs->flush, n->file->group);
    *ret = new;
    return 0;
}

/* The name is free and we may make it. -EAGAIN: that cannot wait. */
static int link_later(struct fs *fs, struct node *n, struct node *dir, const char *name,
                      int64_t since, struct node **ret)
{
    struct making m = {0};
    int r = links_refresh(fs, n, since);

    if (r < 0)
        return r;
    if (!link_can_wait_locked(fs, n, dir, since))
        return -EAGAIN;
    r = op_begin_link(fs, &m.op, n, dir, name);
    if (r < 0)
        return r;
    m.start_ns = clock_mono_ns();
    if (node_gone_locked(dir))
        r = -ENOENT;
    else if (node_child_locked(dir, name))
        r = -EEXIST;
    else if (!link_can_wait_locked(fs, n, dir, since)) /* somebody was quicker */
        r = -EAGAIN;
    else
        r = link_waiting_locked(fs, n, dir, name, &m, ret);
    op_end_locked(fs, &m.op);
    return r;
}

/* Both names, then one call. */
static int link_now(struct fs *fs, struct node *n, struct node *dir, const char *name,
                    struct node **ret)
{
    struct remote_attr attr, source;
    struct making m = {0};
    char *from = NULL;
    int r;

    r = op_begin_link(fs, &m.op, n, dir, name);
    if (r < 0)
        return r;
    source = n->attr;
    m.start_ns = clock_mono_ns();
    r = node_gone_locked(n) ? -ENOENT : node_path_locked(fs, n, &from);
    if (r == 0 && !(change_settled_locked(fs, n, dir, name)))
        r = -EBUSY;
    if (r == 0)
        r = names_path_locked(fs, dir, name, &m.path);
    if (r == 0) {
        fs_unlock(fs);
        r = remote_link_sure(fs, from, m.path, &source, &attr);
        fs_lock(fs);
    }
    free(from);
    if (r == 0) {
        if (source.nlink > 1)
            node_stale_links_locked(fs, n);
        tree_own_attr_locked(fs, n, &attr, m.start_ns, false);
        fs_tell_inode_locked(fs, n);
    }
    r = end_making(fs, dir, name, &m, r, &attr, ret);
    if (r == 0)
        node_show_ino_locked(fs, *ret, n->shown_ino);
    return r;
}

static int link_node(struct fs *fs, struct node *n, struct node *dir, const char *name,
                     struct node **ret)
{
    const int64_t since = fs_since(fs);
    struct node *there;
    int64_t known_ns;
    int r;

    r = tree_lookup(fs, dir, name, since, &there, &known_ns);
    if (r < 0)
        return r;
    if (there) {
        node_unref_locked(fs, there);
        return -EEXIST;
    }
    if (fs->config.read_only)
        return -EROFS;
    r = perm_names(fs, dir, NULL, since);
    if (r == 0 && n->dir)
        r = -EPERM;
    if (r == 0 && n->parent && remote_attr_apart(&n->parent->attr, &dir->attr))
        r = -EXDEV;
    if (r == 0 && fs->flush) {
        r = link_later(fs, n, dir, name, since, ret);
        if (r != -EAGAIN)
            return r;
        r = links_settle(fs, n);
    }
    if (r == 0)
        r = send_node(fs, n); /* the other name shows what this one has */
    if (r == 0)
        r = change_settle_name(fs, dir, name);
    return r < 0 ? r : link_now(fs, n, dir, name, ret);
}

int fs_link(struct fs *fs, uint64_t ino, uint64_t parent, const char *name, struct fs_entry *ret)
{
    struct change_call c;
    struct node *made;
    int r = change_enter(fs, &c, ino, &parent);

    if (r < 0)
        return r;
    r = link_node(fs, c.node, c.other, name, &made);
    if (r == 0 && S_ISLNK(c.node->attr.mode) && c.node->target) {
        node_set_target_locked(made, strdup(c.node->target));
        made->own_link = c.node->own_link && made->target;
    }
    if (r == 0)
        give_entry_locked(fs, made, ret);
    change_leave(fs, &c);
    return r;
}
