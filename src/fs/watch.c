/*
 * A tree that is kept up to date with `changes`: the directories as they were last seen, so that
 * each answer can be told as what was there before and what is there now.
 *
 *   unknown  nothing was seen yet, or what was seen is not to be gone on from
 *     -- tree --> dirs, if a directory is there; else --> alone
 *   dirs     every directory at and below the path is asked about
 *     -- the directory itself went, or its sandbox started anew --> unknown
 *   alone    no directory is there: the one above is asked about, for one name
 *     -- a directory appeared --> unknown
 *
 * What was told before stays known in each state: going through unknown loses nothing but what came
 * and went meanwhile.
 */
#include "fs/fs_internal.h"
#include "fs/seen.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The clocks of one start of a sandbox may part by so much before one was set. */
#define STEP_NS NS_PER_S

enum { LOOKS_MAX = 3 }; /* at what changes from one kind of thing into another meanwhile */

enum watch_state { WATCH_UNKNOWN, WATCH_DIRS, WATCH_ALONE };

struct fs_watch {
    struct fs *fs;
    char *root;   /* the directory that path is in */
    char *prefix; /* the path's last component; "" for "/" */
    char *path;
    size_t max;
    enum watch_state state;
    bool told; /* the first look, of which nothing is told, was done */
    struct seen seen;
    bool alone_there;
    struct remote_attr alone;     /* WATCH_ALONE: what is there, if anything */
    struct remote_attr old_alone; /* and was: the news speak of it */
    bool looked;                  /* for the length of a call: at everything */
    char **asked;                 /* owned, as the strings; made of seen */
    size_t asked_count;
    int64_t since_ns, clock_ns; /* the sandbox's: to go on from; minus its uptime */
    char *boot;
};

/* ---- asking ---- */

static int ask_tree(struct fs_watch *w, char **paths, size_t count, size_t max,
                    struct remote_tree *ret)
{
    const struct remote_ask ask = {.root = w->root,
                                   .paths = (const char *const *)paths,
                                   .path_count = count,
                                   .max_entries = max,
                                   .background = remote_in_background()};

    return remote_tree(w->fs->remote, &ask, ret);
}

/* From now on what happens after t was made is news. */
static int go_on_from(struct fs_watch *w, const struct remote_tree *t)
{
    char *boot = strdup(t->boot ? t->boot : "");

    if (!boot)
        return -ENOMEM;
    free(w->boot);
    w->boot = boot;
    w->since_ns = t->now_ns;
    w->clock_ns = t->now_ns - t->uptime_ns;
    return 0;
}

/* Another start of the sandbox, or another time: its ctimes cannot be compared to what was. */
static bool is_another_time(const struct fs_watch *w, const struct remote_tree *t)
{
    const int64_t step_ns = t->now_ns - t->uptime_ns - w->clock_ns;

    return strcmp(w->boot, t->boot ? t->boot : "") != 0 || step_ns > STEP_NS || step_ns < -STEP_NS;
}

/* What of an asked path lies below the watched one; NULL: nothing does. */
static const char *rel_of(const struct fs_watch *w, const char *path)
{
    const size_t len = strlen(w->prefix);

    if (len == 0)
        return path;
    if (strncmp(path, w->prefix, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    return path[len] ? path + len + 1 : path + len;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void asked_drop(struct fs_watch *w)
{
    while (w->asked_count > 0)
        free(w->asked[--w->asked_count]);
    free(w->asked);
    w->asked = NULL;
}

static int asked_make(struct fs_watch *w)
{
    struct seen_dir *d, *tmp;

    if (w->asked && !w->seen.changed)
        return 0;
    asked_drop(w);
    w->asked = calloc(HASH_COUNT(w->seen.dirs) + 1, sizeof(*w->asked));
    if (!w->asked)
        return -ENOMEM;
    HASH_ITER(hh, w->seen.dirs, d, tmp) {
        if (d->silent || w->asked_count == REMOTE_PATHS_MAX)
            continue;
        w->asked[w->asked_count] = seen_below(w->prefix, d->path);
        if (!w->asked[w->asked_count++])
            return -ENOMEM;
    }
    qsort(w->asked, w->asked_count, sizeof(*w->asked), by_text);
    w->seen.changed = false;
    return 0;
}

/* ---- a look at everything ---- */

/* The directories of t, new ones all, are what is there now. */
static int take_tree(struct fs_watch *w, const struct remote_tree *t)
{
    int r = 0;

    for (size_t i = 0; i < t->dir_count && r == 0; i++) {
        const struct remote_dir *d = &t->dirs[i];
        const char *rel = rel_of(w, d->path);
        struct seen_dir *now;

        if (!rel || seen_find(&w->seen, rel))
            continue;
        now = seen_next(rel, NULL, t, d);
        if (!now)
            return -ENOMEM;
        now->silent = d->err != 0;
        seen_add(&w->seen, now);
        r = seen_tell_all(&w->seen, true, now);
    }
    w->seen.cut = w->seen.cut || t->more;
    learn_tree(w->fs, w->root, t);
    return r;
}

/* What was known is what was before. */
static int retire_all(struct fs_watch *w)
{
    struct seen_dir *d, *tmp;
    int r = 0;

    w->state = WATCH_UNKNOWN;
    w->old_alone = w->alone;
    if (w->alone_there)
        r = seen_tell(&w->seen, false, "", "", &w->old_alone);
    w->alone_there = false;
    if (r == 0)
        r = seen_forget(&w->seen, "");
    HASH_ITER(hh, w->seen.dirs, d, tmp) /* what memory did not suffice for */
        seen_retire(&w->seen, d);
    w->looked = true;
    w->seen.cut = false;
    return r;
}

static bool is_absence(int err)
{
    return err == -ENOENT || err == -ENOTDIR || err == -ELOOP;
}

/* No directory is there; t says since when. -EAGAIN: by now one is. */
static int look_alone(struct fs_watch *w, const struct remote_tree *t)
{
    struct remote_attr attr;
    const int err = remote_stat(w->fs->remote, w->path, &attr, NULL);
    int r;

    if (err < 0 && !is_absence(err))
        return err;
    if (err == 0 && S_ISDIR(attr.mode))
        return -EAGAIN;
    r = retire_all(w);
    if (r == 0 && err == 0) {
        w->alone = attr;
        w->alone_there = true;
        r = seen_tell(&w->seen, true, "", "", &w->alone);
    }
    if (r == 0)
        r = go_on_from(w, t);
    w->state = r == 0 ? WATCH_ALONE : WATCH_UNKNOWN;
    return r;
}

static int look_dirs(struct fs_watch *w, const struct remote_tree *t)
{
    int r = retire_all(w);

    if (r == 0)
        r = go_on_from(w, t);
    if (r == 0)
        r = take_tree(w, t);
    w->state = r == 0 ? WATCH_DIRS : WATCH_UNKNOWN;
    return r;
}

static int look(struct fs_watch *w)
{
    struct remote_tree t = {0};
    int r = ask_tree(w, &w->prefix, 1, w->max, &t);

    if (is_absence(r))
        return retire_all(w); /* not even the one above: there is nothing to wait for */
    if (r == 0 && t.dir_count == 0)
        r = -EIO;
    if (r == 0 && is_absence(t.dirs[0].err))
        r = look_alone(w, &t);
    else if (r == 0)
        r = t.dirs[0].err ? t.dirs[0].err : look_dirs(w, &t);
    remote_tree_done(&t);
    return r;
}

/* ---- changes ---- */

static int fetch_wanted(struct fs_watch *w, struct wanted *q)
{
    const size_t left = w->max > w->seen.count ? w->max - w->seen.count : 0;
    struct remote_tree t = {0};
    char **paths;
    int r = 0;

    if (q->count == 0)
        return 0;
    if (left == 0) {
        w->seen.cut = true;
        return 0;
    }
    paths = calloc(q->count, sizeof(*paths));
    if (!paths)
        return -ENOMEM;
    for (size_t i = 0; i < q->count && r == 0; i++) {
        paths[i] = seen_below(w->prefix, q->v[i]);
        r = paths[i] ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = ask_tree(w, paths, q->count, left, &t);
    if (r == 0)
        r = take_tree(w, &t);
    remote_tree_done(&t);
    for (size_t i = 0; i < q->count; i++)
        free(paths[i]);
    free(paths);
    return r;
}

static int take_dir(struct fs_watch *w, const struct remote_tree *t, const struct remote_dir *d,
                    struct wanted *q)
{
    const char *rel = rel_of(w, d->path);
    struct seen_dir *was = rel ? seen_find(&w->seen, rel) : NULL, *now;

    if (!was)
        return 0; /* it went with the one above, or was not asked for */
    if (d->err) {
        was->silent = w->seen.changed = true; /* the one above has more to say about it */
        return *rel ? 0 : -ESTALE;
    }
    if (!*rel && !remote_attr_same_object(&was->self, &d->self))
        return -ESTALE;
    now = seen_next(rel, was, t, d);
    if (!now)
        return -ENOMEM;
    seen_retire(&w->seen, was);
    seen_add(&w->seen, now);
    return seen_meet(&w->seen, was, now, q);
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(const struct remote_dir *const *)a)->path,
                  (*(const struct remote_dir *const *)b)->path);
}

/* Parents first: what goes or comes with one is no matter of its own. */
static int take_changes(struct fs_watch *w, const struct remote_tree *t)
{
    const struct remote_dir **v = calloc(t->dir_count + 1, sizeof(*v));
    struct wanted q = {0};
    int r = v ? 0 : -ENOMEM;

    for (size_t i = 0; v && i < t->dir_count; i++)
        v[i] = &t->dirs[i];
    if (v)
        qsort(v, t->dir_count, sizeof(*v), by_path);
    for (size_t i = 0; i < t->dir_count && r == 0; i++)
        r = take_dir(w, t, v[i], &q);
    if (r == 0) {
        learn_tree(w->fs, w->root, t);
        r = fetch_wanted(w, &q);
    }
    wanted_done(&q);
    free(v);
    return r;
}

/* The directory above, of which one name counts. */
static int take_alone(struct fs_watch *w, const struct remote_tree *t)
{
    const struct remote_dir *d = t->dir_count > 0 ? &t->dirs[0] : NULL;
    const struct remote_entry *e = NULL;
    int r = 0;

    if (d && d->err)
        return -ESTALE;
    for (size_t i = 0; d && i < d->count && !e; i++)
        if (strcmp(t->v[d->first + i].name, w->prefix) == 0)
            e = &t->v[d->first + i];
    if (!d || (!e && (!d->whole || !w->alone_there)))
        return 0;
    if (e && S_ISDIR(e->attr.mode))
        return -ESTALE;
    learn_tree(w->fs, w->root, t);
    if (e && w->alone_there && seen_same(&w->alone, &e->attr))
        return 0;
    w->old_alone = w->alone;
    if (w->alone_there)
        r = seen_tell(&w->seen, false, "", "", &w->old_alone);
    w->alone_there = e != NULL;
    if (e)
        w->alone = e->attr;
    return e && r == 0 ? seen_tell(&w->seen, true, "", "", &w->alone) : r;
}

static int ask_changes(struct fs_watch *w, int64_t wait_ns)
{
    const char *const above[] = {""};
    struct remote_ask ask = {.root = w->root,
                             .paths = above,
                             .path_count = 1,
                             .since_ns = w->since_ns,
                             .wait_ns = wait_ns,
                             .background = remote_in_background()};
    struct remote_tree t;
    int r = 0;

    if (w->state == WATCH_DIRS) {
        r = asked_make(w);
        ask.paths = (const char *const *)w->asked;
        ask.path_count = w->asked_count;
    }
    if (r == 0)
        r = remote_changes(w->fs->remote, &ask, &t);
    if (r < 0) {
        if (r == -EHOSTDOWN || r == -EFBIG)
            w->state = WATCH_UNKNOWN; /* one that was down may come back as another */
        return is_absence(r) ? -ESTALE : r;
    }
    r = is_another_time(w, &t) ? -ESTALE : go_on_from(w, &t);
    if (r == 0) {
        r = w->state == WATCH_ALONE ? take_alone(w, &t) : take_changes(w, &t);
        if (r < 0)
            w->state = WATCH_UNKNOWN; /* half of it is taken; the rest comes with the next look */
    }
    remote_tree_done(&t);
    return r;
}

/* ---- the interface ---- */

int fs_watch_new(struct fs *fs, const char *path, size_t max, struct fs_watch **ret)
{
    struct fs_watch *w;

    if (!(fs->info.caps & REMOTE_CAP_CHANGES))
        return -EOPNOTSUPP;
    w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->fs = fs;
    w->max = max;
    w->path = strdup(path);
    w->root = path_dir(path);
    w->prefix = strdup(strcmp(path, "/") == 0 ? "" : path_base(path));
    if (!w->path || !w->root || !w->prefix) {
        fs_watch_free(w);
        return -ENOMEM;
    }
    *ret = w;
    return 0;
}

struct fs_watch *fs_watch_free(struct fs_watch *w)
{
    if (!w)
        return NULL;
    seen_done(&w->seen);
    asked_drop(w);
    free(w->boot);
    free(w->path);
    free(w->root);
    free(w->prefix);
    free(w);
    return NULL;
}

int fs_watch_next(struct fs_watch *w, int64_t wait_ns, struct fs_watch_news *ret)
{
    const bool was_cut = w->seen.cut;
    int r = -ESTALE;

    seen_drop_news(&w->seen);
    w->looked = false;
    if (w->state != WATCH_UNKNOWN)
        r = ask_changes(w, wait_ns);
    else if (w->fs->flush) /* what was made before is no news */
        (void)flush_barrier(w->fs->flush, w->path, NULL, NULL);
    for (int i = 0; i < LOOKS_MAX && (r == -ESTALE || r == -EAGAIN); i++)
        r = look(w);
    if (r < 0 && w->seen.before_count + w->seen.after_count == 0)
        return r;
    *ret = (struct fs_watch_news){.cut = w->seen.cut};
    /* Two looks at a part of a tree may be at two different parts. */
    ret->overflow = w->told && (w->looked ? was_cut || w->seen.cut : w->seen.cut && !was_cut);
    if (w->told && !(w->looked && ret->overflow)) {
        ret->before = w->seen.before;
        ret->before_count = w->seen.before_count;
        ret->after = w->seen.after;
        ret->after_count = w->seen.after_count;
    }
    w->told = true;
    return 0;
}
