/* interpreter_calls.c - /process/interpreter: the calls, and the conversation of one run. */
#include "server/interpreter.h"

#include "server/server_internal.h"
#include "server/wsock.h"

#include "util/array.h"
#include "util/clock.h"
#include "wire/time.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    TIMEOUT_S = 600,
    TIMEOUT_MAX_S = 7 * 24 * 3600,
    GRACE_S = 2,       /* from SIGINT to SIGKILL */
    FIRST_WAIT_S = 30, /* for the client's message */
    STEP_MS = 200,
    BLOCK = 32 << 10,
};
enum { CLOSE_OK = 1000, CLOSE_GARBLED = 1002, CLOSE_REFUSED = 1008, CLOSE_LOST = 1011 };
enum { CLOSE_TIMEOUT = 4008 };

/* ---- contexts ---- */

static void put_context(struct json_out *o, struct interpreter *in)
{
    struct buf when = BUF_INIT(64);

    (void)time_write_rfc3339(&when, in->created_ms * NS_PER_MS, 0);
    json_open(o, '{');
    json_key(o, "id");
    json_string(o, in->id);
    json_key(o, "cwd");
    json_string(o, in->cwd);
    json_key(o, "createdAt");
    json_string(o, buf_str(&when));
    json_key(o, "active");
    json_bool(o, interpreter_alive(in));
    json_key(o, "language");
    json_string(o, "python");
    json_close(o, '}');
    buf_done(&when);
}

struct context_json {
    char *cwd, *language;
};
static const struct json_field context_fields[] = {
    JSON_FIELD(struct context_json, cwd, "cwd", JSON_STRING, 0),
    JSON_FIELD(struct context_json, language, "language", JSON_STRING, 0),
};

static void create(struct request *rq, const struct context_json *c)
{
    struct interpreter *in = NULL;
    struct json_out o;
    int r = -EINVAL;

    if (!*c->language || strcmp(c->language, "python") == 0)
        r = interpreter_create(rq, c->cwd, &in);
    if (r < 0) {
        reply_status(rq, r == -EINVAL || r == -ENOENT ? 400 : 500);
        return;
    }
    o = reply_json(rq, 200);
    put_context(&o, in);
    reply_json_end(rq, &o);
    interpreter_unref(in);
}

void interpreter_post(struct request *rq)
{
    struct context_json c = {0};

    if (rq->body.len == 0 && buf_puts(&rq->body, "{}") < 0) {
        reply_status(rq, 500);
        return;
    }
    if (request_json(rq, context_fields, ARRAY_LEN(context_fields), &c) < 0)
        reply_status(rq, 400);
    else
        create(rq, &c);
    json_unload(context_fields, ARRAY_LEN(context_fields), &c);
}

void interpreter_get_all(struct request *rq)
{
    struct json_out o = reply_json(rq, 200);
    struct interpreter *list[INTERPRETERS_MAX];
    const size_t count = interpreter_list(rq->sandbox, list);

    json_open(&o, '{');
    json_key(&o, "contexts");
    json_open(&o, '[');
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i]->id, INTERPRETER_DEFAULT) != 0)
            put_context(&o, list[i]);
        interpreter_unref(list[i]);
    }
    json_close(&o, ']');
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

void interpreter_remove(struct request *rq)
{
    struct interpreter *in;
    struct json_out o;

    if (strcmp(rq->capture[0], INTERPRETER_DEFAULT) == 0) {
        reply_status(rq, 400);
        return;
    }
    in = interpreter_find(rq, rq->capture[0]);
    if (!in) {
        reply_status(rq, 404);
        return;
    }
    interpreter_delete(rq->sandbox, in);
    interpreter_unref(in);
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "message");
    json_string(&o, "Context deleted successfully");
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

/* ---- one run ---- */

struct run_json {
    char *code, *context;
    int64_t timeout_s;
    struct json_pairs env;
};
static const struct json_field run_fields[] = {
    JSON_FIELD(struct run_json, code, "code", JSON_STRING, 0),
    JSON_FIELD(struct run_json, context, "contextId", JSON_STRING, 0),
    JSON_FIELD(struct run_json, timeout_s, "timeout", JSON_INT, 0),
    JSON_FIELD(struct run_json, env, "envs", JSON_PAIRS, 0),
};

struct run {
    struct interpreter *in;
    struct wsock *ws; /* NULL: the client has gone; the code goes on all the same */
    struct buf events;
    int epoll;
    bool over; /* the program has said so */
    bool lost; /* it has ended */
    bool late; /* the close tells of it: clients take the program's word for the end of a run */
};

/* The sandbox may write what it likes; it must be a frame of text, and one of these ends the run.
 */
static bool is_event(const char *line, size_t n, bool *ret_end)
{
    static const char end[] = "{\"type\": \"control\"";

    *ret_end = strncmp(line, end, strlen(end)) == 0;
    return *line == '{' && json_utf8_valid(line, n);
}

static void say(struct run *run, const char *text)
{
    if (run->ws && wsock_send_text(run->ws, text) < 0)
        run->ws = NULL;
}

/* What the code's children print. */
static void pass_output(struct run *run, int fd, const char *type)
{
    struct buf text = BUF_INIT(8 * BLOCK);
    struct json_out o = {.buf = &text};
    char block[BLOCK];
    const ssize_t n = read(fd, block, sizeof(block));

    if (n == 0) /* it has closed what it was given; the status tells if it lives */
        (void)epoll_ctl(run->epoll, EPOLL_CTL_DEL, fd, NULL);
    if (n <= 0)
        return;
    json_open(&o, '{');
    json_key(&o, "type");
    json_string(&o, type);
    json_key(&o, "text");
    json_bytes(&o, block, (size_t)n);
    json_close(&o, '}');
    if (o.err == 0)
        say(run, buf_str(&text));
    buf_done(&text);
}

/* False at their end. */
static bool take_events(struct run *run)
{
    char block[BLOCK], *end;
    const ssize_t n = read(run->in->events, block, sizeof(block));

    if (n == 0)
        (void)epoll_ctl(run->epoll, EPOLL_CTL_DEL, run->in->events, NULL);
    if (n > 0 && buf_append(&run->events, block, (size_t)n) < 0)
        run->lost = true; /* an event without an end */
    while (!run->over && run->events.len > 0 &&
           (end = memchr(run->events.data, '\n', run->events.len))) {
        const size_t len = (size_t)(end - run->events.data);

        *end = '\0';
        if (is_event(run->events.data, len, &run->over)) {
            if (run->over) { /* what children have printed by now belongs to this run */
                pass_output(run, run->in->out, "stdout");
                pass_output(run, run->in->err, "stderr");
            }
            if (!run->over || !run->late)
                say(run, run->events.data);
        }
        buf_consume(&run->events, len + 1);
    }
    return n > 0;
}

/* Or has come to its end. */
static bool has_input(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    return poll(&pfd, 1, 0) > 0;
}

static void take_all(struct run *run)
{
    if (has_input(run->in->out))
        pass_output(run, run->in->out, "stdout");
    if (has_input(run->in->err))
        pass_output(run, run->in->err, "stderr");
    if (has_input(run->in->events) && take_events(run))
        return; /* there may be more, before the end too */
    if (has_input(run->in->status))
        run->lost = true;
}

/* Until something has come, or the time is over. */
static void wait_some(struct run *run, int timeout_ms)
{
    struct pollfd pfd = {.fd = run->epoll, .events = POLLIN};

    if (run->ws && wsock_wait(run->ws, run->epoll, timeout_ms) < 0)
        run->ws = NULL;
    if (!run->ws)
        (void)poll(&pfd, 1, timeout_ms);
}

static void wait_end(struct run *run, int64_t until_ns)
{
    while (!run->over && !run->lost && clock_mono_ns() < until_ns) {
        const int64_t left_ms = (until_ns - clock_mono_ns()) / NS_PER_MS + 1;

        wait_some(run, left_ms < STEP_MS ? (int)left_ms : STEP_MS);
        take_all(run);
    }
}

static int put_command(const struct run_json *c, struct buf *out)
{
    struct json_out o = {.buf = out};

    json_open(&o, '{');
    json_key(&o, "code");
    json_string(&o, c->code);
    json_key(&o, "envs");
    json_pairs(&o, &c->env);
    json_close(&o, '}');
    return o.err < 0 ? o.err : buf_putc(out, '\n');
}

/* The program reads when it is not running anything, so this does not take long. */
static int send_command(struct run *run, const struct run_json *c)
{
    const int64_t until = clock_mono_ns() + FIRST_WAIT_S * NS_PER_S;
    struct buf line = BUF_INIT(2 * INTERPRETER_EVENT_MAX);
    int r = put_command(c, &line);

    for (size_t off = 0; r == 0 && off < line.len;) {
        struct pollfd pfd = {.fd = run->in->commands, .events = POLLOUT};
        ssize_t n;

        if (poll(&pfd, 1, STEP_MS) < 0 && errno != EINTR)
            r = -errno;
        n = write(run->in->commands, line.data + off, line.len - off);
        if (n > 0)
            off += (size_t)n;
        else if (errno != EAGAIN && errno != EINTR)
            r = -errno;
        else if (clock_mono_ns() >= until)
            r = -ETIMEDOUT;
    }
    buf_done(&line);
    return r;
}

static int watch(struct run *run)
{
    const int fds[] = {run->in->events, run->in->out, run->in->err, run->in->status};

    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (run->epoll < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        struct epoll_event e = {.events = EPOLLIN};

        if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, fds[i], &e) < 0)
            return -errno;
    }
    return 0;
}

/* The close code; *ret_reason says more. */
static unsigned run_code(struct run *run, const struct run_json *c, const char **ret_reason)
{
    const int64_t until = c->timeout_s == 0 ? INT64_MAX : clock_mono_ns() + c->timeout_s * NS_PER_S;

    *ret_reason = "";
    if (send_command(run, c) < 0) {
        run->lost = true;
    } else {
        wait_end(run, until);
    }
    run->late = !run->over && !run->lost;
    if (run->late) {
        (void)jail_kill_tree(run->in->jail, run->in->job, SIGINT);
        wait_end(run, clock_mono_ns() + GRACE_S * NS_PER_S);
    }
    if (!run->over) /* it is started anew when somebody wants it */
        interpreter_stop(run->in);
    if (run->late)
        *ret_reason = "execution timed out";
    else if (run->lost)
        *ret_reason = "the interpreter has ended";
    return run->late ? CLOSE_TIMEOUT : run->lost ? CLOSE_LOST : CLOSE_OK;
}

/* ---- the conversation ---- */

static void close_if_there(struct wsock *ws, unsigned code, const char *reason)
{
    if (ws)
        wsock_close(ws, code, reason);
}

/* With the turn. */
static void run_in_turn(struct request *rq, struct interpreter *in, struct wsock *ws,
                        const struct run_json *c)
{
    struct run run = {.in = in, .ws = ws, .events = BUF_INIT(INTERPRETER_EVENT_MAX), .epoll = -1};
    const char *reason = "";
    int r;

    r = interpreter_start(rq, in);
    if (r == 0)
        r = watch(&run);
    if (r == -ENOEXEC)
        close_if_there(ws, CLOSE_LOST, "there is no python3 in this sandbox");
    else if (r < 0)
        close_if_there(ws, CLOSE_LOST, strerror(-r));
    else {
        const unsigned code = run_code(&run, c, &reason);

        close_if_there(run.ws, code, reason);
    }
    if (run.epoll >= 0)
        close(run.epoll);
    buf_done(&run.events);
}

static void run_when_served(struct request *rq, struct interpreter *in, struct wsock *ws,
                            const struct run_json *c)
{
    uint64_t ticket;

    if (interpreter_queue(in, &ticket) < 0) {
        wsock_close(ws, CLOSE_REFUSED, "too many executions wait for this context");
        return;
    }
    while (interpreter_wait_turn(in, ticket, clock_mono_ns() + STEP_MS * NS_PER_MS) < 0) {
        if (ws && wsock_wait(ws, -1, 0) < 0)
            ws = NULL; /* a place in the line cannot be left */
    }
    if (ws)
        run_in_turn(rq, in, ws, c);
    interpreter_give_back(in);
}

static bool env_valid(const struct json_pairs *env)
{
    for (size_t i = 0; i < env->count; i++) {
        if (!shell_env_key_valid(env->list[i].key))
            return false;
    }
    return true;
}

static void answer_message(struct request *rq, struct wsock *ws, const struct buf *message)
{
    struct run_json c = {.timeout_s = TIMEOUT_S};
    struct interpreter *in = NULL;
    char reason[124]; /* what a close frame holds */

    if (json_read(message->data, message->len, run_fields, ARRAY_LEN(run_fields), &c) < 0) {
        wsock_close(ws, CLOSE_GARBLED, "invalid request");
        return;
    }
    if (!*c.code) {
        wsock_close(ws, CLOSE_REFUSED, "code is required");
    } else if (c.timeout_s < 0 || c.timeout_s > TIMEOUT_MAX_S) {
        wsock_close(ws, CLOSE_REFUSED, "timeout is not allowed");
    } else if (!env_valid(&c.env)) {
        wsock_close(ws, CLOSE_REFUSED, "invalid environment variable name");
    } else {
        const char *id = *c.context ? c.context : INTERPRETER_DEFAULT;

        in = interpreter_find(rq, id);
        snprintf(reason, sizeof(reason), "context not found: %.80s", id);
        if (in)
            run_when_served(rq, in, ws, &c);
        else
            wsock_close(ws, CLOSE_REFUSED,
                        json_utf8_valid(reason, strlen(reason)) ? reason : "context not found");
    }
    interpreter_unref(in);
    json_unload(run_fields, ARRAY_LEN(run_fields), &c);
}

struct first {
    struct buf message;
    bool there;
};

/* One request a connection; what comes later is not looked at. */
static void take_first(void *arg, const uint8_t *p, size_t n)
{
    struct first *f = arg;

    if (!f->there)
        f->there = buf_append(&f->message, p, n) == 0;
}

static void talk(struct request *rq, struct wsock *ws, void *arg)
{
    const int64_t until = clock_mono_ns() + FIRST_WAIT_S * NS_PER_S;
    struct first f = {.message = BUF_INIT(INTERPRETER_EVENT_MAX)};

    wsock_message_limit(ws, INTERPRETER_EVENT_MAX);
    wsock_on_message(ws, take_first, &f);
    while (!f.there && clock_mono_ns() < until) {
        if (wsock_wait(ws, -1, STEP_MS) < 0)
            break;
    }
    if (f.there)
        answer_message(rq, ws, &f.message);
    else
        wsock_close(ws, CLOSE_REFUSED, "no request came");
    buf_done(&f.message);
}

static void talk_free(void *arg)
{
}

void interpreter_execute(struct request *rq)
{
    if (!wsock_wanted(rq)) {
        reply_text(rq, 400, "text/plain; charset=utf-8", "Bad Request\n");
        return;
    }
    wsock_accept(rq, talk, talk_free, NULL);
}
