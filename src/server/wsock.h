/*
 * wsock.h - WebSocket on a connection that was an HTTP request.
 *
 * The connection's own thread runs the conversation, start to end, and closes. One thread uses a
 * struct wsock. Nothing is compressed, a peer that does not read is given up after a while.
 */
#ifndef SERVER_WSOCK_H
#define SERVER_WSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;
struct wsock;

enum { WSOCK_MESSAGE_MAX = 64 << 10 }; /* of the peer's; a larger one ends the connection */

/* True when the request asks for an upgrade. */
bool wsock_wanted(const struct request *rq);
/*
 * Answers 101; talk is then called with state. A handshake that is not one is answered
 * 400, and free_state called. free_state is called at the end, in any case.
 */
void wsock_accept(struct request *rq,
                  void (*talk)(struct request *rq, struct wsock *ws, void *state),
                  void (*free_state)(void *state), void *state);
/* For request.c: the request ends without having been upgraded, or after it. */
void wsock_forget(struct request *rq);

/* The offered subprotocol that starts with prefix; NULL: none. Copied into out. */
const char *wsock_offered(const struct request *rq, const char *prefix, char *out, size_t size);

typedef void (*wsock_message)(void *arg, const uint8_t *p, size_t n);
void wsock_on_message(struct wsock *ws, wsock_message fn, void *arg); /* default: ignored */
/* From now on, instead of WSOCK_MESSAGE_MAX. */
void wsock_message_limit(struct wsock *ws, uint64_t bytes);

/* 0 when the kernel has taken it. -EPIPE: the connection is over; -ETIMEDOUT: the peer is stuck. */
int wsock_send_text(struct wsock *ws, const char *text);
int wsock_send_binary(struct wsock *ws, const void *p, size_t n);
/*
 * Serves the peer until fd (-1: none) can be read or the time is over. 1: fd can be read, 0: time,
 * -EPIPE: the peer has closed or has gone, or the server ends.
 */
int wsock_wait(struct wsock *ws, int fd, int timeout_ms);
/* Sends a close frame and waits a moment for the peer's. reason: at most 123 bytes. */
void wsock_close(struct wsock *ws, unsigned code, const char *reason);
/* Ends the connection without a word. */
void wsock_drop(struct wsock *ws);

#endif
