/* States beyond started and stopped, and what happens to sandboxes by themselves. */
#include "raw_ws.h"

TEST(archived_ones_come_back_with_their_files)
{
    struct server_config config = {.no_isolation = true, .fault = "state-delay=0"};
    struct box box = start_box("state-delay=100ms", false, false);

    expect(&box, "POST", "/api/sandbox/box/archive", NULL, NULL, 400, "~Sandbox is not stopped");
    expect(&box, "POST", "/api/sandbox/box/stop", NULL, NULL, 200, "~\"state\":\"stopping\"");
    expect(&box, "POST", "/api/sandbox/box/archive", NULL, NULL, 409, NULL);
    wait_state(&box, "box", "stopped");
    expect(&box, "POST", "/api/sandbox/box/archive", NULL, NULL, 200, "~\"state\":\"archiving\"");
    expect(&box, "GET", "/version", NULL, NULL, 400, "~does not have a runner");
    wait_state(&box, "box", "archived");
    expect(&box, "GET", "/version", NULL, NULL, 400,
           "~bad request: failed to get runner info: Sandbox with ID ");
    expect(&box, "POST", "/api/sandbox/box/start", NULL, NULL, 200, "~\"state\":\"restoring\"");
    wait_state(&box, "box", "started");
    expect(&box, "GET", "/version", NULL, NULL, 200, NULL);
    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"a\"}", 200, NULL);
    expect(&box, "POST", "/api/sandbox/a/stop", NULL, NULL, 200, NULL);
    wait_state(&box, "a", "stopped");
    expect(&box, "POST", "/api/sandbox/a/archive", NULL, NULL, 200, NULL);
    box.server = server_free(box.server);
    assert_int_equal(box_start(&box, &config), 0);
    expect(&box, "GET", "/api/sandbox/a", NULL, NULL, 200, "~\"state\":\"archived\"");
    box_end(&box);
}

TEST(errors_can_be_recovered_from)
{
    struct box box = start_box("state-delay=0", false, false);

    expect(&box, "POST", "/api/sandbox/box/recover", NULL, NULL, 400, NULL);
    expect(&box, "POST", "/_fault/error/box", NULL, NULL, 200, "~\"state\":\"error\"");
    expect(&box, "GET", "/api/sandbox/box", NULL, NULL, 200, "~\"recoverable\":true");
    expect(&box, "POST", "/api/sandbox/box/start", NULL, NULL, 400, NULL);
    expect(&box, "GET", "/version", NULL, NULL, 400, NULL);
    expect(&box, "POST", "/api/sandbox/box/recover?skipStart=true", NULL, NULL, 200,
           "~\"state\":\"stopped\"");
    expect(&box, "POST", "/_fault/error/box", NULL, NULL, 200, NULL);
    expect(&box, "POST", "/api/sandbox/box/recover", NULL, NULL, 200, "~\"state\":\"started\"");
    expect(&box, "GET", "/version", NULL, NULL, 200, NULL);
    box_end(&box);
}

TEST(containers_do_not_pause_or_fork)
{
    static const char *const calls[] = {"pause", "fork", "autopause/5"};
    struct box box = start_box("state-delay=0", false, false);

    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        char target[64];

        snprintf(target, sizeof(target), "/api/sandbox/box/%s", calls[i]);
        expect(&box, "POST", target, JSON_IN, "{}", 422, "~\"statusCode\":422");
    }
    expect(&box, "GET", "/api/sandbox/box/forks", NULL, NULL, 200, "=[]");
    expect(&box, "GET", "/api/sandbox/box/ancestors", NULL, NULL, 200, "=[]");
    expect(&box, "GET", "/api/sandbox/box/parent", NULL, NULL, 404, NULL);
    box_end(&box);
}

TEST(idle_ones_stop_and_used_ones_do_not)
{
    struct box box = start_box("state-delay=0,minute=1s", false, false);
    char call[256], id[64];
    struct answer a;
    struct raw_ws ws;

    expect(&box, "POST", "/api/sandbox/box/autostop/1", NULL, NULL, 201, NULL);
    for (int i = 0; i < 10; i++) { /* small calls keep it awake */
        expect(&box, "GET", "/version", NULL, NULL, 200, NULL);
        usleep(100000);
    }
    /* A stream that is open does, too, and what runs does not matter. */
    expect(&box, "POST", "/process/session", JSON_IN, "{\"sessionId\":\"s\"}", 201, NULL);
    a = ask_box(&box, "POST", "/process/session/s/exec", JSON_IN,
                "{\"command\":\"sleep 100\",\"async\":true}");
    keep_string(&a, "cmdId", id, sizeof(id));
    answer_done(&a);
    snprintf(call, sizeof(call), "/process/session/s/command/%s/logs?follow=true", id);
    ws = ws_open(&box, call, NULL);
    for (int i = 0; i < 15; i++) {
        usleep(100000);
        expect(&box, "GET", "/api/sandbox/box", NULL, NULL, 200, "~\"state\":\"started\"");
    }
    ws_end(&ws);
    /* The control plane's reads do not count. */
    wait_state(&box, "box", "stopped");
    /* Nor do calls that say so. */
    expect(&box, "POST", "/api/sandbox/box/start", NULL, NULL, 200, NULL);
    for (int i = 0; i < 45; i++) {
        a = ask_box(&box, "GET", "/version", "X-Daytona-Skip-Last-Activity-Update: true\r\n", NULL);
        id[0] = (char)a.status;
        answer_done(&a);
        usleep(50000);
    }
    expect(&box, "GET", "/api/sandbox/box", NULL, NULL, 200, "~\"state\":\"stopped\"");
    box_end(&box);
}

TEST(stopped_ones_are_archived_or_deleted_and_old_ones_deleted)
{
    struct box box = start_box("state-delay=0,minute=100ms", false, false);

    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"a\",\"autoArchiveInterval\":2}", 200,
           NULL);
    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"d\",\"autoDeleteInterval\":2}", 200,
           NULL);
    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"t\"}", 200, NULL);
    expect(&box, "POST", "/api/sandbox/a/stop", NULL, NULL, 200, NULL);
    expect(&box, "POST", "/api/sandbox/d/stop", NULL, NULL, 200, NULL);
    expect(&box, "POST", "/api/sandbox/t/ttl/3", NULL, NULL, 201, NULL);
    wait_state(&box, "a", "archived");
    usleep(1500000);
    expect(&box, "GET", "/api/sandbox/d", NULL, NULL, 404, NULL);
    expect(&box, "GET", "/api/sandbox/t", NULL, NULL, 404, NULL);
    expect(&box, "GET", "/api/sandbox/box", NULL, NULL, 200, "~\"state\":\"started\"");
    box_end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archived_ones_come_back_with_their_files),
        cmocka_unit_test(errors_can_be_recovered_from),
        cmocka_unit_test(containers_do_not_pause_or_fork),
        cmocka_unit_test(idle_ones_stop_and_used_ones_do_not),
        cmocka_unit_test(stopped_ones_are_archived_or_deleted_and_old_ones_deleted),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_states", tests, NULL, NULL);
}
