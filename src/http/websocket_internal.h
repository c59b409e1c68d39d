/* websocket_internal.h - what the files of websocket.h share. Nobody else includes it. */
#ifndef HTTP_WEBSOCKET_INTERNAL_H
#define HTTP_WEBSOCKET_INTERNAL_H

#include "http/http_internal.h"
#include "http/websocket.h"
#include "util/lock.h"

#include <wslay/wslay.h>

enum {
    WS_OUT_MAX = 32 << 10,     /* bytes framed and not yet taken by the kernel */
    WS_QUEUE_MAX = 1 << 20,    /* bytes of messages not yet framed, for a new one to be let in */
    WS_QUEUE_COUNT_MAX = 64,   /* messages, pongs above all, before nothing more is read */
    WS_REFUSAL_MAX = 64 << 10, /* body of an answer that is not 101 */
    WS_MESSAGE_MAX = 1 << 20,
};

/* A connected socket as curl sees it, TLS or not. */
struct websocket {
    CURLM *multi; /* owned: what connected must stay where it did */
    CURL *easy;   /* owned */
    curl_socket_t fd;
    int64_t silence_ns, stall_ns;
    bool pings;

    struct lock lock;            /* guards what follows, and curl's use of the socket */
    wslay_event_context_ptr ctx; /* owned; NULL until the handshake is done */
    size_t message_max;
    struct buf early;   /* came with the end of the handshake */
    struct buf message; /* what has come of the one under way */
    int opcode;         /* of the frame under way */
    bool data_frame;
    enum websocket_kind kind; /* of the message under way */
    struct buf inbox;         /* messages not yet handed over: struct record and its bytes … */
    char *out; /* owned: WS_OUT_MAX bytes. Its filled part does not move: TLS wants that */
    size_t out_len, out_sent;
    uint64_t moved;    /* bytes sent so far: progress */
    int64_t heard_ns;  /* when a byte last came */
    int64_t pinged_ns; /* when a ping last went */
    int err;           /* why there is no more: 0 or -errno */
    bool closed;       /* the close has been handed over */

    struct buf current; /* the receiver's own: what it was given last */
};

/* 0 or -errno; -EAGAIN: nothing now. 0 bytes: the end of the stream. */
ssize_t websocket_read(struct websocket *ws, void *p, size_t n);
ssize_t websocket_write(struct websocket *ws, const void *p, size_t n);
/* Waits for events (POLLIN, POLLOUT): 0, -EAGAIN when until_ns passed, -EINTR when cancelled. */
int websocket_wait(struct websocket *ws, short events, int64_t until_ns);

/* Unconnected. */
int websocket_new(const struct websocket_params *params, const struct http_config *config,
                  struct websocket **ret);
/* After the handshake: messages may come and go. */
int websocket_begin(struct websocket *ws);

#endif
