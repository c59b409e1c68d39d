/* listen.c - "ADDR:PORT" to a listening socket, loopback only. */
#include "server/listen.h"

#include "util/errtext.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_port(const char *text, in_port_t *ret)
{
    char *end;
    long v;

    errno = 0;
    v = strtol(text, &end, 10);
    if (errno || *end || !isdigit((unsigned char)*text) || v < 0 || v > 65535)
        return false;
    *ret = htons((uint16_t)v);
    return true;
}

/* "ADDR:PORT", "[::1]:PORT", "localhost:PORT" */
static int parse_listen(const char *text, union address *ret, socklen_t *ret_len, struct buf *why)
{
    const char *colon = strrchr(text, ':');
    char host[64];
    size_t n = colon ? (size_t)(colon - text) : 0;
    in_port_t port;

    *ret = (union address){0};
    if (!colon || n == 0 || n >= sizeof(host) || !parse_port(colon + 1, &port)) {
        (void)buf_printf(why, "--listen %s: ADDR:PORT is wanted, as in 127.0.0.1:8090", text);
        return -EINVAL;
    }
    if (text[0] == '[' && text[n - 1] == ']')
        snprintf(host, sizeof(host), "%.*s", (int)n - 2, text + 1);
    else
        snprintf(host, sizeof(host), "%.*s", (int)n, text);
    if (strcmp(host, "localhost") == 0)
        snprintf(host, sizeof(host), "127.0.0.1");
    if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = port;
        *ret_len = sizeof(ret->v4);
        if (ntohl(ret->v4.sin_addr.s_addr) >> 24 == 127)
            return 0;
    } else if (inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = port;
        *ret_len = sizeof(ret->v6);
        if (IN6_IS_ADDR_LOOPBACK(&ret->v6.sin6_addr))
            return 0;
    } else {
        (void)buf_printf(why, "--listen %s: an address in numbers is wanted", text);
        return -EINVAL;
    }
    (void)buf_printf(why,
                     "--listen %s: only loopback addresses (127.0.0.1, ::1) are allowed: whoever "
                     "has the key can run commands here",
                     text);
    return -EACCES;
}

int listen_loopback(const char *text, int *ret, char url[LISTEN_URL_MAX], struct buf *why)
{
    union address addr;
    socklen_t len;
    char host[INET6_ADDRSTRLEN];
    const int one = 1;
    int fd, r;

    r = parse_listen(text, &addr, &len, why);
    if (r < 0)
        return r;
    fd = socket(addr.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, &addr.any, len) < 0 || listen(fd, 128) < 0 ||
        getsockname(fd, &addr.any, &len) < 0) {
        r = -errno;
        (void)buf_printf(why, "cannot listen on %s: %s", text, errtext_sentence(r));
        close(fd);
        return r;
    }
    if (addr.any.sa_family == AF_INET)
        snprintf(url, LISTEN_URL_MAX, "http://%s:%u",
                 inet_ntop(AF_INET, &addr.v4.sin_addr, host, sizeof(host)),
                 ntohs(addr.v4.sin_port));
    else
        snprintf(url, LISTEN_URL_MAX, "http://[%s]:%u",
                 inet_ntop(AF_INET6, &addr.v6.sin6_addr, host, sizeof(host)),
                 ntohs(addr.v6.sin6_port));
    *ret = fd;
    return 0;
}
