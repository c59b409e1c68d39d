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

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The clocks of one start of a sandbox may part by so much before one was set. */
#define STEP_NS NS_PER_S

enum { LOOKS_MAX = 3 }; /* at what changes from one kind of thing into another meanwhile */

struct seen_entry {
    char *name; /* in its directory's names */
    struct remote_attr attr;
};

/* One directory as it was last seen. */
struct seen_dir {
    char *path; /* below the watched path, "" is that; owned */
    struct remote_attr self;
    struct seen_entry *v; /* owned; in the order of strcmp */
    size_t count;
    char *names; /* owned */
    bool silent; /* it is not asked about: it went, or cannot be read */
    UT_hash_handle hh;
    struct seen_dir *next; /* among those of the last news */
};

enum watch_state { WATCH_UNKNOWN, WATCH_DIRS, WATCH_ALONE };

struct fs_watch {
    struct fs *fs;
    char *root;   /* the directory that path is in */
    char *prefix; /* the path's last component; "" for "/" */
    char *path;
    size_t max;
    enum watch_state state;
    bool told; /* the first look, of which nothing is told, was done */
    struct seen_dir *dirs;
    size_t count; /* entries in dirs */
    bool alone_there;
    struct remote_attr alone; /* WATCH_ALONE: what is there, if anything */
    bool cut;                 /* there is more than is known */
    bool looked;              /* for the length of a call: at everything */
    bool asked_old;           /* asked is not what dirs are any more */
    char **asked;             /* owned, as the strings */
    size_t asked_count;
    int64_t since_ns, clock_ns; /* the sandbox's: to go on from; minus its uptime */
    char *boot;

    /* The last news; strings and attributes in them are in old, dirs and names. */
    struct seen_dir *old;
    struct remote_attr old_alone;
    struct fs_watch_entry *before, *after;
    size_t before_count, before_cap, after_count, after_cap;
    char **names;
    size_t name_count, name_cap;
};

/* ---- directories ---- */

static struct seen_dir *seen_free(struct seen_dir *d)
{
    if (d) {
        free(d->path);
        free(d->names);
        free(d->v);
        free(d);
    }
    return NULL;
}

static struct seen_dir *seen_find(const struct fs_watch *w, const char *path)
{
    struct seen_dir *d;

    HASH_FIND(hh, w->dirs, path, strlen(path), d);
    return d;
}

static void seen_add(struct fs_watch *w, struct seen_dir *d)
{
    HASH_ADD_KEYPTR(hh, w->dirs, d->path, strlen(d->path), d);
    w->count += d->count;
    w->asked_old = true;
}

/* Not forgotten before the news that still speak of it. */
static void seen_retire(struct fs_watch *w, struct seen_dir *d)
{
    HASH_DELETE(hh, w->dirs, d);
    w->count -= d->count;
    w->asked_old = true;
    d->next = w->old;
    w->old = d;
}

static char *below(const char *dir, const char *name)
{
    return *dir && *name ? path_join(dir, name) : strdup(*dir ? dir : name);
}

/* Of entries borrowed from a tree, or from an older look, in order. */
static struct seen_dir *seen_new(const char *path, const struct remote_attr *self,
                                 const struct seen_entry *v, size_t count)
{
    struct seen_dir *d = calloc(1, sizeof(*d));
    size_t bytes = 1;
    char *p;

    if (!d)
        return NULL;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(v[i].name) + 1;
    d->path = strdup(path);
    d->self = *self;
    d->v = calloc(count + 1, sizeof(*d->v));
    d->names = p = malloc(bytes);
    if (!d->path || !d->v || !d->names)
        return seen_free(d);
    for (; d->count < count; d->count++) {
        d->v[d->count] = (struct seen_entry){.name = p, .attr = v[d->count].attr};
        p = stpcpy(p, v[d->count].name) + 1;
    }
    return d;
}

/* d of t as it is now; was (may be NULL) is what it was. */
static struct seen_dir *seen_next(const char *path, const struct seen_dir *was,
                                  const struct remote_tree *t, const struct remote_dir *d)
{
    const size_t was_count = d->whole || !was ? 0 : was->count;
    struct seen_entry *v = calloc(was_count + d->count + 1, sizeof(*v));
    struct seen_dir *ret = NULL;
    size_t n = 0, i = 0, k = 0;

    if (!v)
        return NULL;
    while (i < was_count || k < d->count) {
        const struct remote_entry *e = k < d->count ? &t->v[d->first + k] : NULL;
        const int c = i == was_count ? 1 : !e ? -1 : strcmp(was->v[i].name, e->name);

        if (c < 0)
            v[n++] = was->v[i];
        else
            v[n++] = (struct seen_entry){.name = e->name, .attr = e->attr};
        i += c <= 0;
        k += c >= 0;
    }
    ret = seen_new(path, &d->self, v, n);
    free(v);
    return ret;
}

/* ---- news ---- */

static void news_drop(struct fs_watch *w)
{
    struct seen_dir *d;

    while ((d = w->old) != NULL) {
        w->old = d->next;
        seen_free(d);
    }
    while (w->name_count > 0)
        free(w->names[--w->name_count]);
    w->before_count = w->after_count = 0;
}

static int news_put(struct fs_watch *w, bool after, const char *dir, const char *name,
                    const struct remote_attr *attr)
{
    struct fs_watch_entry **v = after ? &w->after : &w->before;
    size_t *count = after ? &w->after_count : &w->before_count;
    size_t *cap = after ? &w->after_cap : &w->before_cap;
    char *full;

    if (*count == *cap) {
        const size_t n = *cap ? 2 * *cap : 64;
        struct fs_watch_entry *p = realloc(*v, n * sizeof(*p));

        if (!p)
            return -ENOMEM;
        *v = p;
        *cap = n;
    }
    if (w->name_count == w->name_cap) {
        const size_t n = w->name_cap ? 2 * w->name_cap : 64;
        char **p = realloc(w->names, n * sizeof(*p));

        if (!p)
            return -ENOMEM;
        w->names = p;
        w->name_cap = n;
    }
    full = below(dir, name);
    if (!full)
        return -ENOMEM;
    w->names[w->name_count++] = full;
    (*v)[(*count)++] = (struct fs_watch_entry){.name = full, .attr = attr};
    return 0;
}

static int news_all_of(struct fs_watch *w, bool after, const struct seen_dir *d)
{
    int r = *d->path ? 0 : news_put(w, after, "", "", &d->self);

    for (size_t i = 0; i < d->count && r == 0; i++)
        r = news_put(w, after, d->path, d->v[i].name, &d->v[i].attr);
    return r;
}

static bool same_identity(const struct remote_attr *a, const struct remote_attr *b)
{
    return a->ino == b->ino && a->dev == b->dev && (a->mode & S_IFMT) == (b->mode & S_IFMT);
}

static bool same_attr(const struct remote_attr *a, const struct remote_attr *b)
{
    return remote_attr_same(a, b) && same_identity(a, b) && a->mode == b->mode &&
           a->uid == b->uid && a->gid == b->gid && a->rdev == b->rdev &&
           a->ctime_ns == b->ctime_ns && a->mtime_ns == b->mtime_ns && a->size == b->size;
}

/* ---- what goes, what comes ---- */

/* Every directory at and below path goes from what is known, as something that was there. */
static int forget_below(struct fs_watch *w, const char *path)
{
    struct seen_dir *d = seen_find(w, path);
    int r = 0;

    if (!d)
        return 0;
    for (size_t i = 0; i < d->count && r == 0; i++) {
        char *child;

        if (!S_ISDIR(d->v[i].attr.mode))
            continue;
        child = below(path, d->v[i].name);
        r = child ? forget_below(w, child) : -ENOMEM;
        free(child);
    }
    if (r == 0)
        r = news_all_of(w, false, d);
    seen_retire(w, d);
    return r;
}

/* Directories to be fetched with all that is below them. */
struct wanted {
    char **v; /* owned, as the strings; below the watched path */
    size_t count, cap;
};

static int want(struct wanted *q, const char *dir, const char *name)
{
    if (q->count == q->cap) {
        const size_t cap = q->cap ? 2 * q->cap : 16;
        char **v = realloc(q->v, cap * sizeof(*v));

        if (!v)
            return -ENOMEM;
        q->v = v;
        q->cap = cap;
    }
    q->v[q->count] = below(dir, name);
    return q->v[q->count++] ? 0 : -ENOMEM;
}

static void wanted_done(struct wanted *q)
{
    while (q->count > 0)
        free(q->v[--q->count]);
    free(q->v);
}

/* An entry that was, one that is: either may be NULL. */
static int meet(struct fs_watch *w, const char *dir, const struct seen_entry *was,
                const struct seen_entry *now, struct wanted *q)
{
    const bool was_dir = was && S_ISDIR(was->attr.mode), is_dir = now && S_ISDIR(now->attr.mode);
    const bool same = was && now && same_attr(&was->attr, &now->attr);
    bool goes = was_dir && !(is_dir && same_identity(&was->attr, &now->attr));
    bool comes = is_dir && (goes || !was_dir);
    int r = 0;

    if (!same && was)
        r = news_put(w, false, dir, was->name, &was->attr);
    if (!same && now && r == 0)
        r = news_put(w, true, dir, now->name, &now->attr);
    if (is_dir && was_dir && !goes && r == 0) {
        char *path = below(dir, now->name);
        const struct seen_dir *d = path ? seen_find(w, path) : NULL;

        if (!path)
            return -ENOMEM;
        free(path);
        if (d ? d->silent && !same : !w->cut) /* it may be readable, or there again */
            goes = comes = true;
    }
    if (goes && r == 0) {
        char *path = below(dir, was->name);

        r = path ? forget_below(w, path) : -ENOMEM;
        free(path);
    }
    return comes && r == 0 ? want(q, dir, now->name) : r;
}

/* Both in order. */
static int meet_all(struct fs_watch *w, const struct seen_dir *was, const struct seen_dir *now,
                    struct wanted *q)
{
    size_t i = 0, k = 0;
    int r = 0;

    if (!*now->path && !same_attr(&was->self, &now->self)) {
        r = news_put(w, false, "", "", &was->self);
        if (r == 0)
            r = news_put(w, true, "", "", &now->self);
    }
    while (r == 0 && (i < was->count || k < now->count)) {
        const int c = i == was->count   ? 1
                      : k == now->count ? -1
                                        : strcmp(was->v[i].name, now->v[k].name);

        r = meet(w, now->path, c <= 0 ? &was->v[i] : NULL, c >= 0 ? &now->v[k] : NULL, q);
        i += c <= 0;
        k += c >= 0;
    }
    return r;
}

/* ---- what fs knows ---- */

/* Answers that are under way may be older than this. */
static void doubt_node_locked(struct fs *fs, struct node *n)
{
    node_stale_locked(n);
    n->changed_seq = ++fs->seq;
    fs_tell_inode_locked(fs, n);
}

static void doubt_names_locked(struct fs *fs, struct node *dir)
{
    if (dir->dir->listed)
        tree_dir_stale_locked(dir);
    dir->dir->names_seq = ++fs->seq;
    if (dir->dir->flight)
        dir->dir->flight->lost = true;
}

/* A change of ours that is under way is no news, and what is not sent yet is known best here. */
static bool is_ours_locked(const struct node *n)
{
    return n->changing > 0 || node_local(n);
}

static void learn_whole_locked(struct fs *fs, struct node *dir)
{
    struct node *n, *tmp;

    HASH_ITER(by_name, dir->dir->children, n, tmp)
        if (n->mark != fs->marks && !is_ours_locked(n) && !op_touches_locked(fs, dir, n->name)) {
            doubt_node_locked(fs, n);
            doubt_names_locked(fs, dir);
            fs_tell_entry_locked(fs, dir, n->name);
        }
}

/* What is not as we know it is asked for at the next access, and the kernel asks us. That does no
 * harm where a change of ours is the reason. */
static void learn_dir_locked(struct fs *fs, const char *path, const struct remote_tree *t,
                             const struct remote_dir *d)
{
    struct node *dir = node_at_locked(fs, path), *n;

    if (!dir || !dir->dir)
        return;
    if (d->err || (dir->changing == 0 && !remote_attr_same(&dir->attr, &d->self)))
        doubt_node_locked(fs, dir);
    if (d->err)
        return;
    fs->marks++;
    for (size_t i = 0; i < d->count; i++) {
        const struct remote_entry *e = &t->v[d->first + i];

        n = node_child_locked(dir, e->name);
        if (n) {
            n->mark = fs->marks;
            if (!is_ours_locked(n) && !remote_attr_same(&n->attr, &e->attr))
                doubt_node_locked(fs, n);
        } else if (!op_touches_locked(fs, dir, e->name)) {
            doubt_names_locked(fs, dir);
            negative_wrong_locked(fs, dir, e->name);
        }
    }
    if (d->whole)
        learn_whole_locked(fs, dir);
}

static void learn(struct fs_watch *w, const struct remote_tree *t)
{
    struct fs *fs = w->fs;

    fs_lock(fs);
    for (size_t i = 0; i < t->dir_count; i++) {
        char *path = *t->dirs[i].path ? path_join(w->root, t->dirs[i].path) : strdup(w->root);

        if (path && path_is_below(path, fs->root_path))
            learn_dir_locked(fs, path, t, &t->dirs[i]);
        free(path);
    }
    fs_unlock(fs);
    fs_drain_notify(fs);
}

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

    if (w->asked && !w->asked_old)
        return 0;
    asked_drop(w);
    w->asked = calloc(HASH_COUNT(w->dirs) + 1, sizeof(*w->asked));
    if (!w->asked)
        return -ENOMEM;
    HASH_ITER(hh, w->dirs, d, tmp) {
        if (d->silent || w->asked_count == REMOTE_PATHS_MAX)
            continue;
        w->asked[w->asked_count] = below(w->prefix, d->path);
        if (!w->asked[w->asked_count++])
            return -ENOMEM;
    }
    qsort(w->asked, w->asked_count, sizeof(*w->asked), by_text);
    w->asked_old = false;
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

        if (!rel || seen_find(w, rel))
            continue;
        now = seen_next(rel, NULL, t, d);
        if (!now)
            return -ENOMEM;
        now->silent = d->err != 0;
        seen_add(w, now);
        r = news_all_of(w, true, now);
    }
    w->cut = w->cut || t->more;
    learn(w, t);
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
        r = news_put(w, false, "", "", &w->old_alone);
    w->alone_there = false;
    if (r == 0)
        r = forget_below(w, "");
    HASH_ITER(hh, w->dirs, d, tmp) /* what memory did not suffice for */
        seen_retire(w, d);
    w->looked = true;
    w->cut = false;
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
        r = news_put(w, true, "", "", &w->alone);
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
    const size_t left = w->max > w->count ? w->max - w->count : 0;
    struct remote_tree t = {0};
    char **paths;
    int r = 0;

    if (q->count == 0)
        return 0;
    if (left == 0) {
        w->cut = true;
        return 0;
    }
    paths = calloc(q->count, sizeof(*paths));
    if (!paths)
        return -ENOMEM;
    for (size_t i = 0; i < q->count && r == 0; i++) {
        paths[i] = below(w->prefix, q->v[i]);
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
    struct seen_dir *was = rel ? seen_find(w, rel) : NULL, *now;

    if (!was)
        return 0; /* it went with the one above, or was not asked for */
    if (d->err) {
        was->silent = w->asked_old = true; /* the one above has more to say about it */
        return *rel ? 0 : -ESTALE;
    }
    if (!*rel && !same_identity(&was->self, &d->self))
        return -ESTALE;
    now = seen_next(rel, was, t, d);
    if (!now)
        return -ENOMEM;
    seen_retire(w, was);
    seen_add(w, now);
    return meet_all(w, was, now, q);
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
        learn(w, t);
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
    learn(w, t);
    if (e && w->alone_there && same_attr(&w->alone, &e->attr))
        return 0;
    w->old_alone = w->alone;
    if (w->alone_there)
        r = news_put(w, false, "", "", &w->old_alone);
    w->alone_there = e != NULL;
    if (e)
        w->alone = e->attr;
    return e && r == 0 ? news_put(w, true, "", "", &w->alone) : r;
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
    struct seen_dir *d, *tmp;

    if (!w)
        return NULL;
    HASH_ITER(hh, w->dirs, d, tmp)
        seen_retire(w, d);
    news_drop(w);
    asked_drop(w);
    free(w->names);
    free(w->before);
    free(w->after);
    free(w->boot);
    free(w->path);
    free(w->root);
    free(w->prefix);
    free(w);
    return NULL;
}

int fs_watch_next(struct fs_watch *w, int64_t wait_ns, struct fs_watch_news *ret)
{
    const bool was_cut = w->cut;
    int r = -ESTALE;

    news_drop(w);
    w->looked = false;
    if (w->state != WATCH_UNKNOWN)
        r = ask_changes(w, wait_ns);
    for (int i = 0; i < LOOKS_MAX && (r == -ESTALE || r == -EAGAIN); i++)
        r = look(w);
    if (r < 0 && w->before_count + w->after_count == 0)
        return r;
    *ret = (struct fs_watch_news){.cut = w->cut};
    /* Two looks at a part of a tree may be at two different parts. */
    ret->overflow = w->told && (w->looked ? was_cut || w->cut : w->cut && !was_cut);
    if (w->told && !(w->looked && ret->overflow)) {
        ret->before = w->before;
        ret->before_count = w->before_count;
        ret->after = w->after;
        ret->after_count = w->after_count;
    }
    w->told = true;
    return 0;
}
