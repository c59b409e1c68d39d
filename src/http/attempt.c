/*
 * One request sent once: a curl easy handle from set-up to result.
 *
 * curl repeats a request by itself when a connection that it had used before closes without an
 * answer, even if all of the request had been sent: on_issue() stops that for a request that must
 * not run twice. Everything else that repeats is decided in retry.c.
 */
#include "http/http_internal.h"

#include "http/url.h"
#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Counting. curl tells after the fact what it gave to the kernel and took from it. */
static int on_trace(CURL *easy, curl_infotype type, char *p, size_t n, void *arg)
{
    struct attempt *a = arg;

    switch (type) {
    case CURLINFO_HEADER_OUT:
    case CURLINFO_DATA_OUT:
        a->wire_sent += n;
        break;
    case CURLINFO_HEADER_IN:
        if (a->wire_header == 0 && a->pace && a->left == 0)
            pace_answer(a->pace, &a->mark, clock_mono_ns());
        a->wire_header += n;
        break;
    case CURLINFO_DATA_IN:
        a->wire_body += n;
        break;
    default:
        return 0;
    }
    a->progress_ns = clock_mono_ns();
    return 0;
}

/* Called when there is a connection and the request is about to be sent on it. */
static int on_issue(void *arg, char *remote, char *local, int remote_port, int local_port)
{
    struct attempt *a = arg;

    a->progress_ns = clock_mono_ns();
    if (a->issued++ > 0 && a->wire_sent > 0) {
        if (!(a->req->flags & HTTP_IDEMPOTENT)) {
            a->fail = -ECONNRESET;
            return CURL_PREREQFUNC_ABORT;
        }
        a->repeated = true;
    }
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct attempt *a = arg;

    n *= size;
    a->fail =
        a->wire_header + n > HTTP_HEADERS_MAX ? -EFBIG : response_add_header(&a->response, p, n);
    return a->fail < 0 ? 0 : n;
}

static int take_body(struct attempt *a, const char *p, size_t n)
{
    struct buf *body = &a->response.body;
    size_t take = n;
    int r;

    if (a->response.status >= 200 && a->response.status <= 299) {
        if (!a->req->sink)
            return buf_append(body, p, n);
        r = a->req->sink(a->req->sink_arg, a->received, p, n);
        return r > 0 ? -EIO : r;
    }
    if (take > HTTP_ERROR_BODY_MAX - body->len)
        take = HTTP_ERROR_BODY_MAX - body->len;
    a->cut = take < n;
    return buf_append(body, p, take);
}

/* The first bytes of a body are there. */
static int begin_body(struct attempt *a)
{
    long status = 0;

    curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
    a->response.status = (int)status;
    a->response.body.max = a->req->body_max ? a->req->body_max : HTTP_BODY_MAX;
    if (status < 200 || status > 299)
        a->response.body.max = HTTP_ERROR_BODY_MAX;
    else if (a->req->sink && a->req->head)
        return a->req->head(a->req->sink_arg, &a->response);
    return 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct attempt *a = arg;

    n *= size;
    a->fail = a->response.status == 0 ? begin_body(a) : 0;
    if (a->fail == 0)
        a->fail = take_body(a, p, n);
    if (a->fail < 0 || a->cut)
        return 0;
    a->received += n;
    return n;
}

/* How many of n bytes may be read now. */
static size_t may_read(struct attempt *a, size_t n)
{
    if (!a->pace)
        return n;
    if (a->mark.first_ns == 0)
        pace_begin(a->pace, &a->mark, clock_mono_ns());
    if (pace_is_free(a->pace))
        a->granted = SIZE_MAX;
    else if (a->granted == SIZE_MAX)
        a->granted = 0;
    return n < a->granted ? n : a->granted;
}

static void was_read(struct attempt *a, size_t n)
{
    if (!a->pace)
        return;
    a->left -= n;
    if (a->granted == SIZE_MAX)
        pace_sent(a->pace, n, clock_mono_ns());
    else
        a->granted -= n;
    if (a->left == 0)
        pace_end(a->pace, &a->mark, clock_mono_ns());
}

static size_t read_part(char *out, size_t size, size_t n, void *arg)
{
    struct body_reader *reader = arg;
    const struct http_part *part = reader->part;
    const uint64_t len = part->data ? part->len : part->len64;
    struct attempt *a = reader->attempt;
    ssize_t got;

    n *= size;
    if (n > len - reader->pos)
        n = (size_t)(len - reader->pos);
    if (n == 0)
        return 0;
    n = may_read(a, n);
    a->paused = n == 0;
    if (a->paused)
        return CURL_READFUNC_PAUSE;
    if (part->data) {
        memcpy(out, (const char *)part->data + reader->pos, n);
        got = (ssize_t)n;
    } else if (part->read) {
        got = part->read(part->read_arg, part->off + reader->pos, out, n);
        errno = got < 0 ? (int)-got : 0;
    } else {
        do
            got = pread(part->fd, out, n, (off_t)(part->off + reader->pos));
        while (got < 0 && errno == EINTR);
    }
    if (got <= 0) {
        a->fail = got < 0 ? -errno : -EIO; /* shorter than promised */
        return CURL_READFUNC_ABORT;
    }
    reader->pos += (uint64_t)got;
    was_read(a, (size_t)got);
    return (size_t)got;
}

static int seek_part(void *arg, curl_off_t off, int origin)
{
    struct body_reader *reader = arg;
    const uint64_t len = reader->part->data ? reader->part->len : reader->part->len64;

    if (origin != SEEK_SET || off < 0 || (uint64_t)off > len)
        return CURL_SEEKFUNC_FAIL;
    reader->attempt->left += reader->pos - (uint64_t)off; /* it is sent again */
    if (!reader->attempt->mark.open)
        reader->attempt->mark = (struct pace_mark){0};
    reader->pos = (uint64_t)off;
    return CURL_SEEKFUNC_OK;
}

static int add_header(struct attempt *a, const char *line)
{
    struct curl_slist *longer = curl_slist_append(a->headers, line);

    if (!longer)
        return -ENOMEM;
    a->headers = longer;
    return 0;
}

static int set_headers(struct attempt *a)
{
    bool typed = a->req->part_count > 0;
    int r = add_header(a, "Expect:"); /* no waiting for 100 Continue */

    for (const char *const *line = a->req->headers; r == 0 && line && *line; line++) {
        typed = typed || strncasecmp(*line, "Content-Type:", 13) == 0;
        r = add_header(a, *line);
    }
    if (r == 0 && !typed)
        r = add_header(a, "Content-Type:"); /* no type is better than curl's guess */
    if (r == 0 && curl_easy_setopt(a->easy, CURLOPT_HTTPHEADER, a->headers) != CURLE_OK)
        r = -ENOMEM;
    return r;
}

static int set_parts(struct attempt *a)
{
    const bool chunked = a->req->flags & HTTP_CHUNKED;

    a->mime = curl_mime_init(a->easy);
    a->readers = calloc(a->req->part_count, sizeof(*a->readers));
    if (!a->mime || !a->readers)
        return -ENOMEM;
    for (size_t i = 0; i < a->req->part_count; i++) {
        const struct http_part *part = &a->req->parts[i];
        const curl_off_t len = (curl_off_t)(part->data ? part->len : part->len64);
        curl_mimepart *p = curl_mime_addpart(a->mime);

        a->readers[i] = (struct body_reader){.part = part, .attempt = a};
        if (!p || curl_mime_name(p, part->name) != CURLE_OK ||
            (part->filename && curl_mime_filename(p, part->filename) != CURLE_OK) ||
            curl_mime_data_cb(p, chunked ? -1 : len, read_part, seek_part, NULL, &a->readers[i]) !=
                CURLE_OK)
            return -ENOMEM;
    }
    return curl_easy_setopt(a->easy, CURLOPT_MIMEPOST, a->mime) == CURLE_OK ? 0 : -ENOMEM;
}

/* One body of unknown length, as far as the wire can tell. */
static int set_chunked(struct attempt *a)
{
    CURL *e = a->easy;

    a->whole = (struct http_part){.data = a->req->body, .len = a->req->body_len};
    a->readers = calloc(1, sizeof(*a->readers));
    if (!a->readers)
        return -ENOMEM;
    a->readers[0] = (struct body_reader){.part = &a->whole, .attempt = a};
    curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)-1);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, read_part);
    curl_easy_setopt(e, CURLOPT_READDATA, &a->readers[0]);
    curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, seek_part);
    curl_easy_setopt(e, CURLOPT_SEEKDATA, &a->readers[0]);
    return 0;
}

static int set_body(struct attempt *a)
{
    const struct http_request *req = a->req;
    CURL *e = a->easy;
    int r = 0;

    if (req->part_count > 0) {
        r = set_parts(a);
    } else if (req->body && (req->flags & HTTP_CHUNKED)) {
        r = set_chunked(a);
    } else if (req->body || strcmp(req->method, "POST") == 0 || strcmp(req->method, "PUT") == 0) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, req->body ? req->body : "");
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)(req->body ? req->body_len : 0));
    } else if (strcmp(req->method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    }
    if (r == 0 && curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method) != CURLE_OK)
        r = -ENOMEM;
    return r;
}

static int set_target(struct attempt *a, const struct attempt_params *params)
{
    CURL *e = a->easy;
    int r;

    r = endpoint_set(e, params->url, params->connect_timeout_ns);
    if (r < 0)
        return r;
    if (curl_easy_setopt(e, CURLOPT_USERAGENT, params->user_agent) != CURLE_OK)
        return -ENOMEM;
    curl_easy_setopt(e, CURLOPT_PRIVATE, params->owner);
    curl_easy_setopt(e, CURLOPT_SHARE, params->share);
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, 45L); /* the service's proxy closes after 60 to 70 s */
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, params->fresh ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_issue);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, a);
    return 0;
}

static void set_receivers(struct attempt *a)
{
    CURL *e = a->easy;

    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, a->error);
    curl_easy_setopt(e, CURLOPT_VERBOSE, 1L); /* feeds on_trace; nothing is printed */
    curl_easy_setopt(e, CURLOPT_DEBUGFUNCTION, on_trace);
    curl_easy_setopt(e, CURLOPT_DEBUGDATA, a);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, a);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 128L << 10);
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 128L << 10);
}

static void release(struct attempt *a)
{
    curl_easy_cleanup(a->easy);
    curl_slist_free_all(a->headers);
    curl_mime_free(a->mime);
    free(a->readers);
    a->easy = NULL;
    a->headers = NULL;
    a->mime = NULL;
    a->readers = NULL;
}

int attempt_start(struct attempt *a, const struct http_request *req,
                  const struct attempt_params *params, CURLM *multi)
{
    int r;

    *a = (struct attempt){
        .req = req, .start_ns = clock_mono_ns(), .pace = params->pace, .left = params->body_len};
    buf_init(&a->response.headers, HTTP_HEADERS_MAX);
    a->easy = curl_easy_init();
    if (!a->easy)
        return -ENOMEM;
    r = set_target(a, params);
    if (r == 0)
        r = set_headers(a);
    if (r == 0)
        r = set_body(a);
    if (r == 0) {
        set_receivers(a);
        r = curl_multi_add_handle(multi, a->easy) == CURLM_OK ? 0 : -ENOMEM;
    }
    if (r < 0)
        release(a);
    return r;
}

/* curl may have got the pause behind the bytes of a buffer: it then takes notice once they are out,
 * which may be after this. */
void attempt_go_on(struct attempt *a)
{
    (void)curl_easy_pause(a->easy, CURLPAUSE_CONT);
}

static int result(const struct attempt *a)
{
    if (a->fail < 0)
        return a->fail;
    if (a->cut)
        return 0;
    if (a->code == CURLE_OK)
        return a->response.status > 0 ? 0 : -EPROTO;
    return endpoint_errno(a->easy, a->code);
}

/* Only those that keep the method: after any other the caller sees the answer itself. */
static char *redirect(const struct attempt *a)
{
    const int status = a->response.status;
    char *to = NULL;

    if (status != 301 && status != 307 && status != 308)
        return NULL;
    curl_easy_getinfo(a->easy, CURLINFO_REDIRECT_URL, &to);
    return to ? strdup(to) : NULL;
}

int attempt_end(struct attempt *a, CURLM *multi, int r, char **ret_redirect)
{
    long status = 0;

    curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
    a->response.status = (int)status;
    if (r == 0)
        r = result(a);
    *ret_redirect = r == 0 ? redirect(a) : NULL;
    if (a->mark.open)
        pace_end(a->pace, &a->mark, clock_mono_ns());
    curl_multi_remove_handle(multi, a->easy);
    release(a);
    return r;
}
