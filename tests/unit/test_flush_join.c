/* Large files are put together in the sandbox while they are being staged, ahead of their batch. */
#include "flush_rig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = FILE_PIECE, STEP = 4, GROUP = FILE_GROUP };

/* Blobs of one piece; four of them are added at a time. */
static const struct flush_config config = {
    .linger_ns = 1, .inline_bytes = 1000, .lot_bytes = STEP * PIECE, .join_bytes = 8 * PIECE};

/* A new file that is not sent yet. */
static struct flush_file *make_file(int count)
{
    struct journal_record rec = {.kind = JOURNAL_CREATE};
    struct flush_file *x = ff_new(&config, JOURNAL_ABSENT);

    flush_pause(x->g.flush);
    ff_change(x, &rec);
    ff_add_pieces(x, count);
    return x;
}

static void send_file(struct flush_file *x)
{
    (void)fr_requests(&x->g);
    flush_ready(x->g.flush, GROUP);
    flush_resume(x->g.flush);
}

/* All of it is there and nothing else is left, and that is how it came. */
static void end_file(struct flush_file *x, unsigned joins, unsigned joined)
{
    const struct remote_attr attr = (fr_sync(&x->g), fr_stat(&x->g, "/f"));
    unsigned was_joined;

    assert_int_equal(attr.size, x->len);
    fr_expect(&x->g, "/f", x->text);
    assert_int_equal(fr_joins(&x->g, &was_joined), joins);
    assert_int_equal(was_joined, joined);
    ff_expect_clean(x);
    ff_free(x);
}

TEST(a_large_file_is_put_together_while_it_is_staged)
{
    struct flush_file *x = make_file(20);

    send_file(x);
    fr_sync(&x->g);
    assert_int_equal(fr_requests(&x->g), 20 + 5 + 1); /* blobs, joins, the batch */
    end_file(x, 5, 1);
}

TEST(one_that_is_not_large_is_made_by_its_batch)
{
    struct flush_file *x = make_file(7);

    send_file(x);
    fr_sync(&x->g);
    assert_int_equal(fr_requests(&x->g), 7 + 1);
    end_file(x, 0, 0);
}

TEST(what_was_written_over_is_not_in_it)
{
    struct flush_file *x = make_file(20);

    ff_write(x, 3 * PIECE + 17, 5 * PIECE, 'X');
    send_file(x);
    end_file(x, 5, 1);
}

TEST(a_file_that_keeps_some_of_what_was_there_is_made_by_its_batch)
{
    struct flush_file *x = make_file(1);

    send_file(x);
    fr_sync(&x->g);
    flush_pause(x->g.flush);
    ff_add_pieces(x, 20);
    send_file(x);
    end_file(x, 0, 0);
}

TEST(what_went_wrong_is_begun_anew_once)
{
    static const struct {
        unsigned failures, joins, joined;
        int err;
    } runs[] = {
        {1, 1 + 3, 1, -ESTALE},
        {2, 2, 0, -ECONNRESET},
        {1, 1, 0, -EOPNOTSUPP},
    };

    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        struct flush_file *x = make_file(12);

        fr_fail_joins(&x->g, runs[i].failures, runs[i].err);
        send_file(x);
        end_file(x, runs[i].joins, runs[i].joined);
    }
}

TEST(what_is_small_goes_past_it)
{
    struct flush_file *x = make_file(20);

    fr_hold_joins(&x->g, true);
    send_file(x);
    fr_await_held(&x->g, 1);
    for (int i = 0; i < 3; i++)
        fr_await_end(&x->g,
                     fr_create(&x->g, i == 0   ? "/a"
                                      : i == 1 ? "/b"
                                               : "/c"),
                     JOURNAL_DONE, 0);
    assert_int_equal(flush_wait(x->g.flush, fr_create(&x->g, "/d"), true), 0);
    fr_hold_joins(&x->g, false);
    end_file(x, 5, 1);
}

/* Nothing was sent of its batch: the next process stages anew, and what is left is swept. */
TEST(another_process_begins_anew)
{
    struct flush_file *x = make_file(20);

    fr_hold_joins(&x->g, true);
    send_file(x);
    fr_await_held(&x->g, 1);
    fr_hold_joins(&x->g, false);
    fr_restart(&x->g);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", x->text);
    ff_free(x);
}

TEST(blobs_that_are_lost_are_staged_again)
{
    struct flush_file *x = make_file(20);

    fr_hold_joins(&x->g, true);
    send_file(x);
    fr_await_held(&x->g, 1);
    (void)remote_mem_blobs(x->g.mem, true);
    fr_hold_joins(&x->g, false);
    fr_sync(&x->g);
    fr_expect(&x->g, "/f", x->text);
    ff_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_file_is_put_together_while_it_is_staged),
        cmocka_unit_test(one_that_is_not_large_is_made_by_its_batch),
        cmocka_unit_test(what_was_written_over_is_not_in_it),
        cmocka_unit_test(a_file_that_keeps_some_of_what_was_there_is_made_by_its_batch),
        cmocka_unit_test(what_went_wrong_is_begun_anew_once),
        cmocka_unit_test(what_is_small_goes_past_it),
        cmocka_unit_test(another_process_begins_anew),
        cmocka_unit_test(blobs_that_are_lost_are_staged_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
