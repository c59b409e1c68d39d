/* What is not needed any more is not sent, or no further: the file was removed meanwhile. */
#include "flush_rig.h"

#include "util/cancel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = FILE_PIECE, COUNT = 20 };

/* Blobs of one piece, all of which are one lot. */
static const struct flush_config config = {.linger_ns = 1,
                                           .inline_bytes = 1000,
                                           .lot_bytes = 4 * PIECE,
                                           .join_bytes = FILE_PIECES * PIECE,
                                           .ahead_bytes = 4 * PIECE};

static void create(struct flush_file *x)
{
    struct journal_record rec = {.kind = JOURNAL_CREATE};

    ff_change(x, &rec);
}

/* Its data is on its way, and two uploads at least hang. is_there: the file is in the sandbox. */
static struct flush_file *staged_file(const struct flush_config *c, bool is_there)
{
    struct flush_file *x = ff_new(c, JOURNAL_ABSENT);

    create(x);
    if (is_there) {
        flush_ready(x->g.flush, FILE_GROUP);
        fr_await_end(&x->g, x->seq, JOURNAL_DONE, 0);
    }
    flush_pause(x->g.flush);
    ff_add_pieces(x, COUNT);
    fr_hold(&x->g, true);
    flush_ready(x->g.flush, FILE_GROUP);
    flush_resume(x->g.flush);
    fr_await_held(&x->g, 2);
    (void)fr_requests(&x->g);
    return x;
}

static void await_stopped(struct flush_file *x)
{
    for (int i = 0; fr_stopped(&x->g) < 2; i++) {
        assert_true(i < 20000);
        usleep(1000);
    }
}

/* Once the uploads that were stopped have ended. */
static void await_clean(struct flush_file *x)
{
    char path[16];

    for (int i = 0; remote_mem_blobs(x->g.mem, false) > 0; i++) {
        assert_true(i < 2000);
        snprintf(path, sizeof(path), "/o%d", i);
        fr_await_end(&x->g, fr_create(&x->g, path), JOURNAL_DONE, 0);
        usleep(1000);
    }
}

static void end_file(struct flush_file *x, unsigned requests)
{
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", NULL);
    assert_int_equal(fr_requests(&x->g), requests);
    fr_hold(&x->g, false);
    await_clean(x);
    ff_free(x);
}

TEST(a_new_file_that_is_removed_is_not_sent_any_further)
{
    struct flush_file *x = staged_file(&config, false);
    const uint64_t seq = ff_unlink(x, true);

    fr_await_end(&x->g, seq, JOURNAL_DROPPED, 0);
    fr_await_end(&x->g, x->seq, JOURNAL_DROPPED, 0);
    await_stopped(x);
    end_file(x, 0);
}

TEST(of_a_file_that_is_there_only_the_removal_is_sent)
{
    struct flush_file *x = staged_file(&config, true);
    const uint64_t seq = ff_unlink(x, true);

    fr_await_end(&x->g, seq, JOURNAL_DONE, 0);
    fr_await_end(&x->g, x->seq, JOURNAL_DONE, 0);
    await_stopped(x);
    end_file(x, 1);
}

TEST(what_was_not_begun_goes_with_the_removal)
{
    struct flush_file *x = ff_new(&config, JOURNAL_ABSENT);

    create(x);
    flush_ready(x->g.flush, FILE_GROUP);
    fr_await_end(&x->g, x->seq, JOURNAL_DONE, 0);
    (void)fr_requests(&x->g);
    flush_pause(x->g.flush);
    ff_add_pieces(x, COUNT);
    ff_truncate(x, 5 * PIECE);
    (void)ff_unlink(x, true); /* the file is open: nobody can see any more what it is written */
    flush_resume(x->g.flush);
    end_file(x, 1);
}

TEST(what_is_there_already_goes_away)
{
    struct flush_file *x = staged_file(&config, true);

    fr_let_pass(&x->g, 5);
    ff_await_blobs(x, 5);
    (void)ff_unlink(x, true);
    end_file(x, 5 + 1);
}

TEST(what_another_file_needs_is_sent)
{
    struct flush_file *x = ff_new(&config, JOURNAL_ABSENT);
    char text[2501];

    memset(text, 'o', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    flush_pause(x->g.flush);
    create(x);
    ff_add_pieces(x, 2);
    ff_write(x, x->len, PIECE / 2, 'x'); /* the other one begins in the middle of a blob */
    flush_ready(x->g.flush, FILE_GROUP);
    (void)fr_data(&x->g, JOURNAL_PUT, "/o", fr_create(&x->g, "/o"), 0, text);
    fr_hold(&x->g, true);
    flush_resume(x->g.flush);
    fr_await_held(&x->g, 3);
    (void)fr_requests(&x->g);
    (void)ff_unlink(x, true);
    await_stopped(x);
    fr_hold(&x->g, false);
    fr_sync(&x->g);
    fr_expect(&x->g, "/o", text);
    fr_expect(&x->g, "/f", NULL);
    assert_in_range(fr_requests(&x->g), 2, 3); /* its blob, its batch; the removal */
    await_clean(x);
    ff_free(x);
}

TEST(what_is_put_together_stops_growing)
{
    struct flush_config large = config;
    struct flush_file *x;
    unsigned joined;

    large.join_bytes = 8 * PIECE;
    x = staged_file(&large, true);
    fr_hold_joins(&x->g, true);
    fr_hold(&x->g, false);
    while (fr_joins(&x->g, &joined) == 0)
        usleep(1000);
    fr_hold(&x->g, true);
    (void)ff_unlink(x, true);
    usleep(20000); /* the sender hears of it first, or not */
    fr_hold_joins(&x->g, false);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", NULL);
    fr_hold(&x->g, false);
    await_clean(x);
    assert_int_equal(fr_joins(&x->g, &joined), 1);
    assert_int_equal(joined, 0);
    ff_free(x);
}

TEST(what_goes_ahead_of_an_open_file_stops)
{
    struct flush_file *x = ff_new(&config, JOURNAL_ABSENT);
    uint64_t seq;

    create(x);
    fr_hold(&x->g, true);
    ff_add_pieces(x, COUNT);
    fr_await_held(&x->g, 2);
    (void)fr_requests(&x->g);
    seq = ff_unlink(x, true);
    fr_await_end(&x->g, seq, JOURNAL_DROPPED, 0);
    await_stopped(x);
    end_file(x, 0);
}

TEST(a_file_with_other_names_is_sent_whole)
{
    struct flush_file *x = staged_file(&config, true);

    (void)ff_unlink(x, false);
    usleep(20000);
    assert_int_equal(fr_stopped(&x->g), 0);
    fr_hold(&x->g, false);
    end_file(x, COUNT + 2); /* the batch and the removal */
}

TEST(a_file_that_somebody_wants_on_the_disk_is_sent_whole)
{
    struct flush_file *x = staged_file(&config, true);
    struct cancel *cancel = cancel_new(), *const was = cancel_bind(cancel);

    cancel_fire(cancel);
    assert_int_equal(flush_wait(x->g.flush, x->seq, true), -EINTR); /* it stays asked for */
    cancel_bind(was);
    cancel_unref(cancel);
    (void)ff_unlink(x, true);
    usleep(20000);
    assert_int_equal(fr_stopped(&x->g), 0);
    fr_hold(&x->g, false);
    end_file(x, COUNT + 2);
}

/* Theirs stays, and all of ours is kept. */
TEST(what_the_sandbox_saved_meanwhile_is_not_removed)
{
    struct flush_file *x = staged_file(&config, true);
    uint64_t seq, size;
    char c;

    fr_put(&x->g, "/f", "theirs");
    seq = ff_unlink(x, true);
    fr_await_end(&x->g, seq, JOURNAL_CONFLICT, -EBUSY);
    fr_await_end(&x->g, x->seq, JOURNAL_CONFLICT, -EBUSY);
    fr_expect(&x->g, "/f", "theirs");
    assert_int_equal(flush_barrier(x->g.flush, NULL, NULL, NULL), -EIO); /* it is kept by then */
    assert_int_equal(flush_parked_read(x->g.flush, "/f", COUNT * PIECE - 1, &c, 1, &size), 1);
    assert_int_equal(size, COUNT * PIECE);
    assert_int_equal(c, x->text[COUNT * PIECE - 1]);
    fr_hold(&x->g, false);
    assert_int_equal(flush_keep(x->g.flush, "/f", true), 0);
    fr_expect(&x->g, "/f", NULL);
    await_clean(x);
    ff_free(x);
}

TEST(what_both_removed_is_gone)
{
    struct flush_file *x = staged_file(&config, true);
    uint64_t seq;

    assert_int_equal(remote_unlink(x->g.mem, "/f"), 0);
    seq = ff_unlink(x, true);
    fr_await_end(&x->g, seq, JOURNAL_DONE, 0);
    fr_await_end(&x->g, x->seq, JOURNAL_DONE, 0);
    end_file(x, 1);
}

/* Its journal says nothing of other names: all of it is sent. */
TEST(another_process_sends_what_is_left)
{
    struct flush_file *x = staged_file(&config, true);

    flush_pause(x->g.flush);
    (void)ff_unlink(x, true);
    fr_hold(&x->g, false);
    fr_restart(&x->g);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", NULL);
    ff_free(x);
}

/* The answer to the removal is lost, wherever: what both sides did counts once. */
TEST(a_removal_whose_answer_is_lost_is_told_once)
{
    for (unsigned after = 0; after < 2; after++) {
        struct flush_file *x = staged_file(&config, true);
        uint64_t seq;

        remote_fault_set(x->g.fault, 1, after ? REMOTE_FAULT_AFTER : REMOTE_FAULT_BEFORE,
                         -ECONNRESET);
        seq = ff_unlink(x, true);
        fr_await_end(&x->g, seq, JOURNAL_DONE, 0);
        fr_await_end(&x->g, x->seq, JOURNAL_DONE, 0);
        (void)fr_requests(&x->g);
        end_file(x, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_that_is_removed_is_not_sent_any_further),
        cmocka_unit_test(of_a_file_that_is_there_only_the_removal_is_sent),
        cmocka_unit_test(what_was_not_begun_goes_with_the_removal),
        cmocka_unit_test(what_is_there_already_goes_away),
        cmocka_unit_test(what_another_file_needs_is_sent),
        cmocka_unit_test(what_is_put_together_stops_growing),
        cmocka_unit_test(what_goes_ahead_of_an_open_file_stops),
        cmocka_unit_test(a_file_with_other_names_is_sent_whole),
        cmocka_unit_test(a_file_that_somebody_wants_on_the_disk_is_sent_whole),
        cmocka_unit_test(what_the_sandbox_saved_meanwhile_is_not_removed),
        cmocka_unit_test(what_both_removed_is_gone),
        cmocka_unit_test(another_process_sends_what_is_left),
        cmocka_unit_test(a_removal_whose_answer_is_lost_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
