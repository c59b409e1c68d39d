/* Logs that are followed, over WebSocket and as plain chunks. */
#include "raw_ws.h"

#define S "/process/session"
#define V190 "X-Daytona-SDK-Version: 0.190.0\r\n"

/* Starts an asynchronous command; call becomes where its logs are. */
static void start(const struct box *box, const char *command, char *call, size_t size)
{
    struct answer a;
    char id[64], body[1024];

    a = ask_box(box, "POST", S, JSON_IN, "{\"sessionId\":\"s\"}");
    answer_done(&a);
    snprintf(body, sizeof(body), "{\"command\":\"%s\",\"runAsync\":true}", command);
    a = ask_box(box, "POST", S "/s/exec", JSON_IN, body);
    assert_int_equal(a.status, 202);
    keep_string(&a, "cmdId", id, sizeof(id));
    answer_done(&a);
    snprintf(call, size, S "/s/command/%s/logs", id);
}

static void follow(const struct box *box, const char *call, const char *query, const char *headers,
                   const char *want)
{
    struct buf all = BUF_INIT(1 << 20);
    char target[256];
    struct raw_ws ws;

    snprintf(target, sizeof(target), "%s%s", call, query);
    ws = ws_open(box, target, headers);
    assert_int_equal(ws.status, 101);
    assert_int_equal(ws_collect(&ws, &all, 1024, NULL, 0), 1000);
    assert_string_equal(buf_str(&all), want);
    ws_end(&ws);
    buf_done(&all);
}

TEST(the_stream_begins_with_the_log_and_ends_a_second_after_the_command)
{
    struct box box = start_box("state-delay=0", false, false);
    struct buf all = BUF_INIT(1 << 20);
    double begun = now_s(), took;
    char call[256];
    struct raw_ws ws;

    start(&box, "echo one; sleep 0.5; echo two >&2", call, sizeof(call));
    usleep(100000);
    strcat(call, "?follow=true");
    ws = ws_open(&box, call, V190);
    assert_int_equal(ws.status, 101);
    assert_non_null(
        strstr(buf_str(&ws.head), "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_int_equal(ws_collect(&ws, &all, 1024, NULL, 0), 1000);
    took = now_s() - begun;
    assert_string_equal(buf_str(&all), "\1\1\1one\n\2\2\2two\n");
    if (took < 1.4 || took > 2.5)
        fail_msg("took %f", took);
    ws_end(&ws);
    buf_done(&all);
    box_end(&box);
}

TEST(markers_are_kept_or_not_as_the_version_says)
{
    struct box box = start_box("state-delay=0", false, false);
    char call[256];
    struct raw_ws ws;

    start(&box, "echo one", call, sizeof(call));
    follow(&box, call, "?follow=true", V190, "\1\1\1one\n");
    follow(&box, call, "?follow=true", NULL, "one\n");
    follow(&box, call, "?follow=true", "X-Daytona-Split-Output: true\r\n", "\1\1\1one\n");
    follow(&box, call, "?follow=true", "X-Daytona-SDK-Version: 0.26.0\r\n", "one\n");
    follow(&box, call, "?follow=true",
           "Sec-WebSocket-Protocol: other, X-Daytona-SDK-Version~0.190.0\r\n", "\1\1\1one\n");
    follow(&box, call, "", V190, "\1\1\1one\n");
    ws = ws_open(&box, call, "Sec-WebSocket-Protocol: other, X-Daytona-SDK-Version~0.190.0\r\n");
    assert_non_null(
        strstr(buf_str(&ws.head), "Sec-WebSocket-Protocol: X-Daytona-SDK-Version~0.190.0\r\n"));
    ws_end(&ws);
    ws = ws_open(&box, call, "Sec-WebSocket-Protocol: other\r\n");
    assert_null(strstr(buf_str(&ws.head), "Sec-WebSocket-Protocol"));
    ws_end(&ws);
    box_end(&box);
}

TEST(plain_following_is_chunked_and_without_markers)
{
    struct box box = start_box("state-delay=0", false, false);
    struct answer a;
    char call[256];

    start(&box, "echo one; sleep 0.2; echo two >&2", call, sizeof(call));
    strcat(call, "?follow=true");
    a = ask_box(&box, "GET", call, V190, NULL);
    assert_int_equal(a.status, 200);
    assert_string_equal(header(&a, "Content-Type"), "application/octet-stream");
    assert_string_equal(header(&a, "Transfer-Encoding"), "chunked");
    assert_string_equal(buf_str(&a.body), "one\ntwo\n");
    assert_false(a.cut);
    answer_done(&a);
    box_end(&box);
}

TEST(handshakes_are_refused_with_the_usual_statuses)
{
    struct box box = start_box("state-delay=0", false, false);
    struct raw_ws ws;
    char call[256], with[400];

    ws = ws_open(&box, S "/nope/command/x/logs?follow=true", NULL);
    assert_int_equal(ws.status, 404);
    ws_end(&ws);
    start(&box, "echo one", call, sizeof(call));
    ws = ws_open(&box, call, "Authorization: Bearer wrong-key-1\r\n");
    assert_int_equal(ws.status, 401);
    ws_end(&ws);
    snprintf(with, sizeof(with), "%s?DAYTONA_SANDBOX_AUTH_KEY=wrong", call);
    ws = ws_open(&box, with, "X-No-Authorization: x\r\n");
    assert_int_equal(ws.status, 401);
    ws_end(&ws);
    box_end(&box);
}

TEST(large_outputs_and_pings)
{
    struct box box = start_box("state-delay=0", false, false);
    struct buf all = BUF_INIT(16 << 20);
    struct raw_frame f;
    struct raw_ws ws;
    char call[256];

    start(&box, "read x; seq 1000000", call, sizeof(call));
    strcat(call, "?follow=true");
    ws = ws_open(&box, call, NULL);
    ws_put(&ws, 9, "are you there", 13);
    f = ws_get(&ws);
    assert_int_equal(f.opcode, 10);
    assert_string_equal(buf_str(&f.data), "are you there");
    buf_done(&f.data);
    strcpy(strstr(call, "/logs"), "/input");
    expect(&box, "POST", call, JSON_IN, "{\"data\":\"go\"}", 204, NULL);
    assert_int_equal(ws_collect(&ws, &all, 1024, NULL, 0), 1000);
    assert_int_equal(all.len, 6888896 + 3);
    ws_end(&ws);
    buf_done(&all);
    box_end(&box);
}

TEST(the_connection_can_be_cut_by_a_fault)
{
    struct box box = start_box("state-delay=0,cut:session-logs=5000", false, false);
    struct buf all = BUF_INIT(1 << 20);
    struct raw_ws ws;
    char call[256];

    start(&box, "seq 10000", call, sizeof(call));
    strcat(call, "?follow=true");
    ws = ws_open(&box, call, NULL);
    assert_int_equal(ws_collect(&ws, &all, 1024, NULL, 0), 0);
    assert_true(all.len > 3000 && all.len < 5000);
    ws_end(&ws);
    buf_done(&all);
    box_end(&box);
}

TEST(deletion_and_the_end_of_the_server_let_followers_go)
{
    struct box box = start_box("state-delay=0", false, false);
    struct buf all = BUF_INIT(1 << 20);
    struct raw_ws ws;
    char call[256];

    start(&box, "sleep 100", call, sizeof(call));
    strcat(call, "?follow=true");
    ws = ws_open(&box, call, NULL);
    expect(&box, "DELETE", S "/s", NULL, NULL, 204, NULL);
    assert_int_equal(ws_collect(&ws, &all, 1024, NULL, 0), 1000);
    ws_end(&ws);
    start(&box, "sleep 100", call, sizeof(call));
    strcat(call, "?follow=true");
    ws = ws_open(&box, call, NULL);
    assert_int_equal(ws.status, 101);
    box.server = server_free(box.server);
    (void)ws_collect(&ws, &all, 1024, NULL, 0);
    ws_end(&ws);
    buf_done(&all);
    box_end(&box);
}

TEST(a_peer_that_talks_nonsense_is_dropped)
{
    struct box box = start_box("state-delay=0", false, false);
    struct buf all = BUF_INIT(1 << 20);
    char call[256], big[70000];
    struct raw_ws ws;

    memset(big, 'x', sizeof(big));
    start(&box, "sleep 100", call, sizeof(call));
    strcat(call, "?follow=true");
    ws = ws_open(&box, call, NULL);
    send_all(ws.fd, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10);
    assert_true(ws_collect(&ws, &all, 1024, NULL, 0) != 1000);
    ws_end(&ws);
    ws = ws_open(&box, call, NULL);
    ws_put(&ws, 2, big, sizeof(big));
    assert_true(ws_collect(&ws, &all, 1024, NULL, 0) != 1000);
    ws_end(&ws);
    buf_done(&all);
    box_end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_begins_with_the_log_and_ends_a_second_after_the_command),
        cmocka_unit_test(markers_are_kept_or_not_as_the_version_says),
        cmocka_unit_test(plain_following_is_chunked_and_without_markers),
        cmocka_unit_test(handshakes_are_refused_with_the_usual_statuses),
        cmocka_unit_test(large_outputs_and_pings),
        cmocka_unit_test(the_connection_can_be_cut_by_a_fault),
        cmocka_unit_test(deletion_and_the_end_of_the_server_let_followers_go),
        cmocka_unit_test(a_peer_that_talks_nonsense_is_dropped),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_follow", tests, NULL, NULL);
}
