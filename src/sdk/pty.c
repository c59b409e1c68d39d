/* Terminals: made and managed by HTTP, used over a WebSocket. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"
#include "util/base64.h"
#include "util/clock.h"
#include "wire/json.h"

#include <daytona/pty.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIST_MAX = 16 << 20,
    BODY_MAX = 1 << 20,
    ENV_MAX = 8 << 10,    /* in a header, where servers have low ceilings */
    SIDE_MAX = 1000,      /* columns, rows */
    SEND_MAX = 32 << 10,  /* of one message; the service drops who sends 64 KiB */
    OUTPUT_MAX = 1 << 20, /* of one message; the service sends 32 KiB */
};

static const int64_t connected_ns = 10 * NS_PER_S; /* as the official SDKs wait */
static const int64_t goodbye_ns = NS_PER_S / 2;

struct daytona_pty {
    struct websocket *ws; /* owned */
    struct daytona_pty_exit exit;
    bool exited; /* said so before the close */
};

#define FIELD(member, key, type, flags)                                                            \
    JSON_FIELD(struct daytona_pty_info, member, key, type, flags)

static const struct json_field info_fields[] = {
    FIELD(id, "id", JSON_STRING, JSON_REQUIRED),
    FIELD(cwd, "cwd", JSON_STRING, 0),
    FIELD(created_at, "createdAt", JSON_STRING, 0),
    FIELD(cols, "cols", JSON_INT, 0),
    FIELD(rows, "rows", JSON_INT, 0),
    FIELD(active, "active", JSON_BOOL, 0),
    FIELD(lazy_start, "lazyStart", JSON_BOOL, 0),
};
static const struct json_shape info_shape = {
    .fields = info_fields,
    .count = ARRAY_LEN(info_fields),
    .size = sizeof(struct daytona_pty_info),
};

void daytona_pty_info_done(struct daytona_pty_info *info)
{
    json_unload(info_fields, ARRAY_LEN(info_fields), info);
}

void daytona_pty_list_free(struct daytona_pty_info *list, size_t count)
{
    json_free_list(&info_shape, list, count);
}

static void put_side(struct json_out *o, const char *key, unsigned value)
{
    if (value > 0) {
        json_key(o, key);
        json_int(o, value);
    }
}

static void put_env(struct json_out *o, const struct daytona_pty_params *p)
{
    json_open(o, '{');
    for (size_t i = 0; i < p->env_count; i++) {
        json_key(o, p->env[i].key);
        json_string(o, p->env[i].value);
    }
    json_close(o, '}');
}

static int write_create(const struct daytona_pty_params *p, struct buf *out)
{
    struct json_out o = {.buf = out};

    json_open(&o, '{');
    json_key(&o, "id");
    json_string(&o, p->id);
    if (p->cwd) {
        json_key(&o, "cwd");
        json_string(&o, p->cwd);
    }
    if (p->env_count > 0) {
        json_key(&o, "envs");
        put_env(&o, p);
    }
    put_side(&o, "cols", p->cols);
    put_side(&o, "rows", p->rows);
    if (p->lazy_start) {
        json_key(&o, "lazyStart");
        json_bool(&o, true);
    }
    json_close(&o, '}');
    return error_default(o.err);
}

/* The id must be a name that later calls can use. */
static int check_params(const struct daytona_pty_params *params)
{
    struct buf path = BUF_INIT(64 << 10);
    int r;

    if (params->cols > SIDE_MAX || params->rows > SIDE_MAX)
        return error_set(-EINVAL, "a terminal has at most %d columns and rows", SIDE_MAX);
    r = call_path(&path, "", params->id);
    buf_done(&path);
    return r;
}

int daytona_pty_create(struct daytona_sandbox *sb, const struct daytona_pty_params *params)
{
    struct buf body = BUF_INIT(BODY_MAX);
    struct call call = {
        .name = "createPtySession",
        .method = "POST",
        .path = "/process/pty",
        .json_errors = true,
    };
    int r;

    error_begin("createPtySession");
    r = check_params(params);
    if (r == 0)
        r = write_create(params, &body);
    call.json = body.data;
    call.json_len = body.len;
    if (r == 0)
        r = call_toolbox_only(sb, &call);
    buf_done(&body);
    return r;
}

int daytona_pty_list(struct daytona_sandbox *sb, struct daytona_pty_info **ret, size_t *ret_count)
{
    const struct call call = {
        .name = "listPtySessions",
        .method = "GET",
        .path = "/process/pty",
        .flags = HTTP_IDEMPOTENT,
        .body_max = LIST_MAX,
        .json_errors = true,
    };

    error_begin("listPtySessions");
    return call_toolbox_list(sb, &call, "sessions", &info_shape, (void **)ret, ret_count);
}

int daytona_pty_info(struct daytona_sandbox *sb, const char *id, struct daytona_pty_info *ret)
{
    struct buf path = BUF_INIT(64 << 10);
    struct call call = {
        .name = "getPtySession",
        .method = "GET",
        .flags = HTTP_IDEMPOTENT,
        .json_errors = true,
    };
    struct daytona_pty_info info = {0};
    int r;

    error_begin("getPtySession");
    r = call_path(&path, "/process/pty/", id);
    call.path = path.data;
    if (r == 0)
        r = call_toolbox_object(sb, &call, info_fields, ARRAY_LEN(info_fields), &info);
    if (r == 0)
        *ret = info;
    buf_done(&path);
    return r;
}

int daytona_pty_resize(struct daytona_sandbox *sb, const char *id, unsigned cols, unsigned rows)
{
    struct buf path = BUF_INIT(64 << 10);
    char body[64];
    struct call call = {
        .name = "resizePtySession",
        .method = "POST",
        .flags = HTTP_IDEMPOTENT,
        .json = body,
        .json_errors = true,
    };
    int r;

    error_begin("resizePtySession");
    if (cols < 1 || rows < 1 || cols > SIDE_MAX || rows > SIDE_MAX)
        return error_set(-EINVAL, "a terminal has 1 to %d columns and rows", SIDE_MAX);
    call.json_len = (size_t)snprintf(body, sizeof(body), "{\"cols\":%u,\"rows\":%u}", cols, rows);
    r = call_path(&path, "/process/pty/", id, "/resize");
    call.path = path.data;
    if (r == 0)
        r = call_toolbox_only(sb, &call);
    buf_done(&path);
    return r;
}

int daytona_pty_kill(struct daytona_sandbox *sb, const char *id)
{
    return call_toolbox_delete(sb, "deletePtySession", "/process/pty/", id);
}

/* --- attached */

/* What the service says about the terminal, in text frames and in the reason of a close. */
struct control {
    char *type, *status, *error, *reason;
    int64_t exit_code;
};

static const struct json_field control_fields[] = {
    JSON_FIELD(struct control, type, "type", JSON_STRING, JSON_LENIENT),
    JSON_FIELD(struct control, status, "status", JSON_STRING, JSON_LENIENT),
    JSON_FIELD(struct control, error, "error", JSON_STRING, JSON_LENIENT),
    JSON_FIELD(struct control, reason, "exitReason", JSON_STRING, JSON_LENIENT),
    JSON_FIELD(struct control, exit_code, "exitCode", JSON_INT, JSON_LENIENT),
};

static bool read_control(const struct websocket_message *message, struct control *ret)
{
    struct control c = {.exit_code = JSON_ABSENT};

    if (json_read(message->data, message->len, control_fields, ARRAY_LEN(control_fields), &c) < 0)
        return false;
    *ret = c;
    return true;
}

static void control_done(struct control *c)
{
    json_unload(control_fields, ARRAY_LEN(control_fields), c);
}

static void take_exit(struct daytona_pty *pty, const struct control *c)
{
    if (c->exit_code < INT_MIN || c->exit_code > INT_MAX) /* JSON_ABSENT, too */
        return;
    pty->exited = true;
    pty->exit.code = (int)c->exit_code;
    snprintf(pty->exit.reason, sizeof(pty->exit.reason), "%s", c->reason);
}

/* Text frames are the service's own; 1: this one is output after all. */
static int take_text(struct daytona_pty *pty, const struct websocket_message *message,
                     bool *ret_connected)
{
    struct control c;
    int r = 0;

    if (!read_control(message, &c))
        return 1;
    if (strcmp(c.type, "control") != 0)
        r = 1;
    else if (strcmp(c.status, "connected") == 0 && ret_connected)
        *ret_connected = true;
    else if (strcmp(c.status, "exited") == 0)
        take_exit(pty, &c);
    else if (strcmp(c.status, "error") == 0)
        r = error_set(strstr(c.error, "not found") ? -ENOENT : -EIO, "the terminal: %s", c.error);
    control_done(&c);
    return r;
}

/* The close says how it ended. 0: the shell has. */
static int take_close(struct daytona_pty *pty, const struct websocket_message *message)
{
    struct control c;

    if (read_control(message, &c)) {
        take_exit(pty, &c);
        control_done(&c);
    } else if (message->code == 1000) {
        pty->exited = true;
    }
    if (pty->exited)
        return 0;
    return error_set(-ECONNRESET, "the terminal was left with code %d: %s", message->code,
                     message->data);
}

static int wait_connected(struct daytona_pty *pty)
{
    const int64_t until_ns = clock_mono_ns() + connected_ns;
    struct websocket_message message;
    bool connected = false;
    int r = 0;

    while (r == 0 && !connected) {
        r = websocket_receive(pty->ws, until_ns, &message);
        if (r < 0)
            return call_stream_failed(r == -EAGAIN ? -ETIMEDOUT : r);
        if (message.kind == WS_TEXT)
            r = take_text(pty, &message, &connected);
        else if (message.kind == WS_CLOSE)
            r = error_set(-ECONNRESET, "the terminal was closed at once: %s", message.data);
        else
            r = error_set(-EPROTO, "the answer is no terminal's");
    }
    return r > 0 ? error_set(-EPROTO, "the answer is no terminal's") : r;
}

#define EXIT_CONTROL "Sec-WebSocket-Protocol: X-Daytona-Pty-Exit-Control"

static int converse(struct daytona_sandbox *sb, struct call *call, struct daytona_pty **ret)
{
    struct daytona_pty *pty = calloc(1, sizeof(*pty));
    int r;

    if (!pty)
        return error_default(-ENOMEM);
    call->method = "GET";
    call->body_max = OUTPUT_MAX;
    call->json_errors = true;
    r = call_stream(sb, call, false, &pty->ws);
    if (r == 0)
        r = wait_connected(pty);
    if (r < 0) {
        websocket_free(pty->ws);
        free(pty);
    } else {
        *ret = pty;
    }
    return r;
}

int daytona_pty_attach(struct daytona_sandbox *sb, const char *id, struct daytona_pty **ret)
{
    struct buf path = BUF_INIT(64 << 10);
    struct call call = {.name = "connectPtySession", .header = EXIT_CONTROL};
    int r;

    error_begin("connectPtySession");
    r = call_path(&path, "/process/pty/", id, "/connect");
    call.path = path.data;
    if (r == 0)
        r = converse(sb, &call, ret);
    buf_done(&path);
    return r;
}

/* The environment travels as a subprotocol: browsers can send no other header. */
static int write_protocols(const struct daytona_pty_params *p, struct buf *out)
{
    struct buf env = BUF_INIT(ENV_MAX);
    struct json_out o = {.buf = &env};
    int r = buf_puts(out, EXIT_CONTROL);

    put_env(&o, p);
    if (r == 0)
        r = o.err;
    if (r == 0 && p->env_count > 0)
        r = buf_puts(out, ", X-Daytona-Pty-Envs~");
    if (r == 0 && p->env_count > 0)
        r = base64url_encode(out, env.data, env.len);
    buf_done(&env);
    return error_default(r);
}

/* In one request, where the daemon knows it. */
static int create_connect(struct daytona_sandbox *sb, const struct daytona_pty_params *p,
                          struct daytona_pty **ret)
{
    struct buf header = BUF_INIT(2 * ENV_MAX);
    char cols[16], rows[16];
    struct call call = {
        .name = "createConnectPtySession",
        .path = "/process/pty/create-connect",
        .query = {{"id", p->id},
                  {"cols", p->cols ? cols : NULL},
                  {"rows", p->rows ? rows : NULL},
                  {"cwd", p->cwd}},
    };
    int r;

    error_begin("createConnectPtySession");
    snprintf(cols, sizeof(cols), "%u", p->cols);
    snprintf(rows, sizeof(rows), "%u", p->rows);
    r = check_params(p);
    if (r == 0)
        r = write_protocols(p, &header);
    call.header = header.data;
    if (r == 0)
        r = converse(sb, &call, ret);
    buf_done(&header);
    return r;
}

int daytona_pty_open(struct daytona_sandbox *sb, const struct daytona_pty_params *params,
                     struct daytona_pty **ret)
{
    struct daytona_pty_params lazy = *params;
    int r;

    r = create_connect(sb, params, ret);
    /* To an old daemon that was the name of a terminal that is not there, or no call. */
    if (r == 0 || (r != -EFBIG && error_now()->http_status != 404))
        return r;
    lazy.lazy_start = true; /* what it said before somebody listens would be lost */
    r = daytona_pty_create(sb, &lazy);
    if (r == 0)
        r = daytona_pty_attach(sb, params->id, ret);
    return r;
}

struct daytona_pty *daytona_pty_detach(struct daytona_pty *pty)
{
    if (!pty)
        return NULL;
    websocket_close(pty->ws, 1000, "", goodbye_ns);
    websocket_free(pty->ws);
    free(pty);
    return NULL;
}

int daytona_pty_send(struct daytona_pty *pty, const void *data, size_t len)
{
    const char *at = data;
    int r = 0;

    error_begin("sendPtyInput");
    while (len > 0 && r == 0) {
        const size_t n = len < SEND_MAX ? len : SEND_MAX;

        r = websocket_send(pty->ws, WS_BINARY, at, n);
        at += n;
        len -= n;
    }
    return r < 0 ? call_stream_failed(r) : 0;
}

int daytona_pty_wait(struct daytona_pty *pty, daytona_pty_output output, void *arg,
                     int64_t timeout_ms, struct daytona_pty_exit *ret)
{
    const int64_t until_ns = timeout_ms > 0 ? clock_mono_ns() + timeout_ms * NS_PER_MS : INT64_MAX;
    struct websocket_message message;
    int r;

    error_begin("waitForPtyExit");
    for (;;) {
        r = websocket_receive(pty->ws, until_ns, &message);
        if (r == -EAGAIN)
            return error_set(r, "the terminal has not ended yet");
        if (r < 0 && pty->exited) /* cut after it said so: it has ended all the same */
            break;
        if (r < 0)
            return call_stream_failed(r);
        if (message.kind == WS_CLOSE) {
            r = take_close(pty, &message);
            if (r < 0)
                return r;
            break;
        }
        r = message.kind == WS_TEXT ? take_text(pty, &message, NULL) : 1;
        if (r > 0)
            r = output ? output(arg, message.data, message.len) : 0;
        if (r != 0)
            return error_default(r > 0 ? -EIO : r);
    }
    if (ret)
        *ret = pty->exit;
    return 0;
}
