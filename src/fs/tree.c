/* tree.c - what is known of the tree: is it fresh enough, and what is asked if not. */
#include "fs/fs_internal.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool tree_fresh_locked(const struct node *n, int64_t since)
{
    if (n->ours)
        return true;
    /* What is not sent yet is known best here; but its mode may change through another name. */
    if (node_local(n) && (n->deleted || !node_suspect(n)))
        return true;
    return !node_suspect(n) && node_known_ns(n) >= since;
}

bool tree_listed_locked(const struct node *dir, int64_t since)
{
    return (dir->dir->listed && dir->dir->list_ns >= since) || change_unborn_locked(dir);
}

int tree_peek_locked(struct fs *fs, struct node *dir, const char *name, int64_t since,
                     struct node **ret, int64_t *ret_ns)
{
    struct node *n;
    int r;

    lock_assert_held(&fs->lock);
    if (strlen(name) > PATH_NAME_MAX)
        return -ENAMETOOLONG;
    if (!dir->dir)
        return -ENOTDIR;
    if (node_gone_locked(dir))
        return dir->deleted ? -ENOENT : -ESTALE;
    r = perm_check(fs, &dir->attr, PERM_X);
    if (r < 0)
        return tree_fresh_locked(dir, since) ? r : -EAGAIN;
    n = node_child_locked(dir, name);
    *ret = n;
    if ((n && n->ours) || change_unborn_locked(dir) || change_names_locked(fs, dir, name)) {
        *ret_ns = clock_mono_ns();
        return 0;
    }
    if (n ? !tree_fresh_locked(n, since) : !tree_listed_locked(dir, since))
        return -EAGAIN;
    *ret_ns = n ? node_known_ns(n) : dir->dir->list_ns;
    return 0;
}

void tree_dir_stale_locked(struct node *dir)
{
    dir->dir->listed = dir->dir->listed && dir->dir->covered; /* then a look at changes tells */
    dir->dir->list_ns = FS_NEVER;
    dir->times_stale = true;
}

void tree_dir_unsure_locked(struct node *dir)
{
    tree_dir_stale_locked(dir);
    dir->dir->listed = dir->dir->covered = false;
}

/* What a refused listing means for the tree. */
void tree_list_failed_locked(struct fs *fs, struct flight *f, struct node *dir, int err)
{
    lock_assert_held(&fs->lock);
    if (err == -EACCES || err == -EPERM)
        dir->dir->by_stat = true; /* it may be searched all the same */
    if (err != -EINTR) {
        dir->dir->fail = err;
        dir->dir->fail_ns = f->start_ns;
    }
    if (dir->parent && (err == -ENOENT || err == -ENOTDIR))
        (void)flight_apply_stat_locked(fs, f, dir, -ENOENT, NULL, NULL);
}

static int fetch_list(struct fs *fs, struct node *dir)
{
    const bool known = dir->dir->listed;
    struct remote_list list = {0};
    struct flight f;
    char *path;
    int r;

    r = node_path_locked(fs, dir, &path);
    if (r < 0)
        return r;
    flight_start_locked(fs, &f);
    dir->dir->flight = &f;
    fs_unlock(fs);
    (void)remote_bind_optional(known);
    r = remote_list(fs->remote, path, 1, FS_LIST_MAX, &list);
    (void)remote_bind_optional(false);
    fs_lock(fs);
    dir->dir->flight = NULL;
    dir->dir->busy++;
    if (r == 0 && !S_ISDIR(list.self.mode))
        r = -EIO;
    if (r == -EHOSTDOWN && known && dir->dir->listed) {
        dir->dir->list_ns = f.start_ns; /* what is known is all there is to show */
        r = 0;
    } else if (r == 0) {
        (void)flight_apply_list_locked(fs, &f, dir, &list);
    } else {
        tree_list_failed_locked(fs, &f, dir, r);
    }
    if (r == 0)
        fs_looked_locked(fs, f.start_ns, list.count);
    node_trim_locked(fs);
    dir->dir->busy--;
    fs_wake(fs);
    flight_done(&f);
    remote_list_done(&list);
    free(path);
    return r;
}

static int ask_dir(struct fs *fs, struct node *dir)
{
    int r = -EOPNOTSUPP;

    if (fs->serves)
        r = dir->dir->listed && dir->dir->covered ? burst_ask(fs, dir) : subtree_ask(fs, dir);
    if (r != -EOPNOTSUPP)
        return r;
    fs->serves = false;
    return fetch_list(fs, dir);
}

int tree_list(struct fs *fs, struct node *dir, int64_t since)
{
    const int64_t start_ns = clock_mono_ns();

    while (dir->dir->flight) {
        const int r = fs_wait(fs);

        if (r < 0)
            return r;
        /* Whoever asked while we waited asked for us, too. */
        if (!dir->dir->flight && dir->dir->fail_ns >= start_ns)
            return dir->dir->fail;
    }
    if (node_gone_locked(dir))
        return dir->deleted ? -ENOENT : -ESTALE;
    if (tree_listed_locked(dir, since))
        return 0;
    if (change_moving_locked(dir))
        return change_settle_path(fs, dir); /* then whoever wants it asks again */
    return ask_dir(fs, dir);
}

/* The sandbox does not run, or is out of reach: what is known is all there is to show. */
static void as_known_locked(struct node *n, const struct flight *f)
{
    n->attr_ns = f->start_ns;
    n->times_stale = false;
}

/* Asks for one name. *ret_err is the answer: 0, or that it is not there. */
static int fetch_name(struct fs *fs, struct node *dir, const char *name, struct remote_attr *ret,
                      int64_t *ret_ns)
{
    char *path, *target = NULL;
    struct flight f;
    struct node *n;
    bool known;
    int r;

    r = node_path_in_locked(fs, dir, name, &path);
    if (r < 0)
        return r;
    known = node_child_locked(dir, name) != NULL;
    flight_start_locked(fs, &f);
    fs_unlock(fs);
    (void)remote_bind_optional(known);
    r = remote_stat(fs->remote, path, ret, &target);
    (void)remote_bind_optional(false);
    fs_lock(fs);
    n = node_child_locked(dir, name);
    if (r == -EHOSTDOWN && known && n && !n->unsure) {
        as_known_locked(n, &f);
        r = 0;
    } else {
        (void)flight_apply_name_locked(fs, &f, dir, name, r, ret, target);
    }
    *ret_ns = f.start_ns;
    flight_done(&f);
    free(target);
    free(path);
    return r;
}

static int fetch_node(struct fs *fs, struct node *n)
{
    struct remote_attr attr = {0};
    char *path, *target = NULL;
    struct flight f;
    int r;

    r = node_path_locked(fs, n, &path);
    if (r < 0)
        return r;
    flight_start_locked(fs, &f);
    fs_unlock(fs);
    (void)remote_bind_optional(true);
    r = remote_stat(fs->remote, path, &attr, &target);
    (void)remote_bind_optional(false);
    fs_lock(fs);
    if (r == -EHOSTDOWN && !n->unsure) {
        as_known_locked(n, &f);
        r = 0;
    } else {
        (void)flight_apply_stat_locked(fs, &f, n, r, &attr, target);
    }
    flight_done(&f);
    free(target);
    free(path);
    return r == -ENOENT || r == -ENOTDIR ? 0 : r; /* the tree knows by now */
}

/* An answer about the directory must be from then on to tell of n (may be NULL). */
static int64_t needed_since(const struct fs *fs, const struct node *n, int64_t since)
{
    return fs->serves && n && n->suspect_ns > since ? n->suspect_ns : since;
}

/* One request that brings the name up to date: the directory's, if its size allows. */
static int ask_for(struct fs *fs, struct node *dir, const char *name, int64_t since, bool alone,
                   bool *ret_absent, int64_t *ret_ns)
{
    const int64_t need_ns = needed_since(fs, node_child_locked(dir, name), since);
    struct remote_attr attr;
    int r;

    if (change_moving_locked(dir))
        return change_settle_path(fs, dir);
    if (!alone && !dir->dir->by_stat && !tree_listed_locked(dir, need_ns)) {
        r = tree_list(fs, dir, need_ns);
        if (r == -EHOSTDOWN && !node_child_locked(dir, name))
            return r;
        if (r != -EACCES && r != -EPERM && r != -EHOSTDOWN)
            return r;
    }
    r = fetch_name(fs, dir, name, &attr, ret_ns);
    *ret_absent = r == -ENOENT;
    return *ret_absent ? 0 : r;
}

int tree_lookup(struct fs *fs, struct node *dir, const char *name, int64_t since, struct node **ret,
                int64_t *ret_ns)
{
    bool absent = false;
    int r;

    for (unsigned i = 0; i < FS_TRIES; i++) {
        r = tree_peek_locked(fs, dir, name, since, ret, ret_ns);
        if (r != -EAGAIN) {
            if (r == 0 && *ret)
                node_ref_locked(*ret);
            return r;
        }
        if (perm_check(fs, &dir->attr, PERM_X) < 0)
            r = tree_refresh(fs, dir, since, false);
        else
            r = ask_for(fs, dir, name, since, i >= FS_TRIES / 2, &absent, ret_ns);
        if (r < 0)
            return r;
        if (absent && !node_child_locked(dir, name)) {
            *ret = NULL;
            return 0;
        }
    }
    /* Local changes keep overtaking the answers: what they left behind is the newest there is. */
    *ret = node_child_locked(dir, name);
    if (*ret)
        node_ref_locked(*ret);
    *ret_ns = FS_NEVER;
    return 0;
}

static int gone_error(const struct node *n)
{
    const bool open = n->file && n->file->opens > 0;

    return open || n->deleted ? 0 : -ESTALE;
}

/*
 * The directory to ask about when n is to be refreshed; NULL: n is asked for alone. A directory
 * that a local change moved has changed, so that one answer about it, and all that were used with
 * it, brings the times of each.
 */
static struct node *dir_to_ask(const struct fs *fs, struct node *n, int64_t *since, bool times)
{
    struct node *dir = n->parent;

    if (fs->serves && n->dir && (!dir || (times && n->dir->listed && n->dir->covered))) {
        dir = n;
        if (times)
            *since = clock_mono_ns();
    } else if (times || !dir) {
        return NULL;
    }
    *since = needed_since(fs, n, *since);
    return dir->dir->by_stat || tree_listed_locked(dir, *since) ? NULL : dir;
}

static int refresh_once(struct fs *fs, struct node *n, int64_t since, bool times, bool alone)
{
    struct node *dir = alone ? NULL : dir_to_ask(fs, n, &since, times);
    int r;

    if (change_moving_locked(n))
        return change_settle_path(fs, n);
    if (!dir)
        return fetch_node(fs, n);
    node_ref_locked(dir);
    r = tree_list(fs, dir, since);
    node_unref_locked(fs, dir);
    if (r == -EACCES || r == -EPERM || r == -ENOENT || r == -ESTALE || r == -EHOSTDOWN)
        return 0; /* the next round asks for the node itself, or sees that it is gone */
    return r;
}

int tree_refresh(struct fs *fs, struct node *n, int64_t since, bool times)
{
    int r;

    for (unsigned i = 0; i < FS_TRIES; i++) {
        const bool stale_times = times && n->times_stale;

        if (node_gone_locked(n))
            return gone_error(n);
        if (tree_fresh_locked(n, since) && !stale_times)
            return 0;
        r = refresh_once(fs, n, since, stale_times, i > 0);
        if (r < 0)
            return r;
    }
    return node_gone_locked(n) ? gone_error(n) : 0;
}

void tree_own_attr_locked(struct fs *fs, struct node *n, const struct remote_attr *attr,
                          int64_t start_ns, bool mtime_set)
{
    struct node_file *nf = n->file;

    lock_assert_held(&fs->lock);
    if ((n->attr.mode & S_IFMT) != (attr->mode & S_IFMT)) {
        node_stale_locked(n); /* something else is there by now */
        return;
    }
    /* If only what we did differs, the data still is what it was. */
    if (nf && nf->blob && !nf->local && remote_attr_same(&nf->version, &n->attr) &&
        attr->size == n->attr.size && (mtime_set || attr->mtime_ns == n->attr.mtime_ns))
        nf->version = *attr;
    if (!mtime_set && n->shown_times && attr->mtime_ns == n->attr.mtime_ns)
        n->shown_ctime_ns = attr->ctime_ns;
    else
        n->shown_times = false;
    node_set_attr_locked(n, attr);
    node_known_locked(n, start_ns);
    data_check_locked(fs, n);
}
