/* What became of a batch, taken apart. */
#include "remote/helper_answer.h"

#include "proto/batch.h"
#include "remote/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

struct taker {
    struct batch_state state;
    bool has_state;
    struct remote_result *v; /* owned */
    size_t count, max;
};

static bool to_attr(const struct batch_attr *a, struct remote_attr *ret)
{
    if ((a->mode & ~(mode_t)(S_IFMT | 07777)) || (a->mode & S_IFMT) == 0)
        return false;
    *ret = (struct remote_attr){
        .ino = a->ino,
        .size = a->size,
        .rdev = a->rdev,
        .mtime_ns = a->mtime_ns,
        .ctime_ns = a->ctime_ns,
        .mode = a->mode,
        .nlink = a->nlink,
        .uid = a->uid,
        .gid = a->gid,
        .birth = a->has_birth ? proto_birth(a->birth_ns) : 0,
    };
    answer_device(a->dev, ret);
    return true;
}

static int take_results(struct taker *t, const struct proto_frame *f)
{
    struct proto_in in = proto_in_frame(f);
    struct batch_result r;

    while (in.p < in.end) {
        struct remote_result *to = &t->v[t->count];

        if (t->count == t->max || !batch_get_result(&in, &r))
            return -EPROTO;
        to->outcome = (enum remote_outcome)r.outcome;
        to->err = r.err;
        if (r.now.mode != 0 && !to_attr(&r.now, &to->now))
            return -EPROTO;
        if (r.other.mode != 0 && !to_attr(&r.other, &to->other))
            return -EPROTO;
        t->count++;
    }
    return 0;
}

static int take(void *arg, const struct proto_frame *f)
{
    struct taker *t = arg;

    if ((int)f->kind == PROTO_BATCH_RESULTS && t->has_state)
        return take_results(t, f);
    if (t->has_state || batch_get_state(f, &t->state) < 0)
        return -EPROTO;
    t->has_state = true;
    return 0;
}

int answer_joined(const struct buf *raw, struct remote_joined *to, bool *ret_more)
{
    struct taker t = {.max = 0};
    struct answer_end end;
    uint64_t entries;
    int r = answer_walk(raw, take, &t, &end, &entries);

    if (r == 0)
        r = end.err;
    if (r == 0 && (!t.has_state || t.state.state != BATCH_FINISHED || t.state.number == 0))
        r = -EPROTO;
    if (r < 0)
        return r;
    to->size = t.state.settled;
    to->seal = t.state.number;
    *ret_more = end.more;
    return 0;
}

int answer_applied(const struct buf *raw, size_t count, struct remote_applied *ret, bool *ret_more,
                   uint64_t *ret_settled)
{
    struct taker t = {.v = calloc(count + 1, sizeof(*t.v)), .max = count};
    struct answer_end end;
    uint64_t entries;
    bool whole;
    int r = t.v ? answer_walk(raw, take, &t, &end, &entries) : -ENOMEM;

    if (r == 0)
        r = end.err;
    whole = t.count == (t.state.state == BATCH_FINISHED && r == 0 && !end.more ? count : 0);
    if (r == 0 && (!t.has_state || !whole || (end.more && t.state.state != BATCH_FINISHED)))
        r = -EPROTO;
    if (r < 0 || end.more || t.count == 0) {
        free(t.v);
        t.v = NULL;
    }
    if (r < 0)
        return r;
    *ret_more = end.more;
    *ret_settled = t.state.settled;
    if (!end.more)
        *ret = (struct remote_applied){.state = (enum remote_batch_state)t.state.state,
                                       .v = t.v,
                                       .count = t.count,
                                       .now_ns = t.state.now_ns};
    return 0;
}
