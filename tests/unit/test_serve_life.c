/* The server around its calls: credentials, states, persistence, faults, isolation, limits. */
#include "raw_http.h"

#include "util/clock.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static struct box start_box(const char *fault, bool isolated, bool new_daemon)
{
    struct server_config config = {
        .no_isolation = !isolated, .fault = fault, .new_daemon = new_daemon};
    struct box box;
    int r;

    box_dirs(&box);
    r = box_start(&box, &config);
    if (r == -EPERM && isolated) {
        box_end(&box);
        skip();
    }
    assert_int_equal(r, 0);
    return box;
}

/* Asks and judges in one: status, and the body as in body_fits. */
static void expect(const struct box *box, const char *method, const char *target,
                   const char *headers, const char *body, int status, const char *want)
{
    struct answer a =
        *target == '/' && (strncmp(target, "/api", 4) == 0 || strncmp(target, "/toolbox", 8) == 0 ||
                           strncmp(target, "/_fault", 7) == 0)
            ? ask(box, method, target, headers, body)
            : ask_box(box, method, target, headers, body);

    if (a.status != status || !body_fits(&a, want))
        fail_msg("%s %s: wanted %d [%s], got %d [%s]", method, target, status, want ? want : "",
                 a.status, buf_str(&a.body));
    answer_done(&a);
}

static void set_fault(struct box *box, const char *spec)
{
    struct buf why = BUF_INIT(1024);

    if (server_set_fault(box->server, spec, &why) < 0)
        fail_msg("%s", buf_str(&why));
    buf_done(&why);
}

static void wait_state(const struct box *box, const char *name, const char *state)
{
    char target[128], want[64];

    snprintf(target, sizeof(target), "/api/sandbox/%s", name);
    snprintf(want, sizeof(want), "~\"state\":\"%s\"", state);
    for (int i = 0; i < 500; i++) {
        struct answer a = ask(box, "GET", target, NULL, NULL);
        const bool there = body_fits(&a, want);

        answer_done(&a);
        if (there)
            return;
        usleep(10000);
    }
    fail_msg("%s never became %s", name, state);
}

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

/* ---- faults ---- */

static unsigned count_status(const struct box *box, const char *call, unsigned times, int status)
{
    unsigned n = 0;

    for (unsigned i = 0; i < times; i++) {
        struct answer a = ask_box(box, "GET", call, NULL, NULL);

        n += a.status == status;
        answer_done(&a);
    }
    return n;
}

TEST(every_nth_request_is_refused)
{
    struct box box = start_box("502=3,401:version=2", false, false);

    assert_int_equal(count_status(&box, "/work-dir", 9, 502), 3);
    set_fault(&box, "401:version=2");
    assert_int_equal(count_status(&box, "/work-dir", 4, 200), 4);
    assert_int_equal(count_status(&box, "/version", 4, 401), 2);
    box_end(&box);
}

TEST(too_many_requests_say_when_to_come_back)
{
    struct box box = start_box("429:version=1;retry-after=7", false, false);
    struct answer a = ask_box(&box, "GET", "/version", NULL, NULL);

    assert_int_equal(a.status, 429);
    assert_string_equal(header(&a, "Retry-After"), "7");
    answer_done(&a);
    box_end(&box);
}

TEST(only_the_kth_request_is_broken_and_counted)
{
    struct box box = start_box("nth=3:502", false, false);

    assert_int_equal(count_status(&box, "/version", 2, 502), 0);
    assert_int_equal(count_status(&box, "/version", 1, 502), 1);
    assert_int_equal(count_status(&box, "/version", 5, 502), 0);
    expect(&box, "GET", "/_fault", NULL, NULL, 200, "={\"requests\":8,\"broken\":1}");
    expect(&box, "POST", "/_fault", NULL, "nth:execute=1:reset", 200,
           "={\"requests\":0,\"broken\":0}");
    expect(&box, "POST", "/_fault", NULL, "nonsense=1", 400, "~is not known");
    box_end(&box);
}

TEST(answers_can_be_late_cut_or_lost)
{
    struct box box = start_box(NULL, false, false);
    const char *touch = "{\"command\":\"echo x >> log\"}";
    struct answer a;
    int64_t start;
    char path[128];
    struct stat st;

    set_fault(&box, "latency:version=150ms");
    start = clock_mono_ns();
    expect(&box, "GET", "/version", NULL, NULL, 200, NULL);
    assert_true(clock_mono_ns() - start >= 150 * NS_PER_MS);

    set_fault(&box, "cut:work-dir=5");
    a = ask_box(&box, "GET", "/work-dir", NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_true(a.cut);
    assert_int_equal(a.body.len, 5);
    answer_done(&a);

    set_fault(&box, "reset:execute=1");
    a = ask_box(&box, "POST", "/process/execute", NULL, touch);
    assert_int_equal(a.status, 0);
    answer_done(&a);
    snprintf(path, sizeof(path), "%s/log", box.home);
    assert_int_equal(stat(path, &st), -1);

    set_fault(&box, "reset-after-commit:execute=1");
    a = ask_box(&box, "POST", "/process/execute", NULL, touch);
    assert_int_equal(a.status, 0);
    answer_done(&a);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 2);

    set_fault(&box, "replay:execute=1");
    a = ask_box(&box, "POST", "/process/execute", NULL, touch);
    assert_int_equal(a.status, 200);
    answer_done(&a);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 6);
    box_end(&box);
}

TEST(bodies_can_be_slow_or_stop)
{
    struct box box = start_box("throttle:work-dir=200", false, false);
    const int64_t start = clock_mono_ns();
    char rq[512], part[512];
    int fd;

    /* More than 25 bytes, 11 at a time each 50 ms. */
    expect(&box, "GET", "/work-dir", NULL, NULL, 200, "~\"dir\"");
    assert_true(clock_mono_ns() - start >= 100 * NS_PER_MS);

    set_fault(&box, "stall:work-dir=4");
    fd = box_connect(&box);
    snprintf(rq, sizeof(rq),
             "GET /toolbox/%s/work-dir HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TEST_KEY
             "\r\n\r\n",
             box.id);
    send_all(fd, rq, strlen(rq));
    for (size_t n = 0; n < 4 || memcmp(part + n - 4, "{\"di", 4) != 0; n++)
        assert_int_equal(recv(fd, part + n, n < sizeof(part) ? 1 : 0, 0), 1);
    usleep(100000);
    assert_int_equal(recv(fd, part, 1, MSG_DONTWAIT), -1);
    set_fault(&box, "");
    assert_true(recv(fd, part, 1, 0) <= 0); /* and the connection is of no more use */
    close(fd);
    box_end(&box);
}

TEST(chunked_requests_are_never_replayed)
{
    static const char body[] = "{\"command\":\"echo x >> log\"}";
    struct box box = start_box("replay=1", false, false);
    char rq[1024], path[128];
    struct answer a;
    struct stat st;
    int fd = box_connect(&box);

    snprintf(rq, sizeof(rq),
             "POST /toolbox/%s/process/execute HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
             "Authorization: Bearer " TEST_KEY "\r\nTransfer-Encoding: chunked\r\n\r\n"
             "%zx\r\n%s\r\n0\r\n\r\n",
             box.id, strlen(body), body);
    send_all(fd, rq, strlen(rq));
    a = read_answer(fd, SIZE_MAX);
    assert_int_equal(a.status, 200);
    answer_done(&a);
    snprintf(path, sizeof(path), "%s/log", box.home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 2);
    box_end(&box);
}

struct lie_row {
    const char *spec, *call, *want;
};

TEST(a_lying_daemon)
{
    static const struct lie_row rows[] = {
        {"lie=name-slash", "/files", "~\"name\":\"a/../../../etc/passwd\""},
        {"lie=name-slash", "/files/info?path=f", "~\"name\":\"a/../../../etc/passwd\""},
        {"lie=dotdot", "/files", "~\"name\":\"..\""},
        {"lie=negative-size", "/files/info?path=f", "~\"size\":-1"},
        {"lie=dup-names", "/files", "~\"name\":\"twice\""},
        {"lie=huge-name", "/files", "~nnnnnnnnnnnnnnnn"},
        {"lie=bad-json", "/files", "!]"},
        {"lie=bad-json", "/work-dir", "!}"},
        {"lie=html", "/files/download?path=f", "~<!doctype html>"},
        {"lie=wrong-length", "/files/download?path=f", "~123xxxxxx"},
        {"lie:info=html", "/work-dir", "~\"dir\""},
    };
    struct box box = start_box(NULL, false, false);
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/f", box.home);
    f = fopen(path, "w");
    fputs("123", f);
    fclose(f);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        set_fault(&box, rows[i].spec);
        expect(&box, "GET", rows[i].call, NULL, NULL, 200, rows[i].want);
    }
    box_end(&box);
}

TEST(a_lie_without_end)
{
    struct box box = start_box("lie=endless", false, false);
    char rq[512];
    struct answer a;
    int fd = box_connect(&box);

    snprintf(rq, sizeof(rq),
             "GET /toolbox/%s/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " TEST_KEY
             "\r\n\r\n",
             box.id);
    send_all(fd, rq, strlen(rq));
    a = read_answer(fd, 8 << 20); /* and enough of it */
    assert_int_equal(a.status, 200);
    assert_true(a.body.len > 7 << 20);
    answer_done(&a);
    box_end(&box);
}

static void *ask_for_hanging(void *arg)
{
    struct answer a = ask_box(arg, "GET", "/version", NULL, NULL);
    const int status = a.status;

    answer_done(&a);
    return (void *)(intptr_t)status;
}

TEST(requests_that_hang_end_with_the_fault_and_hold_nobody)
{
    struct box box = start_box("hang:version=1", false, false);
    pthread_t threads[20];
    void *status;

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_for_hanging, &box), 0);
    expect(&box, "GET", "/work-dir", NULL, NULL, 200, NULL);
    for (int i = 0; i < 500; i++) {
        struct answer a = ask(&box, "GET", "/_fault", NULL, NULL);
        const bool all = body_fits(&a, "~\"broken\":20");

        answer_done(&a);
        if (all)
            break;
        usleep(10000);
    }
    set_fault(&box, "");
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], &status);
        assert_int_equal((intptr_t)status, 0);
    }
    box_end(&box);
}

TEST(shells_can_be_chosen)
{
    struct box box = start_box("shell=none", false, false);
    char out[1024];

    assert_int_equal(run_in(&box, "{\"command\":\"echo x\"}", out, sizeof(out)), 200);
    assert_non_null(strstr(out, "\"exitCode\":-1"));
    set_fault(&box, "shell=/bin/sh");
    assert_int_equal(run_in(&box, "{\"command\":\"echo $0\"}", out, sizeof(out)), 200);
    assert_non_null(strstr(out, "/bin/sh"));
    set_fault(&box, "shell=/no/such/shell");
    assert_int_equal(run_in(&box, "{\"command\":\"echo x\"}", out, sizeof(out)), 200);
    assert_non_null(strstr(out, "\"exitCode\":-1,\"result\":\"fork/exec /no/such/shell: no such"));
    box_end(&box);
}

TEST(a_child_that_keeps_the_output_is_waited_for_only_so_long)
{
    struct box box = start_box("linger=200ms", false, false);
    const int64_t start = clock_mono_ns();
    char out[1024];

    assert_int_equal(run_in(&box, "{\"command\":\"echo a; sleep 30 &\"}", out, sizeof(out)), 200);
    assert_non_null(strstr(out, "\"exitCode\":0,\"result\":\"a\\n\""));
    assert_true(clock_mono_ns() - start < 10 * NS_PER_S);
    box_end(&box);
}

/* ---- data ---- */

TEST(bytes_come_back_as_they_were_sent)
{
    enum { SIZE = 3 << 20 };
    static const char head[] =
        "--edge-of-a-part\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n";
    static const char tail[] = "\r\n--edge-of-a-part--\r\n";
    struct box box = start_box(NULL, false, false);
    struct buf body = BUF_INIT(SIZE + 4096);
    char target[256];
    struct answer a;
    unsigned x = 1;

    assert_int_equal(buf_puts(&body, head), 0);
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 1103515245u + 12345u; /* many of the bytes that parsers trip over */
        assert_int_equal(buf_putc(&body, (x >> 16) % 3 ? (char)(x >> 20) : "\r\n-"[x >> 30]), 0);
    }
    assert_int_equal(buf_puts(&body, tail), 0);
    snprintf(target, sizeof(target), "/toolbox/%s/files/upload?path=big", box.id);
    a = ask_bytes(&box, "POST", target,
                  "Content-Type: multipart/form-data; boundary=edge-of-a-part\r\n", body.data,
                  body.len);
    assert_int_equal(a.status, 200);
    answer_done(&a);
    a = ask_box(&box, "GET", "/files/download?path=big", NULL, NULL);
    assert_int_equal(a.body.len, SIZE);
    assert_memory_equal(a.body.data, body.data + strlen(head), SIZE);
    answer_done(&a);
    buf_done(&body);
    box_end(&box);
}

TEST(a_long_line_ends_the_search_of_its_file)
{
    struct box box = start_box(NULL, false, false);
    char out[256];

    assert_int_equal(run_in(&box,
                            "{\"command\":\"(echo needle 1; head -c 70000 /dev/zero | tr "
                            "'\\\\0' x; echo; echo needle 2) > long\"}",
                            out, sizeof(out)),
                     200);
    expect(&box, "GET", "/files/find?path=.&pattern=needle", NULL, NULL, 200,
           "=[{\"file\":\"./long\",\"line\":1,\"content\":\"needle 1\"}]");
    box_end(&box);
}

TEST(deep_paths_are_made)
{
    struct box box = start_box(NULL, false, false);
    struct buf call = BUF_INIT(8192);

    assert_int_equal(buf_puts(&call, "/files/folder?path="), 0);
    for (int i = 0; i < 400; i++)
        assert_int_equal(buf_puts(&call, "d/"), 0);
    expect(&box, "POST", buf_str(&call), NULL, NULL, 201, "");
    /* Deeper than it removes. */
    expect(&box, "DELETE", "/files?path=d&recursive=true", NULL, NULL, 400, "");
    buf_done(&call);
    box_end(&box);
}

TEST(a_broken_bulk_upload_leaves_what_had_come)
{
    static const char form[] =
        "--edge-of-a-part\r\nContent-Disposition: form-data; name=\"files[0].path\"\r\n\r\nf\r\n"
        "--edge-of-a-part\r\nContent-Disposition: form-data; name=\"files[0].file\"\r\n\r\n"
        "prefix that came\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
    struct box box = start_box(NULL, false, false);
    char rq[2048], path[128], text[64] = "";
    int fd = box_connect(&box);
    FILE *f;

    snprintf(path, sizeof(path), "%s/f", box.home);
    f = fopen(path, "w");
    fputs("what was there before, and is longer than the prefix", f);
    fclose(f);
    snprintf(rq, sizeof(rq),
             "POST /toolbox/%s/files/bulk-upload HTTP/1.1\r\nHost: x\r\n"
             "Authorization: Bearer " TEST_KEY "\r\nContent-Length: 100000\r\n"
             "Content-Type: multipart/form-data; boundary=edge-of-a-part\r\n\r\n%s",
             box.id, form);
    send_all(fd, rq, strlen(rq));
    for (int i = 0; i < 300 && strncmp(text, "prefix that came", 16) != 0; i++) {
        usleep(10000);
        f = fopen(path, "r");
        assert_non_null(f);
        assert_true(fread(text, 1, 16, f) <= 16);
        fclose(f);
    }
    close(fd);
    assert_memory_equal(text, "prefix that came", 16);
    box_end(&box);
}

TEST(the_new_daemon_differs)
{
    struct box box = start_box(NULL, false, true);
    char path[128];

    snprintf(path, sizeof(path), "%s/d", box.home);
    assert_int_equal(mkdir(path, 0755), 0);
    expect(&box, "POST", "/files/upload-v2?path=d/raw",
           "Content-Type: application/octet-stream\r\n", "raw bytes", 200,
           "={\"name\":\"raw\",\"path\":\"d/raw\",\"type\":\"file\"}");
    expect(&box, "GET", "/files/download?path=d/raw", NULL, NULL, 200, "=raw bytes");
    expect(&box, "GET", "/files?path=.&depth=2", NULL, NULL, 200, "~\"path\":\"./d/raw\"");
    expect(&box, "GET", "/files?path=.&depth=1", NULL, NULL, 200, "!raw");
    expect(&box, "GET", "/files/info?path=nope", NULL, NULL, 404, "~\"code\":\"FILE_NOT_FOUND\"");
    expect(&box, "GET", "/files/info?path=nope", NULL, NULL, 404, "~\"source\":\"DAYTONA_DAEMON\"");
    expect(&box, "GET", "/files/download?path=d", NULL, NULL, 400, "~\"statusCode\":400");
    expect(&box, "GET", "/version", NULL, NULL, 200, "!0.190");
    box_end(&box);
}

/* What only an ordinary user can see. Runs in a process of its own when we are root. */
static int refused_to_ordinary_users(void)
{
    struct box box = start_box(NULL, false, false);
    char path[128];

    snprintf(path, sizeof(path), "%s/locked", box.home);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof(path), "%s/locked/f", box.home);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0644)), 0);
    snprintf(path, sizeof(path), "%s/secret", box.home);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0)), 0);
    snprintf(path, sizeof(path), "%s/locked", box.home);
    assert_int_equal(chmod(path, 0), 0);
    expect(&box, "GET", "/files/info?path=locked/f", NULL, NULL, 403, "");
    expect(&box, "GET", "/files?path=locked", NULL, NULL, 403, "");
    expect(&box, "GET", "/files/download?path=locked/f", NULL, NULL, 403, "");
    expect(&box, "GET", "/files/download?path=secret", NULL, NULL, 403, "~403 Forbidden");
    expect(&box, "POST", "/files/bulk-download", NULL, "{\"paths\":[\"secret\"]}", 200,
           "~\"code\":\"FILE_ACCESS_DENIED\"");
    expect(&box, "POST", "/files/move?source=locked/f&destination=x", NULL, NULL, 403, "");
    assert_int_equal(chmod(path, 0555), 0);
    expect(&box, "DELETE", "/files?path=locked/f", NULL, NULL, 400, "");
    expect(&box, "POST", "/files/folder?path=locked/d", NULL, NULL, 400, "");
    expect(&box, "POST", "/files/permissions?path=/etc/passwd&mode=644", NULL, NULL, 400, "");
    /* Copied, not removed: a success with a note, and both are there. */
    expect(&box, "POST", "/files/move?source=locked/f&destination=x", NULL, NULL, 200,
           "~failed to delete source");
    expect(&box, "GET", "/files/info?path=locked/f", NULL, NULL, 200, NULL);
    expect(&box, "GET", "/files/info?path=x", NULL, NULL, 200, NULL);
    assert_int_equal(chmod(path, 0755), 0);
    box_end(&box);
    return 0;
}

TEST(refusals_say_403_only_of_looking)
{
    int status;
    pid_t pid;

    if (geteuid() != 0) {
        refused_to_ordinary_users();
        return;
    }
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(2);
        _exit(refused_to_ordinary_users());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- isolation ---- */

static void expect_run(const struct box *box, const char *command, const char *want)
{
    struct buf json = BUF_INIT(4096);
    char out[4096];

    assert_int_equal(buf_printf(&json, "{\"command\":\"%s\"}", command), 0);
    assert_int_equal(run_in(box, buf_str(&json), out, sizeof(out)), 200);
    if (!strstr(out, want))
        fail_msg("%s: wanted %s, got %s", command, want, out);
    buf_done(&json);
}

TEST(a_sandbox_sees_its_folder_as_home_and_writes_to_it)
{
    struct box box = start_box(NULL, true, false);
    char path[128];
    struct stat st;

    expect_run(&box, "echo x > made; pwd; echo $HOME", "/home/daytona\\n/home/daytona\\n");
    snprintf(path, sizeof(path), "%s/made", box.home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    expect(&box, "GET", "/files/download?path=/home/daytona/made", NULL, NULL, 200, "=x\n");
    box_end(&box);
}

TEST(a_sandbox_sees_nothing_else_of_the_hosts)
{
    struct box box = start_box(NULL, true, false);
    char call[256];

    expect_run(&box, "ls -A /root /run /home | tr '\\\\n' ' '",
               "/home: daytona  /root:  /run: lock");
    expect_run(&box, "touch /usr/x", "Read-only file system");
    expect_run(&box, "touch /etc/x", "Read-only file system");
    expect_run(&box, "ls /tmp", "\"result\":\"\"");
    expect_run(&box, "ls -d /proc/[0-9]*/ | wc -l | xargs test 6 -gt && echo few", "few");
    expect_run(&box, "wc -c < /etc/shadow", "\"result\":\"0\\n\"");
    expect_run(&box, "echo 1 > /proc/sys/kernel/printk", "\"exitCode\":1");
    expect_run(&box, "mount -t tmpfs x /mnt && echo mounted || echo refused", "refused");
    expect_run(&box, "echo x > /dev/null && head -c1 /dev/zero | wc -c", "1\\n");
    snprintf(call, sizeof(call), "/files/info?path=%s", box.home);
    expect(&box, "GET", call, NULL, NULL, 404, "");
    expect(&box, "GET", "/files?path=/root", NULL, NULL, 200, "=[]");
    box_end(&box);
}

TEST(links_do_not_lead_out)
{
    struct box box = start_box(NULL, true, false);
    char path[128], outside[128], call[256];
    FILE *f;

    snprintf(outside, sizeof(outside), "%s/outside", box.root);
    f = fopen(outside, "w");
    fputs("the host's", f);
    fclose(f);
    snprintf(path, sizeof(path), "%s/absolute", box.home);
    assert_int_equal(symlink(outside, path), 0);
    snprintf(path, sizeof(path), "%s/relative", box.home);
    assert_int_equal(symlink("../outside", path), 0);
    snprintf(path, sizeof(path), "%s/dir", box.home);
    assert_int_equal(symlink(box.root, path), 0);
    snprintf(path, sizeof(path), "%s/climb", box.home);
    snprintf(call, sizeof(call), "../../../../../../../..%s", outside);
    assert_int_equal(symlink(call, path), 0);
    snprintf(path, sizeof(path), "%s/magic", box.home);
    assert_int_equal(symlink("/proc/1/root", path), 0);
    expect(&box, "GET", "/files/download?path=absolute", NULL, NULL, 404, "");
    expect(&box, "GET", "/files/download?path=relative", NULL, NULL, 404, "");
    expect(&box, "GET", "/files/download?path=climb", NULL, NULL, 404, "");
    expect(&box, "GET", "/files?path=dir", NULL, NULL, 404, "");
    expect(&box, "GET", "/files/info?path=../outside", NULL, NULL, 404, "");
    /* Not resolved at all; an ordinary user may not even ask. */
    snprintf(call, sizeof(call), "/files/info?path=magic%s", outside);
    expect(&box, "GET", call, NULL, NULL, geteuid() == 0 ? 400 : 403, "");
    expect(&box, "POST", "/files/folder?path=dir/made", NULL, NULL, 400, "");
    expect(&box, "POST", "/files/move?source=climb&destination=moved", NULL, NULL, 404, "");
    expect(&box, "DELETE", "/files?path=climb", NULL, NULL, 404, "");
    assert_int_equal(access(outside, F_OK), 0);
    box_end(&box);
}

/* A process that has left its group and session, writing for ever. */
static void check_killed(bool isolated)
{
    struct box box = start_box("state-delay=0,linger=100ms", isolated, false);
    char path[128];
    struct stat before, after;

    expect_run(&box,
               "setsid sh -c 'while :; do echo x >> ticks; sleep 0.01; done' </dev/null "
               ">/dev/null 2>&1 & sleep 0.2; wc -c < ticks | xargs test 0 -lt && echo ticking",
               "ticking");
    expect(&box, "POST", "/api/sandbox/box/stop", NULL, NULL, 200, NULL);
    snprintf(path, sizeof(path), "%s/ticks", box.home);
    assert_int_equal(stat(path, &before), 0);
    usleep(100000);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    expect(&box, "POST", "/api/sandbox/box/start", NULL, NULL, 200, "~\"state\":\"started\"");
    expect_run(&box, "wc -c < ticks | xargs test 0 -lt && echo still there", "still there");
    box_end(&box);
}

TEST(stop_kills_everything_in_a_sandbox)
{
    check_killed(true);
}

TEST(stop_kills_everything_without_isolation_too)
{
    check_killed(false);
}

static void *stop_soon(void *arg)
{
    usleep(200000);
    expect(arg, "POST", "/api/sandbox/box/stop", NULL, NULL, 200, NULL);
    return NULL;
}

TEST(a_command_in_a_sandbox_that_stops_ends)
{
    struct box box = start_box(NULL, false, false);
    const int64_t start = clock_mono_ns();
    pthread_t thread;
    char out[256];

    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &box), 0);
    assert_int_equal(run_in(&box, "{\"command\":\"sleep 30\"}", out, sizeof(out)), 502);
    assert_true(clock_mono_ns() - start < 10 * NS_PER_S);
    pthread_join(thread, NULL);
    box_end(&box);
}

TEST(programs_can_be_built_in_a_sandbox)
{
    struct box box = start_box(NULL, true, false);

    if (access("/usr/bin/cc", X_OK) != 0) {
        box_end(&box);
        skip();
    }
    expect_run(&box, "echo 'int main(void){return 5;}' > /tmp/a.c; cc -o a /tmp/a.c; ./a",
               "\"exitCode\":5");
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
        cmocka_unit_test(every_nth_request_is_refused),
        cmocka_unit_test(too_many_requests_say_when_to_come_back),
        cmocka_unit_test(only_the_kth_request_is_broken_and_counted),
        cmocka_unit_test(answers_can_be_late_cut_or_lost),
        cmocka_unit_test(bodies_can_be_slow_or_stop),
        cmocka_unit_test(chunked_requests_are_never_replayed),
        cmocka_unit_test(a_lying_daemon),
        cmocka_unit_test(a_lie_without_end),
        cmocka_unit_test(requests_that_hang_end_with_the_fault_and_hold_nobody),
        cmocka_unit_test(shells_can_be_chosen),
        cmocka_unit_test(a_child_that_keeps_the_output_is_waited_for_only_so_long),
        cmocka_unit_test(bytes_come_back_as_they_were_sent),
        cmocka_unit_test(a_long_line_ends_the_search_of_its_file),
        cmocka_unit_test(deep_paths_are_made),
        cmocka_unit_test(a_broken_bulk_upload_leaves_what_had_come),
        cmocka_unit_test(the_new_daemon_differs),
        cmocka_unit_test(refusals_say_403_only_of_looking),
        cmocka_unit_test(a_sandbox_sees_its_folder_as_home_and_writes_to_it),
        cmocka_unit_test(a_sandbox_sees_nothing_else_of_the_hosts),
        cmocka_unit_test(links_do_not_lead_out),
        cmocka_unit_test(stop_kills_everything_in_a_sandbox),
        cmocka_unit_test(stop_kills_everything_without_isolation_too),
        cmocka_unit_test(a_command_in_a_sandbox_that_stops_ends),
        cmocka_unit_test(programs_can_be_built_in_a_sandbox),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_life", tests, NULL, NULL);
}
