/* The WebSocket client against a peer that does what a test says. */
#include "unit.h"

#include "http/websocket.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "ws_peer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct loopback server;
    struct http *http;
    struct websocket *ws;
    int64_t silence_ns;
    size_t message_max;
    struct http_response response;
    atomic_bool seen; /* what a behaviour was to see, it saw */
};

static struct fixture fx;

/* How the peer answers an upgrade, and what it does then. */
static const char *refusal; /* NULL: it accepts */
static void (*behave)(struct peer *p);

static void serve(struct peer *p, void *arg)
{
    struct loopback_request req;
    struct buf out = BUF_INIT(1 << 20);

    if (!peer_take(p, &req))
        return;
    if (refusal)
        (void)buf_puts(&out, refusal);
    else
        ws_peer_accept(&req, &out);
    (void)peer_write(p, out.data, out.len);
    buf_done(&out);
    loopback_request_done(&req);
    if (behave)
        behave(p);
}

static int setup(void **state)
{
    const struct http_config config = {.stall_timeout_ns = 2 * NS_PER_S};

    fx = (struct fixture){0};
    refusal = NULL;
    behave = NULL;
    loopback_start(&fx.server, serve, NULL);
    return http_new(&config, &fx.http);
}

static int teardown(void **state)
{
    websocket_free(fx.ws);
    http_response_done(&fx.response);
    http_free(fx.http);
    loopback_stop(&fx.server);
    return 0;
}

static int open_ws(void)
{
    static const char *const headers[] = {"Authorization: Bearer x", NULL};
    char url[80];
    const struct websocket_params params = {
        .name = "stream",
        .url = url,
        .headers = headers,
        .silence_ns = fx.silence_ns,
        .message_max = fx.message_max,
    };

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/a/b?c=d", fx.server.port);
    return websocket_connect(fx.http, &params, &fx.response, &fx.ws);
}

static void open_with(void (*then)(struct peer *p))
{
    behave = then;
    assert_int_equal(open_ws(), 0);
    assert_int_equal(fx.response.status, 101);
    assert_non_null(fx.ws);
}

static void expect_message(enum websocket_kind kind, const void *data, size_t len)
{
    struct websocket_message m;

    assert_int_equal(websocket_receive(fx.ws, clock_mono_ns() + 10 * NS_PER_S, &m), 0);
    assert_int_equal(m.kind, kind);
    assert_int_equal(m.len, len);
    assert_memory_equal(m.data, data, len);
}

static void expect_close(int code, const char *reason)
{
    struct websocket_message m;

    assert_int_equal(websocket_receive(fx.ws, clock_mono_ns() + 10 * NS_PER_S, &m), 0);
    assert_int_equal(m.kind, WS_CLOSE);
    assert_int_equal(m.code, code);
    assert_string_equal(m.data, reason);
    assert_int_equal(websocket_receive(fx.ws, INT64_MAX, &m), -EPIPE);
}

static int receive_error(void)
{
    struct websocket_message m;
    int r;

    do
        r = websocket_receive(fx.ws, clock_mono_ns() + 10 * NS_PER_S, &m);
    while (r == 0);
    return r;
}

/* --- the handshake */

TEST(an_answer_that_is_no_websocket_is_told_apart)
{
    static const struct {
        const char *answer;
        int r, status;
        const char *body;
    } cases[] = {
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", 0, 404, "no"},
        {"HTTP/1.1 502 x\r\n\r\n", 0, 502, ""},
        {"HTTP/1.1 400 x\r\nContent-Length: 999999999999\r\n\r\ncut", 0, 400, "cut"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, 200, ""},
        {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: wrong\r\n\r\n", -EPROTO, 0,
         NULL},
        {"HTTP/1.1 101 x\r\n\r\n", -EPROTO, 0, NULL},
        {"SSH-2.0-x\r\n\r\n", -EPROTO, 0, NULL},
        {"HTTP/1.1 101 x\r\nUpgr", -ECONNRESET, 0, NULL},
        {"", -ECONNRESET, 0, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int r;

        refusal = cases[i].answer;
        r = open_ws();
        if (r != cases[i].r)
            fail_msg("case %zu: %d", i, r);
        assert_null(fx.ws);
        if (r == 0) {
            assert_int_equal(fx.response.status, cases[i].status);
            assert_string_equal(buf_str(&fx.response.body), cases[i].body);
            http_response_done(&fx.response);
            fx.response = (struct http_response){0};
        }
    }
}

static void stay_silent(struct peer *p)
{
    peer_wait_closed(p);
}

TEST(a_handshake_without_end_is_given_up)
{
    const int64_t start_ns = clock_mono_ns();

    refusal = "HTTP/1.1 101 x\r\n";
    behave = stay_silent;
    assert_int_equal(open_ws(), -ETIMEDOUT);
    assert_true(clock_mono_ns() - start_ns < 20 * NS_PER_S);
}

TEST(headers_without_end_are_refused)
{
    struct buf endless = BUF_INIT(1 << 20);

    (void)buf_puts(&endless, "HTTP/1.1 101 x\r\n");
    for (int i = 0; i < 9000; i++)
        (void)buf_puts(&endless, "X-A: 0123456789\r\n");
    refusal = endless.data;
    assert_int_equal(open_ws(), -EFBIG);
    buf_done(&endless);
}

TEST(nothing_listening_is_refused)
{
    struct websocket_params params = {.name = "stream", .url = "http://127.0.0.1:1/"};

    assert_int_equal(websocket_connect(fx.http, &params, &fx.response, &fx.ws), -ECONNREFUSED);
    params.url = "ftp://127.0.0.1/";
    assert_int_equal(websocket_connect(fx.http, &params, &fx.response, &fx.ws), -EINVAL);
}

/* --- messages */

static char big[200000];

static void send_all_kinds(struct peer *p)
{
    ws_peer_text(p, "hello");
    ws_peer_bytes(p, "a\0b", 3);
    ws_peer_bytes(p, "", 0);
    ws_peer_frame(p, WS_PEER_BINARY, false, "one ", 4);
    ws_peer_frame(p, WS_PEER_PING, true, "p", 1); /* control frames may come in between */
    ws_peer_frame(p, 0, false, "", 0);
    ws_peer_frame(p, 0, true, "two", 3);
    ws_peer_bytes(p, big, sizeof(big));
    ws_peer_close(p, 1011, "{\"exitCode\":3}");
    ws_peer_end(p);
}

TEST(messages_arrive_whole_and_in_order)
{
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7 + i / 251);
    open_with(send_all_kinds);
    expect_message(WS_TEXT, "hello", 5);
    expect_message(WS_BINARY, "a\0b", 3);
    expect_message(WS_BINARY, "", 0);
    expect_message(WS_BINARY, "one two", 7);
    expect_message(WS_BINARY, big, sizeof(big));
    expect_close(1011, "{\"exitCode\":3}");
}

enum { FLOOD = 20000 };

static void send_flood(struct peer *p)
{
    for (int i = 0; i < FLOOD; i++)
        ws_peer_bytes(p, &i, i % 3 == 0 ? 0 : sizeof(i));
    ws_peer_close(p, 4008, "");
    ws_peer_end(p);
}

TEST(many_small_messages_arrive_one_by_one)
{
    open_with(send_flood);
    for (int i = 0; i < FLOOD; i++)
        expect_message(WS_BINARY, &i, i % 3 == 0 ? 0 : sizeof(i));
    expect_close(4008, "");
}

static void echo(struct peer *p)
{
    struct buf frame = BUF_INIT(8 << 20);
    int opcode;

    while ((opcode = ws_peer_take(p, &frame)) >= 0 && opcode != WS_PEER_CLOSE) {
        if (opcode == WS_PEER_TEXT || opcode == WS_PEER_BINARY)
            ws_peer_frame(p, opcode, true, frame.data, frame.len);
    }
    if (opcode == WS_PEER_CLOSE) {
        fx.seen = frame.len == 5 && memcmp(frame.data,
                                           "\x03\xe8"
                                           "bye",
                                           5) == 0;
        ws_peer_close(p, 1000, "");
    }
    buf_done(&frame);
}

TEST(what_is_sent_arrives_and_the_close_is_said)
{
    open_with(echo);
    assert_int_equal(websocket_send(fx.ws, WS_TEXT, "hello", 5), 0);
    assert_int_equal(websocket_send(fx.ws, WS_BINARY, big, sizeof(big)), 0);
    assert_int_equal(websocket_send(fx.ws, WS_BINARY, "", 0), 0);
    expect_message(WS_TEXT, "hello", 5);
    expect_message(WS_BINARY, big, sizeof(big));
    expect_message(WS_BINARY, "", 0);
    websocket_close(fx.ws, 1000, "bye", 5 * NS_PER_S);
    assert_int_equal(websocket_send(fx.ws, WS_TEXT, "x", 1), -EPIPE);
    fx.ws = websocket_free(fx.ws);
    loopback_stop(&fx.server);
    assert_true(fx.seen);
    loopback_start(&fx.server, serve, NULL);
}

static void *send_many(void *arg)
{
    for (int i = 0; i < 200; i++)
        assert_int_equal(websocket_send(fx.ws, WS_BINARY, big, 5000), 0);
    return NULL;
}

TEST(threads_send_while_another_receives)
{
    pthread_t threads[3];

    open_with(echo);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, send_many, NULL);
    for (int i = 0; i < 600; i++)
        expect_message(WS_BINARY, big, 5000);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
}

/* --- what goes wrong */

static void send_large(struct peer *p)
{
    ws_peer_bytes(p, big, 100);
    ws_peer_frame(p, WS_PEER_BINARY, false, big, 600);
    ws_peer_frame(p, 0, true, big, 600);
    ws_peer_end(p);
}

static void send_huge_frame(struct peer *p)
{
    (void)peer_write(p, "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffx", 11);
    ws_peer_end(p);
}

static void send_reserved(struct peer *p)
{
    (void)peer_write(p, "\xf2\x01x", 3);
    ws_peer_end(p);
}

static void send_bad_text(struct peer *p)
{
    ws_peer_frame(p, WS_PEER_TEXT, true, "\xff\xfe", 2);
    ws_peer_end(p);
}

static void send_lone_continuation(struct peer *p)
{
    ws_peer_frame(p, 0, true, "x", 1);
    ws_peer_end(p);
}

static void cut_in_frame(struct peer *p)
{
    (void)peer_write(p, "\x82\x05he", 4);
}

static void reset_at_once(struct peer *p)
{
    ws_peer_text(p, "x");
    peer_reset(p);
}

TEST(a_peer_that_breaks_the_rules_is_an_error)
{
    static const struct {
        void (*peer)(struct peer *p);
        int r;
    } cases[] = {
        {send_large, -EFBIG},
        {send_huge_frame, -EFBIG},
        {send_reserved, -EPROTO},
        {send_bad_text, -EPROTO},
        {send_lone_continuation, -EPROTO},
        {cut_in_frame, -ECONNRESET},
        {reset_at_once, -ECONNRESET},
    };

    fx.message_max = 1000;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int r;

        open_with(cases[i].peer);
        r = receive_error();
        if (r != cases[i].r)
            fail_msg("case %zu: %d", i, r);
        assert_int_equal(receive_error(), r); /* it stays */
        fx.ws = websocket_free(fx.ws);
        http_response_done(&fx.response);
    }
    fx.response = (struct http_response){0};
}

static void answer_pings(struct peer *p)
{
    struct buf frame = BUF_INIT(1024);

    for (int pings = 0; pings < 4;) {
        const int opcode = ws_peer_take(p, &frame);

        if (opcode < 0)
            break;
        if (opcode == WS_PEER_PING) {
            ws_peer_frame(p, WS_PEER_PONG, true, frame.data, frame.len);
            pings++;
        }
    }
    ws_peer_text(p, "still here");
    ws_peer_end(p);
    buf_done(&frame);
}

TEST(a_silent_peer_that_answers_pings_is_waited_for)
{
    fx.silence_ns = 300 * NS_PER_MS; /* four pings take longer than that */
    open_with(answer_pings);
    expect_message(WS_TEXT, "still here", 10);
}

TEST(a_peer_that_answers_no_pings_is_gone)
{
    fx.silence_ns = 200 * NS_PER_MS;
    open_with(stay_silent);
    assert_int_equal(receive_error(), -ETIMEDOUT);
}

TEST(a_wait_ends_when_it_was_to_end)
{
    struct websocket_message m;

    open_with(stay_silent);
    assert_int_equal(websocket_receive(fx.ws, clock_mono_ns() + 50 * NS_PER_MS, &m), -EAGAIN);
    assert_int_equal(websocket_receive(fx.ws, 0, &m), -EAGAIN);
}

static void flood_with_pings(struct peer *p)
{
    for (int i = 0; i < 200000; i++) {
        if (!peer_write(p,
                        "\x89\x7d"
                        "0123456789012345678901234567890123456789012345678901234567890123456789"
                        "0123456789012345678901234567890123456789012345678901234",
                        127))
            return;
    }
}

TEST(a_peer_that_pings_and_takes_no_answer_is_gone)
{
    struct websocket_message m;
    int r;

    fx.silence_ns = 600 * NS_PER_MS;
    open_with(flood_with_pings);
    r = websocket_receive(fx.ws, clock_mono_ns() + 20 * NS_PER_S, &m);
    assert_true(r == -ETIMEDOUT || r == -ECONNRESET);
}

static void take_nothing(struct peer *p)
{
    while (!atomic_load(&p->server->stop) && !fx.seen)
        usleep(10000);
}

TEST(a_peer_that_takes_nothing_does_not_hold_a_sender)
{
    int r = 0;

    open_with(take_nothing);
    for (int i = 0; i < 1000 && r == 0; i++)
        r = websocket_send(fx.ws, WS_BINARY, big, sizeof(big));
    fx.seen = true;
    assert_int_equal(r, -ETIMEDOUT);
}

static void *fire_later(void *arg)
{
    usleep(100000);
    cancel_fire(arg);
    return NULL;
}

TEST(a_cancel_ends_every_wait)
{
    struct cancel *cancel = cancel_new();
    struct websocket_message m;
    pthread_t thread;
    int r = 0;

    open_with(take_nothing);
    cancel_bind(cancel);
    pthread_create(&thread, NULL, fire_later, cancel);
    assert_int_equal(websocket_receive(fx.ws, INT64_MAX, &m), -EINTR);
    pthread_join(thread, NULL);
    for (int i = 0; i < 1000 && r == 0; i++)
        r = websocket_send(fx.ws, WS_BINARY, big, sizeof(big));
    assert_int_equal(r, -EINTR);
    fx.seen = true;
    fx.ws = websocket_free(fx.ws);
    http_response_done(&fx.response);
    assert_int_equal(open_ws(), -EINTR);
    fx.response = (struct http_response){0};
    cancel_bind(NULL);
    cancel_unref(cancel);
}

#define WS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WS_TEST(an_answer_that_is_no_websocket_is_told_apart),
        WS_TEST(a_handshake_without_end_is_given_up),
        WS_TEST(headers_without_end_are_refused),
        WS_TEST(nothing_listening_is_refused),
        WS_TEST(messages_arrive_whole_and_in_order),
        WS_TEST(many_small_messages_arrive_one_by_one),
        WS_TEST(what_is_sent_arrives_and_the_close_is_said),
        WS_TEST(threads_send_while_another_receives),
        WS_TEST(a_peer_that_breaks_the_rules_is_an_error),
        WS_TEST(a_silent_peer_that_answers_pings_is_waited_for),
        WS_TEST(a_peer_that_answers_no_pings_is_gone),
        WS_TEST(a_wait_ends_when_it_was_to_end),
        WS_TEST(a_peer_that_pings_and_takes_no_answer_is_gone),
        WS_TEST(a_peer_that_takes_nothing_does_not_hold_a_sender),
        WS_TEST(a_cancel_ends_every_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
