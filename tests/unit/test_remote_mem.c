#include "remote_tree_cases.h"

#include "remote/batch.h"
#include "remote/job.h"

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
    struct remote_attr both[2];

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
    assert_int_equal(exchange("a/f", attr_of("a/f").ino, "d/b", attr_of("d/b").ino, both), 0);
    assert_int_equal(attr_of("a").nlink, 3);
    assert_int_equal(attr_of("d").nlink, 2);
    assert_int_equal(remote_rmdir(world.r, at("a/f")), 0);
    assert_int_equal(attr_of("a").nlink, 2);
}

/* Saves over one name again and again, as they are told of after k of them were made and both the
 * record and the answer were lost. */
TEST(a_batch_without_record_goes_on_where_its_names_say)
{
    enum { SAVES = 3 };
    static const char data[] = "123";
    struct remote_piece pieces[SAVES];
    struct remote_change v[2 * SAVES];
    struct remote_batch b = {.client = "00112233445566778899aabbccddeeff",
                             .number = 1,
                             .v = v,
                             .count = 2 * SAVES,
                             .data = data,
                             .data_len = SAVES};

    for (unsigned i = 0; i < SAVES; i++) {
        pieces[i] = (struct remote_piece){.len = 1, .at = i};
        v[2 * i] = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                                          .path = "/case/f.lock",
                                          .at = {.means = REMOTE_ABSENT},
                                          .size = 1,
                                          .pieces = &pieces[i],
                                          .piece_count = 1};
        v[2 * i + 1] = (struct remote_change){
            .kind = REMOTE_CHANGE_RENAME,
            .path = "/case/f.lock",
            .path2 = "/case/f",
            .at = {.means = REMOTE_LEFT_BY, .change = 2 * i},
            .at2 = {.means = i ? REMOTE_LEFT_BY : REMOTE_ABSENT, .change = i ? 2 * i - 1 : 0}};
    }
    assert_int_equal(remote_batch_digest(&b, b.digest), 0);
    for (unsigned k = 0; k <= 2 * SAVES; k++) {
        struct remote_applied a = {0};

        b.mode = REMOTE_BATCH_RENEW;
        remote_mem_stop_after(world.r, k < 2 * SAVES ? k : SIZE_MAX, -EPIPE);
        assert_int_equal(remote_apply(world.r, &b, &a), k < 2 * SAVES ? -EPIPE : 0);
        remote_applied_done(&a);
        remote_mem_rewind(world.r, 0);
        assert_int_equal(remote_apply(world.r, &b, &a), 0);
        for (unsigned i = 0; i < a.count; i++)
            assert_int_equal(a.v[i].outcome, REMOTE_DONE);
        assert_int_equal(a.v[2 * SAVES - 1].now.ino, attr_of("f").ino);
        remote_applied_done(&a);
        remote_mem_rewind(world.r, 0);
        expect_content("f", "3");
        if (k == 2 * SAVES)
            break;
        assert_int_equal(remote_unlink(world.r, at("f")), 0);
    }
    /* What somebody saved over it since stays, and is told. */
    {
        struct remote_applied a = {0};

        have_file("theirs", "theirs");
        assert_int_equal(remote_rename(world.r, at("theirs"), at("f"), 0, &(struct remote_attr){0}),
                         0);
        assert_int_equal(remote_apply(world.r, &b, &a), 0);
        assert_int_equal(a.v[1].outcome, REMOTE_CONFLICT);
        remote_applied_done(&a);
        expect_content("f", "theirs");
    }
}

TEST(jobs_do_what_the_test_says)
{
    struct remote *inside = remote_mem_new(1000, 1000);
    struct remote_fault *fault;
    struct remote *r = remote_fault_new(inside, &fault);
    struct buf out = BUF_INIT(1024), err = BUF_INIT(1024);
    struct remote_job_start start = {
        .token = "t1", .script = "work", .cwd = "/", .name = "w", .output_max = 100};
    struct remote_job_read read = {.max = 100, .out = &out, .err = &err};
    struct remote_job job, *list;
    size_t count;

    remote_fault_set(fault, 1, REMOTE_FAULT_AFTER, -ECONNRESET);
    assert_int_equal(remote_job_start(r, &start, &out, &err, &job), -ECONNRESET);
    assert_int_equal(remote_job_start(r, &start, &out, &err, &job), 0);
    assert_int_equal(job.id, 1); /* the same one */
    remote_mem_job_print(inside, job.id, false, "a\0b", 3);
    remote_mem_job_print(inside, job.id, true, "e", 1);
    remote_fault_set(fault, 1, REMOTE_FAULT_AFTER, -ECONNRESET);
    assert_int_equal(remote_job_read(r, job.id, &read, &job), -ECONNRESET);
    assert_int_equal(out.len + err.len, 0); /* no half answers */
    assert_int_equal(remote_job_read(r, job.id, &read, &job), 0);
    assert_memory_equal(out.data, "a\0b", 3);
    assert_memory_equal(err.data, "e", 1);
    assert_int_equal(remote_job_remove(r, job.id), -EBUSY);
    remote_mem_job_end(inside, job.id, 3);
    assert_int_equal(remote_job_list(r, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(remote_job_code(&list[0]), 3);
    remote_job_list_free(list, count);
    assert_int_equal(remote_job_kill(r, job.id, 15), -ESRCH);
    assert_int_equal(remote_job_remove(r, job.id), 0);
    assert_int_equal(remote_job_status(r, job.id, &job), -ENOENT);
    buf_done(&out);
    buf_done(&err);
    remote_free(r);
}

int main(void)
{
    const struct CMUnitTest cases[] = {REMOTE_CASES, REMOTE_TREE_CASES};
    const struct CMUnitTest mine[] = {
        REMOTE_CASE(its_clock_never_stands_still),
        REMOTE_CASE(holes_cost_nothing),
        REMOTE_CASE(directories_count_their_links),
        REMOTE_CASE(a_batch_without_record_goes_on_where_its_names_say),
        cmocka_unit_test(jobs_do_what_the_test_says),
    };

    return cmocka_run_group_tests_name("as root", cases, as_root, NULL) +
           cmocka_run_group_tests_name("as a user", cases, as_user, NULL) +
           cmocka_run_group_tests_name("mem", mine, as_user, NULL);
}
