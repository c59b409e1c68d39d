#include "ctl/talk.h"

#include <errno.h>

void talk_init(struct talk *t, size_t question_max)
{
    t->state = TALK_IDLE;
    t->origin = 0;
    buf_init(&t->text, question_max);
}

void talk_done(struct talk *t)
{
    buf_done(&t->text);
}

int talk_write(struct talk *t, uint64_t off, const void *p, size_t n)
{
    int r;

    if (t->state == TALK_REFUSED)
        return -EFBIG;
    if (n == 0)
        return 0;
    if (t->state == TALK_ASKED) {
        buf_done(&t->text);
        t->state = TALK_IDLE;
    }
    r = n > INT64_MAX || off > INT64_MAX - n ? -EFBIG : buf_append(&t->text, p, n);
    if (r < 0) {
        buf_done(&t->text);
        t->state = TALK_REFUSED;
        return r;
    }
    t->state = TALK_PENDING;
    t->origin = (int64_t)(off + n);
    return 0;
}

bool talk_ask(struct talk *t)
{
    if (t->state != TALK_PENDING)
        return false;
    t->state = TALK_ASKED;
    return true;
}

uint64_t talk_position(struct talk *t, uint64_t off, uint64_t first)
{
    const int64_t at = (int64_t)off;

    /* Starts over, from what is left. */
    if (at < t->origin || (uint64_t)at - (uint64_t)t->origin < first)
        t->origin = at - (int64_t)first;
    return (uint64_t)at - (uint64_t)t->origin;
}
