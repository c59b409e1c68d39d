/* Sessions and their commands. Their logs are in session_logs.c. */
#include "sdk/session.h"
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"
#include "util/clock.h"
#include "wire/demux.h"
#include "wire/process.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 64 << 20, COMMAND_MAX = 64 << 20, OUTPUT_MAX = 64 << 20, INPUT_MAX = 16 << 20 };

struct command_json {
    char *id, *command;
    int64_t exit_code;
};

static const struct json_field command_fields[] = {
    JSON_FIELD(struct command_json, id, "id", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct command_json, command, "command", JSON_STRING, 0),
    JSON_FIELD(struct command_json, exit_code, "exitCode", JSON_INT, 0),
};
static const struct command_json no_command = {.exit_code = JSON_ABSENT};
static const struct json_shape command_shape = {command_fields, ARRAY_LEN(command_fields),
                                                sizeof(struct command_json), &no_command};

struct session_json {
    char *id;
};
static const struct json_field session_fields[] = {
    JSON_FIELD(struct session_json, id, "sessionId", JSON_STRING, JSON_REQUIRED),
};

void daytona_command_done(struct daytona_command *c)
{
    free(c->id);
    free(c->command);
    *c = (struct daytona_command){0};
}

void daytona_session_done(struct daytona_session *s)
{
    for (size_t i = 0; i < s->command_count; i++)
        daytona_command_done(&s->commands[i]);
    free(s->commands);
    free(s->id);
    *s = (struct daytona_session){0};
}

void daytona_session_list_free(struct daytona_session *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        daytona_session_done(&list[i]);
    free(list);
}

void daytona_session_result_done(struct daytona_session_result *r)
{
    free(r->command_id);
    free(r->out);
    free(r->err);
    *r = (struct daytona_session_result){0};
}

/* The strings move. */
static struct daytona_command to_public(const struct command_json *j)
{
    const bool running = j->exit_code == JSON_ABSENT;

    return (struct daytona_command){
        .id = j->id,
        .command = j->command,
        .running = running,
        .exit_code = running                                            ? 0
                     : j->exit_code < INT_MIN || j->exit_code > INT_MAX ? -1
                                                                        : (int)j->exit_code,
    };
}

static int load_session(const cJSON *json, struct daytona_session *ret)
{
    struct session_json head = {0};
    struct command_json *list = NULL;
    struct daytona_session s = {0};
    size_t count = 0;
    int r;

    r = json_load(json, session_fields, ARRAY_LEN(session_fields), &head);
    if (r == 0)
        r = json_load_list(cJSON_GetObjectItemCaseSensitive(json, "commands"), &command_shape,
                           (void **)&list, &count);
    if (r == 0)
        s.commands = calloc(count + 1, sizeof(*s.commands));
    if (!s.commands) {
        r = r < 0 ? r : -ENOMEM;
        json_free_list(&command_shape, list, count);
        free(head.id);
        return r;
    }
    for (size_t i = 0; i < count; i++)
        s.commands[i] = to_public(&list[i]);
    free(list);
    s.id = head.id;
    s.command_count = count;
    *ret = s;
    return 0;
}

static int write_object(struct buf *out, const struct json_pairs *strings)
{
    struct json_out o = {.buf = out};

    json_pairs(&o, strings);
    return o.err;
}

int daytona_session_create(struct daytona_sandbox *sb, const char *session)
{
    struct json_pair pair = {(char *)"sessionId", (char *)session};
    const struct json_pairs pairs = {&pair, 1};
    struct buf body = BUF_INIT(64 << 10), path = BUF_INIT(64 << 10);
    struct call call = {
        .name = "createSession",
        .method = "POST",
        .path = "/process/session",
        .json_errors = true,
    };
    int r;

    error_begin("createSession");
    r = call_path(&path, "", session); /* only a name that later calls can use */
    if (r == 0)
        r = error_default(write_object(&body, &pairs));
    if (r == 0) {
        call.json = body.data;
        call.json_len = body.len;
        r = call_toolbox_only(sb, &call);
    }
    buf_done(&path);
    buf_done(&body);
    return r;
}

struct session_list {
    struct daytona_session *list;
    size_t count, room;
};

static int add_session(void *arg, const cJSON *element)
{
    struct session_list *all = arg;
    int r;

    if (all->count == all->room) {
        const size_t room = all->room * 2 + 8;
        struct daytona_session *more = realloc(all->list, room * sizeof(*more));

        if (!more)
            return -ENOMEM;
        all->list = more;
        all->room = room;
    }
    r = load_session(element, &all->list[all->count]);
    all->count += r == 0;
    return r;
}

int daytona_session_list(struct daytona_sandbox *sb, struct daytona_session **ret,
                         size_t *ret_count)
{
    const struct call call = {
        .name = "listSessions",
        .method = "GET",
        .path = "/process/session",
        .flags = HTTP_IDEMPOTENT,
        .body_max = LIST_MAX,
        .json_errors = true,
    };
    struct session_list all = {0};
    struct http_response response;
    int r;

    error_begin("listSessions");
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = json_array_each(buf_str(&response.body), response.body.len, add_session, &all);
    if (r < 0) {
        call_garbled(r, &response);
        daytona_session_list_free(all.list, all.count);
    } else {
        *ret = all.list;
        *ret_count = all.count;
    }
    http_response_done(&response);
    return r;
}

int daytona_session_get(struct daytona_sandbox *sb, const char *session,
                        struct daytona_session *ret)
{
    struct buf path = BUF_INIT(64 << 10);
    struct call call = {
        .name = "getSession",
        .method = "GET",
        .flags = HTTP_IDEMPOTENT,
        .body_max = LIST_MAX,
        .json_errors = true,
    };
    struct http_response response;
    cJSON *json = NULL;
    int r;

    error_begin("getSession");
    r = call_path(&path, "/process/session/", session);
    call.path = path.data;
    if (r == 0)
        r = call_toolbox(sb, &call, &response);
    buf_done(&path);
    if (r < 0)
        return r;
    r = json_parse(buf_str(&response.body), response.body.len, &json);
    if (r == 0)
        r = load_session(json, ret);
    cJSON_Delete(json);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

int daytona_session_delete(struct daytona_sandbox *sb, const char *session)
{
    return call_toolbox_delete(sb, "deleteSession", "/process/session/", session);
}

int command_fetch(struct daytona_sandbox *sb, const char *session, const char *command,
                  struct daytona_command *ret)
{
    struct buf path = BUF_INIT(64 << 10);
    struct call call = {
        .name = "getSessionCommand",
        .method = "GET",
        .flags = HTTP_IDEMPOTENT,
        .body_max = COMMAND_MAX,
        .json_errors = true,
    };
    struct command_json json = no_command;
    struct http_response response;
    int r;

    r = call_path(&path, "/process/session/", session, "/command/", command);
    call.path = path.data;
    if (r == 0)
        r = call_toolbox(sb, &call, &response);
    buf_done(&path);
    if (r < 0)
        return r;
    r = json_read(buf_str(&response.body), response.body.len, command_fields,
                  ARRAY_LEN(command_fields), &json);
    if (r < 0)
        call_garbled(r, &response);
    else
        *ret = to_public(&json);
    http_response_done(&response);
    return r;
}

int daytona_session_command(struct daytona_sandbox *sb, const char *session, const char *command,
                            struct daytona_command *ret)
{
    error_begin("getSessionCommand");
    return command_fetch(sb, session, command, ret);
}

int daytona_session_input(struct daytona_sandbox *sb, const char *session, const char *command,
                          const void *data, size_t len)
{
    struct buf path = BUF_INIT(64 << 10), body = BUF_INIT(INPUT_MAX);
    struct json_out o = {.buf = &body};
    struct call call = {
        .name = "sendInput",
        .method = "POST",
        .flags = HTTP_CHUNKED, /* typed twice is not typed once */
        .json_errors = true,
    };
    int r;

    error_begin("sendInput");
    if (len == 0)
        return error_set(-EINVAL, "there is nothing to type");
    if (!json_utf8_valid(data, len) || memchr(data, '\0', len))
        return error_set(-EINVAL, "what is typed is not UTF-8 without NUL");
    r = call_path(&path, "/process/session/", session, "/command/", command, "/input");
    if (r == 0) {
        json_open(&o, '{');
        json_key(&o, "data");
        json_bytes(&o, data, len);
        json_close(&o, '}');
        r = error_default(o.err);
    }
    call.path = path.data;
    call.json = body.data;
    call.json_len = body.len;
    if (r == 0)
        r = call_toolbox_only(sb, &call);
    buf_done(&path);
    buf_done(&body);
    return r;
}

static int write_execute(const struct daytona_session_execute *e, struct buf *out)
{
    struct json_out o = {.buf = out};

    if (!json_utf8_valid(e->command, strlen(e->command)))
        return error_set(-EINVAL, "the command is not UTF-8");
    if (!e->command[strspn(e->command, " \t\r\n")])
        return error_set(-EINVAL, "the command is empty");
    json_open(&o, '{');
    json_key(&o, "command");
    json_string(&o, e->command);
    json_key(&o, "runAsync");
    json_bool(&o, e->async);
    if (e->suppress_input_echo) {
        json_key(&o, "suppressInputEcho");
        json_bool(&o, true);
    }
    json_close(&o, '}');
    return error_default(o.err);
}

struct split {
    struct buf out, err;
};

static int add_split(void *arg, enum demux_stream stream, const void *p, size_t n)
{
    struct split *s = arg;

    return buf_append(stream == DEMUX_ERR ? &s->err : &s->out, p, n);
}

/* Old daemons leave that to the client. */
static int split(struct wire_session_result *w)
{
    struct split s = {.out = BUF_INIT(w->output_len + 1), .err = BUF_INIT(w->output_len + 1)};
    struct demux d = {0};
    int r;

    if (w->split || w->running)
        return 0;
    r = demux_feed(&d, w->output, w->output_len, add_split, &s);
    if (r == 0)
        r = demux_end(&d, add_split, &s);
    if (r == 0) {
        free(w->out);
        free(w->err);
        w->out_len = s.out.len;
        w->err_len = s.err.len;
        w->out = buf_take(&s.out);
        w->err = buf_take(&s.err);
        r = w->out && w->err ? 0 : -ENOMEM;
    }
    buf_done(&s.out);
    buf_done(&s.err);
    return r;
}

static int take_result(const struct http_response *response, struct daytona_session_result *ret)
{
    struct wire_session_result w = {0};
    int r;

    r = wire_session_result_read(buf_str(&response->body), response->body.len, &w);
    if (r == 0)
        r = split(&w);
    if (r < 0) {
        wire_session_result_done(&w);
        return call_garbled(r, response);
    }
    *ret = (struct daytona_session_result){
        .command_id = w.command_id,
        .running = w.running,
        .exit_code = w.exit_code,
        .out = w.out,
        .err = w.err,
        .out_len = w.out_len,
        .err_len = w.err_len,
    };
    free(w.output);
    return 0;
}

int daytona_session_execute(struct daytona_sandbox *sb, const char *session,
                            const struct daytona_session_execute *e,
                            struct daytona_session_result *ret)
{
    struct buf path = BUF_INIT(64 << 10), body = BUF_INIT(COMMAND_MAX);
    struct call call = {
        .name = "executeSessionCommand",
        .method = "POST",
        .flags = HTTP_CHUNKED | (e->async ? 0 : HTTP_NO_STALL),
        .total_timeout_ns = e->timeout_ms * NS_PER_MS,
        .body_max = e->output_max ? e->output_max : OUTPUT_MAX,
        .json_errors = true,
    };
    struct http_response response;
    int r;

    error_begin("executeSessionCommand");
    r = call_path(&path, "/process/session/", session, "/exec");
    if (r == 0)
        r = write_execute(e, &body);
    call.path = path.data;
    call.json = body.data;
    call.json_len = body.len;
    if (r == 0)
        r = call_toolbox(sb, &call, &response);
    if (r == 0) {
        r = take_result(&response, ret);
        http_response_done(&response);
    }
    buf_done(&path);
    buf_done(&body);
    return r;
}
