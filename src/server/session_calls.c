/* session_calls.c - /process/session: the calls. */
#include "server/server_internal.h"
#include "server/session_logs.h"

#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_MS = 500 };

static void not_found(struct request *rq, const char *what)
{
    reply_error(rq, 404, "NOT_FOUND", "not found: %s not found", what);
}

/* The session of the path, with a reference; NULL: refused. */
static struct session *take_session(struct request *rq)
{
    struct session *s = session_find(rq->sandbox, rq->capture[0]);

    if (!s)
        not_found(rq, "session");
    return s;
}

struct session *session_take_command(struct request *rq, struct command **ret)
{
    struct session *s = take_session(rq);

    if (!s)
        return NULL;
    *ret = session_command(s, rq->capture[1]);
    if (*ret)
        return s;
    not_found(rq, "command");
    session_unref(s);
    return NULL;
}

/* ---- sessions ---- */

struct name_json {
    char *id;
};
static const struct json_field name_fields[] = {
    JSON_FIELD(struct name_json, id, "sessionId", JSON_STRING, JSON_REQUIRED),
};

/* $HOME/.daytona/sessions/NAME, as the real one has it; opened so that nobody moves it from us. */
static int make_script_dir(struct request *rq, const char *name, struct session_start *start,
                           struct buf *path)
{
    int r;

    r = buf_printf(path, "%s/.daytona/sessions", view_work_dir(rq));
    if (r == 0)
        r = view_make_dirs(rq, buf_str(path), 0755);
    if (r < 0)
        return r;
    start->parent = view_open(rq, buf_str(path), O_PATH | O_DIRECTORY, 0);
    if (start->parent < 0)
        return start->parent;
    r = mkdirat(start->parent, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
    if (r == 0) {
        start->scripts = openat(start->parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = start->scripts < 0 ? -errno : buf_printf(path, "/%s", name);
    }
    if (r < 0) {
        close(start->parent);
        if (start->scripts >= 0)
            close(start->scripts);
    }
    return r;
}

static int create(struct request *rq, const char *name)
{
    struct session_start start = {.sandbox = rq->sandbox,
                                  .jail = rq->jail,
                                  .name = name,
                                  .cwd = view_work_dir(rq),
                                  .scripts = -1,
                                  .parent = -1};
    struct shell_env *env = calloc(1, sizeof(*env));
    const struct json_pairs none = {0};
    struct buf path = BUF_INIT(8192);
    struct session *s = NULL;
    char shell[256];
    int r = env ? 0 : -ENOMEM;

    shell_choose(rq, shell);
    start.shell = shell;
    if (r == 0)
        r = shell_env_fill(rq, &none, env);
    s = session_find(rq->sandbox, name);
    if (r == 0 && s)
        r = -EEXIST;
    session_unref(s);
    s = NULL;
    if (r == 0)
        r = make_script_dir(rq, name, &start, &path);
    if (r == 0) {
        start.script_dir = buf_str(&path);
        start.env = (const char *const *)env->list;
        r = session_start(&start, &s);
    }
    session_unref(s);
    buf_done(&path);
    if (env)
        shell_env_done(env);
    free(env);
    return r;
}

void session_create(struct request *rq)
{
    struct name_json body = {0};
    int r;

    if (request_json(rq, name_fields, ARRAY_LEN(name_fields), &body) < 0 || !*body.id ||
        strcmp(body.id, "entrypoint") == 0 || !session_name_valid(body.id)) {
        reply_error(rq, 400, "BAD_REQUEST", "bad request: sessionId is missing or not allowed");
        json_unload(name_fields, ARRAY_LEN(name_fields), &body);
        return;
    }
    r = create(rq, body.id);
    if (r == 0)
        reply_status(rq, 201);
    else if (r == -EEXIST)
        reply_error(rq, 409, "CONFLICT", "conflict: session already exists");
    else
        reply_error(rq, 500, "INTERNAL_SERVER_ERROR", "failed to create session: %s", strerror(-r));
    json_unload(name_fields, ARRAY_LEN(name_fields), &body);
}

static void put_command_locked(struct json_out *o, const struct command *c)
{
    json_open(o, '{');
    json_key(o, "id");
    json_string(o, c->id);
    json_key(o, "command");
    json_string(o, c->text);
    if (c->state == COMMAND_DONE) {
        json_key(o, "exitCode");
        json_int(o, c->exit_code);
    }
    json_close(o, '}');
}

static void put_session(struct json_out *o, struct session *s)
{
    json_open(o, '{');
    json_key(o, "sessionId");
    json_string(o, s->name);
    json_key(o, "commands");
    json_open(o, '[');
    lock_take(&s->lock);
    for (const struct command *c = s->commands; c; c = c->next)
        put_command_locked(o, c);
    lock_drop(&s->lock);
    json_close(o, ']');
    json_close(o, '}');
}

void session_list_all(struct request *rq)
{
    struct json_out o = reply_json(rq, 200);
    struct session **list;
    const size_t count = session_list(rq->sandbox, &list);

    json_open(&o, '[');
    for (size_t i = 0; i < count; i++) {
        put_session(&o, list[i]);
        session_unref(list[i]);
    }
    json_close(&o, ']');
    free(list);
    reply_json_end(rq, &o);
}

void session_get(struct request *rq)
{
    struct session *s = take_session(rq);
    struct json_out o;

    if (!s)
        return;
    o = reply_json(rq, 200);
    put_session(&o, s);
    reply_json_end(rq, &o);
    session_unref(s);
}

void session_remove(struct request *rq)
{
    struct session *s;

    if (strcmp(rq->capture[0], "entrypoint") == 0) {
        reply_error(rq, 400, "BAD_REQUEST", "bad request: the entrypoint cannot be deleted");
        return;
    }
    s = take_session(rq);
    if (!s)
        return;
    if (session_delete(rq->sandbox, s) < 0)
        not_found(rq, "session");
    else
        reply_status(rq, 204);
    session_unref(s);
}

/* ---- commands ---- */

struct exec_json {
    char *command;
    bool run_async, async, quiet;
};
static const struct json_field exec_fields[] = {
    JSON_FIELD(struct exec_json, command, "command", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct exec_json, run_async, "runAsync", JSON_BOOL, 0),
    JSON_FIELD(struct exec_json, async, "async", JSON_BOOL, 0),
    JSON_FIELD(struct exec_json, quiet, "suppressInputEcho", JSON_BOOL, 0),
};

/* What the real one says of every failure, an unknown session included. */
static void exec_failed(struct request *rq, const char *what)
{
    reply_error_timeless(rq, 500, "", "failed to execute command: %s", what);
}

/*
 * 0 when it has ended. A command that ended its shell never does; the real one waits for as long as
 * the client does, this one for as long as exit-hang says.
 */
static int wait_done(struct request *rq, struct session *s, const struct command *c)
{
    struct fault_settings settings;
    int64_t dead_until = INT64_MAX;
    int r = 1;

    fault_settings(rq->srv->fault, &settings);
    lock_take(&s->lock);
    while (r > 0) {
        const int64_t now = clock_mono_ns();

        if (s->dead && dead_until == INT64_MAX)
            dead_until = now + settings.exit_hang_ns;
        if (c->state == COMMAND_DONE)
            r = 0;
        else if (s->cancelled)
            r = -ECANCELED;
        else if (now >= dead_until)
            r = -ETIMEDOUT;
        else if (request_abandoned(rq))
            r = -ECONNABORTED;
        else
            (void)lock_wait_until(&s->lock, &s->changed, now + STEP_MS * NS_PER_MS);
    }
    lock_drop(&s->lock);
    return r;
}

static void answer_async(struct request *rq, const struct command *c)
{
    static const char *const nulls[] = {"output", "stdout", "stderr", "exitCode"};
    struct json_out o = reply_json(rq, 202);

    json_open(&o, '{');
    json_key(&o, "cmdId");
    json_string(&o, c->id);
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++) {
        json_key(&o, nulls[i]);
        json_null(&o);
    }
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

static void answer_done(struct request *rq, struct session *s, const struct command *c)
{
    struct buf raw = BUF_INIT(SESSION_OUTPUT_MAX);
    struct json_out o;

    if (session_log_read(s, c, &raw) < 0) {
        exec_failed(rq, "the output is larger than this server holds");
    } else {
        o = reply_json(rq, 200);
        json_open(&o, '{');
        json_key(&o, "cmdId");
        json_string(&o, c->id);
        o.err = o.err < 0 ? o.err : session_log_put(&o, rq, &raw);
        json_key(&o, "exitCode");
        json_int(&o, c->exit_code);
        json_close(&o, '}');
        reply_json_end(rq, &o);
    }
    buf_done(&raw);
}

static void run_command(struct request *rq, struct session *s, const struct exec_json *e)
{
    const bool async = e->run_async || e->async;
    struct command *c;
    int r;

    r = session_exec(s, e->command, async, !e->quiet, &c);
    if (r == -EPIPE) {
        exec_failed(rq, "failed to write command: write |1: broken pipe");
        return;
    }
    if (r == 0 && async) {
        answer_async(rq, c);
        return;
    }
    if (r == 0)
        r = wait_done(rq, s, c);
    if (r == 0)
        answer_done(rq, s, c);
    else if (r == -ECANCELED)
        exec_failed(rq, "session cancelled");
    else
        exec_failed(rq, r == -ETIMEDOUT ? "the session's shell has ended" : strerror(-r));
}

void session_run(struct request *rq)
{
    struct exec_json e = {0};
    struct session *s;

    if (request_json(rq, exec_fields, ARRAY_LEN(exec_fields), &e) < 0 ||
        !e.command[strspn(e.command, " \t\r\n")]) {
        reply_status(rq, 400);
    } else {
        s = session_find(rq->sandbox, rq->capture[0]);
        if (s)
            run_command(rq, s, &e);
        else
            exec_failed(rq, "not found: session not found");
        session_unref(s);
    }
    json_unload(exec_fields, ARRAY_LEN(exec_fields), &e);
}

void session_get_command(struct request *rq)
{
    struct command *c;
    struct session *s = session_take_command(rq, &c);
    struct json_out o;

    if (!s)
        return;
    o = reply_json(rq, 200);
    lock_take(&s->lock);
    put_command_locked(&o, c);
    lock_drop(&s->lock);
    reply_json_end(rq, &o);
    session_unref(s);
}

struct input_json {
    char *data;
};
static const struct json_field input_fields[] = {
    JSON_FIELD(struct input_json, data, "data", JSON_STRING, JSON_REQUIRED),
};

void session_put_input(struct request *rq)
{
    struct input_json body = {0};
    struct command *c;
    struct session *s;
    int r;

    if (request_json(rq, input_fields, ARRAY_LEN(input_fields), &body) < 0 || !*body.data) {
        reply_error(rq, 400, "BAD_REQUEST", "bad request: data is required");
        json_unload(input_fields, ARRAY_LEN(input_fields), &body);
        return;
    }
    s = session_take_command(rq, &c);
    if (s) {
        r = session_input(s, c, body.data);
        if (r == 0)
            reply_status(rq, 204);
        else if (r == -ESRCH)
            reply_error(rq, 410, "GONE", "gone: command has already completed with exit code %d",
                        c->exit_code);
        else
            reply_error(rq, 500, "INTERNAL_SERVER_ERROR", "failed to send input: %s", strerror(-r));
        session_unref(s);
    }
    json_unload(input_fields, ARRAY_LEN(input_fields), &body);
}
