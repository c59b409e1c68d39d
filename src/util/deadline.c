#include "util/deadline.h"

#include <errno.h>

static void *wait_for_it(void *arg)
{
    struct deadline *d = arg;
    bool end;

    lock_take(&d->lock);
    while (!d->end && lock_wait_until(&d->lock, &d->ended, d->until_ns) != -ETIMEDOUT)
        ;
    end = d->end;
    lock_drop(&d->lock);
    if (!end)
        cancel_fire(d->cancel);
    return NULL;
}

int deadline_begin(struct deadline *d, int64_t until_ns)
{
    int r;

    *d = (struct deadline){.cancel = cancel_new(), .until_ns = until_ns};
    if (!d->cancel)
        return -ENOMEM;
    lock_init(&d->lock);
    lock_cond_init(&d->ended);
    r = -pthread_create(&d->thread, NULL, wait_for_it, d);
    if (r < 0) {
        pthread_cond_destroy(&d->ended);
        lock_done(&d->lock);
        cancel_unref(d->cancel);
        return r;
    }
    d->before = cancel_bind(d->cancel);
    return 0;
}

bool deadline_end(struct deadline *d)
{
    bool fired;

    lock_take(&d->lock);
    d->end = true;
    pthread_cond_signal(&d->ended);
    lock_drop(&d->lock);
    pthread_join(d->thread, NULL);
    (void)cancel_bind(d->before);
    fired = cancel_fired(d->cancel);
    cancel_unref(d->cancel);
    pthread_cond_destroy(&d->ended);
    lock_done(&d->lock);
    return fired;
}
