#include "unit.h"

#include "http/http.h"
#include "http/url.h"
#include "loopback.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define EMPTY(status) "HTTP/1.1 " status " x\r\nContent-Length: 0\r\n\r\n"

/* Bounds promised to users are 200 ms; a loaded machine gets ten times that. */
static const int64_t soon_ns = 2 * NS_PER_S;

struct seen {
    atomic_uint attempts;
    atomic_int status, err;
    atomic_ullong sent, received;
};

static void observe(void *arg, const struct http_attempt *a)
{
    struct seen *seen = arg;

    atomic_fetch_add(&seen->attempts, 1);
    atomic_store(&seen->status, a->status);
    atomic_store(&seen->err, a->err);
    atomic_store(&seen->sent, a->sent);
    atomic_store(&seen->received, a->received);
    if (strncmp(a->url, "http://", 7) != 0 || strcmp(a->name, "test") != 0)
        abort(); /* cmocka's assertions are for the test's own thread */
}

/* A server, a client with short deadlines, and a request to it. */
struct fixture {
    struct loopback server;
    struct http *http;
    struct seen seen;
    char url[80];
    char error[HTTP_ERROR_MAX];
    struct http_request req;
    struct http_response res;
};

static void begin(struct fixture *f, loopback_serve serve, void *arg)
{
    const struct http_config config = {.connect_timeout_ns = 5 * NS_PER_S,
                                       .stall_timeout_ns = 10 * NS_PER_S,
                                       .observe = observe,
                                       .observe_arg = &f->seen};

    *f = (struct fixture){0};
    loopback_start(&f->server, serve, arg);
    assert_int_equal(http_new(&config, &f->http), 0);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/x?y=z", f->server.port);
    f->req =
        (struct http_request){.name = "test", .method = "GET", .url = f->url, .error = f->error};
}

static int perform(struct fixture *f)
{
    http_response_done(&f->res);
    f->res = (struct http_response){0};
    return http_perform(f->http, &f->req, &f->res);
}

static void end(struct fixture *f)
{
    http_response_done(&f->res);
    http_free(f->http);
    loopback_stop(&f->server);
}

/* --- what servers do: arg is the text to answer with, unless said otherwise */

static void answer_all(struct peer *p, void *arg)
{
    struct loopback_request req;

    while (peer_take(p, &req)) {
        loopback_request_done(&req);
        peer_send(p, arg);
    }
}

static void answer_once(struct peer *p, void *arg)
{
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    peer_send(p, arg);
}

/* The first two requests get arg, the others a good answer. */
static void fail_twice(struct peer *p, void *arg)
{
    struct loopback_request req;

    while (peer_take(p, &req)) {
        loopback_request_done(&req);
        peer_send(p, atomic_load(&p->server->requests) <= 2 ? arg : OK_HELLO);
    }
}

/* Takes the request, then closes with a reset; from the third on, answers. */
static void reset_twice(struct peer *p, void *arg)
{
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    if (atomic_load(&p->server->requests) <= 2)
        peer_reset(p);
    else
        peer_send(p, OK_HELLO);
}

static void say_nothing(struct peer *p, void *arg)
{
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    peer_send(p, arg); /* or nearly nothing */
    peer_wait_closed(p);
}

/* Answers with what it got: "METHOD chunked|length BODY". */
static void echo(struct peer *p, void *arg)
{
    struct loopback_request req;
    struct buf out = BUF_INIT(64 << 20);

    while (peer_take(p, &req)) {
        buf_truncate(&out, 0);
        if (buf_printf(&out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Seen: %s %s %d\r\n\r\n",
                       req.body.len, req.method, req.chunked ? "chunked" : "length",
                       strcasestr(buf_str(&req.head), "\nExpect:") != NULL ||
                           strcasestr(buf_str(&req.head), "\nContent-Type:") != NULL) < 0 ||
            buf_append(&out, buf_str(&req.body), req.body.len) < 0)
            abort();
        loopback_request_done(&req);
        (void)peer_write(p, out.data, out.len);
    }
    buf_done(&out);
}

/* --- */

TEST(an_answer_comes_back_and_the_connection_is_kept)
{
    struct fixture f;
    char value[16], small[3];

    begin(&f, answer_all,
          "HTTP/1.1 103 Early\r\nX-A: early\r\n\r\n"
          "HTTP/1.1 200 OK\r\nX-A:  b c \r\nX-a: second\r\nContent-Length: 5\r\n\r\nhello");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(perform(&f), 0);
        assert_int_equal(f.res.status, 200);
        assert_string_equal(buf_str(&f.res.body), "hello");
        assert_int_equal(f.res.attempts, 1);
        assert_false(f.res.maybe_repeated);
    }
    assert_int_equal(atomic_load(&f.server.connections), 1);
    assert_true(http_response_header(&f.res, "x-a", value, sizeof(value)));
    assert_string_equal(value, "b c");
    assert_false(http_response_header(&f.res, "x-a", small, sizeof(small)));
    assert_false(http_response_header(&f.res, "x", value, sizeof(value)));
    assert_int_equal(atomic_load(&f.seen.attempts), 3);
    assert_in_range(atomic_load(&f.seen.received), 98, 104); /* all of it, give or take a CRLF */
    assert_true(atomic_load(&f.seen.sent) > 50 && atomic_load(&f.seen.sent) < 200);
    end(&f);
}

TEST(bodies_are_sent_with_their_length_or_chunked)
{
    static const struct {
        const char *method;
        size_t len;
        unsigned flags;
        const char *want;
    } cases[] = {
        {"POST", 0, 0, "POST length 0"},
        {"POST", 7, 0, "POST length 0"},
        {"PUT", 300000, 0, "PUT length 0"},
        {"DELETE", 7, 0, "DELETE length 0"},
        {"POST", 7, HTTP_CHUNKED, "POST chunked 0"},
        {"POST", 0, HTTP_CHUNKED, "POST chunked 0"},
        {"POST", 3000000, HTTP_CHUNKED, "POST chunked 0"},
    };
    char *body = malloc(3000000), seen[40];
    struct fixture f;

    for (size_t i = 0; i < 3000000; i++)
        body[i] = (char)(i * 31 >> 3);
    begin(&f, echo, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        f.req.method = cases[i].method;
        f.req.flags = cases[i].flags;
        f.req.body = body;
        f.req.body_len = cases[i].len;
        f.req.body_max = 4000000;
        assert_int_equal(perform(&f), 0);
        assert_true(http_response_header(&f.res, "x-seen", seen, sizeof(seen)));
        assert_string_equal(seen, cases[i].want);
        assert_int_equal(f.res.body.len, cases[i].len);
        assert_memory_equal(buf_str(&f.res.body), body, cases[i].len);
        assert_true(atomic_load(&f.seen.sent) >= cases[i].len);
        assert_true(atomic_load(&f.seen.sent) <= cases[i].len + cases[i].len / 100 + 400);
    }
    f.req.body = NULL;
    f.req.flags = 0;
    assert_int_equal(perform(&f), 0); /* no body at all is a length of 0 */
    assert_true(http_response_header(&f.res, "x-seen", seen, sizeof(seen)));
    assert_string_equal(seen, "POST length 0");
    assert_int_equal(atomic_load(&f.server.connections), 1);
    end(&f);
    free(body);
}

TEST(parts_come_from_memory_and_files)
{
    static const char *const wants[] = {"name=\"p\"\r\n\r\n a\nb \r\n",
                                        "name=\"f\"; filename=\"x\"\r\n", "\r\n\r\n34567\r\n--"};
    char path[] = "/tmp/test_http.XXXXXX", seen[40];
    const int fd = mkstemp(path);
    struct http_part parts[] = {
        {.name = "p", .data = " a\nb ", .len = 5},
        {.name = "f", .filename = "x", .fd = fd, .off = 3, .len64 = 5},
        {.name = "empty", .filename = "y", .data = "", .len = 0},
    };
    struct fixture f;

    unlink(path);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    begin(&f, echo, NULL);
    f.req.method = "POST";
    f.req.parts = parts;
    f.req.part_count = ARRAY_LEN(parts);
    for (unsigned flags = 0; flags <= HTTP_CHUNKED; flags += HTTP_CHUNKED) {
        f.req.flags = flags;
        assert_int_equal(perform(&f), 0);
        assert_true(http_response_header(&f.res, "x-seen", seen, sizeof(seen)));
        assert_string_equal(seen, flags ? "POST chunked 1" : "POST length 1");
        for (size_t i = 0; i < ARRAY_LEN(wants); i++)
            assert_non_null(strstr(buf_str(&f.res.body), wants[i]));
    }
    parts[1].len64 = 8; /* one more than there is */
    assert_int_equal(perform(&f), -EIO);
    parts[1].fd = -1;
    assert_int_equal(perform(&f), -EBADF);
    assert_int_equal(atomic_load(&f.server.requests), 2);
    end(&f);
    close(fd);
}

struct sunk {
    struct buf bytes;
    unsigned starts;
    int err; /* says this after the first bytes */
};

static int sink(void *arg, uint64_t off, const void *p, size_t n)
{
    struct sunk *s = arg;

    if (off == 0) {
        buf_truncate(&s->bytes, 0);
        s->starts++;
    }
    if (off != s->bytes.len || buf_append(&s->bytes, p, n) < 0)
        abort();
    return s->err;
}

static void cut_first(struct peer *p, void *arg)
{
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    peer_send(p, atomic_load(&p->server->requests) == 1
                     ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"
                     : OK_HELLO);
}

TEST(a_cut_body_is_fetched_again_from_its_start)
{
    struct sunk sunk = {.bytes = BUF_INIT(100)};
    struct fixture f;

    begin(&f, cut_first, NULL);
    f.req.sink = sink;
    f.req.sink_arg = &sunk;
    assert_int_equal(perform(&f), -ECONNRESET);
    f.server.requests = 0;
    f.req.flags = HTTP_IDEMPOTENT;
    assert_int_equal(perform(&f), 0);
    assert_int_equal(f.res.attempts, 2);
    assert_true(f.res.maybe_repeated);
    assert_int_equal(sunk.starts, 3);
    assert_string_equal(buf_str(&sunk.bytes), "hello");
    assert_int_equal(f.res.body.len, 0);

    sunk.err = -ENOSPC;
    assert_int_equal(perform(&f), -ENOSPC);
    assert_int_equal(sunk.starts, 4); /* what the sink says is no reason to ask again */
    end(&f);
    buf_done(&sunk.bytes);
}

TEST(a_cut_chunked_body_is_no_success)
{
    struct fixture f;

    begin(&f, answer_once, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    assert_int_equal(perform(&f), -ECONNRESET);
    assert_true(f.error[0] != '\0');
    end(&f);
}

TEST(only_what_may_run_twice_is_sent_again)
{
    static const struct {
        loopback_serve serve;
        const char *arg;
        unsigned flags;
        int err, status;
        unsigned requests;
        bool repeated;
    } cases[] = {
        {reset_twice, NULL, 0, -ECONNRESET, 0, 1, false},
        {reset_twice, NULL, HTTP_IDEMPOTENT, 0, 200, 3, true},
        {reset_twice, NULL, HTTP_IDEMPOTENT | HTTP_NO_RETRY, -ECONNRESET, 0, 1, false},
        {fail_twice, EMPTY("502"), 0, 0, 502, 1, false},
        {fail_twice, EMPTY("502"), HTTP_IDEMPOTENT, 0, 200, 3, true},
        {fail_twice, EMPTY("503"), HTTP_IDEMPOTENT, 0, 200, 3, true},
        {fail_twice, EMPTY("503"), HTTP_IDEMPOTENT | HTTP_NO_RETRY, 0, 503, 1, false},
        {fail_twice, EMPTY("500"), HTTP_IDEMPOTENT, 0, 500, 1, false},
        {fail_twice, "HTTP/1.1 502 x\r\nContent-Length: 2\r\n\r\n{}", HTTP_IDEMPOTENT, 0, 502, 1,
         false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        int r;

        begin(&f, cases[i].serve, (void *)cases[i].arg);
        f.req.flags = cases[i].flags;
        f.req.method = "POST";
        f.req.body = "x";
        f.req.body_len = 1;
        r = perform(&f);
        if (r != cases[i].err || f.res.status != cases[i].status ||
            atomic_load(&f.server.requests) != cases[i].requests ||
            f.res.maybe_repeated != cases[i].repeated ||
            atomic_load(&f.seen.attempts) != cases[i].requests)
            fail_msg("case %zu: %d, status %d, %u requests", i, r, f.res.status,
                     atomic_load(&f.server.requests));
        end(&f);
    }
}

TEST(what_was_limited_is_sent_again_when_the_server_says)
{
    struct fixture f;
    int64_t start_ns;

    begin(&f, fail_twice,
          "HTTP/1.1 429 x\r\nRetry-After-sandbox-create: 1\r\nRetry-After: 0\r\n"
          "Content-Length: 0\r\n\r\n");
    f.req.method = "POST";
    start_ns = clock_mono_ns();
    assert_int_equal(perform(&f), 0);
    assert_int_equal(f.res.status, 200);
    assert_int_equal(f.res.attempts, 3);
    assert_false(f.res.maybe_repeated);
    assert_true(clock_mono_ns() - start_ns >= 2 * NS_PER_S);
    end(&f);

    begin(&f, fail_twice, "HTTP/1.1 429 x\r\nRetry-After: 31\r\nContent-Length: 2\r\n\r\n{}");
    assert_int_equal(perform(&f), 0);
    assert_int_equal(f.res.status, 429); /* for the caller to decide */
    assert_string_equal(buf_str(&f.res.body), "{}");
    assert_int_equal(f.res.attempts, 1);
    end(&f);
}

/* Answers one request on each connection, takes a second, and closes without a word. */
static void forget_the_second(struct peer *p, void *arg)
{
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    peer_send(p, OK_HELLO);
    if (peer_take(p, &req))
        loopback_request_done(&req);
}

TEST(a_kept_connection_that_closes_is_not_a_reason_to_run_twice)
{
    static const struct {
        const char *method, *body;
        unsigned flags;
    } cases[] = {
        {"POST", "x", 0}, {"POST", NULL, 0}, {"DELETE", NULL, 0}, {"POST", "x", HTTP_CHUNKED}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;

        begin(&f, forget_the_second, NULL);
        f.req.method = cases[i].method;
        f.req.body = cases[i].body;
        f.req.body_len = 1;
        f.req.flags = cases[i].flags;
        assert_int_equal(perform(&f), 0);
        assert_int_equal(perform(&f), -ECONNRESET);
        assert_int_equal(atomic_load(&f.server.requests), 2);

        f.req.flags |= HTTP_IDEMPOTENT;
        f.server.requests = 0;
        assert_int_equal(perform(&f), 0);
        assert_int_equal(perform(&f), 0);
        assert_true(f.res.maybe_repeated);
        assert_int_equal(atomic_load(&f.server.requests), 3);
        end(&f);
    }
}

/* Answers one request on each connection and closes it soon after. */
static void close_between(struct peer *p, void *arg)
{
    answer_once(p, arg);
}

TEST(a_connection_closed_between_requests_does_no_harm)
{
    struct fixture f;

    begin(&f, close_between, OK_HELLO);
    f.req.method = "POST";
    for (int i = 0; i < 10; i++) {
        assert_int_equal(perform(&f), 0);
        assert_int_equal(cancel_sleep(20 * NS_PER_MS), 0); /* time for its FIN to arrive */
    }
    assert_int_equal(atomic_load(&f.server.connections), 10);
    assert_int_equal(atomic_load(&f.server.requests), 10);
    end(&f);
}

static void flood_headers(struct peer *p, void *arg)
{
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    peer_send(p, "HTTP/1.1 200 OK\r\n");
    while (peer_write(p, arg, strlen(arg)))
        ;
}

static void flood_body(struct peer *p, void *arg)
{
    static const char zeros[65536];
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    peer_send(p, arg);
    while (peer_write(p, zeros, sizeof(zeros)))
        ;
}

TEST(floods_end_at_a_ceiling)
{
    static const struct {
        loopback_serve serve;
        const char *arg;
        int err, status;
        size_t body;
    } cases[] = {
        {flood_headers, "X-Header: some value or other\r\n", -EFBIG, 0, 0},
        {flood_headers, "\r\nHTTP/1.1 100 Continue\r\n", -EFBIG, 0, 0},
        {flood_body, "HTTP/1.1 200 OK\r\n\r\n", -EFBIG, 0, 0},
        {flood_body, "HTTP/1.1 404 x\r\n\r\n", 0, 404, 64 << 10},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;

        begin(&f, cases[i].serve, (void *)cases[i].arg);
        f.req.flags = HTTP_IDEMPOTENT;
        assert_int_equal(perform(&f), cases[i].err);
        assert_int_equal(f.res.status, cases[i].status);
        assert_int_equal(f.res.body.len, cases[i].body);
        assert_int_equal(atomic_load(&f.seen.attempts), 1);
        end(&f);
    }
}

TEST(a_header_line_without_end_is_refused)
{
    struct fixture f;

    begin(&f, flood_headers, "X-Header");
    assert_true(perform(&f) < 0);
    assert_int_equal(atomic_load(&f.seen.attempts), 1);
    end(&f);
}

TEST(garbage_is_not_http)
{
    static const char *const bad[] = {"SSH-2.0-OpenSSH_9\r\n",
                                      "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
                                      "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct fixture f;
        int r;

        begin(&f, answer_once, (void *)bad[i]);
        f.req.flags = HTTP_IDEMPOTENT;
        r = perform(&f);
        if (r != -EPROTO)
            fail_msg("%s: %d %s", bad[i], r, f.error);
        end(&f);
    }
}

TEST(nobody_listens)
{
    struct loopback s;
    struct fixture f;

    begin(&f, answer_all, OK_HELLO);
    loopback_start(&s, answer_all, OK_HELLO);
    loopback_stop(&s);
    snprintf(f.url, sizeof(f.url), "http://127.0.0.1:%u/", s.port);
    f.req.method = "POST";
    assert_int_equal(perform(&f), -ECONNREFUSED);
    assert_int_equal(atomic_load(&f.seen.attempts), 4); /* it never reached anyone */
    assert_int_equal(atomic_load(&f.seen.sent), 0);
    assert_non_null(strstr(f.error, "connect"));
    end(&f);
}

struct outcome {
    atomic_int done, r;
    struct http_response res;
};

static void on_done(void *arg, int r, struct http_response *response)
{
    struct outcome *o = arg;

    o->res = *response;
    atomic_store(&o->r, r);
    atomic_fetch_add(&o->done, 1);
}

static void await(struct outcome *o)
{
    for (int i = 0; i < 1000 && atomic_load(&o->done) == 0; i++)
        cancel_sleep(10 * NS_PER_MS);
    assert_int_equal(atomic_load(&o->done), 1);
}

/* The resolver that curl finds: slow for one name, and knows no other. */
__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret)
{
    if (strcmp(node, "slow.test") == 0)
        sleep(3);
    return EAI_NONAME;
}

TEST(a_name_nobody_knows)
{
    struct fixture f;

    begin(&f, answer_all, OK_HELLO);
    f.req.url = "http://unknown.test/";
    assert_int_equal(perform(&f), -EHOSTUNREACH);
    assert_non_null(strstr(f.error, "unknown.test"));
    end(&f);
}

TEST(a_slow_name_server_holds_nothing_up)
{
    struct http_request slow = {.name = "test", .method = "GET", .url = "http://slow.test/"};
    const int64_t start_ns = clock_mono_ns();
    struct outcome o = {0};
    struct http_call *call;
    struct fixture f;

    begin(&f, answer_all, OK_HELLO);
    assert_int_equal(http_submit(f.http, &slow, on_done, &o, &call), 0);
    cancel_sleep(50 * NS_PER_MS);
    assert_int_equal(perform(&f), 0); /* others go on */
    http_cancel(call);
    await(&o);
    http_call_unref(call);
    assert_int_equal(atomic_load(&o.r), -EINTR);
    assert_int_equal(perform(&f), 0);
    end(&f);
    assert_true(clock_mono_ns() - start_ns < soon_ns);
}

/* Connects until nobody answers any more; how often. A connect that is only on its way would leave
 * room for the next. */
static size_t fill_backlog(const struct sockaddr_in *addr, int *fillers, size_t max)
{
    for (size_t i = 0; i < max; i++) {
        struct pollfd p = {.events = POLLOUT};

        p.fd = fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(p.fd, (const struct sockaddr *)addr, sizeof(*addr));
        if (poll(&p, 1, 200) == 0)
            return i + 1;
    }
    fail_msg("the backlog has no end");
    return 0;
}

TEST(a_connection_that_is_not_answered_ends)
{
    const struct http_config config = {.connect_timeout_ns = 300 * NS_PER_MS};
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(addr);
    struct http_response res;
    struct http *h;
    int64_t start_ns;
    size_t filled;
    int listener, fillers[8];
    char url[64];

    listener = socket(AF_INET, SOCK_STREAM, 0); /* a full backlog drops what comes */
    assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
    filled = fill_backlog(&addr, fillers, ARRAY_LEN(fillers));
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(addr.sin_port));
    assert_int_equal(http_new(&config, &h), 0);
    start_ns = clock_mono_ns();
    assert_int_equal(
        http_perform(h, &(struct http_request){.name = "test", .method = "GET", .url = url}, &res),
        -ETIMEDOUT);
    assert_true(clock_mono_ns() - start_ns >= 290 * NS_PER_MS); /* curl's clock has whole ms */
    assert_true(clock_mono_ns() - start_ns < soon_ns);          /* and is not tried four times */
    http_free(h);
    for (size_t i = 0; i < filled; i++)
        close(fillers[i]);
    close(listener);
}

static void redirect(struct peer *p, void *arg)
{
    struct loopback_request req;
    char text[256];

    while (peer_take(p, &req)) {
        const int n = atomic_load(&p->server->requests);
        const char *location = arg;

        snprintf(text, sizeof(text), "HTTP/1.1 %s x\r\nLocation: %s\r\nContent-Length: 1\r\n\r\n-",
                 n == 1 ? "301" : "308", location);
        if (strcmp(req.target, "/new?q=1") == 0)
            snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s%s",
                     strlen(req.method) + req.body.len, req.method, buf_str(&req.body));
        loopback_request_done(&req);
        peer_send(p, text);
    }
}

TEST(redirects_stay_at_home)
{
    static const char *const away[] = {"http://localhost:1/new", "https://127.0.0.1/new",
                                       "//evil.example/new", "ftp://127.0.0.1/", "http://[bad"};
    struct fixture f;

    begin(&f, redirect, "/new?q=1");
    f.req.method = "POST";
    f.req.body = "abc";
    f.req.body_len = 3;
    assert_int_equal(perform(&f), 0);
    assert_int_equal(f.res.status, 200);
    assert_string_equal(buf_str(&f.res.body), "POSTabc");
    assert_int_equal(f.res.attempts, 1);
    end(&f);

    begin(&f, redirect, "/again"); /* for ever */
    assert_int_equal(perform(&f), 0);
    assert_int_equal(f.res.status, 308);
    assert_int_equal(atomic_load(&f.server.requests), 4);
    end(&f);

    for (size_t i = 0; i < ARRAY_LEN(away); i++) {
        begin(&f, redirect, (void *)away[i]);
        assert_int_equal(perform(&f), 0);
        assert_int_equal(f.res.status, 301);
        assert_int_equal(atomic_load(&f.server.requests), 1);
        end(&f);
    }
}

TEST(a_wait_without_progress_ends)
{
    struct fixture f;
    int64_t start_ns = clock_mono_ns();

    begin(&f, say_nothing, "");
    f.req.stall_timeout_ns = 100 * NS_PER_MS;
    assert_int_equal(perform(&f), -ETIMEDOUT);
    assert_int_equal(atomic_load(&f.seen.attempts), 1);
    f.req.flags = HTTP_IDEMPOTENT; /* what could be repeated ends as soon */
    assert_int_equal(perform(&f), -ETIMEDOUT);
    assert_int_equal(atomic_load(&f.seen.attempts), 2);
    end(&f);

    begin(&f, say_nothing, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    f.req.stall_timeout_ns = 100 * NS_PER_MS;
    assert_int_equal(perform(&f), -ETIMEDOUT);
    end(&f);
    assert_true(clock_mono_ns() - start_ns < 4 * soon_ns);
}

/* Each connection is dead after its first answer, which comes when there are two of them. */
static void answer_one_each(struct peer *p, void *arg)
{
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    for (int i = 0; i < 100 && atomic_load(&p->server->requests) < 2; i++)
        cancel_sleep(20 * NS_PER_MS);
    peer_send(p, OK_HELLO);
    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    peer_wait_closed(p);
}

static void *perform_once(void *arg)
{
    struct fixture *f = arg;
    struct http_response res = {0};

    assert_int_equal(http_perform(f->http, &f->req, &res), 0);
    http_response_done(&res);
    return NULL;
}

TEST(of_several_dead_connections_only_the_first_is_waited_for)
{
    struct fixture f;
    pthread_t other;

    begin(&f, answer_one_each, NULL);
    assert_int_equal(pthread_create(&other, NULL, perform_once, &f), 0);
    assert_int_equal(perform(&f), 0);
    pthread_join(other, NULL);
    assert_int_equal(atomic_load(&f.server.connections), 2);
    f.req.stall_timeout_ns = 100 * NS_PER_MS;
    assert_int_equal(perform(&f), -ETIMEDOUT);
    assert_int_equal(perform(&f), 0);
    assert_int_equal(atomic_load(&f.server.connections), 3);
    end(&f);
}

/* A byte each 50 ms: slow, but alive. */
static void drip(struct peer *p, void *arg)
{
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    peer_send(p, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        cancel_sleep(50 * NS_PER_MS);
        peer_send(p, "x");
    }
}

TEST(slow_is_not_stalled_but_may_take_too_long)
{
    struct fixture f;

    begin(&f, drip, NULL);
    f.req.stall_timeout_ns = 400 * NS_PER_MS;
    assert_int_equal(perform(&f), 0);
    assert_int_equal(f.res.body.len, 10);
    f.req.total_timeout_ns = 200 * NS_PER_MS;
    f.req.flags = HTTP_IDEMPOTENT;
    assert_int_equal(perform(&f), -ETIMEDOUT);
    assert_int_equal(atomic_load(&f.seen.attempts), 2);
    end(&f);
}

static void answer_late(struct peer *p, void *arg)
{
    struct loopback_request req;

    if (!peer_take(p, &req))
        return;
    loopback_request_done(&req);
    cancel_sleep(400 * NS_PER_MS);
    peer_send(p, arg);
}

TEST(an_answer_may_take_its_time_when_asked_to)
{
    struct fixture f;

    begin(&f, answer_late, OK_HELLO);
    f.req.stall_timeout_ns = 100 * NS_PER_MS;
    f.req.flags = HTTP_NO_STALL;
    assert_int_equal(perform(&f), 0);
    end(&f);
}

/* Takes the head and then reads nothing. */
static void read_nothing(struct peer *p, void *arg)
{
    while (!atomic_load(&p->server->stop))
        cancel_sleep(10 * NS_PER_MS);
}

TEST(an_upload_nobody_reads_ends)
{
    const size_t len = 32 << 20;
    struct fixture f;
    char *body = calloc(1, len);

    begin(&f, read_nothing, NULL);
    f.req.method = "POST";
    f.req.body = body;
    f.req.body_len = len;
    f.req.stall_timeout_ns = 300 * NS_PER_MS;
    assert_int_equal(perform(&f), -ETIMEDOUT);
    assert_true(atomic_load(&f.seen.sent) < len);
    end(&f);
    free(body);
}

struct firing {
    struct cancel *cancel;
    int64_t after_ns, at_ns;
};

static void *fire(void *arg)
{
    struct firing *f = arg;

    cancel_sleep(f->after_ns);
    f->at_ns = clock_mono_ns();
    cancel_fire(f->cancel);
    return NULL;
}

TEST(cancelling_ends_any_wait)
{
    static const struct {
        loopback_serve serve;
        const char *arg;
    } cases[] = {
        {say_nothing, ""},
        {say_nothing, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"},
        {answer_all, "HTTP/1.1 429 x\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct firing firing = {.cancel = cancel_new(), .after_ns = 100 * NS_PER_MS};
        struct fixture f;
        pthread_t thread;

        begin(&f, cases[i].serve, (void *)cases[i].arg);
        f.req.flags = HTTP_IDEMPOTENT | HTTP_NO_STALL;
        cancel_bind(firing.cancel);
        pthread_create(&thread, NULL, fire, &firing);
        assert_int_equal(perform(&f), -EINTR);
        pthread_join(thread, NULL);
        assert_true(clock_mono_ns() - firing.at_ns < soon_ns);
        assert_int_equal(perform(&f), -EINTR); /* it stays fired */
        cancel_bind(NULL);
        cancel_unref(firing.cancel);
        end(&f);
    }
}

static int add_received(void *arg, uint64_t off, const void *p, size_t n)
{
    atomic_uint *received = arg;

    atomic_fetch_add(received, (unsigned)n);
    return 0;
}

TEST(a_submitted_call_can_be_cancelled_in_the_middle_of_its_answer)
{
    struct outcome o = {0};
    atomic_uint received = 0;
    struct http_call *call;
    struct fixture f;

    begin(&f, say_nothing, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    f.req.sink = add_received;
    f.req.sink_arg = &received;
    assert_int_equal(http_submit(f.http, &f.req, on_done, &o, &call), 0);
    for (int i = 0; i < 500 && atomic_load(&received) < 3; i++)
        cancel_sleep(10 * NS_PER_MS);
    assert_int_equal(atomic_load(&received), 3);
    assert_int_equal(atomic_load(&o.done), 0);
    http_cancel(call);
    await(&o);
    assert_int_equal(atomic_load(&o.r), -EINTR);
    http_cancel(call); /* too late, and harmless */
    end(&f);
    http_cancel(call); /* even now */
    http_call_unref(call);
}

TEST(freeing_ends_what_is_under_way)
{
    enum { CALLS = 3 };
    static const char *const answers[CALLS] = {"", "HTTP/1.1 200 OK\r\n\r\nx", EMPTY("429")};
    struct outcome o[CALLS] = {0};
    struct http_request req[CALLS];
    struct fixture f[CALLS];

    for (int i = 0; i < CALLS; i++) {
        begin(&f[i], i < 2 ? say_nothing : answer_all, (void *)answers[i]);
        req[i] = f[i].req;
        assert_int_equal(http_submit(f[i].http, &req[i], on_done, &o[i], NULL), 0);
    }
    cancel_sleep(100 * NS_PER_MS);
    for (int i = 0; i < CALLS; i++) {
        end(&f[i]);
        assert_int_equal(atomic_load(&o[i].done), 1);
        assert_int_equal(atomic_load(&o[i].r), -ECANCELED);
    }
}

enum { PARALLEL = 100, ROUNDS = 3 };

static void *perform_many(void *arg)
{
    struct fixture *f = arg;
    struct http_request req = f->req;
    unsigned good = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct http_response res;

        if (http_perform(f->http, &req, &res) == 0) {
            good += res.status == 200 && strcmp(buf_str(&res.body), "hello") == 0;
            http_response_done(&res);
        }
    }
    return (void *)(uintptr_t)good;
}

TEST(a_hundred_at_once)
{
    pthread_t threads[PARALLEL];
    struct fixture f;
    uintptr_t good = 0;
    void *got;

    begin(&f, answer_all, OK_HELLO);
    for (size_t i = 0; i < PARALLEL; i++)
        pthread_create(&threads[i], NULL, perform_many, &f);
    for (size_t i = 0; i < PARALLEL; i++) {
        pthread_join(threads[i], &got);
        good += (uintptr_t)got;
    }
    assert_int_equal(good, PARALLEL * ROUNDS);
    assert_int_equal(atomic_load(&f.seen.attempts), PARALLEL * ROUNDS);
    end(&f);
}

TEST(a_proxy_of_the_environment_is_not_for_loopback)
{
    struct fixture f;

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    begin(&f, answer_all, OK_HELLO);
    assert_int_equal(perform(&f), 0);
    end(&f);
    unsetenv("http_proxy");
}

TEST(urls_that_will_not_do_are_refused)
{
    static const char *const bad[] = {"",
                                      "/x",
                                      "file:///etc/passwd",
                                      "ftp://127.0.0.1/",
                                      "http://u:p@127.0.0.1/",
                                      "http://127.0.0.1:99999/",
                                      "gopher://127.0.0.1/"};
    struct fixture f;

    begin(&f, answer_all, OK_HELLO);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        f.req.url = bad[i];
        assert_int_equal(perform(&f), -EINVAL);
    }
    assert_int_equal(atomic_load(&f.server.connections), 0);
    end(&f);
}

TEST(urls_are_put_together_and_judged)
{
    static const struct {
        const char *url;
        bool valid, safe, loopback;
    } urls[] = {
        {"https://app.daytona.io/api", true, true, false},
        {"http://app.daytona.io/api", true, false, false},
        {"http://127.0.0.1:3000/", true, true, true},
        {"http://127.1.2.3/", true, true, true},
        {"http://LOCALHOST/", true, true, true},
        {"http://[::1]:8/", true, true, true},
        {"http://localhost.evil.example/", true, false, false},
        {"http://127.0.0.1.evil.example/", true, false, false},
        {"http://127.0.0.1@evil.example/", false, false, false},
        {"http://0.0.0.0/", true, false, false},
        {"http://[::2]/", true, false, false},
        {"ws://127.0.0.1/", false, false, false},
        {"localhost:3000", false, false, false},
        {"", false, false, false},
    };
    struct buf b = BUF_INIT(100);

    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        if (url_is_valid(urls[i].url) != urls[i].valid ||
            url_is_safe(urls[i].url) != urls[i].safe ||
            url_is_loopback(urls[i].url) != urls[i].loopback)
            fail_msg("%s", urls[i].url);
    }
    assert_true(url_same_origin("http://a/x", "HTTP://A:80/y"));
    assert_false(url_same_origin("http://a/x", "https://a/x"));
    assert_false(url_same_origin("http://a/x", "http://a:81/x"));
    assert_false(url_same_origin("http://a/x", "http://b/x"));

    assert_int_equal(buf_puts(&b, "http://a/b"), 0);
    assert_int_equal(url_query(&b, "none", NULL), 0);
    assert_int_equal(url_query(&b, "path", "/a b\xff%\n~"), 0);
    assert_int_equal(url_query(&b, "n", ""), 0);
    assert_string_equal(buf_str(&b), "http://a/b?path=%2Fa%20b%FF%25%0A~&n=");
    b.max = b.len + 5;
    assert_int_equal(url_query(&b, "k", "//"), -EFBIG);
    assert_string_equal(buf_str(&b), "http://a/b?path=%2Fa%20b%FF%25%0A~&n=");
    buf_done(&b);
}

TEST(statuses_have_an_errno)
{
    static const struct {
        int status, err;
    } cases[] = {{200, 0},       {206, 0},       {301, -EPROTO},    {400, -EINVAL},
                 {401, -EACCES}, {404, -ENOENT}, {409, -EEXIST},    {418, -EINVAL},
                 {429, -EAGAIN}, {500, -EIO},    {502, -EHOSTDOWN}, {599, -EIO},
                 {0, -EPROTO},   {100, -EPROTO}, {-1, -EPROTO},     {999, -EPROTO}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(http_status_errno(cases[i].status), cases[i].err);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_back_and_the_connection_is_kept),
        cmocka_unit_test(bodies_are_sent_with_their_length_or_chunked),
        cmocka_unit_test(parts_come_from_memory_and_files),
        cmocka_unit_test(a_cut_body_is_fetched_again_from_its_start),
        cmocka_unit_test(a_cut_chunked_body_is_no_success),
        cmocka_unit_test(only_what_may_run_twice_is_sent_again),
        cmocka_unit_test(what_was_limited_is_sent_again_when_the_server_says),
        cmocka_unit_test(a_kept_connection_that_closes_is_not_a_reason_to_run_twice),
        cmocka_unit_test(a_connection_closed_between_requests_does_no_harm),
        cmocka_unit_test(floods_end_at_a_ceiling),
        cmocka_unit_test(a_header_line_without_end_is_refused),
        cmocka_unit_test(garbage_is_not_http),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(a_name_nobody_knows),
        cmocka_unit_test(a_slow_name_server_holds_nothing_up),
        cmocka_unit_test(a_connection_that_is_not_answered_ends),
        cmocka_unit_test(redirects_stay_at_home),
        cmocka_unit_test(a_wait_without_progress_ends),
        cmocka_unit_test(of_several_dead_connections_only_the_first_is_waited_for),
        cmocka_unit_test(slow_is_not_stalled_but_may_take_too_long),
        cmocka_unit_test(an_answer_may_take_its_time_when_asked_to),
        cmocka_unit_test(an_upload_nobody_reads_ends),
        cmocka_unit_test(cancelling_ends_any_wait),
        cmocka_unit_test(a_submitted_call_can_be_cancelled_in_the_middle_of_its_answer),
        cmocka_unit_test(freeing_ends_what_is_under_way),
        cmocka_unit_test(a_hundred_at_once),
        cmocka_unit_test(a_proxy_of_the_environment_is_not_for_loopback),
        cmocka_unit_test(urls_that_will_not_do_are_refused),
        cmocka_unit_test(urls_are_put_together_and_judged),
        cmocka_unit_test(statuses_have_an_errno),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
