/* lock.h - a mutex that knows its owner, so that a locking rule can be checked where it matters. */
#ifndef UTIL_LOCK_H
#define UTIL_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct lock {
    pthread_mutex_t mutex;
    pthread_t owner; /* meaningful while held is true */
    bool held;
};

#define LOCK_INIT                                                                                  \
    {                                                                                              \
        .mutex = PTHREAD_MUTEX_INITIALIZER                                                         \
    }

void lock_init(struct lock *l);
void lock_done(struct lock *l);
void lock_take(struct lock *l);
void lock_drop(struct lock *l);
void lock_assert_held(const struct lock *l); /* aborts in builds without NDEBUG */

/* A condition whose timeouts are monotonic. */
void lock_cond_init(pthread_cond_t *cond);
void lock_wait(struct lock *l, pthread_cond_t *cond);
/* Returns 0 when woken (perhaps for nothing: test again), -ETIMEDOUT after until_ns (monotonic). */
int lock_wait_until(struct lock *l, pthread_cond_t *cond, int64_t until_ns);

#endif
