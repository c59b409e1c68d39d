/* Who waits for what, and what goes past what. */
#include "flush_rig.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct flush_config paused = {.paused = true};
static const struct flush_config ready = {.paused = true, .linger_ns = 1, .lot_bytes = 4 << 20};
static const struct flush_config eager = {.linger_ns = 1, .lot_bytes = 4 << 20};

static char *text_of(size_t len)
{
    char *text = malloc(len + 1);

    memset(text, 'x', len);
    text[len] = '\0';
    return text;
}

/* In pieces, as a program writes it. */
static uint64_t write_file(struct flush_rig *g, const char *path, size_t len)
{
    enum { PIECE = 1 << 20 };
    char *text = text_of(len < PIECE ? len : PIECE);
    uint64_t seq = fr_create(g, path);

    for (size_t off = 0; off < len; off += PIECE) {
        if (len - off < PIECE)
            text[len - off] = '\0';
        seq = fr_data(g, JOURNAL_PATCH, path, seq, off, text);
    }
    free(text);
    return seq;
}

TEST(what_is_small_goes_past_a_large_file)
{
    struct flush_rig g;
    uint64_t big, small;

    fr_up(&g, &eager);
    flush_pause(g.flush);
    big = write_file(&g, "/big", 5 << 20);
    fr_hold(&g, true);
    flush_resume(g.flush);
    fr_await_held(&g, 4); /* all that go at a time */
    small = write_file(&g, "/small", 1000);
    fr_await_end(&g, small, JOURNAL_DONE, 0);
    assert_int_equal(fr_stat(&g, "/small").size, 1000);
    assert_false(fr_end(&g, big, NULL));
    assert_true(fr_requests(&g) <= 5);
    fr_hold(&g, false);
    fr_sync(&g);
    assert_int_equal(fr_stat(&g, "/big").size, 5 << 20);
    assert_int_equal(fr_requests(&g), 6); /* five blobs, one batch */
    assert_int_equal(remote_mem_blobs(g.mem, false), 0);
    fr_down(&g);
}

TEST(what_comes_last_goes_past_a_large_tree)
{
    struct flush_rig g;
    uint64_t last = 0, small;
    char path[32];

    fr_up(&g, &eager);
    flush_pause(g.flush);
    for (int i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "/%d", i);
        last = write_file(&g, path, 400 << 10);
    }
    for (int i = 0; i < 500; i++) { /* and many that are small */
        snprintf(path, sizeof(path), "/s%d", i);
        write_file(&g, path, 2000);
    }
    fr_hold(&g, true);
    flush_resume(g.flush);
    fr_await_held(&g, 4);
    small = write_file(&g, "/small", 1000);
    fr_await_end(&g, small, JOURNAL_DONE, 0);
    assert_false(fr_end(&g, last, NULL));
    fr_hold(&g, false);
    fr_sync(&g);
    fr_await_end(&g, last, JOURNAL_DONE, 0);
    assert_int_equal(remote_mem_blobs(g.mem, false), 0);
    fr_down(&g);
}

/* Small enough to be sent without being staged, too large to go past what is. */
enum { AMONG = 200000 };

TEST(who_waits_for_a_part_of_what_is_being_staged_does_not_wait_for_the_rest)
{
    struct flush_rig g;
    uint64_t big, small;

    fr_up(&g, &ready);
    small = write_file(&g, "/small", AMONG);
    big = write_file(&g, "/big", 1 << 20);
    fr_hold(&g, true);
    flush_resume(g.flush);
    fr_await_held(&g, 2); /* both in them */
    assert_int_equal(flush_wait(g.flush, small, true), 0);
    assert_int_equal(fr_stat(&g, "/small").size, AMONG);
    assert_false(fr_end(&g, big, NULL));
    fr_hold(&g, false);
    fr_sync(&g);
    assert_int_equal(fr_stat(&g, "/big").size, 1 << 20);
    assert_int_equal(remote_mem_blobs(g.mem, false), 0);
    fr_down(&g);
}

static void await_blobs(struct flush_rig *g, size_t blobs)
{
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;

    while (remote_mem_blobs(g->mem, false) < blobs) {
        assert_true(clock_mono_ns() < until_ns);
        usleep(1000);
    }
}

/* Its bytes were staged, but are not here any more to be staged once more. */
TEST(blobs_that_are_lost_after_a_part_went_ahead_are_staged_again)
{
    struct flush_rig g;
    uint64_t small;

    fr_up(&g, &ready);
    small = write_file(&g, "/small", AMONG);
    write_file(&g, "/big", 1 << 20);
    fr_hold_short(&g, AMONG);
    flush_resume(g.flush);
    fr_await_held(&g, 1);
    await_blobs(&g, 1);
    assert_int_equal(flush_wait(g.flush, small, false), 0);
    remote_fault_set(g.fault, 2, REMOTE_FAULT_BEFORE, -ECONNRESET); /* the batch */
    flush_pause(g.flush);
    fr_hold(&g, false);
    assert_int_equal(flush_barrier(g.flush, NULL, NULL, NULL), -EHOSTDOWN);
    assert_int_equal(remote_mem_blobs(g.mem, true), 2);
    fr_sync(&g);
    assert_int_equal(fr_stat(&g, "/small").size, AMONG);
    assert_int_equal(fr_stat(&g, "/big").size, 1 << 20);
    fr_down(&g);
}

TEST(blobs_that_are_lost_are_staged_again)
{
    struct flush_rig g;

    fr_up(&g, &paused);
    write_file(&g, "/big", 1 << 20);
    remote_fault_set(g.fault, 2, REMOTE_FAULT_BEFORE, -ECONNRESET); /* the batch */
    assert_int_equal(flush_barrier(g.flush, NULL, NULL, NULL), -EHOSTDOWN);
    assert_int_equal(remote_mem_blobs(g.mem, true), 1);
    fr_sync(&g);
    assert_int_equal(fr_stat(&g, "/big").size, 1 << 20);
    fr_down(&g);
}

TEST(an_open_file_stays_here_until_it_is_closed)
{
    struct flush_rig g;
    struct journal_record rec = {.kind = JOURNAL_CREATE,
                                 .path = "/f",
                                 .group = 7,
                                 .when_ns = 1,
                                 .object[JOURNAL_AT].means = JOURNAL_ABSENT};
    uint64_t file, data, other;

    fr_up(&g, &eager);
    file = fr_add(&g, &rec);
    rec = (struct journal_record){.kind = JOURNAL_PATCH,
                                  .path = "/f",
                                  .group = 7,
                                  .when_ns = 1,
                                  .data = "half",
                                  .data_len = 4,
                                  .object[JOURNAL_AT] = {.means = JOURNAL_MADE, .made_by = file}};
    data = fr_add(&g, &rec);
    other = fr_create(&g, "/other");
    fr_await_end(&g, other, JOURNAL_DONE, 0);
    assert_false(fr_end(&g, file, NULL));
    fr_expect(&g, "/f", NULL);
    flush_ready(g.flush, 7);
    fr_await_end(&g, data, JOURNAL_DONE, 0);
    fr_expect(&g, "/f", "half");
    /* A name that is given to it says as much. */
    rec.object[JOURNAL_AT].made_by = data;
    data = fr_add(&g, &rec);
    fr_await_end(&g, fr_change(&g, JOURNAL_RENAME, "/f", "/g", data), JOURNAL_DONE, 0);
    fr_expect(&g, "/g", "half");
    fr_down(&g);
}

/* It goes when its turn comes, and not because what made room for it goes. */
TEST(what_was_just_made_in_the_place_of_another_is_not_seen_empty)
{
    const struct flush_config config = {.linger_ns = 300 * NS_PER_MS};
    struct journal_record rec = {.kind = JOURNAL_PATCH,
                                 .path = "/f",
                                 .when_ns = 1,
                                 .data = "new",
                                 .data_len = 3,
                                 .object[JOURNAL_AT].means = JOURNAL_MADE};
    struct flush_rig g;
    uint64_t old, moved;
    int64_t made_ns;

    fr_up(&g, &config);
    old = fr_create(&g, "/f");
    fr_await_end(&g, old, JOURNAL_DONE, 0);
    moved = fr_change(&g, JOURNAL_RENAME, "/f", "/f~", old);
    usleep(200000);
    made_ns = clock_mono_ns();
    rec.object[JOURNAL_AT].made_by = fr_create(&g, "/f");
    fr_await_end(&g, moved, JOURNAL_DONE, 0);
    if (clock_mono_ns() < made_ns + 200 * NS_PER_MS) /* else this machine was too slow to tell */
        fr_expect(&g, "/f", NULL);
    fr_await_end(&g, fr_add(&g, &rec), JOURNAL_DONE, 0);
    fr_expect(&g, "/f", "new");
    fr_down(&g);
}

TEST(a_file_that_is_only_added_to_is_seen_while_it_is_open)
{
    const struct flush_config config = {.linger_ns = 1, .open_ns = NS_PER_MS};
    struct flush_rig g;
    struct journal_record rec = {.kind = JOURNAL_APPEND,
                                 .path = "/log",
                                 .group = 7,
                                 .data = "line\n",
                                 .data_len = 5,
                                 .object[JOURNAL_AT].means = JOURNAL_ANY};

    fr_up(&g, &config);
    fr_put(&g, "/log", "");
    fr_await_end(&g, fr_add(&g, &rec), JOURNAL_DONE, 0);
    fr_expect(&g, "/log", "line\n");
    fr_down(&g);
}

/* A handle that has emptied a file and writes to it in order. */
static uint64_t grow(struct flush_rig *g, uint64_t off, const char *text, size_t len,
                     uint64_t maker)
{
    const struct journal_record rec = {
        .kind = text ? JOURNAL_PATCH : JOURNAL_TRUNCATE,
        .path = "/log",
        .group = 7,
        .flags = JOURNAL_GROWS,
        .when_ns = 1,
        .off = off,
        .data = text,
        .data_len = len,
        .object[JOURNAL_AT] = {.means = maker ? JOURNAL_MADE : JOURNAL_ANY, .made_by = maker}};

    return fr_add(g, &rec);
}

TEST(what_trickles_into_an_empty_file_is_seen_while_it_is_open)
{
    const struct flush_config config = {.linger_ns = 1, .open_ns = 300 * NS_PER_MS};
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &config);
    fr_put(&g, "/log", "of the run before");
    seq = grow(&g, 0, NULL, 0, 0);
    usleep(600000);
    fr_expect(&g, "/log", "of the run before"); /* until it says something */
    seq = grow(&g, 0, "one ", 4, seq);
    seq = grow(&g, 4, "two", 3, seq);
    usleep(100000);
    fr_expect(&g, "/log", "of the run before");
    fr_await_end(&g, seq, JOURNAL_DONE, 0);
    fr_expect(&g, "/log", "one two");
    fr_down(&g);
}

TEST(what_is_copied_slowly_is_seen_as_a_whole)
{
    const struct flush_config config = {
        .linger_ns = 1, .open_ns = 100 * NS_PER_MS, .inline_bytes = 1000};
    char *text = text_of(2000);
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &config);
    fr_put(&g, "/log", "before");
    seq = grow(&g, 0, NULL, 0, 0);
    for (unsigned i = 0; i < 6; i++) { /* 2000 bytes in 100 ms, for longer than that */
        seq = grow(&g, i * 2000, text, 2000, seq);
        usleep(100000);
        fr_expect(&g, "/log", "before");
    }
    flush_ready(g.flush, 7);
    fr_await_end(&g, seq, JOURNAL_DONE, 0);
    assert_int_equal(fr_stat(&g, "/log").size, 12000);
    fr_down(&g);
    free(text);
}

TEST(a_full_journal_lets_open_files_go)
{
    struct flush_rig g;
    struct journal_usage usage;
    struct journal_record rec = {.kind = JOURNAL_CREATE,
                                 .path = "/f",
                                 .group = 7,
                                 .when_ns = 1,
                                 .object[JOURNAL_AT].means = JOURNAL_ABSENT};
    char *text = text_of(100000);

    fr_up(&g, &eager);
    g.disk.options.limits.soft_bytes = 1 << 20;
    g.disk.options.limits.hard_bytes = 4 << 20;
    fr_restart(&g);
    rec.object[JOURNAL_AT].made_by = fr_add(&g, &rec);
    rec.object[JOURNAL_AT].means = JOURNAL_MADE;
    rec.kind = JOURNAL_PATCH;
    rec.data = text;
    rec.data_len = 100000;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(flush_room(g.flush, rec.data_len), 0);
        rec.off = (uint64_t)i * rec.data_len;
        rec.object[JOURNAL_AT].made_by = fr_add(&g, &rec);
        journal_usage(g.journal, &usage);
        assert_true(usage.bytes < 2 << 20);
    }
    fr_sync(&g);
    assert_int_equal(fr_stat(&g, "/f").size, 5000000);
    fr_down(&g);
    free(text);
}

/* One save by one handle: the file is made empty, then written in pieces. The last record. */
static uint64_t save(struct flush_rig *g, const char *path, uint64_t group, uint64_t maker,
                     size_t pieces, size_t len)
{
    struct journal_record rec = {.kind = JOURNAL_TRUNCATE,
                                 .path = path,
                                 .group = group,
                                 .when_ns = 1,
                                 .object[JOURNAL_AT] = {.means = JOURNAL_MADE, .made_by = maker}};
    char *text = text_of(len);

    for (size_t i = 0; i <= pieces; i++) {
        rec.object[JOURNAL_AT].made_by = fr_add(g, &rec);
        rec.kind = JOURNAL_PATCH;
        rec.off = i * len;
        rec.data = text;
        rec.data_len = len;
    }
    free(text);
    flush_ready(g->flush, group);
    return rec.object[JOURNAL_AT].made_by;
}

/* What goes first because it is small must not take the beginning of a save, which is nothing. */
TEST(what_one_handle_wrote_is_not_divided)
{
    const struct flush_config config = {.linger_ns = 1, .inline_bytes = 1000, .paused = true};
    struct flush_rig g;
    struct flush_rig_end end;
    uint64_t first, second;

    fr_up(&g, &config);
    first = save(&g, "/f", 7, fr_create(&g, "/f"), 2, 475);
    second = save(&g, "/f", 8, first, 1, 200);
    flush_resume(g.flush);
    fr_await_end(&g, second, JOURNAL_DONE, 0);
    assert_true(fr_end(&g, first, &end));
    assert_int_equal(end.now.size, 950);
    assert_true(fr_end(&g, first + 1, &end)); /* the second save's first: nobody saw that */
    assert_false(end.has_now);
    assert_int_equal(fr_stat(&g, "/f").size, 200);
    fr_down(&g);
}

/* Nor a full lot: the rest of it would follow. */
TEST(a_lot_is_not_filled_with_what_begins_with_nothing)
{
    struct flush_rig g;
    uint64_t seq[2];

    fr_up(&g, &eager);
    seq[0] = fr_create(&g, "/f");
    seq[1] = fr_create(&g, "/g");
    fr_sync(&g);
    flush_pause(g.flush);
    (void)fr_requests(&g);
    save(&g, "/f", 7, seq[0], 30, 100000);
    save(&g, "/g", 8, seq[1], 30, 100000);
    flush_resume(g.flush);
    fr_sync(&g);                                      /* either may be first */
    assert_int_equal(fr_requests(&g), 3 + 1 + 3 + 1); /* blobs and a batch each */
    fr_down(&g);
}

TEST(what_is_small_does_not_go_with_what_is_large)
{
    struct flush_rig g;
    uint64_t big, small;

    fr_up(&g, &ready);
    big = write_file(&g, "/big", 1 << 20);
    small = write_file(&g, "/small", 1000);
    fr_hold(&g, true);
    flush_resume(g.flush);
    fr_await_end(&g, small, JOURNAL_DONE, 0);
    assert_false(fr_end(&g, big, NULL));
    fr_hold(&g, false);
    fr_sync(&g);
    assert_int_equal(fr_stat(&g, "/big").size, 1 << 20);
    assert_int_equal(fr_requests(&g), 3); /* a batch, a blob, a batch */
    fr_down(&g);
}

/* A journal over its limit slows down who fills it. */
TEST(a_full_journal_does_not_slow_down_a_small_save)
{
    struct flush_rig g;
    int64_t from_ns;
    uint64_t small;

    fr_up(&g, &paused);
    g.disk.options.limits.soft_bytes = 1 << 20;
    g.disk.options.limits.hard_bytes = 4 << 20;
    fr_restart(&g);
    write_file(&g, "/big", 2 << 20);
    assert_int_equal(flush_room_now(g.flush, 128 << 10), -EAGAIN);
    from_ns = clock_mono_ns();
    assert_int_equal(flush_room_now(g.flush, 20), 0);
    assert_int_equal(flush_room(g.flush, 20), 0);
    assert_true(clock_mono_ns() - from_ns < 50 * NS_PER_MS);
    fr_hold(&g, true);
    flush_resume(g.flush);
    small = write_file(&g, "/small", 20);
    fr_await_end(&g, small, JOURNAL_DONE, 0);
    assert_int_equal(flush_room(g.flush, 128 << 10), 0); /* slowed down enough */
    assert_true(clock_mono_ns() - from_ns > 500 * NS_PER_MS);
    fr_hold(&g, false);
    fr_sync(&g);
    fr_down(&g);
}

/* ---- when it does not work ---- */

TEST(who_waits_is_told_that_the_line_is_down)
{
    struct flush_rig g;
    struct flush_usage usage;
    uint64_t seq;

    fr_up(&g, &paused);
    seq = fr_create(&g, "/f");
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, -ETIMEDOUT);
    assert_int_equal(flush_wait(g.flush, seq, false), -ETIMEDOUT);
    flush_usage(g.flush, &usage);
    assert_int_equal(usage.line, -ETIMEDOUT);
    assert_true(usage.retry_ns > 0);
    assert_int_equal(g.line, -ETIMEDOUT);
    fr_sync(&g); /* tries at once */
    flush_usage(g.flush, &usage);
    assert_int_equal(usage.line, 0);
    assert_int_equal(usage.waiting, 0);
    assert_int_equal(g.line, 0);
    assert_int_equal(g.lines, 2);
    fr_down(&g);
}

TEST(who_waits_without_progress_is_told_in_time)
{
    const struct flush_config config = {.paused = true, .op_timeout_ns = 50 * NS_PER_MS};
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &config);
    seq = write_file(&g, "/big", 1 << 20);
    fr_hold(&g, true);
    assert_int_equal(flush_wait(g.flush, seq, false), -ETIMEDOUT);
    flush_resume(g.flush); /* somebody who gave up is not waited for */
    fr_hold(&g, false);
    fr_await_end(&g, seq, JOURNAL_DONE, 0);
    fr_down(&g);
}

struct other {
    struct flush_rig *g;
    uint64_t seq;
    int result;
    bool was_there;
};

static void *barrier(void *arg)
{
    struct other *o = arg;

    o->result = flush_barrier(o->g->flush, NULL, NULL, NULL);
    o->was_there = fr_end(o->g, o->seq, NULL);
    return NULL;
}

TEST(what_is_queued_again_ends_nobodys_barrier)
{
    struct flush_rig g;
    struct other o = {.g = &g};
    char *text = text_of(1 << 20);
    pthread_t thread;

    fr_up(&g, &ready);
    fr_put(&g, "/f", "theirs");
    fr_put(&g, "/big", "");
    assert_int_equal(flush_wait(g.flush, fr_create(&g, "/f"), false), -EIO);
    o.seq = fr_data(&g, JOURNAL_PATCH, "/big", 0, 0, text);
    fr_hold(&g, true);
    assert_int_equal(pthread_create(&thread, NULL, barrier, &o), 0);
    fr_await_held(&g, 1);
    assert_int_equal(flush_keep(g.flush, "/f", true), 0);
    usleep(20000); /* whose barrier has ended looks now */
    fr_hold(&g, false);
    pthread_join(thread, NULL);
    assert_int_equal(o.result, 0);
    assert_true(o.was_there);
    fr_down(&g);
    free(text);
}

static void *fire(void *arg)
{
    cancel_fire(arg);
    return NULL;
}

TEST(who_waits_may_be_interrupted)
{
    struct cancel *cancel = cancel_new();
    struct flush_rig g;
    pthread_t thread;
    uint64_t seq;

    fr_up(&g, &paused);
    seq = write_file(&g, "/big", 1 << 20);
    fr_hold(&g, true);
    cancel_bind(cancel);
    pthread_create(&thread, NULL, fire, cancel);
    assert_int_equal(flush_wait(g.flush, seq, false), -EINTR);
    assert_int_equal(flush_barrier(g.flush, NULL, NULL, NULL), -EINTR);
    pthread_join(thread, NULL);
    cancel_bind(NULL);
    fr_hold(&g, false);
    fr_sync(&g);
    fr_down(&g);
    cancel_unref(cancel);
}

TEST(a_record_that_is_gone_is_begun_anew)
{
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &paused);
    seq = fr_create(&g, "/f");
    fr_sync(&g);
    seq = fr_data(&g, JOURNAL_PATCH, "/f", seq, 0, "one");
    remote_mem_rewind(g.mem, 0);
    fr_sync(&g);
    seq = fr_data(&g, JOURNAL_PATCH, "/f", seq, 3, "two");
    fr_sync(&g);
    fr_expect(&g, "/f", "onetwo");
    fr_down(&g);
}

/* It has stopped, says so, and nobody waits for it. */
static void expect_stuck(struct flush_rig *g, uint64_t seq, const char *words)
{
    struct buf left = BUF_INIT(1024);
    struct flush_usage usage;

    assert_int_equal(flush_barrier(g->flush, NULL, NULL, &left), -EIO);
    assert_non_null(strstr(buf_str(&left), " waits "));
    buf_done(&left);
    assert_int_equal(flush_wait(g->flush, seq, false), -EIO);
    assert_int_equal(flush_fsync(g->flush, "/f"), -EIO);
    flush_usage(g->flush, &usage);
    assert_non_null(usage.stuck);
    assert_non_null(strstr(usage.stuck, words));
    assert_int_equal(usage.waiting, 1);
    assert_int_equal(usage.parked, 0);
}

TEST(an_older_record_stops_everything_until_it_is_told_to_go_on)
{
    struct flush_usage usage;
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &paused);
    seq = fr_create(&g, "/f");
    for (unsigned i = 0; i < 3; i++) {
        seq = fr_data(&g, JOURNAL_PATCH, "/f", seq, i, "x");
        fr_sync(&g);
    }
    remote_mem_rewind(g.mem, 1);
    for (unsigned i = 0; i < 3; i++) { /* at every mount */
        if (i == 0)
            seq = fr_data(&g, JOURNAL_PATCH, "/f", seq, 3, "y");
        expect_stuck(&g, seq, "restored");
        fr_restart(&g);
    }
    expect_stuck(&g, seq, "`retry`");
    fr_expect(&g, "/f", "xxx");
    flush_retry(g.flush);
    fr_sync(&g);
    fr_expect(&g, "/f", "xxxy");
    flush_usage(g.flush, &usage);
    assert_null(usage.stuck);
    fr_down(&g);
}

TEST(a_journal_that_is_older_than_the_record_is_not_sent)
{
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &paused);
    seq = fr_create(&g, "/f");
    fr_sync(&g);
    remote_mem_rewind(g.mem, 9);
    seq = fr_data(&g, JOURNAL_PATCH, "/f", seq, 0, "old");
    expect_stuck(&g, seq, "--export");
    flush_retry(g.flush);
    expect_stuck(&g, seq, "--export");
    fr_restart(&g);
    expect_stuck(&g, seq, "--export");
    fr_expect(&g, "/f", "");
    fr_down(&g);
}

TEST(a_barrier_over_many_changes_takes_them_all)
{
    enum { MANY = 100000 };
    struct flush_rig *g = malloc(sizeof(*g));
    struct flush_usage usage;
    struct flush_owner nobody = {0};
    char path[64];

    fr_up(g, &paused);
    flush_own(g->flush, &nobody);
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "/file-%d", i);
        fr_create(g, path);
    }
    fr_sync(g);
    flush_usage(g->flush, &usage);
    assert_int_equal(usage.done, MANY);
    assert_true(fr_requests(g) < MANY / 1000);
    fr_down(g);
    free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_small_goes_past_a_large_file),
        cmocka_unit_test(what_comes_last_goes_past_a_large_tree),
        cmocka_unit_test(who_waits_for_a_part_of_what_is_being_staged_does_not_wait_for_the_rest),
        cmocka_unit_test(blobs_that_are_lost_after_a_part_went_ahead_are_staged_again),
        cmocka_unit_test(blobs_that_are_lost_are_staged_again),
        cmocka_unit_test(an_open_file_stays_here_until_it_is_closed),
        cmocka_unit_test(what_was_just_made_in_the_place_of_another_is_not_seen_empty),
        cmocka_unit_test(a_file_that_is_only_added_to_is_seen_while_it_is_open),
        cmocka_unit_test(what_trickles_into_an_empty_file_is_seen_while_it_is_open),
        cmocka_unit_test(what_is_copied_slowly_is_seen_as_a_whole),
        cmocka_unit_test(a_full_journal_lets_open_files_go),
        cmocka_unit_test(what_one_handle_wrote_is_not_divided),
        cmocka_unit_test(a_lot_is_not_filled_with_what_begins_with_nothing),
        cmocka_unit_test(what_is_small_does_not_go_with_what_is_large),
        cmocka_unit_test(a_full_journal_does_not_slow_down_a_small_save),
        cmocka_unit_test(who_waits_is_told_that_the_line_is_down),
        cmocka_unit_test(who_waits_without_progress_is_told_in_time),
        cmocka_unit_test(what_is_queued_again_ends_nobodys_barrier),
        cmocka_unit_test(who_waits_may_be_interrupted),
        cmocka_unit_test(a_record_that_is_gone_is_begun_anew),
        cmocka_unit_test(an_older_record_stops_everything_until_it_is_told_to_go_on),
        cmocka_unit_test(a_journal_that_is_older_than_the_record_is_not_sent),
        cmocka_unit_test(a_barrier_over_many_changes_takes_them_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
