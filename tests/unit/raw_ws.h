/* raw_ws.h - WebSocket by hand, for the server's tests: what is on the wire is judged. */
#ifndef TESTS_RAW_WS_H
#define TESTS_RAW_WS_H

#include "facts.h"

#include <time.h>

struct raw_ws {
    int fd;
    struct buf head; /* of the answer */
    struct buf in;   /* read, not yet taken apart */
    int status;
};

struct raw_frame {
    int opcode; /* -1: the connection ended without one */
    struct buf data;
    unsigned code; /* of a close frame */
};

/* headers as in ask(): whole lines. The status is 101, or what the server said. */
static inline struct raw_ws ws_open(const struct box *box, const char *call, const char *headers)
{
    struct raw_ws ws = {.head = BUF_INIT(64 << 10), .in = BUF_INIT(64 << 20)};
    struct buf rq = BUF_INIT(64 << 10);
    char block[4096], *end = NULL;
    ssize_t n;

    ws.fd = box_connect(box);
    assert_int_equal(
        buf_printf(&rq,
                   "GET /toolbox/%s%s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s%s\r\n",
                   box->id, call,
                   headers && strstr(headers, "Authorization") ? ""
                                                               : "Authorization: Bearer " TEST_KEY
                                                                 "\r\n",
                   headers ? headers : ""),
        0);
    send_all(ws.fd, rq.data, rq.len);
    buf_done(&rq);
    while (!end && (n = recv(ws.fd, block, sizeof(block), 0)) > 0) {
        assert_int_equal(buf_append(&ws.in, block, (size_t)n), 0);
        end = strstr(ws.in.data, "\r\n\r\n");
    }
    if (!end)
        return ws;
    assert_int_equal(buf_append(&ws.head, ws.in.data, (size_t)(end - ws.in.data) + 2), 0);
    buf_consume(&ws.in, (size_t)(end - ws.in.data) + 4);
    assert_int_equal(sscanf(ws.head.data, "HTTP/1.1 %d", &ws.status), 1);
    return ws;
}

static inline void ws_end(struct raw_ws *ws)
{
    close(ws->fd);
    buf_done(&ws->head);
    buf_done(&ws->in);
}

static inline void ws_put(struct raw_ws *ws, int opcode, const void *p, size_t n)
{
    static const unsigned char mask[4] = {7, 11, 13, 17};
    struct buf out = BUF_INIT(1 << 20);
    unsigned char head[14] = {(unsigned char)(0x80 | opcode)};
    size_t len = 2;

    if (n < 126) {
        head[1] = (unsigned char)(0x80 | n);
    } else {
        head[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            head[2 + i] = (unsigned char)((uint64_t)n >> (56 - 8 * i));
        len = 10;
    }
    memcpy(head + len, mask, 4);
    assert_int_equal(buf_append(&out, head, len + 4), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(buf_putc(&out, (char)(((const unsigned char *)p)[i] ^ mask[i % 4])), 0);
    send_all(ws->fd, out.data, out.len);
    buf_done(&out);
}

static inline bool ws_fill(struct raw_ws *ws, size_t n)
{
    char block[65536];

    while (ws->in.len < n) {
        const ssize_t got = recv(ws->fd, block, sizeof(block), 0);

        if (got <= 0)
            return false;
        assert_int_equal(buf_append(&ws->in, block, (size_t)got), 0);
    }
    return true;
}

/* The next frame; it must be whole, unmasked, and no continuation. */
static inline struct raw_frame ws_get(struct raw_ws *ws)
{
    struct raw_frame f = {.opcode = -1, .data = BUF_INIT(1 << 20)};
    const unsigned char *p;
    size_t len, head = 2;

    if (!ws_fill(ws, 2))
        return f;
    p = (const unsigned char *)ws->in.data;
    assert_int_equal(p[0] & 0xf0, 0x80);
    assert_int_equal(p[1] & 0x80, 0);
    len = p[1];
    if (len == 126) {
        head = 4;
        if (!ws_fill(ws, head))
            return f;
        p = (const unsigned char *)ws->in.data;
        len = (size_t)p[2] << 8 | p[3];
    }
    assert_true(len < 126 || head == 4);
    if (!ws_fill(ws, head + len))
        return f;
    p = (const unsigned char *)ws->in.data;
    f.opcode = p[0] & 15;
    assert_int_equal(buf_append(&f.data, p + head, len), 0);
    if (f.opcode == 8 && len >= 2)
        f.code = (unsigned)p[head] << 8 | p[head + 1];
    buf_consume(&ws->in, head + len);
    return f;
}

/* Everything up to the close frame; its code, 0: the connection ended without one. */
static inline unsigned ws_collect(struct raw_ws *ws, struct buf *out, size_t frame_max,
                                  char *reason, size_t size)
{
    for (;;) {
        struct raw_frame f = ws_get(ws);
        const unsigned code = f.code;

        if (f.opcode == 8 && reason)
            snprintf(reason, size, "%s", f.data.len > 2 ? f.data.data + 2 : "");
        if (f.opcode == 2 || f.opcode == 1) {
            assert_true(f.data.len <= frame_max);
            assert_int_equal(buf_append(out, f.data.data, f.data.len), 0);
        }
        buf_done(&f.data);
        if (f.opcode == 8 || f.opcode < 0)
            return code;
    }
}

static inline double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

#endif
