/* What a sandbox can see and reach, and that nothing of it survives a stop. */
#include "raw_http.h"

#include "util/clock.h"

#include <pthread.h>

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
    return cmocka_run_group_tests_name("serve_jail", tests, NULL, NULL);
}
