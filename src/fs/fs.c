#include "fs/fs.h"

#include "fs/fs_internal.h"
#include "fs/shown.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_TIMES = 3, LOOK_ENTRY_NS = 50000 };

#define CLOCK_SLACK_NS (50 * NS_PER_MS)
#define CLOCK_SET_NS (2 * NS_PER_S)

enum { EVENTS_MAX = 1 << 17 };

static void tell(struct fs *fs, struct event *v, size_t count)
{
    const struct fs_notify *notify = fs->config.notify;

    for (size_t i = 0; i < count; i++) {
        if (v[i].forget)
            notify->forget(fs->config.notify_arg, v[i].ino, v[i].name);
        else if (v[i].name)
            notify->entry(fs->config.notify_arg, v[i].ino, v[i].name);
        else
            notify->inode(fs->config.notify_arg, v[i].ino);
        free(v[i].name);
    }
    free(v);
}

void fs_lock(struct fs *fs)
{
    lock_take(&fs->lock);
}

void fs_unlock(struct fs *fs)
{
    struct event *v = fs->events;
    const size_t count = fs->event_count;
    const bool reported = fs->reported;

    fs->events = NULL;
    fs->event_count = fs->event_cap = 0;
    fs->reported = false;
    lock_drop(&fs->lock);
    tell(fs, v, count);
    if (reported)
        errors_say(fs->errors);
}

/* Without memory the kernel believes what it has until its time is over: coherence still holds. */
static void add_event(struct fs *fs, uint64_t ino, const char *name, bool forget)
{
    char *copy = NULL;

    if (fs->event_count == fs->event_cap) {
        const size_t cap = fs->event_cap ? fs->event_cap * 2 : 8;
        struct event *v = cap <= EVENTS_MAX ? realloc(fs->events, cap * sizeof(*v)) : NULL;

        if (!v)
            return;
        fs->events = v;
        fs->event_cap = cap;
    }
    if (name) {
        copy = strdup(name);
        if (!copy)
            return;
    }
    fs->events[fs->event_count++] = (struct event){.ino = ino, .name = copy, .forget = forget};
}

void fs_tell_inode_locked(struct fs *fs, const struct node *n)
{
    lock_assert_held(&fs->lock);
    if (fs->config.notify && n->nlookup > 0)
        add_event(fs, n->id, NULL, false);
}

void fs_tell_entry_locked(struct fs *fs, const struct node *dir, const char *name)
{
    lock_assert_held(&fs->lock);
    if (fs->config.notify && dir->nlookup > 0)
        add_event(fs, dir->id, name, false);
}

void fs_tell_forget_locked(struct fs *fs, const struct node *n)
{
    lock_assert_held(&fs->lock);
    if (fs->config.notify && fs->config.notify->forget)
        add_event(fs, n->parent->id, n->name, true);
}

struct waiter {
    struct fs *fs;
    bool fired; /* fs.lock */
};

/* Runs under the cancel's own lock, so that one is outside of fs.lock. */
static void wake_waiter(void *arg)
{
    struct waiter *w = arg;

    lock_take(&w->fs->lock);
    w->fired = true;
    pthread_cond_broadcast(&w->fs->cond);
    lock_drop(&w->fs->lock);
}

int fs_wait(struct fs *fs)
{
    struct cancel *cancel = cancel_bound();
    struct waiter w = {.fs = fs};
    const uint64_t seen = fs->wakeups;

    lock_assert_held(&fs->lock);
    if (!cancel) {
        while (fs->wakeups == seen)
            lock_wait(&fs->lock, &fs->cond);
        return 0;
    }
    fs_unlock(fs);
    cancel_hook(cancel, wake_waiter, &w);
    fs_lock(fs);
    while (fs->wakeups == seen && !w.fired)
        lock_wait(&fs->lock, &fs->cond);
    fs_unlock(fs);
    cancel_unhook(cancel);
    fs_lock(fs);
    return w.fired ? -EINTR : 0;
}

void fs_wake(struct fs *fs)
{
    lock_assert_held(&fs->lock);
    fs->wakeups++;
    pthread_cond_broadcast(&fs->cond);
}

int64_t fs_since(const struct fs *fs)
{
    return clock_mono_ns() - fs_window_ns(fs);
}

int64_t fs_window_ns(const struct fs *fs)
{
    return atomic_load_explicit(&fs->window_ns, memory_order_relaxed);
}

/*
 * A look at very much takes long, and what it says would be too old as soon as it is there: then
 * each lookup would be a look of its own. So it counts for some times of what it took. How much
 * that may be is bound by what was looked at: a network that hangs makes nothing older.
 */
void fs_looked_locked(struct fs *fs, int64_t start_ns, size_t entries)
{
    const int64_t now_ns = clock_mono_ns();
    const int64_t before_ns = fs_window_ns(fs), most_ns = (int64_t)entries * LOOK_ENTRY_NS;
    int64_t window_ns = LOOK_TIMES * (now_ns - start_ns < most_ns ? now_ns - start_ns : most_ns);

    lock_assert_held(&fs->lock);
    if (window_ns < fs->config.coherence_ns || fs->config.coherence_ns == 0)
        window_ns = fs->config.coherence_ns; /* none means none */
    /* A small look says nothing of the large one before, as long as that one counts. */
    if (window_ns < before_ns && now_ns < fs->window_set_ns + before_ns)
        return;
    atomic_store_explicit(&fs->window_ns, window_ns, memory_order_relaxed);
    fs->window_set_ns = now_ns;
}

/*
 * Answers come with the sandbox's clock. When that is corrected by little, what is shown of later
 * changes must not be before what was shown of earlier ones; when it was set, it is as on any
 * machine whose clock is set.
 */
int64_t fs_sandbox_now(struct fs *fs)
{
    const int64_t now_ns =
        clock_real_ns() + atomic_load_explicit(&fs->clock_offset_ns, memory_order_relaxed);
    int64_t last_ns = atomic_load_explicit(&fs->last_now_ns, memory_order_relaxed);

    while (now_ns > last_ns || last_ns - now_ns > CLOCK_SET_NS)
        if (atomic_compare_exchange_weak_explicit(&fs->last_now_ns, &last_ns, now_ns,
                                                  memory_order_relaxed, memory_order_relaxed))
            return now_ns;
    return last_ns;
}

void fs_clock_locked(struct fs *fs, int64_t theirs_ns, int64_t asked_ns)
{
    const int64_t end_ns = clock_real_ns(), start_ns = end_ns - (clock_mono_ns() - asked_ns);
    const int64_t before_ns = atomic_load_explicit(&fs->clock_offset_ns, memory_order_relaxed);

    lock_assert_held(&fs->lock);
    /* An answer that took long says little; so what it allows is left as it was. */
    atomic_store_explicit(
        &fs->clock_offset_ns,
        clock_offset_ns(before_ns, theirs_ns, start_ns - CLOCK_SLACK_NS, end_ns + CLOCK_SLACK_NS),
        memory_order_relaxed);
}

static int make_root(struct fs *fs)
{
    const int64_t start_ns = clock_mono_ns();
    struct remote_attr attr;
    int r;

    r = remote_stat(fs->remote, fs->root_path, &attr, NULL);
    if (r < 0)
        return r;
    if (!S_ISDIR(attr.mode))
        return -ENOTDIR;
    fs_lock(fs);
    fs->root = node_new_locked(fs, NULL, "", &attr);
    if (fs->root) {
        node_known_locked(fs->root, start_ns);
        fs->root->nlookup = 1; /* the kernel never looks it up, and always has it */
        node_ref_locked(fs->root);
    }
    /* Numbers are shown of what the sandbox has none for yet, and remembered by the mounts to come:
     * theirs must be others. */
    fs->next_id = (uint64_t)clock_real_ns() / 1000;
    fs_unlock(fs);
    return fs->root ? 0 : -ENOMEM;
}

int fs_new(const struct fs_config *config, struct remote *remote, struct cache *cache,
           struct fs **ret)
{
    struct fs *fs = calloc(1, sizeof(*fs));
    int r = -ENOMEM;

    if (!fs)
        return -ENOMEM;
    lock_init(&fs->lock);
    lock_cond_init(&fs->cond);
    fs->config = *config;
    fs->remote = remote;
    fs->cache = cache;
    fs->meta_max = config->meta_bytes ? config->meta_bytes : FS_META_BYTES;
    atomic_init(&fs->window_ns, config->coherence_ns);
    siphash_key_random(&fs->hash_key);
    fs->ahead_age_ns = FS_AHEAD_AGE_NS;
    fs->space_ns = FS_NEVER;
    fs->next_id = FS_ROOT;
    fs->burst_ns = fs->doubt_ns = FS_NEVER;
    fs->root_path = path_resolve("/", config->root);
    fs->mount_dir = path_resolve("/", config->mount_dir ? config->mount_dir : "/");
    fs->errors = errors_new();
    fs->retrier_cancel = cancel_new();
    fs->shown = shown_new();
    if (!fs->shown || !fs->root_path || !fs->mount_dir || !fs->errors || !fs->retrier_cancel ||
        ahead_new(fs) < 0 || index_init(&fs->by_id, CHAIN_ID, &fs->hash_key) < 0 ||
        index_init(&fs->by_name, CHAIN_NAME, &fs->hash_key) < 0 ||
        index_init(&fs->by_file, CHAIN_FILE, &fs->hash_key) < 0)
        goto fail;
    r = remote_info(remote, &fs->info);
    if (r < 0)
        goto fail;
    fs->serves = (fs->info.caps & REMOTE_CAP_CHANGES) != 0;
    /* Less is how exactly it was measured: make must not find files from the future. */
    if (llabs(fs->info.clock_offset_ns) >= CLOCK_SLACK_NS)
        atomic_store(&fs->clock_offset_ns, fs->info.clock_offset_ns);
    remember_load(fs);
    fs->fill = subtree_fill_new(fs);
    r = fs->fill ? make_root(fs) : -ENOMEM;
    if (r < 0)
        goto fail;
    fs->flush = config->flush;
    if (fs->flush) {
        change_own(fs);
        beside_begin(fs);
    }
    *ret = fs;
    return 0;
fail:
    fs_free(fs);
    return r;
}

struct fs *fs_free(struct fs *fs)
{
    if (!fs)
        return NULL;
    send_stop(fs);
    ahead_stop(fs);
    fs->fill = subtree_fill_free(fs->fill);
    fs->flush = flush_free(fs->flush);
    fs_lock(fs);
    negative_free_all_locked(fs);
    change_free_all_locked(fs);
    looks_forget_locked(fs);
    node_free_all_locked(fs);
    fs_unlock(fs);
    if (fs->root) /* it was begun: else what was remembered was not read */
        remember_save(fs);
    shown_free(fs->shown);
    free(fs->beside_done);
    index_done(&fs->by_id);
    index_done(&fs->by_name);
    index_done(&fs->by_file);
    cancel_unref(fs->retrier_cancel);
    errors_free(fs->errors);
    ahead_free(fs);
    remote_info_done(&fs->info);
    free(fs->boot);
    free(fs->root_path);
    free(fs->mount_dir);
    pthread_cond_destroy(&fs->cond);
    lock_done(&fs->lock);
    free(fs);
    return NULL;
}

const struct remote_info *fs_info(struct fs *fs)
{
    return &fs->info;
}
