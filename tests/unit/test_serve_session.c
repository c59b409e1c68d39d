/* Sessions, against a table of what was observed of the real service. */
#include "facts.h"

#include <time.h>

#define S "/process/session"
#define EXEC(sid) "POST", S "/" sid "/exec", JSON_IN
#define V190 "X-Daytona-SDK-Version: 0.190.0\r\n"

/* clang-format off */
static const struct fact facts[] = {
    POST_JSON("create_201_empty", S, "{\"sessionId\":\"one\"}", 201, ""),
    POST_JSON("create_again_409", S, "{\"sessionId\":\"one\"}", 409, "~\"message\":\"conflict: "),
    POST_JSON("create_empty_400", S, "{\"sessionId\":\"\"}", 400, "~bad request: "),
    POST_JSON("create_entrypoint_400", S, "{\"sessionId\":\"entrypoint\"}", 400, "~bad request: "),
    POST_JSON("create_not_json_400", S, "x", 400, NULL),
    POST_JSON("create_ids_are_checked_here", S, "{\"sessionId\":\"../x\"}", 400, NULL),
    POST_JSON("create_dotdot_400", S, "{\"sessionId\":\"..\"}", 400, NULL),
    GET("list", S, 200, "=[{\"sessionId\":\"one\",\"commands\":[]}]"),
    GET("get", S "/one", 200, "={\"sessionId\":\"one\",\"commands\":[]}"),
    GET("get_unknown_404", S "/two", 404, "~\"message\":\"not found: "),
    GET("entrypoint_404_when_there_is_none", S "/entrypoint", 404, NULL),
    {"exec_blank_400_empty", EXEC("one"), "{\"command\":\"  \"}", 400, NULL, ""},
    {"exec_not_json_400_empty", EXEC("one"), "nonsense", 400, NULL, ""},
    {"exec_unknown_session_500", EXEC("two"), "{\"command\":\"true\"}", 500, NULL,
     "~\"message\":\"failed to execute command: not found: "},
    {"exec_unknown_session_has_no_time", EXEC("two"), "{\"command\":\"true\"}", 500, NULL,
     "~\"timestamp\":\"0001-01-01T00:00:00Z\""},
    /* the forms of the output */
    {"no_version_markers_removed", EXEC("one"), "{\"command\":\"echo a; echo b >&2\"}", 200, NULL,
     "~\"stdout\":null,\"stderr\":null,\"exitCode\":0}", "cmdId"},
    {"no_version_log_is_text", "GET", S "/one/command/@KEEP/logs", NULL, NULL, 200,
     "Content-Type: text/plain; charset=utf-8", "!\1"},
    {"split_header_log_is_raw", "GET", S "/one/command/@KEEP/logs",
     "X-Daytona-Split-Output: true\r\n", NULL, 200, "Content-Type: text/plain; charset=utf-8",
     "~\1\1\1a\n"},
    {"version_below_0_27_removed", "GET", S "/one/command/@KEEP/logs",
     "X-Daytona-SDK-Version: 0.26.9\r\n", NULL, 200, NULL, "!\2"},
    {"version_below_0_167_raw", "GET", S "/one/command/@KEEP/logs",
     "X-Daytona-SDK-Version: v0.166.0\r\n", NULL, 200, NULL, "~\2\2\2b\n"},
    {"version_unparsable_raw", "GET", S "/one/command/@KEEP/logs",
     "X-Daytona-SDK-Version: what\r\n", NULL, 200, NULL, "~\2\2\2b\n"},
    {"version_0_167_json", "GET", S "/one/command/@KEEP/logs",
     "X-Daytona-SDK-Version: 0.167.0\r\n", NULL, 200,
     "Content-Type: application/json; charset=utf-8", "~\"stdout\":\"a\\n\",\"stderr\":\"b\\n\"}"},
    {"version_dev_json", "GET", S "/one/command/@KEEP/logs", "X-Daytona-SDK-Version: 0.0.0-dev\r\n",
     NULL, 200, NULL, "~\"output\":\"\\u0001\\u0001\\u0001a\\n"},
    {"exec_split_header_raw", EXEC("one") "X-Daytona-Split-Output: true\r\n",
     "{\"command\":\"echo a\"}", 200, NULL,
     "~\"output\":\"\\u0001\\u0001\\u0001a\\n\",\"stdout\":null"},
    {"exec_old_version_raw", EXEC("one") "X-Daytona-SDK-Version: 0.27.0\r\n",
     "{\"command\":\"echo a\"}", 200, NULL, "~\\u0001a\\n\",\"stdout\":null"},
    {"exec_new_version_split", EXEC("one") V190, "{\"command\":\"echo a; echo b >&2\"}", 200, NULL,
     "~\"stdout\":\"a\\n\",\"stderr\":\"b\\n\",\"exitCode\":0}"},
    GET("logs_unknown_command_404", S "/one/command/nope/logs", 404, "~not found: "),
    /* one shell */
    {"cd_persists", EXEC("one"), "{\"command\":\"mkdir -p sub; cd sub; v=7\"}", 200, NULL, NULL},
    {"variables_and_directory_seen", EXEC("one"), "{\"command\":\"echo $v $PWD\"}", 200, NULL,
     "~\"output\":\"7 @WORK/sub\\n\""},
    {"return_sets_the_exit_code", EXEC("one"), "{\"command\":\"return 9\"}", 200, NULL,
     "~\"exitCode\":9"},
    {"a_missing_final_newline_is_added", EXEC("one"), "{\"command\":\"printf x\"}", 200, NULL,
     "~\"output\":\"x\\n\""},
    {"nul_vanishes", EXEC("one"), "{\"command\":\"printf 'a\\\\000b'\"}", 200, NULL,
     "~\"output\":\"ab\\n\""},
    {"invalid_utf8_is_replaced_in_json", EXEC("one") V190,
     "{\"command\":\"printf 'a\\\\377b'\"}", 200, NULL, "~\"stdout\":\"a\\ufffdb\\n\"", "cmdId"},
    {"invalid_utf8_is_intact_in_the_raw_log", "GET", S "/one/command/@KEEP/logs",
     "X-Daytona-Split-Output: true\r\n", NULL, 200, NULL, "=\1\1\1a\377b\n"},
    {"sync_commands_have_no_input", EXEC("one"), "{\"command\":\"cat; echo end\"}", 200, NULL,
     "~\"output\":\"end\\n\""},
    {"sync_is_no_longer_in_need_of_input_410", EXEC("one"), "{\"command\":\"true\"}", 200, NULL,
     NULL, "cmdId"},
    POST_JSON("input_after_the_end_410", S "/one/command/@KEEP/input", "{\"data\":\"x\"}", 410,
        "~gone: command has already completed with exit code 0"),
    POST_JSON("input_empty_400", S "/one/command/@KEEP/input", "{\"data\":\"\"}", 400, NULL),
    POST_JSON("input_unknown_404", S "/one/command/nope/input", "{\"data\":\"x\"}", 404, NULL),
    /* async */
    {"async_202", EXEC("one"), "{\"command\":\"read x; echo got:$x\",\"runAsync\":true}", 202,
     NULL, "~\"output\":null,\"stdout\":null,\"stderr\":null,\"exitCode\":null}", "cmdId"},
    GET("async_runs_no_exit_code", S "/one/command/@KEEP", 200, "!exitCode"),
    POST_JSON("input_204", S "/one/command/@KEEP/input", "{\"data\":\"hello\"}", 204, ""),
    {"the_next_waits_its_turn", EXEC("one"), "{\"command\":\"echo after\"}", 200, NULL,
     "~\"output\":\"after\\n\""},
    GET("async_done_has_exit_code", S "/one/command/@KEEP", 200,
        "~\"command\":\"read x; echo got:$x\",\"exitCode\":0}"),
    GET("input_is_echoed_as_stdout", S "/one/command/@KEEP/logs", 200, "=hello\ngot:hello\n"),
    {"async_alias", EXEC("one"),
     "{\"command\":\"read y; echo $y$y\",\"async\":true,\"suppressInputEcho\":true}", 202, NULL,
     NULL, "cmdId"},
    POST_JSON("input_204_again", S "/one/command/@KEEP/input", "{\"data\":\"z\\n\"}", 204, ""),
    {"the_next_waits_again", EXEC("one"), "{\"command\":\"true\"}", 200, NULL, NULL},
    GET("input_echo_suppressed", S "/one/command/@KEEP/logs", 200, "=zz\n"),
    GET("scripts_are_where_the_real_ones_are", "/files?path=.daytona/sessions/one", 200, "~@KEEP"),
    /* the end */
    POST_JSON("second_session", S, "{\"sessionId\":\"two\"}", 201, ""),
    {"exit_is_never_answered_but_here", EXEC("two"), "{\"command\":\"exit 3\"}", 500, NULL,
     "~failed to execute command: "},
    {"after_exit_broken_pipe", EXEC("two"), "{\"command\":\"true\"}", 500, NULL, "~broken pipe"},
    GET("exit_code_of_exit_is_not_known", S "/two", 200, "!exitCode"),
    BARE("delete_204", "DELETE", S "/two", 204, ""),
    BARE("delete_again_404", "DELETE", S "/two", 404, "~not found: "),
    BARE("delete_entrypoint_400", "DELETE", S "/entrypoint", 400, NULL),
    GET("deleted_is_gone", S, 200, "!two"),
    GET("deleted_ones_files_are_gone", "/files?path=.daytona/sessions", 200, "!two"),
};
/* clang-format on */

TEST(sessions_answer_as_the_real_ones)
{
    check_facts(facts, "state-delay=0,exit-hang=300ms,shell=/bin/bash", false);
}

TEST(sessions_answer_as_the_real_ones_when_isolated)
{
    check_facts(facts, "state-delay=0,exit-hang=300ms,shell=/bin/dash", true);
}

static void new_session(const struct box *box, const char *name)
{
    char body[128];

    snprintf(body, sizeof(body), "{\"sessionId\":\"%s\"}", name);
    expect(box, "POST", S, JSON_IN, body, 201, NULL);
}

TEST(zsh_keeps_nul)
{
    struct box box = start_box("shell=/bin/zsh", false, false);

    if (access("/bin/zsh", X_OK) == 0) {
        new_session(&box, "z");
        expect(&box, EXEC("z") V190, "{\"command\":\"printf 'a\\\\000b'\"}", 200,
               "~\"stdout\":\"a\\u0000b\\n\"");
    }
    box_end(&box);
}

TEST(a_large_output_is_all_there)
{
    struct box box = start_box("state-delay=0", false, false);
    const char *split = "X-Daytona-Split-Output: true\r\n";
    char id[64], call[256];
    struct answer a;

    new_session(&box, "s");
    /* A line of 3 MB and then many short ones: the long one comes in stretches. */
    a = ask_box(&box, "POST", S "/s/exec", JSON_IN,
                "{\"command\":\"head -c 3000000 /dev/zero | tr '\\\\0' x; echo; seq 100000\"}");
    assert_int_equal(a.status, 200);
    keep_string(&a, "cmdId", id, sizeof(id));
    assert_non_null(strstr(buf_str(&a.body), "x\\n1\\n2\\n"));
    assert_non_null(strstr(buf_str(&a.body), "\\n99999\\n100000\\n\""));
    answer_done(&a);
    snprintf(call, sizeof(call), S "/s/command/%s/logs", id);
    a = ask_box(&box, "GET", call, NULL, NULL);
    assert_int_equal(a.body.len, 3000001 + 588895);
    answer_done(&a);
    a = ask_box(&box, "GET", call, split, NULL);
    assert_int_equal(a.body.len, 3000001 + 588895 + 3 * (100000 + 3));
    answer_done(&a);
    box_end(&box);
}

static long count_sleepers(const char *mark)
{
    char command[128];
    long n = 0;
    FILE *p;

    snprintf(command, sizeof(command), "pgrep -c -f '[s]leep %s'", mark);
    p = popen(command, "r");
    assert_non_null(p);
    if (fscanf(p, "%ld", &n) != 1)
        n = -1;
    pclose(p);
    return n;
}

TEST(delete_ends_all_of_a_session)
{
    struct box box = start_box("state-delay=0", false, false);
    char mark[32], body[256];
    int64_t begun;

    snprintf(mark, sizeof(mark), "%d.77", 3000 + (int)getpid());
    new_session(&box, "s");
    /* In a group of its own, and one that ignores the first signal. */
    snprintf(body, sizeof(body),
             "{\"command\":\"setsid -w sleep %s & (trap '' TERM; sleep %s) & sleep %s\","
             "\"async\":true}",
             mark, mark, mark);
    expect(&box, EXEC("s"), body, 202, NULL);
    for (int i = 0; i < 200 && count_sleepers(mark) < 3; i++)
        usleep(10000);
    assert_true(count_sleepers(mark) >= 3);
    begun = time(NULL);
    expect(&box, "DELETE", S "/s", NULL, NULL, 204, "");
    assert_true(time(NULL) - begun <= 8);
    assert_int_equal(count_sleepers(mark), 0);
    new_session(&box, "s");
    box_end(&box);
}

TEST(stop_ends_sessions_and_who_waits_for_them)
{
    struct box box = start_box("state-delay=0", true, false);

    new_session(&box, "s");
    expect(&box, EXEC("s"), "{\"command\":\"sleep 1000\",\"async\":true}", 202, NULL);
    expect(&box, "POST", "/api/sandbox/box/stop", NULL, NULL, 200, NULL);
    expect(&box, "POST", "/api/sandbox/box/start", NULL, NULL, 200, NULL);
    expect(&box, "GET", S, NULL, NULL, 200, "=[]");
    new_session(&box, "s");
    box_end(&box);
}

TEST(sessions_have_a_ceiling)
{
    struct box box = start_box("state-delay=0", false, false);
    char body[64];

    for (int i = 0; i < 256; i++) {
        snprintf(body, sizeof(body), "{\"sessionId\":\"s%d\"}", i);
        expect(&box, "POST", S, JSON_IN, body, 201, NULL);
    }
    expect(&box, "POST", S, JSON_IN, "{\"sessionId\":\"more\"}", 500, "~failed to create session");
    box_end(&box);
}

TEST(links_in_the_way_are_not_followed)
{
    struct box box = start_box("state-delay=0", true, false);
    char out[256];

    assert_int_equal(run_in(&box,
                            "{\"command\":\"mkdir -p .daytona/sessions other && ln -s "
                            "$PWD/other .daytona/sessions/s\"}",
                            out, sizeof(out)),
                     200);
    expect(&box, "POST", S, JSON_IN, "{\"sessionId\":\"s\"}", 500, NULL);
    new_session(&box, "t");
    /* A session that takes its own files away harms only itself. */
    expect(&box, EXEC("t"), "{\"command\":\"rm -rf ~/.daytona; ln -s /etc ~/.daytona\"}", 200,
           "~\"exitCode\":0");
    expect(&box, EXEC("t"), "{\"command\":\"true\"}", 500, NULL);
    expect(&box, "DELETE", S "/t", NULL, NULL, 204, NULL);
    expect(&box, "GET", "/files/info?path=/etc/passwd", NULL, NULL, 200, NULL);
    box_end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_answer_as_the_real_ones),
        cmocka_unit_test(sessions_answer_as_the_real_ones_when_isolated),
        cmocka_unit_test(zsh_keeps_nul),
        cmocka_unit_test(a_large_output_is_all_there),
        cmocka_unit_test(delete_ends_all_of_a_session),
        cmocka_unit_test(stop_ends_sessions_and_who_waits_for_them),
        cmocka_unit_test(sessions_have_a_ceiling),
        cmocka_unit_test(links_in_the_way_are_not_followed),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_session", tests, NULL, NULL);
}
