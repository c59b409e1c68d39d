/*
 * What is not known is fetched with what is below it: a small answer for whoever waits, and if
 * there is more, the rest by a thread of its own, in the background and as long as the mount is
 * used.
 */
#include "fs/fs_internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    FIRST_ENTRIES = 5000,
    FIRST_BYTES = 256 << 10,
    FULL_BYTES = 16 << 10, /* when memory is short: what is fetched ahead is dropped unused */
    SLICE_ENTRIES = 20000,
    SLICE_BYTES = 1 << 20, /* small enough not to be in the way of what somebody waits for */
    PATHS_MAX = 1000,      /* in one question */
    QUEUE_MAX = 100000,    /* directories still to be fetched */
};

static const int64_t idle_ns = 10 * NS_PER_S;

struct fill {
    struct fs *fs;
    struct cancel *cancel;
    pthread_t thread;
    /* The rest: fs.lock. */
    bool runs, stopping;
    struct node **v; /* counted, first in first out */
    size_t head, count, cap;
};

/* Directories whose content is asked for, and their paths. */
struct question {
    struct node *dirs[PATHS_MAX]; /* counted */
    char *paths[PATHS_MAX];
    size_t count;
};

static bool is_full_locked(const struct fs *fs)
{
    return fs->meta_bytes >= fs->meta_max - fs->meta_max / 4;
}

static bool unknown(const struct node *n)
{
    return n->dir && !n->dir->listed && !n->dir->by_stat;
}

static int question_add_locked(struct fs *fs, struct question *q, struct node *dir)
{
    int r = q->count < PATHS_MAX ? 0 : -E2BIG;

    if (r == 0)
        r = node_path_locked(fs, dir, &q->paths[q->count]);
    if (r == 0)
        q->dirs[q->count++] = node_ref_locked(dir);
    return r;
}

static void question_free_locked(struct fs *fs, struct question *q)
{
    for (size_t i = 0; q && i < q->count; i++) {
        node_unref_locked(fs, q->dirs[i]);
        free(q->paths[i]);
    }
    free(q);
}

static int send(struct fs *fs, const struct question *q, struct remote_ask *ask,
                struct remote_tree *ret)
{
    const char *below[PATHS_MAX];

    for (size_t i = 0; i < q->count; i++)
        below[i] = path_below(q->paths[i], fs->root_path);
    ask->root = fs->root_path;
    ask->paths = below;
    ask->path_count = q->count;
    return remote_tree(fs->remote, ask, ret);
}

/* ---- the queue ---- */

static void push_locked(struct fill *fill, struct node *dir)
{
    if (fill->stopping || fill->count - fill->head >= QUEUE_MAX)
        return; /* it is fetched when somebody wants it */
    if (fill->count == fill->cap) {
        const size_t cap = fill->cap ? 2 * fill->cap : 256;
        struct node **v = realloc(fill->v, cap * sizeof(struct node *));

        if (!v)
            return;
        fill->v = v;
        fill->cap = cap;
    }
    fill->v[fill->count++] = node_ref_locked(dir);
}

static void drop_queue_locked(struct fill *fill)
{
    while (fill->head < fill->count)
        node_unref_locked(fill->fs, fill->v[fill->head++]);
    fill->head = fill->count = 0;
}

/* ---- the answer ---- */

static struct node *dir_at_locked(struct fs *fs, const char *path)
{
    char name[PATH_NAME_MAX + 1];
    struct node *n = fs->root;

    while (n && *path) {
        const size_t len = strcspn(path, "/");

        if (len > PATH_NAME_MAX)
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        n = node_child_locked(n, name);
        path += len + (path[len] == '/');
    }
    return n && n->dir ? n : NULL;
}

static bool may_apply_locked(const struct fs *fs, const struct flight *f, const struct node *dir)
{
    const struct node_dir *d = dir->dir;

    if (f->lost || flight_overtaken_locked(f, dir) || (d->listed && d->list_ns >= f->start_ns))
        return false;
    return d->flight ? d->flight == f : !flight_names_moved_locked(fs, f, dir);
}

/* False: the directory is as unknown as before. */
static bool apply_dir_locked(struct fs *fs, struct flight *f, struct node *dir,
                             const struct remote_dir *a, const struct remote_tree *t)
{
    const struct remote_list list = {
        .v = remote_dir_entries(t, a), .count = a->count, .self = a->self};

    if (!may_apply_locked(fs, f, dir))
        return false;
    if (a->err) {
        dir->dir->listed = false;
        tree_list_failed_locked(fs, f, dir, a->err == -ELOOP ? -ENOTDIR : a->err);
        return false;
    }
    f->skipped = false;
    if (!a->whole || !flight_same_dir_locked(fs, f, dir, &a->self) ||
        !flight_apply_list_locked(fs, f, dir, &list))
        return false;
    burst_covered_locked(dir, f, t->now_ns);
    dir->dir->answer = fs->answers;
    return true;
}

static void apply_all_locked(struct fs *fs, struct flight *f, const struct remote_tree *t)
{
    fs->answers++;
    fs->told_ns = clock_mono_ns();
    space_told_locked(fs, t, f);
    (void)burst_clock_locked(
        fs, t, f->start_ns); /* what is not in the answer is asked for in full again */
    for (size_t i = 0; i < t->dir_count; i++) {
        struct node *dir = dir_at_locked(fs, t->dirs[i].path), *n, *tmp;

        if (!dir)
            continue; /* gone, or not believed */
        node_ref_locked(dir);
        if (apply_dir_locked(fs, f, dir, &t->dirs[i], t) && t->more)
            DL_FOREACH_SAFE(dir->dir->children, n, tmp)
                if (unknown(n))
                    push_locked(fs->fill, n);
        node_unref_locked(fs, dir);
    }
}

/* ---- what somebody waits for ---- */

static int add_unknown_locked(struct fs *fs, struct question *q, struct node *from,
                              const struct node *to)
{
    for (struct node *n = from; n != to; n = n->next)
        if (unknown(n) && !n->dir->children && !n->dir->flight && !n->ours &&
            question_add_locked(fs, q, n) < 0)
            return -E2BIG;
    return 0;
}

/*
 * Whoever looks into one of many that are not known looks into the others next: those that follow.
 * When memory is short, those before it were looked into already, and then dropped.
 */
static void add_siblings_locked(struct fs *fs, struct question *q, struct node *dir)
{
    if (!dir->parent || !dir->attached)
        return;
    if (add_unknown_locked(fs, q, dir->next, NULL) == 0 && !is_full_locked(fs))
        (void)add_unknown_locked(fs, q, dir->parent->dir->children, dir);
}

static void fill_start_locked(struct fill *fill);

static int answer_for(const struct remote_tree *t, const char *path)
{
    for (size_t i = 0; i < t->dir_count; i++)
        if (strcmp(t->dirs[i].path, path) == 0)
            return t->dirs[i].err == -ELOOP ? -ENOTDIR : t->dirs[i].err;
    return -EIO;
}

int subtree_ask(struct fs *fs, struct node *dir)
{
    struct remote_ask ask = {.max_entries = FIRST_ENTRIES,
                             .max_bytes = is_full_locked(fs) ? FULL_BYTES : FIRST_BYTES};
    struct question *q = calloc(1, sizeof(*q));
    struct remote_tree t = {0};
    struct flight f;
    int r;

    if (!q)
        return -ENOMEM;
    r = question_add_locked(fs, q, dir);
    if (r < 0) {
        question_free_locked(fs, q);
        return r;
    }
    add_siblings_locked(fs, q, dir);
    flight_start_locked(fs, &f);
    dir->dir->flight = &f;
    fs_unlock(fs);
    r = send(fs, q, &ask, &t);
    fs_lock(fs);
    if (r == 0) {
        apply_all_locked(fs, &f, &t);
        r = answer_for(&t, path_below(q->paths[0], fs->root_path));
    } else {
        tree_list_failed_locked(fs, &f, dir, r);
    }
    fill_start_locked(fs->fill);
    node_trim_locked(fs); /* not what was asked for: it has a flight */
    dir->dir->flight = NULL;
    fs_wake(fs);
    flight_done(&f);
    question_free_locked(fs, q);
    remote_tree_done(&t);
    return r;
}

/* ---- the rest ---- */

static bool may_go_on_locked(const struct fill *fill)
{
    const struct fs *fs = fill->fs;

    return fs->serves && !is_full_locked(fs) && clock_mono_ns() - fs->used_ns < idle_ns;
}

static struct question *next_question_locked(struct fill *fill)
{
    struct question *q = calloc(1, sizeof(*q));

    while (q && q->count < PATHS_MAX && fill->head < fill->count) {
        struct node *dir = fill->v[fill->head++];

        /* One that is being fetched for somebody brings the same. */
        if (unknown(dir) && !dir->dir->flight && !node_gone_locked(dir) &&
            !change_moving_locked(dir))
            (void)question_add_locked(fill->fs, q, dir);
        node_unref_locked(fill->fs, dir);
    }
    if (fill->head == fill->count)
        fill->head = fill->count = 0;
    return q;
}

/* What did not fit comes again; answered is what was asked for first. */
static void push_left_locked(struct fill *fill, const struct question *q, size_t answered)
{
    for (size_t i = answered; i < q->count && answered > 0; i++)
        if (unknown(q->dirs[i]) && !node_gone_locked(q->dirs[i]))
            push_locked(fill, q->dirs[i]);
}

static bool fill_once(struct fill *fill)
{
    struct remote_ask ask = {
        .max_entries = SLICE_ENTRIES, .max_bytes = SLICE_BYTES, .background = true};
    struct question *q = next_question_locked(fill);
    struct fs *fs = fill->fs;
    struct remote_tree t = {0};
    struct flight f;
    int r;

    if (!q || q->count == 0) {
        question_free_locked(fs, q);
        return false;
    }
    flight_start_locked(fs, &f);
    fs_unlock(fs);
    r = send(fs, q, &ask, &t);
    fs_lock(fs);
    if (r == 0) {
        apply_all_locked(fs, &f, &t);
        if (t.more)
            push_left_locked(fill, q, t.dir_count);
    }
    node_trim_locked(fs);
    flight_done(&f);
    question_free_locked(fs, q);
    remote_tree_done(&t);
    return r == 0;
}

static void *fill_main(void *arg)
{
    struct fill *fill = arg;
    struct fs *fs = fill->fs;

    cancel_bind(fill->cancel);
    (void)remote_bind_background(true);
    fs_lock(fs);
    while (!fill->stopping) {
        if (fill->head == fill->count)
            lock_wait(&fs->lock, &fs->cond);
        else if (!may_go_on_locked(fill) || !fill_once(fill))
            drop_queue_locked(fill);
    }
    fs_unlock(fs);
    return NULL;
}

static void fill_start_locked(struct fill *fill)
{
    if (fill->runs || fill->stopping || fill->head == fill->count)
        return;
    fill->runs = pthread_create(&fill->thread, NULL, fill_main, fill) == 0;
    if (!fill->runs)
        drop_queue_locked(fill);
}

struct fill *subtree_fill_new(struct fs *fs)
{
    struct fill *fill = calloc(1, sizeof(*fill));

    if (!fill)
        return NULL;
    fill->fs = fs;
    fill->cancel = cancel_new();
    if (!fill->cancel) {
        free(fill);
        return NULL;
    }
    return fill;
}

struct fill *subtree_fill_free(struct fill *fill)
{
    struct fs *fs;
    bool runs;

    if (!fill)
        return NULL;
    fs = fill->fs;
    fs_lock(fs);
    fill->stopping = true;
    runs = fill->runs;
    fs_wake(fs);
    fs_unlock(fs);
    cancel_fire(fill->cancel);
    if (runs)
        pthread_join(fill->thread, NULL);
    fs_lock(fs);
    drop_queue_locked(fill);
    fs_unlock(fs);
    cancel_unref(fill->cancel);
    free(fill->v);
    free(fill);
    return NULL;
}
