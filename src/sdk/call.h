/* call.h - one call of the API or of a toolbox: address, headers, errors. */
#ifndef SDK_CALL_H
#define SDK_CALL_H

#include "http/http.h"
#include "http/websocket.h"
#include "sdk/client.h"
#include "wire/json.h"

/* A header: the sandbox may still stop by itself, whatever is asked of it so. */
#define CALL_BACKGROUND "X-Daytona-Skip-Last-Activity-Update: true"

struct call_query {
    const char *key, *value; /* value NULL: left out */
};

struct call {
    const char *name; /* for statistics: "listFiles"; a literal */
    const char *method;
    const char *base; /* API only: NULL: "/sandbox" */
    const char *id;   /* API only: behind the base, escaped; NULL: none */
    const char *path; /* what comes behind: "/files", "" */
    struct call_query query[16];
    unsigned flags; /* enum http_flags */
    int64_t stall_timeout_ns, total_timeout_ns;
    const char *json; /* body; NULL: none, or parts */
    size_t json_len;
    const struct http_part *parts;
    size_t part_count;
    http_head head;
    http_sink sink;
    void *sink_arg;
    size_t body_max;
    const char *header; /* one more, or NULL */
    bool json_errors;   /* see classify.h */
    bool plain;         /* without the header that turns logs into JSON */
    int accept;         /* a status besides 2xx that the caller looks at itself; 0: none */
};

/* What o has written, to its end, is the body: its buffer lives until the call is over. Sets the
 * last error if o failed; returns it. */
int call_body(struct call *call, const struct json_out *o);
/* Writes an object of them: labels, an environment. */
void call_pairs(struct json_out *o, const struct daytona_pair *pairs, size_t count);

/*
 * 0 with an answer that is 2xx or accepted, which the caller frees with http_response_done; else
 * -errno, with the last error set.
 */
int call_api(struct daytona_client *client, const struct call *call, struct http_response *ret);
int call_toolbox(struct daytona_sandbox *sandbox, const struct call *call,
                 struct http_response *ret);

/*
 * call_path(out, literal, name, literal …) appends them, the names escaped. -EINVAL with the last
 * error set for a name that would change the path: empty, "." or "..", or with a slash.
 */
#define call_path(out, ...) call_path_of((out), (const char *const[]){__VA_ARGS__, NULL})
int call_path_of(struct buf *out, const char *const *parts);
/* As call_toolbox, for answers that say nothing. */
int call_toolbox_only(struct daytona_sandbox *sandbox, const struct call *call);
/* A whole call: DELETE of what is behind path under that name. */
int call_toolbox_delete(struct daytona_sandbox *sandbox, const char *name, const char *path,
                        const char *id);
/* As call_toolbox and call_api, for answers that json.h reads into a struct or a list. */
int call_toolbox_object(struct daytona_sandbox *sandbox, const struct call *call,
                        const struct json_field *fields, size_t count, void *ret);
int call_toolbox_list(struct daytona_sandbox *sandbox, const struct call *call, const char *key,
                      const struct json_shape *shape, void **ret, size_t *ret_count);
int call_api_object(struct daytona_client *client, const struct call *call,
                    const struct json_field *fields, size_t count, void *ret);
int call_api_list(struct daytona_client *client, const struct call *call, const char *key,
                  const struct json_shape *shape, void **ret, size_t *ret_count);
int call_api_only(struct daytona_client *client, const struct call *call);
/* A GET of call, at a URL that the API gave: it must be one that the key may be sent to. */
int call_url(struct daytona_client *client, const struct call *call, const char *url,
             struct http_response *ret);
/* One call of the API whose answer is the sandbox as it is then; it is asked for if it is not. */
int call_sandbox(struct daytona_sandbox *sandbox, const struct call *call);
/*
 * Opens a WebSocket. Tried once: who streams knows best how to go on. Of call, what belongs to a
 * body or its limits is ignored, but for body_max: of one message.
 */
int call_stream(struct daytona_sandbox *sandbox, const struct call *call, bool no_pings,
                struct websocket **ret);
/* Reading or writing one went wrong with r. Sets the last error; returns r. */
int call_stream_failed(int r);

/* Sets the last error from a toolbox's answer that was accepted after all; returns its errno. */
int call_refused(struct daytona_sandbox *sandbox, const struct call *call,
                 const struct http_response *response);
/* The answer could not be decoded: r is -EPROTO, -ENOMEM or -EFBIG. Returns r. */
int call_garbled(int r, const struct http_response *response);

#endif
