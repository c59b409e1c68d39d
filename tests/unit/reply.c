#include "reply.h"

#include "unit.h"

#include "util/clock.h"

#include <errno.h>
#include <string.h>

enum { WAIT_MS = 20000 };

void reply_init(struct reply *reply)
{
    lock_init(&reply->lock);
    lock_cond_init(&reply->cond);
    reply->done = false;
}

void reply_got(void *arg, ssize_t r, const void *data)
{
    struct reply *reply = arg;
    const size_t whole = data && r > 0 ? (size_t)r : 0, len = whole < REPLY_MAX ? whole : REPLY_MAX;

    lock_take(&reply->lock);
    reply->r = reply->done || len < whole ? REPLY_WRONG : r;
    reply->done = true;
    if (len > 0)
        memcpy(reply->data, data, len);
    reply->data[len] = '\0';
    pthread_cond_broadcast(&reply->cond);
    lock_drop(&reply->lock);
}

ssize_t reply_within(struct reply *reply, int ms)
{
    const int64_t until_ns = clock_mono_ns() + ms * NS_PER_MS;
    ssize_t r;

    lock_take(&reply->lock);
    while (!reply->done && lock_wait_until(&reply->lock, &reply->cond, until_ns) != -ETIMEDOUT)
        ;
    r = reply->done ? reply->r : REPLY_NONE;
    lock_drop(&reply->lock);
    return r;
}

ssize_t reply_await(struct reply *reply)
{
    const ssize_t r = reply_within(reply, WAIT_MS);

    assert_int_not_equal(r, REPLY_NONE);
    return r;
}
