/* ws_peer.h - the server's side of a WebSocket, byte for byte as a test wants it. */
#ifndef TESTS_WS_PEER_H
#define TESTS_WS_PEER_H

#include "loopback.h"

/* The answer to an upgrade. */
void ws_peer_accept(const struct loopback_request *req, struct buf *out);

enum {
    WS_PEER_TEXT = 1,
    WS_PEER_BINARY = 2,
    WS_PEER_CLOSE = 8,
    WS_PEER_PING = 9,
    WS_PEER_PONG = 10
};
void ws_peer_frame(struct peer *p, int opcode, bool fin, const void *data, size_t len);
void ws_peer_text(struct peer *p, const char *text);
void ws_peer_bytes(struct peer *p, const void *data, size_t len);
void ws_peer_close(struct peer *p, int code, const char *reason);
/* The client's next frame, unmasked, in out (emptied before); its opcode, or -1 when it is gone. */
int ws_peer_take(struct peer *p, struct buf *out);
/* Takes frames until the client closes or is gone. */
void ws_peer_end(struct peer *p);

#endif
