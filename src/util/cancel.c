#include "util/cancel.h"

#include "util/clock.h"
#include "util/lock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

struct hook {
    void (*fn)(void *arg); /* NULL: it is in no list */
    void *arg;
    struct hook *next;
};

struct cancel {
    struct lock lock; /* guards what follows */
    unsigned refs;
    bool fired;
    struct hook *hooks;  /* those of the threads that wait */
    pthread_cond_t cond; /* for cancel_sleep */
};

static __thread struct cancel *bound;
static __thread struct hook own;

struct cancel *cancel_new(void)
{
    struct cancel *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    lock_init(&c->lock);
    lock_cond_init(&c->cond);
    c->refs = 1;
    return c;
}

struct cancel *cancel_ref(struct cancel *c)
{
    if (c) {
        lock_take(&c->lock);
        c->refs++;
        lock_drop(&c->lock);
    }
    return c;
}

struct cancel *cancel_unref(struct cancel *c)
{
    bool last;

    if (!c)
        return NULL;
    lock_take(&c->lock);
    last = --c->refs == 0;
    lock_drop(&c->lock);
    if (last) {
        pthread_cond_destroy(&c->cond);
        lock_done(&c->lock);
        free(c);
    }
    return NULL;
}

void cancel_fire(struct cancel *c)
{
    if (!c)
        return;
    lock_take(&c->lock);
    if (!c->fired) {
        c->fired = true;
        pthread_cond_broadcast(&c->cond);
        for (struct hook *h = c->hooks; h; h = h->next)
            h->fn(h->arg);
    }
    lock_drop(&c->lock);
}

bool cancel_fired(struct cancel *c)
{
    bool fired;

    if (!c)
        return false;
    lock_take(&c->lock);
    fired = c->fired;
    lock_drop(&c->lock);
    return fired;
}

struct cancel *cancel_bind(struct cancel *c)
{
    struct cancel *before = bound;

    bound = c;
    return before;
}

struct cancel *cancel_bound(void)
{
    return bound;
}

void cancel_hook(struct cancel *c, void (*fn)(void *arg), void *arg)
{
    if (!c)
        return;
    assert(!own.fn);
    lock_take(&c->lock);
    own = (struct hook){.fn = fn, .arg = arg, .next = c->hooks};
    c->hooks = &own;
    if (c->fired)
        fn(arg);
    lock_drop(&c->lock);
}

void cancel_unhook(struct cancel *c)
{
    struct hook **at;

    if (!c)
        return;
    lock_take(&c->lock);
    for (at = &c->hooks; *at != &own; at = &(*at)->next)
        ;
    *at = own.next;
    own.fn = NULL;
    lock_drop(&c->lock);
}

int cancel_sleep(int64_t ns)
{
    const int64_t until_ns = clock_mono_ns() + ns;
    struct cancel *c = bound;
    bool fired;

    if (!c) {
        struct timespec ts = ns_to_timespec(until_ns);

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
            ;
        return 0;
    }
    lock_take(&c->lock);
    while (!c->fired && lock_wait_until(&c->lock, &c->cond, until_ns) != -ETIMEDOUT)
        ;
    fired = c->fired;
    lock_drop(&c->lock);
    return fired ? -EINTR : 0;
}
