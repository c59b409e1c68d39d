/* batch_answer.c - what the helper says of a batch. */
#include "proto/batch.h"

#include <errno.h>

/* Added to an outcome: what is optional behind it is there. */
enum { OUTCOMES = 16, WITH_NOW = 16, WITH_OTHER = 32, WITH_BIRTH = 64, WITH_END = 128 };

static int put_attr(struct buf *out, const struct batch_attr *a)
{
    const int r =
        PROTO_PUT_UINTS(out, a->dev, a->ino, a->mode, a->nlink, a->uid, a->gid, a->size, a->rdev);

    return r < 0 ? r : proto_put_times(out, a->mtime_ns, a->ctime_ns);
}

static void get_attr(struct proto_in *in, struct batch_attr *a)
{
    a->dev = proto_get_uint(in);
    a->ino = proto_get_uint(in);
    a->mode = proto_get_uint32(in);
    a->nlink = proto_get_uint32(in);
    a->uid = proto_get_uint32(in);
    a->gid = proto_get_uint32(in);
    a->size = proto_get_uint(in);
    a->rdev = proto_get_uint(in);
    proto_get_times(in, &a->mtime_ns, &a->ctime_ns);
    in->bad = in->bad || a->size > INT64_MAX;
}

static bool has_err(enum batch_outcome o)
{
    return o != BATCH_OPEN && o != BATCH_DONE;
}

int batch_put_result(struct buf *out, const struct batch_result *r)
{
    const bool now = r->now.mode != 0, other = r->other.mode != 0;
    const bool birth = now && r->now.has_birth;
    int err = proto_put_uint(out, (uint64_t)r->outcome + (now ? WITH_NOW : 0) +
                                      (other ? WITH_OTHER : 0) + (birth ? WITH_BIRTH : 0));

    if (err == 0 && now)
        err = put_attr(out, &r->now);
    if (err == 0 && other)
        err = put_attr(out, &r->other);
    if (err == 0 && has_err(r->outcome))
        err = proto_put_uint(out, (uint64_t)-r->err);
    if (err == 0 && birth)
        err = proto_put_int(out, (int64_t)((uint64_t)r->now.ctime_ns - (uint64_t)r->now.birth_ns));
    return err;
}

bool batch_get_result(struct proto_in *in, struct batch_result *ret)
{
    const uint64_t outcome = proto_get_uint(in);
    const bool now = outcome & WITH_NOW, other = outcome & WITH_OTHER;
    struct batch_result r = {.outcome = (enum batch_outcome)(outcome % OUTCOMES)};
    uint64_t err = 0;

    if (now)
        get_attr(in, &r.now);
    if (other)
        get_attr(in, &r.other);
    if (has_err(r.outcome))
        err = proto_get_uint(in);
    r.now.has_birth = outcome & WITH_BIRTH;
    if (r.now.has_birth)
        r.now.birth_ns = (int64_t)((uint64_t)r.now.ctime_ns - (uint64_t)proto_get_int(in));
    if (in->bad || outcome >= WITH_END || (r.now.has_birth && !now) || r.outcome > BATCH_POISONED ||
        err > 4095 || has_err(r.outcome) != (err > 0) || now != (r.now.mode != 0) ||
        other != (r.other.mode != 0)) {
        in->bad = true;
        return false;
    }
    r.err = -(int)err;
    *ret = r;
    return true;
}

int batch_put_state(struct buf *out, const struct batch_state *s)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = PROTO_PUT_UINTS(&body, s->state, s->settled, s->number);

    if (r == 0)
        r = proto_put_int(&body, s->now_ns);
    return proto_end_frame(out, PROTO_BATCH_STATE, &body, r);
}

int batch_get_state(const struct proto_frame *f, struct batch_state *ret)
{
    struct proto_in in = proto_in_frame(f);
    const uint64_t state = proto_get_uint(&in);
    struct batch_state s = {.state = (enum batch_state_kind)state};

    s.settled = proto_get_uint(&in);
    s.number = proto_get_uint(&in);
    s.now_ns = proto_get_int(&in);
    if ((int)f->kind != PROTO_BATCH_STATE || state > BATCH_OTHER || !proto_in_done(&in))
        return -EBADMSG;
    *ret = s;
    return 0;
}
