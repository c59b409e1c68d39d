/* How fast large uploads go: against a line that is simulated, and beside real requests. */
#include "unit.h"

#include "http/http.h"
#include "http/pace.h"
#include "loopback.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define EMPTY_200 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* ---- a line with a buffer ---- */

enum { BODIES = 4, KERNEL = 256 << 10, PACKET = 16 << 10 };
#define STEP_NS (NS_PER_MS / 5)

struct line {
    const char *name;
    double mbit[3];   /* until from_s[0], until from_s[1], and then */
    double from_s[2]; /* 0: never */
    double seconds;
    double rtt_ms, buffer_ms;
    unsigned bodies;
    double body_mib;
    double slow_ms;  /* the server takes so long by itself */
    double noise_ms; /* and up to so much more */
    double other;    /* another's part, who fills the buffer as far as it can, from 10 s to 20 s */
    bool unpaced;

    /* of the time after 3 s */
    double least;   /* of what it could carry, in percent */
    double wait_ms; /* 95 percent of the time what comes in between waits for no more */
    double calm_s;  /* only from then on that counts */
};

struct upload {
    struct pace_mark mark;
    double left, kernel;
    enum { IDLE, SENDS, SENT, ARRIVES } state;
    int64_t due_ns;
};

struct run {
    const struct line *line;
    struct pace pace;
    struct upload uploads[BODIES];
    int64_t start_ns, now_ns;
    double free_ns; /* when the line will have sent all it was given */
    double carried, could;
    unsigned seed;
    unsigned waits[1000]; /* by ms */
    unsigned steps;
};

static double chance(struct run *r)
{
    r->seed = r->seed * 1103515245U + 12345U;
    return (r->seed >> 8 & 0xffff) / 65536.0;
}

static double seconds(const struct run *r)
{
    return (double)(r->now_ns - r->start_ns) / NS_PER_S;
}

/* Bytes per ns. */
static double rate_at(const struct line *l, double s)
{
    const int i = l->from_s[1] > 0 && s >= l->from_s[1] ? 2 : l->from_s[0] > 0 && s >= l->from_s[0];

    return l->mbit[i] / 8e3;
}

static double waiting(const struct run *r)
{
    return r->free_ns > (double)r->now_ns ? r->free_ns - (double)r->now_ns : 0;
}

static void put(struct run *r, double bytes)
{
    r->free_ns = (double)r->now_ns + waiting(r) + bytes / rate_at(r->line, seconds(r));
}

static bool full(const struct run *r)
{
    return waiting(r) >= (r->line->buffer_ms > 0 ? r->line->buffer_ms : 100) * NS_PER_MS;
}

static void hand_over(struct run *r, struct upload *u)
{
    double n = KERNEL - u->kernel;
    const size_t room = r->line->unpaced ? SIZE_MAX : pace_room(&r->pace, r->now_ns);

    n = n < (double)room ? n : (double)room;
    n = n < u->left ? n : u->left;
    if (n < 1 && u->left >= 1)
        return;
    pace_sent(&r->pace, (size_t)n, r->now_ns);
    u->left -= n;
    u->kernel += n;
    if (u->left >= 1)
        return;
    pace_end(&r->pace, &u->mark, r->now_ns);
    u->state = SENT;
}

static void move(struct run *r, struct upload *u)
{
    while (u->kernel > 0 && !full(r)) {
        const double n = u->kernel < PACKET ? u->kernel : PACKET;

        put(r, n);
        u->kernel -= n;
        r->carried += n;
    }
    if (u->state == SENT && u->kernel <= 0) {
        const double takes_ms = r->line->rtt_ms + r->line->slow_ms + r->line->noise_ms * chance(r);

        u->due_ns = r->now_ns + (int64_t)(waiting(r) + takes_ms * NS_PER_MS);
        u->state = ARRIVES;
    } else if (u->state == ARRIVES && r->now_ns >= u->due_ns) {
        pace_answer(&r->pace, &u->mark, r->now_ns);
        u->state = IDLE;
    } else if (u->state == IDLE) {
        pace_begin(&r->pace, &u->mark, r->now_ns);
        u->left = r->line->body_mib * (1 << 20);
        u->state = SENDS;
    }
}

/* As grant() in http.c: whoever has least left, and sometimes another. */
static struct upload *sender(struct run *r)
{
    struct upload *best = NULL;

    if (r->steps % 4 == 0 && r->uploads[r->steps / 4 % r->line->bodies].state == SENDS)
        return &r->uploads[r->steps / 4 % r->line->bodies];
    for (unsigned i = 0; i < r->line->bodies; i++) {
        struct upload *u = &r->uploads[i];

        if (u->state == SENDS && u->kernel < KERNEL && (!best || u->left < best->left))
            best = u;
    }
    return best;
}

static void step(struct run *r)
{
    const struct line *l = r->line;
    const double s = seconds(r), before = rate_at(l, s - (double)STEP_NS / NS_PER_S);
    struct upload *u;

    r->free_ns = (double)r->now_ns + waiting(r) * before / rate_at(l, s);
    if (l->other > 0 && s >= 10 && s < 20 && !full(r))
        put(r, l->other * rate_at(l, s) * STEP_NS);
    for (int i = 0; i < BODIES && (u = sender(r)); i++)
        hand_over(r, u);
    for (unsigned i = 0; i < l->bodies; i++)
        move(r, &r->uploads[i]);
    if (s < 3)
        r->carried = 0;
    else
        r->could += rate_at(l, s) * STEP_NS;
    if (s >= 3 && s >= l->calm_s)
        r->waits[(int)(waiting(r) / NS_PER_MS) % ARRAY_LEN(r->waits)]++;
    r->now_ns += STEP_NS;
    r->steps++;
}

static int percentile_95(const struct run *r)
{
    unsigned all = 0, below = 0;
    size_t i = 0;

    for (i = 0; i < ARRAY_LEN(r->waits); i++)
        all += r->waits[i];
    for (i = 0; i < ARRAY_LEN(r->waits) && below < all - all / 20; i++)
        below += r->waits[i];
    return (int)i;
}

static void check_line(const struct line *l)
{
    struct run *r = calloc(1, sizeof(*r));
    double percent;
    int wait_ms;

    assert_non_null(r);
    *r = (struct run){.line = l, .start_ns = NS_PER_S, .now_ns = NS_PER_S, .seed = 1};
    pace_small(&r->pace, (int64_t)((l->rtt_ms + 1) * NS_PER_MS));
    while (seconds(r) < l->seconds)
        step(r);
    percent = 100 * r->carried / r->could;
    wait_ms = percentile_95(r);
    if (percent < l->least || (l->wait_ms > 0 && wait_ms > l->wait_ms))
        fail_msg("%s: %.1f %%, %d ms", l->name, percent, wait_ms);
    free(r);
}

/* clang-format off */
static const struct line steady[] = {
    {"unpaced", {100}, {0}, 20, 40, 0, 2, 4, .unpaced = true, .least = 99, .wait_ms = 102},
    {"100 Mbit/s", {100}, {0}, 60, 40, 0, 2, 4, .least = 97, .wait_ms = 30},
    {"the same for five minutes", {100}, {0}, 300, 40, 0, 2, 4, .least = 97, .wait_ms = 30},
    {"larger bodies", {100}, {0}, 60, 40, 0, 2, 16, .least = 97, .wait_ms = 50},
    {"more of them", {100}, {0}, 60, 40, 0, 4, 8, .least = 97, .wait_ms = 50},
    {"one at a time", {100}, {0}, 60, 40, 0, 1, 4, .least = 85, .wait_ms = 90},
    {"near", {100}, {0}, 60, 20, 0, 2, 4, .least = 97, .wait_ms = 30},
    {"far", {100}, {0}, 60, 100, 0, 2, 4, .least = 97, .wait_ms = 30},
    {"a larger buffer", {100}, {0}, 60, 40, 300, 2, 4, .least = 97, .wait_ms = 30},
    {"too fast to be paced", {2000}, {0}, 10, 1, 0, 4, 4, .least = 99},
    {"fast", {500}, {0}, 20, 10, 0, 4, 4, .least = 99},
};
static const struct line changing[] = {
    {"half as fast", {100, 50}, {10}, 40, 40, 0, 2, 4, .least = 95, .wait_ms = 50, .calm_s = 18},
    {"a fifth", {100, 20}, {10}, 60, 40, 0, 2, 4, .least = 95, .wait_ms = 80, .calm_s = 25},
    {"twice as fast", {50, 100}, {10}, 30, 40, 0, 2, 4, .least = 85},
};
static const struct line misled[] = {
    {"a slow server", {100}, {0}, 60, 40, 0, 2, 4, .slow_ms = 100, .least = 80},
    {"one that varies a little", {100}, {0}, 60, 40, 0, 2, 4, .noise_ms = 15, .least = 90,
     .wait_ms = 50},
    {"one that varies", {100}, {0}, 60, 40, 0, 2, 4, .noise_ms = 50, .least = 80},
    {"one that varies much", {100}, {0}, 60, 40, 0, 2, 4, .noise_ms = 200, .least = 50},
    {"somebody else's upload", {100}, {0}, 30, 40, 0, 2, 4, .other = 0.5, .least = 75},
};
/* clang-format on */

TEST(little_waits_in_a_line_and_it_is_used)
{
    for (size_t i = 0; i < ARRAY_LEN(steady); i++)
        check_line(&steady[i]);
}

TEST(a_line_that_changes_is_followed)
{
    for (size_t i = 0; i < ARRAY_LEN(changing); i++)
        check_line(&changing[i]);
}

TEST(what_is_not_the_line_s_doing_costs_little)
{
    for (size_t i = 0; i < ARRAY_LEN(misled); i++)
        check_line(&misled[i]);
}

/* ---- real requests ---- */

enum { UPLOAD_LEN = 3 << 20, SLICE = 64 << 10, UPLOADS = 3 };

/* The server takes some 10 MB/s of each upload, and says so late. */
struct scene {
    struct loopback server;
    struct http *http;
    char url[2][80];
    struct http_part part;
    struct http_request upload, small;
    atomic_bool stuck;   /* the server takes no more */
    atomic_uint damaged; /* bytes that were not those sent */
    atomic_ullong given; /* to curl */
    atomic_int done, good, err;
};

static unsigned char byte_at(uint64_t off)
{
    return (unsigned char)(0x80 | (off >> 10 & 0x7f)); /* no header has such bytes */
}

static void take_upload(struct scene *s, struct peer *p)
{
    static const char end[] = "--\r\n";
    unsigned char *bytes = malloc(SLICE);
    char last[sizeof(end)] = "";
    uint64_t at = 0;
    ssize_t n;

    do {
        cancel_sleep(6 * NS_PER_MS);
        if (atomic_load(&s->stuck))
            peer_wait_closed(p);
        n = recv(p->fd, bytes, SLICE, 0);
        for (ssize_t i = 0; i < n; i++) {
            memmove(last, last + 1, 3);
            last[3] = (char)bytes[i];
            if (bytes[i] & 0x80 && bytes[i] != byte_at(at++))
                atomic_fetch_add(&s->damaged, 1);
        }
    } while (n > 0 && memcmp(last, end, 4) != 0);
    free(bytes);
    if (n <= 0)
        return;
    if (at != UPLOAD_LEN)
        atomic_fetch_add(&s->damaged, 1);
    cancel_sleep(60 * NS_PER_MS);
    peer_send(p, EMPTY_200);
}

static void serve(struct peer *p, void *arg)
{
    struct scene *s = arg;
    char start[16] = "";
    struct loopback_request req;

    while (recv(p->fd, start, sizeof(start) - 1, MSG_PEEK) > 0) {
        if (strncmp(start, "POST /large", 11) == 0) {
            take_upload(s, p);
            continue;
        }
        if (!peer_take(p, &req))
            return;
        loopback_request_done(&req);
        peer_send(p, EMPTY_200);
    }
}

static ssize_t read_upload(void *arg, uint64_t off, void *p, size_t n)
{
    struct scene *s = arg;
    unsigned char *out = p;

    for (size_t i = 0; i < n; i++)
        out[i] = byte_at(off + i);
    atomic_fetch_add(&s->given, n);
    return (ssize_t)n;
}

static void begin(struct scene *s)
{
    const struct http_config config = {.stall_timeout_ns = NS_PER_S, .max_attempts = 1};
    struct http_response res = {0};

    *s = (struct scene){0};
    loopback_start(&s->server, serve, s);
    assert_int_equal(http_new(&config, &s->http), 0);
    snprintf(s->url[0], sizeof(s->url[0]), "http://127.0.0.1:%u/large", s->server.port);
    snprintf(s->url[1], sizeof(s->url[1]), "http://127.0.0.1:%u/small", s->server.port);
    s->part = (struct http_part){
        .name = "file", .fd = -1, .len64 = UPLOAD_LEN, .read = read_upload, .read_arg = s};
    s->upload = (struct http_request){
        .name = "large", .method = "POST", .url = s->url[0], .parts = &s->part, .part_count = 1};
    s->small = (struct http_request){.name = "small", .method = "GET", .url = s->url[1]};
    assert_int_equal(http_perform(s->http, &s->small, &res), 0); /* how long one takes */
    http_response_done(&res);
}

static void end(struct scene *s)
{
    http_free(s->http);
    loopback_stop(&s->server);
}

static void on_done(void *arg, int r, struct http_response *response)
{
    struct scene *s = arg;

    if (r == 0 && response->status == 200)
        atomic_fetch_add(&s->good, 1);
    atomic_store(&s->err, r);
    http_response_done(response);
    atomic_fetch_add(&s->done, 1);
}

static void start_uploads(struct scene *s, struct http_call **ret)
{
    for (int i = 0; i < UPLOADS; i++)
        assert_int_equal(http_submit(s->http, &s->upload, on_done, s, ret ? &ret[i] : NULL), 0);
}

static void wait_done(struct scene *s, int count)
{
    for (int i = 0; i < 1000 && atomic_load(&s->done) < count; i++)
        cancel_sleep(10 * NS_PER_MS);
    assert_int_equal(atomic_load(&s->done), count);
}

TEST(paced_uploads_arrive_whole)
{
    struct scene s;

    begin(&s);
    for (int round = 1; round <= 3; round++) {
        start_uploads(&s, NULL);
        wait_done(&s, round * UPLOADS);
    }
    assert_int_equal(atomic_load(&s.good), 3 * UPLOADS);
    assert_int_equal(atomic_load(&s.damaged), 0);
    assert_int_equal(atomic_load(&s.given), (uint64_t)3 * UPLOADS * UPLOAD_LEN);
    end(&s);
}

/* Those that wait for their turn, too. */
TEST(a_paced_upload_ends_at_once_when_cancelled)
{
    struct http_call *calls[UPLOADS];
    struct scene s;
    int64_t start_ns;

    begin(&s);
    start_uploads(&s, NULL);
    wait_done(&s, UPLOADS);
    start_uploads(&s, calls);
    cancel_sleep(50 * NS_PER_MS);
    start_ns = clock_mono_ns();
    for (int i = 0; i < UPLOADS; i++) {
        http_cancel(calls[i]);
        http_call_unref(calls[i]);
    }
    wait_done(&s, 2 * UPLOADS);
    assert_int_equal(atomic_load(&s.err), -EINTR);
    assert_true(clock_mono_ns() - start_ns < 500 * NS_PER_MS);
    end(&s);
}

TEST(a_peer_that_takes_no_more_of_a_paced_upload_is_found)
{
    struct scene s;

    begin(&s);
    start_uploads(&s, NULL);
    wait_done(&s, UPLOADS);
    atomic_store(&s.stuck, true);
    start_uploads(&s, NULL);
    wait_done(&s, 2 * UPLOADS);
    assert_int_equal(atomic_load(&s.err), -ETIMEDOUT);
    assert_int_equal(atomic_load(&s.good), UPLOADS);
    end(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(little_waits_in_a_line_and_it_is_used),
        cmocka_unit_test(a_line_that_changes_is_followed),
        cmocka_unit_test(what_is_not_the_line_s_doing_costs_little),
        cmocka_unit_test(paced_uploads_arrive_whole),
        cmocka_unit_test(a_paced_upload_ends_at_once_when_cancelled),
        cmocka_unit_test(a_peer_that_takes_no_more_of_a_paced_upload_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
