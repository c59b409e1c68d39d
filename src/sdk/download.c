/* Contents fetched from the sandbox, one file at a time. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "wire/time.h"

#include <daytona/files.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct download {
    uint64_t off, len; /* as asked for */
    daytona_sink sink;
    void *arg;
    uint64_t delivered; /* in the attempt under way */
};

/* "bytes A-B/SIZE" or "bytes * /SIZE" (without the blank); false for anything else. */
struct content_range {
    bool any; /* A-B is given */
    uint64_t first, last, size;
};

static bool take_number(const char **s, uint64_t *ret)
{
    char *end;

    if (**s < '0' || **s > '9')
        return false;
    errno = 0;
    *ret = strtoull(*s, &end, 10);
    *s = end;
    return errno == 0 && *ret <= INT64_MAX;
}

static bool read_content_range(const struct http_response *response, struct content_range *ret)
{
    char text[128];
    const char *s = text;

    *ret = (struct content_range){0};
    if (!http_response_header(response, "content-range", text, sizeof(text)) ||
        strncasecmp(s, "bytes ", 6) != 0)
        return false;
    s += 6;
    if (*s == '*') {
        s++;
    } else {
        ret->any = true;
        if (!take_number(&s, &ret->first) || *s++ != '-' || !take_number(&s, &ret->last))
            return false;
    }
    if (*s++ != '/' || !take_number(&s, &ret->size) || *s)
        return false;
    return !ret->any || (ret->first <= ret->last && ret->last < ret->size);
}

/* Before a byte is given away: is it the part of the file that was asked for? */
static int check_head(void *arg, const struct http_response *response)
{
    struct download *d = arg;
    struct content_range range;
    char type[64];

    d->delivered = 0;
    if (http_response_header(response, "content-type", type, sizeof(type)) &&
        strncasecmp(type, "text/html", 9) == 0)
        return -EPROTO; /* files come as application/octet-stream, whatever they hold */
    if (response->status == 206)
        return read_content_range(response, &range) && range.any && range.first == d->off ? 0
                                                                                          : -EPROTO;
    return response->status == 200 && d->off == 0 ? 0 : -EPROTO;
}

static int take_bytes(void *arg, uint64_t off, const void *p, size_t n)
{
    struct download *d = arg;

    if (off > d->len || n > d->len - off)
        return -EPROTO; /* more than was asked for */
    d->delivered = off + n;
    return d->sink ? d->sink(d->arg, d->off + off, p, n) : 0;
}

/* Where an answer to this request must end in a file of that size. */
static uint64_t end_of(const struct download *d, uint64_t size)
{
    if (d->off >= size)
        return d->off;
    return d->len < size - d->off ? d->off + d->len : size;
}

static int check_answer(const struct download *d, const struct http_response *response,
                        uint64_t *ret_size)
{
    struct content_range range;
    char text[32];
    const char *s = text;

    switch (response->status) {
    case 416:
        if (!read_content_range(response, &range))
            range.size = UINT64_MAX; /* a proxy may drop the header */
        *ret_size = range.size;
        return range.size == UINT64_MAX || d->off >= range.size ? 0 : -EPROTO;
    case 206:
        if (!read_content_range(response, &range) || !range.any || range.first != d->off ||
            range.last - range.first + 1 != d->delivered || range.last + 1 != end_of(d, range.size))
            return -EPROTO;
        *ret_size = range.size;
        return 0;
    case 200: /* the whole file; an empty one whatever part was asked for */
        if (http_response_header(response, "content-length", text, sizeof(text)) &&
            (!take_number(&s, ret_size) || *s || *ret_size != d->delivered))
            return -EPROTO;
        *ret_size = d->delivered;
        return d->off == 0 || d->delivered == 0 ? 0 : -EPROTO;
    default:
        return -EPROTO;
    }
}

static int64_t last_modified(const struct http_response *response)
{
    char text[64];
    int64_t s;

    if (!http_response_header(response, "last-modified", text, sizeof(text)) ||
        time_read_http(text, &s) < 0)
        return -1;
    return s;
}

/* "Range: bytes=A-B", or nothing for a whole file. */
static const char *range_header(const struct download *d, char *out, size_t size)
{
    if (d->off == 0 && d->len == UINT64_MAX)
        return NULL;
    if (d->len > INT64_MAX - d->off)
        snprintf(out, size, "Range: bytes=%" PRIu64 "-", d->off);
    else
        snprintf(out, size, "Range: bytes=%" PRIu64 "-%" PRIu64, d->off, d->off + d->len - 1);
    return out;
}

int daytona_files_download(struct daytona_sandbox *sb, const char *path, uint64_t off, uint64_t len,
                           daytona_sink sink, void *arg, struct daytona_download_info *ret)
{
    struct download d = {.off = off, .len = len, .sink = sink, .arg = arg};
    struct daytona_download_info info = {.size = UINT64_MAX, .mtime_s = -1};
    char range[96];
    const struct call call = {
        .name = "downloadFile",
        .method = "GET",
        .path = "/files/download",
        .query = {{"path", path}},
        .flags = HTTP_IDEMPOTENT,
        .header = range_header(&d, range, sizeof(range)),
        .head = check_head,
        .sink = take_bytes,
        .sink_arg = &d,
        .accept = 416,
    };
    struct http_response response;
    int r;

    error_begin("downloadFile");
    if (off > INT64_MAX)
        return error_set(-EINVAL, "an offset beyond what files can have");
    if (len > 0) {
        r = call_toolbox(sb, &call, &response);
        if (r < 0)
            return r;
        r = check_answer(&d, &response, &info.size);
        if (r < 0)
            call_garbled(r, &response);
        info.mtime_s = last_modified(&response);
        info.delivered = d.delivered;
        http_response_done(&response);
        if (r < 0)
            return r;
    }
    if (ret)
        *ret = info;
    return 0;
}
