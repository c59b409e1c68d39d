/*
 * What a session's command has printed, byte for byte.
 *
 * Logs only grow, and both ways of reading start at their beginning. So a read that is made again
 * gives the bytes that came before once more, and they are skipped by their number.
 */
#include "sdk/call.h"
#include "sdk/error.h"
#include "sdk/session.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "wire/demux.h"

#include <errno.h>
#include <string.h>

enum { ATTEMPTS_MAX = 5, MESSAGE_MAX = 1 << 20 };

static const int64_t goodbye_ns = NS_PER_S;

struct log {
    struct demux demux;
    int stopped;   /* what ended it on this side: 0 or -errno */
    uint64_t seen; /* bytes of the raw log that the demultiplexer has had */
    daytona_output output;
    void *arg;
};

static int to_caller(void *arg, enum demux_stream stream, const void *p, size_t n)
{
    const struct log *log = arg;
    const int r = log->output(log->arg, (enum daytona_stream)stream, p, n);

    return r > 0 ? -EIO : r;
}

/* The bytes of the raw log at off. */
static int take_at(void *arg, uint64_t off, const void *p, size_t n)
{
    struct log *log = arg;
    size_t skip;
    int r;

    if (off > log->seen) /* the log was cut short in between: it is not what it was */
        return -EPROTO;
    if (off + n <= log->seen)
        return 0;
    skip = (size_t)(log->seen - off);
    r = demux_feed(&log->demux, (const char *)p + skip, n - skip, to_caller, log);
    log->seen = off + n;
    return r;
}

static int logs_path(const char *session, const char *command, struct buf *out)
{
    if (strcmp(session, DAYTONA_SESSION_ENTRYPOINT) == 0)
        return call_path(out, "/process/session/entrypoint/logs");
    return call_path(out, "/process/session/", session, "/command/", command, "/logs");
}

/* Raw: JSON would turn bytes that are not UTF-8 into others. */
static struct call logs_call(const char *name, const struct buf *path)
{
    return (struct call){
        .name = name,
        .method = "GET",
        .path = path->data,
        .flags = HTTP_IDEMPOTENT,
        .plain = true,
        .header = "X-Daytona-Split-Output: true",
        .json_errors = true,
    };
}

int daytona_session_logs(struct daytona_sandbox *sb, const char *session, const char *command,
                         daytona_output output, void *arg)
{
    struct log log = {.output = output, .arg = arg};
    struct buf path = BUF_INIT(64 << 10);
    struct http_response response;
    struct call call;
    int r;

    error_begin("getSessionCommandLogs");
    r = logs_path(session, command, &path);
    if (r < 0)
        goto out;
    call = logs_call("getSessionCommandLogs", &path);
    call.sink = take_at;
    call.sink_arg = &log;
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        goto out;
    http_response_done(&response);
    r = error_default(demux_end(&log.demux, to_caller, &log));
out:
    buf_done(&path);
    return r;
}

/* One connection, until its end. 1: closed as after the command's end. *ret_moved: bytes came. */
static int follow_once(struct daytona_sandbox *sb, const struct call *call, struct log *log,
                       bool *ret_moved)
{
    struct websocket_message message;
    struct websocket *ws = NULL;
    uint64_t off = 0;
    int r;

    r = call_stream(sb, call, false, &ws);
    if (r < 0)
        return r;
    for (;;) {
        r = websocket_receive(ws, INT64_MAX, &message);
        if (r < 0) {
            call_stream_failed(r);
            break;
        }
        if (message.kind == WS_CLOSE) {
            r = message.code == 1000 || message.code == 1005
                    ? 1
                    : error_set(-ECONNRESET, "the stream was closed with code %d: %s", message.code,
                                message.data);
            break;
        }
        *ret_moved = *ret_moved || off + message.len > log->seen;
        r = take_at(log, off, message.data, message.len);
        if (r < 0) {
            log->stopped = error_default(r);
            break;
        }
        off += message.len;
    }
    if (log->stopped < 0)
        websocket_close(ws, 1000, "", goodbye_ns);
    websocket_free(ws);
    return r;
}

static bool is_worth_another(int r)
{
    switch (r) {
    case -ECONNRESET:
    case -ECONNREFUSED:
    case -ETIMEDOUT:
    case -EHOSTUNREACH:
    case -EHOSTDOWN: /* a proxy that lost it for a moment, too */
        return true;
    default:
        return false;
    }
}

/* 1: it still runs. */
static int ask_end(struct daytona_sandbox *sb, const char *session, const char *command,
                   int *ret_exit_code)
{
    struct daytona_command c;
    int r;

    r = command_fetch(sb, session, command, &c);
    if (r < 0)
        return r;
    r = c.running;
    if (!c.running && ret_exit_code)
        *ret_exit_code = c.exit_code;
    daytona_command_done(&c);
    return r;
}

static int follow(struct daytona_sandbox *sb, const char *session, const char *command,
                  const struct call *call, struct log *log, int *ret_exit_code)
{
    int64_t pause_ns = 0;
    unsigned attempts = 0;

    for (;;) {
        bool moved = false;
        int r;

        r = follow_once(sb, call, log, &moved);
        if (r == 1)
            r = ask_end(sb, session, command, ret_exit_code);
        if (r == 0)
            return error_default(demux_end(&log->demux, to_caller, log));
        if (log->stopped < 0 || (r < 0 && !is_worth_another(r)))
            return r;
        if (moved) {
            attempts = 0;
            pause_ns = 0;
        }
        if (r < 0 && ++attempts == ATTEMPTS_MAX)
            return r;
        pause_ns = pause_ns ? pause_ns * 2 : NS_PER_S / 4;
        if (pause_ns > 5 * NS_PER_S)
            pause_ns = 5 * NS_PER_S;
        r = cancel_sleep(pause_ns);
        if (r < 0)
            return error_set(r, "cancelled");
    }
}

int daytona_session_follow(struct daytona_sandbox *sb, const char *session, const char *command,
                           daytona_output output, void *arg, int *ret_exit_code)
{
    struct log log = {.output = output, .arg = arg};
    struct buf path = BUF_INIT(64 << 10);
    struct call call;
    int r;

    error_begin("followSessionCommandLogs");
    r = logs_path(session, command, &path);
    if (r == 0) {
        call = logs_call("followSessionCommandLogs", &path);
        call.query[0].key = "follow";
        call.query[0].value = "true";
        call.body_max = MESSAGE_MAX;
        r = follow(sb, session, command, &call, &log, ret_exit_code);
    }
    buf_done(&path);
    if (r == 0)
        error_begin("followSessionCommandLogs"); /* what failed on the way was made good */
    return r;
}
