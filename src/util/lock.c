#include "util/lock.h"

#include "util/clock.h"

#include <assert.h>
#include <errno.h>

void lock_init(struct lock *l)
{
    pthread_mutex_init(&l->mutex, NULL);
    l->held = false;
}

void lock_done(struct lock *l)
{
    pthread_mutex_destroy(&l->mutex);
}

static void taken(struct lock *l)
{
    l->owner = pthread_self();
    l->held = true;
}

void lock_take(struct lock *l)
{
    pthread_mutex_lock(&l->mutex);
    taken(l);
}

void lock_drop(struct lock *l)
{
    lock_assert_held(l);
    l->held = false;
    pthread_mutex_unlock(&l->mutex);
}

void lock_assert_held(const struct lock *l)
{
    assert(l->held && pthread_equal(l->owner, pthread_self()));
    (void)l;
}

void lock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

void lock_wait(struct lock *l, pthread_cond_t *cond)
{
    lock_assert_held(l);
    l->held = false;
    pthread_cond_wait(cond, &l->mutex);
    taken(l);
}

int lock_wait_until(struct lock *l, pthread_cond_t *cond, int64_t until_ns)
{
    struct timespec ts = ns_to_timespec(until_ns);
    int r;

    lock_assert_held(l);
    l->held = false;
    r = pthread_cond_timedwait(cond, &l->mutex, &ts);
    taken(l);
    return -r;
}
