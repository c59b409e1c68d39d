/* Contexts by HTTP, runs over a WebSocket. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"
#include "util/clock.h"
#include "wire/json.h"

#include <daytona/interpreter.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 16 << 20,
    MESSAGE_MAX = 16 << 20,
    CLOSE_OK = 1000,
    CLOSE_REFUSED = 1008,
    CLOSE_TIMEOUT = 4008,
};

static const int64_t goodbye_ns = NS_PER_S / 2;

#define FIELD(member, key, type, flags)                                                            \
    JSON_FIELD(struct daytona_interpreter_context, member, key, type, flags)

static const struct json_field context_fields[] = {
    FIELD(id, "id", JSON_STRING, JSON_REQUIRED), FIELD(cwd, "cwd", JSON_STRING, 0),
    FIELD(language, "language", JSON_STRING, 0), FIELD(created_at, "createdAt", JSON_STRING, 0),
    FIELD(active, "active", JSON_BOOL, 0),
};
static const struct json_shape context_shape = {
    .fields = context_fields,
    .count = ARRAY_LEN(context_fields),
    .size = sizeof(struct daytona_interpreter_context),
};

void daytona_interpreter_context_done(struct daytona_interpreter_context *context)
{
    json_unload(context_fields, ARRAY_LEN(context_fields), context);
}

void daytona_interpreter_list_free(struct daytona_interpreter_context *list, size_t count)
{
    json_free_list(&context_shape, list, count);
}

#define CONTEXTS "/process/interpreter/context"

int daytona_interpreter_create(struct daytona_sandbox *sb, const char *cwd,
                               struct daytona_interpreter_context *ret)
{
    struct daytona_interpreter_context context = {0};
    struct buf body = BUF_INIT(BODY_MAX);
    struct json_out o = {.buf = &body};
    struct call call = {
        .name = "createInterpreterContext",
        .method = "POST",
        .path = CONTEXTS,
        .json_errors = true,
    };
    int r;

    error_begin("createInterpreterContext");
    json_open(&o, '{');
    if (cwd) {
        json_key(&o, "cwd");
        json_string(&o, cwd);
    }
    json_close(&o, '}');
    r = call_body(&call, &o);
    if (r == 0)
        r = call_toolbox_object(sb, &call, context_fields, ARRAY_LEN(context_fields), &context);
    if (r == 0)
        *ret = context;
    buf_done(&body);
    return r;
}

int daytona_interpreter_list(struct daytona_sandbox *sb, struct daytona_interpreter_context **ret,
                             size_t *ret_count)
{
    const struct call call = {
        .name = "listInterpreterContexts",
        .method = "GET",
        .path = CONTEXTS,
        .flags = HTTP_IDEMPOTENT,
        .body_max = BODY_MAX,
        .json_errors = true,
    };

    error_begin("listInterpreterContexts");
    return call_toolbox_list(sb, &call, "contexts", &context_shape, (void **)ret, ret_count);
}

int daytona_interpreter_delete(struct daytona_sandbox *sb, const char *context)
{
    return call_toolbox_delete(sb, "deleteInterpreterContext", CONTEXTS "/", context);
}

/* --- runs */

struct message {
    char *type, *text, *name, *value, *traceback;
};
#define MESSAGE(member) JSON_FIELD(struct message, member, #member, JSON_STRING, JSON_LENIENT)
static const struct json_field message_fields[] = {
    MESSAGE(type), MESSAGE(text), MESSAGE(name), MESSAGE(value), MESSAGE(traceback),
};

#define RESULT(member)                                                                             \
    JSON_FIELD(struct daytona_interpreter_result, member, #member, JSON_STRING, 0)
static const struct json_field result_fields[] = {RESULT(name), RESULT(value), RESULT(traceback)};

void daytona_interpreter_result_done(struct daytona_interpreter_result *result)
{
    json_unload(result_fields, ARRAY_LEN(result_fields), result);
}

static int write_run(const struct daytona_interpreter_run *run, struct buf *out)
{
    struct json_out o = {.buf = out};

    json_open(&o, '{');
    json_key(&o, "code");
    json_string(&o, run->code);
    if (run->context) {
        json_key(&o, "contextId");
        json_string(&o, run->context);
    }
    if (run->timeout_s != 0) {
        json_key(&o, "timeout");
        json_int(&o, run->timeout_s < 0 ? 0 : run->timeout_s);
    }
    if (run->env_count > 0) {
        json_key(&o, "envs");
        call_pairs(&o, run->env, run->env_count);
    }
    json_close(&o, '}');
    return o.err;
}

struct conversation {
    daytona_output output;
    void *arg;
    struct daytona_interpreter_result result;
};

static int put(struct conversation *c, enum daytona_stream stream, const char *text)
{
    const int r = c->output && *text ? c->output(c->arg, stream, text, strlen(text)) : 0;

    return error_default(r > 0 ? -EIO : r);
}

static void move_string(char **to, char **from)
{
    free(*to);
    *to = *from;
    *from = NULL;
}

static int take(struct conversation *c, const struct websocket_message *message)
{
    struct message m = {0};
    int r;

    r = json_read(message->data, message->len, message_fields, ARRAY_LEN(message_fields), &m);
    if (r < 0)
        return error_set(r, "a message of the interpreter cannot be read");
    if (strcmp(m.type, "stdout") == 0) {
        r = put(c, DAYTONA_STDOUT, m.text);
    } else if (strcmp(m.type, "stderr") == 0) {
        r = put(c, DAYTONA_STDERR, m.text);
    } else if (strcmp(m.type, "error") == 0) {
        c->result.raised = true;
        move_string(&c->result.name, &m.name);
        move_string(&c->result.value, &m.value);
        move_string(&c->result.traceback, &m.traceback);
    } else if (strcmp(m.type, "control") == 0) {
        c->result.interrupted = strcmp(m.text, "interrupted") == 0;
    }
    json_unload(message_fields, ARRAY_LEN(message_fields), &m);
    return r;
}

static int take_close(const struct websocket_message *message)
{
    const bool unknown = strstr(message->data, "not found");

    switch (message->code) {
    case CLOSE_OK:
        return 0;
    case CLOSE_TIMEOUT:
        return error_set(-ETIMEDOUT, "the code did not end in time");
    case CLOSE_REFUSED:
        return error_set(unknown ? -ENOENT : -EINVAL, "%s", message->data);
    default:
        return error_set(-ECONNRESET, "the run was left with code %d: %s", message->code,
                         message->data);
    }
}

static int converse(struct websocket *ws, struct conversation *c)
{
    struct websocket_message message;
    int r;

    do {
        r = websocket_receive(ws, INT64_MAX, &message);
        if (r < 0)
            return call_stream_failed(r);
        if (message.kind == WS_CLOSE)
            return take_close(&message);
        r = take(c, &message);
    } while (r == 0);
    websocket_close(ws, CLOSE_OK, "", goodbye_ns);
    return r;
}

/* Strings that nobody set are "". */
static int fill(struct daytona_interpreter_result *result)
{
    char **const strings[] = {&result->name, &result->value, &result->traceback};

    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        if (!*strings[i])
            *strings[i] = strdup("");
        if (!*strings[i])
            return error_default(-ENOMEM);
    }
    return 0;
}

int daytona_interpreter_run(struct daytona_sandbox *sb, const struct daytona_interpreter_run *run,
                            daytona_output output, void *arg,
                            struct daytona_interpreter_result *ret)
{
    const struct call call = {
        .name = "executeInterpreterCode",
        .method = "GET",
        .path = "/process/interpreter/execute",
        .body_max = MESSAGE_MAX,
        .json_errors = true,
    };
    struct conversation c = {.output = output, .arg = arg};
    struct buf body = BUF_INIT(BODY_MAX);
    struct websocket *ws = NULL;
    int r;

    error_begin("executeInterpreterCode");
    r = error_default(write_run(run, &body));
    if (r == 0)
        r = call_stream(sb, &call, false, &ws);
    if (r == 0) {
        r = websocket_send(ws, WS_TEXT, body.data, body.len);
        r = r < 0 ? call_stream_failed(r) : converse(ws, &c);
    }
    if (r == 0)
        r = fill(&c.result);
    if (r == 0)
        *ret = c.result;
    else
        daytona_interpreter_result_done(&c.result);
    websocket_free(ws);
    buf_done(&body);
    return r;
}
