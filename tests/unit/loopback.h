/*
 * loopback.h - a server on 127.0.0.1 whose answers are a function: raw bytes, when and how the test
 * wants them. Each connection has a thread of its own.
 */
#ifndef TESTS_LOOPBACK_H
#define TESTS_LOOPBACK_H

#include "util/buf.h"

#include <stdatomic.h>
#include <stdbool.h>

struct loopback;

struct peer {
    struct loopback *server;
    int fd;
    unsigned connection; /* 0 for the first */
    struct buf in;       /* received, not yet taken */
};

struct loopback_request {
    char method[16];
    char target[256];
    struct buf head; /* all of it */
    struct buf body; /* decoded if chunked */
    bool chunked;
};

/* Serves one connection; it is closed when this returns. arg is the server's. */
typedef void (*loopback_serve)(struct peer *p, void *arg);

struct loopback {
    int fd;
    unsigned port;
    loopback_serve serve;
    void *arg;
    atomic_uint connections, requests; /* so far */
    atomic_bool stop;
    void *impl;
};

void loopback_start(struct loopback *s, loopback_serve serve, void *arg);
void loopback_stop(struct loopback *s); /* waits for every connection's thread */

/* False when the client closed before a whole request had come. */
bool peer_take(struct peer *p, struct loopback_request *ret);
void loopback_request_done(struct loopback_request *r);
void peer_send(struct peer *p, const char *text);
bool peer_write(struct peer *p, const void *data, size_t n);     /* false: the client is gone */
void peer_reset(struct peer *p);                                 /* closes with RST */
bool peer_take_bytes(struct peer *p, size_t n, struct buf *out); /* false: the client is gone */
void peer_wait_closed(struct peer *p); /* until the client closes, or stop */

#endif
