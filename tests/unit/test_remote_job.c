/* Jobs in a sandbox behind the local server. */
#include "unit.h"

#include "box_rig.h"
#include "remote/job.h"
#include "util/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_MAX = 64 << 20 };

static struct box_rig rig;
static struct buf out = BUF_INIT(OUTPUT_MAX), err = BUF_INIT(OUTPUT_MAX);
static struct remote_job job;
static char token[32];

static int setup(void **state)
{
    return box_rig_start(&rig, HELPER_PROGRAM);
}

static int teardown(void **state)
{
    box_rig_stop(&rig);
    buf_done(&out);
    buf_done(&err);
    return 0;
}

static int before_each(void **state)
{
    static unsigned count;

    snprintf(token, sizeof(token), "job%u", ++count);
    buf_truncate(&out, 0);
    buf_truncate(&err, 0);
    box_rig_fault(&rig, "");
    (void)box_rig_requests(&rig);
    return 0;
}

static struct remote_job_start script(const char *text)
{
    return (struct remote_job_start){.token = token,
                                     .script = text,
                                     .line = text,
                                     .cwd = rig.home,
                                     .output_max = 1 << 20,
                                     .wait_ns = 20 * NS_PER_S};
}

static int start(const struct remote_job_start *s)
{
    return remote_job_start(rig.remote, s, &out, &err, &job);
}

/* On from what out and err hold, until there is nothing more. */
static int read_rest(void)
{
    int r = 0;

    while (r == 0 &&
           (job.phase == REMOTE_JOB_RUNNING || job.out_size > out.len || job.err_size > err.len)) {
        const struct remote_job_read read = {.out_off = out.len,
                                             .err_off = err.len,
                                             .max = 4 << 20,
                                             .wait_ns = 20 * NS_PER_S,
                                             .out = &out,
                                             .err = &err};

        r = remote_job_read(rig.remote, job.id, &read, &job);
    }
    return r;
}

TEST(a_short_job_costs_one_request)
{
    const struct remote_job_start s = script("printf 'a\\000\\377b'; pwd >&2; exit 7");

    assert_int_equal(start(&s), 0);
    assert_int_equal(box_rig_requests(&rig), 1);
    assert_int_equal(remote_job_code(&job), 7);
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, "a\0\377b", 4);
    assert_memory_equal(buf_str(&err), rig.home, strlen(rig.home));
    assert_int_equal(remote_job_remove(rig.remote, job.id), 0);
    assert_int_equal(remote_job_status(rig.remote, job.id, &job), -ENOENT);
}

TEST(words_are_not_looked_into_and_variables_come_along)
{
    static const char *const argv[] = {"printf", "%s|", "it's", "a  b", "$HOME", "", "*", NULL};
    static const char *const env[] = {"V=a b", NULL};
    struct remote_job_start s = script(NULL);

    s.argv = argv;
    assert_int_equal(start(&s), 0);
    assert_string_equal(buf_str(&out), "it's|a  b|$HOME||*|");
    before_each(NULL);
    s = script("echo \"$V\"");
    s.env = env;
    assert_int_equal(start(&s), 0);
    assert_string_equal(buf_str(&out), "a b\n");
}

TEST(an_answer_that_is_lost_starts_nothing_twice)
{
    const struct remote_job_start s = script("echo ran >>count; cat count");

    box_rig_fault(&rig, "nth=1:reset-after-commit");
    assert_int_equal(start(&s), 0);
    assert_int_equal(box_rig_requests(&rig), 2);
    assert_string_equal(buf_str(&out), "ran\n");
}

TEST(output_arrives_byte_for_byte_in_pieces)
{
    const struct remote_job_start s =
        script("i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %o $i)\"; i=$((i + 1)); "
               "done >b; for i in 1 2 3 4 5 6 7 8; do cat b b b b b b b b; done >c; "
               "for i in 1 2 3 4 5 6 7 8; do cat c c c c c c c c c c c c c c c c; done | tee d; "
               "cat d d >&2");

    assert_int_equal(start(&s), 0);
    assert_int_equal(read_rest(), 0);
    assert_int_equal(remote_job_code(&job), 0);
    assert_int_equal(out.len, 256 * 64 * 128);
    assert_int_equal(err.len, 2 * out.len);
    for (size_t i = 0; i < err.len; i++) {
        if ((unsigned char)err.data[i] != i % 256)
            fail_msg("byte %zu is %d", i, (unsigned char)err.data[i]);
    }
}

TEST(stdin_goes_on_and_ends)
{
    struct remote_job_start s = script("cat");
    struct remote_job_write w = {.off = 6, .data = "\0two\n", .len = 5, .end = true};
    struct remote_job now;

    s.input = "first ";
    s.input_len = 6;
    s.input_open = true;
    s.wait_ns = 0;
    assert_int_equal(start(&s), 0);
    assert_int_equal(remote_job_write(rig.remote, job.id, &w, &now), 0);
    assert_int_equal(now.input_size, 11);
    assert_int_equal(read_rest(), 0);
    assert_int_equal(out.len, 11);
    assert_memory_equal(out.data, "first \0two\n", 11);
    assert_int_equal(remote_job_write(rig.remote, job.id, &w, &now), -EPIPE);
}

TEST(jobs_are_listed_by_number_until_they_are_removed)
{
    struct remote_job_start s = script("sleep 100");
    struct remote_job *list;
    uint64_t id;
    size_t count, before;

    assert_int_equal(remote_job_list(rig.remote, &list, &before), 0);
    remote_job_list_free(list, before);
    s.name = "sleeper";
    s.wait_ns = 0;
    assert_int_equal(start(&s), 0);
    id = job.id;
    assert_int_equal(remote_job_list(rig.remote, &list, &count), 0);
    assert_int_equal(count, before + 1);
    assert_string_equal(list[before].name, "sleeper");
    assert_string_equal(list[before].line, "sleep 100");
    assert_string_equal(list[before].cwd, rig.home);
    assert_int_equal(list[before].phase, REMOTE_JOB_RUNNING);
    remote_job_list_free(list, count);
    assert_int_equal(remote_job_remove(rig.remote, id), -EBUSY);
    before_each(NULL);
    assert_int_equal(start(&s), -EEXIST);
    assert_int_equal(remote_job_kill(rig.remote, id, SIGTERM), 0);
    job.id = id;
    assert_int_equal(read_rest(), 0);
    assert_int_equal(remote_job_code(&job), 128 + SIGTERM);
    assert_int_equal(remote_job_kill(rig.remote, id, SIGTERM), -ESRCH);
    assert_int_equal(remote_job_remove(rig.remote, id), 0);
}

TEST(what_cannot_be_is_refused)
{
    struct remote_job_start s = script("true");

    s.name = "12";
    assert_int_equal(start(&s), -EINVAL);
    s = script("true");
    s.cwd = "relative";
    assert_int_equal(start(&s), -EINVAL);
    s = script("true");
    s.token = "no good";
    assert_int_equal(start(&s), -EINVAL);
    assert_int_equal(box_rig_requests(&rig), 0);
    s = script("true");
    s.cwd = "/nowhere";
    assert_int_equal(start(&s), 0);
    assert_int_equal(job.exit_code, 125);
    assert_int_equal(job.err, -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define EACH(test) cmocka_unit_test_setup(test, before_each)
        EACH(a_short_job_costs_one_request),
        EACH(words_are_not_looked_into_and_variables_come_along),
        EACH(an_answer_that_is_lost_starts_nothing_twice),
        EACH(output_arrives_byte_for_byte_in_pieces),
        EACH(stdin_goes_on_and_ends),
        EACH(jobs_are_listed_by_number_until_they_are_removed),
        EACH(what_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
