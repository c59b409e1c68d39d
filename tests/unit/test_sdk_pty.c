/* Terminals: what is asked, and what becomes of the answers. */
#include "unit.h"

#include "sdk_rig.h"
#include "ws_peer.h"

#include <errno.h>
#include <string.h>

#define P RIG_BOX "/process/pty"
#define CONNECTED "{\"type\":\"control\",\"status\":\"connected\"}"

TEST(terminals_are_made_listed_resized_and_killed)
{
    static const struct step steps[] = {
        {.request = "POST " P, .status = 201, .body = "{\"sessionId\":\"t\"}"},
        {.request = "POST " P, .status = 409, .body = "{\"error\":\"exists\"}"},
        {.request = "GET " P,
         .status = 200,
         .body = "{\"sessions\":[{\"id\":\"t\",\"cwd\":\"/w\",\"envs\":{\"A\":\"b\"},\"cols\":100,"
                 "\"rows\":30,\"createdAt\":\"x\",\"active\":true,\"lazyStart\":false}]}"},
        {.request = "GET " P "/t", .status = 200, .body = "{\"id\":\"t\",\"cols\":100}"},
        {.request = "POST " P "/t/resize", .status = 200, .body = "{\"id\":\"t\"}"},
        {.request = "POST " P "/t/resize", .status = 410, .body = "{\"error\":\"ended\"}"},
        {.request = "DELETE " P "/t", .status = 200, .body = "{\"message\":\"x\"}"},
        {.request = "DELETE " P "/t", .status = 404, .body = "{\"error\":\"no such session\"}"},
        {.request = "GET " P, .status = 200, .body = "[]"},
        RIG_END,
    };
    struct daytona_pair env = {(char *)"A", (char *)"b"};
    const struct daytona_pty_params params = {
        .id = "t", .cwd = "/w", .env = &env, .env_count = 1, .cols = 100, .rows = 30};
    struct daytona_pty_params wrong = params;
    struct daytona_pty_info *list, one;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_pty_create(rig.box, &params), 0);
    assert_string_equal(buf_str(&rig.script.bodies), "{\"id\":\"t\",\"cwd\":\"/w\",\"envs\":"
                                                     "{\"A\":\"b\"},\"cols\":100,\"rows\":30}");
    EXPECT(daytona_pty_create(rig.box, &params), -EEXIST);
    EXPECT(daytona_pty_list(rig.box, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].cwd, "/w");
    assert_int_equal(list[0].cols, 100);
    assert_true(list[0].active);
    daytona_pty_list_free(list, count);
    EXPECT(daytona_pty_info(rig.box, "t", &one), 0);
    daytona_pty_info_done(&one);
    EXPECT(daytona_pty_resize(rig.box, "t", 80, 24), 0);
    EXPECT(daytona_pty_resize(rig.box, "t", 80, 24), -ESRCH);
    EXPECT(daytona_pty_kill(rig.box, "t"), 0);
    EXPECT(daytona_pty_kill(rig.box, "t"), -ENOENT);
    EXPECT(daytona_pty_list(rig.box, &list, &count), -EPROTO);
    EXPECT(daytona_pty_resize(rig.box, "t", 0, 24), -EINVAL);
    EXPECT(daytona_pty_resize(rig.box, "t", 80, 1001), -EINVAL);
    EXPECT(daytona_pty_resize(rig.box, "..", 80, 24), -EINVAL);
    wrong.rows = 1001;
    EXPECT(daytona_pty_create(rig.box, &wrong), -EINVAL);
    wrong = params;
    wrong.id = "a/b";
    EXPECT(daytona_pty_create(rig.box, &wrong), -EINVAL);
    script_check(&rig.script);
}

/* Says what is typed back, and ends at "exit". */
static void shell(struct peer *p)
{
    struct buf frame = BUF_INIT(1 << 20);
    int opcode;

    ws_peer_text(p, CONNECTED);
    while ((opcode = ws_peer_take(p, &frame)) >= 0 && opcode != WS_PEER_CLOSE) {
        if (frame.len == 4 && memcmp(frame.data, "exit", 4) == 0)
            break;
        ws_peer_bytes(p, frame.data, frame.len);
    }
    ws_peer_close(p, 1011, "{\"exitCode\":137,\"exitReason\":\"SIGKILL\"}");
    ws_peer_end(p);
    buf_done(&frame);
}

static int take(void *arg, const void *p, size_t n)
{
    return buf_append(arg, p, n);
}

#define CONNECT "GET " P "/t/connect"

TEST(what_is_typed_arrives_and_the_end_is_told)
{
    static const struct step steps[] = {{.request = CONNECT, .stream = shell}, RIG_END};
    static char large[100000];
    struct buf out = BUF_INIT(8 << 20);
    struct daytona_pty_exit end;
    struct daytona_pty *pty;

    memset(large, 'x', sizeof(large));
    script_set(&rig.script, steps);
    EXPECT(daytona_pty_attach(rig.box, "t", &pty), 0);
    EXPECT(daytona_pty_send(pty, "a\0\xff", 3), 0);
    EXPECT(daytona_pty_send(pty, large, sizeof(large)), 0);
    while (out.len < sizeof(large) + 3)
        EXPECT(daytona_pty_wait(pty, take, &out, 100, &end), -EAGAIN);
    assert_memory_equal(out.data, "a\0\xff", 3);
    EXPECT(daytona_pty_send(pty, "exit", 4), 0);
    EXPECT(daytona_pty_wait(pty, take, &out, 0, &end), 0);
    assert_int_equal(end.code, 137);
    assert_string_equal(end.reason, "SIGKILL");
    assert_int_equal(out.len, sizeof(large) + 3);
    EXPECT(daytona_pty_send(pty, "x", 1), -EPIPE);
    daytona_pty_detach(pty);
    script_check(&rig.script);
    buf_done(&out);
}

static void ends_well(struct peer *p)
{
    ws_peer_text(p, CONNECTED);
    ws_peer_text(p, "text that is output");
    ws_peer_text(p, "{\"json\":\"output, too\"}");
    ws_peer_close(p, 1000, "");
    ws_peer_end(p);
}

static void says_exited(struct peer *p)
{
    ws_peer_text(p, CONNECTED);
    ws_peer_text(p, "{\"type\":\"control\",\"status\":\"exited\",\"exitCode\":5}");
}

static void is_lost(struct peer *p)
{
    ws_peer_text(p, CONNECTED);
}

static void is_slow(struct peer *p)
{
    ws_peer_text(p, CONNECTED);
    ws_peer_close(p, 1008, "slow consumer");
    ws_peer_end(p);
}

TEST(each_way_of_ending_is_told_apart)
{
    static const struct {
        void (*peer)(struct peer *p);
        int r, code;
        const char *out;
    } cases[] = {
        {ends_well, 0, 0, "text that is output{\"json\":\"output, too\"}"},
        {says_exited, 0, 5, ""},
        {is_lost, -ECONNRESET, 0, ""},
        {is_slow, -ECONNRESET, 0, ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct step steps[] = {{.request = CONNECT, .stream = cases[i].peer}, RIG_END};
        struct buf out = BUF_INIT(1 << 20);
        struct daytona_pty_exit end;
        struct daytona_pty *pty;

        script_set(&rig.script, steps);
        EXPECT(daytona_pty_attach(rig.box, "t", &pty), 0);
        EXPECT(daytona_pty_wait(pty, take, &out, 0, &end), cases[i].r);
        if (cases[i].r == 0)
            assert_int_equal(end.code, cases[i].code);
        assert_string_equal(buf_str(&out), cases[i].out);
        daytona_pty_detach(pty);
        script_check(&rig.script);
        buf_done(&out);
    }
}

static void knows_none(struct peer *p)
{
    ws_peer_text(p, "{\"type\":\"control\",\"status\":\"error\",\"error\":\"session not found\"}");
}

static void no_terminal(struct peer *p)
{
    ws_peer_bytes(p, "x", 1);
    ws_peer_end(p);
}

TEST(an_attachment_that_fails_says_why)
{
    static const struct {
        struct step step;
        int r;
    } cases[] = {
        {{.request = CONNECT, .stream = knows_none}, -ENOENT},
        {{.request = CONNECT, .stream = no_terminal}, -EPROTO},
        {{.request = CONNECT, .status = 404, .body = "{\"error\":\"no such session\"}"}, -ENOENT},
        {{.request = CONNECT, .status = 502}, -ECONNRESET},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct step steps[] = {cases[i].step, RIG_END};
        struct daytona_pty *pty;

        script_set(&rig.script, steps);
        EXPECT(daytona_pty_attach(rig.box, "t", &pty), cases[i].r);
        script_check(&rig.script);
    }
}

#define OPEN "GET " P "/create-connect?id=t&cols=100&rows=30&cwd=%2Fw"

TEST(a_terminal_is_opened_in_one_request_where_that_is_known)
{
    static const struct step fresh[] = {{.request = OPEN, .stream = ends_well}, RIG_END};
    static const struct step old[] = {
        {.request = OPEN, .status = 404, .body = "{\"error\":\"PTY session not found\"}"},
        {.request = "POST " P, .status = 201, .body = "{\"sessionId\":\"t\"}"},
        {.request = CONNECT, .stream = ends_well},
        RIG_END,
    };
    static const struct step taken[] = {
        {.request = OPEN, .status = 409, .body = "{\"error\":\"exists\"}"}, RIG_END};
    struct daytona_pair env = {(char *)"A", (char *)"b"};
    const struct daytona_pty_params params = {
        .id = "t", .cwd = "/w", .env = &env, .env_count = 1, .cols = 100, .rows = 30};
    struct daytona_pty_params wrong = params;
    struct daytona_pty *pty;

    script_set(&rig.script, fresh);
    EXPECT(daytona_pty_open(rig.box, &params, &pty), 0);
    EXPECT(daytona_pty_wait(pty, NULL, NULL, 0, NULL), 0);
    daytona_pty_detach(pty);
    script_check(&rig.script);
    script_set(&rig.script, old);
    EXPECT(daytona_pty_open(rig.box, &params, &pty), 0);
    /* Lazily: else what it says before the attachment would be lost. */
    assert_string_equal(buf_str(&rig.script.bodies),
                        "{\"id\":\"t\",\"cwd\":\"/w\",\"envs\":{\"A\":\"b\"},\"cols\":100,"
                        "\"rows\":30,\"lazyStart\":true}");
    daytona_pty_detach(pty);
    script_check(&rig.script);
    script_set(&rig.script, taken);
    EXPECT(daytona_pty_open(rig.box, &params, &pty), -EEXIST);
    script_check(&rig.script);
    wrong.id = "..";
    EXPECT(daytona_pty_open(rig.box, &wrong, &pty), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(terminals_are_made_listed_resized_and_killed),
        RIG_TEST(what_is_typed_arrives_and_the_end_is_told),
        RIG_TEST(each_way_of_ending_is_told_apart),
        RIG_TEST(an_attachment_that_fails_says_why),
        RIG_TEST(a_terminal_is_opened_in_one_request_where_that_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
