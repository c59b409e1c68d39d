#include "sdk/call.h"

#include "http/url.h"
#include "sdk/classify.h"
#include "sdk/error.h"
#include "util/array.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the daemon's answers look like depends on it. */
static const char version_header[] = "X-Daytona-SDK-Version: 0.190.0";

enum { URL_MAX_LEN = 64 << 10 };

static bool is_html(const struct http_response *response)
{
    char type[128];

    return http_response_header(response, "content-type", type, sizeof(type)) &&
           strncasecmp(type, "text/html", 9) == 0;
}

static int refuse_html(struct daytona_client *c, bool toolbox, const char *url)
{
    struct daytona_error *e = error_now();

    e->infra = true;
    if (toolbox)
        return error_set(-EPROTO, "%s answers with a web page: no toolbox is there", url);
    return error_set(-EPROTO,
                     "%s answers with a web page: it is not the API, whose base "
                     "usually ends in /api",
                     c->api_url);
}

static int refused(struct daytona_client *c, const struct reply *reply, const char *url)
{
    struct daytona_error *e = error_now();
    struct verdict v;

    e->http_status = reply->status;
    if (reply->is_html && reply->status != 401 && reply->status < 500)
        return refuse_html(c, reply->side == SIDE_TOOLBOX, url);
    classify(reply, &v);
    e->auth = v.auth;
    e->infra = v.infra;
    memcpy(e->code, v.code, sizeof(e->code));
    error_set(v.err, "%s", v.message);
    error_scrub(c->token.text);
    return v.err;
}

static struct reply reply_of(const struct call *call, bool toolbox,
                             const struct http_response *response)
{
    return (struct reply){
        .side = toolbox ? SIDE_TOOLBOX : SIDE_API,
        .status = response->status,
        .idempotent = call->flags & HTTP_IDEMPOTENT,
        .is_html = is_html(response),
        .json_errors = call->json_errors,
        .body = buf_str(&response->body),
        .len = response->body.len,
    };
}

int call_refused(struct daytona_sandbox *sb, const struct call *call,
                 const struct http_response *response)
{
    const struct reply reply = reply_of(call, true, response);

    return refused(sb->client, &reply, call->path);
}

int call_body(struct call *call, const struct json_out *o)
{
    call->json = o->buf->data;
    call->json_len = o->buf->len;
    return error_default(o->err);
}

void call_pairs(struct json_out *o, const struct daytona_pair *pairs, size_t count)
{
    json_open(o, '{');
    for (size_t i = 0; i < count; i++) {
        json_key(o, pairs[i].key);
        json_string(o, pairs[i].value);
    }
    json_close(o, '}');
}

int call_garbled(int r, const struct http_response *response)
{
    error_now()->http_status = response->status;
    if (r == -EPROTO)
        return error_set(r, "the answer is not what Daytona sends");
    return error_set(r, "the answer: %s", errtext_sentence(r));
}

/* No answer was taken: the transport failed, or who takes it refused. */
static int not_taken(struct daytona_client *c, int r, const struct call *call, const char *url,
                     const char *why)
{
    const size_t len = strcspn(url, "?"); /* what was asked is not what is broken */

    if (r == -EINTR || r == -ECANCELED)
        return error_set(r, "cancelled");
    if (r == -EFBIG)
        return error_set(r, "the answer is larger than allowed");
    if (r == -EPROTO && call->sink)
        return error_set(r, "the answer is not what was asked for");
    error_set(r, "%.*s: %s", (int)len, url, why[0] ? why : errtext_sentence(r));
    error_scrub(c->token.text);
    return r;
}

static const char background_header[] = CALL_BACKGROUND;
static __thread bool in_background;

bool daytona_background_bind(bool background)
{
    const bool before = in_background;

    in_background = background;
    return before;
}

enum { HEADERS_MAX = 9 };

static void list_headers(const struct daytona_client *c, const struct call *call,
                         const char *list[HEADERS_MAX])
{
    size_t n = 0;

    list[n++] = c->authorization.text;
    list[n++] = c->source_header;
    if (!call->plain)
        list[n++] = version_header;
    if (c->organization_header)
        list[n++] = c->organization_header;
    if (call->json)
        list[n++] = "Content-Type: application/json";
    if (in_background)
        list[n++] = background_header;
    if (call->header && (!in_background || strcmp(call->header, background_header) != 0))
        list[n++] = call->header;
    list[n] = NULL;
}

/* url is complete. */
static int perform(struct daytona_client *c, const struct call *call, bool toolbox, const char *url,
                   struct http_response *ret)
{
    const char *headers[HEADERS_MAX];
    char why[HTTP_ERROR_MAX] = "";
    const struct http_request req = {
        .name = call->name,
        .method = call->method,
        .url = url,
        .headers = headers,
        .flags = call->flags,
        .stall_timeout_ns = call->stall_timeout_ns,
        .total_timeout_ns = call->total_timeout_ns,
        .body = call->json,
        .body_len = call->json_len,
        .parts = call->parts,
        .part_count = call->part_count,
        .head = call->head,
        .sink = call->sink,
        .sink_arg = call->sink_arg,
        .body_max = call->body_max,
        .error = why,
    };
    struct reply reply;
    int r;

    list_headers(c, call, headers);
    r = http_perform(c->http, &req, ret);
    if (r < 0)
        return not_taken(c, r, call, url, why);
    if (ret->status == call->accept)
        return 0;
    reply = reply_of(call, toolbox, ret);
    if (ret->status < 200 || ret->status > 299)
        r = refused(c, &reply, url);
    else if (!call->sink && is_html(ret)) /* a sink's owner looks at the headers itself */
        r = refuse_html(c, toolbox, url);
    if (r < 0)
        http_response_done(ret);
    return r;
}

/* ret_ws as in websocket_connect: NULL if the answer was refused. */
static int perform_upgrade(struct daytona_client *c, const struct call *call, bool no_pings,
                           const char *url, struct websocket **ret)
{
    const char *headers[HEADERS_MAX];
    char why[HTTP_ERROR_MAX] = "";
    const struct websocket_params params = {
        .name = call->name,
        .url = url,
        .headers = headers,
        .message_max = call->body_max,
        .no_pings = no_pings,
        .error = why,
    };
    struct http_response response;
    struct reply reply;
    struct websocket *ws = NULL;
    int r;

    list_headers(c, call, headers);
    r = websocket_connect(c->http, &params, &response, &ws);
    if (r < 0)
        return not_taken(c, r, call, url, why);
    reply = reply_of(call, true, &response);
    if (!ws && (response.status < 200 || response.status > 299))
        r = refused(c, &reply, url);
    else if (!ws)
        r = error_set(-EPROTO, "the answer is no WebSocket");
    http_response_done(&response);
    if (r == 0)
        *ret = ws;
    return r;
}

static int add_query(struct buf *url, const struct call *call)
{
    int r = 0;

    for (size_t i = 0; i < ARRAY_LEN(call->query) && call->query[i].key && r == 0; i++)
        r = url_query(url, call->query[i].key, call->query[i].value);
    return r;
}

/* curl would fold these into another address. */
static bool is_folded(const char *name)
{
    return !*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int call_path_of(struct buf *out, const char *const *parts)
{
    int r = 0;

    for (size_t i = 0; parts[i] && r == 0; i++) {
        if (i % 2 == 0)
            r = error_default(buf_puts(out, parts[i]));
        else if (is_folded(parts[i]) || strchr(parts[i], '/'))
            r = error_set(-EINVAL, "\"%s\" is no name", parts[i]);
        else
            r = error_default(url_escape(out, parts[i]));
    }
    return r;
}

int call_api(struct daytona_client *c, const struct call *call, struct http_response *ret)
{
    struct buf url = BUF_INIT(URL_MAX_LEN);
    int r;

    if (call->id && is_folded(call->id))
        return error_set(-EINVAL, "\"%s\" is no name", call->id);
    r = buf_printf(&url, "%s%s", c->api_url, call->base ? call->base : "/sandbox");
    if (r == 0 && call->id) {
        r = buf_putc(&url, '/');
        if (r == 0)
            r = url_escape(&url, call->id);
    }
    if (r == 0)
        r = buf_puts(&url, call->path);
    if (r == 0)
        r = add_query(&url, call);
    r = r < 0 ? error_set(r, "the URL: %s", errtext_sentence(r))
              : perform(c, call, false, url.data, ret);
    buf_done(&url);
    return r;
}

int call_url(struct daytona_client *c, const struct call *call, const char *url,
             struct http_response *ret)
{
    struct buf full = BUF_INIT(URL_MAX_LEN);
    int r;

    if (!url_is_safe(url)) {
        error_now()->infra = true;
        return error_set(-EPROTO, "the API gave %s: the key is sent only over https", url);
    }
    r = buf_puts(&full, url);
    if (r == 0)
        r = add_query(&full, call);
    r = r < 0 ? error_default(r) : perform(c, call, false, full.data, ret);
    buf_done(&full);
    return r;
}

static int toolbox_url(struct daytona_sandbox *sb, const struct call *call, struct buf *out)
{
    char *base = NULL;
    int r;

    r = sandbox_toolbox_url(sb, &base);
    if (r < 0)
        return r;
    r = buf_printf(out, "%s/%s%s", base, sb->id, call->path);
    if (r == 0)
        r = add_query(out, call);
    free(base);
    return r < 0 ? error_set(r, "the URL: %s", errtext_sentence(r)) : 0;
}

/*
 * The proxy says 401 for a refused key, for a sandbox that is gone, and when it could not ask the
 * control plane; it remembers a refusal for 5 s. So the control plane is asked which of them it is.
 * Returns 0 if key and sandbox are fine, and the call may be made again: a 401 executed nothing.
 */
static int explain_401(struct daytona_sandbox *sb)
{
    const struct daytona_error before = *error_now();
    struct wire_sandbox data = {0};
    int r;

    r = sandbox_fetch(sb->client, sb->id, 10 * NS_PER_S, &data);
    if (r == -EINTR)
        return r;
    *error_now() = before;
    if (r == 0) {
        wire_sandbox_done(&data);
        return 0;
    }
    if (r == -EACCES)
        return r;
    error_now()->auth = false;
    if (r == -ENOENT)
        return error_set(-EHOSTDOWN, "the sandbox no longer exists");
    return error_set(-EHOSTUNREACH, "the key could not be checked: the API does not answer");
}

/* One of the two. */
struct answer {
    struct http_response *response;
    struct websocket **ws;
    bool no_pings;
};

static int call_box(struct daytona_sandbox *sb, const struct call *call, const struct answer *ret)
{
    static const int64_t delays_ns[] = {500 * NS_PER_MS, 2 * NS_PER_S, 4 * NS_PER_S};
    struct buf url = BUF_INIT(URL_MAX_LEN);
    int r;

    r = toolbox_url(sb, call, &url);
    for (size_t i = 0; r == 0; i++) {
        r = ret->ws ? perform_upgrade(sb->client, call, ret->no_pings, url.data, ret->ws)
                    : perform(sb->client, call, true, url.data, ret->response);
        if (r != -EACCES || error_now()->http_status != 401 || !error_now()->auth)
            break;
        if (i == ARRAY_LEN(delays_ns))
            break;
        r = i == 0 ? explain_401(sb) : 0;
        if (r < 0)
            break;
        r = cancel_sleep(delays_ns[i]);
        if (r < 0)
            error_set(r, "cancelled");
    }
    buf_done(&url);
    return r;
}

int call_toolbox(struct daytona_sandbox *sb, const struct call *call, struct http_response *ret)
{
    return call_box(sb, call, &(struct answer){.response = ret});
}

/* What is done with an answer. */
static int drop(int r, struct http_response *response)
{
    if (r == 0)
        http_response_done(response);
    return r;
}

static int load(int r, struct http_response *response, const struct json_field *fields,
                size_t count, void *ret)
{
    if (r < 0)
        return r;
    r = json_read(buf_str(&response->body), response->body.len, fields, count, ret);
    if (r < 0)
        call_garbled(r, response);
    http_response_done(response);
    return r;
}

static int load_list(int r, struct http_response *response, const char *key,
                     const struct json_shape *shape, void **ret, size_t *ret_count)
{
    if (r < 0)
        return r;
    r = json_read_list(buf_str(&response->body), response->body.len, key, shape, ret, ret_count);
    if (r < 0)
        call_garbled(r, response);
    http_response_done(response);
    return r;
}

int call_toolbox_only(struct daytona_sandbox *sb, const struct call *call)
{
    struct http_response response;
    const int r = call_toolbox(sb, call, &response);

    return drop(r, &response);
}

int call_toolbox_delete(struct daytona_sandbox *sb, const char *name, const char *path,
                        const char *id)
{
    struct buf full = BUF_INIT(URL_MAX_LEN);
    struct call call = {.name = name, .method = "DELETE", .json_errors = true};
    int r;

    error_begin(name);
    r = call_path(&full, path, id);
    call.path = full.data;
    if (r == 0)
        r = call_toolbox_only(sb, &call);
    buf_done(&full);
    return r;
}

int call_api_only(struct daytona_client *client, const struct call *call)
{
    struct http_response response;
    const int r = call_api(client, call, &response);

    return drop(r, &response);
}

int call_toolbox_object(struct daytona_sandbox *sb, const struct call *call,
                        const struct json_field *fields, size_t count, void *ret)
{
    struct http_response response;
    const int r = call_toolbox(sb, call, &response);

    return load(r, &response, fields, count, ret);
}

int call_api_object(struct daytona_client *client, const struct call *call,
                    const struct json_field *fields, size_t count, void *ret)
{
    struct http_response response;
    const int r = call_api(client, call, &response);

    return load(r, &response, fields, count, ret);
}

int call_toolbox_list(struct daytona_sandbox *sb, const struct call *call, const char *key,
                      const struct json_shape *shape, void **ret, size_t *ret_count)
{
    struct http_response response;
    const int r = call_toolbox(sb, call, &response);

    return load_list(r, &response, key, shape, ret, ret_count);
}

int call_api_list(struct daytona_client *client, const struct call *call, const char *key,
                  const struct json_shape *shape, void **ret, size_t *ret_count)
{
    struct http_response response;
    const int r = call_api(client, call, &response);

    return load_list(r, &response, key, shape, ret, ret_count);
}

int call_stream(struct daytona_sandbox *sb, const struct call *call, bool no_pings,
                struct websocket **ret)
{
    return call_box(sb, call, &(struct answer){.ws = ret, .no_pings = no_pings});
}

int call_stream_failed(int r)
{
    switch (r) {
    case -EINTR:
        return error_set(r, "cancelled");
    case -EFBIG:
        return error_set(r, "a message is larger than allowed");
    case -EPIPE:
        return error_set(r, "the stream has ended");
    default:
        return error_set(r, "the stream: %s", errtext_sentence(r));
    }
}
