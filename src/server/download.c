/* download.c - GET download with its ranges and dates, and bulk-download. */
#include "server/server_internal.h"

#include "util/array.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/path.h"
#include "util/random.h"
#include "wire/error.h"
#include "wire/file.h"
#include "wire/time.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { RANGES_MAX = 1000, BOUNDARY_LEN = 60 };

/*
 * For reading, never waiting: a pipe is opened without a writer. -EOPNOTSUPP for what is neither a
 * file nor a directory nor a character device.
 */
static int open_for_reading(const struct request *rq, const char *path, struct stat *ret)
{
    int fd, r;

    r = view_stat(rq, path, ret);
    if (r < 0)
        return r;
    if (!S_ISREG(ret->st_mode) && !S_ISDIR(ret->st_mode) && !S_ISCHR(ret->st_mode))
        return -EOPNOTSUPP;
    fd = view_open(rq, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd >= 0 && fstat(fd, ret) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

/* ---- ranges ---- */

struct range {
    uint64_t start, len;
};

enum { RANGE_WHOLE = 0, RANGE_BAD = -1, RANGE_BEYOND = -2 };

static bool parse_number(const char **p, uint64_t *ret)
{
    char *end;

    if (!isdigit((unsigned char)**p))
        return false;
    errno = 0;
    *ret = strtoull(*p, &end, 10);
    *p = end;
    return errno == 0;
}

/* One "a-b", "a-" or "-n". 1: taken; 0: it lies beyond the end; RANGE_BAD. */
static int parse_range(const char **p, uint64_t size, struct range *ret)
{
    uint64_t first, last;

    if (**p == '-') {
        ++*p;
        if (!parse_number(p, &last))
            return RANGE_BAD;
        ret->len = last < size ? last : size;
        ret->start = size - ret->len;
        return ret->len > 0;
    }
    if (!parse_number(p, &first) || **p != '-')
        return RANGE_BAD;
    ++*p;
    last = size - 1;
    if (isdigit((unsigned char)**p) && (!parse_number(p, &last) || last < first))
        return RANGE_BAD;
    if (first >= size)
        return 0;
    if (last > size - 1)
        last = size - 1;
    *ret = (struct range){.start = first, .len = last - first + 1};
    return 1;
}

/* How many ranges, or RANGE_*. */
static int parse_ranges(const char *header, uint64_t size, struct range *ret)
{
    const char *p = header + strlen("bytes=");
    bool beyond = false;
    uint64_t sum = 0;
    int count = 0;

    if (strncmp(header, "bytes=", strlen("bytes=")) != 0)
        return RANGE_BAD;
    for (;;) {
        int r;

        while (*p == ' ' || *p == ',')
            p++;
        if (!*p)
            break;
        if (count == RANGES_MAX)
            return RANGE_WHOLE;
        r = parse_range(&p, size, &ret[count]);
        while (*p == ' ')
            p++;
        if (r < 0 || (*p && *p != ','))
            return RANGE_BAD;
        if (r == 0)
            beyond = true;
        else
            sum += ret[count++].len;
    }
    if (count == 0)
        return beyond ? RANGE_BEYOND : RANGE_WHOLE;
    return sum > size ? RANGE_WHOLE : count;
}

/* ---- one file ---- */

static void put_file_headers(struct request *rq, const char *name, const struct stat *st)
{
    struct buf b = BUF_INIT(8192);

    if (put_filename(&b, name) == 0)
        reply_header(rq, "Content-Disposition", "attachment; %s", buf_str(&b));
    buf_truncate(&b, 0);
    if (time_write_http(&b, st->st_mtime) == 0)
        reply_header(rq, "Last-Modified", "%s", buf_str(&b));
    buf_done(&b);
    reply_header(rq, "Accept-Ranges", "bytes");
    reply_header(rq, "Content-Description", "File Transfer");
    reply_header(rq, "Content-Transfer-Encoding", "binary");
    reply_header(rq, "Expires", "0");
    reply_header(rq, "Cache-Control", "must-revalidate");
    reply_header(rq, "Pragma", "public");
}

/* The static file server's conditions. 0: go on; else the status to answer with. */
static int check_conditions(const struct request *rq, int64_t mtime_s)
{
    const char *since = request_header(rq, "If-Modified-Since");
    const char *unchanged = request_header(rq, "If-Unmodified-Since");
    int64_t at;

    if (unchanged && time_read_http(unchanged, &at) == 0 && mtime_s > at)
        return 412;
    if (since && time_read_http(since, &at) == 0 && mtime_s <= at)
        return 304;
    return 0;
}

/* An entity tag never fits, as there are none. */
static const char *range_header(const struct request *rq, int64_t mtime_s)
{
    const char *cond = request_header(rq, "If-Range");
    int64_t at;

    if (cond && (time_read_http(cond, &at) < 0 || at != mtime_s))
        return NULL;
    return request_header(rq, "Range");
}

static void answer_whole(struct request *rq, int fd, uint64_t size)
{
    reply_header(rq, "Content-Type", "application/octet-stream");
    reply_stream(rq, 200, (int64_t)size);
    if (reply_piece_fd(rq, fd, 0, size, true) < 0) {
        reply_reset(&rq->reply);
        reply_status(rq, 500);
    }
}

static void answer_range(struct request *rq, int fd, uint64_t size, const struct range *range)
{
    reply_header(rq, "Content-Type", "application/octet-stream");
    reply_header(rq, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->start,
                 range->start + range->len - 1, size);
    reply_stream(rq, 206, (int64_t)range->len);
    if (reply_piece_fd(rq, fd, range->start, range->len, true) < 0) {
        reply_reset(&rq->reply);
        reply_status(rq, 500);
    }
}

static void answer_ranges(struct request *rq, int fd, uint64_t size, const struct range *ranges,
                          int count)
{
    char boundary[BOUNDARY_LEN + 1] = "", head[256];
    uint64_t total = 0;
    int r, n;

    r = random_hex(boundary, BOUNDARY_LEN);
    for (int i = 0; r == 0 && i < count; i++) {
        const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        n = snprintf(head, sizeof(head),
                     "%s--%s\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64
                     "\r\nContent-Type: application/octet-stream\r\n\r\n",
                     i ? "\r\n" : "", boundary, ranges[i].start,
                     ranges[i].start + ranges[i].len - 1, size);
        total += (uint64_t)n + ranges[i].len;
        r = copy < 0 ? -errno : reply_piece_text(rq, head, (size_t)n);
        if (r == 0)
            r = reply_piece_fd(rq, copy, ranges[i].start, ranges[i].len, true);
    }
    close(fd);
    n = snprintf(head, sizeof(head), "\r\n--%s--\r\n", boundary);
    if (r == 0)
        r = reply_piece_text(rq, head, (size_t)n);
    if (r < 0) {
        reply_reset(&rq->reply);
        reply_status(rq, 500);
        return;
    }
    reply_header(rq, "Content-Type", "multipart/byteranges; boundary=%s", boundary);
    reply_stream(rq, 206, (int64_t)(total + (uint64_t)n));
}

static void answer_file(struct request *rq, int fd, const struct stat *st)
{
    const uint64_t size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    const char *header = range_header(rq, st->st_mtime);
    struct range *ranges;
    int count = RANGE_WHOLE;

    ranges = calloc(RANGES_MAX, sizeof(*ranges));
    if (!ranges) {
        close(fd);
        reply_status(rq, 500);
        return;
    }
    if (header && size > 0)
        count = parse_ranges(header, size, ranges);
    if (count == RANGE_WHOLE) {
        answer_whole(rq, fd, size);
    } else if (count == 1) {
        answer_range(rq, fd, size, ranges);
    } else if (count > 1) {
        answer_ranges(rq, fd, size, ranges, count);
    } else {
        close(fd);
        reply_reset(&rq->reply);
        reply_text(rq, 416, "text/plain; charset=utf-8", "invalid range%s\n",
                   count == RANGE_BEYOND ? ": failed to overlap" : "");
        if (count == RANGE_BEYOND)
            reply_header(rq, "Content-Range", "bytes */%" PRIu64, size);
    }
    free(ranges);
}

void files_download(struct request *rq)
{
    const char *path = request_query(rq, "path");
    struct stat st;
    int fd, status;

    if (!path || !*path) {
        reply_file_error(rq, -EINVAL, false);
        return;
    }
    fd = open_for_reading(rq, path, &st);
    if (fd == -EACCES && view_stat(rq, path, &st) == 0 && !rq->srv->new_daemon) {
        reply_text(rq, 403, "text/plain; charset=utf-8", "403 Forbidden\n");
        return;
    }
    if (fd < 0) {
        /* A socket is not there at all; a pipe would hang the real one. */
        if (fd == -EOPNOTSUPP && S_ISSOCK(st.st_mode))
            fd = -ENOENT;
        reply_file_error(rq, fd, true);
        return;
    }
    status = S_ISDIR(st.st_mode) ? 400 : check_conditions(rq, st.st_mtime);
    if (status == 400) {
        close(fd);
        reply_file_error(rq, -EISDIR, false);
        return;
    }
    if (!json_utf8_valid(path_base(path), strlen(path_base(path)))) {
        close(fd);
        reply_text(rq, 500, "text/plain; charset=utf-8", "Internal Server Error\n");
        return;
    }
    put_file_headers(rq, path_base(path), &st);
    if (status) {
        close(fd);
        reply_status(rq, status);
        return;
    }
    answer_file(rq, fd, &st);
}

/* ---- many files ---- */

#define BOUNDARY "DAYTONA-FILE-BOUNDARY"

struct bulk {
    struct json_strings paths;
    size_t next;
    bool closed;
};

struct file_type {
    const char *suffix, *type;
};
static const struct file_type file_types[] = {
    {".txt", "text/plain; charset=utf-8"},
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".xml", "text/xml; charset=utf-8"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".gif", "image/gif"},
    {".svg", "image/svg+xml"},
    {".pdf", "application/pdf"},
    {".wasm", "application/wasm"},
};

static const char *guess_type(const char *path)
{
    const char *dot = strrchr(path_base(path), '.');

    for (size_t i = 0; dot && i < ARRAY_LEN(file_types); i++) {
        if (strcasecmp(dot, file_types[i].suffix) == 0)
            return file_types[i].type;
    }
    return "application/octet-stream";
}

struct bulk_error {
    int err; /* 0: any other */
    int status;
    const char *code, *text;
};
static const struct bulk_error bulk_errors[] = {
    {-ENOENT, 404, "FILE_NOT_FOUND", "file not found: "},
    {-EACCES, 403, "FILE_ACCESS_DENIED", "permission denied: "},
    {-EISDIR, 400, "INVALID_FILE_PATH", "path points to a directory: "},
    {-EINVAL, 400, "INVALID_FILE_PATH", "path is empty: "},
    {0, 500, "FILE_READ_FAILED", "failed to read file: "},
};

static int put_error_part(struct request *rq, const char *path, int err)
{
    struct wire_error e = {0};
    struct buf b = BUF_INIT(64 << 10), body = BUF_INIT(64 << 10), when = BUF_INIT(64);
    size_t i = 0;
    int r;

    while (bulk_errors[i].err && bulk_errors[i].err != err)
        i++;
    e.status = bulk_errors[i].status;
    snprintf(e.message, sizeof(e.message), "%s%.300s%s%s", bulk_errors[i].text, path,
             bulk_errors[i].err ? "" : ": ", bulk_errors[i].err ? "" : errtext_sentence(err));
    wire_copy_line(e.code, sizeof(e.code), bulk_errors[i].code);
    wire_copy_line(e.source, sizeof(e.source), rq->srv->new_daemon ? "DAYTONA_DAEMON" : "");
    wire_copy_line(e.path, sizeof(e.path), rq->inner);
    wire_copy_line(e.method, sizeof(e.method), rq->method);
    r = time_write_rfc3339(&when, clock_real_ns(), 0);
    if (r == 0)
        r = wire_error_write(&body, &e, WIRE_ERROR_DAEMON, buf_str(&when));
    if (r == 0)
        r = buf_puts(&b, "Content-Disposition: form-data; name=\"error\"; ");
    if (r == 0)
        r = put_filename(&b, path);
    if (r == 0)
        r = buf_printf(&b, "\r\nContent-Length: %zu\r\nContent-Type: application/json\r\n\r\n",
                       body.len);
    if (r == 0)
        r = buf_append(&b, body.data, body.len);
    if (r == 0)
        r = reply_piece_text(rq, b.data, b.len);
    buf_done(&b);
    buf_done(&body);
    buf_done(&when);
    return r;
}

static int put_file_part(struct request *rq, const char *path, int fd, const struct stat *st)
{
    struct buf b = BUF_INIT(64 << 10);
    /* What says that it is empty (in /proc) may have bytes all the same. */
    const bool counted = S_ISREG(st->st_mode) && st->st_size > 0;
    const int64_t lie = rq->fault.lie == LIE_WRONG_LENGTH ? 10 : 0;
    int r;

    r = buf_puts(&b, "Content-Disposition: form-data; name=\"file\"; ");
    if (r == 0)
        r = put_filename(&b, path);
    if (r == 0)
        r = buf_printf(&b, "\r\nContent-Length: %lld\r\nContent-Type: %s\r\n\r\n",
                       (long long)(S_ISREG(st->st_mode) ? st->st_size : 0) + (long long)lie,
                       guess_type(path));
    if (r == 0)
        r = reply_piece_text(rq, b.data, b.len);
    buf_done(&b);
    if (r < 0) {
        close(fd);
        return r;
    }
    return reply_piece_fd(rq, fd, 0, counted ? (uint64_t)st->st_size : UINT64_MAX, counted);
}

static int more_bulk(struct request *rq)
{
    struct bulk *bulk = rq->bulk;
    const char *path;
    struct stat st;
    int fd, r;

    if (bulk->closed)
        return 0;
    if (bulk->next == bulk->paths.count) {
        static const char end[] = "\r\n--" BOUNDARY "--\r\n";

        bulk->closed = true;
        r = reply_piece_text(rq, end, sizeof(end) - 1);
        return r < 0 ? r : 1;
    }
    path = bulk->paths.list[bulk->next];
    r = reply_piece_text(rq, bulk->next ? "\r\n--" BOUNDARY "\r\n" : "--" BOUNDARY "\r\n",
                         strlen("--" BOUNDARY "\r\n") + (bulk->next ? 2 : 0));
    bulk->next++;
    if (r < 0)
        return r;
    fd = *path ? open_for_reading(rq, path, &st) : -EINVAL;
    if (fd >= 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        fd = -EISDIR;
    }
    r = fd < 0 ? put_error_part(rq, path, fd) : put_file_part(rq, path, fd, &st);
    return r < 0 ? r : 1;
}

void files_bulk_download(struct request *rq)
{
    bulk_free(rq); /* a replay comes here twice */
    rq->bulk = calloc(1, sizeof(*rq->bulk));
    if (!rq->bulk) {
        reply_status(rq, 500);
        return;
    }
    if (wire_paths_read(buf_str(&rq->body), rq->body.len, &rq->bulk->paths) < 0 ||
        rq->bulk->paths.count == 0) {
        reply_text(rq, 400, "application/json; charset=utf-8",
                   "{\"error\":\"request body must be {\\\"paths\\\": [ ... ]} and non-empty\"}");
        return;
    }
    reply_header(rq, "Content-Type", "multipart/form-data; boundary=" BOUNDARY);
    reply_stream(rq, 200, -1);
    rq->reply.more = more_bulk;
}

void bulk_free(struct request *rq)
{
    if (rq->bulk)
        json_strings_done(&rq->bulk->paths);
    free(rq->bulk);
    rq->bulk = NULL;
}
