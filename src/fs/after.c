/*
 * What a command has changed is told with its end: of what was used lately, in the same request.
 * The rest is in doubt, as after fs_refresh, and asked about when somebody looks at it. What was
 * told stays used, for the command after it.
 *
 * A command may run for hours, so nobody waits for this answer, and it counts only for directories
 * in which nothing was changed from here meanwhile.
 */
#include "fs/burst.h"

#include <stdlib.h>

struct fs_after {
    struct fs *fs;
    struct burst burst;
    struct remote_ask ask;
    struct remote_after after;
};

/* The newest of what was used: what is much older is asked about by itself. */
static int64_t covered_locked(const struct fs *fs)
{
    int64_t covered_ns = FS_NEVER;
    const struct node_dir *d;

    for (d = fs->used; d; d = d->used_next)
        if (d->listed && d->covered && d->covered_ns > covered_ns)
            covered_ns = d->covered_ns;
    return covered_ns;
}

struct fs_after *fs_after_new(struct fs *fs)
{
    struct fs_after *a = fs->serves ? calloc(1, sizeof(*a)) : NULL;
    int64_t covered_ns;

    if (!a)
        return NULL;
    a->fs = fs;
    a->burst = (struct burst){.since_ns = INT64_MAX, .late = true};
    fs_lock(fs);
    covered_ns = covered_locked(fs);
    if (covered_ns != FS_NEVER)
        burst_pick_used_locked(fs, &a->burst, covered_ns);
    if (a->burst.count > 0)
        burst_begin_locked(fs, &a->burst);
    fs_unlock(fs);
    if (a->burst.count == 0 || burst_question(fs, &a->burst, &a->ask) < 0)
        return fs_after_free(a);
    a->after.ask = &a->ask;
    return a;
}

struct fs_after *fs_after_free(struct fs_after *a)
{
    if (!a)
        return NULL;
    fs_lock(a->fs);
    burst_done_locked(a->fs, &a->burst);
    fs_unlock(a->fs);
    if (a->after.answered)
        remote_tree_done(&a->after.tree);
    free((void *)a->ask.paths);
    free(a);
    return NULL;
}

struct remote_after *fs_after_ask(struct fs_after *a)
{
    if (!a)
        return NULL;
    if (a->after.answered) /* one before this did not have the end */
        remote_tree_done(&a->after.tree);
    a->after.answered = false;
    return &a->after;
}

/*
 * When, at the earliest, the sandbox was looked at for t: not when the command was sent, and not
 * when its output had arrived. The answer before tells what its uptime is in our time.
 */
static int64_t looked_ns_locked(const struct fs *fs, const struct remote_tree *t, int64_t start_ns,
                                int64_t now_ns)
{
    const int64_t ns = fs->answer_ns + (t->uptime_ns - fs->uptime_ns);

    return ns < start_ns ? start_ns : ns > now_ns ? now_ns : ns;
}

/* The answer, for those to which it still applies. Returns when it was true. */
static int64_t take_locked(struct fs *fs, struct fs_after *a)
{
    const int64_t now_ns = clock_mono_ns(), start_ns = a->burst.v[0].flight.start_ns;
    const struct remote_tree *t = &a->after.tree;
    const int64_t ns = looked_ns_locked(fs, t, start_ns, now_ns);

    space_told_locked(fs, t, &a->burst.v[0].flight);
    if (burst_clock_locked(fs, t, ns))
        return now_ns;
    for (size_t i = 0; i < a->burst.count; i++)
        a->burst.v[i].flight.start_ns = ns;
    (void)burst_apply_locked(fs, &a->burst, t);
    fs->burst_ns = ns;
    return ns;
}

void fs_after_end(struct fs *fs, struct fs_after *a)
{
    int64_t ns = clock_mono_ns();

    fs_lock(fs);
    if (a && a->after.answered)
        ns = take_locked(fs, a);
    doubt_since_locked(fs, fs->root, ns);
    looks_forget_locked(fs); /* who waited for its end knows that it may have changed anything */
    if (a)
        node_trim_locked(fs);
    fs_unlock(fs);
    fs_drain_notify(fs);
}
