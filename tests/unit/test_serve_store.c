/* Snapshots, volumes, sizes and networks: the control plane's calls, by tables of facts. */
#include "raw_ws.h"

#define S "//api/snapshots"
#define V "//api/volumes"
#define B "//api/sandbox"
#define POST(what, call_, status_, want_) BARE(what, "POST", call_, status_, want_)
#define MAKE(what, call_, body_, status_, want_, keep_)                                            \
    {                                                                                              \
        .name = (what), .method = "POST", .call = (call_), .headers = JSON_IN, .body = (body_),    \
        .status = (status_), .want = (want_), .keep = (keep_)                                      \
    }

/* clang-format off */
static const struct fact snapshot_facts[] = {
    GET("general_ones", S, 200,
        "~\"general\":true,\"name\":\"daytona-local\",\"state\":\"active\""),
    GET("pages_are_counted", S "?limit=1&page=2", 200, "~\"total\":2,\"page\":2,\"totalPages\":2}"),
    GET("page_0_400", S "?page=0", 400, NULL),
    GET("by_name", S "/daytona-local", 200, "~\"sandboxClass\":\"container\""),
    GET("unknown_404", S "/nope", 404, "~not found"),
    POST_JSON("no_image_400", S, "{\"name\":\"a\"}", 400, NULL),
    POST_JSON("image_without_a_tag_400", S,
        "{\"name\":\"a\",\"imageName\":\"r:5000/x\"}", 400, NULL),
    POST_JSON("latest_400", S, "{\"name\":\"a\",\"imageName\":\"x:latest\"}", 400, NULL),
    POST_JSON("bad_name_400", S, "{\"name\":\"A b\",\"imageName\":\"x:1\"}", 400, NULL),
    MAKE("create", S, "{\"name\":\"a\",\"imageName\":\"x:1\",\"cpu\":2,\"memory\":4}", 200,
         "~\"state\":\"pulling\"", "id"),
    POST_JSON("name_taken_409", S, "{\"name\":\"a\",\"imageName\":\"x:1\"}", 409, NULL),
    GET("active_at_once_here", S "/a", 200, "~\"state\":\"active\",\"size\":null,\"cpu\":2"),
    GET("memory_is_mem_here", S "/@KEEP", 200, "~\"mem\":4,\"disk\":3"),
    POST("activate_active_400", S "/@KEEP/activate", 400, NULL),
    POST("deactivate_204", S "/@KEEP/deactivate", 204, ""),
    POST_JSON("inactive_cannot_be_used", B, "{\"snapshot\":\"a\"}", 400, "~inactive"),
    POST("activate", S "/@KEEP/activate", 200, NULL),
    GET("no_logs_of_an_image_404", S "/@KEEP/build-logs-url", 404, NULL),
    BARE("delete_by_name_404", "DELETE", S "/a", 404, NULL),
    BARE("delete", "DELETE", S "/@KEEP", 200, NULL),
    GET("deleted_404", S "/a", 404, NULL),
    MAKE("build", S, "{\"name\":\"b\","
         "\"buildInfo\":{\"dockerfileContent\":\"FROM x:1\\nRUN y\\n\"}}",
         200, "~\"state\":\"building\"", "id"),
    GET("logs_url", S "/@KEEP/build-logs-url", 200, "~/build-logs\"}"),
    GET("logs", S "/@KEEP/build-logs?follow=true", 200,
        "=Step 1/2 : FROM x:1\nStep 2/2 : RUN y\nSuccessfully built\n"),
    MAKE("bad_build", S, "{\"name\":\"c\",\"buildInfo\":{\"dockerfileContent\":\"RUN y\\n\"}}", 200,
         NULL, "id"),
    GET("bad_build_failed", S "/c", 200, "~\"state\":\"build_failed\""),
    GET("bad_build_logs", S "/@KEEP/build-logs?follow=true", 200, "~failed"),
    {.name = "general_id", .method = "GET", .call = S "/daytona-local", .status = 200,
     .keep = "id"},
    BARE("delete_general_403", "DELETE", S "/@KEEP", 403, NULL),
    POST_JSON("unknown_snapshot_400", B, "{\"snapshot\":\"nope\"}", 400, "~not found"),
};

static const struct fact volume_facts[] = {
    GET("none", V, 200, "=[]"),
    POST_JSON("no_name_400", V, "{}", 400, NULL),
    MAKE("create", V, "{\"name\":\"v\"}", 200, "~\"state\":\"creating\"", "id"),
    GET("ready_at_once_here", V "/@KEEP", 200, "~\"name\":\"v\""),
    GET("by_name", V "/by-name/v", 200, "~\"state\":\"ready\""),
    GET("by_unknown_name_404", V "/by-name/w", 404, NULL),
    GET("by_unknown_id_404", V "/v", 404, NULL),
    POST_JSON("name_taken_409", V, "{\"name\":\"v\"}", 409, NULL),
    POST_JSON("mount_at_root_400", B,
        "{\"volumes\":[{\"volumeId\":\"@KEEP\",\"mountPath\":\"/\"}]}", 400, "~mount path"),
    POST_JSON("mount_at_etc_400", B,
        "{\"volumes\":[{\"volumeId\":\"@KEEP\",\"mountPath\":\"/etc/x\"}]}", 400, NULL),
    POST_JSON("mount_relative_400", B,
        "{\"volumes\":[{\"volumeId\":\"@KEEP\",\"mountPath\":\"x\"}]}", 400, NULL),
    POST_JSON("mount_climbing_400", B,
        "{\"volumes\":[{\"volumeId\":\"@KEEP\",\"mountPath\":\"/mnt/../etc\"}]}", 400, NULL),
    POST_JSON("subpath_climbing_400", B, "{\"volumes\":[{\"volumeId\":\"@KEEP\","
        "\"mountPath\":\"/mnt/x\",\"subpath\":\"a/../..\"}]}", 400, NULL),
    POST_JSON("mount_unknown_404", B,
        "{\"volumes\":[{\"volumeId\":\"nope\",\"mountPath\":\"/mnt/x\"}]}", 404, NULL),
    POST_JSON("mount", B, "{\"name\":\"m\",\"volumes\":[{\"volumeId\":\"@KEEP\","
        "\"mountPath\":\"/mnt/x\"}]}", 200, "~\"state\":\"started\""),
    BARE("delete_in_use_409", "DELETE", V "/@KEEP", 409, NULL),
    BARE("delete_the_user", "DELETE", B "/m", 200, NULL),
    GET("the_user_goes", B "/m", 404, NULL),
    BARE("delete", "DELETE", V "/@KEEP", 200, NULL),
    GET("gone", V, 200, "=[]"),
};

static const struct fact size_facts[] = {
    GET("begins_small", B "/box", 200, "~\"cpu\":1,\"gpu\":0,\"memory\":1,\"disk\":3"),
    POST_JSON("nothing_400", B "/box/resize", "{}", 400, NULL),
    POST_JSON("disk_while_started_400", B "/box/resize", "{\"disk\":10}", 400, NULL),
    POST_JSON("more", B "/box/resize", "{\"cpu\":2,\"memory\":4}", 200, NULL),
    GET("has_more", B "/box", 200, "~\"cpu\":2,\"gpu\":0,\"memory\":4,\"disk\":3"),
    POST_JSON("less_while_started_400", B "/box/resize", "{\"cpu\":1}", 400, "~decreased"),
    POST("stop", B "/box/stop", 200, NULL),
    POST_JSON("less_disk_400", B "/box/resize", "{\"disk\":2}", 400, "~decreased"),
    POST_JSON("less_when_stopped", B "/box/resize", "{\"cpu\":1,\"disk\":10}", 200, NULL),
    GET("comes_back_stopped", B "/box", 200, "~\"state\":\"stopped\""),
    POST_JSON("network_nothing_400", B "/box/network-settings", "{}", 400, NULL),
    POST_JSON("network_bad_cidr_400", B "/box/network-settings",
        "{\"networkAllowList\":\"1.2.3.4/33\"}", 400, NULL),
    POST_JSON("network_bad_domain_400", B "/box/network-settings",
        "{\"domainAllowList\":\"a b\"}", 400, NULL),
    POST_JSON("network_eleven_400", B "/box/network-settings",
        "{\"networkAllowList\":\"1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,"
        "1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8\"}", 400, NULL),
    POST_JSON("network_block", B "/box/network-settings", "{\"networkBlockAll\":true}", 200,
        "~\"networkBlockAll\":true"),
    POST_JSON("network_list_ends_block", B "/box/network-settings",
        "{\"networkAllowList\":\"1.0.0.0/8, 10.1.2.3/32\",\"domainAllowList\":\"*.a.org,b\"}", 200,
        "~\"networkBlockAll\":false"),
    GET("network_is_kept", B "/box", 200, "~\"networkAllowList\":\"1.0.0.0/8, 10.1.2.3/32\""),
    POST_JSON("network_cleared", B "/box/network-settings", "{\"networkAllowList\":\"\"}", 200,
        "!networkAllowList"),
};
/* clang-format on */

TEST(snapshots_answer_as_the_real_ones)
{
    check_facts(snapshot_facts, "state-delay=0", true);
}

TEST(volumes_answer_as_the_real_ones)
{
    check_facts(volume_facts, "state-delay=0", true);
}

TEST(sizes_and_networks_answer_as_the_real_ones)
{
    check_facts(size_facts, "state-delay=0", false);
}

TEST(states_pass_in_time_and_stay_after_a_restart)
{
    struct server_config config = {.fault = "state-delay=600ms"};
    struct box box;

    box_dirs(&box);
    if (box_start(&box, &config) == -EPERM) {
        box_end(&box);
        skip();
    }
    expect(&box, "POST", "/api/volumes", JSON_IN, "{\"name\":\"v\"}", 200, "~creating");
    expect(&box, "GET", "/api/volumes/by-name/v", NULL, NULL, 200, "~creating");
    expect(&box, "POST", "/api/sandbox", JSON_IN,
           "{\"volumes\":[{\"volumeId\":\"v\",\"mountPath\":\"/mnt/v\"}]}", 400, "~not in a ready");
    expect(&box, "POST", "/api/snapshots", JSON_IN, "{\"name\":\"s\",\"imageName\":\"x:1\"}", 200,
           "~pulling");
    box.server = server_free(box.server);
    assert_int_equal(box_start(&box, &config), 0);
    expect(&box, "GET", "/api/volumes/by-name/v", NULL, NULL, 200, "~ready");
    expect(&box, "GET", "/api/snapshots/s", NULL, NULL, 200, "~\"state\":\"active\"");
    box_end(&box);
}

/* A volume's folder is what sandboxes have made of it: a link in it must not lead out. */
TEST(a_subpath_that_is_a_link_is_not_followed)
{
    struct box box = start_box("state-delay=0", true, false);

    expect(&box, "POST", "/api/volumes", JSON_IN, "{\"name\":\"v\"}", 200, NULL);
    expect(&box, "POST", "/api/sandbox", JSON_IN,
           "{\"name\":\"a\",\"volumes\":[{\"volumeId\":\"v\",\"mountPath\":\"/home/daytona/v\"}]}",
           200, NULL);
    {
        struct answer a = ask(&box, "GET", "/api/sandbox/a", NULL, NULL);

        keep_string(&a, "id", box.id, sizeof(box.id));
        answer_done(&a);
    }
    expect(&box, "POST", "/process/execute", JSON_IN,
           "{\"command\":\"ln -s / v/out; echo x > v/f; mkdir v/d; ls v\"}", 200, "~d\\nf\\nout");
    expect(&box, "POST", "/api/sandbox", JSON_IN,
           "{\"volumes\":[{\"volumeId\":\"v\",\"mountPath\":\"/mnt/v\",\"subpath\":\"out\"}]}", 400,
           NULL);
    expect(&box, "POST", "/api/sandbox", JSON_IN,
           "{\"volumes\":[{\"volumeId\":\"v\",\"mountPath\":\"/mnt/v\",\"subpath\":\"d\"}]}", 200,
           "~started");
    box_end(&box);
}

/* On the host: the sandbox itself stands still. */
static void read_tick(const struct box *box, char *out, size_t size)
{
    char path[256];
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "%s/state/sandboxes/%s/home/tick", box->root, box->id);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    n = read(fd, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    close(fd);
}

TEST(a_pause_stops_what_runs_and_a_start_goes_on)
{
    struct box box = start_box("state-delay=0", true, false);
    char out[512], before[64], after[64];

    expect(&box, "POST", "/api/sandbox", JSON_IN,
           "{\"name\":\"vm\",\"snapshot\":\"daytona-local-vm\"}", 200, "~linux-vm");
    {
        struct answer a = ask(&box, "GET", "/api/sandbox/vm", NULL, NULL);

        keep_string(&a, "id", box.id, sizeof(box.id));
        answer_done(&a);
    }
    run_in(&box,
           "{\"command\":\"(while :; do date +%s%N > tick; sleep 0.02; done) >/dev/null 2>&1 "
           "</dev/null & echo $! > pid\"}",
           out, sizeof(out));
    run_in(&box, "{\"command\":\"for i in $(seq 80); do [ -s tick ] && break; sleep 0.1; done\"}",
           out, sizeof(out));
    expect(&box, "POST", "/api/sandbox/vm/pause", NULL, NULL, 200, "~\"desiredState\":\"paused\"");
    expect(&box, "GET", "/api/sandbox/vm", NULL, NULL, 200, "~\"state\":\"paused\"");
    read_tick(&box, before, sizeof(before));
    usleep(200000);
    read_tick(&box, after, sizeof(after));
    assert_string_equal(before, after);
    expect(&box, "GET", "/files?path=.", NULL, NULL, 400, "~Is the Sandbox started?");
    expect(&box, "POST", "/api/sandbox/vm/pause", NULL, NULL, 400, NULL);
    expect(&box, "POST", "/api/sandbox/vm/start", NULL, NULL, 200, NULL);
    wait_state(&box, "vm", "started");
    expect(&box, "POST", "/process/execute", JSON_IN,
           "{\"command\":\"a=$(cat tick); for i in $(seq 80); do sleep 0.1; "
           "[ x$(cat tick) = x$a ] || break; done; [ x$(cat tick) != x$a ] && kill $(cat pid)\"}",
           200, "~\"exitCode\":0");
    expect(&box, "POST", "/api/sandbox/vm/autopause/5", NULL, NULL, 201,
           "~\"autoPauseInterval\":5");
    expect(&box, "POST", "/api/sandbox/vm/pause", NULL, NULL, 200, NULL);
    expect(&box, "POST", "/api/sandbox/vm/stop", NULL, NULL, 200, NULL);
    wait_state(&box, "vm", "stopped");
    box_end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots_answer_as_the_real_ones),
        cmocka_unit_test(volumes_answer_as_the_real_ones),
        cmocka_unit_test(sizes_and_networks_answer_as_the_real_ones),
        cmocka_unit_test(states_pass_in_time_and_stay_after_a_restart),
        cmocka_unit_test(a_subpath_that_is_a_link_is_not_followed),
        cmocka_unit_test(a_pause_stops_what_runs_and_a_start_goes_on),
    };

    return cmocka_run_group_tests_name("serve_store", tests, NULL, NULL);
}
