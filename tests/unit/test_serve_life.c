/* The server around its calls: credentials, states, what outlives it, what it refuses. */
#include "raw_http.h"

TEST(credentials_are_asked_for_everywhere)
{
    struct box box = start_box(NULL, false, false);
    char other[128];

    expect(&box, "GET", "/api/sandbox", "Authorization: Bearer wrong-key-1\r\n", NULL, 401,
           "~\"statusCode\":401,\"error\":\"Unauthorized\",\"message\":\"Invalid credentials\"");
    expect(&box, "GET", "/api/sandbox", "Authorization: Basic x\r\n", NULL, 401, NULL);
    expect(&box, "GET", "/api/config", "Authorization: none\r\n", NULL, 200, "~proxyToolboxUrl");
    expect(&box, "GET", "/version", "Authorization: Bearer wrong-key-1\r\n", NULL, 401,
           "~\"message\":\"unauthorized: authentication failed: Bearer token is invalid\"");
    expect(&box, "GET", "/version", "X-No-Authorization: x\r\n", NULL, 401,
           "~unauthorized: missing authentication");
    expect(&box, "POST", "/_fault", "Authorization: Bearer wrong-key-1\r\n", "502=1", 401, NULL);
    /* A name is not an id, and an unknown id is not told apart from a wrong key. */
    expect(&box, "GET", "/toolbox/box/version", NULL, NULL, 401, "~Bearer token is invalid");
    snprintf(other, sizeof(other), "/toolbox/%s/version", "00000000-0000-4000-8000-000000000000");
    expect(&box, "GET", other, NULL, NULL, 401, "~\"code\":\"UNAUTHORIZED\"");
    box_end(&box);
}

TEST(other_paths_are_a_web_page)
{
    struct box box = start_box(NULL, false, false);
    struct answer a = ask(&box, "GET", "/sandbox", NULL, NULL);

    assert_int_equal(a.status, 200);
    assert_string_equal(header(&a, "Content-Type"), "text/html; charset=utf-8");
    answer_done(&a);
    expect(&box, "GET", "/api/nothing", NULL, NULL, 404,
           "~\"statusCode\":404,\"error\":\"Not Found\",\"message\":\"Cannot GET /api/nothing\"");
    expect(&box, "GET", "/api/sandbox/nobody", NULL, NULL, 404,
           "~\"message\":\"Sandbox with ID or name nobody not found\"");
    box_end(&box);
}

TEST(a_sandbox_lives_and_dies)
{
    struct box box = start_box("state-delay=100ms", false, false);

    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"one\",\"labels\":{\"a\":\"b\"}}", 200,
           "~\"state\":\"started\"");
    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"one\"}", 409, "~already exists");
    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"<b>\"}", 400, NULL);
    expect(&box, "POST", "/api/sandbox", NULL, "{\"snapshot\":\"s\",\"cpu\":2}", 400, NULL);
    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":", 400, NULL);
    expect(&box, "GET", "/api/sandbox?labels=%7B%22a%22%3A%22b%22%7D", NULL, NULL, 200,
           "~\"name\":\"one\"");
    expect(&box, "GET", "/api/sandbox?labels=%7B%22a%22%3A%22c%22%7D", NULL, NULL, 200,
           "={\"items\":[],\"nextCursor\":null}");
    expect(&box, "GET", "/api/sandbox?limit=1", NULL, NULL, 200, "~\"nextCursor\":\"1\"");
    expect(&box, "GET", "/api/sandbox?limit=1&cursor=1", NULL, NULL, 200, "~\"nextCursor\":null");
    expect(&box, "GET", "/api/sandbox?limit=0", NULL, NULL, 400, NULL);
    expect(&box, "GET", "/api/sandbox/paginated?limit=1&page=2", NULL, NULL, 200,
           "~\"total\":2,\"page\":2,\"totalPages\":2");
    expect(&box, "PUT", "/api/sandbox/one/labels", NULL, "{\"labels\":{\"c\":\"d\"}}", 200,
           "~\"labels\":{\"c\":\"d\"}");
    expect(&box, "POST", "/api/sandbox/one/autostop/7", NULL, NULL, 201, "~\"autoStopInterval\":7");
    expect(&box, "POST", "/api/sandbox/one/autostop/-1", NULL, NULL, 400, NULL);
    expect(&box, "POST", "/api/sandbox/one/autoarchive/0", NULL, NULL, 201,
           "~\"autoArchiveInterval\":43200");
    expect(&box, "POST", "/api/sandbox/one/public/true", NULL, NULL, 201, "~\"public\":true");
    expect(&box, "POST", "/api/sandbox/one/start", NULL, NULL, 200, "~\"state\":\"started\"");
    expect(&box, "POST", "/api/sandbox/one/stop", NULL, NULL, 200, "~\"state\":\"stopping\"");
    expect(&box, "POST", "/api/sandbox/one/start", NULL, NULL, 409,
           "~Sandbox state change in progress");
    wait_state(&box, "one", "stopped");
    expect(&box, "POST", "/api/sandbox/one/stop", NULL, NULL, 400,
           "~Sandbox is not in a stoppable state");
    set_fault(&box, "state-delay=100ms,state-wait=0");
    expect(&box, "POST", "/api/sandbox/one/start", NULL, NULL, 200, "~\"state\":\"starting\"");
    wait_state(&box, "one", "started");
    expect(&box, "DELETE", "/api/sandbox/one", NULL, NULL, 200, "~\"state\":\"destroying\"");
    usleep(200000);
    expect(&box, "GET", "/api/sandbox/one", NULL, NULL, 404, NULL);
    box_end(&box);
}

TEST(only_ids_where_the_service_wants_ids)
{
    struct box box = start_box(NULL, false, false);
    char target[128];

    expect(&box, "POST", "/api/sandbox/box/last-activity", NULL, NULL, 404, NULL);
    snprintf(target, sizeof(target), "/api/sandbox/%s/last-activity", box.id);
    expect(&box, "POST", target, NULL, NULL, 201, "");
    snprintf(target, sizeof(target), "/api/sandbox/%s/toolbox-proxy-url", box.id);
    expect(&box, "GET", target, NULL, NULL, 200, "~/toolbox\"}");
    box_end(&box);
}

TEST(the_toolbox_of_one_that_does_not_run)
{
    struct box box = start_box("state-delay=300ms,state-wait=0", false, false);

    wait_state(&box, "box", "started");
    expect(&box, "POST", "/api/sandbox/box/stop", NULL, NULL, 200, NULL);
    expect(&box, "GET", "/version", NULL, NULL, 502, "");
    wait_state(&box, "box", "stopped");
    expect(&box, "GET", "/files", NULL, NULL, 400,
           "~\"message\":\"bad request: failed to resolve container IP after 3 attempts: no IP "
           "address found. Is the Sandbox started?\"");
    expect(&box, "POST", "/api/sandbox/box/start", NULL, NULL, 200, NULL);
    expect(&box, "GET", "/version", NULL, NULL, 502, "");
    wait_state(&box, "box", "started");
    expect(&box, "GET", "/version", NULL, NULL, 200, NULL);
    box_end(&box);
}

TEST(ephemeral_ones_are_gone_when_stopped)
{
    struct box box = start_box("state-delay=0", false, false);

    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"e\",\"autoDeleteInterval\":0}", 200,
           NULL);
    expect(&box, "POST", "/api/sandbox/e/stop", NULL, NULL, 200, NULL);
    expect(&box, "GET", "/api/sandbox/e", NULL, NULL, 404, NULL);
    box_end(&box);
}

TEST(sandboxes_outlive_the_server)
{
    struct server_config config = {
        .no_isolation = true, .fault = "state-delay=0", .public_url = "http://relay.example:81/"};
    struct box box = start_box("state-delay=0", false, false);
    char id[64];

    snprintf(id, sizeof(id), "%s", box.id);
    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"kept\",\"labels\":{\"l\":\"m\"}}", 200,
           NULL);
    expect(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"asleep\"}", 200, NULL);
    expect(&box, "POST", "/api/sandbox/asleep/stop", NULL, NULL, 200, NULL);
    box.server = server_free(box.server);
    assert_int_equal(box_start(&box, &config), 0);
    expect(&box, "GET", "/api/sandbox/kept", NULL, NULL, 200, "~\"labels\":{\"l\":\"m\"}");
    expect(&box, "GET", "/api/sandbox/kept", NULL, NULL, 200, "~\"state\":\"started\"");
    expect(&box, "GET", "/api/sandbox/asleep", NULL, NULL, 200, "~\"state\":\"stopped\"");
    expect(&box, "GET", "/api/sandbox/box", NULL, NULL, 200, "~http://relay.example:81/toolbox\"");
    snprintf(box.id, sizeof(box.id), "%s", id); /* the same folder is the same sandbox */
    expect(&box, "GET", "/version", NULL, NULL, 200, NULL);
    box_end(&box);
}

TEST(a_lost_folder_does_not_keep_the_others_from_starting)
{
    struct server_config config = {.fault = "state-delay=0"};
    struct box box = start_box("state-delay=0", true, false);
    char path[128], gone[128];
    struct answer a;
    const char *id;

    a = ask(&box, "POST", "/api/sandbox", NULL, "{\"name\":\"lost\"}");
    assert_int_equal(a.status, 200);
    id = strstr(buf_str(&a.body), "\"id\":\"");
    assert_non_null(id);
    snprintf(path, sizeof(path), "%s/state/sandboxes/%.36s/home", box.root, id + 6);
    answer_done(&a);
    box.server = server_free(box.server);
    snprintf(gone, sizeof(gone), "%s/gone", box.root);
    assert_int_equal(rename(path, gone), 0);
    assert_int_equal(box_start(&box, &config), 0);
    expect(&box, "GET", "/api/sandbox/lost", NULL, NULL, 200, "~\"state\":\"stopped\"");
    expect(&box, "POST", "/api/sandbox/lost/start", NULL, NULL, 400, "~the sandbox's folder");
    expect(&box, "GET", "/version", NULL, NULL, 200, NULL);
    box_end(&box);
}

struct refusal {
    const char *what;
    struct server_config config;
    int err;
    const char *why;
};

TEST(bad_configurations_are_refused_with_a_reason)
{
    const struct refusal rows[] = {
        {"not loopback", {.listen = "0.0.0.0:0"}, -EACCES, "only loopback"},
        {"not loopback, v6", {.listen = "[::]:0"}, -EACCES, "only loopback"},
        {"a name", {.listen = "example.org:80"}, -EINVAL, "an address in numbers"},
        {"no port", {.listen = "127.0.0.1"}, -EINVAL, "ADDR:PORT"},
        {"public url", {.public_url = "ftp://x"}, -EINVAL, "http://HOST:PORT"},
        {"short key", {.key = "short", .key_len = 5}, -EINVAL, "8 to 512"},
        {"key with blanks", {.key = "has a blank", .key_len = 11}, -EINVAL, "printable"},
        {"unknown fault", {.fault = "latencey=1s"}, -EINVAL, "did you mean 'latency'"},
        {"unknown call", {.fault = "502:exec=1"}, -EINVAL, "no call is named 'exec'"},
        {"fault without value", {.fault = "502"}, -EINVAL, "no =VALUE"},
        {"every 0th", {.fault = "502=0"}, -EINVAL, "not understood"},
        {"nth of nothing", {.fault = "nth=3"}, -EINVAL, "K:ACTION"},
        {"relative shell", {.fault = "shell=sh"}, -EINVAL, "absolute path"},
    };
    struct box box;

    box_dirs(&box);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct server_config config = rows[i].config;
        struct buf why = BUF_INIT(1024);
        struct server *s = NULL;
        char dir[96];

        snprintf(dir, sizeof(dir), "%s/state", box.root);
        config.state_dir = dir;
        config.no_isolation = true;
        assert_int_equal(server_start(&config, &s, &why), rows[i].err);
        if (!strstr(buf_str(&why), rows[i].why))
            fail_msg("%s: %s", rows[i].what, buf_str(&why));
        buf_done(&why);
    }
    box_end(&box);
}

TEST(one_server_a_state_directory_and_its_key_is_private)
{
    struct server_config config = {.no_isolation = true};
    struct server *one = NULL, *two = NULL;
    struct buf why = BUF_INIT(1024);
    struct stat st;
    struct box box;
    char dir[96];

    box_dirs(&box);
    snprintf(dir, sizeof(dir), "%s/state", box.root);
    config.state_dir = dir;
    assert_int_equal(server_start(&config, &one, &why), 0);
    assert_int_equal(server_start(&config, &two, &why), -EBUSY);
    assert_non_null(strstr(buf_str(&why), "in use by another server"));
    assert_int_equal(stat(server_key_file(one), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_true(strlen(server_key(one)) >= 32);
    server_free(one);
    buf_done(&why);
    box_end(&box);
}

TEST(nobody_else_gets_to_what_sandboxes_keep_where_the_state_is_open_to_all)
{
    static const char *const names[] = {"sandboxes", "catalog"};
    struct server_config config = {.no_isolation = true};
    struct server *s = NULL;
    struct buf why = BUF_INIT(1024);
    struct stat st;
    struct box box;
    char dir[96], path[128];

    box_dirs(&box);
    snprintf(dir, sizeof(dir), "%s/state", box.root);
    snprintf(path, sizeof(path), "%s/sandboxes", dir);
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    config.state_dir = dir;
    assert_int_equal(server_start(&config, &s, &why), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0700);
    }
    server_free(s);
    buf_done(&why);
    box_end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_are_asked_for_everywhere),
        cmocka_unit_test(other_paths_are_a_web_page),
        cmocka_unit_test(a_sandbox_lives_and_dies),
        cmocka_unit_test(only_ids_where_the_service_wants_ids),
        cmocka_unit_test(the_toolbox_of_one_that_does_not_run),
        cmocka_unit_test(ephemeral_ones_are_gone_when_stopped),
        cmocka_unit_test(sandboxes_outlive_the_server),
        cmocka_unit_test(a_lost_folder_does_not_keep_the_others_from_starting),
        cmocka_unit_test(bad_configurations_are_refused_with_a_reason),
        cmocka_unit_test(one_server_a_state_directory_and_its_key_is_private),
        cmocka_unit_test(nobody_else_gets_to_what_sandboxes_keep_where_the_state_is_open_to_all),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_life", tests, NULL, NULL);
}
