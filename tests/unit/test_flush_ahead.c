/* The data of a file that is open goes ahead of it: nobody sees it before the file's changes go. */
#include "flush_rig.h"

#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 10000, PIECES = 64, GROUP = 7 };

/* Rounds of four pieces and more, in blobs of two; nothing of it is small. */
static const struct flush_config ahead = {
    .linger_ns = 1, .inline_bytes = 1000, .ahead_bytes = 4 * PIECE};

/* A file that is open, and what it should be. */
struct file {
    struct flush_rig g;
    uint64_t seq;
    char text[PIECES * PIECE + 1];
    size_t len;
};

static struct file *open_file(const struct flush_config *config)
{
    struct file *x = calloc(1, sizeof(*x));

    assert_non_null(x);
    fr_up(&x->g, config);
    x->seq = fr_create(&x->g, "/f");
    fr_await_end(&x->g, x->seq, JOURNAL_DONE, 0);
    (void)fr_requests(&x->g);
    x->seq = 0;
    return x;
}

static void close_file(struct file *x)
{
    fr_down(&x->g);
    free(x);
}

static void change_file(struct file *x, struct journal_record *rec)
{
    rec->path = "/f";
    rec->group = GROUP;
    rec->when_ns = 1;
    rec->object[JOURNAL_AT].means = x->seq ? JOURNAL_MADE : JOURNAL_ANY;
    rec->object[JOURNAL_AT].made_by = x->seq;
    x->seq = fr_add(&x->g, rec);
}

static void write_at(struct file *x, size_t off, size_t len, char c)
{
    struct journal_record rec = {
        .kind = JOURNAL_PATCH, .off = off, .data = x->text + off, .data_len = len};

    memset(x->text + off, c, len);
    x->len = off + len > x->len ? off + len : x->len;
    change_file(x, &rec);
}

static void add_pieces(struct file *x, int count)
{
    for (int i = 0; i < count; i++)
        write_at(x, x->len, PIECE, (char)('a' + (x->len / PIECE) % 26));
}

/* Up to eight are one round, two of them one blob. */
static void write_pieces(struct file *x, int count)
{
    flush_pause(x->g.flush);
    add_pieces(x, count);
    flush_resume(x->g.flush);
}

static void truncate_to(struct file *x, size_t len)
{
    struct journal_record rec = {.kind = JOURNAL_TRUNCATE, .size = len};

    memset(x->text + len, 0, sizeof(x->text) - len);
    x->len = len;
    change_file(x, &rec);
}

static void await_blobs(struct file *x, size_t count)
{
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;

    while (remote_mem_blobs(x->g.mem, false) != count) {
        assert_true(clock_mono_ns() < until_ns);
        usleep(1000);
    }
}

/* Up again. */
static void await_line(struct file *x)
{
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;

    lock_take(&x->g.lock);
    while (x->g.line != 0)
        assert_int_equal(lock_wait_until(&x->g.lock, &x->g.cond, until_ns), 0);
    assert_true(x->g.lines > 0);
    lock_drop(&x->g.lock);
}

static void expect_content(struct file *x)
{
    flush_ready(x->g.flush, GROUP);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", x->text);
}

/* The next batch takes along what went ahead in vain. */
static void expect_clean(struct file *x)
{
    fr_await_end(&x->g, fr_create(&x->g, "/other"), JOURNAL_DONE, 0);
    assert_int_equal(remote_mem_blobs(x->g.mem, false), 0);
}

TEST(an_open_files_data_goes_ahead_of_it)
{
    struct file *x = open_file(&ahead);
    struct buf text = BUF_INIT(1 << 20);

    write_pieces(x, 4);
    await_blobs(x, 2);
    write_pieces(x, 1);
    fr_expect(&x->g, "/f", ""); /* nobody sees it */
    assert_int_equal(flush_queue_text(x->g.flush, 100, &text), 0);
    assert_non_null(strstr(buf_str(&text), " staged patch 10000 /f"));
    assert_non_null(strstr(buf_str(&text), " open patch 10000 /f"));
    buf_done(&text);
    expect_content(x);
    assert_int_equal(fr_requests(&x->g), 4); /* two blobs, the rest, the batch */
    expect_clean(x);
    close_file(x);
}

TEST(it_goes_in_rounds_for_as_long_as_the_file_is_open)
{
    struct file *x = open_file(&ahead);

    for (size_t i = 1; i <= 10; i++) {
        write_pieces(x, 4);
        await_blobs(x, 2 * i);
    }
    (void)fr_requests(&x->g);
    expect_content(x);
    assert_int_equal(fr_requests(&x->g), 1);
    expect_clean(x);
    close_file(x);
}

TEST(what_was_written_over_or_cut_off_since_is_not_seen)
{
    struct file *x = open_file(&ahead);

    write_pieces(x, 8);
    await_blobs(x, 4);
    write_at(x, PIECE / 2, 3 * PIECE, 'X');
    truncate_to(x, 6 * PIECE + 17);
    write_at(x, x->len, 1000, 'Y');
    write_pieces(x, 1);
    await_blobs(x, 7);
    truncate_to(x, 6 * PIECE + 500);
    expect_content(x);
    expect_clean(x);
    close_file(x);
}

TEST(a_file_that_is_rewritten_whole_needs_nothing_of_what_went_ahead)
{
    struct file *x = open_file(&ahead);

    write_pieces(x, 8);
    await_blobs(x, 4);
    truncate_to(x, 0);
    write_at(x, 0, 20, 'z');
    expect_content(x);
    expect_clean(x);
    close_file(x);
}

TEST(a_little_goes_ahead_after_a_while)
{
    struct flush_config config = ahead;
    struct file *x;

    config.open_ns = NS_PER_MS;
    x = open_file(&config);
    write_pieces(x, 1);
    await_blobs(x, 1);
    expect_content(x);
    expect_clean(x);
    close_file(x);
}

/* What went ahead of one part is taken over while the next is on its way. */
TEST(a_file_that_is_flushed_again_and_again_arrives)
{
    struct file *x = open_file(&ahead);

    for (int i = 0; i < 15; i++) {
        add_pieces(x, 4);
        if (i % 2 == 0)
            flush_ready(x->g.flush, GROUP);
        usleep(200);
    }
    expect_content(x);
    expect_clean(x);
    close_file(x);
}

TEST(nothing_goes_ahead_while_sending_is_paused)
{
    struct file *x = open_file(&ahead);

    flush_pause(x->g.flush);
    add_pieces(x, 8);
    usleep(20000);
    assert_int_equal(remote_mem_blobs(x->g.mem, false), 0);
    flush_resume(x->g.flush);
    await_blobs(x, 4);
    expect_content(x);
    expect_clean(x);
    close_file(x);
}

TEST(what_is_on_its_way_when_the_file_is_closed_is_not_sent_twice)
{
    struct file *x = open_file(&ahead);

    fr_hold(&x->g, true);
    write_pieces(x, 4);
    fr_await_held(&x->g, 2);
    flush_ready(x->g.flush, GROUP);
    usleep(10000);
    fr_hold(&x->g, false);
    expect_content(x);
    assert_int_equal(fr_requests(&x->g), 3);
    expect_clean(x);
    close_file(x);
}

TEST(what_is_small_goes_past_it)
{
    struct file *x = open_file(&ahead);
    uint64_t small;

    fr_hold(&x->g, true);
    write_pieces(x, 20);
    fr_await_held(&x->g, 2);
    small = fr_create(&x->g, "/small");
    fr_await_end(&x->g, small, JOURNAL_DONE, 0);
    fr_hold(&x->g, false);
    expect_content(x);
    expect_clean(x);
    close_file(x);
}

TEST(what_went_ahead_of_a_file_that_is_removed_goes_away)
{
    struct file *x = open_file(&ahead);

    write_pieces(x, 4);
    await_blobs(x, 2);
    (void)fr_change(&x->g, JOURNAL_UNLINK, "/f", NULL, x->seq);
    flush_ready(x->g.flush, GROUP);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", NULL);
    expect_clean(x);
    close_file(x);
}

TEST(what_failed_on_its_way_goes_later)
{
    struct file *x = open_file(&ahead);

    for (unsigned n = 1; n <= 2; n++) {
        remote_fault_set(x->g.fault, n, REMOTE_FAULT_BEFORE, -ECONNRESET);
        write_pieces(x, 4);
        await_blobs(x, 2 * n);
    }
    await_line(x);
    expect_content(x);
    expect_clean(x);
    close_file(x);
}

TEST(blobs_that_went_ahead_and_are_lost_are_staged_again)
{
    struct file *x = open_file(&ahead);

    write_pieces(x, 8);
    await_blobs(x, 4);
    write_at(x, 0, PIECE, 'X');
    assert_int_equal(remote_mem_blobs(x->g.mem, true), 4);
    expect_content(x);
    expect_clean(x);
    close_file(x);
}

TEST(another_process_stages_anew)
{
    struct file *x = open_file(&ahead);

    write_pieces(x, 8);
    await_blobs(x, 4);
    fr_restart(&x->g);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", x->text);
    close_file(x);
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
