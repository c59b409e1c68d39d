/* The helper's apply on a disk that is full, or becomes read-only: what cannot be done is told, is
 * as it was, and can be done when there is room again; the rest is done. */
#include "apply_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char disk[80];

/* The helper's record and the files, on a disk of their own. */
static int enter_disk(void **state)
{
    char command[512];

    if (apply_rig_enter(state) < 0)
        return -1;
    snprintf(disk, sizeof(disk), "%s/disk", arig.root);
    if (mkdir(disk, 0755) < 0 || mount("none", disk, "tmpfs", 0, "size=32m") < 0)
        return 0; /* told by have_disk */
    snprintf(command, sizeof(command),
             "cd %s && mkdir disk/d disk/clients h/clients && mount --bind disk/d d && "
             "mount --bind disk/clients h/clients",
             arig.root);
    return system(command) == 0 && chdir(arig.dir) == 0 ? 0 : -1;
}

static int leave_disk(void **state)
{
    char command[256];

    (void)!chdir("/");
    snprintf(command, sizeof(command), "cd %s && umount -Rl d h/clients disk 2>/dev/null",
             arig.root);
    (void)!system(command);
    return apply_rig_leave(state);
}

static void have_disk(void)
{
    struct statvfs vfs;

    if (statvfs(disk, &vfs) < 0 || vfs.f_blocks * vfs.f_frsize != 32 << 20)
        skip();
}

/* So many blocks stay free. */
static void fill(unsigned blocks_left)
{
    char path[128];
    struct statvfs vfs;
    int fd;

    snprintf(path, sizeof(path), "%s/filler", disk);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(statvfs(disk, &vfs), 0);
    if (vfs.f_bfree > blocks_left)
        assert_int_equal(fallocate(fd, 0, 0, (off_t)((vfs.f_bfree - blocks_left) * vfs.f_bsize)),
                         0);
    close(fd);
}

static void make_room(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/filler", disk);
    assert_int_equal(unlink(path), 0);
}

/* What failed is done once more, and then all is as it should be. Where it was cut off in the
 * middle of a change (cut), that one may be in the way of itself: how many were. */
static unsigned finish(const struct remote_change *v, struct remote_applied *a, bool cut)
{
    unsigned conflicts = 0;
    struct remote_change rest[WORLD];
    size_t count = what_is_left(v, a, rest);

    arig.number++;
    remote_applied_done(a);
    if (count > 0) {
        *a = arig_do(rest, count, world_data);
        for (size_t i = 0; i < count; i++)
            conflicts += a->v[i].outcome == REMOTE_CONFLICT;
        if (!cut || conflicts == 0)
            expect_all_done(a);
        remote_applied_done(a);
    }
    if (cut) { /* no temporary name could be removed any more */
        char command[256];

        snprintf(command, sizeof(command), "rm -f %s/.daytonafs-* %s/*/.daytonafs-*", in_world(""),
                 in_world(""));
        assert_int_equal(system(command), 0);
    }
    if (conflicts == 0)
        expect_new_world();
    expect_tidy();
    return conflicts;
}

TEST(whatever_room_there_is_what_does_not_fit_is_as_it_was)
{
    enum { BLOCKS = 40 };
    struct remote_change v[WORLD];
    unsigned failed = 0, stopped = 0;

    have_disk();
    for (unsigned left = 0; left < BLOCKS; left++) {
        struct remote_batch b = new_world(left, v);
        struct remote_applied a = {0};
        int r;

        if (left % 3 > 0 && left > 0) /* there is none if it was needed just before */
            in_client("rm -f spare");
        fill(left);
        r = arig_apply(&b, &a);
        if (r < 0) {
            if (r != -ENOSPC)
                fail_msg("%u: %d", left, r);
            stopped++;
            make_room();
            assert_int_equal(arig_apply(&b, &a), 0);
        } else {
            for (size_t i = 0; i < a.count; i++) {
                failed += a.v[i].outcome == REMOTE_FAILED;
                if (a.v[i].outcome == REMOTE_FAILED)
                    assert_int_equal(a.v[i].err, -ENOSPC);
                else if (a.v[i].outcome != REMOTE_DONE)
                    assert_int_equal(a.v[i].outcome, REMOTE_POISONED);
            }
            make_room();
        }
        (void)finish(v, &a, false);
    }
    print_message("%u stopped, %u changes failed\n", stopped, failed);
    assert_true(stopped > 0 && failed > 0);
}

TEST(read_only_from_any_step_on)
{
    struct remote_change v[WORLD];
    char step_text[16];
    unsigned failed = 1, cut = 0, steps = 0;

    have_disk();
    world_apart = true;
    for (unsigned step = 1; failed > 0; step++) {
        struct remote_batch b = new_world(step, v);
        struct remote_applied a = {0};
        const char *world = in_world("");

        snprintf(step_text, sizeof(step_text), "%u", step);
        setenv("HELPER_READ_ONLY", world, 1);
        setenv("HELPER_READ_ONLY_AT", step_text, 1);
        assert_int_equal(arig_apply(&b, &a), 0);
        unsetenv("HELPER_READ_ONLY");
        (void)mount(NULL, world, NULL, MS_REMOUNT | MS_BIND, NULL);
        failed = 0;
        for (size_t i = 0; i < a.count; i++) {
            failed += a.v[i].outcome != REMOTE_DONE;
            if (a.v[i].outcome == REMOTE_FAILED)
                assert_int_equal(a.v[i].err, -EROFS);
            else if (a.v[i].outcome != REMOTE_DONE)
                assert_int_equal(a.v[i].outcome, REMOTE_POISONED);
        }
        cut += finish(v, &a, true);
        assert_int_equal(umount(world), 0);
        steps = step;
    }
    print_message("%u conflicts after %u steps\n", cut, steps);
    assert_in_range(cut, 0, steps / 5);
    world_apart = false;
}

TEST(read_only_from_the_start_the_batch_waits)
{
    struct remote_change v[WORLD];
    struct remote_batch b;
    struct remote_applied a = {0};

    have_disk();
    b = new_world(0, v);
    assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, "size=32m"), 0);
    assert_int_equal(arig_apply(&b, &a), -EROFS);
    assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT, "size=32m"), 0);
    assert_int_equal(arig_apply(&b, &a), 0);
    expect_all_done(&a);
    (void)finish(v, &a, false);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, enter_disk, leave_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(whatever_room_there_is_what_does_not_fit_is_as_it_was),
        CASE(read_only_from_any_step_on),
        CASE(read_only_from_the_start_the_batch_waits),
    };

    apply_rig_in_memory = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
