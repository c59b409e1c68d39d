#include "remote_tree_cases.h"

/* Another tree for every case; uid of the sandbox's user in *state. */
static uint32_t mem_uid;

static int world_enter(void **state)
{
    struct remote_info info;

    world.r = remote_mem_new(mem_uid, mem_uid);
    if (!world.r || remote_info(world.r, &info) < 0)
        return -1;
    strcpy(world.dir, "/case");
    world.caps = info.caps;
    world.privileged = info.privileged;
    remote_info_done(&info);
    return remote_mkdir(world.r, world.dir, 0755, NULL);
}

static int world_leave(void **state)
{
    world.r = remote_free(world.r);
    return 0;
}

static int as_root(void **state)
{
    mem_uid = 0;
    return 0;
}

static int as_user(void **state)
{
    mem_uid = 1000;
    return 0;
}

TEST(its_clock_never_stands_still)
{
    int64_t last = 0;
    struct remote_attr a;
    char name[16];

    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(remote_create(world.r, at(name), 0644, &a), 0);
        assert_true(a.ctime_ns > last);
        last = a.ctime_ns;
    }
}

TEST(holes_cost_nothing)
{
    const struct remote_attr huge = {.size = UINT64_C(1) << 50};
    struct remote_attr a;
    uint64_t len;
    char byte;
    int fd = memfd_create("got", MFD_CLOEXEC);

    have_file("f", "start");
    assert_int_equal(set_attr("f", REMOTE_SET_SIZE, &huge, &a), 0);
    assert_int_equal(a.size, huge.size);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, 100, 1, fd, &len), 0);
    assert_int_equal(pread(fd, &byte, 1, 100), 1);
    assert_int_equal(byte, 0);
    close(fd);
}

TEST(directories_count_their_links)
{
    have_dir("a");
    have_dir("a/b");
    have_dir("a/c");
    have_dir("d");
    assert_int_equal(attr_of("a").nlink, 4);
    assert_int_equal(remote_rename(world.r, at("a/b"), at("d/b"), 0, NULL), 0);
    assert_int_equal(attr_of("a").nlink, 3);
    assert_int_equal(attr_of("d").nlink, 3);
    assert_int_equal(remote_rename(world.r, at("a/c"), at("d/b"), 0, NULL), 0);
    assert_int_equal(attr_of("a").nlink, 2);
    assert_int_equal(attr_of("d").nlink, 3);
    have_file("a/f", "x");
    assert_int_equal(remote_rename(world.r, at("a/f"), at("d/b"), REMOTE_RENAME_EXCHANGE, NULL), 0);
    assert_int_equal(attr_of("a").nlink, 3);
    assert_int_equal(attr_of("d").nlink, 2);
    assert_int_equal(remote_rmdir(world.r, at("a/f")), 0);
    assert_int_equal(attr_of("a").nlink, 2);
}

int main(void)
{
    const struct CMUnitTest cases[] = {REMOTE_CASES, REMOTE_TREE_CASES};
    const struct CMUnitTest mine[] = {
        REMOTE_CASE(its_clock_never_stands_still),
        REMOTE_CASE(holes_cost_nothing),
        REMOTE_CASE(directories_count_their_links),
    };

    return cmocka_run_group_tests_name("as root", cases, as_root, NULL) +
           cmocka_run_group_tests_name("as a user", cases, as_user, NULL) +
           cmocka_run_group_tests_name("mem", mine, as_user, NULL);
}
