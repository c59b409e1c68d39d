/* The code interpreter: the calls by a table of facts, runs by hand and through the SDK. */
#include "raw_ws.h"

#define P "/process/interpreter"

/* clang-format off */
static const struct fact facts[] = {
    GET("list_empty", P "/context", 200, "={\"contexts\":[]}"),
    {.name = "create_200", .method = "POST", .call = P "/context", .headers = JSON_IN,
     .body = "{\"cwd\":\"/tmp\"}", .status = 200, .want = "~\"cwd\":\"/tmp\"", .keep = "id"},
    GET("list", P "/context", 200, "~{\"contexts\":[{\"id\":\"@KEEP\",\"cwd\":\"/tmp\""),
    GET("list_tells_more", P "/context", 200, "~\"active\":true,\"language\":\"python\"}]}"),
    BARE("delete_200_message", "DELETE", P "/context/@KEEP", 200, "~{\"message\":\""),
    BARE("delete_again_404_empty", "DELETE", P "/context/@KEEP", 404, ""),
    BARE("delete_default_400_empty", "DELETE", P "/context/default", 400, ""),
    POST_JSON("other_language_400", P "/context", "{\"language\":\"ruby\"}", 400, NULL),
    POST_JSON("no_such_cwd_400", P "/context", "{\"cwd\":\"/nope\"}", 400, NULL),
    POST_JSON("not_json_400", P "/context", "{", 400, NULL),
    GET("execute_without_upgrade_400", P "/execute", 400, NULL),
    GET("gone", P "/context", 200, "={\"contexts\":[]}"),
};
/* clang-format on */

static bool has_python(void)
{
    return access("/usr/bin/python3", X_OK) == 0 || access("/usr/local/bin/python3", X_OK) == 0;
}

TEST(contexts_answer_as_the_real_ones)
{
    if (!has_python())
        skip();
    check_facts(facts, "state-delay=0", true);
}

struct run_row {
    const char *name, *request;
    const char *frames; /* all of them, one after the other */
    unsigned code;
    const char *reason; /* in it */
};

#define DONE "{\"type\": \"control\", \"text\": \"completed\"}"

/* One after another in one box: what a run leaves, the next one finds. */
static const struct run_row rows[] = {
    {"a run prints", "{\"code\":\"x = 5\\nprint('a', x)\"}",
     "{\"type\": \"stdout\", \"text\": \"a 5\\n\"}" DONE, 1000, ""},
    {"the next one remembers", "{\"code\":\"print(x + 1)\",\"contextId\":\"default\"}",
     "{\"type\": \"stdout\", \"text\": \"6\\n\"}" DONE, 1000, ""},
    {"streams are told apart",
     "{\"code\":\"import sys\\nprint('e', file=sys.stderr)\\nsys.stdout.write('no end')\"}",
     "{\"type\": \"stderr\", \"text\": \"e\\n\"}{\"type\": \"stdout\", \"text\": \"no end\"}" DONE,
     1000, ""},
    {"an environment for one run",
     "{\"code\":\"import os\\nprint(os.environ['A'])\","
     "\"envs\":{\"A\":\"b\"}}",
     "{\"type\": \"stdout\", \"text\": \"b\\n\"}" DONE, 1000, ""},
    {"and not for the next", "{\"code\":\"print('A' in os.environ)\"}",
     "{\"type\": \"stdout\", \"text\": \"False\\n\"}" DONE, 1000, ""},
    {"an exception", "{\"code\":\"raise KeyError('k')\"}",
     "{\"type\": \"error\", \"name\": \"KeyError\", \"value\": \"'k'\", \"traceback\": \"Traceback "
     "(most recent call "
     "last):\\n  File \\\"<run 6>\\\", line 1, in <module>\\n    raise KeyError('k')\\nKeyError: "
     "'k'\\n\"}" DONE,
     1000, ""},
    {"an interrupt", "{\"code\":\"raise KeyboardInterrupt\"}",
     "{\"type\": \"control\", \"text\": \"interrupted\"}", 1000, ""},
    {"what is not ASCII is escaped", "{\"code\":\"print('\\u00e9\\\\udc80\\\\0')\"}",
     "{\"type\": \"stdout\", \"text\": \"\\u00e9\\\\udc80\\u0000\\n\"}" DONE, 1000, ""},
    {"children print, too", "{\"code\":\"import subprocess\\nsubprocess.call(['echo', 'hi'])\"}",
     "{\"type\":\"stdout\",\"text\":\"hi\\n\"}" DONE, 1000, ""},
    {"stdin is empty", "{\"code\":\"print(repr(sys.stdin.read()))\"}",
     "{\"type\": \"stdout\", \"text\": \"''\\n\"}" DONE, 1000, ""},
    {"a timeout interrupts", "{\"code\":\"import time\\ntime.sleep(60)\",\"timeout\":1}", "", 4008,
     "timed out"},
    {"and spoils nothing", "{\"code\":\"print(x)\"}",
     "{\"type\": \"stdout\", \"text\": \"5\\n\"}" DONE, 1000, ""},
    {"an interpreter that ends", "{\"code\":\"os._exit(3)\"}", "", 1011, "has ended"},
    {"starts anew", "{\"code\":\"print('x' in globals())\"}",
     "{\"type\": \"stdout\", \"text\": \"False\\n\"}" DONE, 1000, ""},
    {"no code", "{\"code\":\"\"}", "", 1008, "code is required"},
    {"no such context", "{\"code\":\"1\",\"contextId\":\"zz\"}", "", 1008, "context not found: zz"},
    {"a name that is none", "{\"code\":\"1\",\"envs\":{\"A-B\":\"\"}}", "", 1008, "environment"},
    {"not JSON", "print(1)", "", 1002, ""},
};

static void run_row(const struct box *box, const struct run_row *row)
{
    struct raw_ws ws = ws_open(box, P "/execute", NULL);
    struct buf out = BUF_INIT(1 << 20);
    char reason[128] = "";
    unsigned code;

    assert_int_equal(ws.status, 101);
    ws_put(&ws, 1, row->request, strlen(row->request));
    code = ws_collect(&ws, &out, 1 << 20, reason, sizeof(reason));
    if (code != row->code || strcmp(buf_str(&out), row->frames) != 0 ||
        !strstr(reason, row->reason))
        fail_msg("%s: wanted %u %s\n  got %u %s %s", row->name, row->code, row->frames, code,
                 reason, buf_str(&out));
    buf_done(&out);
    ws_end(&ws);
}

TEST(runs_say_what_the_code_does)
{
    struct box box;

    if (!has_python())
        skip();
    box = start_box("state-delay=0", true, false);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        run_row(&box, &rows[i]);
    box_end(&box);
}

TEST(code_that_ignores_the_interrupt_is_killed)
{
    static const struct run_row stubborn = {
        "stubborn",
        "{\"code\":\"import time\\nwhile True:\\n  try:\\n    time.sleep(9)\\n"
        "  except KeyboardInterrupt:\\n    pass\",\"timeout\":1}",
        "", 4008, "timed out"};
    static const struct run_row next = {"next", "{\"code\":\"print(1)\"}",
                                        "{\"type\": \"stdout\", \"text\": \"1\\n\"}" DONE, 1000,
                                        ""};
    struct box box;
    double began;

    if (!has_python())
        skip();
    box = start_box("state-delay=0", true, false);
    began = now_s();
    run_row(&box, &stubborn);
    assert_true(now_s() - began >= 2.9); /* the timeout and two seconds of grace */
    run_row(&box, &next);
    box_end(&box);
}

/* The code says something first: until then it may not have begun. */
static void runs(struct raw_ws *ws)
{
    struct raw_frame f = ws_get(ws);

    assert_int_equal(f.opcode, 1);
    buf_done(&f.data);
}

TEST(runs_of_a_context_wait_for_each_other)
{
    static const char slow[] =
        "{\"code\":\"import time\\nn = 1\\nprint(0)\\ntime.sleep(0.4)\\nn += 1\\nprint(n)\"}";
    static const char quick[] = "{\"code\":\"print(n * 10)\"}";
    struct buf first = BUF_INIT(4096), second = BUF_INIT(4096);
    struct raw_ws a, b;
    struct box box;

    if (!has_python())
        skip();
    box = start_box("state-delay=0", true, false);
    a = ws_open(&box, P "/execute", NULL);
    ws_put(&a, 1, slow, strlen(slow));
    runs(&a);
    b = ws_open(&box, P "/execute", NULL);
    ws_put(&b, 1, quick, strlen(quick));
    assert_int_equal(ws_collect(&b, &second, 4096, NULL, 0), 1000);
    assert_int_equal(ws_collect(&a, &first, 4096, NULL, 0), 1000);
    assert_non_null(strstr(buf_str(&first), "\"2\\n\""));
    assert_non_null(strstr(buf_str(&second), "\"20\\n\""));
    buf_done(&first);
    buf_done(&second);
    ws_end(&a);
    ws_end(&b);
    box_end(&box);
}

TEST(a_client_that_leaves_does_not_end_the_code)
{
    static const char code[] = "{\"code\":\"import time\\nprint(0)\\ntime.sleep(0.3)\\nleft = 7\"}";
    static const struct run_row next = {"next", "{\"code\":\"print(left)\"}",
                                        "{\"type\": \"stdout\", \"text\": \"7\\n\"}" DONE, 1000,
                                        ""};
    struct raw_ws ws;
    struct box box;

    if (!has_python())
        skip();
    box = start_box("state-delay=0", true, false);
    ws = ws_open(&box, P "/execute", NULL);
    ws_put(&ws, 1, code, strlen(code));
    runs(&ws);
    ws_end(&ws);
    run_row(&box, &next);
    box_end(&box);
}

TEST(the_end_of_a_sandbox_ends_its_runs)
{
    static const char code[] =
        "{\"code\":\"import time\\nprint(1)\\ntime.sleep(60)\",\"timeout\":0}";
    struct buf out = BUF_INIT(4096);
    char reason[128] = "";
    struct raw_ws ws;
    struct box box;

    if (!has_python())
        skip();
    box = start_box("state-delay=0", true, false);
    ws = ws_open(&box, P "/execute", NULL);
    ws_put(&ws, 1, code, strlen(code));
    runs(&ws);
    expect(&box, "POST", "/api/sandbox/box/stop", NULL, NULL, 200, NULL);
    if (ws_collect(&ws, &out, 4096, reason, sizeof(reason)) != 1011)
        fail_msg("left with %s", reason);
    assert_string_equal(reason, "the interpreter has ended");
    ws_end(&ws);
    expect(&box, "POST", "/api/sandbox/box/start", NULL, NULL, 200, NULL);
    expect(&box, "GET", P "/context", NULL, NULL, 200, "={\"contexts\":[]}");
    buf_done(&out);
    box_end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts_answer_as_the_real_ones),
        cmocka_unit_test(runs_say_what_the_code_does),
        cmocka_unit_test(code_that_ignores_the_interrupt_is_killed),
        cmocka_unit_test(runs_of_a_context_wait_for_each_other),
        cmocka_unit_test(a_client_that_leaves_does_not_end_the_code),
        cmocka_unit_test(the_end_of_a_sandbox_ends_its_runs),
    };

    return cmocka_run_group_tests_name("serve_interpreter", tests, NULL, NULL);
}
