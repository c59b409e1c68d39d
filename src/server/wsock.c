/* wsock.c - the handshake, and wslay on the socket that the HTTP library hands over. */
#include "server/wsock.h"

#include "server/server_internal.h"

#include "util/base64.h"
#include "util/clock.h"
#include "util/sha1.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

enum { SEND_WAIT_MS = 30000, CLOSE_WAIT_MS = 2000, STEP_MS = 250 };

struct upgrade {
    void (*talk)(struct request *rq, struct wsock *ws, void *state);
    void (*free_state)(void *state);
    void *state;
};

struct wsock {
    struct request *rq;
    wslay_event_context_ptr ctx;
    int fd;
    const char *extra; /* what came with the request's head */
    size_t extra_len;
    wsock_message on_message;
    void *arg;
    bool over; /* the connection: nothing can be sent */
    uint64_t sent;
};

/* ---- the handshake ---- */

/* Headers are lists: "keep-alive, Upgrade". */
static bool has_word(const char *list, const char *word)
{
    const size_t n = strlen(word);

    while (list && *list) {
        list += strspn(list, ", \t");
        if (strncasecmp(list, word, n) == 0 && strspn(list + n, ", \t") + !list[n] > 0)
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

bool wsock_wanted(const struct request *rq)
{
    return has_word(request_header(rq, "Connection"), "Upgrade") &&
           has_word(request_header(rq, "Upgrade"), "websocket");
}

const char *wsock_offered(const struct request *rq, const char *prefix, char *out, size_t size)
{
    const char *list = request_header(rq, "Sec-WebSocket-Protocol");

    while (list && *list) {
        const size_t skip = strspn(list, ", \t"), n = strcspn(list + skip, ", \t");

        list += skip;
        if (n < size && strncmp(list, prefix, strlen(prefix)) == 0) {
            memcpy(out, list, n);
            out[n] = '\0';
            return out;
        }
        list += n;
    }
    return NULL;
}

static int put_accept(const char *key, struct buf *out)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    uint8_t digest[SHA1_BYTES];
    struct buf text = BUF_INIT(256);
    int r;

    r = buf_puts(&text, key);
    if (r == 0)
        r = buf_puts(&text, guid);
    if (r == 0) {
        sha1(text.data, text.len, digest);
        r = base64_encode(out, digest, sizeof(digest));
    }
    buf_done(&text);
    return r;
}

/* Only what has a meaning here is accepted. */
static void accept_protocol(struct request *rq)
{
    static const char *const known[] = {"X-Daytona-SDK-Version~", "X-Daytona-Pty-Exit-Control"};
    char text[512];

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (wsock_offered(rq, known[i], text, sizeof(text))) {
            reply_header(rq, "Sec-WebSocket-Protocol", "%s", text);
            return;
        }
    }
}

void wsock_accept(struct request *rq,
                  void (*talk)(struct request *rq, struct wsock *ws, void *state),
                  void (*free_state)(void *state), void *state)
{
    const char *key = request_header(rq, "Sec-WebSocket-Key");
    const char *version = request_header(rq, "Sec-WebSocket-Version");
    struct buf accept = BUF_INIT(64);
    struct upgrade *up = calloc(1, sizeof(*up));

    if (!up || !key || strlen(key) > 64 || !version || strcmp(version, "13") != 0 ||
        put_accept(key, &accept) < 0) {
        reply_text(rq, 400, "text/plain; charset=utf-8", "Bad Request\n");
        free_state(state);
        free(up);
        buf_done(&accept);
        return;
    }
    *up = (struct upgrade){.talk = talk, .free_state = free_state, .state = state};
    rq->upgrade = up;
    reply_status(rq, 101);
    reply_header(rq, "Upgrade", "websocket");
    reply_header(rq, "Sec-WebSocket-Accept", "%s", buf_str(&accept));
    accept_protocol(rq);
    buf_done(&accept);
}

void wsock_forget(struct request *rq)
{
    if (!rq->upgrade)
        return;
    rq->upgrade->free_state(rq->upgrade->state);
    free(rq->upgrade);
    rq->upgrade = NULL;
}

/* ---- wslay's side ---- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *p, size_t n, int flags, void *arg)
{
    struct wsock *ws = arg;
    ssize_t got;

    if (ws->extra_len > 0) {
        if (n > ws->extra_len)
            n = ws->extra_len;
        memcpy(p, ws->extra, n);
        ws->extra += n;
        ws->extra_len -= n;
        return (ssize_t)n;
    }
    do
        got = recv(ws->fd, p, n, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        return got;
    if (got == 0)
        ws->over = true;
    wslay_event_set_error(ctx, got < 0 && errno == EAGAIN ? WSLAY_ERR_WOULDBLOCK
                                                          : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *p, size_t n, int flags,
                       void *arg)
{
    struct wsock *ws = arg;
    const int64_t cut = ws->rq->fault.cut;
    ssize_t put;

    if (cut >= 0 && ws->sent + n > (uint64_t)cut) {
        /* The fault: the connection ends after so many bytes. */
        n = (uint64_t)cut - ws->sent;
        if (n == 0) {
            wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
            return -1;
        }
    }
    do
        put = send(ws->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put < 0)
        wslay_event_set_error(ctx,
                              errno == EAGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    else
        ws->sent += (uint64_t)put;
    return put;
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m,
                       void *arg)
{
    struct wsock *ws = arg;

    if (!wslay_is_ctrl_frame(m->opcode) && ws->on_message)
        ws->on_message(ws->arg, m->msg, m->msg_length);
}

void wsock_on_message(struct wsock *ws, wsock_message fn, void *arg)
{
    ws->on_message = fn;
    ws->arg = arg;
}

void wsock_message_limit(struct wsock *ws, uint64_t bytes)
{
    wslay_event_config_set_max_recv_msg_length(ws->ctx, bytes);
}

static bool is_stopping(struct wsock *ws)
{
    struct server *s = ws->rq->srv;
    bool stopping;

    lock_take(&s->lock);
    stopping = s->stopping;
    lock_drop(&s->lock);
    return stopping;
}

/* What can be done without waiting. */
static int serve(struct wsock *ws)
{
    if (!ws->over && wslay_event_want_read(ws->ctx) && wslay_event_recv(ws->ctx) != 0)
        ws->over = true;
    if (!ws->over && wslay_event_want_write(ws->ctx) && wslay_event_send(ws->ctx) != 0)
        ws->over = true;
    return ws->over || wslay_event_get_close_received(ws->ctx) ? -EPIPE : 0;
}

int wsock_wait(struct wsock *ws, int fd, int timeout_ms)
{
    const int64_t until = clock_mono_ns() + timeout_ms * NS_PER_MS;

    for (;;) {
        struct pollfd fds[2] = {{.fd = ws->fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
        const int64_t left = (until - clock_mono_ns()) / NS_PER_MS;

        if (serve(ws) < 0 || is_stopping(ws))
            return -EPIPE;
        if (wslay_event_want_write(ws->ctx))
            fds[0].events |= POLLOUT;
        if (poll(fds, 2,
                 left <= 0        ? 0
                 : left < STEP_MS ? (int)left
                                  : STEP_MS) < 0 &&
            errno != EINTR)
            return -EPIPE;
        if (fds[1].revents)
            return serve(ws) < 0 ? -EPIPE : 1;
        if (left <= 0)
            return serve(ws);
    }
}

/* Until all that is queued has been taken. */
static int flush(struct wsock *ws)
{
    const int64_t until = clock_mono_ns() + SEND_WAIT_MS * NS_PER_MS;

    for (;;) {
        struct pollfd pfd = {.fd = ws->fd, .events = POLLIN | POLLOUT};

        if (!ws->over && wslay_event_want_write(ws->ctx) && wslay_event_send(ws->ctx) != 0)
            ws->over = true;
        if (ws->over)
            return -EPIPE;
        if (!wslay_event_want_write(ws->ctx))
            return 0;
        if (clock_mono_ns() >= until || is_stopping(ws))
            return -ETIMEDOUT;
        if (!wslay_event_want_read(ws->ctx))
            pfd.events = POLLOUT;
        (void)poll(&pfd, 1, STEP_MS);
        if (serve(ws) < 0)
            return -EPIPE;
    }
}

static int queue(struct wsock *ws, uint8_t opcode, const void *p, size_t n)
{
    const struct wslay_event_msg m = {.opcode = opcode, .msg = p, .msg_length = n};

    if (ws->over || wslay_event_queue_msg(ws->ctx, &m) != 0)
        return -EPIPE;
    return flush(ws);
}

int wsock_send_text(struct wsock *ws, const char *text)
{
    return queue(ws, WSLAY_TEXT_FRAME, text, strlen(text));
}

int wsock_send_binary(struct wsock *ws, const void *p, size_t n)
{
    return queue(ws, WSLAY_BINARY_FRAME, p, n);
}

void wsock_close(struct wsock *ws, unsigned code, const char *reason)
{
    const int64_t until = clock_mono_ns() + CLOSE_WAIT_MS * NS_PER_MS;

    if (!ws->over)
        (void)wslay_event_queue_close(ws->ctx, (uint16_t)code, (const uint8_t *)reason,
                                      strlen(reason));
    if (flush(ws) < 0)
        return;
    while (!ws->over && !wslay_event_get_close_received(ws->ctx) && clock_mono_ns() < until) {
        struct pollfd pfd = {.fd = ws->fd, .events = POLLIN};

        if (poll(&pfd, 1, STEP_MS) > 0)
            (void)serve(ws);
        if (is_stopping(ws))
            return;
    }
}

void wsock_drop(struct wsock *ws)
{
    ws->over = true;
}

static int init(struct wsock *ws)
{
    const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv, .send_callback = on_send, .on_msg_recv_callback = on_message};

    if (wslay_event_context_server_init(&ws->ctx, &callbacks, ws) != 0)
        return -ENOMEM;
    wslay_event_config_set_max_recv_msg_length(ws->ctx, WSOCK_MESSAGE_MAX);
    return 0;
}

/* The library's upgrade handler: on this connection's own thread, so the conversation is had here.
 */
void wsock_run(void *arg, struct MHD_Connection *conn, void *con_cls, const char *extra,
               size_t extra_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *urh)
{
    struct request *rq = arg;
    struct wsock ws = {.rq = rq, .fd = fd, .extra = extra, .extra_len = extra_len};

    if (rq->upgrade && init(&ws) == 0) {
        rq->upgrade->talk(rq, &ws, rq->upgrade->state);
        wslay_event_context_free(ws.ctx);
    }
    (void)MHD_upgrade_action(urh, MHD_UPGRADE_ACTION_CLOSE);
}
