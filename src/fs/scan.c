/* scan.c - small files that a walk will open, fetched before it does. */
#include "fs/fs_internal.h"

#include "util/cancel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * grep -r, tar, git and cp open one small file after the other, in the order of the directories'
 * listings. Whoever opens a few that lie so gets those that follow fetched ahead, many in one
 * request: first of the same directory, then, once they went on to another one, of the directories
 * that follow in the tree, as far as their listings are known. A batch is allowed more than the one
 * before it, and is planned when half of that was opened: a walk that stops, or that opens few of
 * the files it passes, ends it.
 *
 * What version is it that comes? A download of many files shows no times, and a file may change
 * while it is sent, or before, after we looked at it. The blob is labelled with the version V that
 * the node had when it was planned, so its content may be of V, of a newer version, or mixed. What
 * keeps that from being believed:
 *   - V's ctime is older than ahead_age_ns when the fetch begins. So any change during the fetch
 *     gives a ctime that differs from V's, and a look at the attributes that begins after the fetch
 *     ended and still shows V proves that the content is V's.
 *   - An open only uses attributes that are no older than the coherence window, and as soon as they
 *     show another version than the label, data_check_locked lets the blob go. So an open that
 *     starts more than the window after the end of the fetch uses a blob that is proven, or none.
 *     One that starts earlier may see a change that is younger than the window, which it may.
 *   - A file that is being rewritten is young, and young files are not fetched here but alone, in
 *     a way that compares versions. (So a mixed one takes a rewrite that began after the plan.)
 *   - The path is looked at again when the bytes are there: if a local rename moved it meanwhile,
 *     they may be another file's, and are dropped.
 *   - The service reads STEADY bytes in one go: what is no longer is a version, if perhaps not V.
 *     A longer one may be mixed, so that nobody gets it before such a look, one for all of a batch.
 *   - What was given away is not written to again: a repeated request skips it.
 */

/* A walk that stood still so long is over: its batches stop, and the next open begins a new one. */
#define SCAN_IDLE_NS (2 * NS_PER_S)

enum {
    OPENS_NEAR = 2,   /* that show a walk within a directory */
    OPENS_WIDE = 3,   /* the same from directory to directory */
    BATCH_FIRST = 64, /* files: what a line carries in the time that an answer takes anyway */
    BATCH_GROWTH = 16,
    UNUSED_FEW = 16,
    BATCH_MAX = 1024,
    BATCH_BYTES_FIRST = 512 << 10,
    BATCH_BYTES = 8 << 20,
    STEADY = 32 << 10,
    BATCHES = 2,         /* of one walk under way */
    CHUNK = 16,          /* files made room for without a break: that takes the disk */
    STEPS_MAX = 1 << 16, /* nodes looked at for a chunk */
};

struct item {
    struct node *node; /* counted */
    struct blob *blob; /* counted, held, and all of it taken until it is settled */
    struct remote_attr version;
    char *path;
    bool came; /* it is looked at before it is settled */
    bool settled;
};

struct batch {
    struct job job;
    struct fs *fs;
    struct scan *scan;   /* stays this walk's while it has batches */
    size_t files_before; /* what the batch before was allowed */
    struct item *v;
    struct remote_want *wants;
    size_t count, max, left; /* left: not settled */
    uint64_t bytes, bytes_max;
};

/* ---- the order of a walk ---- */

static struct node *first_child(const struct node *n)
{
    return n->dir ? n->dir->children : NULL;
}

static struct node *next_sibling(const struct node *n)
{
    return n->next;
}

/* The node after n, before its children if into is false; NULL when all below top was seen. */
static struct node *next_in_walk(const struct node *n, const struct node *top, bool into)
{
    struct node *next = into ? first_child(n) : NULL;

    while (!next && n != top) {
        next = next_sibling(n);
        n = n->parent;
    }
    return next;
}

static struct node *find_locked(struct fs *fs, uint64_t id)
{
    struct node *n = id ? node_find_locked(fs, id) : NULL;

    if (!n || node_gone_locked(n)) {
        node_unref_locked(fs, n);
        return NULL;
    }
    node_unref_locked(fs, n); /* its name keeps it, as long as we have the lock */
    return n;
}

/* ---- which walk is it? ---- */

static bool is_near(const struct node *dir, const struct node *before, bool *ret_wide)
{
    *ret_wide = dir != before;
    return dir == before || node_is_below_locked(before, dir) ||
           (dir->parent && node_is_below_locked(before, dir->parent));
}

/* Directories above both. */
static const struct node *above_both(const struct node *a, const struct node *b)
{
    while (!node_is_below_locked(b, a))
        a = a->parent;
    return a;
}

static void begin_locked(struct scan *s, const struct node *dir, int64_t now_ns)
{
    *s = (struct scan){.dir = dir->id, .top = dir->id, .used_ns = now_ns, .opens = 1};
}

/* The walk that this open goes on with. NULL: none; then it may be the first of a new one. */
static struct scan *match_locked(struct fs *fs, const struct node *n, int64_t now_ns)
{
    struct scan *oldest = NULL;

    for (struct scan *s = fs->scans; s < fs->scans + FS_SCANS; s++) {
        const struct node *before = find_locked(fs, s->dir), *top = find_locked(fs, s->top);
        bool wide;

        if (before && top && (s->loading > 0 || now_ns - s->used_ns < SCAN_IDLE_NS) &&
            is_near(n->parent, before, &wide)) {
            s->wide |= wide;
            s->ended = s->ended && !wide;
            s->top = above_both(top, n->parent)->id;
            s->dir = n->parent->id;
            s->used_ns = now_ns;
            s->opens++;
            return s;
        }
        if (s->batches == 0 && (!oldest || s->used_ns < oldest->used_ns))
            oldest = s;
    }
    if (oldest)
        begin_locked(oldest, n->parent, now_ns);
    return NULL;
}

/* ---- a batch ---- */

static void free_batch_locked(struct fs *fs, struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct item *item = &b->v[i];

        if (!item->settled)
            blob_settle(item->blob, 0, item->version.size, false);
        /* What did not come is as if it had never been planned. */
        if (!item->settled && item->node->file->blob == item->blob) {
            item->node->file->ahead = false;
            if (item->node->file->opens == 0)
                data_drop_locked(fs, item->node);
        }
        blob_release(item->blob);
        blob_unref(item->blob);
        node_unref_locked(fs, item->node);
        free(item->path);
    }
    fs_wake(fs);
    free(b->v);
    free(b->wants);
    free(b);
}

static struct batch *new_batch(struct fs *fs, struct scan *s, size_t files, uint64_t bytes)
{
    struct batch *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->fs = fs;
    b->scan = s;
    b->max = files;
    b->bytes_max = bytes;
    b->v = calloc(files, sizeof(*b->v));
    b->wants = calloc(files, sizeof(*b->wants));
    if (b->v && b->wants)
        return b;
    free(b->v);
    free(b->wants);
    free(b);
    return NULL;
}

static bool may_fetch(struct fs *fs, const struct node *n)
{
    const struct remote_attr *a = &n->attr;
    const int64_t changed_ns = a->ctime_ns ? a->ctime_ns : a->mtime_ns;

    return S_ISREG(a->mode) && a->size > 0 && a->size <= FS_SMALL && !node_suspect(n) &&
           !n->deleted && !n->changing && !change_moving_locked(n) && !n->ours &&
           !(n->file && n->file->blob) && !data_kept_locked(fs, n) &&
           changed_ns + fs->ahead_age_ns < fs_sandbox_now(fs) && perm_check(fs, a, PERM_R) == 0;
}

/* False: nothing more can be added. */
static bool add_locked(struct fs *fs, struct batch *b, struct node *n)
{
    struct item *item = &b->v[b->count];
    uint64_t off, bytes;
    struct blob *blob;

    if (b->count == b->max || (b->count > 0 && b->bytes + n->attr.size > b->bytes_max))
        return false;
    if (!node_file_locked(n) || node_path_locked(fs, n, &item->path) < 0)
        return false;
    if (blob_new(fs->cache, n->attr.size, &blob) < 0) {
        free(item->path);
        return false;
    }
    (void)blob_take(blob, 0, n->attr.size, &off, &bytes); /* new: all of it is ours */
    item->node = node_ref_locked(n);
    item->blob = blob_ref(blob);
    item->version = n->attr;
    data_set_blob_locked(n->file, blob);
    data_rehold_locked(n->file);
    n->file->version = n->attr;
    n->file->verified = true; /* may_fetch saw to that */
    n->file->ahead = true;
    b->bytes += n->attr.size;
    b->count++;
    b->left++;
    return true;
}

/* Some more files; false: that is all. */
static bool extend_locked(struct fs *fs, struct batch *b, struct scan *s)
{
    const struct node *top = find_locked(fs, s->wide ? s->top : s->dir);
    struct node *n = find_locked(fs, s->last);
    const size_t until = b->count + CHUNK;

    if (!top)
        return false;
    if (!n || !node_is_below_locked(n, top))
        n = find_locked(fs, s->dir); /* from the beginning of where the reader is */
    for (unsigned i = 0; n && i < STEPS_MAX && b->count < until; i++) {
        n = next_in_walk(n, top, s->wide || n == top);
        if (!n || (may_fetch(fs, n) && !add_locked(fs, b, n)))
            return false;
        if (!n->dir)
            s->last = n->id;
    }
    return n && b->count == until;
}

static void settle_locked(struct batch *b, struct item *item)
{
    struct fs *fs = b->fs;

    fs_unlock(fs); /* it may push others out of the cache: that takes the disk */
    blob_settle(item->blob, 0, item->version.size, true);
    fs_lock(fs);
    item->settled = true;
    if (--b->left == 0)
        b->scan->loading--;
    fs_wake(fs);
}

/* Every file of it is ours alone until it is settled: its blob is taken. What is not good is dealt
 * with at the end, with all that did not come. */
static void take_file(struct batch *b, struct item *item)
{
    struct fs *fs = b->fs;
    char *path = NULL;

    fs_lock(fs);
    if (!node_gone_locked(item->node) && node_path_locked(fs, item->node, &path) == 0 &&
        strcmp(path, item->path) == 0) {
        item->came = fs->serves && item->version.size > STEADY;
        if (!item->came)
            settle_locked(b, item);
    }
    fs_unlock(fs);
    free(path);
}

/* Those that may be mixed: what is still the version that it was, after all of it came, was that
 * all the time. */
static void look_locked(struct batch *b)
{
    struct fs *fs = b->fs;
    const int64_t since = clock_mono_ns();

    for (size_t i = 0; i < b->count; i++)
        if (b->v[i].came) /* so that one question is about all of their directories */
            node_unref_locked(fs, node_find_locked(fs, b->v[i].node->id));
    for (size_t i = 0; i < b->count; i++) {
        struct item *item = &b->v[i];
        struct node *n = item->node;

        if (item->came && tree_refresh(fs, n, since, false) == 0 && !node_gone_locked(n) &&
            n->file->blob == item->blob && remote_attr_same(&n->attr, &item->version))
            settle_locked(b, item);
    }
}

static bool is_awaited_locked(const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (!b->v[i].settled && b->v[i].node->file->opens > 0)
            return true;
    return false;
}

static void on_done(void *arg, size_t i)
{
    struct batch *b = arg;
    struct fs *fs = b->fs;
    bool over;

    if (b->wants[i].err == 0)
        take_file(b, &b->v[i]);
    fs_lock(fs);
    over = clock_mono_ns() - b->scan->used_ns > SCAN_IDLE_NS && !is_awaited_locked(b);
    fs_unlock(fs);
    if (over)
        cancel_fire(cancel_bound()); /* what nobody follows is not sent to its end */
}

static void choose_locked(struct batch *b)
{
    struct scan *s = b->scan;

    while (extend_locked(b->fs, b, s)) {
        fs_unlock(b->fs);
        fs_lock(b->fs);
    }
    s->used_ns = clock_mono_ns(); /* the time was ours */
    s->planned += b->count;
    if (b->count == 0) {
        s->ended = true;
        s->batch_files = b->files_before;
    }
    for (size_t i = 0; i < b->count; i++)
        b->wants[i] = (struct remote_want){
            .path = b->v[i].path, .expect = &b->v[i].version, .fd = blob_fd(b->v[i].blob)};
}

static void fetch_batch(struct fs *fs, struct job *job, bool drop)
{
    struct batch *b = (struct batch *)job;
    struct remote_many many = {.v = b->wants, .done = on_done, .arg = b};

    if (!drop)
        choose_locked(b);
    b->scan->planning--;
    fs_wake(fs);
    if (!drop && b->count > 0) {
        many.count = b->count;
        fs_unlock(fs);
        (void)remote_fetch_many(fs->remote, &many); /* the rest is fetched when it is opened */
        fs_lock(fs);
        look_locked(b);
    }
    if (b->count == 0 || b->left > 0)
        b->scan->loading--;
    b->scan->batches--;
    free_batch_locked(fs, b);
}

/* seed: somebody waits for it; NULL: nobody waits. Without room it is fetched alone. */
static void plan_locked(struct fs *fs, struct scan *s, struct node *seed)
{
    size_t files = s->batch_files ? s->batch_files * BATCH_GROWTH : BATCH_FIRST, spare_files;
    uint64_t bytes = s->batch_files ? BATCH_BYTES : BATCH_BYTES_FIRST, spare_bytes;
    struct batch *b;

    cache_spare(fs->cache, &spare_files, &spare_bytes);
    files = files < BATCH_MAX ? files : BATCH_MAX;
    files = files < spare_files ? files : spare_files;
    bytes = bytes < spare_bytes ? bytes : spare_bytes;
    if (files == 0)
        return;
    b = new_batch(fs, s, files, bytes);
    if (!b)
        return;
    b->job.run = fetch_batch;
    b->files_before = s->batch_files;
    s->batches++; /* fetch_batch takes these back */
    s->loading++;
    s->planning++;
    if (seed)
        (void)add_locked(fs, b, seed);
    if (ahead_queue_locked(fs, &b->job, 0)) {
        s->batch_files = files;
        if (seed) {
            s->last = seed->id;
            s->ended = false;
        }
    } else {
        s->batches--;
        s->loading--;
        s->planning--;
        free_batch_locked(fs, b);
    }
}

static bool is_planning_locked(const struct fs *fs)
{
    for (const struct scan *s = fs->scans; s < fs->scans + FS_SCANS; s++)
        if (s->planning > 0)
            return true;
    return false;
}

void scan_open(struct fs *fs, struct node *n)
{
    struct scan *s;
    bool ahead, missing;
    size_t unused;

    lock_assert_held(&fs->lock);
    /* A reader that is quicker than the thread which chooses may be the next to be chosen. */
    while (may_fetch(fs, n) && is_planning_locked(fs))
        if (fs_wait(fs) < 0)
            return;
    ahead = n->file->ahead;
    missing = !ahead && may_fetch(fs, n);
    n->file->ahead = false;
    if ((!ahead && !missing) || node_gone_locked(n) || !n->parent)
        return;
    s = match_locked(fs, n, clock_mono_ns());
    if (!s)
        return;
    s->used += ahead;
    unused = s->planned > s->used ? s->planned - s->used : 0;
    if (s->loading >= BATCHES || s->opens < (s->wide ? OPENS_WIDE : OPENS_NEAR))
        return;
    if (missing) {
        if (s->used >= unused / 4 || unused <= UNUSED_FEW)
            plan_locked(fs, s, n);
    } else if (unused < s->batch_files / 2 && !s->ended) {
        plan_locked(fs, s, NULL);
    }
}
