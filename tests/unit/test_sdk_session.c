/* Sessions: what is asked, and what becomes of the answers. */
#include "unit.h"

#include "sdk_rig.h"
#include "util/clock.h"
#include "ws_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S RIG_BOX "/process/session"

/* What came of a log. */
struct taken {
    struct buf out, err;
    int answer; /* of the sink */
};

static int take(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    struct taken *t = arg;

    (void)buf_append(stream == DAYTONA_STDERR ? &t->err : &t->out, p, n);
    return t->answer;
}

static void taken_done(struct taken *t)
{
    buf_done(&t->out);
    buf_done(&t->err);
}

#define TAKEN                                                                                      \
    {                                                                                              \
        .out = BUF_INIT(8 << 20), .err = BUF_INIT(8 << 20)                                         \
    }

TEST(sessions_are_made_listed_and_deleted)
{
    static const struct step steps[] = {
        {.request = "POST " S, .status = 201},
        {.request = "POST " S, .status = 409, .body = "{\"statusCode\":409,\"message\":\"x\"}"},
        {.request = "GET " S,
         .status = 200,
         .body = "[{\"sessionId\":\"a b\",\"commands\":[{\"id\":\"c1\",\"command\":\"ls\","
                 "\"exitCode\":3},{\"id\":\"c2\",\"command\":\"x\"}]},"
                 "{\"sessionId\":\"z\",\"commands\":null}]"},
        {.request = "GET " S "/a%20b", .status = 200, .body = "{\"sessionId\":\"a b\"}"},
        {.request = "GET " S "/no",
         .status = 404,
         .body = "{\"statusCode\":404,\"message\":\"not found: session\",\"code\":\"NOT_FOUND\"}"},
        {.request = "DELETE " S "/a%20b", .status = 204},
        {.request = "GET " S, .status = 200, .body = "[{\"commands\":[]}]"},
        RIG_END,
    };
    struct daytona_session *list = NULL, one;
    size_t count = 0;

    script_set(&rig.script, steps);
    EXPECT(daytona_session_create(rig.box, "a b"), 0);
    assert_string_equal(buf_str(&rig.script.bodies), "{\"sessionId\":\"a b\"}");
    EXPECT(daytona_session_create(rig.box, "a b"), -EEXIST);
    EXPECT(daytona_session_list(rig.box, &list, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].id, "a b");
    assert_int_equal(list[0].command_count, 2);
    assert_int_equal(list[0].commands[0].exit_code, 3);
    assert_false(list[0].commands[0].running);
    assert_true(list[0].commands[1].running);
    daytona_session_list_free(list, count);
    EXPECT(daytona_session_get(rig.box, "a b", &one), 0);
    daytona_session_done(&one);
    EXPECT(daytona_session_get(rig.box, "no", &one), -ENOENT);
    assert_false(daytona_last_error()->infra);
    EXPECT(daytona_session_delete(rig.box, "a b"), 0);
    EXPECT(daytona_session_list(rig.box, &list, &count), -EPROTO);
    script_check(&rig.script);
}

TEST(names_that_would_change_the_path_are_refused)
{
    static const char *const names[] = {"", ".", "..", "a/b", "../x"};
    static const struct step none[] = {RIG_END};
    struct daytona_session one;

    script_set(&rig.script, none);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        EXPECT(daytona_session_create(rig.box, names[i]), -EINVAL);
        EXPECT(daytona_session_get(rig.box, names[i], &one), -EINVAL);
        EXPECT(daytona_session_delete(rig.box, names[i]), -EINVAL);
    }
    script_check(&rig.script);
}

TEST(a_command_has_two_streams_and_a_code)
{
    static const struct {
        const char *body;
        int r, code;
        const char *out, *err;
        size_t out_len;
    } cases[] = {
        {"{\"cmdId\":\"c\",\"output\":\"x\",\"stdout\":\"a\\u0000b\\n\",\"stderr\":\"e\\n\","
         "\"exitCode\":3}",
         0, 3, "a\0b\n", "e\n", 4},
        {"{\"cmdId\":\"c\",\"output\":\"\\u0001\\u0001\\u0001a\\u0000b\\n\\u0002\\u0002\\u0002e\\n"
         "\",\"stdout\":null,\"stderr\":null,\"exitCode\":0}",
         0, 0, "a\0b\n", "e\n", 4},
        {"{\"cmdId\":\"c\",\"output\":\"plain\\n\",\"exitCode\":0}", 0, 0, "plain\n", "", 6},
        {"{\"cmdId\":\"c\",\"exitCode\":99999999999}", -EPROTO, 0, "", "", 0},
        {"{\"exitCode\":1}", -EPROTO, 0, "", "", 0},
        {"[]", -EPROTO, 0, "", "", 0},
    };
    const struct daytona_session_execute e = {.command = "make"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct step steps[] = {
            {.request = "POST " S "/s/exec", .status = 200, .body = cases[i].body},
            RIG_END,
        };
        struct daytona_session_result result;

        script_set(&rig.script, steps);
        EXPECT(daytona_session_execute(rig.box, "s", &e, &result), cases[i].r);
        script_check(&rig.script);
        if (cases[i].r < 0)
            continue;
        assert_string_equal(buf_str(&rig.script.bodies),
                            "{\"command\":\"make\",\"runAsync\":false}");
        assert_false(result.running);
        assert_int_equal(result.exit_code, cases[i].code);
        assert_int_equal(result.out_len, cases[i].out_len);
        assert_memory_equal(result.out, cases[i].out, result.out_len);
        assert_string_equal(result.err, cases[i].err);
        daytona_session_result_done(&result);
    }
}

TEST(a_command_may_be_started_and_fed)
{
    static const struct step steps[] = {
        {.request = "POST " S "/s/exec",
         .status = 202,
         .body = "{\"cmdId\":\"c\",\"output\":null,\"stdout\":null,\"stderr\":null,"
                 "\"exitCode\":null}"},
        {.request = "POST " S "/s/command/c/input", .status = 204},
        {.request = "POST " S "/s/command/c/input",
         .status = 410,
         .body = "{\"statusCode\":410,\"message\":\"gone: command has already completed\"}"},
        {.request = "GET " S "/s/command/c",
         .status = 200,
         .body = "{\"id\":\"c\",\"command\":\"cat\",\"exitCode\":0}"},
        RIG_END,
    };
    const struct daytona_session_execute e = {
        .command = "cat", .async = true, .suppress_input_echo = true};
    struct daytona_session_result result;
    struct daytona_command command;

    script_set(&rig.script, steps);
    EXPECT(daytona_session_execute(rig.box, "s", &e, &result), 0);
    assert_true(result.running);
    assert_string_equal(result.command_id, "c");
    EXPECT(daytona_session_input(rig.box, "s", "c", "a\n<", 3), 0);
    assert_non_null(strstr(buf_str(&rig.script.bodies), "\"suppressInputEcho\":true"));
    assert_non_null(strstr(buf_str(&rig.script.bodies), "{\"data\":\"a\\n\\u003c\"}"));
    EXPECT(daytona_session_input(rig.box, "s", "c", "b", 1), -ESRCH);
    EXPECT(daytona_session_input(rig.box, "s", "c", "", 0), -EINVAL);
    EXPECT(daytona_session_input(rig.box, "s", "c", "\xff", 1), -EINVAL);
    EXPECT(daytona_session_command(rig.box, "s", "c", &command), 0);
    assert_false(command.running);
    daytona_command_done(&command);
    daytona_session_result_done(&result);
    script_check(&rig.script);
}

TEST(refusals_of_a_session_are_told_apart)
{
    static const struct {
        int status;
        const char *body;
        int r;
    } cases[] = {
        {400, "", -EINVAL},
        {500, "{\"statusCode\":500,\"message\":\"failed to execute command: not found: session\"}",
         -ENOENT},
        {500,
         "{\"statusCode\":500,\"message\":\"failed to execute command: write |1: broken pipe\"}",
         -EPIPE},
        {500, "{\"statusCode\":500,\"message\":\"failed: session cancelled\"}", -ECANCELED},
        {404, "{\"statusCode\":404,\"message\":\"not found: sandbox container not found: x\"}",
         -EHOSTDOWN},
        {400,
         "{\"statusCode\":400,\"message\":\"bad request: failed to resolve container IP after 3 "
         "attempts: no IP address found. Is the Sandbox started?\"}",
         -EHOSTDOWN},
        {502, "", -ECONNRESET},
    };
    const struct daytona_session_execute e = {.command = "x"};
    struct daytona_session_result result;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct step steps[] = {
            {.request = "POST " S "/s/exec", .status = cases[i].status, .body = cases[i].body},
            RIG_END,
        };

        script_set(&rig.script, steps);
        EXPECT(daytona_session_execute(rig.box, "s", &e, &result), cases[i].r);
        script_check(&rig.script);
    }
}

/* --- logs */

TEST(logs_are_taken_apart_and_ask_for_raw_bytes)
{
    static const struct step steps[] = {
        {.request = "GET " S "/s/command/c/logs",
         .status = 200,
         .headers = "Content-Type: text/plain\r\n",
         .body = "\1\1\1out\n\2\2\2e\xff\n\1\1\1\1\1\1in line \2\2\2\n"},
        {.request = "GET " S "/entrypoint/logs",
         .status = 200,
         .headers = "Content-Type: text/plain\r\n",
         .body = "plain\n"},
        RIG_END,
    };
    struct taken t = TAKEN;

    script_set(&rig.script, steps);
    EXPECT(daytona_session_logs(rig.box, "s", "c", take, &t), 0);
    assert_string_equal(buf_str(&t.out), "out\n\1\1\1in line \2\2\2\n");
    assert_string_equal(buf_str(&t.err), "e\xff\n");
    assert_non_null(strstr(buf_str(&rig.script.heads), "X-Daytona-Split-Output: true"));
    assert_null(strstr(buf_str(&rig.script.heads), "X-Daytona-SDK-Version"));
    buf_truncate(&t.out, 0);
    EXPECT(daytona_session_logs(rig.box, DAYTONA_SESSION_ENTRYPOINT, DAYTONA_COMMAND_ENTRYPOINT,
                                take, &t),
           0);
    assert_string_equal(buf_str(&t.out), "plain\n");
    script_check(&rig.script);
    taken_done(&t);
}

static const char log_text[] = "\1\1\1one\n\2\2\2two\n\1\1\1three\n";

/* Byte by byte: every mark is split. */
static void stream_all(struct peer *p)
{
    for (size_t i = 0; i < sizeof(log_text) - 1; i++)
        ws_peer_bytes(p, log_text + i, 1);
    ws_peer_close(p, 1000, "");
    ws_peer_end(p);
}

static void stream_some(struct peer *p)
{
    ws_peer_bytes(p, log_text, 9); /* within a mark */
    peer_reset(p);
}

#define FOLLOW "GET " S "/s/command/c/logs?follow=true"
#define ENDED(code) "{\"id\":\"c\",\"command\":\"x\",\"exitCode\":" code "}"

TEST(a_log_is_followed_to_its_end)
{
    static const struct step steps[] = {
        {.request = FOLLOW, .stream = stream_all},
        {.request = "GET " S "/s/command/c", .status = 200, .body = ENDED("7")},
        RIG_END,
    };
    struct taken t = TAKEN;
    int code = -1;

    script_set(&rig.script, steps);
    EXPECT(daytona_session_follow(rig.box, "s", "c", take, &t, &code), 0);
    assert_int_equal(code, 7);
    assert_string_equal(buf_str(&t.out), "one\nthree\n");
    assert_string_equal(buf_str(&t.err), "two\n");
    script_check(&rig.script);
    taken_done(&t);
}

TEST(a_lost_connection_loses_and_repeats_no_byte)
{
    static const struct step steps[] = {
        {.request = FOLLOW, .stream = stream_some},
        {.request = FOLLOW, .status = 502},
        {.request = FOLLOW, .stream = stream_some},
        {.request = FOLLOW, .stream = stream_all},
        {.request = "GET " S "/s/command/c",
         .status = 200,
         .body = "{\"id\":\"c\",\"command\":\"x\"}"}, /* a proxy closed it politely */
        {.request = FOLLOW, .stream = stream_all},
        {.request = "GET " S "/s/command/c", .status = 200, .body = ENDED("0")},
        RIG_END,
    };
    struct taken t = TAKEN;
    int code = -1;

    script_set(&rig.script, steps);
    EXPECT(daytona_session_follow(rig.box, "s", "c", take, &t, &code), 0);
    assert_int_equal(code, 0);
    assert_int_equal(daytona_last_error()->err, 0);
    assert_string_equal(buf_str(&t.out), "one\nthree\n");
    assert_string_equal(buf_str(&t.err), "two\n");
    script_check(&rig.script);
    taken_done(&t);
}

TEST(following_ends_when_it_cannot_go_on)
{
    static const struct {
        struct step steps[8];
        int sink, r;
    } cases[] = {
        {{{.request = FOLLOW,
           .status = 404,
           .body = "{\"statusCode\":404,\"message\":\"not found: c\"}"}},
         0,
         -ENOENT},
        {{{.request = FOLLOW, .stream = stream_all},
          {.request = "GET " S "/s/command/c",
           .status = 404,
           .body = "{\"statusCode\":404,\"message\":\"not found: session\"}"}},
         0,
         -ENOENT},
        {{{.request = FOLLOW, .stream = stream_all}}, -ECONNRESET, -ECONNRESET},
        {{{.request = FOLLOW, .status = 200, .body = "{}"}}, 0, -EPROTO},
        {{{.request = FOLLOW, .status = 502},
          {.request = FOLLOW, .status = 502},
          {.request = FOLLOW, .status = 502},
          {.request = FOLLOW, .status = 502},
          {.request = FOLLOW, .status = 502}},
         0,
         -EHOSTDOWN},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct taken t = TAKEN;

        t.answer = cases[i].sink;
        script_set(&rig.script, cases[i].steps);
        EXPECT(daytona_session_follow(rig.box, "s", "c", take, &t, NULL), cases[i].r);
        script_check(&rig.script);
        taken_done(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(sessions_are_made_listed_and_deleted),
        RIG_TEST(names_that_would_change_the_path_are_refused),
        RIG_TEST(a_command_has_two_streams_and_a_code),
        RIG_TEST(a_command_may_be_started_and_fed),
        RIG_TEST(refusals_of_a_session_are_told_apart),
        RIG_TEST(logs_are_taken_apart_and_ask_for_raw_bytes),
        RIG_TEST(a_log_is_followed_to_its_end),
        RIG_TEST(a_lost_connection_loses_and_repeats_no_byte),
        RIG_TEST(following_ends_when_it_cannot_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
