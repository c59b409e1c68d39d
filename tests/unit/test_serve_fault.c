/* What the server breaks on demand, and that it breaks nothing else. */
#include "raw_http.h"

#include "util/clock.h"

#include <pthread.h>

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
    if (access("/usr/bin/busybox", X_OK) == 0) {
        set_fault(&box, "shell=/usr/bin/busybox");
        assert_int_equal(run_in(&box, "{\"command\":\"echo $((6 * 7))\"}", out, sizeof(out)), 200);
        assert_non_null(strstr(out, "\"result\":\"42\\n\""));
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_fault", tests, NULL, NULL);
}
