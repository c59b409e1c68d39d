/* session_calls.c - /process/session: the calls, and the forms that logs have on the wire. */
#include "server/server_internal.h"
#include "server/session.h"
#include "server/wsock.h"

#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OUTPUT_MAX = 32 << 20,
    STEP_MS = 500,
    STREAM_BLOCK = 32 << 10,
    FRAME_MAX = 1024,
    FOLLOW_STEP_MS = 50, /* so late is a ping answered */
};

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

static struct session *take_command(struct request *rq, struct command **ret)
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

/* ---- how the SDK's version changes the logs ---- */

enum log_form { LOG_STRIPPED, LOG_MARKED, LOG_SPLIT };

/* "0.167.0", "v0.167.0": as one number, or -1. */
static int64_t parse_version(const char *text)
{
    unsigned major, minor, patch;
    char rest;

    if (*text == 'v')
        text++;
    if (sscanf(text, "%4u.%4u.%4u%c", &major, &minor, &patch, &rest) < 3)
        return -1;
    return ((int64_t)major * 10000 + minor) * 10000 + patch;
}

static enum log_form log_form(const struct request *rq)
{
    const char *version = request_sdk_version(rq), *split;
    int64_t v;

    if (!*version) {
        split = request_header(rq, "X-Daytona-Split-Output");
        return split && strcmp(split, "true") == 0 ? LOG_MARKED : LOG_STRIPPED;
    }
    if (strstr(version, "dev"))
        return LOG_SPLIT;
    v = parse_version(version);
    if (v < 0)
        return LOG_MARKED;
    return v < 270000 ? LOG_STRIPPED : v < 1670000 ? LOG_MARKED : LOG_SPLIT;
}

/* Takes the markers out, also one that is cut in two. */
struct strip {
    char what;     /* the byte that is held back */
    unsigned held; /* 0 to 2 of it */
};

static int strip_flush(struct strip *st, struct buf *out)
{
    int r = 0;

    for (; r == 0 && st->held > 0; st->held--)
        r = buf_putc(out, st->what);
    return r;
}

static int strip(struct strip *st, const char *p, size_t n, struct buf *out)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        const bool marks = p[i] == '\1' || p[i] == '\2';

        if (!marks || (st->held > 0 && st->what != p[i]))
            r = strip_flush(st, out);
        if (r == 0 && !marks) {
            r = buf_putc(out, p[i]);
        } else if (r == 0) {
            st->what = p[i];
            st->held = (st->held + 1) % 3;
        }
    }
    return r;
}

/* Each byte belongs to the stream of the marker before it. */
static int split(const char *p, size_t n, struct buf *out, struct buf *err)
{
    struct buf *to = out;
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        if (n - i >= 3 && (memcmp(p + i, "\1\1\1", 3) == 0 || memcmp(p + i, "\2\2\2", 3) == 0)) {
            to = p[i] == '\1' ? out : err;
            i += 2;
        } else {
            r = buf_putc(to, p[i]);
        }
    }
    return r;
}

static int read_log(struct session *s, const struct command *c, struct buf *out)
{
    int fd = session_open_log(s, c), r = 0;
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0)
        r = buf_reserve(out, (size_t)st.st_size);
    while (r == 0 && out->len < (size_t)st.st_size) {
        const ssize_t n =
            pread(fd, out->data + out->len, (size_t)st.st_size - out->len, (off_t)out->len);

        if (n <= 0)
            r = n < 0 && errno == EINTR ? 0 : -EIO;
        else
            out->len += (size_t)n;
    }
    if (out->data)
        out->data[out->len] = '\0';
    close(fd);
    return r;
}

/* The log as one of JSON's three fields has it. */
static int put_log(struct json_out *o, const struct buf *raw, enum log_form form)
{
    struct buf a = BUF_INIT(OUTPUT_MAX), b = BUF_INIT(OUTPUT_MAX);
    struct strip st = {0};
    int r = 0;

    json_key(o, "output");
    if (form == LOG_STRIPPED) {
        r = strip(&st, buf_str(raw), raw->len, &a);
        if (r == 0)
            r = strip_flush(&st, &a);
        json_bytes(o, buf_str(&a), a.len);
    } else {
        json_bytes(o, buf_str(raw), raw->len);
    }
    buf_truncate(&a, 0);
    if (r == 0 && form == LOG_SPLIT)
        r = split(buf_str(raw), raw->len, &a, &b);
    json_key(o, "stdout");
    if (form == LOG_SPLIT)
        json_bytes(o, buf_str(&a), a.len);
    else
        json_null(o);
    json_key(o, "stderr");
    if (form == LOG_SPLIT)
        json_bytes(o, buf_str(&b), b.len);
    else
        json_null(o);
    buf_done(&a);
    buf_done(&b);
    return r;
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
    struct buf raw = BUF_INIT(OUTPUT_MAX);
    struct json_out o;

    if (read_log(s, c, &raw) < 0) {
        exec_failed(rq, "the output is larger than this server holds");
    } else {
        o = reply_json(rq, 200);
        json_open(&o, '{');
        json_key(&o, "cmdId");
        json_string(&o, c->id);
        o.err = o.err < 0 ? o.err : put_log(&o, &raw, log_form(rq));
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
    struct session *s = take_command(rq, &c);
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
    s = take_command(rq, &c);
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

/* ---- logs ---- */

static void answer_json_log(struct request *rq, const struct buf *raw)
{
    struct json_out o = reply_json(rq, 200);

    json_open(&o, '{');
    o.err = put_log(&o, raw, LOG_SPLIT);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

static void answer_text_log(struct request *rq, const struct buf *raw)
{
    struct strip st = {0};
    int r;

    reply_header(rq, "Content-Type", "text/plain; charset=utf-8");
    reply_status(rq, 200);
    buf_truncate(&rq->reply.text, 0);
    r = strip(&st, buf_str(raw), raw->len, &rq->reply.text);
    if (r == 0)
        r = strip_flush(&st, &rq->reply.text);
    if (r < 0)
        reply_status(rq, 500);
}

/* Whatever its size: straight from the file. */
static void answer_marked_log(struct request *rq, struct session *s, const struct command *c)
{
    int fd = session_open_log(s, c);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        if (fd >= 0)
            close(fd);
        reply_status(rq, 500);
        return;
    }
    reply_header(rq, "Content-Type", "text/plain; charset=utf-8");
    reply_stream(rq, 200, st.st_size);
    if (reply_piece_fd(rq, fd, 0, (uint64_t)st.st_size, true) < 0)
        reply_status(rq, 500);
}

static void answer_snapshot(struct request *rq, struct session *s, const struct command *c)
{
    const enum log_form form = log_form(rq);
    struct buf raw = BUF_INIT(OUTPUT_MAX);

    if (form == LOG_MARKED) {
        answer_marked_log(rq, s, c);
        return;
    }
    if (read_log(s, c, &raw) < 0)
        reply_error(rq, 500, "INTERNAL_SERVER_ERROR",
                    "the output is larger than this server holds: use X-Daytona-Split-Output");
    else if (form == LOG_SPLIT)
        answer_json_log(rq, &raw);
    else
        answer_text_log(rq, &raw);
    buf_done(&raw);
}

/* ---- following ---- */

struct follow {
    struct session *session; /* a reference */
    struct command *command;
    int log;
    uint64_t off;
    bool strips;
    struct strip strip;
};

static void follow_free(void *arg)
{
    struct follow *f = arg;

    close(f->log);
    session_unref(f->session);
    free(f);
}

/* More of the log, without markers if they are not wanted. As session_read; -EAGAIN also for a
 * stretch that held nothing but markers. */
static ssize_t follow_read(struct follow *f, char *block, size_t max, int64_t until,
                           struct buf *out)
{
    ssize_t n = session_read(f->session, f->command, f->log, f->off, block, max, until);
    int r;

    if (n < 0)
        return n;
    f->off += (uint64_t)n;
    buf_truncate(out, 0);
    if (n == 0)
        r = strip_flush(&f->strip, out);
    else
        r = f->strips ? strip(&f->strip, block, (size_t)n, out) : buf_append(out, block, (size_t)n);
    if (r < 0)
        return r;
    return n == 0 ? 0 : out->len > 0 ? (ssize_t)out->len : -EAGAIN;
}

static void follow_talk(struct request *rq, struct wsock *ws, void *arg)
{
    struct buf out = BUF_INIT(FRAME_MAX + 8);
    struct follow *f = arg;
    char block[FRAME_MAX - 2]; /* two bytes may have been held back */

    for (;;) {
        const int64_t until = clock_mono_ns() + FOLLOW_STEP_MS * NS_PER_MS;
        const ssize_t n = follow_read(f, block, sizeof(block), until, &out);

        if (n < 0 && n != -EAGAIN)
            break;
        if (n != -EAGAIN && out.len > 0 && wsock_send_binary(ws, out.data, out.len) < 0)
            break;
        if (n == 0) {
            wsock_close(ws, 1000, "");
            break;
        }
        if (wsock_wait(ws, -1, 0) < 0)
            break;
    }
    buf_done(&out);
}

static struct follow *follow_new(struct request *rq, struct session *s, struct command *c,
                                 bool strips)
{
    struct follow *f = calloc(1, sizeof(*f));

    if (f)
        *f = (struct follow){.command = c, .strips = strips, .log = session_open_log(s, c)};
    if (!f || f->log < 0) {
        free(f);
        reply_status(rq, 500);
        return NULL;
    }
    f->session = s;
    return f;
}

/* Without an upgrade: what the way through the cloud makes of it, bytes without markers. */
static int follow_more(struct request *rq)
{
    struct buf out = BUF_INIT(STREAM_BLOCK + 8);
    struct follow *f = rq->follow;
    char block[STREAM_BLOCK];
    ssize_t n;
    int r = 1;

    do {
        n = follow_read(f, block, sizeof(block), clock_mono_ns() + STEP_MS * NS_PER_MS, &out);
    } while (n == -EAGAIN && !request_abandoned(rq));
    if (n < 0)
        r = -EIO;
    else if (n == 0 && out.len == 0)
        r = 0;
    else
        r = reply_piece_text(rq, out.data, out.len) < 0 ? -ENOMEM : 1;
    buf_done(&out);
    return r;
}

void follow_forget(struct request *rq)
{
    if (rq->follow)
        follow_free(rq->follow);
    rq->follow = NULL;
}

static void follow_logs(struct request *rq, struct session *s, struct command *c)
{
    const bool upgrade = wsock_wanted(rq);
    struct follow *f = follow_new(rq, s, c, !upgrade || log_form(rq) == LOG_STRIPPED);

    if (!f) {
        session_unref(s);
    } else if (upgrade) {
        wsock_accept(rq, follow_talk, follow_free, f);
    } else {
        rq->follow = f;
        reply_header(rq, "Content-Type", "application/octet-stream");
        reply_stream(rq, 200, -1);
        rq->reply.more = follow_more;
    }
}

/* An upgrade without follow=true: the frames of what there is, and the end. */
static void snapshot_talk(struct request *rq, struct wsock *ws, void *arg)
{
    struct follow *f = arg;
    struct buf out = BUF_INIT(FRAME_MAX + 8);
    char block[FRAME_MAX - 2];
    ssize_t n;

    while ((n = follow_read(f, block, sizeof(block), 0, &out)) > 0) {
        if (wsock_send_binary(ws, out.data, out.len) < 0)
            break;
    }
    wsock_close(ws, 1000, "");
    buf_done(&out);
}

void session_logs(struct request *rq)
{
    const char *follow = request_query(rq, "follow");
    struct command *c;
    struct session *s = take_command(rq, &c);
    struct follow *f;

    if (!s)
        return;
    if (follow && strcmp(follow, "true") == 0) {
        follow_logs(rq, s, c);
    } else if (wsock_wanted(rq)) {
        f = follow_new(rq, s, c, log_form(rq) == LOG_STRIPPED);
        if (f)
            wsock_accept(rq, snapshot_talk, follow_free, f);
        else
            session_unref(s);
    } else {
        answer_snapshot(rq, s, c);
        session_unref(s);
    }
}
