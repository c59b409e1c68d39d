/*
 * What watch tells: one thread for each watched path, however many watch it, that lists the tree
 * again and again and tells the differences. It lives as long as somebody watches.
 */
#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"
#include "ctl/treediff.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define PAUSE_MIN_NS (NS_PER_S / 2)
#define PAUSE_MAX_NS (5 * NS_PER_S)

enum {
    ENTRIES_MAX = 100000,
    DEPTH_MAX = 1000,
    LINES_MAX = 1024 * 1024, /* bytes told at a time; more than any reader's spool holds */
};

struct feed {
    struct feed *prev, *next; /* ctl.lock */
    struct ctl *ctl;
    char *path;  /* in the sandbox */
    char *shown; /* as lines show it */
    const struct ctl_file *file;
    struct cancel *cancel;
    pthread_cond_t changed;   /* of what follows; ctl.lock */
    struct watcher *watchers; /* nobody: the thread ends, and nobody joins any more */
    bool poked;

    /* The thread's own. */
    uint64_t seq;
    unsigned depth;
    struct scan *now; /* NULL before the first */
    int failing;      /* what the last scan got */
};

/* One listing, in the form that can be compared. */
struct scan {
    struct remote_list list;
    struct tree tree; /* points into list */
};

static struct scan *scan_free(struct scan *s)
{
    if (s) {
        remote_list_done(&s->list);
        free(s->tree.v);
        free(s);
    }
    return NULL;
}

/* ---- looking ---- */

static int tree_of_dir(struct scan *s)
{
    s->tree.v = calloc(s->list.count + 1, sizeof(s->tree.v[0]));
    if (!s->tree.v)
        return -ENOMEM;
    s->tree.v[s->tree.count++] = (struct tree_entry){.name = "", .attr = &s->list.self};
    for (size_t i = 0; i < s->list.count; i++)
        s->tree.v[s->tree.count++] =
            (struct tree_entry){.name = s->list.v[i].name, .attr = &s->list.v[i].attr};
    s->tree.cut = s->list.cut;
    tree_sort(&s->tree);
    return 0;
}

/* What is no directory is looked at through its parent. */
static int tree_of_file(struct feed *f, struct scan *s)
{
    char *parent = path_dir(f->path);
    int r;

    if (!parent)
        return -ENOMEM;
    r = fs_scan(f->ctl->fs, parent, 1, ENTRIES_MAX, &s->list);
    free(parent);
    if (r < 0)
        return r;
    s->tree.v = calloc(1, sizeof(s->tree.v[0]));
    if (!s->tree.v)
        return -ENOMEM;
    for (size_t i = 0; i < s->list.count && s->tree.count == 0; i++)
        if (strcmp(s->list.v[i].name, path_base(f->path)) == 0)
            s->tree.v[s->tree.count++] =
                (struct tree_entry){.name = "", .attr = &s->list.v[i].attr};
    s->tree.cut = s->list.cut && s->tree.count == 0;
    return 0;
}

static int look(struct feed *f, struct scan **ret)
{
    struct scan *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    r = fs_scan(f->ctl->fs, f->path, f->depth, ENTRIES_MAX, &s->list);
    if (r == -EOPNOTSUPP && f->depth > 1) {
        f->depth = 1; /* this sandbox cannot list a tree at once */
        ctl_report(f->ctl, f->file, 0, r, "only %s itself is watched, not what is below it",
                   f->shown);
        r = fs_scan(f->ctl->fs, f->path, f->depth, ENTRIES_MAX, &s->list);
    }
    if (r == 0)
        r = tree_of_dir(s);
    else if (r == -ENOTDIR)
        r = tree_of_file(f, s);
    if (r == -ENOENT || r == -ENOTDIR)
        r = 0; /* it is not there: an empty tree */
    if (r < 0)
        scan_free(s);
    else
        *ret = s;
    return r;
}

/* ---- telling ---- */

struct telling {
    struct feed *feed;
    struct buf lines;
};

static int put_path(struct feed *f, const char *name, struct buf *out)
{
    const bool root = strcmp(f->shown, ".") == 0;
    int r = 0;

    if (*name == '\0' || !root)
        r = ctltext_escape(out, f->shown, strlen(f->shown));
    if (r == 0 && *name && !root && strcmp(f->shown, "/") != 0)
        r = buf_putc(out, '/');
    return r < 0 ? r : ctltext_escape(out, name, strlen(name));
}

static int put_line(struct feed *f, const char *what, const char *name, const char *new_name,
                    struct buf *out)
{
    const size_t start = out->len;
    int r = buf_printf(out, "%llu\t%s\t", (unsigned long long)++f->seq, what);

    if (r == 0)
        r = put_path(f, name, out);
    if (r == 0 && new_name)
        r = buf_putc(out, '\t');
    if (r == 0 && new_name)
        r = put_path(f, new_name, out);
    if (r == 0)
        r = buf_putc(out, '\n');
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

static int tell(void *arg, enum tree_event event, const char *name, const char *new_name)
{
    static const char *const words[] = {[TREE_CREATE] = "create",
                                        [TREE_MODIFY] = "modify",
                                        [TREE_DELETE] = "delete",
                                        [TREE_RENAME] = "rename"};
    struct telling *t = arg;

    return put_line(t->feed, words[event], name, new_name, &t->lines);
}

/* Takes over next. Lines for all that is different from before. */
static void compare(struct feed *f, struct scan *next, struct buf *lines)
{
    struct telling t = {.feed = f, .lines = BUF_INIT(LINES_MAX)};
    int r = 0;

    if (f->now) {
        r = tree_diff(&f->now->tree, &next->tree, tell, &t);
        /* Of a cut listing only what it shows is known, so this is said once. */
        if (r < 0 || (next->tree.cut && !f->now->tree.cut))
            (void)put_line(f, "overflow", "", NULL, r < 0 ? lines : &t.lines);
    }
    if (r < 0)
        buf_done(&t.lines);
    else
        *lines = t.lines;
    scan_free(f->now);
    f->now = next;
}

static void overflow_locked(struct feed *f, struct watcher *w)
{
    struct buf line = BUF_INIT(SPOOL_MAX);

    if (put_line(f, "overflow", "", NULL, &line) == 0)
        (void)spool_lose(&w->spool, line.data, line.len);
    buf_done(&line);
}

static void spread_locked(struct feed *f, const struct buf *lines)
{
    struct watcher *w;

    DL_FOREACH(f->watchers, w) {
        if (!w->armed)
            continue;
        for (size_t i = 0, n; i < lines->len; i += n) {
            n = (size_t)((char *)memchr(lines->data + i, '\n', lines->len - i) + 1 - lines->data) -
                i;
            if (spool_add(&w->spool, lines->data + i, n) < 0) {
                overflow_locked(f, w);
                break;
            }
        }
    }
}

/* Those who came before the scan began are watching from now on, or never will. */
static void arm_locked(struct feed *f, int r)
{
    struct watcher *w, *tmp;

    DL_FOREACH_SAFE(f->watchers, w, tmp) {
        if (!w->wanted || w->armed)
            continue;
        if (r < 0) {
            w->err = r;
            w->feed = NULL;
            DL_DELETE(f->watchers, w);
            continue;
        }
        w->armed = true;
        if (f->now->tree.cut)
            overflow_locked(f, w);
    }
}

/* ---- the thread ---- */

static void feed_free(struct feed *f)
{
    scan_free(f->now);
    cancel_unref(f->cancel);
    pthread_cond_destroy(&f->changed);
    free(f->path);
    free(f->shown);
    free(f);
}

/* True if somebody waits for the next look: *ret_pid. */
static bool mark_wanted_locked(struct feed *f, pid_t *ret_pid)
{
    struct watcher *w;
    bool awaited = false;

    f->poked = false;
    DL_FOREACH(f->watchers, w) {
        w->wanted = true;
        if (!w->armed) {
            awaited = true;
            *ret_pid = w->pid;
        }
    }
    return awaited;
}

/* One look, and what follows from it. True if something had changed. */
static bool feed_step(struct feed *f, bool awaited, pid_t pid)
{
    struct ctl *ctl = f->ctl;
    struct buf lines = BUF_INIT(SPOOL_MAX);
    struct later later = {0};
    struct scan *next = NULL;
    bool changed;
    int r;

    /* Who begins to watch waits for it; from then on a sandbox that nobody uses may go to sleep. */
    (void)remote_bind_background(!awaited);
    r = look(f, &next);
    (void)remote_bind_background(false);
    if (r == 0)
        compare(f, next, &lines);
    else if (r != -EINTR && r != f->failing && (awaited || r != -EHOSTDOWN))
        ctl_report(ctl, f->file, pid, r, "cannot look at %s: %s", f->shown, errtext_sentence(r));
    f->failing = r;
    changed = lines.len > 0;
    lock_take(&ctl->lock);
    spread_locked(f, &lines);
    arm_locked(f, r);
    ctl_settle_locked(ctl, &later);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    buf_done(&lines);
    return changed;
}

static void feed_work(struct ctl *ctl, void *arg)
{
    struct feed *f = arg;
    int64_t pause_ns = PAUSE_MIN_NS;

    lock_take(&ctl->lock);
    while (f->watchers) { /* ctl_free releases them all, too */
        pid_t pid = 0;
        const bool awaited = mark_wanted_locked(f, &pid);
        int64_t until_ns;

        lock_drop(&ctl->lock);
        if (feed_step(f, awaited, pid))
            pause_ns = PAUSE_MIN_NS;
        else
            pause_ns = pause_ns * 3 / 2 < PAUSE_MAX_NS ? pause_ns * 3 / 2 : PAUSE_MAX_NS;
        until_ns = clock_mono_ns() + pause_ns;
        lock_take(&ctl->lock);
        while (f->watchers && !f->poked &&
               lock_wait_until(&ctl->lock, &f->changed, until_ns) != -ETIMEDOUT)
            ;
    }
    DL_DELETE(ctl->feeds, f);
    lock_drop(&ctl->lock);
    feed_free(f);
}

/* ---- watchers ---- */

/* path is taken over. */
static struct feed *feed_new_locked(struct ctl *ctl, char *path, int *ret_err)
{
    struct feed *f = calloc(1, sizeof(*f));

    *ret_err = -ENOMEM;
    if (!f) {
        free(path);
        return NULL;
    }
    f->ctl = ctl;
    f->path = path;
    f->shown = fs_mount_path(ctl->fs, path);
    f->cancel = cancel_new();
    f->depth = DEPTH_MAX;
    lock_cond_init(&f->changed);
    f->file = ctl_file_named("watch");
    if (f->shown && f->cancel)
        *ret_err = task_start_locked(ctl, feed_work, f, f->cancel);
    if (*ret_err < 0) {
        feed_free(f);
        return NULL;
    }
    DL_APPEND(ctl->feeds, f);
    return f;
}

static int join_locked(struct ctl *ctl, struct watcher *w, const char *text, size_t len,
                       struct later *later)
{
    char *given = NULL, *path;
    struct feed *f;
    int r = ctltext_path(text, len, &given);

    if (r < 0) {
        later->report.sentence = "a question is one path; end it with NUL if it holds a newline";
        return r;
    }
    path = fs_sandbox_path(ctl->fs, given);
    free(given);
    if (!path)
        return -ENOMEM;
    DL_FOREACH(ctl->feeds, f)
        if (f->watchers && strcmp(f->path, path) == 0)
            break;
    if (f) {
        free(path);
        f->poked = true;
        pthread_cond_broadcast(&f->changed);
    } else {
        f = feed_new_locked(ctl, path, &r);
    }
    if (f) {
        w->feed = f;
        DL_APPEND(f->watchers, w);
    } else {
        later->report.sentence = "not watched: too many questions and watches are running already";
    }
    return r;
}

struct watcher *watcher_new_locked(struct ctl *ctl, const char *text, size_t len, pid_t pid,
                                   struct later *later)
{
    struct watcher *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->pid = pid;
    spool_init(&w->spool);
    w->err = join_locked(ctl, w, text, len, later);
    if (w->err < 0 && later->report.sentence) {
        later->report.err = w->err;
        later->report.pid = pid;
        later->report.file = ctl_file_named("watch");
    }
    return w;
}

void watcher_free_locked(struct ctl *ctl, struct watcher *w)
{
    struct feed *f = w ? w->feed : NULL;

    if (!w)
        return;
    if (f) {
        DL_DELETE(f->watchers, w);
        if (!f->watchers) {
            cancel_fire(f->cancel);
            pthread_cond_broadcast(&f->changed);
        }
    }
    spool_done(&w->spool);
    free(w);
}
