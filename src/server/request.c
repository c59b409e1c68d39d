/* request.c - one request from its first line to its end: parsing, credentials, routing, faults. */
#include "server/request.h"

#include "server/server_internal.h"
#include "server/wsock.h"

#include "util/clock.h"
#include "util/log.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { REPLAY_MAX = 256 << 10 };

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding in place. Returns the length, or -1 for a broken escape or a NUL. */
static ssize_t decode(char *s, bool plus)
{
    char *to = s;

    for (const char *p = s; *p; p++) {
        if (*p == '%') {
            const int hi = hex(p[1]), lo = hi < 0 ? -1 : hex(p[2]);

            if (lo < 0 || (hi == 0 && lo == 0))
                return -1;
            *to++ = (char)(hi << 4 | lo);
            p += 2;
        } else {
            *to++ = plus && *p == '+' ? ' ' : *p;
        }
    }
    *to = '\0';
    return to - s;
}

/* As Go does: a pair that holds a raw ';' or a broken escape is as if it were not there. */
static void parse_query(struct request *rq, char *query)
{
    char *save = NULL;

    for (char *pair = strtok_r(query, "&", &save); pair; pair = strtok_r(NULL, "&", &save)) {
        struct param *p = &rq->params[rq->param_count];
        char *eq = strchr(pair, '=');
        ssize_t len;

        if (strstr(pair, "%00"))
            rq->bad_query = true;
        if (strchr(pair, ';') || rq->param_count == PARAMS_MAX)
            continue;
        if (eq)
            *eq = '\0';
        p->key = pair;
        p->value = eq ? eq + 1 : pair + strlen(pair);
        len = decode(p->value, true);
        if (len < 0 || decode(p->key, true) < 0)
            continue;
        p->len = (size_t)len;
        rq->param_count++;
    }
}

static const struct param *request_param(const struct request *rq, const char *key)
{
    for (size_t i = 0; i < rq->param_count; i++) {
        if (strcmp(rq->params[i].key, key) == 0)
            return &rq->params[i];
    }
    return NULL;
}

const char *request_query(const struct request *rq, const char *key)
{
    const struct param *p = request_param(rq, key);

    return p ? p->value : NULL;
}

const char *request_header(const struct request *rq, const char *name)
{
    return MHD_lookup_connection_value(rq->conn, MHD_HEADER_KIND, name);
}

static void take_sdk_version(struct request *rq)
{
    static const char prefix[] = "X-Daytona-SDK-Version~";
    const char *text = request_header(rq, "X-Daytona-SDK-Version"), *list;
    size_t n;

    if (!text) {
        list = request_header(rq, "Sec-WebSocket-Protocol");
        text = list ? strstr(list, prefix) : NULL;
        text = text ? text + strlen(prefix) : "";
    }
    n = strcspn(text, ", \t");
    snprintf(rq->sdk_version, sizeof(rq->sdk_version), "%.*s", n < 63 ? (int)n : 63, text);
}

const char *request_sdk_version(const struct request *rq)
{
    return rq->sdk_version;
}

bool request_abandoned(const struct request *rq)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd pfd = {.events = POLLRDHUP};

    if (!info)
        return false;
    pfd.fd = info->connect_fd;
    return poll(&pfd, 1, 0) > 0 && (pfd.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

/* rq->line is taken apart in place; path and params point into it. */
static int parse_target(struct request *rq)
{
    char *query;

    rq->line = strdup(rq->raw);
    if (!rq->line)
        return -ENOMEM;
    query = strchr(rq->line, '?');
    if (query) {
        *query++ = '\0';
        parse_query(rq, query);
    }
    rq->path = rq->line;
    if (decode(rq->path, false) < 0)
        rq->bad_query = true;
    return 0;
}

bool request_equal_secret(const char *a, const char *b)
{
    const size_t an = strlen(a), bn = strlen(b);
    unsigned char diff = an != bn;

    for (size_t i = 0; i < an; i++)
        diff |= (unsigned char)(a[i] ^ b[bn ? i % bn : 0]);
    return diff == 0;
}

bool request_has_key(const struct request *rq)
{
    const char *auth = request_header(rq, "Authorization");

    return auth && strncasecmp(auth, "Bearer ", 7) == 0 &&
           request_equal_secret(auth + 7, rq->srv->key);
}

/* The token of a preview link, in a header or where browsers can put it. */
bool request_has_token_locked(const struct request *rq, const struct sandbox *sb)
{
    const char *token = request_header(rq, "X-Daytona-Preview-Token");

    if (!token)
        token = request_query(rq, "DAYTONA_SANDBOX_AUTH_KEY");
    return token && sb->preview_token[0] && request_equal_secret(token, sb->preview_token);
}

static void refuse_toolbox(struct request *rq)
{
    if (!request_header(rq, "Authorization"))
        reply_error(rq, 401, "UNAUTHORIZED",
                    "unauthorized: missing authentication: provide a preview access token (via "
                    "header, query parameter, or cookie) or an API key or JWT");
    else
        reply_error(rq, 401, "UNAUTHORIZED",
                    "unauthorized: authentication failed: Bearer token is invalid");
}

/* What the proxies say of a sandbox that cannot answer. */
void request_refuse_state(struct request *rq, enum sandbox_state state)
{
    if (state == SB_ARCHIVED || state == SB_ARCHIVING)
        reply_error(rq, 400, "BAD_REQUEST",
                    "bad request: failed to get runner info: Sandbox with ID %s does not have a "
                    "runner",
                    rq->id);
    else if (state == SB_STOPPED || state == SB_ERROR || state == SB_PAUSED ||
             state == SB_BUILD_FAILED)
        reply_error(rq, 400, "BAD_REQUEST",
                    "bad request: failed to resolve container IP after 3 attempts: no IP address "
                    "found. Is the Sandbox started?");
    else
        reply_status(rq, 502);
}

int request_json(struct request *rq, const struct json_field *fields, size_t count, void *ret)
{
    cJSON *json = NULL;
    int r;

    r = json_parse(buf_str(&rq->body), rq->body.len, &json);
    if (r == 0)
        r = json_load(json, fields, count, ret);
    cJSON_Delete(json);
    return r;
}

/*
 * A request to the toolbox keeps its sandbox from being idle for as long as it lasts, streams
 * included, unless it says otherwise.
 */
static void count_in_locked(struct request *rq)
{
    if (request_header(rq, "X-Daytona-Skip-Last-Activity-Update"))
        return;
    rq->counted = true;
    rq->sandbox->in_use++;
    rq->sandbox->active_ms = clock_real_ns() / NS_PER_MS;
}

static void count_out(struct request *rq)
{
    if (!rq->counted)
        return;
    lock_take(&rq->srv->lock);
    rq->sandbox->in_use--;
    rq->sandbox->active_ms = clock_real_ns() / NS_PER_MS;
    lock_drop(&rq->srv->lock);
}

/* rq->sandbox, if it is there and the request may use it. */
static void find_by_credential(struct request *rq)
{
    struct server *s = rq->srv;
    const bool key = request_has_key(rq);

    lock_take(&s->lock);
    rq->sandbox = sandbox_find_locked(s, rq->id, NULL);
    if (rq->sandbox && !key && !request_has_token_locked(rq, rq->sandbox) &&
        !link_allows_locked(rq, rq->sandbox)) {
        sandbox_unref_locked(rq->sandbox);
        rq->sandbox = NULL;
    }
    if (rq->sandbox)
        count_in_locked(rq);
    lock_drop(&s->lock);
}

/* /toolbox/ID/…: the key, the sandbox, its state, and only then the route. */
static void begin_toolbox(struct request *rq)
{
    struct server *s = rq->srv;
    const char *id = rq->path + strlen("/toolbox/"), *rest = strchr(id, '/'), *redirect = NULL;
    enum sandbox_state state;

    rq->inner = rest;
    /* The route first, but only so that faults can name it. */
    rq->route = rest ? route_find(rq, rest, true, &redirect) : NULL;
    rq->id = strndup(id, rest ? (size_t)(rest - id) : strlen(id));
    if (!rq->id) {
        reply_status(rq, 500);
        return;
    }
    find_by_credential(rq);
    if (!rq->sandbox) {
        refuse_toolbox(rq);
        return;
    }
    if (!rest) {
        reply_error(rq, 404, "NOT_FOUND", "not found: not found");
        return;
    }
    rq->jail = sandbox_enter(rq->sandbox, &state);
    if (!rq->jail) {
        request_refuse_state(rq, state);
        return;
    }
    if (rq->route && (rq->route->flags & ROUTE_NEW_ONLY) && !s->new_daemon)
        rq->route = NULL;
    if (!rq->route && redirect) {
        const char *query = strchr(rq->raw, '?');

        reply_status(rq, strcmp(rq->method, "GET") == 0 ? 301 : 307);
        reply_header(rq, "Location", "/toolbox/%s%s%s", rq->id, redirect, query ? query : "");
    } else if (!rq->route) {
        reply_text(rq, 404, "text/plain", "404 page not found");
    } else if (rq->bad_query) {
        reply_file_error(rq, -EINVAL, false);
    }
}

static void begin_api(struct request *rq)
{
    struct server *s = rq->srv;

    rq->route = route_find(rq, rq->path, false, NULL);
    if (rq->route && (rq->route->flags & ROUTE_NEW_ONLY) && !s->new_daemon)
        rq->route = NULL;
    if (!(rq->route && (rq->route->flags & ROUTE_OPEN)) && !request_has_key(rq)) {
        reply_api_error(rq, 401, "Invalid credentials");
        return;
    }
    if (!rq->route) {
        reply_api_error(rq, 404, "Cannot %s %s", rq->method, rq->path);
        return;
    }
    if (!(rq->route->flags & ROUTE_SANDBOX))
        return;
    lock_take(&s->lock);
    rq->sandbox = sandbox_find_locked(s, rq->capture[0],
                                      rq->route->flags & ROUTE_ID_ONLY ? NULL : rq->capture[0]);
    lock_drop(&s->lock);
    if (!rq->sandbox)
        reply_api_error(rq, 404, "Sandbox with ID or name %s not found", rq->capture[0]);
}

/* A wrong base URL looks like success: the real service answers with its web page. */
static void begin_elsewhere(struct request *rq)
{
    reply_text(rq, 200, "text/html; charset=utf-8",
               "<!doctype html>\n<html><head><title>Daytona</title></head>"
               "<body><div id=\"root\"></div></body></html>\n");
}

struct area {
    const char *prefix;
    void (*begin)(struct request *rq);
};
static const struct area areas[] = {
    {"/api/", begin_api},   {"/toolbox/", begin_toolbox}, {"/preview/", proxy_begin_preview},
    {"/_fault", begin_api}, {"", begin_elsewhere},
};

static void apply_early_faults(struct request *rq)
{
    if (rq->route && (rq->route->flags & ROUTE_INTERNAL))
        return;
    fault_plan(rq->srv->fault, rq->route, &rq->fault);
    if (rq->fault.status == 0)
        return;
    reply_reset(&rq->reply);
    if (rq->route && (rq->route->flags & ROUTE_API))
        reply_api_error(rq, rq->fault.status, "%s",
                        rq->fault.status == 401   ? "Invalid credentials"
                        : rq->fault.status == 429 ? "ThrottlerException: Too Many Requests"
                                                  : "a fault was asked for");
    else if (rq->fault.status == 401)
        reply_error(rq, 401, "UNAUTHORIZED",
                    "unauthorized: authentication failed: Bearer token is invalid");
    else
        reply_status(rq, rq->fault.status);
    if (rq->fault.retry_after_s >= 0)
        reply_header(rq, "Retry-After", "%lld", (long long)rq->fault.retry_after_s);
}

static void begin(struct request *rq)
{
    size_t i = 0;

    rq->fault.cut = rq->fault.stall = -1;
    rq->reply.stream_len = -1;
    buf_init(&rq->reply.text, TEXT_MAX);
    buf_init(&rq->body, BODY_MAX);
    take_sdk_version(rq);
    if (parse_target(rq) < 0) {
        reply_status(rq, 500);
        return;
    }
    while (strncmp(rq->path, areas[i].prefix, strlen(areas[i].prefix)) != 0)
        i++;
    areas[i].begin(rq);
    apply_early_faults(rq);
    if (rq->reply.status == 0 && rq->route->begin)
        rq->route->begin(rq);
}

static void feed(struct request *rq, const char *p, size_t n)
{
    if (rq->reply.status)
        return; /* answered already: the rest of the body is of no interest */
    if (rq->route->feed)
        rq->route->feed(rq, p, n);
    else if (buf_append(&rq->body, p, n) < 0)
        rq->body_too_big = true;
}

static void run_once(struct request *rq)
{
    if (rq->body_too_big)
        reply_api_error(rq, 413, "request entity too large");
    else
        rq->route->run(rq);
    if (rq->reply.status == 0)
        reply_status(rq, 500);
    if (rq->fault.lie != LIE_NONE)
        lie_instead(rq);
    if (rq->jail && jail_ended(rq->jail) && !rq->reply.streamed && !rq->upgrade) {
        /* It was stopped meanwhile: what the call saw may be a tree that was being taken down. */
        reply_reset(&rq->reply);
        reply_status(rq, 502);
    }
}

static void reset_connection(struct request *rq)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(rq->conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (info)
        (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static enum MHD_Result finish(struct request *rq)
{
    const struct fault_plan *f = &rq->fault;

    if (f->delay_ns > 0)
        fault_sleep(rq->srv->fault, f->delay_ns);
    if (f->hang) {
        fault_sleep(rq->srv->fault, 600 * NS_PER_S);
        return MHD_NO;
    }
    if (f->reset) {
        reset_connection(rq);
        return MHD_NO;
    }
    if (rq->reply.status == 0) {
        run_once(rq);
        if (f->replay && rq->body.len > 0 && rq->body.len <= REPLAY_MAX &&
            request_header(rq, "Content-Length")) {
            reply_reset(&rq->reply);
            run_once(rq);
        }
    }
    if (f->reset_after) {
        reset_connection(rq);
        return MHD_NO;
    }
    return reply_send(rq);
}

void *request_log_uri(void *arg, const char *uri, struct MHD_Connection *conn)
{
    struct request *rq = calloc(1, sizeof(*rq));

    if (!rq)
        return NULL;
    rq->srv = arg;
    rq->conn = conn;
    rq->raw = strdup(uri);
    if (!rq->raw) {
        free(rq);
        return NULL;
    }
    return rq;
}

enum MHD_Result request_handle(void *arg, struct MHD_Connection *conn, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *data_len, void **con_cls)
{
    struct request *rq = *con_cls;

    if (!rq)
        return MHD_NO; /* out of memory */
    if (!rq->begun) {
        rq->begun = true;
        rq->method = method;
        begin(rq);
        return MHD_YES;
    }
    if (*data_len) {
        feed(rq, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    return finish(rq);
}

void request_completed(void *arg, struct MHD_Connection *conn, void **con_cls,
                       enum MHD_RequestTerminationCode code)
{
    struct request *rq = *con_cls;

    if (!rq)
        return;
    *con_cls = NULL;
    wsock_forget(rq);
    follow_forget(rq);
    build_forget(rq);
    proxy_forget(rq);
    upload_free(rq);
    bulk_free(rq);
    reply_reset(&rq->reply);
    buf_done(&rq->reply.text);
    buf_done(&rq->body);
    jail_unref(rq->jail);
    count_out(rq);
    sandbox_unref(rq->sandbox);
    for (size_t i = 0; i < CAPTURES_MAX; i++)
        free(rq->capture[i]);
    free(rq->id);
    free(rq->line);
    free(rq->raw);
    free(rq);
}
