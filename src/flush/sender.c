/*
 * sender.c - the sender: one thread that has at most one batch under way, and chooses what comes
 * next once the sandbox has said what became of that.
 *
 *   choose --> build --> stage --> begin (journal) --> sync --> apply --> end
 *     ^          |         |         from here on only this batch, with the same bytes
 *     |__________|_________|  the line is down: chosen anew, perhaps by somebody who waits
 */
#include "flush/flush_internal.h"

#include "util/clock.h"
#include "util/log.h"

#include <errno.h>
#include <stdlib.h>

/* ---- choosing ---- */

/* Its data goes ahead, by other threads. */
static int stage(struct flush *f, struct sending *s)
{
    int r;

    lock_take(&f->lock);
    r = lot_begin(f, s);
    lock_drop(&f->lock);
    batch_free(s);
    return r;
}

static int build(struct flush *f, struct change **list, size_t count, struct staging *staging,
                 bool waited)
{
    struct sending *s;
    int r;

    r = batch_build(f, list, count, staging, &s);
    if (!s || (r == 0 && s->count == 0)) { /* all of it cancelled out */
        batch_free(s);
        return r;
    }
    s->waited = waited;
    if (r == 0 && s->too_large)
        return stage(f, s);
    lock_take(&f->lock);
    f->sending = s;
    for (size_t i = 0; i < s->change_count && r == 0; i++)
        s->changes[i]->state = CHANGE_SENT;
    lock_drop(&f->lock);
    if (r == 0) {
        send_attempt(f, s);
    } else if (send_is_local(r) || r == -ESTALE) { /* ESTALE: it was staged for other changes */
        send_release(f, s);
        r = r == -ESTALE ? 0 : r;
    } else {
        r = send_reject(f, s);
    }
    return r;
}

/* One whose blobs are all there, or that failed. */
static struct lot *ripe(const struct flush *f)
{
    for (struct lot *lot = f->lots; lot; lot = lot->next)
        if (lot->busy == 0 &&
            (lot->err || (lot->there == lot->staging->count && !joins_open(lot->staging))))
            return lot;
    return NULL;
}

/* Those whose data cannot be read any more. 1 if there are some, 0, or -errno. */
static int reject_damaged(struct flush *f, struct lot *lot)
{
    struct end *v = calloc(lot->count + 1, sizeof(*v));
    size_t count = 0;
    int r = 0;

    if (!v)
        return -ENOMEM;
    for (size_t i = 0; i < lot->count; i++) {
        struct change *c = lot->changes[i];
        int err = 0;

        for (uint64_t at = 0; c && err == 0 && at < c->bytes; at += JOURNAL_EXTENT_MAX) {
            struct buf mem = BUF_INIT(JOURNAL_EXTENT_MAX);
            const uint64_t left = c->bytes - at;

            err = staging_read(f, c->seq, at, left < mem.max ? left : mem.max, &mem);
            buf_done(&mem);
        }
        if (send_is_damaged(err)) {
            v[count++] = (struct end){.c = c, .outcome = JOURNAL_REJECTED, .err = -EIO};
            lot->changes[i] = NULL;
            c->lot = NULL;
        }
    }
    if (count == 0) {
        free(v);
        return 0;
    }
    log_msg(LOG_ERROR, "data in the journal is damaged: the changes it belongs to are set aside");
    /* The others wait again before it: some may stand on those. */
    lock_take(&f->lock);
    for (size_t i = 0; i < lot->count; i++)
        if (lot->changes[i])
            lot_leave(f, lot->changes[i]);
    for (size_t i = 0; i < count; i++)
        v[i].c->state = CHANGE_WAITS;
    lock_drop(&f->lock);
    r = end_changes(f, v, count);
    return r < 0 ? r : 1;
}

/* Locked before and after. What others took meanwhile is not in it any more. */
static int send_lot(struct flush *f, struct lot *lot)
{
    const bool waited = lot->waited;
    struct change **list = lot->changes;
    struct staging *staging = lot->staging;
    const int err = lot->err;
    size_t count = 0;
    int r;

    if (send_is_damaged(err)) {
        lock_drop(&f->lock);
        r = reject_damaged(f, lot);
        lock_take(&f->lock);
        if (r != 0) {
            lot_free(f, lot);
            return r < 0 ? r : 0;
        }
    }
    if (err) {
        lock_drop(&f->lock);
        send_failed(f, err, waited);
        lock_take(&f->lock);
        return 0;
    }
    for (size_t i = 0; i < lot->count; i++)
        if (list[i])
            list[count++] = list[i];
    for (size_t i = 0; i < count; i++) {
        list[i]->lot = NULL;
        list[i]->state = CHANGE_WAITS;
    }
    lot->changes = NULL;
    lot->staging = NULL;
    lot_free(f, lot);
    if (count == 0)
        staging_drop_all(f, staging);
    lock_drop(&f->lock);
    if (count > 0)
        staging = staging_without_vain(staging);
    if (count > 0 && !staging) {
        free(list);
        r = -ENOMEM;
    } else if (count > 0) {
        r = build(f, list, count, staging, waited);
    } else {
        free(list);
        staging_free(staging);
        r = 0;
    }
    lock_take(&f->lock);
    return r;
}

static uint64_t bytes_in(struct change *const *list, size_t count)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += list[i]->bytes;
    return bytes;
}

/*
 * What somebody waits for. If it is small it is sent at once, even if its data is on its way
 * already; else it waits for that.
 */
static int choose_waited(struct flush *f, struct change ***ret, size_t *ret_count)
{
    struct order order = {.waited = true, .taken = true};
    int64_t until_ns;
    int r = order_choose(f, &order, ret, ret_count, &until_ns);

    if (r < 0)
        return r;
    if (*ret_count > 0 && bytes_in(*ret, *ret_count) <= f->config.inline_bytes) {
        for (size_t i = 0; i < *ret_count; i++)
            lot_leave(f, (*ret)[i]);
        return 0;
    }
    free(*ret);
    *ret = NULL;
    *ret_count = 0;
    for (struct lot *lot = f->lots; lot; lot = lot->next)
        lot->waited = true;
    if (f->lot_count > 2 * LOTS_MAX)
        return 0;
    order.barriers = true;
    order.taken = false;
    return order_choose(f, &order, ret, ret_count, &until_ns);
}

static int choose_as(struct flush *f, struct order *order, bool small, bool newest,
                     struct change ***ret, size_t *ret_count, int64_t *ret_until_ns)
{
    free(*ret);
    *ret = NULL;
    order->small = small;
    order->newest = newest;
    return order_choose(f, order, ret, ret_count, ret_until_ns);
}

/*
 * What is small goes past what must be staged: what came last before what came first, for that is
 * what somebody looks at now. While there is room for another lot that is done once for each, or
 * thousands of small files would never go together.
 */
static int choose_background(struct flush *f, int64_t now_ns, struct change ***ret,
                             size_t *ret_count, int64_t *ret_until_ns)
{
    struct order order = {.now_ns = now_ns};
    const bool full = f->lot_count >= LOTS_MAX;
    int64_t until_ns;
    int r = 0;

    if (!full) {
        r = choose_as(f, &order, false, false, ret, ret_count, ret_until_ns);
        if (r < 0 || f->small_went || bytes_in(*ret, *ret_count) <= f->config.inline_bytes) {
            f->small_went = false;
            return r;
        }
    }
    r = choose_as(f, &order, true, true, ret, ret_count, full ? ret_until_ns : &until_ns);
    f->small_went = !full;
    if (r < 0 || *ret_count > 0)
        return r;
    f->small_went = false;
    return choose_as(f, &order, full, false, ret, ret_count, ret_until_ns);
}

static int end_lost(struct flush *f)
{
    struct end *v;
    size_t count = 0;

    lock_take(&f->lock);
    v = calloc(f->lost + 1, sizeof(*v));
    for (struct change *c = f->head; v && c; c = c->next)
        if (c->lost)
            v[count++] = (struct end){.c = c, .outcome = JOURNAL_REJECTED, .err = -ECANCELED};
    lock_drop(&f->lock);
    return v ? end_changes(f, v, count) : -ENOMEM;
}

static bool wants_fsync(const struct flush *f)
{
    for (const struct waiter *w = f->waiters; w; w = w->next)
        if (!w->done && w->fsync_path)
            return true;
    return false;
}

static int send_fsyncs(struct flush *f)
{
    struct sending *s;
    int r;

    lock_drop(&f->lock);
    r = batch_build_fsync(f, &s);
    if (r == 0 && s)
        send_attempt(f, s);
    lock_take(&f->lock);
    return r;
}

/* ---- one step: the lock is held before and after ---- */

/* What came of changes is told before anything else is done. False: there is nothing to be told. */
static bool end_said(struct flush *f, int *ret_err)
{
    struct end *said = f->said;

    if (f->sending || (!said && f->lost == 0))
        return false;
    f->said = NULL;
    lock_drop(&f->lock);
    *ret_err = said ? end_changes(f, said, f->said_count) : end_lost(f);
    lock_take(&f->lock);
    return true;
}

/* What has begun comes before what could. False: nothing has. */
static bool go_on(struct flush *f, bool waited)
{
    struct sending *s = f->sending;
    const int said = f->ahead_said;

    if (s)
        s->waited = s->waited || waited;
    else if (said)
        f->ahead_said = 0;
    else
        return false;
    lock_drop(&f->lock);
    if (s)
        send_attempt(f, s);
    else if (said < 0)
        send_failed(f, said, false);
    else
        send_well(f);
    lock_take(&f->lock);
    return true;
}

/* Sets *until_ns to 0 if there was something to send, else to when there may be. */
static int send_next(struct flush *f, bool waited, int64_t now_ns, int64_t *until_ns)
{
    struct change **list = NULL;
    bool for_waiter;
    size_t count = 0;
    int r = 0;

    if (waited)
        r = choose_waited(f, &list, &count);
    for_waiter = count > 0;
    if (r == 0 && count == 0) {
        free(list);
        list = NULL;
        if (wants_fsync(f) || ripe(f)) {
            *until_ns = 0;
            return wants_fsync(f) ? send_fsyncs(f) : send_lot(f, ripe(f));
        }
        if (!f->paused)
            r = choose_background(f, now_ns, &list, &count, until_ns);
    }
    if (r < 0 || count == 0) {
        free(list);
        return r;
    }
    *until_ns = 0;
    lock_drop(&f->lock);
    r = build(f, list, count, NULL, for_waiter);
    lock_take(&f->lock);
    return r;
}

/* Sets *until_ns to when there may be something to do. */
static int step(struct flush *f, int64_t *until_ns)
{
    const int64_t now_ns = clock_mono_ns();
    const bool waited = wait_any(f);
    int64_t ahead_ns = INT64_MAX, vain_ns;
    int r;

    *until_ns = INT64_MAX;
    if (f->halted)
        return 0;
    r = journal_failed(f->journal);
    if (r < 0)
        return r;
    if (end_said(f, &r)) {
        *until_ns = 0;
        return r;
    }
    vain_ns = vain_stop(f);
    if (f->retry_ns > now_ns && !f->probe) {
        *until_ns = f->retry_ns;
        return 0;
    }
    if (f->paused && !waited)
        return 0;
    if (f->failures > 0)
        lot_go(f);
    f->probe = false;
    if (go_on(f, waited)) {
        *until_ns = 0;
        return 0;
    }
    if (!f->paused)
        ahead_ns = ahead_begin(f, now_ns);
    r = send_next(f, waited, now_ns, until_ns);
    if (ahead_ns < *until_ns)
        *until_ns = ahead_ns;
    if (vain_ns < *until_ns)
        *until_ns = vain_ns;
    return r;
}

static void *send_run(void *arg)
{
    struct flush *f = arg;

    cancel_bind(f->cancel);
    lock_take(&f->lock);
    while (!f->stop) {
        int64_t until_ns, tend_ns;
        int r = step(f, &until_ns);

        if (r < 0 && !send_is_local(r) && !f->halted) {
            lock_drop(&f->lock);
            send_halt(f, r, send_journal_why);
            lock_take(&f->lock);
        }
        if (r < 0)
            until_ns = clock_mono_ns() + NS_PER_S;
        tend_ns = stage_tend(f);
        if (until_ns > tend_ns)
            until_ns = tend_ns;
        if (!f->stop && until_ns > 0)
            (void)lock_wait_until(&f->lock, &f->work, until_ns); /* the loop looks again */
    }
    lock_drop(&f->lock);
    return NULL;
}

void send_wake(struct flush *f)
{
    lock_assert_held(&f->lock);
    if (!f->started && !f->stop && pthread_create(&f->sender, NULL, send_run, f) == 0)
        f->started = true; /* without a thread now: tried again with the next change */
    pthread_cond_signal(&f->work);
}
