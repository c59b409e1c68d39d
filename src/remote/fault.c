#include "remote/backends.h"
#include "remote/wrap.h"

#include "util/lock.h"

#include <errno.h>
#include <stdlib.h>

struct remote_fault {
    struct wrap wrap;
    struct lock lock; /* guards what follows */
    unsigned calls;   /* since the last _set */
    unsigned nth;     /* 0: none */
    enum remote_fault_kind kind;
    int err;
    unsigned left; /* before the line is down */
    int down;      /* 0: it is not */
};

static int short_fetch(struct wrap *w, const struct wrap_call *call, int err)
{
    struct wrap_call half = *call;
    uint64_t got;
    int r;

    if (half.expect && half.expect->size > half.off && half.len > half.expect->size - half.off)
        half.len = half.expect->size - half.off;
    half.len /= 2;
    half.ret_len = &got;
    r = wrap_forward(w, &half);
    return r < 0 ? r : err;
}

/* Half of the files, and no word of the others. */
static int short_fetch_many(struct wrap *w, const struct wrap_call *call, int err)
{
    struct wrap_call half = *call;
    struct remote_many many = *call->many;
    int r;

    many.count /= 2;
    half.many = &many;
    for (size_t i = many.count; i < call->many->count; i++)
        call->many->v[i].err = -EAGAIN;
    r = many.count ? wrap_forward(w, &half) : 0;
    return r < 0 ? r : err;
}

static int fault_around(struct wrap *w, const struct wrap_call *call)
{
    struct remote_fault *f = (struct remote_fault *)w;
    enum remote_fault_kind kind;
    bool hit;
    int err, down, r;

    lock_take(&f->lock);
    f->calls++;
    hit = f->nth != 0 && f->calls == f->nth;
    kind = f->kind;
    err = f->err;
    down = f->left == 0 ? f->down : 0;
    f->left -= f->left > 0;
    lock_drop(&f->lock);
    if (down < 0)
        return down;
    if (!hit)
        return wrap_forward(w, call);
    if (kind == REMOTE_FAULT_AFTER) {
        r = wrap_forward_lost(w, call);
        return r < 0 ? r : err;
    }
    if (kind == REMOTE_FAULT_SHORT && call->op == WRAP_FETCH)
        return short_fetch(w, call, err);
    if (kind == REMOTE_FAULT_SHORT && call->op == WRAP_FETCH_MANY)
        return short_fetch_many(w, call, err);
    return err;
}

static void fault_done(struct wrap *w)
{
    struct remote_fault *f = (struct remote_fault *)w;

    lock_done(&f->lock);
}

struct remote *remote_fault_new(struct remote *inner, struct remote_fault **ret_control)
{
    struct remote_fault *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    wrap_init(&f->wrap, inner, fault_around, fault_done);
    lock_init(&f->lock);
    *ret_control = f;
    return &f->wrap.remote;
}

void remote_fault_set(struct remote_fault *f, unsigned n, enum remote_fault_kind kind, int err)
{
    lock_take(&f->lock);
    f->calls = 0;
    f->nth = n;
    f->kind = kind;
    f->err = err > 0 ? -err : err;
    lock_drop(&f->lock);
}

void remote_fault_down(struct remote_fault *f, unsigned after, int err)
{
    lock_take(&f->lock);
    f->left = after;
    f->down = err > 0 ? -err : err;
    lock_drop(&f->lock);
}

unsigned remote_fault_calls(struct remote_fault *f)
{
    unsigned calls;

    lock_take(&f->lock);
    calls = f->calls;
    lock_drop(&f->lock);
    return calls;
}
