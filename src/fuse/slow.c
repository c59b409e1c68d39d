#include "fuse/slow.h"

#include "util/clock.h"
#include "util/lock.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* Jobs that were cancelled while in line: each only has to find out. */
enum { LANE_CANCELLED = SLOW_LANES, LANES };

enum { CANCELLED_THREADS = 4, STACK_BYTES = 512 * 1024 };
#define IDLE_NS (10 * NS_PER_S)

struct lane {
    struct slow *slow;
    unsigned threads_max;
    unsigned threads, idle;
    size_t queued;
    struct slow_job *first, *last;
    pthread_cond_t work;
};

/* On the stack of a thread that runs a job. */
struct worker {
    struct cancel *cancel; /* the job's, which may be gone before the thread knows */
    struct worker *prev, *next;
};

struct slow {
    struct lock lock; /* guards all that follows, and every job's state, lane, prev and next */
    struct lane lanes[LANES];
    size_t queued, queue_max;
    struct worker *workers; /* those that are at work */
    unsigned threads;
    bool stopping;
    pthread_cond_t gone; /* a thread ended */
};

static void push_locked(struct lane *lane, struct slow_job *job)
{
    job->prev = lane->last;
    job->next = NULL;
    if (lane->last)
        lane->last->next = job;
    else
        lane->first = job;
    lane->last = job;
    lane->queued++;
    lane->slow->queued++;
}

static void remove_locked(struct lane *lane, struct slow_job *job)
{
    if (job->prev)
        job->prev->next = job->next;
    else
        lane->first = job->next;
    if (job->next)
        job->next->prev = job->prev;
    else
        lane->last = job->prev;
    lane->queued--;
    lane->slow->queued--;
}

static void worker_add_locked(struct slow *s, struct worker *w)
{
    w->prev = NULL;
    w->next = s->workers;
    if (s->workers)
        s->workers->prev = w;
    s->workers = w;
}

static void worker_remove_locked(struct slow *s, struct worker *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        s->workers = w->next;
    if (w->next)
        w->next->prev = w->prev;
}

static bool wait_for_job_locked(struct lane *lane)
{
    const int64_t until_ns = clock_mono_ns() + IDLE_NS;
    struct slow *s = lane->slow;
    int r = 0;

    lane->idle++;
    while (!lane->first && !s->stopping && r == 0)
        r = lock_wait_until(&s->lock, &lane->work, until_ns);
    lane->idle--;
    return lane->first != NULL;
}

static void *lane_thread(void *arg)
{
    struct lane *lane = arg;
    struct slow *s = lane->slow;

    lock_take(&s->lock);
    while (wait_for_job_locked(lane)) {
        struct slow_job *job = lane->first;
        struct worker me = {.cancel = cancel_ref(job->cancel)};

        remove_locked(lane, job);
        job->state = SLOW_TAKEN;
        worker_add_locked(s, &me);
        lock_drop(&s->lock);

        cancel_bind(me.cancel);
        job->run(job);
        cancel_bind(NULL);

        lock_take(&s->lock);
        worker_remove_locked(s, &me);
        cancel_unref(me.cancel);
    }
    lane->threads--;
    s->threads--;
    pthread_cond_broadcast(&s->gone);
    lock_drop(&s->lock);
    return NULL;
}

/* A thread for the lane, if there is more to do than idle threads and the bound allows. */
static int grow_locked(struct lane *lane)
{
    struct slow *s = lane->slow;
    pthread_attr_t attr;
    pthread_t thread;
    int r;

    if (lane->queued <= lane->idle || lane->threads >= lane->threads_max)
        return 0;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    r = pthread_create(&thread, &attr, lane_thread, lane);
    pthread_attr_destroy(&attr);
    if (r != 0)
        return lane->threads > 0 ? 0 : -ENOMEM; /* the others will come to it */
    lane->threads++;
    s->threads++;
    return 0;
}

int slow_run(struct slow *s, enum slow_lane lane, struct slow_job *job)
{
    struct lane *l;
    int r;

    lock_take(&s->lock);
    job->lane = cancel_fired(job->cancel) ? LANE_CANCELLED : (int)lane;
    l = &s->lanes[job->lane];
    if (s->queued >= s->queue_max) {
        lock_drop(&s->lock);
        return -EAGAIN;
    }
    job->state = SLOW_QUEUED;
    push_locked(l, job);
    r = grow_locked(l);
    if (r < 0) {
        remove_locked(l, job);
        job->state = SLOW_NEW;
    } else {
        pthread_cond_signal(&l->work);
    }
    lock_drop(&s->lock);
    return r;
}

/* Moves what waits to where it runs at once. Without a thread for it, it keeps its place. */
static void hasten_locked(struct slow *s, struct slow_job *job)
{
    struct lane *from = &s->lanes[job->lane], *to = &s->lanes[LANE_CANCELLED];

    remove_locked(from, job);
    push_locked(to, job);
    if (grow_locked(to) < 0) {
        remove_locked(to, job);
        push_locked(from, job);
        return;
    }
    job->lane = LANE_CANCELLED;
    pthread_cond_signal(&to->work);
}

void slow_cancel(struct slow *s, struct slow_job *job)
{
    cancel_fire(job->cancel);
    lock_take(&s->lock);
    if (job->state == SLOW_QUEUED && job->lane != LANE_CANCELLED)
        hasten_locked(s, job);
    lock_drop(&s->lock);
}

static void cancel_all_locked(struct slow *s)
{
    for (struct worker *w = s->workers; w; w = w->next)
        cancel_fire(w->cancel);
    for (int i = 0; i < SLOW_LANES; i++) {
        for (struct slow_job *job = s->lanes[i].first, *next; job; job = next) {
            next = job->next;
            cancel_fire(job->cancel);
            hasten_locked(s, job);
        }
    }
}

void slow_cancel_all(struct slow *s)
{
    lock_take(&s->lock);
    cancel_all_locked(s);
    lock_drop(&s->lock);
}

unsigned slow_threads(struct slow *s)
{
    unsigned n;

    lock_take(&s->lock);
    n = s->threads;
    lock_drop(&s->lock);
    return n;
}

int slow_new(const struct slow_config *config, struct slow **ret)
{
    struct slow *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    lock_init(&s->lock);
    lock_cond_init(&s->gone);
    s->queue_max = config->queue_max;
    for (int i = 0; i < LANES; i++) {
        s->lanes[i].slow = s;
        s->lanes[i].threads_max = i < SLOW_LANES ? config->threads[i] : CANCELLED_THREADS;
        lock_cond_init(&s->lanes[i].work);
    }
    *ret = s;
    return 0;
}

struct slow *slow_free(struct slow *s)
{
    if (!s)
        return NULL;
    lock_take(&s->lock);
    s->stopping = true;
    cancel_all_locked(s);
    for (int i = 0; i < LANES; i++)
        pthread_cond_broadcast(&s->lanes[i].work);
    while (s->threads > 0)
        lock_wait(&s->lock, &s->gone);
    lock_drop(&s->lock);
    for (int i = 0; i < LANES; i++)
        pthread_cond_destroy(&s->lanes[i].work);
    pthread_cond_destroy(&s->gone);
    lock_done(&s->lock);
    free(s);
    return NULL;
}
