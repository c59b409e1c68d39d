#include "tally.h"

#include "remote/wrap.h"
#include "util/lock.h"

#include <stdlib.h>

struct tally {
    struct wrap wrap;
    bool plain;
    struct lock lock; /* guards what follows */
    pthread_cond_t cond;
    struct tally_counts counts;
    const char *boot;
    int64_t clock_off_ns, lost_ns;
    bool hold;
    unsigned waiting;
    enum wrap_op on;
    void (*before)(void *arg);
    void *arg;
};

static bool asks_dirs(const struct wrap_call *call)
{
    return call->op == WRAP_TREE || call->op == WRAP_CHANGES;
}

static void count(struct tally *t, const struct wrap_call *call)
{
    struct tally_counts *c = &t->counts;

    lock_take(&t->lock);
    c->all += call->op != WRAP_INFO;
    c->tree += call->op == WRAP_TREE;
    c->changes += call->op == WRAP_CHANGES;
    c->data += call->op == WRAP_FETCH || call->op == WRAP_SNAPSHOT;
    c->background += remote_in_background();
    if (asks_dirs(call))
        c->paths = call->ask->path_count;
    if (call->op == WRAP_CHANGES)
        c->since_ns = call->ask->since_ns;
    lock_drop(&t->lock);
}

static void bend_locked(const struct tally *t, struct remote_tree *tree)
{
    if (t->boot)
        tree->boot = t->boot;
    tree->now_ns += t->clock_off_ns;
    tree->uptime_ns -= t->lost_ns;
}

static void answered(struct tally *t, struct remote_tree *tree)
{
    lock_take(&t->lock);
    t->waiting++;
    pthread_cond_broadcast(&t->cond);
    while (t->hold)
        lock_wait(&t->lock, &t->cond);
    t->waiting--;
    bend_locked(t, tree);
    lock_drop(&t->lock);
}

static void before(struct tally *t, const struct wrap_call *call)
{
    void (*fn)(void *arg);
    void *arg;

    lock_take(&t->lock);
    fn = call->op == t->on ? t->before : NULL;
    arg = t->arg;
    lock_drop(&t->lock);
    if (fn)
        fn(arg);
}

static void executed(struct tally *t, struct remote_after *after)
{
    lock_take(&t->lock);
    if (after && after->answered)
        bend_locked(t, &after->tree);
    lock_drop(&t->lock);
}

static int around(struct wrap *w, const struct wrap_call *call)
{
    struct tally *t = (struct tally *)w;
    int r;

    count(t, call);
    before(t, call);
    r = wrap_forward(w, call);
    if (call->op == WRAP_EXEC)
        executed(t, call->exec->after);
    if (r == 0 && asks_dirs(call))
        answered(t, call->ret);
    if (r == 0 && call->op == WRAP_INFO && t->plain)
        ((struct remote_info *)call->ret)->caps &= ~(unsigned)REMOTE_CAP_CHANGES;
    return r;
}

static void done(struct wrap *w)
{
    struct tally *t = (struct tally *)w;

    pthread_cond_destroy(&t->cond);
    lock_done(&t->lock);
}

struct remote *tally_new(struct remote *inner, bool plain, struct tally **ret)
{
    struct tally *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    wrap_init(&t->wrap, inner, around, done);
    t->plain = plain;
    lock_init(&t->lock);
    lock_cond_init(&t->cond);
    *ret = t;
    return &t->wrap.remote;
}

struct tally_counts tally_take(struct tally *t)
{
    struct tally_counts c;

    lock_take(&t->lock);
    c = t->counts;
    t->counts = (struct tally_counts){0};
    lock_drop(&t->lock);
    return c;
}

void tally_bend(struct tally *t, const char *boot, int64_t clock_off_ns)
{
    lock_take(&t->lock);
    t->boot = boot;
    t->clock_off_ns = clock_off_ns;
    lock_drop(&t->lock);
}

void tally_lose(struct tally *t, int64_t uptime_ns)
{
    lock_take(&t->lock);
    t->lost_ns = uptime_ns;
    lock_drop(&t->lock);
}

static void on(struct tally *t, enum wrap_op op, void (*fn)(void *arg), void *arg)
{
    lock_take(&t->lock);
    t->on = op;
    t->before = fn;
    t->arg = arg;
    lock_drop(&t->lock);
}

void tally_on_exec(struct tally *t, void (*fn)(void *arg), void *arg)
{
    on(t, WRAP_EXEC, fn, arg);
}

void tally_on_fetch(struct tally *t, void (*fn)(void *arg), void *arg)
{
    on(t, WRAP_FETCH, fn, arg);
}

void tally_on_exchange(struct tally *t, void (*fn)(void *arg), void *arg)
{
    on(t, WRAP_EXCHANGE, fn, arg);
}

void tally_on_rename(struct tally *t, void (*fn)(void *arg), void *arg)
{
    on(t, WRAP_RENAME, fn, arg);
}

void tally_hold(struct tally *t, bool hold)
{
    lock_take(&t->lock);
    t->hold = hold;
    pthread_cond_broadcast(&t->cond);
    lock_drop(&t->lock);
}

void tally_await(struct tally *t, unsigned waiting)
{
    lock_take(&t->lock);
    while (t->waiting < waiting)
        lock_wait(&t->lock, &t->cond);
    lock_drop(&t->lock);
}
