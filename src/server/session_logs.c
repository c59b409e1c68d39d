/* session_logs.c - a command's log on the wire: whole, as it grows, and in the form that the client
 * knows. */
#include "server/session_logs.h"

#include "server/server_internal.h"
#include "server/wsock.h"

#include "util/clock.h"
#include "util/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    STEP_MS = 500,
    STREAM_BLOCK = 32 << 10,
    FRAME_MAX = 1024,
    FOLLOW_STEP_MS = 50, /* so late is a ping answered */
};

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

int session_log_read(struct session *s, const struct command *c, struct buf *out)
{
    int fd = session_open_log(s, c), r = 0;
    struct stat st;

    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0)
        r = -errno;
    if (r == 0)
        r = buf_reserve(out, (size_t)st.st_size);
    if (r == 0)
        r = io_pread(fd, out->data, (size_t)st.st_size, 0);
    if (r == 0)
        out->len = (size_t)st.st_size;
    if (out->data)
        out->data[out->len] = '\0';
    close(fd);
    return r;
}

/* The log as one of JSON's three fields has it. */
static int put_log(struct json_out *o, const struct buf *raw, enum log_form form)
{
    struct buf a = BUF_INIT(SESSION_OUTPUT_MAX), b = BUF_INIT(SESSION_OUTPUT_MAX);
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

int session_log_put(struct json_out *o, const struct request *rq, const struct buf *raw)
{
    return put_log(o, raw, log_form(rq));
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
    struct buf raw = BUF_INIT(SESSION_OUTPUT_MAX);

    if (form == LOG_MARKED) {
        answer_marked_log(rq, s, c);
        return;
    }
    if (session_log_read(s, c, &raw) < 0)
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

    while (follow_read(f, block, sizeof(block), 0, &out) > 0) {
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
    struct session *s = session_take_command(rq, &c);
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
