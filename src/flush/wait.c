/* wait.c - those who wait for a change, for all of them, or for the sandbox's disk. */
#include "flush/flush_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t fast_ns = NS_PER_S; /* how long a line known to be down is waited for */

bool wait_names(const struct waiter *w, const struct change *c)
{
    if (w->done || w->fsync_path)
        return false;
    if (!w->barrier)
        return w->seq == c->seq;
    return c->seq <= w->seq && (!w->node || node_is_below(c->at, w->node) ||
                                (c->at2 && node_is_below(c->at2, w->node)));
}

bool wait_any(const struct flush *f)
{
    for (const struct waiter *w = f->waiters; w; w = w->next)
        if (!w->done)
            return true;
    return false;
}

static int error_of(enum journal_outcome outcome, int err)
{
    if (outcome == JOURNAL_CONFLICT)
        return -EIO;
    return outcome == JOURNAL_REJECTED ? err : 0;
}

/* What was sent without being asked to be fsynced is asked for alone. */
static void fsync_after(struct waiter *w, const struct change *c)
{
    const bool gone = c->kind == JOURNAL_UNLINK || c->kind == JOURNAL_RMDIR;

    w->fsync_path = node_path(c->at2 ? c->at2 : gone && c->at->parent ? c->at->parent : c->at);
    w->err = w->fsync_path ? 0 : -ENOMEM;
    w->done = w->err < 0;
}

void wait_ended(struct flush *f, const struct end *e)
{
    for (struct waiter *w = f->waiters; w; w = w->next) {
        if (!wait_names(w, e->c))
            continue;
        if (w->barrier) {
            w->done = --w->remaining == 0;
            continue;
        }
        w->err = error_of(e->outcome, e->err);
        if (w->err == 0 && w->fsync && !e->c->fsync_sent && e->outcome == JOURNAL_DONE)
            fsync_after(w, e->c);
        else
            w->done = true;
    }
}

void wait_again(struct flush *f, const struct change *c)
{
    for (struct waiter *w = f->waiters; w; w = w->next)
        w->remaining += w->barrier && wait_names(w, c);
}

void wait_failed(struct flush *f, int err)
{
    for (struct waiter *w = f->waiters; w; w = w->next) {
        if (w->done)
            continue;
        w->done = true;
        w->err = err;
    }
    pthread_cond_broadcast(&f->news);
}

/* ---- waiting ---- */

/* Runs under the cancel's own mutex: so no cancel_* is called with the lock held. */
static void interrupt(void *arg)
{
    struct waiter *w = arg;

    lock_take(&w->flush->lock);
    w->interrupted = true;
    pthread_cond_broadcast(&w->flush->news);
    lock_drop(&w->flush->lock);
}

static void join(struct flush *f, struct waiter *w)
{
    w->next = f->waiters;
    w->prev = NULL;
    if (w->next)
        w->next->prev = w;
    f->waiters = w;
    w->since_ns = clock_mono_ns();
    if (f->line || f->failures)
        f->probe = true;
    send_wake(f);
}

static void leave(struct flush *f, struct waiter *w)
{
    *(w->prev ? &w->prev->next : &f->waiters) = w->next;
    if (w->next)
        w->next->prev = w->prev;
    w->node = node_put(f, w->node);
    free(w->fsync_path);
    w->fsync_path = NULL;
    for (size_t i = 0; f->sending && i < f->sending->count; i++)
        if (f->sending->ops[i].waiter == w)
            f->sending->ops[i].waiter = NULL;
}

/* With the lock held, which is dropped meanwhile. */
static int wait_for(struct flush *f, struct waiter *w)
{
    const bool down = f->line && f->line_waited;

    join(f, w);
    while (!w->done) {
        const int64_t now_ns = clock_mono_ns();
        int64_t until_ns = w->since_ns > f->progress_ns ? w->since_ns : f->progress_ns;

        until_ns += down ? fast_ns : f->config.op_timeout_ns;
        if (f->halted)
            w->err = f->halted;
        else if (w->interrupted)
            w->err = -EINTR;
        else if (now_ns >= until_ns)
            w->err = down ? -EHOSTDOWN : -ETIMEDOUT;
        if (w->err < 0)
            break;
        (void)lock_wait_until(&f->lock, &f->news, until_ns); /* the loop looks again */
    }
    leave(f, w);
    return w->err;
}

/* 0 if it is under way, 1 if there is nothing to wait for; else how it ended. */
static int look_up(struct flush *f, uint64_t seq, struct waiter *w)
{
    struct change *c = change_find(f, seq);
    const struct parked *p = c ? NULL : park_find(f, seq);
    const struct recent *recent = c || p ? NULL : end_recent(f, seq);

    if (c) {
        if (w->fsync)
            c->fsync = true;
        return 0;
    }
    if (p)
        return error_of(p->outcome, p->err);
    if (!w->fsync || !recent || recent->outcome != JOURNAL_DONE || !recent->path)
        return 1;
    w->fsync_path = strdup(recent->path);
    return w->fsync_path ? 0 : -ENOMEM;
}

int flush_wait(struct flush *f, uint64_t seq, bool fsync)
{
    struct cancel *cancel = cancel_bound();
    struct waiter w = {.flush = f, .seq = seq, .fsync = fsync};
    int r;

    if (seq == 0)
        return 0;
    cancel_hook(cancel, interrupt, &w);
    lock_take(&f->lock);
    r = look_up(f, seq, &w);
    if (r == 0)
        r = wait_for(f, &w);
    lock_drop(&f->lock);
    cancel_unhook(cancel);
    return r > 0 ? 0 : r;
}

int flush_fsync(struct flush *f, const char *path)
{
    struct cancel *cancel = cancel_bound();
    struct waiter w = {.flush = f, .fsync = true, .fsync_path = strdup(path)};
    int r;

    if (!w.fsync_path)
        return -ENOMEM;
    cancel_hook(cancel, interrupt, &w);
    lock_take(&f->lock);
    r = wait_for(f, &w);
    lock_drop(&f->lock);
    cancel_unhook(cancel);
    return r;
}

/* ---- barriers ---- */

static void begin_barrier(struct flush *f, struct waiter *w)
{
    w->seq = f->tail ? f->tail->seq : 0;
    for (const struct change *c = f->head; c; c = c->next)
        w->remaining += wait_names(w, c);
    w->done = w->remaining == 0;
}

static int tell_left(struct flush *f, const struct waiter *w, struct buf *left)
{
    int r = 0;

    for (const struct change *c = f->head; c && r == 0; c = c->next) {
        char *path, *path2;

        if (!left || !wait_names(w, c))
            continue;
        path = node_path(c->at);
        path2 = c->at2 ? node_path(c->at2) : NULL;
        r = path ? text_line(left, c->seq, "waits", c->kind, c->bytes, path, path2) : -ENOMEM;
        free(path);
        free(path2);
    }
    return r;
}

int flush_barrier(struct flush *f, const char *path, uint64_t *since, struct buf *left)
{
    struct cancel *cancel = cancel_bound();
    struct waiter w = {.flush = f, .barrier = true};
    bool parked;
    int r = 0;

    cancel_hook(cancel, interrupt, &w);
    lock_take(&f->lock);
    if (path) {
        w.node = node_get(f, path);
        r = w.node ? 0 : -ENOMEM;
    }
    if (r == 0) {
        begin_barrier(f, &w);
        if (w.done) {
            w.node = node_put(f, w.node);
        } else {
            struct node *node = w.node;

            if (node)
                node->refs++;
            r = wait_for(f, &w);
            w.node = node;
            w.done = false;
            if (r < 0)
                (void)tell_left(f, &w, left); /* no room: the code says it */
            w.node = node_put(f, w.node);
        }
        /* No room: the code says it. */
        (void)text_parked(f, path, since, SIZE_MAX, left, &parked);
        if (parked && r == 0)
            r = -EIO;
        if (since)
            *since = f->parked_ever;
    }
    lock_drop(&f->lock);
    cancel_unhook(cancel);
    return r;
}
