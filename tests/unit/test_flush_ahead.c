/* The data of a file that is open goes ahead of it: nobody sees it before the file's changes go. */
#include "flush_rig.h"

#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = FILE_PIECE, GROUP = FILE_GROUP };

/* Rounds of four pieces and more, in blobs of two; nothing of it is small. */
static const struct flush_config ahead = {
    .linger_ns = 1, .inline_bytes = 1000, .ahead_bytes = 4 * PIECE};

static struct flush_file *open_file(const struct flush_config *config)
{
    struct flush_file *x = ff_new(config, JOURNAL_ANY);

    fr_await_end(&x->g, fr_create(&x->g, "/f"), JOURNAL_DONE, 0);
    (void)fr_requests(&x->g);
    return x;
}

/* Up to eight are one round, two of them one blob. */
static void write_pieces(struct flush_file *x, int count)
{
    flush_pause(x->g.flush);
    ff_add_pieces(x, count);
    flush_resume(x->g.flush);
}

/* Up again. */
static void await_line(struct flush_file *x)
{
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;

    lock_take(&x->g.lock);
    while (x->g.line != 0)
        assert_int_equal(lock_wait_until(&x->g.lock, &x->g.cond, until_ns), 0);
    assert_true(x->g.lines > 0);
    lock_drop(&x->g.lock);
}

static void expect_content(struct flush_file *x)
{
    flush_ready(x->g.flush, GROUP);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", x->text);
}

TEST(an_open_files_data_goes_ahead_of_it)
{
    struct flush_file *x = open_file(&ahead);
    struct buf text = BUF_INIT(1 << 20);

    write_pieces(x, 4);
    ff_await_blobs(x, 2);
    write_pieces(x, 1);
    fr_expect(&x->g, "/f", ""); /* nobody sees it */
    assert_int_equal(flush_queue_text(x->g.flush, 100, &text), 0);
    assert_non_null(strstr(buf_str(&text), " staged patch 10000 /f"));
    assert_non_null(strstr(buf_str(&text), " open patch 10000 /f"));
    buf_done(&text);
    expect_content(x);
    assert_int_equal(fr_requests(&x->g), 4); /* two blobs, the rest, the batch */
    ff_expect_clean(x);
    ff_free(x);
}

TEST(it_goes_in_rounds_for_as_long_as_the_file_is_open)
{
    struct flush_file *x = open_file(&ahead);

    for (size_t i = 1; i <= 10; i++) {
        write_pieces(x, 4);
        ff_await_blobs(x, 2 * i);
    }
    (void)fr_requests(&x->g);
    expect_content(x);
    assert_int_equal(fr_requests(&x->g), 1);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(what_was_written_over_or_cut_off_since_is_not_seen)
{
    struct flush_file *x = open_file(&ahead);

    write_pieces(x, 8);
    ff_await_blobs(x, 4);
    ff_write(x, PIECE / 2, 3 * PIECE, 'X');
    ff_truncate(x, 6 * PIECE + 17);
    ff_write(x, x->len, 1000, 'Y');
    write_pieces(x, 1);
    ff_await_blobs(x, 7);
    ff_truncate(x, 6 * PIECE + 500);
    expect_content(x);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(a_file_that_is_rewritten_whole_needs_nothing_of_what_went_ahead)
{
    struct flush_file *x = open_file(&ahead);

    write_pieces(x, 8);
    ff_await_blobs(x, 4);
    ff_truncate(x, 0);
    ff_write(x, 0, 20, 'z');
    expect_content(x);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(a_little_goes_ahead_after_a_while)
{
    struct flush_config config = ahead;
    struct flush_file *x;

    config.open_ns = NS_PER_MS;
    x = open_file(&config);
    write_pieces(x, 1);
    ff_await_blobs(x, 1);
    expect_content(x);
    ff_expect_clean(x);
    ff_free(x);
}

/* What went ahead of one part is taken over while the next is on its way. */
TEST(a_file_that_is_flushed_again_and_again_arrives)
{
    struct flush_file *x = open_file(&ahead);

    for (int i = 0; i < 15; i++) {
        ff_add_pieces(x, 4);
        if (i % 2 == 0)
            flush_ready(x->g.flush, GROUP);
        usleep(200);
    }
    expect_content(x);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(nothing_goes_ahead_while_sending_is_paused)
{
    struct flush_file *x = open_file(&ahead);

    flush_pause(x->g.flush);
    ff_add_pieces(x, 8);
    usleep(20000);
    assert_int_equal(remote_mem_blobs(x->g.mem, false), 0);
    flush_resume(x->g.flush);
    ff_await_blobs(x, 4);
    expect_content(x);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(what_is_on_its_way_when_the_file_is_closed_is_not_sent_twice)
{
    struct flush_file *x = open_file(&ahead);

    fr_hold(&x->g, true);
    write_pieces(x, 4);
    fr_await_held(&x->g, 2);
    flush_ready(x->g.flush, GROUP);
    usleep(10000);
    fr_hold(&x->g, false);
    expect_content(x);
    assert_int_equal(fr_requests(&x->g), 3);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(what_is_small_goes_past_it)
{
    struct flush_file *x = open_file(&ahead);
    uint64_t small;

    fr_hold(&x->g, true);
    write_pieces(x, 20);
    fr_await_held(&x->g, 2);
    small = fr_create(&x->g, "/small");
    fr_await_end(&x->g, small, JOURNAL_DONE, 0);
    fr_hold(&x->g, false);
    expect_content(x);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(what_went_ahead_of_a_file_that_is_removed_goes_away)
{
    struct flush_file *x = open_file(&ahead);

    write_pieces(x, 4);
    ff_await_blobs(x, 2);
    (void)fr_change(&x->g, JOURNAL_UNLINK, "/f", NULL, x->seq);
    flush_ready(x->g.flush, GROUP);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", NULL);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(what_failed_on_its_way_goes_later)
{
    struct flush_file *x = open_file(&ahead);

    for (unsigned n = 1; n <= 2; n++) {
        remote_fault_set(x->g.fault, n, REMOTE_FAULT_BEFORE, -ECONNRESET);
        write_pieces(x, 4);
        ff_await_blobs(x, 2 * n);
    }
    await_line(x);
    expect_content(x);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(blobs_that_went_ahead_and_are_lost_are_staged_again)
{
    struct flush_file *x = open_file(&ahead);

    write_pieces(x, 8);
    ff_await_blobs(x, 4);
    ff_write(x, 0, PIECE, 'X');
    assert_int_equal(remote_mem_blobs(x->g.mem, true), 4);
    expect_content(x);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(another_process_stages_anew)
{
    struct flush_file *x = open_file(&ahead);

    write_pieces(x, 8);
    ff_await_blobs(x, 4);
    fr_restart(&x->g);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", x->text);
    ff_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_files_data_goes_ahead_of_it),
        cmocka_unit_test(it_goes_in_rounds_for_as_long_as_the_file_is_open),
        cmocka_unit_test(what_was_written_over_or_cut_off_since_is_not_seen),
        cmocka_unit_test(a_file_that_is_rewritten_whole_needs_nothing_of_what_went_ahead),
        cmocka_unit_test(a_little_goes_ahead_after_a_while),
        cmocka_unit_test(a_file_that_is_flushed_again_and_again_arrives),
        cmocka_unit_test(nothing_goes_ahead_while_sending_is_paused),
        cmocka_unit_test(what_is_on_its_way_when_the_file_is_closed_is_not_sent_twice),
        cmocka_unit_test(what_is_small_goes_past_it),
        cmocka_unit_test(what_went_ahead_of_a_file_that_is_removed_goes_away),
        cmocka_unit_test(what_failed_on_its_way_goes_later),
        cmocka_unit_test(blobs_that_went_ahead_and_are_lost_are_staged_again),
        cmocka_unit_test(another_process_stages_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
