#include "ws_peer.h"

#include "util/base64.h"
#include "util/sha1.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void ws_peer_accept(const struct loopback_request *req, struct buf *out)
{
    const char *key = strcasestr(buf_str(&req->head), "\nSec-WebSocket-Key: ");
    uint8_t sum[SHA1_BYTES];
    char text[128];

    snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
             key ? key + strlen("\nSec-WebSocket-Key: ") : "");
    sha1(text, strlen(text), sum);
    (void)buf_puts(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
    (void)base64_encode(out, sum, sizeof(sum));
    (void)buf_puts(out, "\r\n\r\n");
}

void ws_peer_frame(struct peer *p, int opcode, bool fin, const void *data, size_t len)
{
    uint8_t head[10] = {(uint8_t)(opcode | (fin ? 0x80 : 0))};
    size_t n = 2;

    if (len < 126) {
        head[1] = (uint8_t)len;
    } else if (len < 1 << 16) {
        head[1] = 126;
        n = 4;
    } else {
        head[1] = 127;
        n = 10;
    }
    for (size_t i = 2; i < n; i++)
        head[i] = (uint8_t)((uint64_t)len >> 8 * (n - 1 - i));
    (void)peer_write(p, head, n);
    (void)peer_write(p, data, len);
}

void ws_peer_text(struct peer *p, const char *text)
{
    ws_peer_frame(p, WS_PEER_TEXT, true, text, strlen(text));
}

void ws_peer_bytes(struct peer *p, const void *data, size_t len)
{
    ws_peer_frame(p, WS_PEER_BINARY, true, data, len);
}

void ws_peer_close(struct peer *p, int code, const char *reason)
{
    char body[125] = {(char)(code >> 8), (char)code};

    snprintf(body + 2, sizeof(body) - 2, "%s", reason);
    ws_peer_frame(p, WS_PEER_CLOSE, true, body, 2 + strlen(body + 2));
}

int ws_peer_take(struct peer *p, struct buf *out)
{
    struct buf head = BUF_INIT(64);
    uint64_t len;
    size_t mask;
    int opcode = -1;

    buf_truncate(out, 0);
    if (!peer_take_bytes(p, 2, &head))
        goto out;
    len = (uint8_t)head.data[1] & 0x7f;
    mask = len == 126 ? 4 : len == 127 ? 10 : 2;
    if (!((uint8_t)head.data[1] & 0x80) || !peer_take_bytes(p, mask + 4 - 2, &head))
        goto out; /* a client must mask */
    if (mask > 2)
        len = 0;
    for (size_t i = 2; i < mask; i++)
        len = len << 8 | (uint8_t)head.data[i];
    if (!peer_take_bytes(p, len, out))
        goto out;
    for (size_t i = 0; i < len; i++)
        out->data[i] ^= head.data[mask + i % 4];
    opcode = head.data[0] & 0xf;
out:
    buf_done(&head);
    return opcode;
}

void ws_peer_end(struct peer *p)
{
    struct buf frame = BUF_INIT(64 << 20);
    int opcode;

    do
        opcode = ws_peer_take(p, &frame);
    while (opcode >= 0 && opcode != WS_PEER_CLOSE);
    buf_done(&frame);
}
