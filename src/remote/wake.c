#include "remote/backends.h"
#include "remote/wrap.h"

#include "util/array.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/lock.h"

#include <errno.h>
#include <stdlib.h>

#define BACKOFF_MIN_NS NS_PER_S
#define BACKOFF_MAX_NS (60 * NS_PER_S)
/* How often a waiting call looks if it was cancelled. */
#define LOOK_NS (50 * NS_PER_MS)

/*
 * online       calls go through
 *   -- a call ends with -ETIMEDOUT or finds nobody there --> unreachable
 *   -- a call ends with -EHOSTDOWN, or is a question whose answer is lost, and there is a wake
 *      function --> waking
 * waking       one thread wakes; calls that need it wait for it, others go through
 *   -- the wake function returns --> online
 * unreachable  calls fail with -EHOSTDOWN; after a pause that doubles, the next one probes first
 *   -- a probe is answered, with whatever --> online
 */
struct wake {
    struct wrap wrap;
    int (*wake)(void *arg);
    void (*tell)(void *arg, int err); /* or NULL */
    void *arg;
    struct lock lock;     /* guards what follows */
    pthread_cond_t awake; /* waking became false */
    bool waking, unreachable, probing;
    bool down;        /* the last call that got through found the sandbox not running */
    int woke;         /* what the last wake returned */
    uint64_t wakings; /* finished ones */
    int64_t since_ns; /* of unreachable, wall clock, for people */
    int64_t probe_ns; /* the next one, monotonic */
    int64_t backoff_ns;
};

static bool nobody_there(int r)
{
    return r == -ETIMEDOUT || r == -EHOSTUNREACH || r == -ECONNREFUSED;
}

static void set_unreachable_locked(struct wake *w)
{
    if (!w->unreachable) {
        w->unreachable = true;
        w->since_ns = clock_real_ns();
        w->backoff_ns = BACKOFF_MIN_NS;
    } else {
        w->backoff_ns *= 2;
        if (w->backoff_ns > BACKOFF_MAX_NS)
            w->backoff_ns = BACKOFF_MAX_NS;
    }
    w->probe_ns = clock_mono_ns() + w->backoff_ns;
}

/*
 * Whether it only asks. Then an answer that was lost on the way is no answer: above all a proxy
 * before a sandbox that is on its way up or down gives none. A change may have been made.
 */
static bool only_asks(enum wrap_op op)
{
    static const bool asks[] = {
        [WRAP_STAT] = true,  [WRAP_LIST] = true,     [WRAP_TREE] = true,   [WRAP_CHANGES] = true,
        [WRAP_FETCH] = true, [WRAP_SNAPSHOT] = true, [WRAP_STATFS] = true,
    };

    return op < ARRAY_LEN(asks) && asks[op];
}

static int forward(struct wrap *wrap, const struct wrap_call *call)
{
    int r = wrap_forward(wrap, call);

    return r == -ECONNRESET && only_asks(call->op) ? -EHOSTDOWN : r;
}

/* 0: the call may be made. */
static int pass(struct wake *w)
{
    struct remote_attr attr;
    bool probe;
    int r;

    lock_take(&w->lock);
    if (!w->unreachable) {
        lock_drop(&w->lock);
        return 0;
    }
    probe = !w->probing && clock_mono_ns() >= w->probe_ns;
    if (probe)
        w->probing = true;
    lock_drop(&w->lock);
    if (!probe)
        return -EHOSTDOWN;

    r = remote_stat(w->wrap.inner, "/", &attr, NULL);
    lock_take(&w->lock);
    w->probing = false;
    /* A caller who gave up has learned nothing: the next one may ask. */
    if (r != -EINTR && (nobody_there(r) || r == -ECONNRESET))
        set_unreachable_locked(w);
    else if (r != -EINTR)
        w->unreachable = false;
    lock_drop(&w->lock);
    if (r == -EINTR)
        return r;
    return nobody_there(r) || r == -ECONNRESET ? -EHOSTDOWN : 0;
}

/* Another thread is at it: its result is ours. */
static int wait_locked(struct wake *w)
{
    const uint64_t seen = w->wakings;

    while (w->wakings == seen) {
        if (cancel_fired(cancel_bound()))
            return -EINTR;
        lock_wait_until(&w->lock, &w->awake, clock_mono_ns() + LOOK_NS);
    }
    return w->woke;
}

/* seen: how many wakings there had been when the call was made. If one has ended since, the call
 * found the sandbox as it was before: it only has to be repeated. */
static int wake_up(struct wake *w, uint64_t seen)
{
    int r;

    lock_take(&w->lock);
    if (w->waking) {
        r = wait_locked(w);
        lock_drop(&w->lock);
        return r;
    }
    if (w->wakings != seen) {
        r = w->woke;
        lock_drop(&w->lock);
        return r;
    }
    w->waking = true;
    lock_drop(&w->lock);

    r = w->wake(w->arg);

    lock_take(&w->lock);
    w->waking = false;
    w->woke = r;
    w->wakings++;
    pthread_cond_broadcast(&w->awake);
    lock_drop(&w->lock);
    return r;
}

/* What the call's end says of the sandbox; what is news is told. */
static void learn(struct wake *w, int r)
{
    bool news = false;

    lock_take(&w->lock);
    if (nobody_there(r)) {
        news = !w->unreachable;
        if (news) /* of many calls that time out together one starts the clock */
            set_unreachable_locked(w);
    } else if (r == -EHOSTDOWN) {
        news = !w->down && !w->wake; /* otherwise the wake function knows more */
        w->down = true;
    } else if (r != -EINTR && r != -ECONNRESET) {
        w->down = false;
    }
    lock_drop(&w->lock);
    if (news && w->tell)
        w->tell(w->arg, r);
}

static int wake_around(struct wrap *wrap, const struct wrap_call *call)
{
    struct wake *w = (struct wake *)wrap;
    uint64_t seen;
    int r;

    r = pass(w);
    if (r < 0)
        return r;
    lock_take(&w->lock);
    seen = w->wakings;
    lock_drop(&w->lock);
    r = forward(wrap, call);
    /* df must not start machines: free space is not worth it. */
    if (r == -EHOSTDOWN && w->wake && call->op != WRAP_STATFS && !remote_in_background() &&
        !remote_is_optional()) {
        const int woke = wake_up(w, seen);

        if (woke == -EINTR)
            return woke;
        if (woke == 0)
            r = forward(wrap, call);
    }
    learn(w, r);
    return r;
}

static void wake_done(struct wrap *wrap)
{
    struct wake *w = (struct wake *)wrap;

    pthread_cond_destroy(&w->awake);
    lock_done(&w->lock);
}

struct remote *remote_wake_new(struct remote *inner, int (*wake)(void *arg), void *arg)
{
    struct wake *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    wrap_init(&w->wrap, inner, wake_around, wake_done);
    w->wake = wake;
    w->arg = arg;
    lock_init(&w->lock);
    lock_cond_init(&w->awake);
    return &w->wrap.remote;
}

void remote_wake_tell(struct remote *r, void (*tell)(void *arg, int err))
{
    ((struct wake *)r)->tell = tell;
}

int remote_wake_text(struct remote *r, struct buf *out)
{
    struct wake *w = (struct wake *)r;
    char when[32] = "";
    bool waking, unreachable, down;
    struct tm tm;
    time_t since;

    lock_take(&w->lock);
    waking = w->waking;
    unreachable = w->unreachable;
    down = w->down;
    since = (time_t)(w->since_ns / NS_PER_S);
    lock_drop(&w->lock);
    if (waking)
        return buf_puts(out, "waking");
    if (!unreachable)
        return buf_puts(out, down ? "not running" : "online");
    localtime_r(&since, &tm);
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
    return buf_printf(out, "unreachable since %s", when);
}

int64_t remote_wake_since(struct remote *r)
{
    struct wake *w = (struct wake *)r;
    int64_t since_ns;

    lock_take(&w->lock);
    since_ns = w->unreachable ? w->since_ns : 0;
    lock_drop(&w->lock);
    return since_ns;
}

void remote_wake_set(struct remote *r, bool running)
{
    struct wake *w = (struct wake *)r;

    lock_take(&w->lock);
    w->down = !running;
    if (running)
        w->unreachable = false;
    lock_drop(&w->lock);
}

void remote_wake_retry(struct remote *r)
{
    struct wake *w = (struct wake *)r;

    lock_take(&w->lock);
    w->probe_ns = 0;
    w->backoff_ns = BACKOFF_MIN_NS;
    lock_drop(&w->lock);
}
