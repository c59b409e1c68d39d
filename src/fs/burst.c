/*
 * What is known is brought up to date on demand: one question about every directory that was used
 * since the last one, and what the answer does not mention is as it was. After a pause it is about
 * all that was used since the pause before: who did something is likely to do it again. Directories
 * that nobody looked at lately are asked about when somebody does.
 */
#include "fs/burst.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    BURST_DIRS_MAX = 50000, /* in one question */
    CLOCK_BACK_MS = 10,     /* less is how exactly two clocks can be read one after the other */
    LOST_MS = 1000,
};

/* Directories whose last answers are further apart are asked about in questions of their own: each
 * is about everything since the oldest. */
static const int64_t together_ns = 300 * NS_PER_S;

static bool may_pick(const struct burst *b, const struct node *n, int64_t covered_ns)
{
    const struct node_dir *d = n->dir;

    if (d->picked || (d->flight && !b->late) || !d->listed || !d->covered ||
        b->count >= BURST_DIRS_MAX || change_moving_locked(n))
        return false;
    if (d->covered_ns == covered_ns)
        return true;
    return d->covered_ns != FS_NEVER && covered_ns != FS_NEVER &&
           llabs(d->covered_ns - covered_ns) <= together_ns;
}

static void unuse_locked(struct fs *fs, struct node_dir *d)
{
    if (!d->used)
        return;
    DL_DELETE2(fs->used, d, used_prev, used_next);
    d->used = false;
}

static int pick_locked(struct fs *fs, struct burst *b, struct node *n)
{
    struct asked *a;
    int r;

    if (b->count == b->cap) {
        const size_t cap = b->cap ? 2 * b->cap : 64;
        struct asked *v = realloc(b->v, cap * sizeof(*v));

        if (!v)
            return -ENOMEM;
        b->v = v;
        b->cap = cap;
    }
    a = &b->v[b->count];
    r = node_path_locked(fs, n, &a->path);
    if (r < 0)
        return r;
    a->dir = node_ref_locked(n);
    n->dir->picked = true;
    b->count++;
    if (n->dir->covered_ns < b->since_ns)
        b->since_ns = n->dir->covered_ns;
    n->dir->asked = n->dir->asked || !b->late;
    return 0;
}

/* And what it is in: else another directory could stand in its place unnoticed. One that cannot be
 * asked about, for want of memory or a path too long, stays as old as it is. */
static void pick_up_locked(struct fs *fs, struct burst *b, struct node *n, int64_t covered_ns)
{
    for (; n && !n->dir->picked; n = n->parent)
        if (may_pick(b, n, covered_ns))
            (void)pick_locked(fs, b, n);
}

void burst_pick_used_locked(struct fs *fs, struct burst *b, int64_t covered_ns)
{
    struct node_dir *d, *next;

    /* Who works without a pause asks about once in a window. */
    if (!b->late && fs->burst_ns < clock_mono_ns() - fs_window_ns(fs) / 2 * 3) {
        const unsigned over = fs->round++;

        DL_FOREACH_SAFE2(fs->used, d, next, used_next)
        if (d->round != over)
            unuse_locked(fs, d);
        else
            d->asked = false;
    }
    DL_FOREACH_SAFE2(fs->used, d, next, used_next)
    if (!d->listed || node_gone_locked(d->node))
        unuse_locked(fs, d);
    else if (!d->asked && may_pick(b, d->node, covered_ns))
        pick_up_locked(fs, b, d->node, covered_ns);
}

static void pick_below_locked(struct fs *fs, struct burst *b, struct node *top, int64_t covered_ns)
{
    struct node **v = malloc(BURST_DIRS_MAX * sizeof(struct node *)), *n, *tmp;
    size_t head = 0, count = 0;

    if (!v)
        return;
    v[count++] = top;
    while (head < count) {
        struct node *dir = v[head++];

        if (may_pick(b, dir, covered_ns))
            (void)pick_locked(fs, b, dir);
        DL_FOREACH_SAFE(dir->dir->children, n, tmp)
            if (n->dir && count < BURST_DIRS_MAX)
                v[count++] = n;
    }
    free(v);
}

/*
 * Somebody who needs one thing after the other that was not asked about (a walk over what nobody
 * used for long) gets ever more with each.
 */
static void widen_locked(struct fs *fs, struct burst *b, struct node *dir, int64_t covered_ns)
{
    struct node *top = dir;

    if (fs->burst_ns < fs_since(fs) || fs->burst_ns < fs->doubt_ns) {
        fs->misses = 0;
        return;
    }
    fs->misses++;
    for (unsigned i = 0; i < fs->misses && top->parent; i++)
        top = top->parent;
    pick_below_locked(fs, b, top, covered_ns);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct asked *)a)->path, ((const struct asked *)b)->path);
}

void burst_begin_locked(struct fs *fs, struct burst *b)
{
    struct flight now;

    qsort(b->v, b->count, sizeof(*b->v), by_path);
    flight_start_locked(fs, &now);
    for (size_t i = 0; i < b->count; i++) {
        b->v[i].flight = now;
        if (!b->late)
            b->v[i].dir->dir->flight = &b->v[i].flight;
        b->v[i].dir->dir->picked = false;
    }
}

static int put_together(struct fs *fs, struct burst *b, struct node *dir)
{
    const int64_t covered_ns = dir->dir->covered_ns;
    int r;

    *b = (struct burst){.since_ns = INT64_MAX};
    r = pick_locked(fs, b, dir);
    if (r < 0)
        return r;
    pick_up_locked(fs, b, dir->parent, covered_ns);
    burst_pick_used_locked(fs, b, covered_ns);
    widen_locked(fs, b, dir, covered_ns);
    burst_begin_locked(fs, b);
    fs->burst_ns = b->v[0].flight.start_ns;
    return 0;
}

void burst_done_locked(struct fs *fs, struct burst *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct asked *a = &b->v[i];

        if (a->dir->dir->flight == &a->flight)
            a->dir->dir->flight = NULL;
        a->dir->dir->picked = false;
        flight_done(&a->flight);
        node_unref_locked(fs, a->dir);
        free(a->path);
    }
    free(b->v);
}

int burst_question(const struct fs *fs, const struct burst *b, struct remote_ask *ret)
{
    const char **paths = malloc((b->count + 1) * sizeof(*paths));

    if (!paths)
        return -ENOMEM;
    for (size_t i = 0; i < b->count; i++)
        paths[i] = path_below(b->v[i].path, fs->root_path);
    *ret = (struct remote_ask){.root = fs->root_path,
                               .paths = paths,
                               .path_count = b->count,
                               .since_ns = b->since_ns,
                               .background = remote_in_background()};
    return 0;
}

static int send(struct fs *fs, const struct burst *b, struct remote_tree *ret)
{
    struct remote_ask ask;
    int r = burst_question(fs, b, &ask);

    if (r < 0)
        return r;
    (void)remote_bind_optional(true);
    r = remote_changes(fs->remote, &ask, ret);
    (void)remote_bind_optional(false);
    free((void *)ask.paths);
    return r;
}

/* ---- the answer ---- */

static void forget_clock_locked(struct fs *fs)
{
    for (struct node *n = index_next(&fs->by_id, NULL); n; n = index_next(&fs->by_id, n))
        if (n->dir) {
            n->dir->covered_ns = FS_NEVER;
            n->dir->list_ns = FS_NEVER;
        }
}

/* Its host was up for less than passed here: it stood still, or was put back to an earlier state,
 * with the files of then. Clocks differ a little in how fast they are. */
static bool lost_time_locked(const struct fs *fs, const struct remote_tree *t, int64_t start_ns)
{
    const int64_t passed_ns = start_ns - fs->came_ns;

    return t->uptime_ns - fs->uptime_ns < passed_ns - passed_ns / 500 - LOST_MS * NS_PER_MS;
}

/*
 * What changes is told by its ctime, which must be later than that of all that is known. So a clock
 * that was set back since, by however little at a time, makes all of that worthless; one that was
 * set forward does not: what was known before is older still.
 */
bool burst_clock_locked(struct fs *fs, const struct remote_tree *t, int64_t start_ns)
{
    const int64_t boot_ns = t->now_ns - t->uptime_ns;
    const char *boot = t->boot ? t->boot : "";
    bool moved = false;

    lock_assert_held(&fs->lock);
    if (fs->boot)
        moved = strcmp(fs->boot, boot) != 0 || boot_ns < fs->boot_ns - CLOCK_BACK_MS * NS_PER_MS ||
                lost_time_locked(fs, t, start_ns);
    if (moved)
        forget_clock_locked(fs);
    if (moved || !fs->boot) {
        free(fs->boot);
        fs->boot = strdup(boot);
    }
    fs_clock_locked(fs, t->now_ns, start_ns);
    fs->boot_ns = boot_ns;
    fs->answer_ns = start_ns;
    fs->uptime_ns = t->uptime_ns;
    fs->came_ns = clock_mono_ns();
    return moved;
}

void burst_covered_locked(struct node *dir, const struct flight *f, int64_t now_ns)
{
    struct node_dir *d = dir->dir;

    if (!d->covered)
        d->covered_ns = FS_NEVER;
    d->covered = true;
    d->list_ns = f->start_ns;
    if (!f->skipped) /* else it is asked for again, with what was not believed now */
        d->covered_ns = now_ns;
}

static void apply_locked(struct fs *fs, const struct burst *b, struct asked *a,
                         const struct remote_dir *dir, const struct remote_tree *t)
{
    const int64_t covered_ns = a->dir->dir->covered_ns;
    struct node_dir *d = a->dir->dir;
    struct flight *f = &a->flight;

    if (f->lost || !d->listed || flight_overtaken_locked(f, a->dir) || node_gone_locked(a->dir))
        return;
    /* Which names changed while it was under way, nobody has remembered. */
    if (b->late && (!d->covered || covered_ns < b->since_ns || d->list_ns >= f->start_ns ||
                    flight_names_moved_locked(fs, f, a->dir)))
        return;
    if (dir && dir->err) {
        d->listed = false;
        tree_list_failed_locked(fs, f, a->dir, dir->err == -ELOOP ? -ENOTDIR : dir->err);
        return;
    }
    if (dir && !flight_same_dir_locked(fs, f, a->dir, &dir->self))
        return;
    if (dir && dir->whole) {
        const struct remote_list list = {
            .v = remote_dir_entries(t, dir), .count = dir->count, .self = dir->self};

        if (!flight_apply_list_locked(fs, f, a->dir, &list))
            return;
        d->covered = true;
        d->covered_ns = covered_ns;
    } else if (dir) {
        flight_apply_some_locked(fs, f, a->dir, remote_dir_entries(t, dir), dir->count);
    }
    burst_covered_locked(a->dir, f, t->now_ns);
}

static int dir_by_path(const void *a, const void *b)
{
    const struct remote_dir *const *x = a, *const *y = b;

    return strcmp((*x)->path, (*y)->path);
}

/* Both are in order, so they meet. */
int burst_apply_locked(struct fs *fs, struct burst *b, const struct remote_tree *t)
{
    const struct remote_dir **dirs = malloc((t->dir_count + 1) * sizeof(*dirs));
    size_t at = 0;

    if (!dirs)
        return -ENOMEM;
    for (size_t i = 0; i < t->dir_count; i++)
        dirs[i] = &t->dirs[i];
    qsort(dirs, t->dir_count, sizeof(*dirs), dir_by_path);
    for (size_t i = 0; i < b->count; i++) {
        const char *path = path_below(b->v[i].path, fs->root_path);

        while (at < t->dir_count && strcmp(dirs[at]->path, path) < 0)
            at++;
        apply_locked(fs, b, &b->v[i],
                     at < t->dir_count && strcmp(dirs[at]->path, path) == 0 ? dirs[at] : NULL, t);
    }
    free(dirs);
    return 0;
}

/* The sandbox does not run, or is out of reach: what is known of it is all there is to show. After
 * a moment it is asked again about the same time, so that nothing is missed. */
static void unchanged_locked(struct burst *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (!b->v[i].flight.lost && b->v[i].dir->dir->listed)
            b->v[i].dir->dir->list_ns = b->v[i].flight.start_ns;
}

static size_t entries_locked(const struct burst *b)
{
    size_t count = 0;

    for (size_t i = 0; i < b->count; i++)
        count += b->v[i].dir->dir->count;
    return count;
}

static int burst_once(struct fs *fs, struct node *dir, bool *ret_again)
{
    struct remote_tree t = {0};
    struct burst b;
    int r;

    r = put_together(fs, &b, dir);
    if (r == 0) {
        fs_unlock(fs);
        r = send(fs, &b, &t);
        fs_lock(fs);
    }
    if (r == 0)
        space_told_locked(fs, &t, &b.v[0].flight);
    if (r == 0)
        *ret_again = burst_clock_locked(fs, &t, b.v[0].flight.start_ns) && b.since_ns != FS_NEVER;
    if (r == 0 && !*ret_again)
        r = burst_apply_locked(fs, &b, &t);
    if (r == 0)
        fs_looked_locked(fs, b.v[0].flight.start_ns, entries_locked(&b));
    if (r == -EHOSTDOWN) {
        unchanged_locked(&b);
        r = 0;
    }
    if (r < 0 && r != -EINTR && b.count > 0) {
        dir->dir->fail = r;
        dir->dir->fail_ns = b.v[0].flight.start_ns;
    }
    burst_done_locked(fs, &b);
    remote_tree_done(&t);
    dir->dir->busy++;
    node_trim_locked(fs);
    dir->dir->busy--;
    fs_wake(fs);
    return r;
}

int burst_ask(struct fs *fs, struct node *dir)
{
    bool again = true;
    int r = 0;

    for (unsigned i = 0; i < FS_TRIES && r == 0 && again; i++) {
        again = false;
        if (dir->dir->flight || !dir->dir->listed)
            return 0; /* somebody else's turn, or question, by now */
        r = burst_once(fs, dir, &again);
    }
    return r;
}
