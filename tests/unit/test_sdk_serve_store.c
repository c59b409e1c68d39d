/* Snapshots, volumes, forks, pauses and sizes for real, against the local server. */
#include "serve_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the command prints in the sandbox. */
static char *sh(struct daytona_sandbox *sb, const char *command)
{
    const struct daytona_execute e = {.command = command};
    struct daytona_result r;
    char *out;

    EXPECT(daytona_process_execute(sb, &e, &r), 0);
    out = r.output;
    r.output = NULL;
    daytona_result_done(&r);
    return out;
}

static void says(struct daytona_sandbox *sb, const char *command, const char *wanted)
{
    char *out = sh(sb, command);

    assert_string_equal(out, wanted);
    free(out);
}

static struct daytona_sandbox *make(const struct daytona_sandbox_params *params)
{
    struct daytona_sandbox *sb = NULL;

    EXPECT(daytona_sandbox_create(fx.client, params, 20000, &sb), 0);
    return sb;
}

static void delete (struct daytona_sandbox *sb)
{
    EXPECT(daytona_sandbox_delete(sb, 20000), 0);
    daytona_sandbox_unref(sb);
}

TEST(a_snapshot_is_taken_and_used)
{
    const struct daytona_sandbox_params from = {.snapshot = "mine"};
    struct daytona_snapshot s, *list;
    struct daytona_sandbox *copy;
    size_t count;

    says(fx.box, "mkdir d; echo x > d/f; ln -s f d/l; chmod 750 d/f; echo done", "done\n");
    EXPECT(daytona_sandbox_snapshot(fx.box, "mine", false, 20000), 0);
    EXPECT(daytona_sandbox_snapshot(fx.box, "mine", false, 20000), -EEXIST);
    copy = make(&from);
    says(copy, "cat d/l; stat -c %a d/f", "x\n750\n");
    delete (copy);
    EXPECT(daytona_snapshot_get(fx.client, "mine", &s), 0);
    assert_string_equal(s.state, "active");
    assert_true(s.last_used_at[0]);
    EXPECT(daytona_snapshot_deactivate(fx.client, s.id), 0);
    EXPECT(daytona_sandbox_create(fx.client, &from, 20000, &copy), -EINVAL);
    EXPECT(daytona_snapshot_activate(fx.client, s.id), 0);
    EXPECT(daytona_snapshot_delete(fx.client, s.id), 0);
    daytona_snapshot_done(&s);
    EXPECT(daytona_snapshot_list(fx.client, &list, &count), 0);
    assert_true(count >= 2); /* the server's own */
    daytona_snapshot_list_free(list, count);
}

static int keep(void *arg, const void *p, size_t n)
{
    return buf_append(arg, p, n);
}

TEST(builds_have_logs_and_may_fail)
{
    const struct daytona_snapshot_params good = {.name = "good", .dockerfile = "FROM a:1\nRUN b\n"},
                                         bad = {.name = "bad", .dockerfile = "RUN b\n"};
    const struct daytona_sandbox_params image = {.image = "a:1", .cpu = 2},
                                        broken = {.dockerfile = "RUN x\n"};
    struct buf log = BUF_INIT(4096);
    struct daytona_sandbox_info info;
    struct daytona_sandbox *sb;
    struct daytona_snapshot s;

    EXPECT(daytona_snapshot_create(fx.client, &good, 20000, &s), 0);
    EXPECT(daytona_snapshot_build_logs(fx.client, s.id, true, keep, &log), 0);
    assert_string_equal(buf_str(&log),
                        "Step 1/2 : FROM a:1\nStep 2/2 : RUN b\nSuccessfully built\n");
    EXPECT(daytona_snapshot_build_logs(fx.client, "nope", true, keep, &log), -ENOENT);
    daytona_snapshot_done(&s);
    EXPECT(daytona_snapshot_create(fx.client, &bad, 20000, &s), -EIO);
    assert_non_null(strstr(daytona_last_error()->message, "FROM"));

    set_fault("state-delay=600ms");
    sb = NULL;
    EXPECT(daytona_sandbox_create(fx.client, &image, -1, &sb), 0);
    assert_int_equal(daytona_sandbox_state(sb), DAYTONA_STATE_BUILDING);
    buf_truncate(&log, 0);
    EXPECT(daytona_sandbox_build_logs(sb, true, keep, &log), 0);
    assert_string_equal(buf_str(&log), "Step 1/1 : FROM a:1\nSuccessfully built\n");
    EXPECT(daytona_sandbox_wait(sb, DAYTONA_STATE_STARTED, 20000), 0);
    EXPECT(daytona_sandbox_info(sb, &info), 0);
    assert_true(info.cpu == 2);
    daytona_sandbox_info_done(&info);
    delete (sb);
    EXPECT(daytona_sandbox_create(fx.client, &broken, 20000, &sb), -EIO);
    EXPECT(daytona_sandbox_build_logs(fx.box, false, keep, &log), -ENOENT);
    buf_done(&log);
}

TEST(volumes_outlive_sandboxes)
{
    struct daytona_volume v, *list;
    struct daytona_volume_mount mounts[2] = {{.path = "/mnt/data"},
                                             {.path = "/home/daytona/sub", .subpath = "a/b"}};
    const struct daytona_sandbox_params params = {.volumes = mounts, .volume_count = 2};
    struct daytona_sandbox *sb;
    size_t count;

    EXPECT(daytona_volume_create(fx.client, "data", 20000, &v), 0);
    EXPECT(daytona_volume_create(fx.client, "data", 20000, &v), -EEXIST);
    mounts[0].volume_id = mounts[1].volume_id = v.id;
    sb = make(&params);
    says(sb, "echo kept > /mnt/data/f; echo deep > sub/g; cat /mnt/data/a/b/g", "deep\n");
    EXPECT(daytona_volume_delete(fx.client, v.id), -EEXIST);
    delete (sb);
    sb = make(&params);
    says(sb, "cat /mnt/data/f sub/g", "kept\ndeep\n");
    delete (sb);
    EXPECT(daytona_volume_list(fx.client, &list, &count), 0);
    assert_int_equal(count, 1);
    daytona_volume_list_free(list, count);
    EXPECT(daytona_volume_delete(fx.client, v.id), 0);
    daytona_volume_done(&v);
    EXPECT(daytona_volume_get(fx.client, "nope", &v), -ENOENT);
}

TEST(a_virtual_machine_pauses_and_forks)
{
    const struct daytona_sandbox_params params = {.name = "vm", .snapshot = "daytona-local-vm"};
    struct daytona_sandbox *vm = make(&params), *copy = NULL;
    struct daytona_sandbox_info info;

    says(vm,
         "echo one > f; echo two > /tmp/g; sleep 600 >/dev/null 2>&1 </dev/null & echo $! > pid",
         "");
    EXPECT(daytona_sandbox_pause(vm, 20000), 0);
    assert_int_equal(daytona_sandbox_state(vm), DAYTONA_STATE_PAUSED);
    EXPECT(daytona_sandbox_start(vm, 20000), 0);
    says(vm, "kill -0 $(cat pid) && echo lives", "lives\n");
    EXPECT(daytona_sandbox_fork(vm, "child", 20000, &copy), 0);
    EXPECT(daytona_sandbox_info(copy, &info), 0);
    assert_string_equal(info.name, "child");
    daytona_sandbox_info_done(&info);
    says(copy, "echo three > f; cat f /tmp/g", "three\ntwo\n");
    says(vm, "cat f", "one\n");
    EXPECT(daytona_sandbox_delete(vm, 20000), -EINVAL); /* it has a fork */
    EXPECT(daytona_sandbox_set_auto_pause(copy, 7), 0);
    delete (copy);
    delete (vm);
}

TEST(a_sandbox_is_resized_and_its_network_limited)
{
    const bool yes = true;
    const struct daytona_network block = {.block_all = &yes},
                                 some = {.allow_list = "10.0.0.0/8", .allow_domains = "a.org"},
                                 bad = {.allow_list = "here"}, none = {0};
    struct daytona_sandbox_info info;

    EXPECT(daytona_sandbox_resize(fx.box, 2, 2, 0, 20000), 0);
    EXPECT(daytona_sandbox_resize(fx.box, 1, 0, 0, 20000), -EINVAL);
    EXPECT(daytona_sandbox_set_network(fx.box, &block), 0);
    EXPECT(daytona_sandbox_set_network(fx.box, &some), 0);
    EXPECT(daytona_sandbox_set_network(fx.box, &bad), -EINVAL);
    EXPECT(daytona_sandbox_set_network(fx.box, &none), -EINVAL);
    EXPECT(daytona_sandbox_info(fx.box, &info), 0);
    assert_true(info.cpu == 2 && info.memory_gib == 2 && info.disk_gib == 3);
    assert_string_equal(info.network_allow_list, "10.0.0.0/8");
    assert_string_equal(info.network_allow_domains, "a.org");
    assert_false(info.network_block_all);
    daytona_sandbox_info_done(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_snapshot_is_taken_and_used, new_daemon),
        WITH(builds_have_logs_and_may_fail, new_daemon),
        WITH(volumes_outlive_sandboxes, new_daemon),
        WITH(a_virtual_machine_pauses_and_forks, new_daemon),
        WITH(a_sandbox_is_resized_and_its_network_limited, new_daemon),
    };

    return cmocka_run_group_tests_name("sdk_serve_store", tests, NULL, NULL);
}
