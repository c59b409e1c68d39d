/*
 * What watch tells: one thread for each watched path, however many watch it, that looks at the tree
 * again and again and tells the differences. It works as long as somebody watches. Then the feed
 * rests: it costs nothing but memory, and who comes back with a cursor is told what happened since.
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

#define PAUSE_MIN_NS (NS_PER_S / 2)
#define PAUSE_MAX_NS (5 * NS_PER_S)
/* What waits in the sandbox does not hear that nobody watches any more. So it outlives those who
 * watched by no more than they have watched already, or by this. */
#define WAIT_FIRST_NS (5 * NS_PER_S)
/* After news: what changed last is then old enough not to be told again. */
#define SETTLE_NS (50 * NS_PER_MS)

enum {
    LINES_MAX = 1024 * 1024, /* bytes told at a time; more than any reader's spool holds */
    HISTORY_MAX = SPOOL_MAX, /* bytes of lines that can be told again */
    RESTING_MAX = 4,
};

struct feed {
    struct feed *prev, *next; /* ctl.lock */
    struct ctl *ctl;
    char *path;                  /* in the sandbox */
    char *shown;                 /* as lines show it */
    const struct ctl_node *node; /* of watch, which stays */
    struct cancel *cancel;
    pthread_cond_t changed;   /* of what follows; ctl.lock */
    struct watcher *watchers; /* nobody: the thread ends */
    bool works;               /* a thread does */
    bool poked;
    struct cancel *step; /* ends the look that goes on; NULL: none does */
    bool waits;          /* that one does, for changes */
    struct buf history;  /* the last lines */
    bool begun;          /* there was a look */
    uint64_t known;      /* what happened after this line can still be told, if begun */

    /* The thread's own. */
    struct look *look;
    int failing; /* what the last look got */
    bool flat_told;
    int64_t pause_ns; /* the last one */
    int64_t began_ns; /* monotonic: somebody has watched since then */
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
    const uint64_t seq = atomic_fetch_add(&f->ctl->watch_seq, 1) + 1;
    int r = buf_printf(out, "%llu\t%s\t", (unsigned long long)seq, what);

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

static size_t line_len(const struct buf *lines, size_t at)
{
    return (size_t)((char *)memchr(lines->data + at, '\n', lines->len - at) + 1 -
                    (lines->data + at));
}

static uint64_t seq_at(const struct buf *lines, size_t at)
{
    return strtoull(lines->data + at, NULL, 10);
}

static void tell_from_locked(struct feed *f, struct watcher *w, const struct buf *lines, size_t at)
{
    for (size_t n; at < lines->len; at += n) {
        n = line_len(lines, at);
        if (spool_add(&w->spool, lines->data + at, n) < 0) {
            overflow_locked(f, w);
            break;
        }
    }
}

/* Whole lines; the oldest are forgotten. */
static void remember_locked(struct feed *f, const struct buf *lines)
{
    for (size_t at = 0, n; at < lines->len; at += n) {
        n = line_len(lines, at);
        while (f->history.len > 0 && f->history.len + n > HISTORY_MAX) {
            f->known = seq_at(&f->history, 0);
            buf_consume(&f->history, line_len(&f->history, 0));
        }
        if (buf_append(&f->history, lines->data + at, n) < 0)
            f->known = seq_at(lines, at);
    }
}

static void spread_locked(struct feed *f, const struct buf *lines)
{
    struct watcher *w;

    remember_locked(f, lines);
    DL_FOREACH(f->watchers, w)
        if (w->armed)
            tell_from_locked(f, w, lines, 0);
}

/* What happened since the line that the watcher saw last. */
static void tell_again_locked(struct feed *f, struct watcher *w)
{
    size_t at = 0;

    if (w->since < f->known || w->since > atomic_load(&f->ctl->watch_seq)) {
        overflow_locked(f, w);
        return;
    }
    while (at < f->history.len && seq_at(&f->history, at) <= w->since)
        at += line_len(&f->history, at);
    tell_from_locked(f, w, &f->history, at);
}

/* Those who came before the scan began are watching from now on, or never will. */
static void arm_locked(struct feed *f, int r)
{
    struct watcher *w, *tmp;

    if (r == 0 && !f->begun) {
        f->begun = true;
        f->known = atomic_load(&f->ctl->watch_seq) + 1; /* what was told so far others told */
    }
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
        else if (w->resumes)
            tell_again_locked(f, w);
    }
}

/* ---- the thread ---- */

static void feed_free(struct feed *f)
{
    look_free(f->look);
    buf_done(&f->history);
    cancel_unref(f->step);
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
        ctl_report(f->ctl, f->node, pid, r, "cannot look at %s: %s", f->shown, errtext_sentence(r));
    if (r != -EINTR)
        f->failing = r;
    if (look_is_flat(f->look) && !f->flat_told) {
        f->flat_told = true;
        ctl_report(f->ctl, f->node, 0, -EOPNOTSUPP,
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

static int64_t wait_of(const struct feed *f)
{
    const int64_t watched_ns = clock_mono_ns() - f->began_ns, max_ns = f->ctl->watch_wait_ns;
    const int64_t wait_ns = watched_ns > WAIT_FIRST_NS ? watched_ns : WAIT_FIRST_NS;

    return wait_ns < max_ns ? wait_ns : max_ns;
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
    if (f->step)
        (void)cancel_bind(f->step);
    r = look_on(f, f->waits ? wait_of(f) : 0, &lines);
    (void)cancel_bind(before);
    (void)remote_bind_background(false);
    report_look(f, r, awaited, pid);
    f->pause_ns = pause_after(f, r, awaited, lines.len > 0, clock_mono_ns() - start_ns);
    lock_take(&ctl->lock);
    f->step = cancel_unref(f->step);
    spread_locked(f, &lines);
    if (r != -EINTR || awaited)
        arm_locked(f, r);
    ctl_settle_locked(ctl, &later);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    buf_done(&lines);
}

/* One that rests, of too many; or that never saw anything. */
static struct feed *oldest_to_go_locked(struct ctl *ctl)
{
    struct feed *f, *oldest = NULL;
    unsigned resting = 0;

    DL_FOREACH(ctl->feeds, f) {
        if (f->works)
            continue;
        if (!f->begun)
            return f;
        resting++;
        oldest = oldest ? oldest : f;
    }
    return resting > RESTING_MAX ? oldest : NULL;
}

static void feed_work(struct ctl *ctl, void *arg)
{
    struct feed *f = arg, *old;

    f->began_ns = clock_mono_ns();
    lock_take(&ctl->lock);
    while (f->watchers) { /* ctl_free releases them all, too */
        pid_t pid = 0;
        const bool awaited = mark_wanted_locked(f, &pid);
        int64_t until_ns;

        f->step = cancel_new();
        f->waits = f->step && !awaited && look_waits(f->look);
        lock_drop(&ctl->lock);
        feed_step(f, awaited, pid);
        until_ns = clock_mono_ns() + f->pause_ns;
        lock_take(&ctl->lock);
        while (f->watchers && !f->poked &&
               lock_wait_until(&ctl->lock, &f->changed, until_ns) != -ETIMEDOUT)
            ;
    }
    f->works = false;
    DL_DELETE(ctl->feeds, f); /* the last one to rest is the last in the list */
    DL_APPEND(ctl->feeds, f);
    old = oldest_to_go_locked(ctl);
    if (old)
        DL_DELETE(ctl->feeds, old);
    lock_drop(&ctl->lock);
    if (old)
        feed_free(old);
}

void feeds_free(struct ctl *ctl)
{
    struct feed *f, *tmp;

    DL_FOREACH_SAFE(ctl->feeds, f, tmp)
        feed_free(f);
}

/* ---- watchers ---- */

/* path is taken over. */
static struct feed *feed_new_locked(struct ctl *ctl, const struct ctl_node *node, char *path,
                                    int *ret_err)
{
    struct feed *f = calloc(1, sizeof(*f));

    *ret_err = -ENOMEM;
    if (!f) {
        free(path);
        return NULL;
    }
    f->ctl = ctl;
    f->node = node;
    f->path = path;
    f->shown = fs_mount_path(ctl->fs, path);
    f->cancel = cancel_new();
    lock_cond_init(&f->changed);
    buf_init(&f->history, HISTORY_MAX);
    if (f->shown && f->cancel)
        *ret_err = look_new(ctl, path, &f->look);
    if (*ret_err < 0) {
        feed_free(f);
        return NULL;
    }
    DL_APPEND(ctl->feeds, f);
    return f;
}

/* It looks from now on, if it did not, and begins anew. */
static int feed_wake_locked(struct feed *f)
{
    int r;

    if (!f->works) {
        r = task_start_locked(f->ctl, feed_work, f, f->cancel);
        f->works = r == 0;
        return r;
    }
    f->poked = true;
    if (f->waits)
        cancel_fire(f->step);
    pthread_cond_broadcast(&f->changed);
    return 0;
}

/* What follows the NUL of a path: nothing, or the line to go on from. */
static int take_cursor(struct watcher *w, const char *text, size_t len)
{
    const char *nul = memchr(text, '\0', len);
    const size_t left = nul ? len - (size_t)(nul + 1 - text) : 0;
    char digits[24], *end;

    if (left == 0 || (left == 1 && nul[1] == '\n'))
        return 0;
    if (left >= sizeof(digits) || nul[1] < '0' || nul[1] > '9')
        return -EINVAL;
    memcpy(digits, nul + 1, left);
    digits[left] = '\0';
    errno = 0;
    w->since = strtoull(digits, &end, 10);
    w->resumes = true;
    return errno == 0 && (*end == '\0' || strcmp(end, "\n") == 0) ? (int)(nul + 1 - text) : -EINVAL;
}

static int join_locked(struct ctl *ctl, const struct ctl_node *node, struct watcher *w,
                       const char *text, size_t len, struct later *later)
{
    char *given = NULL, *path;
    struct feed *f;
    int r = take_cursor(w, text, len);

    if (r >= 0)
        r = ctltext_path(text, r > 0 ? (size_t)r : len, &given);
    if (r < 0) {
        later->report.sentence =
            "a question is one path; end it with NUL if it holds a newline, or "
            "if the number of the last line known follows";
        return r;
    }
    path = fs_sandbox_path(ctl->fs, given);
    free(given);
    if (!path)
        return -ENOMEM;
    DL_FOREACH(ctl->feeds, f)
        if (strcmp(f->path, path) == 0)
            break;
    if (f)
        free(path);
    else
        f = feed_new_locked(ctl, node, path, &r);
    if (f)
        r = feed_wake_locked(f);
    if (r == 0) {
        w->feed = f;
        DL_APPEND(f->watchers, w);
    } else {
        later->report.sentence = "not watched: too many questions and watches are running already";
    }
    return r;
}

struct watcher *watcher_new_locked(struct ctl *ctl, const struct ctl_node *node, const char *text,
                                   size_t len, pid_t pid, struct later *later)
{
    struct watcher *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->pid = pid;
    spool_init(&w->spool);
    w->err = join_locked(ctl, node, w, text, len, later);
    if (w->err < 0 && later->report.sentence) {
        later->report.err = w->err;
        later->report.pid = pid;
        later->report.node = node;
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
            cancel_fire(f->step);
            pthread_cond_broadcast(&f->changed);
        }
    }
    spool_done(&w->spool);
    free(w);
}
