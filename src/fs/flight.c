/* flight.c - answers meet the tree: what local changes overtook is not believed. */
#include "fs/fs_internal.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { TOUCHED_MAX = 10000 };

void flight_start_locked(struct fs *fs, struct flight *f)
{
    *f = (struct flight){.start_ns = clock_mono_ns(), .seq = fs->seq};
}

void flight_done(struct flight *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->touched[i]);
    free(f->touched);
}

void flight_touch_locked(struct flight *f, const char *name)
{
    if (f->count == f->cap) {
        const size_t cap = f->cap ? f->cap * 2 : 8;
        char **v = cap <= TOUCHED_MAX ? realloc(f->touched, cap * sizeof(*v)) : NULL;

        if (!v) {
            f->lost = true;
            return;
        }
        f->touched = v;
        f->cap = cap;
    }
    f->touched[f->count] = strdup(name);
    if (f->touched[f->count])
        f->count++;
    else
        f->lost = true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool name_touched(const struct fs *fs, struct flight *f, const struct node *dir,
                         const char *name)
{
    if (f->lost)
        return true;
    if (f->sorted < f->count) {
        qsort(f->touched, f->count, sizeof(*f->touched), by_text);
        f->sorted = f->count;
    }
    if (f->count > 0 && bsearch(&name, f->touched, f->count, sizeof(*f->touched), by_text))
        return true;
    return op_touches_locked(fs, dir, name);
}

static bool node_touched(const struct flight *f, const struct node *n)
{
    return n->changing > 0 || n->changed_seq > f->seq || n->ours;
}

/* What is below n may be elsewhere there: a change of its attributes alone does not matter. */
bool flight_overtaken_locked(const struct flight *f, const struct node *n)
{
    for (; n; n = n->parent)
        if (n->changing > 0 || n->changed_seq > f->seq || (n->ours && n->ours->moving > 0))
            return true;
    return false;
}

bool flight_names_moved_locked(const struct fs *fs, const struct flight *f, const struct node *dir)
{
    const struct op *op;

    if (dir->dir->names_seq > f->seq)
        return true;
    for (op = fs->ops; op; op = op->next)
        for (unsigned i = 0; i < op->count; i++)
            if (op->names && op->slot[i].dir == dir)
                return true;
    return false;
}

/* Another object than the one we know, not a newer version of it. */
static bool replaced(const struct node *n, const struct remote_attr *attr)
{
    if ((n->attr.mode & S_IFMT) != (attr->mode & S_IFMT))
        return true;
    return n->attr.ino != 0 && attr->ino != 0 &&
           (n->attr.ino != attr->ino ||
            (n->attr.dev != 0 && attr->dev != 0 && n->attr.dev != attr->dev) ||
            remote_attr_reborn(&n->attr, attr));
}

static int set_target(const struct fs *fs, struct node *n, const char *target)
{
    char *copy;

    if (!S_ISLNK(n->attr.mode) || !target || (n->target && strcmp(n->target, target) == 0))
        return 0;
    copy = strdup(target);
    if (!copy)
        return -ENOMEM;
    /* It is another one now, or one of ours that was forgotten. */
    n->own_link = !n->target && remember_own_link_locked(fs, n, target);
    node_set_target_locked(n, copy);
    return 0;
}

static bool has_unsent_locked(const struct fs *fs, const struct node *dir)
{
    const struct node *n;

    if (!fs->changes)
        return false;
    DL_FOREACH(dir->dir->children, n)
        if (n->ours)
            return true;
    return false;
}

/*
 * What is changed here moves the times of its directory when it arrives there: a name that came or
 * went did that here already, and what was written need not have done it at all, as the helper
 * replaces a file by a new one. So they stay as shown, unless somebody else was there.
 */
static bool moved_by_us_locked(const struct fs *fs, const struct node *dir,
                               const struct remote_attr *attr)
{
    const struct node_dir *d = dir->dir;

    if (d->waiting > 0)
        return true;
    if (d->theirs || !d->listed)
        return false;
    return (attr->mtime_ns <= d->sent_ns && attr->ctime_ns <= d->sent_ns) ||
           has_unsent_locked(fs, dir);
}

static void keep_times_locked(const struct fs *fs, struct node *n, const struct remote_attr *attr)
{
    if (!n->dir || !moved_by_us_locked(fs, n, attr)) {
        n->shown_times = false;
        if (n->dir)
            n->dir->theirs = false;
    } else if (!n->shown_times) {
        change_shown_locked(n, n->attr.mtime_ns, n->attr.ctime_ns);
    }
}

/* The same object as before, perhaps another version. */
static void update_locked(struct fs *fs, const struct flight *f, struct node *n,
                          const struct remote_attr *attr, const char *target)
{
    const bool same_version = remote_attr_same(&n->attr, attr);
    const bool same = same_version && n->attr.mode == attr->mode && n->attr.uid == attr->uid &&
                      n->attr.gid == attr->gid;

    const uint32_t nlink = n->attr.nlink;
    const uint64_t size = node_size(n);

    node_known_locked(n, f->start_ns);
    if ((n->attr.mode & S_IFMT) != (attr->mode & S_IFMT))
        return; /* unsent content where something else is by now: the put will say so */
    /* Unsent content keeps its size and times; what the file is there still counts for the put. */
    if (node_local(n) && n->attr.ino != attr->ino && n->shown_ino == 0)
        node_show_ino_locked(fs, n, n->attr.ino);
    if (!same_version)
        keep_times_locked(fs, n, attr);
    if (n->dir && !same)
        n->dir->by_stat = false;
    if (n->dir)
        n->dir->unasked = false;
    if (n->attr.size != attr->size || n->attr.mtime_ns != attr->mtime_ns)
        look_news_locked(fs, n);
    node_set_attr_locked(n, attr);
    n->resized = n->resized || node_size(n) != size;
    if (n->dir && n->dir->waiting > 0)
        n->attr.nlink = nlink; /* as it will be */
    n->times_stale = n->dir && n->dir->waiting == 0 && n->dir->names_seq > f->seq;
    if (set_target(fs, n, target) < 0)
        node_stale_locked(n);
    data_check_locked(fs, n);
    /* The kernel throws away an answer about attributes that it is told to forget meanwhile. */
    if (!same && !n->told)
        fs_tell_inode_locked(fs, n);
    n->told = false;
}

/* A name is not there any more. Unsent data keeps its name: the next put makes it again. */
void flight_vanish_locked(struct fs *fs, struct node *n)
{
    if (node_local(n)) {
        n->suspect_ns = FS_NEVER;
        return;
    }
    look_news_locked(fs, n);
    if (n->nlookup > 0)
        fs_tell_entry_locked(fs, n->parent, n->name);
    fs_tell_inode_locked(fs, n);
    node_detach_locked(fs, n);
}

/* What is known of it is from later than the answer, in whole or in part. */
static bool newer_here(const struct flight *f, const struct node *n)
{
    return node_touched(f, n) || (n->attr_ns > f->start_ns && !node_suspect(n));
}

static bool meet_entry_locked(struct fs *fs, struct flight *f, struct node *dir, const char *name,
                              const struct remote_attr *attr, const char *target)
{
    struct node *n = node_child_locked(dir, name);

    if (n && newer_here(f, n)) {
        n->mark = fs->marks;
        n->apart = true;
        f->skipped = true;
        return true;
    }
    if (n && replaced(n, attr) && !node_local(n)) {
        flight_vanish_locked(fs, n);
        n = NULL;
    }
    if (!n) {
        n = node_new_locked(fs, dir, name, attr);
        if (!n)
            return false;
        dir->dir->theirs = dir->dir->theirs || dir->dir->listed;
        negative_wrong_locked(fs, dir, name);
    }
    update_locked(fs, f, n, attr, target);
    n->mark = fs->marks;
    return true;
}

static void vanish_unmarked_locked(struct fs *fs, struct flight *f, struct node *dir)
{
    struct node *n, *tmp;

    DL_FOREACH_SAFE(dir->dir->children, n, tmp) {
        if (n->mark == fs->marks)
            continue;
        if (node_touched(f, n) || name_touched(fs, f, dir, n->name)) {
            f->skipped = true;
        } else {
            flight_vanish_locked(fs, n);
            dir->dir->theirs = dir->dir->theirs || dir->dir->listed;
        }
    }
}

bool flight_same_dir_locked(struct fs *fs, struct flight *f, struct node *dir,
                            const struct remote_attr *self)
{
    if (!replaced(dir, self) || !dir->parent)
        return S_ISDIR(self->mode);
    (void)flight_apply_stat_locked(fs, f, dir, 0, self, NULL);
    return false;
}

void flight_apply_some_locked(struct fs *fs, struct flight *f, struct node *dir,
                              const struct remote_entry *v, size_t count)
{
    lock_assert_held(&fs->lock);
    fs->marks++;
    for (size_t i = 0; i < count; i++) {
        const struct remote_entry *e = &v[i];

        if (!path_name_valid(e->name, strlen(e->name)))
            continue;
        if (name_touched(fs, f, dir, e->name) ||
            !meet_entry_locked(fs, f, dir, e->name, &e->attr, e->target))
            f->skipped = true;
    }
}

bool flight_apply_list_locked(struct fs *fs, struct flight *f, struct node *dir,
                              const struct remote_list *list)
{
    struct node_dir *d = dir->dir;
    bool all = !list->cut && !f->lost;

    lock_assert_held(&fs->lock);
    if (dir->attr_ns < f->start_ns && !node_touched(f, dir))
        update_locked(fs, f, dir, &list->self, NULL);
    fs->marks++;
    for (size_t i = 0; i < list->count; i++) {
        const struct remote_entry *e = &list->v[i];

        if (!path_name_valid(e->name, strlen(e->name)))
            continue;
        if (name_touched(fs, f, dir, e->name)) {
            f->skipped = true;
            continue;
        }
        if (!meet_entry_locked(fs, f, dir, e->name, &e->attr, e->target))
            all = false;
    }
    if (all)
        vanish_unmarked_locked(fs, f, dir);
    if (d->theirs && d->waiting == 0) /* update_locked did not know it yet */
        dir->shown_times = d->theirs = false;
    f->skipped = f->skipped || !all;
    d->by_stat = list->cut || (list->count > FS_DIR_LARGE && !fs->serves);
    d->covered = false;
    d->cut = list->cut;
    d->listed = all;
    d->list_ns = all || list->cut ? f->start_ns : FS_NEVER;
    if (d->in_lru)
        DL_DELETE(fs->lru, d);
    d->in_lru = d->children != NULL;
    if (d->in_lru)
        DL_APPEND(fs->lru, d);
    return all;
}

static bool is_absence(int err)
{
    return err == -ENOENT || err == -ENOTDIR;
}

bool flight_apply_stat_locked(struct fs *fs, struct flight *f, struct node *n, int err,
                              const struct remote_attr *attr, const char *target)
{
    lock_assert_held(&fs->lock);
    if (node_touched(f, n) || node_gone_locked(n))
        return false;
    if (!n->parent) {
        if (err == 0)
            update_locked(fs, f, n, attr, target);
        return err == 0;
    }
    return flight_apply_name_locked(fs, f, n->parent, n->name, err, attr, target);
}

bool flight_apply_name_locked(struct fs *fs, struct flight *f, struct node *dir, const char *name,
                              int err, const struct remote_attr *attr, const char *target)
{
    struct node *n = node_child_locked(dir, name);

    lock_assert_held(&fs->lock);
    if (dir->dir->covered && dir->dir->list_ns > f->start_ns)
        return false; /* a later answer was quicker */
    if (dir->dir->names_seq > f->seq || op_touches_locked(fs, dir, name) ||
        (n && node_touched(f, n)))
        return false;
    fs->marks++;
    if (err == 0)
        return meet_entry_locked(fs, f, dir, name, attr, target);
    if (is_absence(err) && n) {
        flight_vanish_locked(fs, n);
        dir->dir->theirs = dir->dir->theirs || dir->dir->listed;
    }
    return is_absence(err);
}
