/*
 * What is known of the tree is held to meta_max. Over it, the directories that were listed first
 * lose what nobody refers to; of what only the kernel refers to, it is asked to forget the files,
 * and each goes when it has. Directories stay as long as the kernel has them: one may be where
 * somebody stands, and asking would take the name from under them.
 */
#include "fs/fs_internal.h"

#include "util/clock.h"

#include <utlist.h>

enum {
    ASK_MAX = 32768,   /* entries that the kernel is asked to forget in one go */
    LOOK_MAX = 200000, /* entries looked at in one go */
    ANSWERS_KEPT = 2,
    STEP_BYTES_MAX = 4 << 20, /* how much more makes it worth to look again, when nothing went */
};

static const int64_t pause_ns = 1 * NS_PER_S, new_ns = 3 * NS_PER_S;

static bool may_go(const struct node *n)
{
    return n->refs == 0 && !n->changing;
}

static size_t low_water(const struct fs *fs)
{
    return fs->meta_max - fs->meta_max / 8;
}

static void evict_locked(struct fs *fs, struct node *n)
{
    n->parent->dir->listed = false;
    remember_node_locked(fs, n);
    node_detach_locked(fs, n);
}

/* What came with the last answers is about to be looked at: however little memory there is, else it
 * would be fetched again and again. Who has not looked for a while does not look any more. */
static bool is_new(const struct fs *fs, const struct node_dir *d)
{
    return d->answer > 0 && d->answer + ANSWERS_KEPT > fs->answers;
}

struct trim {
    size_t looked, asked;
    bool keeps_new;
};

static void trim_dir_locked(struct fs *fs, struct node_dir *d, struct trim *t)
{
    struct node *n, *tmp;

    DL_FOREACH_SAFE(d->children, n, tmp) {
        t->looked++;
        if (!may_go(n))
            continue;
        if (n->nlookup == 0) {
            evict_locked(fs, n);
        } else if (!n->dir && t->asked < ASK_MAX) {
            n->leaving = true;
            t->asked++;
            fs_tell_forget_locked(fs, n);
        }
    }
}

/* Each directory is tried once. */
static void trim_dirs_locked(struct fs *fs)
{
    struct node_dir *d, *last = fs->lru ? fs->lru->prev : NULL;
    struct trim t = {.keeps_new = clock_mono_ns() - fs->told_ns < new_ns};

    while (fs->meta_bytes > low_water(fs) && t.looked < LOOK_MAX && (d = fs->lru) != NULL) {
        const bool end = d == last;

        DL_DELETE(fs->lru, d);
        d->in_lru = false;
        node_ref_locked(d->node); /* its last child may take it along */
        if (!d->flight && d->busy == 0 && !(t.keeps_new && is_new(fs, d)))
            trim_dir_locked(fs, d, &t);
        if (d->children) {
            DL_APPEND(fs->lru, d);
            d->in_lru = true;
        }
        node_unref_locked(fs, d->node);
        if (end)
            break;
    }
}

void node_trim_locked(struct fs *fs)
{
    const size_t step = fs->meta_max / 64;
    int64_t now_ns;

    lock_assert_held(&fs->lock);
    if (fs->meta_bytes <= fs->meta_max)
        return;
    now_ns = clock_mono_ns();
    if (fs->meta_bytes < fs->trim_bytes && now_ns < fs->trim_ns)
        return;
    trim_dirs_locked(fs);
    /* What did not go is not looked through for each thing that comes. */
    fs->trim_bytes = fs->meta_bytes + (step < STEP_BYTES_MAX ? step : STEP_BYTES_MAX);
    fs->trim_ns = now_ns + pause_ns;
}

void node_leave_locked(struct fs *fs, struct node *n)
{
    n->leaving = false;
    if (n->parent && may_go(n) && !n->parent->dir->busy && !n->parent->dir->flight &&
        fs->meta_bytes > low_water(fs))
        evict_locked(fs, n);
}
