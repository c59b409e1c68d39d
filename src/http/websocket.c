/*
 * An open WebSocket. wslay frames; curl moves bytes; poll waits.
 *
 * Bytes go out through ws->out, whose filled part stays where it is until it is sent: TLS wants the
 * same bytes at the same place when a write is tried again. Messages come in one at a time: while
 * one waits in the inbox nothing more is read, so a peer cannot fill the memory.
 */
#include "http/websocket.h"
#include "http/websocket_internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/random.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* In front of each message in the inbox. */
struct record {
    enum websocket_kind kind;
    int code;
    size_t len;
};

static const int64_t silence_default_ns = 60 * NS_PER_S;

/* --- bytes */

ssize_t websocket_read(struct websocket *ws, void *p, size_t n)
{
    size_t got = 0;
    const CURLcode code = curl_easy_recv(ws->easy, p, n, &got);

    if (code == CURLE_OK)
        return (ssize_t)got;
    return code == CURLE_AGAIN ? -EAGAIN : endpoint_errno(ws->easy, code);
}

/* A TLS library may raise SIGPIPE, which is nobody's business but ours. */
ssize_t websocket_write(struct websocket *ws, const void *p, size_t n)
{
    const struct timespec now = {0};
    sigset_t pipe, before, pending;
    bool was_pending;
    size_t done = 0;
    CURLcode code;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    code = curl_easy_send(ws->easy, p, n, &done);
    if (!was_pending)
        while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR)
            continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    if (code == CURLE_OK)
        return (ssize_t)done;
    return code == CURLE_AGAIN ? -EAGAIN : endpoint_errno(ws->easy, code);
}

static void wake(void *arg)
{
    const uint64_t one = 1;

    (void)!write(*(int *)arg, &one, sizeof(one));
}

int websocket_wait(struct websocket *ws, short events, int64_t until_ns)
{
    struct cancel *cancel = cancel_bound();
    struct pollfd fds[2] = {{.fd = ws->fd, .events = events}, {.fd = -1, .events = POLLIN}};
    const int64_t left_ns = until_ns - clock_mono_ns();
    int event = -1, timeout_ms, n;

    if (cancel) {
        event = eventfd(0, EFD_CLOEXEC);
        if (event < 0)
            return -errno;
        fds[1].fd = event;
        cancel_hook(cancel, wake, &event);
    }
    timeout_ms = left_ns <= 0                ? 0
                 : left_ns > 3600 * NS_PER_S ? 3600 * 1000
                                             : (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS);
    n = poll(fds, 2, timeout_ms);
    if (cancel) {
        cancel_unhook(cancel);
        close(event);
    }
    if (cancel_fired(cancel))
        return -EINTR;
    if (n == 0 && clock_mono_ns() >= until_ns)
        return -EAGAIN;
    return 0; /* or a signal: the caller looks again */
}

/* --- what wslay calls. All with the lock held */

/* A peer that takes no answers is not read either: it only waits for room to send. */
static bool is_full_locked(const struct websocket *ws)
{
    return wslay_event_get_queued_msg_count(ws->ctx) > WS_QUEUE_COUNT_MAX;
}

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *p, size_t n, int flags, void *arg)
{
    struct websocket *ws = arg;
    ssize_t got;

    if (ws->inbox.len > 0 || is_full_locked(ws)) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (ws->early.len > 0) {
        got = (ssize_t)(n < ws->early.len ? n : ws->early.len);
        memcpy(p, ws->early.data, (size_t)got);
        buf_consume(&ws->early, (size_t)got);
        return got;
    }
    got = websocket_read(ws, p, n);
    if (got > 0) {
        ws->heard_ns = clock_mono_ns();
        return got;
    }
    if (got == -EAGAIN) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    ws->err = got == 0 ? -ECONNRESET : (int)got;
    wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *p, size_t n, int flags,
                       void *arg)
{
    struct websocket *ws = arg;
    const size_t room = WS_OUT_MAX - ws->out_len;

    if (room == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (n > room)
        n = room;
    memcpy(ws->out + ws->out_len, p, n);
    ws->out_len += n;
    return (ssize_t)n;
}

static int on_mask(wslay_event_context_ptr ctx, uint8_t *p, size_t n, void *arg)
{
    return random_bytes(p, n) < 0 ? -1 : 0;
}

static void refuse(struct websocket *ws, int err, uint16_t code)
{
    ws->err = err;
    wslay_event_shutdown_read(ws->ctx);
    (void)wslay_event_queue_close(ws->ctx, code, NULL, 0);
}

static void on_frame(wslay_event_context_ptr ctx,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
    struct websocket *ws = arg;

    ws->data_frame = !wslay_is_ctrl_frame(frame->opcode);
    if (!ws->data_frame)
        return;
    if (frame->opcode != WSLAY_CONTINUATION_FRAME)
        ws->kind = frame->opcode == WSLAY_TEXT_FRAME ? WS_TEXT : WS_BINARY;
    if (frame->payload_length > ws->message_max - ws->message.len)
        refuse(ws, -EFBIG, WSLAY_CODE_MESSAGE_TOO_BIG);
}

static void on_chunk(wslay_event_context_ptr ctx,
                     const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
    struct websocket *ws = arg;
    int r;

    if (!ws->data_frame || ws->err < 0)
        return;
    r = buf_append(&ws->message, chunk->data, chunk->data_length);
    if (r < 0)
        refuse(ws, r, WSLAY_CODE_MESSAGE_TOO_BIG);
}

static void put_in(struct websocket *ws, enum websocket_kind kind, int code, const void *p,
                   size_t n)
{
    const struct record record = {kind, code, n};
    int r;

    r = buf_append(&ws->inbox, &record, sizeof(record));
    if (r == 0 && n > 0)
        r = buf_append(&ws->inbox, p, n);
    if (r < 0)
        refuse(ws, r, WSLAY_CODE_INTERNAL_SERVER_ERROR);
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *msg,
                       void *arg)
{
    struct websocket *ws = arg;

    if (msg->opcode == WSLAY_CONNECTION_CLOSE) {
        const size_t skip = msg->msg_length >= 2 ? 2 : 0; /* the code, in front of the reason */

        put_in(ws, WS_CLOSE, msg->status_code ? msg->status_code : WSLAY_CODE_NO_STATUS_RCVD,
               msg->msg + skip, msg->msg_length - skip);
    } else if (!wslay_is_ctrl_frame(msg->opcode) && ws->err == 0) {
        put_in(ws, ws->kind, 0, ws->message.data, ws->message.len);
        buf_truncate(&ws->message, 0);
    }
}

/* --- life */

int websocket_new(const struct websocket_params *params, const struct http_config *config,
                  struct websocket **ret)
{
    struct websocket *ws = calloc(1, sizeof(*ws));

    if (!ws)
        return -ENOMEM;
    ws->fd = CURL_SOCKET_BAD;
    ws->silence_ns = params->silence_ns ? params->silence_ns : silence_default_ns;
    ws->stall_ns = config->stall_timeout_ns;
    ws->pings = !params->no_pings;
    ws->message_max = params->message_max ? params->message_max : WS_MESSAGE_MAX;
    buf_init(&ws->early, HTTP_HEADERS_MAX + WS_REFUSAL_MAX);
    buf_init(&ws->message, ws->message_max);
    buf_init(&ws->current, ws->message_max + 256);
    /* one large message, and as many small ones as one read of wslay's can hold */
    buf_init(&ws->inbox, ws->message_max + (256 << 10));
    lock_init(&ws->lock);
    *ret = ws;
    return 0;
}

int websocket_begin(struct websocket *ws)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .genmask_callback = on_mask,
        .on_frame_recv_start_callback = on_frame,
        .on_frame_recv_chunk_callback = on_chunk,
        .on_msg_recv_callback = on_message,
    };

    ws->out = malloc(WS_OUT_MAX);
    if (!ws->out || wslay_event_context_client_init(&ws->ctx, &callbacks, ws) != 0)
        return -ENOMEM;
    /* on_frame and on_chunk have the ceiling, whatever the number of frames */
    wslay_event_config_set_no_buffering(ws->ctx, 1);
    wslay_event_config_set_max_recv_msg_length(ws->ctx, UINT64_MAX);
    ws->heard_ns = ws->pinged_ns = clock_mono_ns();
    return 0;
}

struct websocket *websocket_free(struct websocket *ws)
{
    if (!ws)
        return NULL;
    wslay_event_context_free(ws->ctx);
    if (ws->multi && ws->easy)
        curl_multi_remove_handle(ws->multi, ws->easy);
    curl_easy_cleanup(ws->easy);
    if (ws->multi)
        curl_multi_cleanup(ws->multi);
    lock_done(&ws->lock);
    buf_done(&ws->early);
    buf_done(&ws->message);
    buf_done(&ws->inbox);
    buf_done(&ws->current);
    free(ws->out);
    free(ws);
    return NULL;
}

/* --- moving on */

/* Everything that is queued, as far as the socket takes it. */
static int flush_locked(struct websocket *ws)
{
    for (;;) {
        ssize_t n;

        if (ws->out_sent == ws->out_len) {
            ws->out_sent = ws->out_len = 0;
            if (wslay_event_want_write(ws->ctx) && wslay_event_send(ws->ctx) < 0)
                return -ENOMEM;
            if (ws->out_len == 0)
                return 0;
        }
        n = websocket_write(ws, ws->out + ws->out_sent, ws->out_len - ws->out_sent);
        if (n == -EAGAIN)
            return 0;
        if (n < 0)
            return (int)n;
        ws->out_sent += (size_t)n;
        ws->moved += (uint64_t)n;
    }
}

static bool unsent_locked(const struct websocket *ws)
{
    return ws->out_sent < ws->out_len || wslay_event_want_write(ws->ctx);
}

/* Sends and receives what is possible now. The first error stays. */
static int pump_locked(struct websocket *ws)
{
    int r;

    lock_assert_held(&ws->lock);
    if (ws->err == 0 && wslay_event_want_read(ws->ctx)) {
        r = wslay_event_recv(ws->ctx);
        if (r < 0 && ws->err == 0)
            ws->err = r == WSLAY_ERR_NOMEM ? -ENOMEM : -EPROTO;
        else if (ws->err == 0 && !wslay_event_get_read_enabled(ws->ctx) &&
                 !wslay_event_get_close_received(ws->ctx))
            ws->err = -EPROTO; /* wslay has queued a close that says so */
    }
    r = flush_locked(ws); /* also after an error: the peer may learn why */
    if (r < 0 && ws->err == 0)
        ws->err = r;
    return ws->err;
}

/* Takes the first message out. What came before an error is still good. */
static bool take_locked(struct websocket *ws, struct websocket_message *ret)
{
    struct record record;

    if (ws->inbox.len == 0)
        return false;
    memcpy(&record, ws->inbox.data, sizeof(record));
    buf_truncate(&ws->current, 0);
    if (record.len > 0 &&
        buf_append(&ws->current, ws->inbox.data + sizeof(record), record.len) < 0) {
        ws->err = -ENOMEM;
        return false;
    }
    buf_consume(&ws->inbox, sizeof(record) + record.len);
    ws->closed = ws->closed || record.kind == WS_CLOSE;
    *ret = (struct websocket_message){record.kind, record.code, buf_str(&ws->current), record.len};
    return true;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static short events_locked(const struct websocket *ws)
{
    if (is_full_locked(ws))
        return POLLOUT;
    return unsent_locked(ws) ? POLLIN | POLLOUT : POLLIN;
}

/* Asks a silent peer whether it is there. Until when to wait for it, or -ETIMEDOUT. */
static int64_t liveness_locked(struct websocket *ws, int64_t since_ns)
{
    const int64_t now_ns = clock_mono_ns(), step_ns = ws->silence_ns / 3;
    const struct wslay_event_msg ping = {.opcode = WSLAY_PING};
    /* before since_ns nobody was listening */
    const int64_t heard_ns = ws->heard_ns > since_ns ? ws->heard_ns : since_ns;
    int64_t from_ns;

    if (!ws->pings && !is_full_locked(ws))
        return INT64_MAX; /* TCP's own keepalive finds a peer that is gone */
    if (now_ns - heard_ns >= ws->silence_ns)
        return -ETIMEDOUT;
    from_ns = heard_ns > ws->pinged_ns ? heard_ns : ws->pinged_ns;
    if (now_ns - from_ns >= step_ns) {
        (void)wslay_event_queue_msg(ws->ctx, &ping); /* refused once a close is under way */
        ws->pinged_ns = from_ns = now_ns;
    }
    return earlier(from_ns + step_ns, heard_ns + ws->silence_ns);
}

int websocket_receive(struct websocket *ws, int64_t until_ns, struct websocket_message *ret)
{
    const int64_t since_ns = clock_mono_ns();

    for (;;) {
        int64_t look_ns = INT64_MAX;
        short events;
        bool got;
        int r = 0;

        lock_take(&ws->lock);
        got = take_locked(ws, ret);
        if (!got && ws->closed)
            r = -EPIPE;
        if (!got && r == 0) {
            r = pump_locked(ws);
            got = take_locked(ws, ret);
        }
        if (!got && r == 0) {
            look_ns = liveness_locked(ws, since_ns);
            if (look_ns < 0)
                r = ws->err = (int)look_ns;
            else
                (void)flush_locked(ws); /* the ping; an error shows at the next turn */
        }
        events = events_locked(ws);
        lock_drop(&ws->lock);
        if (got)
            return 0;
        if (r < 0)
            return r;
        if (clock_mono_ns() >= until_ns)
            return -EAGAIN;
        r = websocket_wait(ws, events, earlier(until_ns, look_ns));
        if (r < 0 && r != -EAGAIN)
            return r;
    }
}

static int queue_locked(struct websocket *ws, enum websocket_kind kind, const void *data,
                        size_t len)
{
    const struct wslay_event_msg msg = {
        .opcode = kind == WS_TEXT ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME,
        .msg = data,
        .msg_length = len,
    };

    switch (wslay_event_queue_msg(ws->ctx, &msg)) {
    case 0:
        return 0;
    case WSLAY_ERR_NO_MORE_MSG:
        return -EPIPE;
    case WSLAY_ERR_NOMEM:
        return -ENOMEM;
    default:
        return -EINVAL;
    }
}

int websocket_send(struct websocket *ws, enum websocket_kind kind, const void *data, size_t len)
{
    int64_t until_ns = clock_mono_ns() + ws->stall_ns;
    uint64_t moved = 0;
    bool queued = false;

    assert(kind != WS_CLOSE);
    for (;;) {
        bool done = false;
        int r;

        lock_take(&ws->lock);
        r = ws->err < 0 ? -EPIPE : 0;
        if (r == 0 && !queued && wslay_event_get_queued_msg_length(ws->ctx) < WS_QUEUE_MAX) {
            r = queue_locked(ws, kind, data, len);
            queued = r == 0;
        }
        if (r == 0)
            r = flush_locked(ws);
        if (r == 0)
            done = queued && !unsent_locked(ws);
        if (ws->moved != moved)
            until_ns = clock_mono_ns() + ws->stall_ns;
        moved = ws->moved;
        lock_drop(&ws->lock);
        if (r < 0 || done)
            return r;
        r = websocket_wait(ws, POLLOUT, until_ns);
        if (r < 0)
            return r == -EAGAIN ? -ETIMEDOUT : r;
    }
}

void websocket_close(struct websocket *ws, int code, const char *reason, int64_t timeout_ns)
{
    const int64_t until_ns = clock_mono_ns() + timeout_ns;
    struct websocket_message message;
    bool done = false;

    lock_take(&ws->lock);
    (void)wslay_event_queue_close(ws->ctx, (uint16_t)code, (const uint8_t *)reason, strlen(reason));
    lock_drop(&ws->lock);
    while (!done) {
        short events;
        bool unsent;

        lock_take(&ws->lock);
        (void)pump_locked(ws);
        while (take_locked(ws, &message))
            continue;
        unsent = unsent_locked(ws) && ws->err == 0;
        events = events_locked(ws);
        done = ws->err < 0 || (ws->closed && !unsent);
        lock_drop(&ws->lock);
        if (!done && websocket_wait(ws, events, until_ns) < 0)
            done = true;
    }
}
