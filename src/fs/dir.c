/* dir.c - directories, read: a handle shows what was there when it was opened. */
#include "fs/fs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct fs_dir {
    struct fs *fs;
    struct node *node; /* counted */
    /* What was there at the opening or at rewinddir: a caller sees one state to its end. Used by
     * one call at a time, as the kernel does it. */
    struct buf names; /* one behind the other, each with its NUL */
    uint32_t *at;     /* where the i-th begins in them */
    size_t count;
    bool taken, moved; /* the names are valid; some were given */
    bool known;        /* the kernel had all of them when they were taken */
    struct fs_dir_hints hints;
};

enum { NAMES_MAX = 1 << 30 }; /* bytes: far more than a backend gives of one directory */

static void drop_names(struct fs_dir *dir)
{
    buf_done(&dir->names);
    buf_init(&dir->names, NAMES_MAX);
    free(dir->at);
    dir->at = NULL;
    dir->count = 0;
    dir->taken = false;
}

static int copy_names_locked(struct fs_dir *dir)
{
    const struct node_dir *d = dir->node->dir;
    struct node *n;
    int r = 0;

    drop_names(dir);
    dir->at = calloc(d->count + 1, sizeof(*dir->at));
    if (!dir->at)
        return -ENOMEM;
    dir->known = true;
    DL_FOREACH(d->children, n) {
        dir->known = dir->known && n->nlookup > 0;
        dir->at[dir->count++] = (uint32_t)dir->names.len;
        r = buf_append(&dir->names, n->name, strlen(n->name) + 1);
        if (r < 0) {
            drop_names(dir);
            return r;
        }
    }
    dir->taken = true;
    dir->moved = false;
    return 0;
}

/* -EAGAIN from wait false. A directory that was removed while it is open is empty. */
static int take_names(struct fs_dir *dir, bool wait)
{
    const int64_t since = fs_since(dir->fs);
    struct node *n = dir->node;
    int r = 0;

    if (node_gone_locked(n)) {
        drop_names(dir);
        dir->taken = true;
        return 0;
    }
    for (unsigned i = 0; r == 0 && i < FS_TRIES && !tree_listed_locked(n, since); i++) {
        if (!wait)
            return -EAGAIN;
        r = tree_list(dir->fs, n, since);
        if (r == 0 && n->dir->list_ns >= since && n->dir->cut)
            break; /* more than we take of one directory: what is there is shown */
    }
    return r < 0 ? r : copy_names_locked(dir);
}

/*
 * The kernel may keep what one handle reads and show it to others, who then ask for nothing but the
 * opening. It must not put together what handles read that began before and after a change: each
 * counts from where it is. And it would ask for each entry alone whose attributes it has not, or
 * not long enough: those of one answer are true equally long.
 */
static void give_hints_locked(struct fs_dir *dir)
{
    struct node_dir *d = dir->node->dir;
    const bool same = d->told_version == d->version;

    dir->hints.cache = d->listed && !node_gone_locked(dir->node) && (d->tellers == 0 || same);
    dir->hints.keep = dir->hints.cache && same && d->told_list_ns == d->list_ns && dir->known;
    if (!dir->hints.cache)
        return;
    d->tellers++;
    d->told_version = d->version;
    d->told_list_ns = d->list_ns;
}

/* The names are another version's from here on. */
static void drop_hints_locked(struct fs_dir *dir, bool told)
{
    struct node_dir *d = dir->node->dir;

    if (!dir->hints.cache)
        return;
    dir->hints.cache = false;
    d->tellers--;
    if (told) {
        d->told_version = 0;
        fs_tell_inode_locked(dir->fs, dir->node);
    }
}

struct fs_dir_hints fs_dir_hints(const struct fs_dir *dir)
{
    return dir->hints;
}

static int open_dir_node(struct fs *fs, struct node *n, bool wait, struct fs_dir **ret)
{
    const int64_t since = fs_since(fs);
    struct fs_dir *dir;
    int r;

    if (!n->dir)
        return -ENOTDIR;
    if (!wait && (!tree_fresh_locked(n, since) || node_gone_locked(n)))
        return -EAGAIN;
    r = wait ? perm_node(fs, n, PERM_R, since) : perm_check(fs, &n->attr, PERM_R);
    if (r < 0)
        return r;
    dir = calloc(1, sizeof(*dir));
    if (!dir)
        return -ENOMEM;
    dir->fs = fs;
    buf_init(&dir->names, NAMES_MAX);
    dir->node = node_ref_locked(n);
    fs->dirs_open++;
    n->dir->busy++;
    r = take_names(dir, wait);
    if (r < 0) {
        fs->dirs_open--;
        n->dir->busy--;
        drop_names(dir);
        node_unref_locked(fs, n);
        free(dir);
        return r;
    }
    give_hints_locked(dir);
    *ret = dir;
    return 0;
}

static int opendir_ino(struct fs *fs, uint64_t ino, bool wait, struct fs_dir **ret)
{
    struct node *n;
    int r = -ESTALE;

    fs_lock(fs);
    n = node_find_locked(fs, ino);
    if (n)
        r = open_dir_node(fs, n, wait, ret);
    node_unref_locked(fs, n);
    fs_unlock(fs);
    return r;
}

int fs_opendir(struct fs *fs, uint64_t ino, struct fs_dir **ret)
{
    return opendir_ino(fs, ino, true, ret);
}

int fs_opendir_cached(struct fs *fs, uint64_t ino, struct fs_dir **ret)
{
    return opendir_ino(fs, ino, false, ret);
}

/* The i-th entry, "." and ".." first. NULL when it went meanwhile. */
static struct node *entry_node_locked(const struct fs_dir *dir, uint64_t i, const char **ret_name)
{
    struct node *n = dir->node;

    if (i < 2) {
        *ret_name = i == 0 ? "." : "..";
        return i == 0 || !n->parent ? n : n->parent;
    }
    *ret_name = buf_str(&dir->names) + dir->at[i - 2];
    return node_child_locked(n, *ret_name);
}

/* fill is the caller's: without the lock. The reference is taken before and given back if refused.
 */
static int give_locked(struct fs_dir *dir, uint64_t i, bool plus, fs_fill fill, void *arg)
{
    const bool counted = plus && i >= 2;
    struct fs *fs = dir->fs;
    struct fs_entry e;
    const char *name;
    struct node *n = entry_node_locked(dir, i, &name);
    int full;

    if (!n)
        return 0;
    show_entry_locked(fs, n, &e);
    node_ref_locked(n);
    n->nlookup += counted;
    fs_unlock(fs);
    full = fill(arg, name, &e, i + 1);
    fs_lock(fs);
    if (full && counted && n->nlookup > 0)
        n->nlookup--;
    node_unref_locked(fs, n);
    return full;
}

static int readdir_from(struct fs_dir *dir, uint64_t off, bool plus, fs_fill fill, void *arg,
                        bool wait)
{
    struct fs *fs = dir->fs;
    int r = 0;

    fs_lock(fs);
    if (!dir->taken || (off == 0 && dir->moved)) {
        r = take_names(dir, wait);
        if (r == 0 && dir->node->dir->told_version != dir->node->dir->version)
            drop_hints_locked(dir, true);
    }
    for (uint64_t i = off; r == 0 && i < dir->count + 2; i++) {
        if (give_locked(dir, i, plus, fill, arg))
            break;
    }
    if (r == 0 && off > 0)
        dir->moved = true;
    fs_unlock(fs);
    return r;
}

int fs_readdir(struct fs_dir *dir, uint64_t off, bool plus, fs_fill fill, void *arg)
{
    return readdir_from(dir, off, plus, fill, arg, true);
}

int fs_readdir_cached(struct fs_dir *dir, uint64_t off, bool plus, fs_fill fill, void *arg)
{
    return readdir_from(dir, off, plus, fill, arg, false);
}

void fs_releasedir(struct fs_dir *dir)
{
    struct fs *fs = dir->fs;

    fs_lock(fs);
    fs->dirs_open--;
    dir->node->dir->busy--;
    drop_hints_locked(dir, false);
    node_unref_locked(fs, dir->node);
    node_trim_locked(fs);
    fs_unlock(fs);
    drop_names(dir);
    free(dir);
}
