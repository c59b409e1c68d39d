#include "remote/job.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>

enum { PIECE = 4 << 20 };

/* Somebody waits for the start, and can try again: with the same token that is safe. */
#define START_PATIENCE_NS (10 * NS_PER_S)

/* Of these it cannot be known if they pass: a mount's network is gone or its sandbox is stopped; an
 * answer was damaged or there will never be a good one. */
static const int64_t down_patience_ns = 60 * NS_PER_S;
static const int64_t first_pause_ns = 100 * NS_PER_MS, most_pause_ns = 5 * NS_PER_S;

static bool network_is_gone(int r)
{
    switch (r) {
    case -ECONNRESET:
    case -ECONNREFUSED:
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -EHOSTDOWN:
    case -EIO: /* an answer that was cut, or somebody else's */
        return true;
    default:
        return false;
    }
}

int remote_outage_bear(struct remote_outage *o, int r, int64_t patience_ns)
{
    const int64_t now = clock_mono_ns();
    int64_t until;

    if (!network_is_gone(r))
        return r;
    if (o->since_ns == 0)
        *o = (struct remote_outage){.since_ns = now, .pause_ns = first_pause_ns};
    if (now - o->since_ns >= patience_ns ||
        ((r == -EHOSTDOWN || r == -EIO) && now - o->since_ns >= down_patience_ns))
        return r;
    for (until = now + o->pause_ns; clock_mono_ns() < until;) {
        if (cancel_fired(cancel_bound()))
            return -EINTR;
        (void)poll(NULL, 0, 20);
    }
    o->pause_ns = 2 * o->pause_ns < most_pause_ns ? 2 * o->pause_ns : most_pause_ns;
    return 0;
}

static int pass_on(struct remote_job_follow *f, const struct buf *out, const struct buf *err)
{
    int r = 0;

    if (out->len > 0)
        r = f->sink(f->arg, false, out->data, out->len);
    if (r == 0 && err->len > 0)
        r = f->sink(f->arg, true, err->data, err->len);
    f->out_off += out->len;
    f->err_off += err->len;
    return r;
}

int remote_job_begin(struct remote *r, const struct remote_job_start *start,
                     struct remote_job_follow *f, struct remote_job *ret)
{
    struct buf out = BUF_INIT(REMOTE_JOB_OUTPUT_MAX), err = BUF_INIT(REMOTE_JOB_OUTPUT_MAX);
    struct remote_outage outage = {0};
    int e, again = 0;

    do {
        e = remote_job_start(r, start, &out, &err, ret);
        if (e < 0)
            again = e == -EHOSTDOWN ? e : remote_outage_bear(&outage, e, START_PATIENCE_NS);
    } while (e < 0 && again == 0);
    if (e < 0)
        e = again;
    else
        e = pass_on(f, &out, &err);
    buf_done(&out);
    buf_done(&err);
    return e;
}

int remote_job_follow(struct remote *r, uint64_t id, struct remote_job_follow *f,
                      struct remote_job *job)
{
    struct buf out = BUF_INIT(PIECE), err = BUF_INIT(PIECE);
    struct remote_outage outage = {0};
    int e;

    for (;;) {
        const struct remote_job_read read = {.out_off = f->out_off,
                                             .err_off = f->err_off,
                                             .max = PIECE,
                                             .wait_ns = REMOTE_JOB_WAIT_NS,
                                             .out = &out,
                                             .err = &err};

        e = remote_job_read(r, id, &read, job);
        if (e < 0)
            e = remote_outage_bear(&outage, e, f->patience_ns);
        else
            outage.since_ns = 0;
        if (e < 0 || (e = pass_on(f, &out, &err)) < 0)
            break;
        if (outage.since_ns == 0 && job->phase != REMOTE_JOB_RUNNING &&
            f->out_off >= job->out_size && f->err_off >= job->err_size)
            break;
        buf_truncate(&out, 0);
        buf_truncate(&err, 0);
    }
    buf_done(&out);
    buf_done(&err);
    return e;
}

int remote_job_feed(struct remote *r, uint64_t id, uint64_t *off, const void *p, size_t len,
                    bool end, int64_t patience_ns)
{
    struct remote_outage outage = {0};
    const char *from = p;

    while (len > 0 || end) {
        const size_t n = len < REMOTE_JOB_INPUT_MAX ? len : REMOTE_JOB_INPUT_MAX;
        const struct remote_job_write w = {.off = *off,
                                           .data = from,
                                           .len = n,
                                           .end = end && n == len,
                                           .wait_ns = REMOTE_JOB_WAIT_NS};
        struct remote_job now;
        int e = remote_job_write(r, id, &w, &now);

        if (e < 0) {
            e = remote_outage_bear(&outage, e, patience_ns);
            if (e < 0)
                return e;
            continue;
        }
        outage.since_ns = 0;
        if (now.input_size < *off || now.input_size - *off > n)
            return -EIO; /* somebody else writes there, too */
        from += now.input_size - *off;
        len -= (size_t)(now.input_size - *off);
        *off = now.input_size;
        if (w.end && len == 0)
            return 0;
    }
    return 0;
}
