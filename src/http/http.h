/*
 * http.h - HTTP/1.1 requests on one engine thread (curl's multi interface). The only user of curl.
 *
 * An http object is shared by any number of threads; it has a thread of its own, so it is made
 * after the last fork. A request and what it points to belong to the caller and must stay until it
 * is done; bodies are never copied. Retries happen here and nowhere else: jittered exponential
 * backoff, and only where it is safe: a request that never reached the server or that it put off
 * (429, as long as it asks for up to 30 s), or one marked HTTP_IDEMPOTENT. Redirects that keep the
 * method (301, 307, 308) are followed within the same origin, three at most; any other is an answer
 * like any. A peer that is gone is found within a minute, whatever the flags. Proxies of the
 * environment are used, except for loopback.
 *
 * A large body (256 KiB or more, in parts or chunked) is handed over no faster than the line sends
 * it, as far as that can be told (pace.h), so that little waits there and what is small and comes
 * between does not queue behind it. What waits for its turn stalls on nobody's part: no stall
 * timeout counts it, total_timeout_ns does.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct http;

/* One finished attempt, for counting and tracing. Called on the engine thread; must be quick. */
struct http_attempt {
    const char *name; /* the request's */
    const char *method;
    const char *url;         /* without credentials; borrowed */
    int status;              /* HTTP status, 0 if none came */
    int err;                 /* 0 or -errno of the transport */
    unsigned attempt;        /* 1 for the first */
    uint64_t sent, received; /* bytes, headers included */
    int64_t duration_ns;
};

struct http_config {
    const char *user_agent;
    int64_t connect_timeout_ns; /* 0: 10 s */
    int64_t stall_timeout_ns;   /* no byte in either direction for so long: -ETIMEDOUT; 0: 30 s */
    unsigned max_idle;          /* idle connections kept; 0: 16 */
    unsigned max_attempts;      /* 0: 4 */
    void (*observe)(void *arg, const struct http_attempt *a);
    void *observe_arg;
};

/* Strings are copied. 0, -ENOMEM. */
int http_new(const struct http_config *config, struct http **ret);
/* Ends every request with -ECANCELED, waits for their completions, joins the engine. NULL is fine.
 */
struct http *http_free(struct http *h);

/* One part of multipart/form-data. Its bytes come from data, or from fd when data is NULL. */
struct http_part {
    const char *name;
    const char *filename; /* NULL: none */
    const void *data;     /* borrowed */
    size_t len;
    int fd; /* read with pread from off, len64 bytes; a shorter file ends the request with -EIO */
    uint64_t off, len64;
    /* Or (data NULL) read by this, on the engine thread, as pread; a retry begins again. */
    ssize_t (*read)(void *arg, uint64_t off, void *p, size_t n);
    void *read_arg;
};

enum http_flags {
    /* Twice does no harm: retry after a reset, or 502 to 504 without a body */
    HTTP_IDEMPOTENT = 1 << 0,
    HTTP_CHUNKED = 1 << 1,  /* no Content-Length: proxies then do not replay the request */
    HTTP_NO_STALL = 1 << 2, /* the answer may take as long as it likes (execute) */
    HTTP_NO_RETRY = 1 << 3, /* one attempt: the caller polls by itself */
};

/*
 * Takes answer bytes on the engine thread: 0 to go on, -errno to end the request with it. off is
 * where they belong in the body; after a retry it starts at 0 again.
 */
typedef int (*http_sink)(void *arg, uint64_t off, const void *p, size_t n);

/*
 * Looks at status and headers of a 2xx answer before the first byte of its body goes to the sink,
 * in each attempt. On the engine thread: 0, or -errno to end the request. Not called for an answer
 * without a body.
 */
struct http_response;
typedef int (*http_head)(void *arg, const struct http_response *response);

struct http_request {
    const char *name;   /* for statistics: "listFiles"; a literal */
    const char *method; /* a literal */
    const char *url;
    const char *const *headers; /* "Name: value" …, NULL; NULL for none */
    unsigned flags;             /* enum http_flags */
    int64_t stall_timeout_ns;   /* 0: the object's */
    int64_t total_timeout_ns;   /* from the first attempt to the last byte; 0: none */

    const void *body; /* sent as it is; NULL: none (then parts) */
    size_t body_len;
    const struct http_part *parts;
    size_t part_count;

    /* Where a 2xx body goes: sink, or the response's body up to body_max bytes (-EFBIG beyond). */
    http_sink sink;
    http_head head;  /* NULL, or called before sink */
    void *sink_arg;  /* for both */
    size_t body_max; /* 0: 1 MiB. Bodies of other statuses are cut at 64 KiB, without an error */

    char *error; /* NULL, or HTTP_ERROR_MAX bytes: gets one line when the transport fails */
};
enum { HTTP_ERROR_MAX = 256 };

struct http_response {
    int status;
    struct buf headers; /* "name: value\n" lines, names in lower case; at most 64 KiB */
    struct buf body;
    unsigned attempts;   /* redirects do not count */
    bool maybe_repeated; /* an earlier attempt may have reached the server */
};

void http_response_done(struct http_response *r);
/* The first header of that lower-case name, as a NUL-ended string in out. False if absent. */
bool http_response_header(const struct http_response *r, const char *name, char *out, size_t size);

/*
 * Sends and waits, retries included. 0 when an answer came, whatever its status; else the
 * transport's -errno: -ETIMEDOUT, -ECONNREFUSED, -EHOSTUNREACH (name or network), -ECONNRESET (cut
 * or reset), -EPROTO (not HTTP, bad TLS), -EFBIG (a ceiling), -EINTR (the bound cancel fired), or
 * what the sink said. ret is filled on success only; the caller calls http_response_done.
 * Not to be called on the engine thread.
 */
int http_perform(struct http *h, const struct http_request *req, struct http_response *ret);

/*
 * The same without waiting. done runs once, on the engine thread, with no lock held; it must be
 * quick and may submit. With r 0 the contents of *response are its own: it copies the struct or
 * calls http_response_done (r < 0: they are empty). On error nothing was started and done does not
 * run: -EINVAL for a URL that is not http(s) or holds a password, -ECANCELED after http_free began.
 * *ret, if ret is not NULL, is a reference.
 */
struct http_call;
typedef void (*http_done)(void *arg, int r, struct http_response *response);
int http_submit(struct http *h, const struct http_request *req, http_done done, void *arg,
                struct http_call **ret);
void http_cancel(struct http_call *call); /* done then gets -EINTR, soon. Any thread */
/* Lets the caller's reference go; the request goes on if it is not done. NULL is fine. */
struct http_call *http_call_unref(struct http_call *call);

/* The one table from HTTP status to errno: 404 -> -ENOENT, 409 -> -EEXIST … 0 for 2xx. */
int http_status_errno(int status);

#endif
