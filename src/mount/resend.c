#include "mount/resend.h"

#include "flush/flush.h"
#include "mount/bar.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define LOOK_NS (50 * NS_PER_MS) /* between looks whether to stop, and at how far it is */
#define PATIENCE_NS (60 * NS_PER_S)

struct sender {
    struct flush *flush;
    int64_t patience_ns, until_ns, moved_ns;
    struct bar bar;
    struct lock lock; /* guards what follows */
    pthread_cond_t news;
    uint64_t ended;
    bool stuck;
};

/* ---- from the thread of flush ---- */

static void on_ended(void *arg, const struct flush_end *v, size_t count)
{
    struct sender *s = arg;

    lock_take(&s->lock);
    s->ended += count;
    pthread_cond_signal(&s->news);
    lock_drop(&s->lock);
}

static void on_stuck(void *arg, int err, const char *why)
{
    struct sender *s = arg;

    lock_take(&s->lock);
    s->stuck = true;
    pthread_cond_signal(&s->news);
    lock_drop(&s->lock);
}

/* ---- waiting ---- */

/* 1: go on. 0: nothing waits any more. */
static int look(struct sender *s, uint64_t *seen, uint64_t ended, bool stuck)
{
    const int64_t now_ns = clock_mono_ns();
    struct flush_usage usage;

    flush_usage(s->flush, &usage);
    bar_show(&s->bar, usage.waiting, usage.bytes);
    if (usage.waiting == 0)
        return 0;
    if (stuck)
        return -EIO;
    if (ended != *seen)
        s->moved_ns = now_ns;
    *seen = ended;
    if (now_ns >= s->until_ns || now_ns >= s->moved_ns + s->patience_ns)
        return usage.line < 0 ? usage.line : -ETIMEDOUT;
    if (cancel_fired(cancel_bound()))
        return -EINTR;
    return 1;
}

static int wait_until_sent(struct sender *s)
{
    uint64_t seen = 0;
    int r;

    lock_take(&s->lock);
    do {
        const uint64_t ended = s->ended;
        const bool stuck = s->stuck;

        lock_drop(&s->lock);
        r = look(s, &seen, ended, stuck);
        lock_take(&s->lock);
        if (r > 0 && s->ended == ended && !s->stuck)
            (void)lock_wait_until(&s->lock, &s->news, clock_mono_ns() + LOOK_NS);
    } while (r > 0);
    lock_drop(&s->lock);
    return r;
}

int resend(struct journal *j, struct remote *remote, const struct resend *how, struct buf *left,
           struct resent *ret)
{
    const struct flush_config config = {.op_timeout_ns = how->op_timeout_ns, .linger_ns = 1};
    struct sender s = {.until_ns = how->until_ns, .patience_ns = 2 * how->op_timeout_ns};
    const struct flush_owner owner = {.ended = on_ended, .stuck = on_stuck, .arg = &s};
    struct flush_usage usage;
    int r;

    *ret = (struct resent){0};
    r = flush_new(&config, j, remote, &s.flush);
    if (r < 0)
        return r;
    if (s.patience_ns < PATIENCE_NS)
        s.patience_ns = PATIENCE_NS;
    lock_init(&s.lock);
    lock_cond_init(&s.news);
    flush_usage(s.flush, &usage);
    ret->found = usage.waiting;
    ret->found_bytes = usage.bytes;
    if (journal_torn_bytes(j) > 0)
        fprintf(stderr,
                "daytonafs: the journal of %s ended in %" PRIu64 " bytes that are not whole, as "
                "when this machine lost power: the last changes before that are lost\n",
                journal_key(j).slot, journal_torn_bytes(j));
    if (usage.waiting > 0)
        fprintf(stderr,
                "daytonafs: sending %zu changes (%" PRIu64 " bytes of data) that an earlier mount "
                "of %s left\n",
                usage.waiting, usage.bytes, journal_key(j).slot);
    bar_begin(&s.bar);
    s.moved_ns = s.bar.start_ns;
    flush_own(s.flush, &owner);
    r = wait_until_sent(&s);
    bar_end(&s.bar);
    flush_usage(s.flush, &usage);
    ret->waiting = usage.waiting;
    ret->parked = usage.parked;
    ret->goes_on = usage.goes_on;
    ret->why = usage.stuck;
    (void)flush_queue_text(s.flush, usage.waiting, left); /* no room: the count says it */
    (void)flush_parked_text(s.flush, usage.parked, left);
    flush_free(s.flush);
    pthread_cond_destroy(&s.news);
    lock_done(&s.lock);
    return r;
}
