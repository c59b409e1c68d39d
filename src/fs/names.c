#include "fs/fs_internal.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One name that is about to appear. */
struct making {
    struct op op;
    char *path;
    int64_t start_ns;
};

/* The op is ours: but is the directory still there? */
static int path_for(struct fs *fs, struct node *dir, const char *name, char **ret)
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
    r = path_for(fs, dir, name, &m->path);
    if (r < 0) {
        op_end_locked(fs, &m->op);
        return r;
    }
    m->start_ns = clock_mono_ns();
    return 0;
}

/* r and attr: how it went. ret: the new node, counted. */
static int end_making(struct fs *fs, struct node *dir, const char *name, struct making *m, int r,
                      const struct remote_attr *attr, struct node **ret)
{
    struct node *old;

    if (r == 0) {
        old = node_child_locked(dir, name);
        if (old)
            flight_vanish_locked(fs, old);
        *ret = node_child_locked(dir, name) ? NULL : node_new_locked(fs, dir, name, attr);
        dir->times_stale = true;
        if (*ret) {
            node_known_locked(*ret, m->start_ns);
            (*ret)->changed_seq = fs->seq + 1; /* as op_end will set for the name */
            node_ref_locked(*ret);
        } else {
            r = -ENOMEM;
        }
    }
    if (r < 0 && (r == -EEXIST || r == -ENOENT || r == -ENOMEM || op_unknown(r)))
        tree_dir_stale_locked(dir);
    op_end_locked(fs, &m->op);
    free(m->path);
    return r;
}

/* The line broke: is there now what was not there before, as we wanted it? */
static int look_if_made(struct fs *fs, const char *path, int err, mode_t mode, const char *target,
                        struct remote_attr *ret)
{
    struct remote_attr now;
    char *there = NULL;
    bool same;

    if (!op_lost(err) || remote_stat(fs->remote, path, &now, &there) < 0)
        return err;
    same = (now.mode & S_IFMT) == (mode & S_IFMT);
    if (S_ISLNK(mode))
        same = same && there && strcmp(there, target) == 0;
    else
        same = same && (now.mode & 0777) == (mode & 0777) && (!S_ISREG(mode) || now.size == 0);
    free(there);
    if (!same)
        return err;
    *ret = now;
    return 0;
}

static int make_file(struct fs *fs, struct node *dir, const char *name, mode_t mode,
                     struct node **ret)
{
    struct remote_attr attr;
    struct making m;
    int r;

    r = begin_making(fs, dir, name, &m);
    if (r < 0)
        return r;
    fs_unlock(fs);
    r = remote_create(fs->remote, m.path, mode & 07777, &attr);
    if (r < 0)
        r = look_if_made(fs, m.path, r, S_IFREG | mode, NULL, &attr);
    fs_lock(fs);
    return end_making(fs, dir, name, &m, r, &attr, ret);
}

int names_create(struct fs *fs, struct node *dir, const char *name, mode_t mode, bool excl,
                 struct node **ret, bool *ret_created)
{
    int64_t known_ns;
    int r = -EEXIST;

    /* It may come and go between our questions: a few rounds, then what was said last counts. */
    for (unsigned i = 0; i < FS_TRIES && r == -EEXIST; i++) {
        *ret = NULL;
        r = make_file(fs, dir, name, mode, ret);
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
    show_entry_locked(fs, n, ret);
    node_unref_locked(fs, n);
}

int fs_mknod(struct fs *fs, uint64_t parent, const char *name, mode_t mode, struct fs_entry *ret)
{
    struct node *dir, *n;
    int r = -ESTALE;

    if ((mode & S_IFMT) != S_IFREG && (mode & S_IFMT) != 0)
        return -EPERM;
    fs_lock(fs);
    dir = node_find_locked(fs, parent);
    if (dir)
        r = make_file(fs, dir, name, mode, &n);
    if (r == 0)
        give_entry_locked(fs, n, ret);
    node_unref_locked(fs, dir);
    fs_unlock(fs);
    return r;
}

static int make_dir(struct fs *fs, struct node *dir, const char *name, mode_t mode,
                    struct node **ret)
{
    struct remote_attr attr;
    struct making m;
    int r;

    r = begin_making(fs, dir, name, &m);
    if (r < 0)
        return r;
    fs_unlock(fs);
    r = remote_mkdir(fs->remote, m.path, mode & 07777, &attr);
    if (r < 0)
        r = look_if_made(fs, m.path, r, S_IFDIR | mode, NULL, &attr);
    fs_lock(fs);
    r = end_making(fs, dir, name, &m, r, &attr, ret);
    if (r == 0) { /* it was made a moment ago: there is nothing in it */
        (*ret)->dir->listed = true;
        (*ret)->dir->list_ns = m.start_ns;
        (*ret)->dir->covered = fs->serves && attr.ctime_ns > 0;
        (*ret)->dir->covered_ns = attr.ctime_ns;
    }
    return r;
}

int fs_mkdir(struct fs *fs, uint64_t parent, const char *name, mode_t mode, struct fs_entry *ret)
{
    struct node *dir, *n;
    int r = -ESTALE;

    fs_lock(fs);
    dir = node_find_locked(fs, parent);
    if (dir)
        r = make_dir(fs, dir, name, mode, &n);
    if (r == 0)
        give_entry_locked(fs, n, ret);
    node_unref_locked(fs, dir);
    fs_unlock(fs);
    return r;
}

static int make_symlink(struct fs *fs, const char *target, struct node *dir, const char *name,
                        struct node **ret)
{
    char *copy = strdup(target);
    struct remote_attr attr;
    struct making m;
    int r;

    if (!copy)
        return -ENOMEM;
    r = begin_making(fs, dir, name, &m);
    if (r == 0) {
        fs_unlock(fs);
        r = remote_symlink(fs->remote, target, m.path, &attr);
        if (r < 0)
            r = look_if_made(fs, m.path, r, S_IFLNK, target, &attr);
        fs_lock(fs);
        r = end_making(fs, dir, name, &m, r, &attr, ret);
    }
    if (r < 0) {
        free(copy);
        return r;
    }
    node_set_target_locked(*ret, copy);
    (*ret)->own_link = true;
    return 0;
}

int fs_symlink(struct fs *fs, const char *target, uint64_t parent, const char *name,
               struct fs_entry *ret)
{
    struct node *dir, *n;
    int r = -ESTALE;

    if (target[0] == '\0')
        return -ENOENT;
    if (strlen(target) > PATH_LEN_MAX)
        return -ENAMETOOLONG;
    fs_lock(fs);
    dir = node_find_locked(fs, parent);
    if (dir)
        r = make_symlink(fs, target, dir, name, &n);
    if (r == 0)
        give_entry_locked(fs, n, ret);
    node_unref_locked(fs, dir);
    fs_unlock(fs);
    return r;
}

/* ---- link ---- */

static int remote_link_sure(struct fs *fs, const char *from, const char *to,
                            const struct remote_attr *source, struct remote_attr *ret)
{
    int r = remote_link(fs->remote, from, to, ret);
    struct remote_attr now;

    if (op_lost(r) && source->ino != 0 && remote_stat(fs->remote, to, &now, NULL) == 0 &&
        now.ino == source->ino && now.dev == source->dev) {
        *ret = now;
        return 0;
    }
    return r;
}

/* The name is free and we may make it: both names, then one call. */
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
    if (r == 0)
        r = path_for(fs, dir, name, &m.path);
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
    if (r == 0)
        r = send_node(fs, n); /* the other name shows what this one has */
    return r < 0 ? r : link_now(fs, n, dir, name, ret);
}

int fs_link(struct fs *fs, uint64_t ino, uint64_t parent, const char *name, struct fs_entry *ret)
{
    struct node *n, *dir, *new;
    int r = -ESTALE;

    fs_lock(fs);
    n = node_find_locked(fs, ino);
    dir = node_find_locked(fs, parent);
    if (n && dir)
        r = link_node(fs, n, dir, name, &new);
    if (r == 0 && S_ISLNK(n->attr.mode) && n->target) {
        node_set_target_locked(new, strdup(n->target));
        new->own_link = n->own_link &&new->target;
    }
    if (r == 0)
        give_entry_locked(fs, new, ret);
    node_unref_locked(fs, dir);
    node_unref_locked(fs, n);
    fs_unlock(fs);
    return r;
}

/* ---- unlink, rmdir ---- */

void names_deleted_locked(struct fs *fs, struct node *n)
{
    if (n->attr.nlink > 1)
        node_stale_links_locked(fs, n);
    if (n->attr.nlink > 0)
        n->attr.nlink--;
    if (n->dir)
        n->attr.nlink = 0;
    if (n->parent)
        n->parent->times_stale = true;
    write_deleted_locked(fs, n);
    node_detach_locked(fs, n);
}

typedef int (*remove_fn)(struct remote *r, const char *path);

static int remote_remove_sure(struct fs *fs, remove_fn fn, const char *path)
{
    struct remote_attr attr;
    int r = fn(fs->remote, path);

    if (op_lost(r) && remote_stat(fs->remote, path, &attr, NULL) == -ENOENT)
        return 0;
    return r;
}

/* All is checked. n is counted by the caller. */
static int remove_now(struct fs *fs, struct node *dir, const char *name, struct node *n,
                      remove_fn fn)
{
    char *path = NULL;
    struct op op;
    int r;

    r = op_begin_name(fs, &op, dir, name, n->dir != NULL);
    if (r < 0)
        return r;
    r = node_child_locked(dir, name) == n ? path_for(fs, dir, name, &path) : -ENOENT;
    if (r == 0) {
        fs_unlock(fs);
        r = remote_remove_sure(fs, fn, path);
        fs_lock(fs);
        if (r == -ENOENT && node_unsent(n))
            r = 0; /* it was here only */
        if (r == 0)
            names_deleted_locked(fs, n);
        else if (r == -ENOENT || r == -EISDIR || r == -ENOTDIR || op_unknown(r)) {
            node_stale_locked(n);
            tree_dir_stale_locked(dir);
        } else if (n->dir)
            tree_dir_stale_locked(n); /* not empty: then with what we may not know */
    }
    op_end_locked(fs, &op);
    free(path);
    return r;
}

static int remove_name(struct fs *fs, struct node *dir, const char *name, bool want_dir)
{
    const int64_t since = fs_since(fs);
    struct node *n;
    int64_t known_ns;
    int r;

    r = tree_lookup(fs, dir, name, since, &n, &known_ns);
    if (r < 0)
        return r;
    if (!n)
        return -ENOENT;
    r = fs->config.read_only ? -EROFS : perm_names(fs, dir, n, since);
    if (r == 0 && want_dir && !n->dir)
        r = -ENOTDIR;
    if (r == 0 && !want_dir && n->dir)
        r = -EISDIR;
    if (r == 0 && n->attr.nlink > 1 && node_unsent(n))
        r = send_node(fs, n); /* it is the content of its other names, too */
    if (r == 0)
        r = data_keep_for_handles(fs, n);
    if (r == 0)
        r = remove_now(fs, dir, name, n, want_dir ? remote_rmdir : remote_unlink);
    node_unref_locked(fs, n);
    return r;
}

static int remove_in(struct fs *fs, uint64_t parent, const char *name, bool want_dir)
{
    struct node *dir;
    int r = -ESTALE;

    fs_lock(fs);
    dir = node_find_locked(fs, parent);
    if (dir)
        r = remove_name(fs, dir, name, want_dir);
    node_unref_locked(fs, dir);
    fs_unlock(fs);
    return r;
}

int fs_unlink(struct fs *fs, uint64_t parent, const char *name)
{
    return remove_in(fs, parent, name, false);
}

int fs_rmdir(struct fs *fs, uint64_t parent, const char *name)
{
    return remove_in(fs, parent, name, true);
}
