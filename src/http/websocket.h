/*
 * websocket.h - WebSocket (RFC 6455) as a client, for streams from a sandbox.
 *
 * The peer is not trusted: frames, messages, headers and what waits to be sent have ceilings, and
 * every wait has an end. A peer that is silent is asked with pings; one that does not answer those
 * either is gone. A websocket belongs to no engine: the calling threads do the work. One thread may
 * receive while others send; websocket_close and websocket_free are for the last one that uses it.
 * The http object must outlive it. Calls that wait end with -EINTR when the calling thread's cancel
 * fires.
 */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include "http/http.h"

struct websocket;

struct websocket_params {
    const char *name;           /* for statistics; a literal */
    const char *url;            /* http or https */
    const char *const *headers; /* "Name: value" …, NULL; NULL for none */
    size_t message_max;         /* bytes of one message; 0: 1 MiB */
    int64_t silence_ns;         /* no byte for so long is the end, pings go before; 0: 60 s */
    bool no_pings;              /* the peer reads nothing for long: its silence proves nothing */
    char *error; /* NULL, or HTTP_ERROR_MAX bytes: one line when the transport fails */
};

/*
 * Connects and shakes hands. 0 with an answer in *response, the caller's as with http_perform: with
 * status 101 *ret is open, else NULL and the response says why. Tried once. -errno as http_perform;
 * -EPROTO also for an answer that is no WebSocket's.
 */
int websocket_connect(struct http *h, const struct websocket_params *params,
                      struct http_response *response, struct websocket **ret);

enum websocket_kind { WS_TEXT, WS_BINARY, WS_CLOSE };
struct websocket_message {
    enum websocket_kind kind;
    int code; /* WS_CLOSE: 1000 …; 1005: it gave none */
    const char
        *data; /* borrowed until the next websocket_receive; NUL behind it. WS_CLOSE: the reason */
    size_t len;
};

/*
 * The next message, whole. WS_CLOSE is the last one. -EAGAIN: none until until_ns (monotonic;
 * INT64_MAX: no end), -ECONNRESET: cut without a close, -ETIMEDOUT: the peer is gone, -EPROTO,
 * -EFBIG beyond message_max, -EPIPE: it has ended before.
 */
int websocket_receive(struct websocket *ws, int64_t until_ns, struct websocket_message *ret);

/*
 * Sends one message and waits until the kernel has it. -ETIMEDOUT: the peer takes nothing, -EPIPE:
 * the connection ends or has ended. After -EINTR the message may still go out.
 */
int websocket_send(struct websocket *ws, enum websocket_kind kind, const void *data, size_t len);

/* Says goodbye after what was sent, and waits up to timeout_ns for the peer's; drops what comes. */
void websocket_close(struct websocket *ws, int code, const char *reason, int64_t timeout_ns);
struct websocket *
websocket_free(struct websocket *ws); /* without goodbye. NULL is fine; returns NULL */

#endif
