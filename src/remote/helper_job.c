/* Jobs: the helper's verb run, a request each. */
#include "remote/helper_internal.h"

#include "proto/run.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIST_MAX = 64 << 20,  /* bytes of text */
    FRAMES_MAX = 1 << 20, /* of an answer, without its output */
};

static uint64_t to_ms(int64_t ns)
{
    const int64_t most_ns = RUN_WAIT_MS_MAX * NS_PER_MS;

    return ns <= 0 ? 0 : (uint64_t)((ns < most_ns ? ns : most_ns) / NS_PER_MS);
}

static size_t count(const char *const *v)
{
    size_t n = 0;

    while (v && v[n])
        n++;
    return n;
}

/* argv gets the shell's call where it is a script. */
static int fill_start(const struct helper *h, const struct remote_job_start *s, const char *argv[4],
                      struct run_request *req)
{
    const char *const *words = s->argv;

    if (!words) {
        if (!h->info.shell[0])
            return -EOPNOTSUPP;
        argv[0] = h->info.shell;
        argv[1] = "-c";
        argv[2] = s->script;
        argv[3] = NULL;
        words = argv;
    }
    req->op = RUN_START;
    req->token = (char *)s->token;
    req->name = (char *)s->name;
    req->line = (char *)s->line;
    req->cwd = (char *)s->cwd;
    req->argv = (char **)words;
    req->argc = count(words);
    req->env = (char **)s->env;
    req->envc = count(s->env);
    req->data = (char *)s->input;
    req->data_len = s->input_len;
    req->flags = (s->input_open ? RUN_STDIN_OPEN : 0) | (s->passing ? RUN_PASSING : 0);
    return req->argc > RUN_WORDS_MAX || req->envc > RUN_WORDS_MAX ? -E2BIG : 0;
}

static int fill_request(const struct helper *h, const struct remote_job_call *call,
                        const char *argv[4], struct run_request *req)
{
    req->id = call->id;
    if (call->read) {
        req->out_off = call->read->out_off;
        req->err_off = call->read->err_off;
        req->max_bytes = call->read->max;
        req->wait_ms = to_ms(call->read->wait_ns);
    }
    switch (call->op) {
    case REMOTE_JOB_START:
        return fill_start(h, call->start, argv, req);
    case REMOTE_JOB_LIST:
        req->op = RUN_LIST;
        return 0;
    case REMOTE_JOB_READ:
        req->op = RUN_READ;
        req->flags = call->read->together ? RUN_TOGETHER : 0;
        return 0;
    case REMOTE_JOB_WRITE:
        req->op = RUN_WRITE;
        req->off = call->write->off;
        req->data = (char *)call->write->data;
        req->data_len = call->write->len;
        req->flags = call->write->end ? RUN_STDIN_END : 0;
        req->wait_ms = to_ms(call->write->wait_ns);
        return 0;
    case REMOTE_JOB_KILL:
        req->op = RUN_KILL;
        req->signal = (uint64_t)call->signal;
        return 0;
    case REMOTE_JOB_REMOVE:
        req->op = RUN_REMOVE;
        return 0;
    }
    return -EOPNOTSUPP;
}

static int put_word(const struct run_request *req, struct buf *out)
{
    struct buf frame = BUF_INIT(PROTO_BODY_MAX + PROTO_HEADER);
    int r = run_put_request(&frame, req);

    if (r == 0)
        r = base64_encode(out, frame.data, frame.len);
    buf_done(&frame);
    return r == -EFBIG ? -E2BIG : r;
}

int helper_job(struct remote *r, const struct remote_job_call *call, struct remote_job_answer *ret)
{
    struct helper *h = helper_of(r);
    const size_t max = call->read ? call->read->max : 0;
    const size_t frames_max = call->op == REMOTE_JOB_LIST ? LIST_MAX : FRAMES_MAX;
    struct run_request req = {0};
    const char *argv[4];
    struct buf word = BUF_INIT(2 * PROTO_BODY_MAX), raw = BUF_INIT(2 * max + frames_max);
    struct helper_way way = {.answer_max = 2 * (2 * max + frames_max),
                             .once = call->op == REMOTE_JOB_KILL,
                             .after = call->after};
    int err = fill_request(h, call, argv, &req);

    if (call->after)
        way.answer_max += 2 * HELPER_AFTER_BYTES;
    way.more_s = (uint32_t)(req.wait_ms / 1000);
    if (err == 0)
        err = put_word(&req, &word);
    if (err == 0)
        err = helper_ask_word(h, &word, &way, &raw);
    if (err == 0)
        err = answer_run(&raw, &req, max > 0 ? call->read->out : NULL,
                         max > 0 ? call->read->err : NULL, ret);
    buf_done(&word);
    buf_done(&raw);
    return err == -EPROTO ? -EIO : err;
}
