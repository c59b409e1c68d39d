/*
 * What watch tells: one thread for each watched path, however many watch it, that looks at the tree
 * again and again and tells the differences. It lives as long as somebody watches.
 *
 * Where the sandbox tells by itself when something changes, a look lasts until then. Whoever comes
 * meanwhile ends it, so that there is a look that begins after they came: then they are armed.
 */
#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"
#include "ctl/look.h"
#include "util/clock.h"
#include "util/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define PAUSE_MIN_NS (NS_PER_S / 2)
#define PAUSE_MAX_NS (5 * NS_PER_S)
/* After news: what changed last is then old enough not to be told again. */
#define SETTLE_NS (50 * NS_PER_MS)

enum {
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
    struct cancel *wait; /* ends the look that waits; NULL: none does */

    /* The thread's own. */
    uint64_t seq;
    struct look *look;
    int failing; /* what the last look got */
    bool flat_told;
    int64_t pause_ns; /* the last one */
};

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

/* One look: lines for all that is different from before. */
static int look_on(struct feed *f, int64_t wait_ns, struct buf *lines)
{
    struct telling t = {.feed = f, .lines = BUF_INIT(LINES_MAX)};
    bool overflow;
    int r = look_next(f->look, wait_ns, tell, &t, &overflow);

    if (r < 0)
        buf_truncate(&t.lines, 0);
    if (overflow) {
        r = 0;
        (void)put_line(f, "overflow", "", NULL, &t.lines);
    }
    *lines = t.lines;
    return r;
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
        if (look_cut(f->look))
            overflow_locked(f, w);
    }
}

/* ---- the thread ---- */

static void feed_free(struct feed *f)
{
    look_free(f->look);
    cancel_unref(f->wait);
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

static void report_look(struct feed *f, int r, bool awaited, pid_t pid)
{
    if (r < 0 && r != -EINTR && r != f->failing && (awaited || r != -EHOSTDOWN))
        ctl_report(f->ctl, f->file, pid, r, "cannot look at %s: %s", f->shown, errtext_sentence(r));
    if (r != -EINTR)
        f->failing = r;
    if (look_is_flat(f->look) && !f->flat_told) {
        f->flat_told = true;
        ctl_report(f->ctl, f->file, 0, -EOPNOTSUPP,
                   "only %s itself is watched, not what is below it", f->shown);
    }
}

static int64_t longer(int64_t pause_ns, int64_t min_ns)
{
    if (pause_ns < min_ns)
        return min_ns;
    return pause_ns * 3 / 2 < PAUSE_MAX_NS ? pause_ns * 3 / 2 : PAUSE_MAX_NS;
}

/* How long until the next look. */
static int64_t pause_after(const struct feed *f, int r, bool awaited, bool changed, int64_t took_ns)
{
    const int64_t wait_ns = f->ctl->watch_wait_ns;

    if (!look_waits(f->look) || (r < 0 && r != -EINTR))
        return changed ? PAUSE_MIN_NS : longer(f->pause_ns, PAUSE_MIN_NS);
    if (changed)
        return SETTLE_NS;
    if (r == -EINTR || awaited || took_ns >= (wait_ns < 2 * NS_PER_S ? wait_ns / 2 : NS_PER_S))
        return 0;
    return longer(f->pause_ns, SETTLE_NS); /* it takes for changed what is not */
}

/* One look, and what follows from it. */
static void feed_step(struct feed *f, bool awaited, pid_t pid)
{
    const int64_t start_ns = clock_mono_ns();
    struct ctl *ctl = f->ctl;
    struct buf lines = BUF_INIT(SPOOL_MAX);
    struct later later = {0};
    struct cancel *before = cancel_bound();
    int r;

    /* Who begins to watch waits for it; from then on a sandbox that nobody uses may go to sleep. */
    (void)remote_bind_background(!awaited);
    if (f->wait)
        (void)cancel_bind(f->wait);
    r = look_on(f, f->wait ? ctl->watch_wait_ns : 0, &lines);
    (void)cancel_bind(before);
    (void)remote_bind_background(false);
    report_look(f, r, awaited, pid);
    f->pause_ns = pause_after(f, r, awaited, lines.len > 0, clock_mono_ns() - start_ns);
    lock_take(&ctl->lock);
    f->wait = cancel_unref(f->wait);
    spread_locked(f, &lines);
    if (r != -EINTR || awaited)
        arm_locked(f, r);
    ctl_settle_locked(ctl, &later);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    buf_done(&lines);
}

static void feed_work(struct ctl *ctl, void *arg)
{
    struct feed *f = arg;

    lock_take(&ctl->lock);
    while (f->watchers) { /* ctl_free releases them all, too */
        pid_t pid = 0;
        const bool awaited = mark_wanted_locked(f, &pid);
        int64_t until_ns;

        if (!awaited && look_waits(f->look))
            f->wait = cancel_new(); /* without memory for one it does not wait */
        lock_drop(&ctl->lock);
        feed_step(f, awaited, pid);
        until_ns = clock_mono_ns() + f->pause_ns;
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
    lock_cond_init(&f->changed);
    f->file = ctl_file_named("watch");
    if (f->shown && f->cancel)
        *ret_err = look_new(ctl, path, &f->look);
    if (*ret_err == 0)
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
        cancel_fire(f->wait);
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
            cancel_fire(f->wait);
            pthread_cond_broadcast(&f->changed);
        }
    }
    spool_done(&w->spool);
    free(w);
}
