/* Changes on their way from the journal to the sandbox. */
#include "flush_rig.h"

#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct flush_config paused = {.paused = true};

TEST(changes_arrive_in_one_request)
{
    struct flush_rig g;
    uint64_t dir, file;

    fr_up(&g, &paused);
    dir = fr_change(&g, JOURNAL_MKDIR, "/d", NULL, 0);
    file = fr_create(&g, "/d/f");
    file = fr_data(&g, JOURNAL_PATCH, "/d/f", file, 0, "hello");
    file = fr_data(&g, JOURNAL_APPEND, "/d/f", file, 5, " world");
    fr_change(&g, JOURNAL_SYMLINK, "/d/l", "f", 0);
    fr_change(&g, JOURNAL_LINK, "/d/f", "/d/g", file);
    fr_change(&g, JOURNAL_RENAME, "/d", "/e", dir);
    fr_sync(&g);
    assert_int_equal(fr_requests(&g), 1);
    fr_expect(&g, "/e/f", "hello world");
    fr_expect(&g, "/e/g", "hello world");
    fr_expect(&g, "/d", NULL);
    assert_true(S_ISLNK(fr_stat(&g, "/e/l").mode));
    assert_int_equal(g.end_count, 7);
    fr_down(&g);
}

TEST(what_is_not_paused_goes_by_itself)
{
    struct flush_rig g;

    fr_up(&g, NULL);
    fr_await_end(&g, fr_create(&g, "/f"), JOURNAL_DONE, 0);
    fr_expect(&g, "/f", "");
    fr_down(&g);
}

TEST(who_waits_is_served_while_the_rest_is_paused)
{
    struct flush_rig g;
    uint64_t other, file;

    fr_up(&g, &paused);
    other = fr_create(&g, "/other");
    file = fr_create(&g, "/f");
    file = fr_data(&g, JOURNAL_PATCH, "/f", file, 0, "text");
    assert_int_equal(flush_wait(g.flush, file, true), 0);
    fr_expect(&g, "/f", "text");
    assert_false(fr_end(&g, other, NULL));
    fr_expect(&g, "/other", NULL);
    fr_sync(&g);
    fr_expect(&g, "/other", "");
    fr_down(&g);
}

TEST(what_the_sandbox_has_changed_is_not_overwritten)
{
    struct flush_rig g;
    struct journal_record rec = {
        .kind = JOURNAL_PATCH, .path = "/f", .data = "ours", .data_len = 4, .when_ns = 1};
    struct journal_identity *id = &rec.object[JOURNAL_AT].identity;
    struct remote_attr attr;
    uint64_t seq, next;
    char text[16];
    uint64_t size;

    fr_up(&g, &paused);
    fr_put(&g, "/f", "old");
    attr = fr_stat(&g, "/f");
    rec.object[JOURNAL_AT].means = JOURNAL_IS;
    *id = (struct journal_identity){attr.dev, attr.ino, attr.size, attr.mtime_ns, attr.ctime_ns};
    seq = fr_add(&g, &rec);
    next = fr_data(&g, JOURNAL_APPEND, "/f", seq, 0, "!");
    fr_put(&g, "/f", "theirs");
    assert_int_equal(flush_wait(g.flush, seq, false), -EIO);
    fr_await_end(&g, seq, JOURNAL_CONFLICT, -EBUSY);
    fr_await_end(&g, next, JOURNAL_CONFLICT, -ECANCELED);
    fr_expect(&g, "/f", "theirs");
    assert_int_equal(flush_parked_read(g.flush, "/f", 0, text, sizeof(text), &size), 5);
    assert_memory_equal(text, "ours!", 5);
    assert_int_equal(flush_barrier(g.flush, NULL, NULL), -EIO);
    assert_int_equal(flush_barrier(g.flush, NULL, NULL), 0);
    assert_int_equal(flush_keep(g.flush, "/f", true), 0);
    fr_expect(&g, "/f", "oursrs!");
    fr_down(&g);
}

TEST(what_a_dead_process_promised_is_sent)
{
    struct flush_rig g;

    fr_up(&g, &paused);
    fr_data(&g, JOURNAL_PATCH, "/f", fr_create(&g, "/f"), 0, "text");
    fr_restart(&g);
    fr_sync(&g);
    fr_expect(&g, "/f", "text");
    fr_down(&g);
}

TEST(a_lost_answer_costs_one_more_request)
{
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &paused);
    seq = fr_data(&g, JOURNAL_APPEND, "/f", fr_create(&g, "/f"), 0, "text");
    remote_fault_set(g.fault, 1, REMOTE_FAULT_AFTER, -ECONNRESET);
    assert_int_equal(flush_wait(g.flush, seq, false), -EHOSTDOWN);
    fr_sync(&g);
    fr_expect(&g, "/f", "text");
    fr_await_end(&g, seq, JOURNAL_DONE, 0);
    assert_int_equal(fr_requests(&g), 2);
    fr_down(&g);
}

TEST(larger_data_is_staged)
{
    struct flush_rig g;
    char *text = malloc(600001);

    memset(text, 'x', 600000);
    text[600000] = '\0';
    fr_up(&g, &paused);
    fr_data(&g, JOURNAL_APPEND, "/f", fr_create(&g, "/f"), 0, text);
    fr_sync(&g);
    assert_int_equal(fr_requests(&g), 2);
    fr_expect(&g, "/f", text);
    assert_int_equal(remote_mem_blobs(g.mem, false), 0);
    fr_down(&g);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_arrive_in_one_request),
        cmocka_unit_test(what_is_not_paused_goes_by_itself),
        cmocka_unit_test(who_waits_is_served_while_the_rest_is_paused),
        cmocka_unit_test(what_the_sandbox_has_changed_is_not_overwritten),
        cmocka_unit_test(what_a_dead_process_promised_is_sent),
        cmocka_unit_test(a_lost_answer_costs_one_more_request),
        cmocka_unit_test(larger_data_is_staged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
