/* remove.c - unlink and rmdir. */
#include "fs/fs_internal.h"

#include <errno.h>
#include <stdlib.h>

void names_deleted_locked(struct fs *fs, struct node *n, bool waits)
{
    if (waits)
        links_moved_locked(fs, n, -1);
    else if (n->attr.nlink > 1)
        node_stale_links_locked(fs, n);
    if (n->attr.nlink > 0)
        n->attr.nlink--;
    if (n->dir)
        n->attr.nlink = 0;
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

static int remove_there(struct fs *fs, struct node *dir, const char *name, struct node *n)
{
    char *path = NULL;
    int r;

    r = names_path_locked(fs, dir, name, &path);
    if (r < 0)
        return r;
    fs_unlock(fs);
    r = remote_remove_sure(fs, n->dir ? remote_rmdir : remote_unlink, path);
    fs_lock(fs);
    free(path);
    if (r == -ENOENT && node_unsent(n))
        r = 0; /* it was here only */
    if (r == 0) {
        dir->times_stale = true;
        names_deleted_locked(fs, n, false);
    } else if (r == -ENOENT || r == -EISDIR || r == -ENOTDIR || op_unknown(r)) {
        node_stale_locked(n);
        tree_dir_stale_locked(dir);
        if (op_maybe(r))
            node_unsure_locked(n);
    } else if (n->dir)
        tree_dir_stale_locked(n); /* not empty: then with what we may not know */
    return r;
}

static int remove_waiting_locked(struct fs *fs, struct node *dir, const char *name, struct node *n,
                                 bool keep)
{
    struct journal_record rec = {.kind = n->dir ? JOURNAL_RMDIR : JOURNAL_UNLINK};
    int r;

    if (n->dir && n->dir->children)
        return -ENOTEMPTY;
    if (n->attr.nlink == 1)
        rec.flags = JOURNAL_ONLY;
    r = change_append_locked(
        fs, &rec, &(struct change_about){.node = n, .dir = dir, .name = name, .keep = keep});
    if (r == 0) {
        change_dir_locked(fs, dir, n->dir ? -1 : 0);
        names_deleted_locked(fs, n, true);
    }
    return r;
}

/* All is checked. n is counted by the caller. */
static int remove_now(struct fs *fs, struct node *dir, const char *name, struct node *n,
                      bool waiting, bool keep)
{
    struct op op;
    int r;

    r = op_begin_name(fs, &op, dir, name, n->dir != NULL);
    if (r < 0)
        return r;
    if (!waiting && !change_settled_locked(fs, n, dir, name))
        r = -EBUSY; /* somebody changes it without a pause */
    else if (node_child_locked(dir, name) != n || node_gone_locked(dir))
        r = -ENOENT;
    else
        r = waiting ? remove_waiting_locked(fs, dir, name, n, keep)
                    : remove_there(fs, dir, name, n);
    op_end_locked(fs, &op);
    return r;
}

/* May the journal take it: is it known what is lost? Else the sandbox must say. May wait. */
static int remove_can_wait(struct fs *fs, struct node *n, int64_t since, bool *ret)
{
    int r = 0;

    if (fs->flush && !n->dir)
        r = links_refresh(fs, n, since);
    if (r < 0)
        return r;
    *ret = change_names_wait(fs) && (n->dir || links_quiet_locked(fs, n, since));
    if (*ret && n->dir && !tree_listed_locked(n, since)) {
        r = tree_list(fs, n, since);
        *ret = r == 0 && n->dir->listed && !n->dir->cut;
    }
    /* And then with all that is on its way. */
    return !*ret && fs->flush ? links_settle(fs, n) : 0;
}

static int remove_name(struct fs *fs, struct node *dir, const char *name, bool want_dir)
{
    const int64_t since = fs_since(fs);
    bool waiting = false, keep = false;
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
    if (r == 0 && n->dir && remote_attr_apart(&dir->attr, &n->attr))
        r = -EBUSY; /* something is mounted there */
    if (r == 0)
        r = remove_can_wait(fs, n, since, &waiting);
    if (r == 0)
        r = keep_for_handles(fs, n, waiting, &keep);
    if (r == 0 && !waiting && n->attr.nlink > 1 && node_unsent(n))
        r = send_node(fs, n); /* it is the content of its other names, too */
    if (r == 0)
        r = remove_now(fs, dir, name, n, waiting, keep);
    node_unref_locked(fs, n);
    return r;
}

static int remove_in(struct fs *fs, uint64_t parent, const char *name, bool want_dir)
{
    struct change_call c;
    int r = change_enter(fs, &c, parent, NULL);

    if (r < 0)
        return r;
    r = remove_name(fs, c.node, name, want_dir);
    change_leave(fs, &c);
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
