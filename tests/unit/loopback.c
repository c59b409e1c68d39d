#include "loopback.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS_MAX = 512 };

struct impl {
    pthread_t acceptor;
    pthread_t threads[PEERS_MAX];
    unsigned count;
};

static void *peer_main(void *arg)
{
    struct peer *p = arg;

    p->server->serve(p, p->server->arg);
    if (p->fd >= 0)
        close(p->fd);
    buf_done(&p->in);
    free(p);
    return NULL;
}

static void *acceptor_main(void *arg)
{
    struct loopback *s = arg;
    struct impl *impl = s->impl;

    for (;;) {
        struct pollfd pfd = {.fd = s->fd, .events = POLLIN};
        struct peer *p;
        int fd;

        poll(&pfd, 1, 20);
        if (atomic_load(&s->stop))
            return NULL;
        fd = pfd.revents ? accept4(s->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        assert(impl->count < PEERS_MAX);
        p = calloc(1, sizeof(*p));
        *p = (struct peer){.server = s, .fd = fd, .in = BUF_INIT(64 << 20)};
        p->connection = atomic_fetch_add(&s->connections, 1);
        pthread_create(&impl->threads[impl->count++], NULL, peer_main, p);
    }
}

void loopback_start(struct loopback *s, loopback_serve serve, void *arg)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    struct impl *impl = calloc(1, sizeof(*impl));

    *s = (struct loopback){.serve = serve, .arg = arg, .impl = impl};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd, (struct sockaddr *)&addr, len) < 0 || listen(s->fd, 256) < 0)
        abort();
    getsockname(s->fd, (struct sockaddr *)&addr, &len);
    s->port = ntohs(addr.sin_port);
    pthread_create(&impl->acceptor, NULL, acceptor_main, s);
}

void loopback_stop(struct loopback *s)
{
    struct impl *impl = s->impl;

    atomic_store(&s->stop, true);
    pthread_join(impl->acceptor, NULL);
    for (unsigned i = 0; i < impl->count; i++)
        pthread_join(impl->threads[i], NULL);
    close(s->fd);
    free(impl);
}

/* More input; false at its end. */
static bool fill(struct peer *p)
{
    char chunk[65536];

    for (;;) {
        struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
        ssize_t n;

        if (atomic_load(&p->server->stop))
            return false;
        if (poll(&pfd, 1, 20) <= 0)
            continue;
        n = recv(p->fd, chunk, sizeof(chunk), 0);
        if (n <= 0)
            return false;
        return buf_append(&p->in, chunk, (size_t)n) == 0;
    }
}

bool peer_take_bytes(struct peer *p, size_t n, struct buf *out)
{
    while (p->in.len < n) {
        if (!fill(p))
            return false;
    }
    (void)buf_append(out, p->in.data, n);
    buf_consume(&p->in, n);
    return true;
}

static bool take_until(struct peer *p, const char *mark, struct buf *out)
{
    const char *at;

    while (!p->in.data || !(at = memmem(p->in.data, p->in.len, mark, strlen(mark)))) {
        if (!fill(p))
            return false;
    }
    return peer_take_bytes(p, (size_t)(at - p->in.data) + strlen(mark), out);
}

static bool take_chunks(struct peer *p, struct buf *body)
{
    struct buf line = BUF_INIT(1 << 20);
    size_t n = 1;

    while (n > 0) {
        buf_truncate(&line, 0);
        if (!take_until(p, "\r\n", &line))
            break;
        n = strtoul(buf_str(&line), NULL, 16);
        if (!peer_take_bytes(p, n, body) || !take_until(p, "\r\n", &line))
            break;
    }
    buf_done(&line);
    return n == 0;
}

bool peer_take(struct peer *p, struct loopback_request *ret)
{
    const char *length;
    bool ok;

    *ret = (struct loopback_request){.head = BUF_INIT(1 << 20), .body = BUF_INIT(64 << 20)};
    ok = take_until(p, "\r\n\r\n", &ret->head);
    if (ok) {
        sscanf(buf_str(&ret->head), "%15s %255s", ret->method, ret->target);
        ret->chunked = strcasestr(buf_str(&ret->head), "\nTransfer-Encoding: chunked") != NULL;
        length = strcasestr(buf_str(&ret->head), "\nContent-Length:");
        if (ret->chunked)
            ok = take_chunks(p, &ret->body);
        else if (length)
            ok = peer_take_bytes(p, strtoul(length + 16, NULL, 10), &ret->body);
    }
    if (ok)
        atomic_fetch_add(&p->server->requests, 1);
    else
        loopback_request_done(ret);
    return ok;
}

void loopback_request_done(struct loopback_request *r)
{
    buf_done(&r->head);
    buf_done(&r->body);
}

bool peer_write(struct peer *p, const void *data, size_t n)
{
    const char *at = data;

    while (n > 0) {
        struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};
        ssize_t done;

        if (atomic_load(&p->server->stop))
            return false;
        if (poll(&pfd, 1, 20) <= 0)
            continue;
        done = send(p->fd, at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done <= 0)
            return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

void peer_send(struct peer *p, const char *text)
{
    (void)peer_write(p, text, strlen(text));
}

void peer_reset(struct peer *p)
{
    struct linger linger = {.l_onoff = 1};

    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(p->fd);
    p->fd = -1;
}

void peer_wait_closed(struct peer *p)
{
    while (fill(p))
        buf_truncate(&p->in, 0);
}
