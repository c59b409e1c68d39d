#include "proto/run.h"

#include "util/array.h"
#include "util/path.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int put_text(struct buf *out, const char *s)
{
    return proto_put_string(out, s ? s : "", s ? strlen(s) : 0);
}

static int put_words(struct buf *out, char *const *v, size_t count)
{
    int r = proto_put_uint(out, count);

    for (size_t i = 0; i < count && r == 0; i++)
        r = put_text(out, v[i]);
    return r;
}

/* ---- requests ---- */

int run_put_request(struct buf *out, const struct run_request *q)
{
    const uint64_t v[] = {q->op,      q->flags,     q->id,      q->off,   q->out_off,
                          q->err_off, q->max_bytes, q->wait_ms, q->signal};
    const char *texts[] = {q->token, q->name, q->line, q->cwd};
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = proto_put_uints(&body, v, ARRAY_LEN(v));

    for (size_t i = 0; i < ARRAY_LEN(texts) && r == 0; i++)
        r = put_text(&body, texts[i]);
    if (r == 0)
        r = proto_put_string(&body, q->data, q->data_len);
    if (r == 0)
        r = put_words(&body, q->argv, q->argc);
    if (r == 0)
        r = put_words(&body, q->env, q->envc);
    return proto_end_frame(out, PROTO_RUN, &body, r);
}

static char *get_copy(struct proto_in *in, size_t max, size_t *ret_len)
{
    size_t len;
    const char *p = proto_get_string(in, max, &len);
    char *copy = malloc(len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, p, len);
    copy[len] = '\0';
    *ret_len = len;
    return copy;
}

/* Without NUL, so that it is all of it. */
static char *get_text(struct proto_in *in, size_t max)
{
    size_t len = 0;
    char *text = get_copy(in, max, &len);

    if (text && strlen(text) != len)
        in->bad = true;
    return text;
}

static int get_words(struct proto_in *in, char ***ret, size_t *ret_count)
{
    const uint64_t count = proto_get_uint(in);

    /* Each takes a byte at least, so a short body cannot ask for much memory. */
    if (in->bad || count > RUN_WORDS_MAX || count > (uint64_t)(in->end - in->p))
        return -EBADMSG;
    *ret = calloc(count + 1, sizeof(**ret));
    if (!*ret)
        return -ENOMEM;
    for (; *ret_count < count; (*ret_count)++) {
        (*ret)[*ret_count] = get_text(in, PROTO_BODY_MAX);
        if (!(*ret)[*ret_count])
            return -ENOMEM;
    }
    return in->bad ? -EBADMSG : 0;
}

/* What a name may be, "" not included. */
static bool name_valid(const char *name, size_t len)
{
    size_t digits = 0;

    if (len > RUN_NAME_MAX || !path_name_valid(name, len) || name[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (iscntrl((unsigned char)name[i]))
            return false;
        digits += isdigit((unsigned char)name[i]) != 0;
    }
    return digits < len; /* a number is an id */
}

static bool token_valid(const char *token)
{
    const size_t len = strlen(token);

    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)token[i]))
            return false;
    }
    return len <= RUN_TOKEN_MAX;
}

static bool env_valid(char *const *env)
{
    for (; *env; env++) {
        const char *equals = strchr(*env, '=');

        if (!equals || equals == *env)
            return false;
    }
    return true;
}

static bool start_valid(const struct run_request *q)
{
    return q->argc > 0 && q->token[0] && q->cwd[0] == '/' && env_valid(q->env);
}

static bool request_valid(const struct run_request *q)
{
    if (q->op < RUN_START || q->op > RUN_REMOVE || !token_valid(q->token) ||
        (q->name[0] && !name_valid(q->name, strlen(q->name))))
        return false;
    return q->op == RUN_START ? start_valid(q) : q->argc == 0 && q->envc == 0;
}

int run_get_request(const struct proto_frame *frame, struct run_request *ret)
{
    struct proto_in in = proto_in_frame(frame);
    struct run_request q = {0};
    uint64_t *const numbers[] = {&q.id,        &q.off,     &q.out_off, &q.err_off,
                                 &q.max_bytes, &q.wait_ms, &q.signal};
    uint64_t op, flags;
    int r = -EBADMSG;

    if ((int)frame->kind != PROTO_RUN)
        return -EBADMSG;
    op = proto_get_uint(&in);
    flags = proto_get_uint(&in);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        *numbers[i] = proto_get_uint(&in);
    if (in.bad || op > RUN_REMOVE || flags > RUN_FLAGS_ALL)
        return -EBADMSG;
    q.op = (enum run_op)op;
    q.flags = (unsigned)flags;
    q.token = get_text(&in, RUN_TOKEN_MAX);
    q.name = get_text(&in, RUN_NAME_MAX);
    q.line = get_text(&in, RUN_LINE_MAX);
    q.cwd = get_text(&in, PROTO_PATH_MAX);
    q.data = get_copy(&in, RUN_DATA_MAX, &q.data_len);
    if (!q.token || !q.name || !q.line || !q.cwd || !q.data)
        r = -ENOMEM;
    else if (!in.bad)
        r = get_words(&in, &q.argv, &q.argc);
    if (r == 0)
        r = get_words(&in, &q.env, &q.envc);
    if (r == 0 && (!proto_in_done(&in) || !request_valid(&q)))
        r = -EBADMSG;
    if (r < 0)
        run_request_done(&q);
    else
        *ret = q;
    return r;
}

static void words_done(char **v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(v[i]);
    free(v);
}

void run_request_done(struct run_request *q)
{
    free(q->token);
    free(q->name);
    free(q->line);
    free(q->cwd);
    free(q->data);
    words_done(q->argv, q->argc);
    words_done(q->env, q->envc);
    *q = (struct run_request){0};
}

/* ---- states ---- */

static int put_state_body(struct buf *body, const struct run_state *s)
{
    int r = proto_put_int(body, s->started_ns);

    if (r == 0)
        r = proto_put_int(body, s->ended_ns);
    if (r == 0)
        r = PROTO_PUT_UINTS(body, s->pid, s->exit_code, s->signal, s->err);
    return r;
}

static struct run_state get_state_body(struct proto_in *in)
{
    struct run_state s;

    s.started_ns = proto_get_int(in);
    s.ended_ns = proto_get_int(in);
    s.pid = proto_get_uint(in);
    s.exit_code = proto_get_uint(in);
    s.signal = proto_get_uint(in);
    s.err = proto_get_uint(in);
    if (s.pid > INT32_MAX || s.exit_code > 255 || s.signal > 127 || s.err > 4095)
        in->bad = true;
    return s;
}

int run_put_state(struct buf *out, const struct run_state *s)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);

    return proto_end_frame(out, PROTO_RUN_STATE, &body, put_state_body(&body, s));
}

int run_get_state(const struct proto_frame *f, struct run_state *ret)
{
    struct proto_in in = proto_in_frame(f);
    const struct run_state s = get_state_body(&in);

    if ((int)f->kind != PROTO_RUN_STATE || !proto_in_done(&in))
        return -EBADMSG;
    *ret = s;
    return 0;
}

/* ---- answers ---- */

int run_put_job(struct buf *out, const struct run_job *j)
{
    const uint64_t v[] = {j->id,       j->phase,    j->flags,    j->in_size,
                          j->out_size, j->err_size, j->both_size};
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = proto_put_uints(&body, v, ARRAY_LEN(v));

    if (r == 0)
        r = put_state_body(&body, &j->state);
    if (r == 0)
        r = proto_put_string(&body, j->name, j->name_len);
    if (r == 0)
        r = proto_put_string(&body, j->line, j->line_len);
    if (r == 0)
        r = proto_put_string(&body, j->cwd, j->cwd_len);
    return proto_end_frame(out, PROTO_RUN_JOB, &body, r);
}

static const char *get_piece(struct proto_in *in, size_t max, size_t *ret_len)
{
    const char *p = proto_get_string(in, max, ret_len);

    if (memchr(p, '\0', *ret_len))
        in->bad = true;
    return p;
}

int run_get_job(const struct proto_frame *f, struct run_job *ret)
{
    struct proto_in in = proto_in_frame(f);
    struct run_job j = {0};
    uint64_t phase, flags;

    j.id = proto_get_uint(&in);
    phase = proto_get_uint(&in);
    flags = proto_get_uint(&in);
    j.in_size = proto_get_uint(&in);
    j.out_size = proto_get_uint(&in);
    j.err_size = proto_get_uint(&in);
    j.both_size = proto_get_uint(&in);
    j.state = get_state_body(&in);
    j.name = get_piece(&in, RUN_NAME_MAX, &j.name_len);
    j.line = get_piece(&in, RUN_LINE_MAX, &j.line_len);
    j.cwd = get_piece(&in, PROTO_PATH_MAX, &j.cwd_len);
    if ((int)f->kind != PROTO_RUN_JOB || !proto_in_done(&in) || j.id == 0 || phase < RUN_RUNNING ||
        phase > RUN_LOST || flags > RUN_FLAGS_ALL || j.in_size > INT64_MAX ||
        j.out_size > INT64_MAX || j.err_size > INT64_MAX || j.both_size > INT64_MAX ||
        (j.name_len > 0 && !name_valid(j.name, j.name_len)))
        return -EBADMSG;
    j.phase = (enum run_phase)phase;
    j.flags = (unsigned)flags;
    *ret = j;
    return 0;
}

int run_put_data(struct buf *out, const struct run_data *d)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = PROTO_PUT_UINTS(&body, d->stream, d->off);

    if (r == 0)
        r = proto_put_string(&body, d->p, d->len);
    return proto_end_frame(out, PROTO_RUN_DATA, &body, r);
}

int run_get_data(const struct proto_frame *f, struct run_data *ret)
{
    struct proto_in in = proto_in_frame(f);
    const uint64_t stream = proto_get_uint(&in);
    struct run_data d = {.stream = (enum run_stream)stream, .off = proto_get_uint(&in)};

    d.p = proto_get_string(&in, PROTO_BODY_MAX, &d.len);
    if ((int)f->kind != PROTO_RUN_DATA || !proto_in_done(&in) || stream < RUN_OUT ||
        stream > RUN_BOTH || d.off > INT64_MAX)
        return -EBADMSG;
    *ret = d;
    return 0;
}
