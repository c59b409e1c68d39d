#include "remote/helper_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct run_taker {
    const struct run_request *req;
    struct buf *out, *err;
    uint64_t out_off, err_off; /* where the next bytes must be */
    uint64_t left;
    struct remote_job_answer answer;
    size_t cap;
};

static struct remote_job *add_job(struct run_taker *t)
{
    if (t->answer.count == t->cap) {
        const size_t cap = t->cap ? 2 * t->cap : 4;
        struct remote_job *v = realloc(t->answer.v, cap * sizeof(*v));

        if (!v)
            return NULL;
        t->answer.v = v;
        t->cap = cap;
    }
    t->answer.v[t->answer.count] = (struct remote_job){0};
    return &t->answer.v[t->answer.count++];
}

static enum remote_job_phase to_phase(enum run_phase phase)
{
    return phase == RUN_RUNNING ? REMOTE_JOB_RUNNING
           : phase == RUN_ENDED ? REMOTE_JOB_ENDED
                                : REMOTE_JOB_LOST;
}

static int take_job(struct run_taker *t, const struct proto_frame *f)
{
    struct remote_job *job;
    struct run_job j;

    if (run_get_job(f, &j) < 0)
        return -EPROTO;
    if (t->req->op != RUN_LIST &&
        (t->answer.count > 0 || (t->req->op != RUN_START && j.id != t->req->id)))
        return -EPROTO;
    job = add_job(t);
    if (!job)
        return -ENOMEM;
    *job = (struct remote_job){
        .id = j.id,
        .phase = to_phase(j.phase),
        .exit_code = (int)j.state.exit_code,
        .signal = (int)j.state.signal,
        .err = -(int)j.state.err,
        .input_open = j.flags & RUN_STDIN_OPEN,
        .input_size = j.in_size,
        .out_size = j.out_size,
        .err_size = j.err_size,
        .both_size = j.both_size,
        .started_ns = j.state.started_ns,
        .ended_ns = j.state.ended_ns,
        .pid = j.state.pid,
    };
    if (t->req->op != RUN_LIST)
        return 0;
    job->name = strndup(j.name, j.name_len);
    job->line = strndup(j.line, j.line_len);
    job->cwd = strndup(j.cwd, j.cwd_len);
    return job->name && job->line && job->cwd ? 0 : -ENOMEM;
}

static int take_output(struct run_taker *t, const struct proto_frame *f)
{
    struct run_data d;
    uint64_t *off, size;

    if (t->answer.count != 1 || run_get_data(f, &d) < 0)
        return -EPROTO;
    if ((d.stream == RUN_BOTH) != ((t->req->flags & RUN_TOGETHER) != 0))
        return -EPROTO;
    off = d.stream == RUN_ERR ? &t->err_off : &t->out_off;
    size = d.stream == RUN_BOTH  ? t->answer.v[0].both_size
           : d.stream == RUN_OUT ? t->answer.v[0].out_size
                                 : t->answer.v[0].err_size;
    if (d.off != *off || d.len > t->left || d.len > size || d.off > size - d.len)
        return -EPROTO;
    *off += d.len;
    t->left -= d.len;
    return buf_append(d.stream == RUN_ERR ? t->err : t->out, d.p, d.len);
}

static int take_frame(void *arg, const struct proto_frame *f)
{
    switch ((int)f->kind) {
    case PROTO_RUN_JOB:
        return take_job(arg, f);
    case PROTO_RUN_DATA:
        return take_output(arg, f);
    default:
        return -EPROTO;
    }
}

int answer_run(const struct buf *raw, const struct run_request *req, struct buf *out,
               struct buf *err, struct remote_job_answer *ret)
{
    const size_t out_len = out ? out->len : 0, err_len = err ? err->len : 0;
    struct run_taker t = {.req = req,
                          .out = out,
                          .err = err,
                          .out_off = req->out_off,
                          .err_off = req->err_off,
                          .left = out && err ? req->max_bytes : 0};
    struct answer_end end;
    uint64_t entries;
    int r = answer_walk(raw, take_frame, &t, &end, &entries);

    if (r == 0)
        r = end.err;
    if (r == 0 && req->op != RUN_LIST && req->op != RUN_REMOVE && t.answer.count != 1)
        r = -EPROTO;
    if (r == 0) {
        *ret = t.answer;
        return 0;
    }
    remote_job_list_free(t.answer.v, t.answer.count);
    if (out)
        buf_truncate(out, out_len);
    if (err)
        buf_truncate(err, err_len);
    return r;
}
