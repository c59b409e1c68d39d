/* reply.c - answers: a text made in memory, or pieces of text and files sent as they are read. */
#include "server/server_internal.h"

#include "server/fault.h"

#include "http/url.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "wire/error.h"
#include "wire/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 64 << 10, STALL_S = 600, STEPS = 20 };

static void piece_done(struct piece *p)
{
    free(p->text);
    if (p->fd >= 0)
        close(p->fd);
}

void reply_reset(struct reply *rp)
{
    for (size_t i = 0; i < rp->header_count; i++) {
        free(rp->headers[i].name);
        free(rp->headers[i].value);
    }
    while (rp->piece_first < rp->piece_count)
        piece_done(&rp->pieces[rp->piece_first++]);
    free(rp->pieces);
    rp->pieces = NULL;
    rp->piece_first = rp->piece_count = rp->piece_cap = 0;
    rp->header_count = 0;
    rp->status = 0;
    rp->streamed = false;
    rp->stream_len = -1;
    rp->more = NULL;
    buf_done(&rp->text);
}

void reply_status(struct request *rq, int status)
{
    rq->reply.status = status;
}

void reply_header(struct request *rq, const char *name, const char *fmt, ...)
{
    struct reply *rp = &rq->reply;
    struct buf b = BUF_INIT(64 << 10);
    char *copy;
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = buf_vprintf(&b, fmt, ap);
    va_end(ap);
    copy = strdup(name);
    if (r < 0 || !copy || rp->header_count == HEADERS_MAX) {
        buf_done(&b);
        free(copy);
        return;
    }
    rp->headers[rp->header_count].name = copy;
    rp->headers[rp->header_count].value = buf_take(&b);
    rp->header_count++;
}

void reply_text(struct request *rq, int status, const char *type, const char *fmt, ...)
{
    va_list ap;

    rq->reply.status = status;
    buf_truncate(&rq->reply.text, 0);
    va_start(ap, fmt);
    (void)buf_vprintf(&rq->reply.text, fmt, ap); /* without memory the answer is empty */
    va_end(ap);
    reply_header(rq, "Content-Type", "%s", type);
}

struct json_out reply_json(struct request *rq, int status)
{
    rq->reply.status = status;
    buf_truncate(&rq->reply.text, 0);
    reply_header(rq, "Content-Type", "application/json; charset=utf-8");
    return (struct json_out){.buf = &rq->reply.text};
}

void reply_json_end(struct request *rq, struct json_out *o)
{
    if (o->err < 0) {
        reply_reset(&rq->reply);
        reply_status(rq, 500);
    }
}

void reply_stream(struct request *rq, int status, int64_t len)
{
    rq->reply.status = status;
    rq->reply.streamed = true;
    rq->reply.stream_len = len;
}

static int add_piece(struct reply *rp, const struct piece *p)
{
    if (rp->piece_first == rp->piece_count)
        rp->piece_first = rp->piece_count = 0;
    if (rp->piece_count == rp->piece_cap) {
        const size_t cap = rp->piece_cap ? rp->piece_cap * 2 : 8;
        struct piece *bigger;

        if (cap > PIECES_MAX)
            return -EFBIG;
        bigger = realloc(rp->pieces, cap * sizeof(*bigger));
        if (!bigger)
            return -ENOMEM;
        rp->pieces = bigger;
        rp->piece_cap = cap;
    }
    rp->pieces[rp->piece_count++] = *p;
    return 0;
}

int reply_piece_text(struct request *rq, const char *p, size_t n)
{
    struct piece piece = {.fd = -1, .len = n};
    int r;

    piece.text = malloc(n ? n : 1);
    if (!piece.text)
        return -ENOMEM;
    memcpy(piece.text, p, n);
    r = add_piece(&rq->reply, &piece);
    if (r < 0)
        free(piece.text);
    return r;
}

int reply_piece_fd(struct request *rq, int fd, uint64_t off, uint64_t len, bool exact)
{
    const struct piece piece = {.fd = fd, .off = off, .len = len, .exact = exact};
    const int r = add_piece(&rq->reply, &piece);

    if (r < 0)
        close(fd);
    return r;
}

/* From the first piece. 0: it is used up. */
static ssize_t read_piece(struct piece *p, char *out, size_t max)
{
    const size_t want = p->len < max ? (size_t)p->len : max;
    ssize_t n;

    if (want == 0)
        return 0;
    if (p->text) {
        memcpy(out, p->text + p->off, want);
        n = (ssize_t)want;
    } else {
        do
            n = pread(p->fd, out, want, (off_t)p->off);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == ESPIPE) /* a device */
            n = read(p->fd, out, want);
        if (n < 0)
            return -errno;
        if (n == 0)
            return p->exact ? -EIO : 0;
    }
    p->off += (uint64_t)n;
    if (p->len != UINT64_MAX)
        p->len -= (uint64_t)n;
    return n;
}

static ssize_t read_stream(struct request *rq, char *out, size_t max)
{
    struct reply *rp = &rq->reply;

    for (;;) {
        ssize_t n;

        if (rp->piece_first == rp->piece_count) {
            const int r = rp->more ? rp->more(rq) : 0;

            if (r < 0)
                return MHD_CONTENT_READER_END_WITH_ERROR;
            if (r == 0)
                return MHD_CONTENT_READER_END_OF_STREAM;
            continue;
        }
        n = read_piece(&rp->pieces[rp->piece_first], out, max);
        if (n < 0)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        if (n > 0)
            return n;
        piece_done(&rp->pieces[rp->piece_first++]);
    }
}

static bool is_slowed(const struct fault_plan *f)
{
    return f->cut >= 0 || f->stall >= 0 || f->throttle > 0;
}

/*
 * How much of max may go now; waits if a fault says so. -1: the connection ends. A wait of the
 * whole body is not longer than STALL_S, and ends when the faults change or the server does.
 */
static ssize_t allow(struct request *rq, size_t max)
{
    const struct fault_plan *f = &rq->fault;
    size_t n = max;

    if (f->cut >= 0) {
        if (rq->sent >= (uint64_t)f->cut)
            return -1;
        if (n > (uint64_t)f->cut - rq->sent)
            n = (size_t)((uint64_t)f->cut - rq->sent);
    }
    if (f->stall >= 0) {
        if (rq->sent >= (uint64_t)f->stall) {
            fault_sleep(rq->srv->fault, STALL_S * NS_PER_S);
            return -1;
        }
        if (n > (uint64_t)f->stall - rq->sent)
            n = (size_t)((uint64_t)f->stall - rq->sent);
    }
    if (f->throttle > 0) {
        const size_t step = (size_t)f->throttle / STEPS + 1;

        fault_sleep(rq->srv->fault, NS_PER_S / STEPS);
        if (n > step)
            n = step;
    }
    return (ssize_t)n;
}

/* The library's reader. */
static ssize_t read_body(void *arg, uint64_t pos, char *out, size_t max)
{
    struct request *rq = arg;
    ssize_t n;

    n = allow(rq, max);
    if (n < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    max = (size_t)n;
    if (rq->reply.streamed) {
        n = read_stream(rq, out, max);
    } else {
        const size_t left = rq->reply.text.len - (size_t)rq->sent;

        n = (ssize_t)(left < max ? left : max);
        if (n == 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        memcpy(out, rq->reply.text.data + rq->sent, (size_t)n);
    }
    if (n > 0)
        rq->sent += (uint64_t)n;
    return n;
}

enum MHD_Result reply_send(struct request *rq)
{
    struct reply *rp = &rq->reply;
    struct MHD_Response *response;
    enum MHD_Result r;

    if (rq->upgrade) {
        response = MHD_create_response_for_upgrade(wsock_run, rq);
    } else if (rp->streamed || is_slowed(&rq->fault)) {
        const int64_t len = rp->streamed ? rp->stream_len : (int64_t)rp->text.len;

        response = MHD_create_response_from_callback(len < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)len,
                                                     BLOCK, read_body, rq, NULL);
    } else {
        response = MHD_create_response_from_buffer(rp->text.len, rp->text.data ? rp->text.data : "",
                                                   MHD_RESPMEM_PERSISTENT);
    }
    if (!response)
        return MHD_NO;
    for (size_t i = 0; i < rp->header_count; i++)
        (void)MHD_add_response_header(response, rp->headers[i].name, rp->headers[i].value);
    r = MHD_queue_response(rq->conn, (unsigned)rp->status, response);
    MHD_destroy_response(response);
    return r;
}

static void write_error(struct request *rq, int status, const struct wire_error *e,
                        enum wire_error_form form, bool timeless)
{
    struct buf when = BUF_INIT(64);

    if (timeless)
        (void)buf_puts(&when, "0001-01-01T00:00:00Z");
    else
        (void)time_write_rfc3339(&when, clock_real_ns() / NS_PER_MS * NS_PER_MS, 0);
    rq->reply.status = status;
    buf_truncate(&rq->reply.text, 0);
    reply_header(rq, "Content-Type", "application/json; charset=utf-8");
    if (wire_error_write(&rq->reply.text, e, form, buf_str(&when)) < 0)
        buf_truncate(&rq->reply.text, 0);
    buf_done(&when);
}

/* "Not Found" and so on: the library knows the phrases. */
void reply_api_error(struct request *rq, int status, const char *fmt, ...)
{
    struct wire_error e = {.status = status};
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(e.message, sizeof(e.message), fmt, ap);
    va_end(ap);
    wire_copy_line(e.error, sizeof(e.error), MHD_get_reason_phrase_for((unsigned)status));
    wire_copy_line(e.path, sizeof(e.path), rq->path ? rq->path : "");
    write_error(rq, status, &e, WIRE_ERROR_API, false);
}

static void daemon_error(struct request *rq, int status, const char *code, const char *source,
                         bool timeless, const char *fmt, va_list ap)
{
    struct wire_error e = {.status = status};

    (void)vsnprintf(e.message, sizeof(e.message), fmt, ap);
    wire_copy_line(e.code, sizeof(e.code), code);
    wire_copy_line(e.source, sizeof(e.source), source);
    /* A daemon does not know what the proxies took off its path. */
    wire_copy_line(e.path, sizeof(e.path), rq->jail ? rq->inner : rq->path ? rq->path : "");
    wire_copy_line(e.method, sizeof(e.method), rq->method);
    write_error(rq, status, &e, WIRE_ERROR_DAEMON, timeless);
}

void reply_error(struct request *rq, int status, const char *code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    daemon_error(rq, status, code, "", false, fmt, ap);
    va_end(ap);
}

void reply_error_timeless(struct request *rq, int status, const char *code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    daemon_error(rq, status, code, "", true, fmt, ap);
    va_end(ap);
}

static void typed_error(struct request *rq, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void typed_error(struct request *rq, int status, const char *code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    daemon_error(rq, status, code, "DAYTONA_DAEMON", false, fmt, ap);
    va_end(ap);
}

/*
 * 404 and 403 are only said of what a lookup or an opening for reading found; everything else is
 * 400. Old daemons say no more than that.
 */
void reply_file_error(struct request *rq, int err, bool at_lookup)
{
    const char *path = request_query(rq, "path");
    int status = 400;
    const char *code = "BAD_REQUEST";

    if (at_lookup && err == -ENOENT) {
        status = 404;
        code = "FILE_NOT_FOUND";
    } else if (at_lookup && (err == -EACCES || err == -EPERM)) {
        status = 403;
        code = "FILE_ACCESS_DENIED";
    } else if (err == -EISDIR || err == -ENOTDIR || err == -ENAMETOOLONG || err == -ELOOP) {
        code = "INVALID_FILE_PATH";
    }
    reply_reset(&rq->reply);
    if (rq->srv->new_daemon)
        typed_error(rq, status, code, "%s: %s", path ? path : "", errtext_sentence(err));
    else
        reply_status(rq, status);
}

int put_filename(struct buf *out, const char *name)
{
    int r;

    r = buf_puts(out, "filename=\"");
    for (const unsigned char *p = (const unsigned char *)name; r == 0 && *p; p++) {
        if (*p < 0x80) {
            if (*p == '"' || *p == '\\')
                r = buf_putc(out, '\\');
            if (r == 0)
                r = buf_putc(out, *p < 0x20 || *p == 0x7f ? '_' : (char)*p);
        } else if ((*p & 0xc0) != 0x80) { /* one for the whole character */
            r = buf_putc(out, '_');
        }
    }
    if (r == 0)
        r = buf_puts(out, "\"; filename*=utf-8''");
    return r < 0 ? r : url_escape(out, name);
}
