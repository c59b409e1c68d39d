/*
 * proxy.c - the way to a server inside a sandbox: /proxy/PORT/… of the toolbox, and preview links.
 *
 * One connection a request. What comes back is hostile: a head has a ceiling, a body is passed on
 * as it comes, its chunks taken apart by the rules of RFC 9112.
 */
#include "server/ports.h"
#include "server/server_internal.h"

#include "util/array.h"
#include "util/clock.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 64 << 10, BLOCK = 32 << 10, STEP_MS = 500, QUIET_S = 300 };

enum framing { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_CLOSE };

struct proxy {
    int fd;
    struct buf in; /* read and not yet passed on */
    enum framing framing;
    uint64_t left;   /* of the length, or of the chunk */
    bool in_chunk;   /* within one, or within the line end that closes it */
    bool past_first; /* chunk */
};

static const char *const hop_headers[] = {"Connection", "Keep-Alive",    "Proxy-Connection",
                                          "TE",         "Trailer",       "Transfer-Encoding",
                                          "Upgrade",    "Content-Length"};
/* The sandbox does not learn what opens it. */
static const char *const own_headers[] = {"Authorization", "X-Daytona-Preview-Token", "Host",
                                          "Expect"};

static bool is_in(const char *name, size_t n, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(list[i]) == n && strncasecmp(list[i], name, n) == 0)
            return true;
    }
    return false;
}

void proxy_forget(struct request *rq)
{
    if (!rq->proxy)
        return;
    close(rq->proxy->fd);
    buf_done(&rq->proxy->in);
    free(rq->proxy);
    rq->proxy = NULL;
}

static int connect_to(unsigned port)
{
    const struct sockaddr_in v4 = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                                    .sin6_port = htons((uint16_t)port),
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&v4, sizeof(v4)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&v6, sizeof(v6)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -ECONNREFUSED;
}

/* ---- to the sandbox ---- */

static enum MHD_Result put_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct buf *out = arg;
    const size_t n = strlen(name);

    if (!value || is_in(name, n, hop_headers, ARRAY_LEN(hop_headers)) ||
        is_in(name, n, own_headers, ARRAY_LEN(own_headers)))
        return MHD_YES;
    return buf_printf(out, "%s: %s\r\n", name, value) == 0 ? MHD_YES : MHD_NO;
}

/* The target as it was sent, without the first segments and without a credential in the query. */
static int put_target(const struct request *rq, unsigned skip, struct buf *out)
{
    static const char secret[] = "DAYTONA_SANDBOX_AUTH_KEY=";
    const char *p = rq->raw, *query;
    int r;

    for (; skip > 0 && p; skip--)
        p = strchr(p + 1, '/');
    query = strchr(rq->raw, '?');
    if (!p || (query && p > query))
        p = query ? query : rq->raw + strlen(rq->raw);
    r = buf_append(out, "/", *p == '/' ? 0 : 1);
    if (r == 0)
        r = buf_append(out, p, query ? (size_t)(query - p) : strlen(p));
    for (char sep = '?'; r == 0 && query && *query;) {
        const size_t n = strcspn(query + 1, "&");

        if (strncmp(query + 1, secret, strlen(secret)) != 0) {
            r = buf_putc(out, sep);
            if (r == 0)
                r = buf_append(out, query + 1, n);
            sep = '&';
        }
        query += 1 + n;
    }
    return r;
}

static int send_all(int fd, const char *p, size_t n)
{
    const struct timeval patience = {.tv_sec = QUIET_S};

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    while (n > 0) {
        const ssize_t put = send(fd, p, n, MSG_NOSIGNAL);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -EPIPE;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

static int send_request(struct request *rq, unsigned port, unsigned skip)
{
    struct buf head = BUF_INIT(256 << 10);
    int r;

    r = buf_printf(&head, "%s ", rq->method);
    if (r == 0)
        r = put_target(rq, skip, &head);
    if (r == 0)
        r = buf_printf(&head, " HTTP/1.1\r\nHost: localhost:%u\r\nConnection: close\r\n", port);
    if (r == 0 && MHD_get_connection_values(rq->conn, MHD_HEADER_KIND, put_header, &head) < 0)
        r = -EIO;
    if (r == 0 && (rq->body.len > 0 || request_header(rq, "Content-Length")))
        r = buf_printf(&head, "Content-Length: %zu\r\n", rq->body.len);
    if (r == 0)
        r = buf_puts(&head, "\r\n");
    if (r == 0)
        r = send_all(rq->proxy->fd, head.data, head.len);
    if (r == 0)
        r = send_all(rq->proxy->fd, buf_str(&rq->body), rq->body.len);
    buf_done(&head);
    return r;
}

/* ---- from the sandbox ---- */

/* 1: there is more in p->in; 0: the end; else -errno. */
static int fill(struct request *rq, struct proxy *p)
{
    const int64_t until = clock_mono_ns() + QUIET_S * NS_PER_S;
    char block[BLOCK];
    ssize_t n;

    for (;;) {
        struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
        const int ready = poll(&pfd, 1, STEP_MS);

        if (ready > 0)
            break;
        if (clock_mono_ns() >= until)
            return -ETIMEDOUT;
        if (request_abandoned(rq) || jail_ended(rq->jail))
            return -ECONNABORTED;
    }
    do
        n = recv(p->fd, block, sizeof(block), 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? -errno : 0;
    return buf_append(&p->in, block, (size_t)n) < 0 ? -EFBIG : 1;
}

static void take_header(struct request *rq, struct proxy *p, char *line)
{
    char *colon = strchr(line, ':'), *value;

    if (!colon || colon == line)
        return;
    *colon = '\0';
    value = colon + 1 + strspn(colon + 1, " \t");
    if (strcasecmp(line, "Content-Length") == 0 && p->framing == BODY_CLOSE) {
        p->framing = BODY_LENGTH;
        p->left = strtoull(value, NULL, 10);
    } else if (strcasecmp(line, "Transfer-Encoding") == 0) {
        p->framing = BODY_CHUNKED;
        p->left = 0;
    } else if (!is_in(line, strlen(line), hop_headers, ARRAY_LEN(hop_headers))) {
        reply_header(rq, line, "%s", value);
    }
}

/* The head of the answer; 1xx ones are skipped. */
static int take_head(struct request *rq, struct proxy *p)
{
    int status = 0;

    for (;;) {
        char *end = p->in.data ? strstr(p->in.data, "\r\n\r\n") : NULL, *save = NULL, *line;
        size_t n;
        int r;

        if (!end) {
            if (p->in.len > HEAD_MAX)
                return -EPROTO;
            r = fill(rq, p);
            if (r <= 0)
                return r < 0 ? r : -EPROTO;
            continue;
        }
        n = (size_t)(end - p->in.data) + 4;
        *end = '\0';
        line = strtok_r(p->in.data, "\r\n", &save);
        if (!line || sscanf(line, "HTTP/1.%*1d %3d", &status) != 1 || status < 100)
            return -EPROTO;
        p->framing = BODY_CLOSE;
        while (status >= 200 && (line = strtok_r(NULL, "\r\n", &save)))
            take_header(rq, p, line);
        buf_consume(&p->in, n);
        if (status >= 200)
            break;
        if (status == 101)
            return -EPROTO;
    }
    if (status == 204 || status == 304 || strcmp(rq->method, "HEAD") == 0)
        p->framing = BODY_NONE;
    return status;
}

/* What of p->in is body now goes out. 1: something did, 0: more must be read first, 2: the end. */
static int pass_on(struct request *rq, struct proxy *p)
{
    size_t n = p->in.len;
    char *end, *stop;

    if (p->framing == BODY_CHUNKED && p->left == 0) {
        const size_t skip = p->past_first ? 2 : 0; /* the line end behind a chunk */

        end = p->in.len > skip ? strstr(p->in.data + skip, "\r\n") : NULL;
        if (!end)
            return p->in.len > 1024 ? -EPROTO : 0;
        p->left = strtoull(p->in.data + skip, &stop, 16);
        if (stop == p->in.data + skip)
            return -EPROTO;
        buf_consume(&p->in, (size_t)(end - p->in.data) + 2);
        p->past_first = true;
        return p->left == 0 ? 2 : 1;
    }
    if (p->framing == BODY_NONE || (p->framing == BODY_LENGTH && p->left == 0))
        return 2;
    if (n == 0)
        return 0;
    if (p->framing != BODY_CLOSE) {
        if (n > p->left)
            n = (size_t)p->left;
        p->left -= n;
    }
    if (reply_piece_text(rq, p->in.data, n) < 0)
        return -ENOMEM;
    buf_consume(&p->in, n);
    return 1;
}

static int more(struct request *rq)
{
    struct proxy *p = rq->proxy;
    const size_t had = rq->reply.piece_count;
    int r;

    do {
        r = pass_on(rq, p);
        if (r == 0) {
            r = fill(rq, p);
            if (r == 0)
                return p->framing == BODY_CLOSE ? 0 : -EPROTO; /* it was cut */
        } else if (r == 2) {
            return 0;
        }
        if (r < 0)
            return r;
    } while (rq->reply.piece_count == had || rq->reply.piece_first == rq->reply.piece_count);
    return 1;
}

static void pass(struct request *rq, unsigned port, unsigned skip)
{
    struct proxy *p = calloc(1, sizeof(*p));
    int status;

    if (!p)
        return; /* 500 */
    buf_init(&p->in, HEAD_MAX + 2 * BLOCK);
    p->fd = ports_has(rq, port) == 1 ? connect_to(port) : -1;
    if (p->fd < 0) {
        free(p);
        reply_status(rq, 502);
        return;
    }
    rq->proxy = p;
    status = send_request(rq, port, skip);
    if (status == 0)
        status = take_head(rq, p);
    if (status < 0) {
        reply_reset(&rq->reply);
        reply_status(rq, 502);
        return;
    }
    reply_stream(rq, status,
                 p->framing == BODY_LENGTH ? (int64_t)p->left
                 : p->framing == BODY_NONE ? 0
                                           : -1);
    rq->reply.more = more;
}

/* The server itself is not to be reached through a sandbox: that would go round for ever. */
static long parse_port(const struct request *rq, const char *text, char stop)
{
    char *end;
    const long port = strtol(text, &end, 10);
    const char *own = strrchr(rq->srv->url + strlen("http://"), ':');

    if (*end != stop || port < 1 || port > 65535 || (own && strtol(own + 1, NULL, 10) == port))
        return -1;
    return port;
}

void proxy_run(struct request *rq)
{
    const long port = parse_port(rq, rq->capture[0], '\0');

    if (port < 0)
        reply_status(rq, 400);
    else
        pass(rq, (unsigned)port, 4); /* /toolbox/ID/proxy/PORT */
}

/* ---- preview links ---- */

static void run_preview(struct request *rq)
{
    const long port = parse_port(rq, rq->path + strlen("/preview/"), '-');

    pass(rq, (unsigned)port, 2); /* /preview/PORT-WHAT */
}

static const struct route preview_route = {
    .name = "preview", .method = "*", .pattern = "/preview/*/**", .run = run_preview};

void proxy_begin_preview(struct request *rq)
{
    const long port = parse_port(rq, rq->path + strlen("/preview/"), '-');
    const char *what = strchr(rq->path + strlen("/preview/"), '-');
    const bool key = request_has_key(rq);
    enum sandbox_state state;
    char name[64], id[64];
    bool allowed;

    rq->route = &preview_route;
    rq->inner = rq->path;
    if (port < 0 || !what || strcspn(what + 1, "/") >= sizeof(name)) {
        reply_error(rq, 404, "NOT_FOUND", "not found: not found");
        return;
    }
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(what + 1, "/"), what + 1);
    snprintf(id, sizeof(id), "%s", name);
    lock_take(&rq->srv->lock);
    allowed = link_find_locked(rq->srv, name, (unsigned)port, id);
    rq->sandbox = sandbox_find_locked(rq->srv, id, NULL);
    if (rq->sandbox && !allowed)
        allowed = key || rq->sandbox->is_public || request_has_token_locked(rq, rq->sandbox);
    if (rq->sandbox && allowed)
        rq->sandbox->active_ms = clock_real_ns() / NS_PER_MS;
    lock_drop(&rq->srv->lock);
    if (!rq->sandbox || !allowed) {
        reply_status(rq, 307);
        reply_header(rq, "Location", "%s/login", rq->srv->origin);
        return;
    }
    rq->jail = sandbox_enter(rq->sandbox, &state);
    if (!rq->jail)
        request_refuse_state(rq, state);
}
