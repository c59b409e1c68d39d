#include "remote/backends.h"
#include "remote/job.h"
#include "remote/wrap.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/lock.h"

#include <errno.h>
#include <stdlib.h>

/* How often a waiting call looks if it was cancelled; it is woken at once when its turn comes. */
#define LOOK_NS (50 * NS_PER_MS)

struct gate {
    pthread_cond_t room;
    unsigned running, max; /* limit.lock */
};

struct limit {
    struct wrap wrap;
    struct lock lock;
    struct gate data, other;
};

/* What nobody waits for leaves a place free for what somebody does. */
static bool room_locked(const struct gate *g, bool background)
{
    const unsigned max = background && g->max > 1 ? g->max - 1 : g->max;

    return g->running < max;
}

static int gate_enter(struct limit *l, struct gate *g)
{
    const bool background = remote_in_background();
    int r = 0;

    lock_take(&l->lock);
    while (!room_locked(g, background) && r == 0) {
        if (cancel_fired(cancel_bound()))
            r = -EINTR;
        else
            lock_wait_until(&l->lock, &g->room, clock_mono_ns() + LOOK_NS);
    }
    if (r == 0)
        g->running++;
    lock_drop(&l->lock);
    return r;
}

static void gate_leave(struct limit *l, struct gate *g)
{
    lock_take(&l->lock);
    g->running--;
    pthread_cond_broadcast(&g->room); /* for one in the background there may be none yet */
    lock_drop(&l->lock);
}

static bool carries_data(enum wrap_op op)
{
    return op == WRAP_FETCH || op == WRAP_FETCH_MANY || op == WRAP_SNAPSHOT || op == WRAP_PUT ||
           op == WRAP_STAGE;
}

static int limit_around(struct wrap *w, const struct wrap_call *call)
{
    struct limit *l = (struct limit *)w;
    struct gate *g = carries_data(call->op) ? &l->data : &l->other;
    int r;

    /* A user's command may run for hours: it must not keep everybody else from stat. Nor may who
     * waits for a change. */
    if (call->op == WRAP_EXEC || (call->op == WRAP_CHANGES && call->ask->wait_ns > 0) ||
        (call->op == WRAP_JOB && remote_job_call_waits(call->job)))
        return wrap_forward(w, call);
    r = gate_enter(l, g);
    if (r < 0)
        return r;
    r = wrap_forward(w, call);
    gate_leave(l, g);
    return r;
}

static void limit_done(struct wrap *w)
{
    struct limit *l = (struct limit *)w;

    pthread_cond_destroy(&l->data.room);
    pthread_cond_destroy(&l->other.room);
    lock_done(&l->lock);
}

struct remote *remote_limit_new(struct remote *inner, unsigned data_max, unsigned other_max)
{
    struct limit *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    wrap_init(&l->wrap, inner, limit_around, limit_done);
    lock_init(&l->lock);
    lock_cond_init(&l->data.room);
    lock_cond_init(&l->other.room);
    l->data.max = data_max ? data_max : 1;
    l->other.max = other_max ? other_max : 1;
    return &l->wrap.remote;
}
