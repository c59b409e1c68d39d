/* Large uploads that give way to small requests. */
#include "unit.h"

#include "http/http.h"
#include "http/http_internal.h"
#include "loopback.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define EMPTY_200 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

enum { UPLOAD_LEN = 24 << 20, SLICE = 64 << 10 };

TEST(it_is_held_while_small_ones_come_and_pays_it_back)
{
    static const struct {
        int64_t at_ms;
        bool large, small, held;
    } steps[] = {
        {10000, false, true, false}, /* nobody to hold */
        {11000, true, false, false}, /* nobody to give way to */
        {11010, true, true, true},   /* a row begins */
        {11150, true, true, true},   /* an answer comes */
        {11170, true, false, true},  /* the next of the row may come */
        {11175, true, true, true},   /* and does */
        {11400, true, true, true},   /* it is long */
        {11411, true, true, false},  /* too long */
        {11505, true, true, false},  /* not yet again */
        {11512, true, true, true},   /* for as long as it went on */
        {11600, true, true, true},   /* and no longer */
        {11613, true, true, false},  /* than that */
        {12500, true, false, false}, /* calm */
        {12510, true, true, true},   /* one */
        {12560, true, false, false}, /* and no row */
        {12570, true, true, true},   /* but another */
        {12580, false, true, false}, /* the upload has ended */
    };
    struct yield y = {0};

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        const int64_t now_ns = steps[i].at_ms * NS_PER_MS;

        if (yield_look(&y, steps[i].large, steps[i].small, now_ns) != steps[i].held)
            fail_msg("at %d ms", (int)steps[i].at_ms);
        assert_true(!y.held || yield_until_ns(&y) > now_ns);
        assert_true(y.held || yield_until_ns(&y) == INT64_MAX);
    }
}

TEST(it_is_never_held_for_more_than_half_of_the_time)
{
    struct yield y = {0};
    int64_t held_ms = 0, row_ms = 0, longest_ms = 0;

    for (int64_t ms = 10000; ms < 20000; ms++) {
        row_ms = yield_look(&y, true, true, ms * NS_PER_MS) ? row_ms + 1 : 0;
        held_ms += y.held;
        longest_ms = row_ms > longest_ms ? row_ms : longest_ms;
    }
    assert_true(longest_ms <= YIELD_MAX_NS / NS_PER_MS);
    assert_true(held_ms <= 5000 + YIELD_MAX_NS / NS_PER_MS);
    assert_true(held_ms >= 4500); /* it is of use */
}

/* An upload as fast as a line of some 25 MB/s, and small requests beside it. */
struct scene {
    struct loopback server;
    struct http *http;
    char url[2][80];
    struct http_part part;
    struct http_request upload, small;
    bool silent;            /* no answer to small requests; else after 200 ms */
    atomic_ullong received; /* of the upload */

    /* the engine's until the upload is done */
    int64_t last_ns, gap_ns; /* when it was read last; the longest time between */
    atomic_ullong given;

    atomic_int done, r, status;
};

static bool take_upload(struct scene *s, struct peer *p)
{
    static const char end[] = "--\r\n";
    char bytes[SLICE], last[sizeof(end)] = "";
    ssize_t n;

    do {
        n = recv(p->fd, bytes, sizeof(bytes), 0);
        if (n <= 0)
            return false;
        atomic_fetch_add(&s->received, (unsigned long long)n);
        for (size_t i = n < 4 ? 0 : (size_t)n - 4; i < (size_t)n; i++) {
            memmove(last, last + 1, 3);
            last[3] = bytes[i];
        }
        cancel_sleep(2 * NS_PER_MS);
    } while (memcmp(last, end, 4) != 0);
    return true;
}

static void serve(struct peer *p, void *arg)
{
    struct scene *s = arg;
    char start[64] = "";
    struct loopback_request req;

    if (recv(p->fd, start, sizeof(start) - 1, MSG_PEEK) <= 0)
        return;
    if (strncmp(start, "POST /large", 11) == 0) {
        if (take_upload(s, p))
            peer_send(p, EMPTY_200);
        return;
    }
    while (peer_take(p, &req)) {
        loopback_request_done(&req);
        if (s->silent) {
            peer_wait_closed(p);
            return;
        }
        cancel_sleep(200 * NS_PER_MS);
        peer_send(p, EMPTY_200);
    }
}

static ssize_t read_upload(void *arg, uint64_t off, void *p, size_t n)
{
    struct scene *s = arg;
    const int64_t now_ns = clock_mono_ns();

    if (s->last_ns > 0 && now_ns - s->last_ns > s->gap_ns)
        s->gap_ns = now_ns - s->last_ns;
    s->last_ns = now_ns;
    memset(p, 'x', n);
    atomic_store(&s->given, off + n);
    return (ssize_t)n;
}

static void begin(struct scene *s)
{
    const struct http_config config = {.stall_timeout_ns = 10 * NS_PER_S, .max_attempts = 1};

    *s = (struct scene){0};
    loopback_start(&s->server, serve, s);
    assert_int_equal(http_new(&config, &s->http), 0);
    snprintf(s->url[0], sizeof(s->url[0]), "http://127.0.0.1:%u/large", s->server.port);
    snprintf(s->url[1], sizeof(s->url[1]), "http://127.0.0.1:%u/small", s->server.port);
    s->part = (struct http_part){
        .name = "file", .fd = -1, .len64 = UPLOAD_LEN, .read = read_upload, .read_arg = s};
    s->upload = (struct http_request){
        .name = "large", .method = "POST", .url = s->url[0], .parts = &s->part, .part_count = 1};
    s->small = (struct http_request){
        .name = "small", .method = "GET", .url = s->url[1], .flags = HTTP_NO_STALL};
}

static void on_done(void *arg, int r, struct http_response *response)
{
    struct scene *s = arg;

    atomic_store(&s->r, r);
    atomic_store(&s->status, response->status);
    http_response_done(response);
    atomic_store(&s->done, 1);
}

static void start_upload(struct scene *s)
{
    assert_int_equal(http_submit(s->http, &s->upload, on_done, s, NULL), 0);
    for (int i = 0; i < 1000 && atomic_load(&s->given) < UPLOAD_LEN / 16; i++)
        cancel_sleep(5 * NS_PER_MS);
    assert_true(atomic_load(&s->given) < UPLOAD_LEN);
}

/* All of it arrives, and it stood still for so long at least, by steps of no more than 2 s. */
static void end_upload(struct scene *s, int64_t held_ns)
{
    for (int i = 0; i < 1000 && !atomic_load(&s->done); i++)
        cancel_sleep(10 * NS_PER_MS);
    assert_int_equal(atomic_load(&s->done), 1);
    assert_int_equal(atomic_load(&s->r), 0);
    assert_int_equal(atomic_load(&s->status), 200);
    assert_true(atomic_load(&s->received) > UPLOAD_LEN);
    if (s->gap_ns < held_ns || s->gap_ns > YIELD_MAX_NS + 2 * NS_PER_S)
        fail_msg("it stood still for %d ms", (int)(s->gap_ns / NS_PER_MS));
}

static void end(struct scene *s)
{
    http_free(s->http);
    loopback_stop(&s->server);
}

TEST(an_upload_stands_still_for_a_small_request_and_goes_on)
{
    struct http_response res = {0};
    struct scene s;

    begin(&s);
    start_upload(&s);
    assert_int_equal(http_perform(s.http, &s.small, &res), 0);
    http_response_done(&res);
    end_upload(&s, 180 * NS_PER_MS);
    end(&s);
}

static void ignore(void *arg, int r, struct http_response *response)
{
    http_response_done(response);
}

/* Nor does the time count in which it was not allowed to move. */
TEST(a_small_request_without_end_does_not_stop_an_upload)
{
    struct scene s;

    begin(&s);
    s.silent = true;
    s.upload.stall_timeout_ns = 300 * NS_PER_MS;
    start_upload(&s);
    assert_int_equal(http_submit(s.http, &s.small, ignore, NULL, NULL), 0);
    end_upload(&s, 350 * NS_PER_MS);
    end(&s);
}

TEST(an_upload_that_begins_meanwhile_gives_way_too)
{
    struct http_request beside;
    struct scene s;

    begin(&s);
    s.silent = true;
    beside = s.small;
    assert_int_equal(http_submit(s.http, &s.upload, on_done, &s, NULL), 0);
    assert_int_equal(http_submit(s.http, &beside, ignore, NULL, NULL), 0);
    end_upload(&s, 0);
    end(&s);
}

TEST(what_is_small_itself_does_not)
{
    struct scene s;

    begin(&s);
    s.silent = true;
    s.part.len64 = YIELD_LARGE - 1;
    s.upload.total_timeout_ns = 2 * NS_PER_S;
    assert_int_equal(http_submit(s.http, &s.small, ignore, NULL, NULL), 0);
    assert_int_equal(http_submit(s.http, &s.upload, on_done, &s, NULL), 0);
    for (int i = 0; i < 1000 && !atomic_load(&s.done); i++)
        cancel_sleep(10 * NS_PER_MS);
    assert_int_equal(atomic_load(&s.r), 0);
    end(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_held_while_small_ones_come_and_pays_it_back),
        cmocka_unit_test(it_is_never_held_for_more_than_half_of_the_time),
        cmocka_unit_test(an_upload_stands_still_for_a_small_request_and_goes_on),
        cmocka_unit_test(a_small_request_without_end_does_not_stop_an_upload),
        cmocka_unit_test(an_upload_that_begins_meanwhile_gives_way_too),
        cmocka_unit_test(what_is_small_itself_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
