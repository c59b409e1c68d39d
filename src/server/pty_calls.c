/* pty_calls.c - /process/pty: the calls, and the conversation of who is attached. */
#include "server/pty.h"

#include "server/server_internal.h"
#include "server/wsock.h"

#include "util/array.h"
#include "util/base64.h"
#include "util/clock.h"
#include "wire/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 1000 };

static void refuse(struct request *rq, int status, const char *text)
{
    struct json_out o = reply_json(rq, status);

    json_open(&o, '{');
    json_key(&o, "error");
    json_string(&o, text);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

static struct pty *take(struct request *rq, int status)
{
    struct pty *p = pty_find(rq->sandbox, rq->capture[0]);

    if (!p)
        refuse(rq, status, "PTY session not found");
    return p;
}

static void put_info(struct json_out *o, struct pty *p)
{
    struct buf when = BUF_INIT(64);

    (void)time_write_rfc3339(&when, p->created_ms * NS_PER_MS, 0);
    lock_take(&p->lock);
    json_open(o, '{');
    json_key(o, "id");
    json_string(o, p->id);
    json_key(o, "cwd");
    json_string(o, p->cwd);
    json_key(o, "envs");
    json_pairs(o, &p->env);
    json_key(o, "cols");
    json_int(o, p->cols);
    json_key(o, "rows");
    json_int(o, p->rows);
    json_key(o, "createdAt");
    json_string(o, buf_str(&when));
    json_key(o, "active");
    json_bool(o, p->started && !p->ended);
    json_key(o, "lazyStart");
    json_bool(o, p->lazy);
    json_close(o, '}');
    lock_drop(&p->lock);
    buf_done(&when);
}

static void answer_info(struct request *rq, struct pty *p)
{
    struct json_out o = reply_json(rq, 200);

    put_info(&o, p);
    reply_json_end(rq, &o);
}

static void refuse_create(struct request *rq, int r)
{
    char text[128];

    snprintf(text, sizeof(text), "failed to start PTY session: %s", strerror(-r));
    if (r == -EEXIST)
        refuse(rq, 409, "PTY session already exists");
    else if (r == -EINVAL)
        refuse(rq, 400, "id is missing or not allowed, or cols or rows are not within 1 to 1000");
    else
        refuse(rq, 500, text);
}

static const struct json_field create_fields[] = {
    JSON_FIELD(struct pty_params, id, "id", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct pty_params, cwd, "cwd", JSON_STRING, 0),
    JSON_FIELD(struct pty_params, env, "envs", JSON_PAIRS, 0),
    JSON_FIELD(struct pty_params, cols, "cols", JSON_INT, 0),
    JSON_FIELD(struct pty_params, rows, "rows", JSON_INT, 0),
    JSON_FIELD(struct pty_params, lazy, "lazyStart", JSON_BOOL, 0),
};

static bool env_valid(const struct json_pairs *env)
{
    for (size_t i = 0; i < env->count; i++) {
        if (!shell_env_key_valid(env->list[i].key))
            return false;
    }
    return true;
}

void pty_post(struct request *rq)
{
    struct pty_params params = {.cols = JSON_ABSENT, .rows = JSON_ABSENT};
    struct pty *p = NULL;
    struct json_out o;
    int r;

    r = request_json(rq, create_fields, ARRAY_LEN(create_fields), &params);
    if (r == 0)
        r = env_valid(&params.env) ? pty_create(rq, &params, &p) : -EINVAL;
    else
        r = -EINVAL;
    if (r < 0) {
        refuse_create(rq, r);
    } else {
        o = reply_json(rq, 201);
        json_open(&o, '{');
        json_key(&o, "sessionId");
        json_string(&o, p->id);
        json_close(&o, '}');
        reply_json_end(rq, &o);
    }
    pty_unref(p);
    json_unload(create_fields, ARRAY_LEN(create_fields), &params);
}

void pty_get_all(struct request *rq)
{
    struct json_out o = reply_json(rq, 200);
    struct pty *list[PTYS_MAX];
    const size_t count = pty_list(rq->sandbox, list);

    json_open(&o, '{');
    json_key(&o, "sessions");
    json_open(&o, '[');
    for (size_t i = 0; i < count; i++) {
        put_info(&o, list[i]);
        pty_unref(list[i]);
    }
    json_close(&o, ']');
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

void pty_get(struct request *rq)
{
    struct pty *p = take(rq, 404);

    if (!p)
        return;
    answer_info(rq, p);
    pty_unref(p);
}

void pty_delete(struct request *rq)
{
    struct pty *p = take(rq, 404);
    struct json_out o;

    if (!p)
        return;
    pty_kill(rq->sandbox, p);
    pty_unref(p);
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "message");
    json_string(&o, "PTY session deleted");
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

struct size_json {
    int64_t cols, rows;
};
static const struct json_field size_fields[] = {
    JSON_FIELD(struct size_json, cols, "cols", JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct size_json, rows, "rows", JSON_INT, JSON_REQUIRED),
};

void pty_post_size(struct request *rq)
{
    struct size_json size = {0};
    struct pty *p;
    int r;

    if (request_json(rq, size_fields, ARRAY_LEN(size_fields), &size) < 0 || size.cols < 1 ||
        size.rows < 1 || size.cols > PTY_SIZE_MAX || size.rows > PTY_SIZE_MAX) {
        refuse(rq, 400, "cols and rows must be 1 to 1000");
        return;
    }
    p = take(rq, 410);
    if (!p)
        return;
    r = pty_resize(p, (unsigned)size.cols, (unsigned)size.rows);
    if (r == 0)
        answer_info(rq, p);
    else if (r == -ESRCH)
        refuse(rq, 410, "PTY session has ended");
    else
        refuse(rq, 500, "PTY session is not started");
    pty_unref(p);
}

/* ---- attached ---- */

struct talk {
    struct pty *pty; /* a reference; NULL: there is none */
    const char *error;
    bool says_exit; /* the client knows the control frame for it */
};

static void talk_free(void *arg)
{
    struct talk *t = arg;

    pty_unref(t->pty);
    free(t);
}

struct typing {
    struct pty *pty;
    struct wsock *ws;
};

static void type(void *arg, const uint8_t *p, size_t n)
{
    struct typing *t = arg;

    if (pty_type(t->pty, p, n) < 0)
        wsock_drop(t->ws);
}

struct exit_reason {
    int code;
    const char *text;
};
static const struct exit_reason exit_reasons[] = {
    {130, "Ctrl+C"}, {137, "SIGKILL"}, {143, "SIGTERM"}};

/* `"exitCode":n,"exitReason":"…"`, without a reason for 0. */
static void put_exit(struct json_out *o, int code)
{
    char text[32];
    const char *reason = code > 128 ? text : "non-zero exit";

    snprintf(text, sizeof(text), "signal %d", code - 128);
    for (size_t i = 0; i < ARRAY_LEN(exit_reasons); i++) {
        if (exit_reasons[i].code == code)
            reason = exit_reasons[i].text;
    }
    json_key(o, "exitCode");
    json_int(o, code);
    if (code != 0) {
        json_key(o, "exitReason");
        json_string(o, reason);
    }
}

static void say_exit(struct wsock *ws, const struct talk *t, int code)
{
    struct buf text = BUF_INIT(256);
    struct json_out o = {.buf = &text};

    if (t->says_exit) {
        json_open(&o, '{');
        json_key(&o, "type");
        json_string(&o, "control");
        json_key(&o, "status");
        json_string(&o, "exited");
        put_exit(&o, code);
        json_close(&o, '}');
        (void)wsock_send_text(ws, buf_str(&text)); /* the close tells of a peer that has gone */
    }
    buf_truncate(&text, 0);
    o = (struct json_out){.buf = &text};
    json_open(&o, '{');
    put_exit(&o, code);
    json_close(&o, '}');
    wsock_close(ws, code == 0 ? 1000 : 1011, buf_str(&text));
    buf_done(&text);
}

static void converse(struct request *rq, struct wsock *ws, const struct talk *t,
                     struct pty_client *client)
{
    struct typing typing = {.pty = t->pty, .ws = ws};

    wsock_on_message(ws, type, &typing);
    for (;;) {
        struct pty_chunk *chunk;
        bool ended;
        int r = 0;

        while (r == 0 && (chunk = pty_next(t->pty, client, &ended))) {
            r = wsock_send_binary(ws, chunk->data, chunk->len);
            free(chunk);
        }
        if (r < 0)
            return;
        if (client->slow) {
            wsock_close(ws, 1008, "slow consumer");
            return;
        }
        if (ended) {
            say_exit(ws, t, t->pty->exit_code);
            return;
        }
        if (wsock_wait(ws, client->wake, WAIT_MS) < 0)
            return;
    }
}

static void say_error(struct wsock *ws, const char *error)
{
    struct buf text = BUF_INIT(512);
    struct json_out o = {.buf = &text};

    json_open(&o, '{');
    json_key(&o, "type");
    json_string(&o, "control");
    json_key(&o, "status");
    json_string(&o, "error");
    json_key(&o, "error");
    json_string(&o, error);
    json_close(&o, '}');
    (void)wsock_send_text(ws, buf_str(&text)); /* and then the connection ends without a word */
    buf_done(&text);
}

static void talk(struct request *rq, struct wsock *ws, void *arg)
{
    struct talk *t = arg;
    struct pty_client client;
    int r;

    if (!t->pty) {
        say_error(ws, t->error);
        return;
    }
    r = pty_attach(t->pty, &client);
    if (r == 0) {
        r = pty_start(rq, t->pty);
        if (r < 0)
            pty_detach(t->pty, &client);
    }
    if (r < 0) {
        say_error(ws, strerror(-r));
        return;
    }
    if (wsock_send_text(ws, "{\"type\":\"control\",\"status\":\"connected\"}") == 0)
        converse(rq, ws, t, &client);
    pty_detach(t->pty, &client);
}

/* p NULL: the handshake succeeds all the same, and then the error is told. */
static void accept_client(struct request *rq, struct pty *p, const char *error)
{
    struct talk *t = calloc(1, sizeof(*t));
    char word[64];

    if (!t) {
        pty_unref(p);
        reply_status(rq, 500);
        return;
    }
    t->pty = p;
    t->error = error;
    t->says_exit = rq->srv->new_daemon &&
                   wsock_offered(rq, "X-Daytona-Pty-Exit-Control", word, sizeof(word)) != NULL;
    wsock_accept(rq, talk, talk_free, t);
}

void pty_connect(struct request *rq)
{
    if (!wsock_wanted(rq)) {
        reply_text(rq, 400, "text/plain; charset=utf-8", "Bad Request\n");
        return;
    }
    accept_client(rq, pty_find(rq->sandbox, rq->capture[0]), "PTY session not found");
}

/* base64url without padding, of a JSON object. */
static int read_envs(const struct request *rq, struct json_pairs *ret)
{
    static const char prefix[] = "X-Daytona-Pty-Envs~";
    static const struct json_field field[] = {{.key = "envs", .type = JSON_PAIRS, .offset = 0}};
    struct buf text = BUF_INIT(64 << 10), json = BUF_INIT(64 << 10);
    char word[16 << 10];
    cJSON *parsed = NULL;
    int r;

    if (!wsock_offered(rq, prefix, word, sizeof(word)))
        return 0;
    for (char *p = word + strlen(prefix); *p; p++)
        *p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
    r = buf_puts(&text, word + strlen(prefix));
    while (r == 0 && text.len % 4)
        r = buf_putc(&text, '=');
    if (r == 0)
        r = buf_puts(&json, "{\"envs\":");
    if (r == 0)
        r = base64_decode(&json, buf_str(&text), text.len);
    if (r == 0)
        r = buf_putc(&json, '}');
    if (r == 0)
        r = json_parse(json.data, json.len, &parsed);
    if (r == 0)
        r = json_load(parsed, field, 1, ret);
    cJSON_Delete(parsed);
    buf_done(&text);
    buf_done(&json);
    return r;
}

static int64_t size_param(const struct request *rq, const char *key)
{
    const char *text = request_query(rq, key);
    char *end;
    long v;

    if (!text || !*text)
        return JSON_ABSENT;
    v = strtol(text, &end, 10);
    return *end || v < 1 || v > PTY_SIZE_MAX ? -1 : v;
}

void pty_create_connect(struct request *rq)
{
    struct pty_params params = {.id = (char *)request_query(rq, "id"),
                                .cwd = (char *)request_query(rq, "cwd"),
                                .cols = size_param(rq, "cols"),
                                .rows = size_param(rq, "rows")};
    struct pty *p = NULL;
    int r;

    if (!wsock_wanted(rq)) {
        reply_text(rq, 400, "text/plain; charset=utf-8", "Bad Request\n");
        return;
    }
    r = params.id && read_envs(rq, &params.env) == 0 && env_valid(&params.env)
            ? pty_create(rq, &params, &p)
            : -EINVAL;
    if (r < 0)
        refuse_create(rq, r);
    else
        accept_client(rq, p, NULL);
    json_pairs_done(&params.env);
}
