/* Terminals: the calls by a table of facts, the conversation by hand. */
#include "raw_ws.h"

#define P "/process/pty"
#define CONNECTED "{\"type\":\"control\",\"status\":\"connected\"}"

/* clang-format off */
static const struct fact facts[] = {
    GET("list_empty", P, 200, "={\"sessions\":[]}"),
    POST_JSON("create_201", P, "{\"id\":\"one\"}", 201, "={\"sessionId\":\"one\"}"),
    POST_JSON("create_again_409", P, "{\"id\":\"one\"}", 409, "~{\"error\":\""),
    POST_JSON("create_no_id_400", P, "{}", 400, "~{\"error\":\""),
    POST_JSON("create_too_wide_400", P, "{\"id\":\"x\",\"cols\":1001}", 400, "~{\"error\":\""),
    POST_JSON("create_ids_are_checked_here", P, "{\"id\":\"../x\"}", 400, NULL),
    POST_JSON("create_bad_cwd_500", P, "{\"id\":\"x\",\"cwd\":\"/nope\"}", 500, "~{\"error\":\""),
    GET("info", P "/one", 200,
        "~{\"id\":\"one\",\"cwd\":\"@WORK\",\"envs\":{},\"cols\":80,\"rows\":24,\"createdAt\":\""),
    GET("info_ends", P "/one", 200, "~\"active\":true,\"lazyStart\":false}"),
    GET("info_unknown_404", P "/two", 404, "~{\"error\":\""),
    POST_JSON("resize_info", P "/one/resize", "{\"cols\":100,\"rows\":30}", 200,
        "~\"cols\":100,\"rows\":30"),
    POST_JSON("resize_zero_400", P "/one/resize", "{\"cols\":0,\"rows\":30}", 400, NULL),
    POST_JSON("resize_1001_400", P "/one/resize", "{\"cols\":1,\"rows\":1001}", 400, NULL),
    POST_JSON("resize_unknown_410", P "/two/resize", "{\"cols\":1,\"rows\":1}", 410,
        "~{\"error\":\""),
    POST_JSON("lazy_201", P, "{\"id\":\"lazy\",\"lazyStart\":true,\"cols\":90}", 201, NULL),
    GET("lazy_is_not_active", P "/lazy", 200, "~\"active\":false,\"lazyStart\":true}"),
    POST_JSON("resize_lazy_500", P "/lazy/resize", "{\"cols\":1,\"rows\":1}", 500,
        "~{\"error\":\""),
    GET("list", P, 200, "~{\"sessions\":[{\"id\":\"lazy\""),
    GET("connect_without_upgrade_400", P "/one/connect", 400, NULL),
    GET("create_connect_is_unknown_to_old", P "/create-connect?id=z", 404, NULL),
    BARE("delete_200_message", "DELETE", P "/one", 200, "~{\"message\":\""),
    BARE("delete_again_404", "DELETE", P "/one", 404, "~{\"error\":\""),
    BARE("delete_lazy", "DELETE", P "/lazy", 200, NULL),
    GET("deleted_are_gone", P, 200, "={\"sessions\":[]}"),
};
/* clang-format on */

TEST(terminals_answer_as_the_real_ones)
{
    check_facts(facts, "state-delay=0,shell=/bin/bash", false);
}

TEST(terminals_answer_as_the_real_ones_when_isolated)
{
    check_facts(facts, "state-delay=0,shell=/bin/bash", true);
}

static struct raw_ws attach(const struct box *box, const char *call, const char *headers)
{
    struct raw_ws ws = ws_open(box, call, headers);
    struct raw_frame f;

    assert_int_equal(ws.status, 101);
    f = ws_get(&ws);
    assert_int_equal(f.opcode, 1);
    assert_string_equal(buf_str(&f.data), CONNECTED);
    buf_done(&f.data);
    return ws;
}

static void type(struct raw_ws *ws, const char *text)
{
    ws_put(ws, 2, text, strlen(text));
}

/* Reads until text has come. */
static void await(struct raw_ws *ws, const char *text)
{
    struct buf all = BUF_INIT(1 << 20);

    while (!strstr(buf_str(&all), text)) {
        struct raw_frame f = ws_get(ws);

        if (f.opcode != 2)
            fail_msg("no \"%s\" in \"%s\"", text, buf_str(&all));
        assert_int_equal(buf_append(&all, f.data.data, f.data.len), 0);
        buf_done(&f.data);
    }
    buf_done(&all);
}

static void ends_with(struct raw_ws *ws, unsigned code, const char *reason)
{
    struct buf rest = BUF_INIT(1 << 20);
    char got[200] = "";
    const unsigned got_code = ws_collect(ws, &rest, 32 << 10, got, sizeof(got));

    if (got_code != code || strcmp(got, reason) != 0)
        fail_msg("wanted %u %s, got %u %s", code, reason, got_code, got);
    buf_done(&rest);
    ws_end(ws);
}

TEST(a_shell_with_a_controlling_terminal)
{
    struct box box = start_box("state-delay=0,shell=/bin/bash", true, false);
    struct raw_ws ws, other;

    expect(&box, "POST", P, JSON_IN,
           "{\"id\":\"t\",\"cols\":101,\"rows\":31,\"envs\":{\"MARK\":\"mm\"}}", 201, NULL);
    ws = attach(&box, P "/t/connect", NULL);
    type(&ws, "echo $((6*7))-$TERM-$MARK; stty size; tty; shopt -q login_shell && echo lo''gin\n");
    await(&ws, "42-xterm-256color-mm\r\n31 101\r\n/dev/pts/0\r\nlogin");
    /* Everybody sees what comes from now on, and Ctrl-C is a signal. */
    other = attach(&box, P "/t/connect", NULL);
    type(&ws, "echo sh''ared; sleep 100\n");
    await(&other, "shared");
    await(&ws, "shared");
    expect(&box, "POST", P "/t/resize", JSON_IN, "{\"cols\":99,\"rows\":33}", 200, NULL);
    usleep(200000);
    type(&other, "\003");
    type(&other, "stty size; exit 5\n");
    await(&ws, "33 99");
    ends_with(&ws, 1011, "{\"exitCode\":5,\"exitReason\":\"non-zero exit\"}");
    ends_with(&other, 1011, "{\"exitCode\":5,\"exitReason\":\"non-zero exit\"}");
    expect(&box, "GET", P "/t", NULL, NULL, 404, NULL);
    box_end(&box);
}

struct ending {
    const char *typed;
    unsigned code;
    const char *reason;
};

TEST(exits_have_codes_and_reasons)
{
    static const struct ending rows[] = {
        {"exit\n", 1000, "{\"exitCode\":0}"},
        {"exit 130\n", 1011, "{\"exitCode\":130,\"exitReason\":\"Ctrl+C\"}"},
        {"kill -9 $$\n", 1011, "{\"exitCode\":137,\"exitReason\":\"SIGKILL\"}"},
        {"exit 143\n", 1011, "{\"exitCode\":143,\"exitReason\":\"SIGTERM\"}"},
        {"kill -HUP $$\n", 1011, "{\"exitCode\":129,\"exitReason\":\"signal 1\"}"},
    };
    struct box box = start_box("state-delay=0,shell=/bin/sh", false, false);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct raw_ws ws;

        expect(&box, "POST", P, JSON_IN, "{\"id\":\"t\",\"lazyStart\":true}", 201, NULL);
        ws = attach(&box, P "/t/connect", NULL);
        type(&ws, rows[i].typed);
        ends_with(&ws, rows[i].code, rows[i].reason);
    }
    box_end(&box);
}

TEST(unknown_ones_are_told_after_the_handshake)
{
    struct box box = start_box("state-delay=0", false, false);
    struct raw_ws ws = ws_open(&box, P "/nope/connect", NULL);
    struct raw_frame f;

    assert_int_equal(ws.status, 101);
    f = ws_get(&ws);
    assert_int_equal(f.opcode, 1);
    assert_non_null(
        strstr(buf_str(&f.data), "{\"type\":\"control\",\"status\":\"error\",\"error\":\""));
    buf_done(&f.data);
    f = ws_get(&ws);
    assert_int_equal(f.opcode, -1);
    ws_end(&ws);
    box_end(&box);
}

TEST(deletion_kills_and_stop_kills)
{
    struct box box = start_box("state-delay=0", true, false);
    struct raw_ws ws;

    expect(&box, "POST", P, JSON_IN, "{\"id\":\"t\"}", 201, NULL);
    ws = attach(&box, P "/t/connect", NULL);
    expect(&box, "DELETE", P "/t", NULL, NULL, 200, NULL);
    ends_with(&ws, 1011, "{\"exitCode\":137,\"exitReason\":\"SIGKILL\"}");
    expect(&box, "POST", P, JSON_IN, "{\"id\":\"t\"}", 201, NULL);
    ws = attach(&box, P "/t/connect", NULL);
    expect(&box, "POST", "/api/sandbox/box/stop", NULL, NULL, 200, NULL);
    ends_with(&ws, 1011, "{\"exitCode\":137,\"exitReason\":\"SIGKILL\"}");
    expect(&box, "POST", "/api/sandbox/box/start", NULL, NULL, 200, NULL);
    expect(&box, "GET", P, NULL, NULL, 200, "={\"sessions\":[]}");
    box_end(&box);
}

TEST(new_daemons_create_and_connect_at_once)
{
    struct box box = start_box("state-delay=0,shell=/bin/bash", false, true);
    struct raw_ws ws;
    struct raw_frame f;
    char last[256] = "";

    ws = attach(&box, P "/create-connect?id=n&cols=70&rows=20",
                "Sec-WebSocket-Protocol: X-Daytona-Pty-Exit-Control, "
                "X-Daytona-Pty-Envs~eyJBIjoiYmMifQ\r\n");
    type(&ws, "echo $A-$((1+1)); stty size\n");
    await(&ws, "bc-2\r\n20 70");
    type(&ws, "exit 3\n");
    do {
        f = ws_get(&ws);
        if (f.opcode == 1)
            snprintf(last, sizeof(last), "%s", buf_str(&f.data));
        buf_done(&f.data);
    } while (f.opcode == 1 || f.opcode == 2);
    assert_int_equal(f.code, 1011);
    assert_string_equal(last, "{\"type\":\"control\",\"status\":\"exited\",\"exitCode\":3,"
                              "\"exitReason\":\"non-zero exit\"}");
    ws_end(&ws);
    box_end(&box);
}

TEST(slow_clients_and_floods_are_cut_off)
{
    struct box box = start_box("state-delay=0,shell=/bin/sh", false, false);
    struct buf all = BUF_INIT(64 << 20);
    struct raw_ws ws, other;
    char big[70000];
    char reason[64] = "";

    memset(big, 'x', sizeof(big));
    expect(&box, "POST", P, JSON_IN, "{\"id\":\"t\"}", 201, NULL);
    ws = attach(&box, P "/t/connect", NULL);
    other = attach(&box, P "/t/connect", NULL);
    type(&ws, "head -c 20000000 /dev/zero | tr '\\0' y; echo en''d\n");
    sleep(2); /* nobody reads: the sockets fill, then the queues */
    assert_int_equal(ws_collect(&ws, &all, 32 << 10, reason, sizeof(reason)), 1008);
    assert_string_equal(reason, "slow consumer");
    ws_put(&other, 2, big, sizeof(big));
    buf_truncate(&all, 0);
    assert_true(ws_collect(&other, &all, 32 << 10, NULL, 0) != 1000);
    ws_end(&ws);
    ws_end(&other);
    buf_done(&all);
    box_end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terminals_answer_as_the_real_ones),
        cmocka_unit_test(terminals_answer_as_the_real_ones_when_isolated),
        cmocka_unit_test(a_shell_with_a_controlling_terminal),
        cmocka_unit_test(exits_have_codes_and_reasons),
        cmocka_unit_test(unknown_ones_are_told_after_the_handshake),
        cmocka_unit_test(deletion_kills_and_stop_kills),
        cmocka_unit_test(new_daemons_create_and_connect_at_once),
        cmocka_unit_test(slow_clients_and_floods_are_cut_off),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_pty", tests, NULL, NULL);
}
