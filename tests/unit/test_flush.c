/* Changes on their way from the journal to the sandbox. */
#include "flush_rig.h"

#include "util/sha256.h"

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
    uint64_t seq, next, since = 0;
    char text[16];
    uint64_t size;

    fr_up(&g, &paused);
    fr_put(&g, "/f", "old");
    attr = fr_stat(&g, "/f");
    rec.object[JOURNAL_AT].means = JOURNAL_IS;
    *id = (struct journal_identity){.dev = attr.dev,
                                    .ino = attr.ino,
                                    .size = attr.size,
                                    .mtime_ns = attr.mtime_ns,
                                    .ctime_ns = attr.ctime_ns};
    seq = fr_add(&g, &rec);
    next = fr_data(&g, JOURNAL_APPEND, "/f", seq, 0, "!");
    fr_put(&g, "/f", "theirs");
    assert_int_equal(flush_wait(g.flush, seq, false), -EIO);
    fr_await_end(&g, seq, JOURNAL_CONFLICT, -EBUSY);
    fr_await_end(&g, next, JOURNAL_CONFLICT, -ECANCELED);
    fr_expect(&g, "/f", "theirs");
    assert_int_equal(flush_parked_read(g.flush, "/f", 0, text, sizeof(text), &size), 5);
    assert_memory_equal(text, "ours!", 5);
    assert_int_equal(flush_barrier(g.flush, NULL, &since, NULL), -EIO);
    assert_int_equal(flush_barrier(g.flush, NULL, &since, NULL), 0); /* it has been told */
    assert_int_equal(flush_barrier(g.flush, NULL, NULL, NULL), -EIO);
    assert_int_equal(flush_keep(g.flush, "/f", true), 0);
    assert_int_equal(flush_barrier(g.flush, NULL, NULL, NULL), 0);
    fr_expect(&g, "/f", "oursrs!");
    fr_down(&g);
}

/* A save over what the sandbox had just before, which changes once more. */
static void save_too_late(struct flush_rig *g, uint64_t group, const char *ours, const char *theirs)
{
    struct journal_record rec = {
        .kind = JOURNAL_TRUNCATE, .path = "/f", .when_ns = 1, .group = group};
    const struct remote_attr attr = fr_stat(g, "/f");
    uint64_t seq;

    rec.object[JOURNAL_AT] = (struct journal_object){
        .means = JOURNAL_IS,
        .identity = {attr.dev, attr.ino, attr.size, attr.mtime_ns, attr.ctime_ns}};
    seq = fr_add(g, &rec);
    rec.kind = JOURNAL_PATCH;
    rec.object[JOURNAL_AT] = (struct journal_object){.means = JOURNAL_MADE, .made_by = seq};
    rec.data = ours;
    rec.data_len = strlen(ours);
    seq = fr_add(g, &rec);
    flush_ready(g->flush, group);
    fr_put(g, "/f", theirs);
    assert_int_equal(flush_wait(g->flush, seq, false), -EIO);
}

static int count_shown(void *arg, const struct flush_parked *p)
{
    assert_non_null(p->shown);
    *(unsigned *)arg += strcmp(p->shown, "/f") == 0 ? 1 : 100;
    return 0;
}

TEST(a_second_conflict_of_a_file_does_not_hide_the_first)
{
    struct flush_rig g;
    char text[16];
    unsigned shown = 0;
    uint64_t size;

    fr_up(&g, &paused);
    fr_put(&g, "/f", "old");
    save_too_late(&g, 1, "first", "theirs");
    save_too_late(&g, 2, "second", "theirs, again");
    assert_int_equal(flush_parked_read(g.flush, "/f", 0, text, sizeof(text), &size), 5);
    assert_memory_equal(text, "first", 5);
    assert_int_equal(flush_parked_read(g.flush, "/f.~2~", 0, text, sizeof(text), &size), 6);
    assert_memory_equal(text, "second", 6);
    fr_restart(&g);
    assert_int_equal(flush_parked(g.flush, count_shown, &shown), 0);
    assert_int_equal(shown, 202);
    assert_int_equal(flush_discard(g.flush, "/f.~2~"), 0);
    assert_int_equal(flush_parked_read(g.flush, "/f.~2~", 0, text, sizeof(text), &size), -ENOENT);
    assert_int_equal(flush_parked_read(g.flush, "/f", 0, text, sizeof(text), &size), 5);
    assert_int_equal(flush_keep(g.flush, "/f", false), 0);
    assert_int_equal(flush_barrier(g.flush, NULL, NULL, NULL), 0);
    fr_expect(&g, "/f", "theirs, again");
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

static struct journal_record patch_of(struct flush_rig *g, const char *path)
{
    const struct remote_attr attr = fr_stat(g, path);

    return (struct journal_record){
        .kind = JOURNAL_PATCH,
        .path = path,
        .data = "ours",
        .data_len = 4,
        .when_ns = 1,
        .object[JOURNAL_AT] = {
            .means = JOURNAL_IS,
            .identity = {attr.dev, attr.ino, attr.size, attr.mtime_ns, attr.ctime_ns}}};
}

TEST(what_stands_on_a_failed_change_is_kept_with_it)
{
    struct flush_rig g;
    uint64_t dir, below, other, late;

    fr_up(&g, &paused);
    fr_put(&g, "/d", "in the way");
    dir = fr_change(&g, JOURNAL_MKDIR, "/d", NULL, 0);
    below = fr_create(&g, "/d/f");
    other = fr_create(&g, "/other");
    assert_int_equal(flush_wait(g.flush, dir, false), -EIO);
    fr_await_end(&g, dir, JOURNAL_CONFLICT, -EBUSY);
    fr_await_end(&g, below, JOURNAL_CONFLICT, -ECANCELED);     /* though it was not sent */
    late = fr_data(&g, JOURNAL_APPEND, "/d/f", below, 0, "x"); /* it had not heard */
    fr_await_end(&g, late, JOURNAL_REJECTED, -ECANCELED);
    assert_int_equal(flush_wait(g.flush, other, false), 0);
    fr_restart(&g); /* they stay */
    assert_int_equal(flush_discard(g.flush, "/d"), 0);
    assert_int_equal(flush_discard(g.flush, "/d"), -ENOENT);
    assert_int_equal(flush_barrier(g.flush, NULL, NULL, NULL), 0);
    fr_expect(&g, "/d", "in the way");
    fr_down(&g);
}

TEST(what_came_before_a_failed_change_is_not_lost_with_it)
{
    struct flush_rig g;
    uint64_t gone, failed, late;

    fr_up(&g, &paused);
    fr_put(&g, "/f", "theirs");
    fr_put(&g, "/g", "old");
    failed = fr_create(&g, "/f");
    assert_int_equal(flush_barrier(g.flush, NULL, NULL, NULL), -EIO);
    fr_await_end(&g, failed, JOURNAL_CONFLICT, -EBUSY);
    gone = fr_change(&g, JOURNAL_UNLINK, "/g", NULL, 0);
    late = fr_change(&g, JOURNAL_RENAME, "/f", "/g", failed); /* of what is not there */
    fr_await_end(&g, late, JOURNAL_REJECTED, -ECANCELED);
    assert_int_equal(flush_wait(g.flush, gone, false), 0);
    fr_await_end(&g, gone, JOURNAL_DONE, 0);
    fr_expect(&g, "/g", NULL);
    fr_expect(&g, "/f", "theirs");
    fr_down(&g);
}

TEST(theirs_or_mine)
{
    struct flush_rig g;
    struct journal_record rec;

    fr_up(&g, &paused);
    for (int mine = 0; mine < 2; mine++) {
        fr_put(&g, "/f", "old");
        rec = patch_of(&g, "/f");
        fr_put(&g, "/f", "theirs");
        assert_int_equal(flush_wait(g.flush, fr_add(&g, &rec), false), -EIO);
        assert_int_equal(flush_keep(g.flush, "/f", mine), 0);
        assert_int_equal(flush_keep(g.flush, "/f", mine), -ENOENT);
        fr_expect(&g, "/f", mine ? "oursrs" : "theirs");
    }
    fr_down(&g);
}

static int count_lines(const struct buf *b)
{
    int n = 0;

    for (size_t i = 0; i < b->len; i++)
        n += b->data[i] == '\n';
    return n;
}

TEST(all_that_was_written_to_a_file_which_is_refused_is_one_line)
{
    struct buf left = BUF_INIT(1 << 20);
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &paused);
    fr_put(&g, "/d", "no directory");
    seq = fr_create(&g, "/d/f");
    for (uint64_t i = 0; i < 50; i++)
        seq = fr_data(&g, JOURNAL_PATCH, "/d/f", seq, i * 3, "abc");
    (void)fr_change(&g, JOURNAL_SETATTR, "/d/f", NULL, seq);
    (void)fr_change(&g, JOURNAL_RENAME, "/d/f", "/d/g", seq);
    assert_int_equal(flush_barrier(g.flush, NULL, NULL, &left), -EIO);
    assert_int_equal(count_lines(&left), 2);
    assert_non_null(strstr(buf_str(&left), "1 rejected patch 150 /d/f\n"));
    assert_non_null(strstr(buf_str(&left), " rejected rename 0 /d/f -> /d/g\n"));
    buf_truncate(&left, 0);
    assert_int_equal(flush_parked_text(g.flush, 1, &left), 0);
    assert_string_equal(buf_str(&left), "1 rejected patch 150 /d/f\n");
    assert_int_equal(flush_discard(g.flush, NULL), 0);
    buf_done(&left);
    fr_down(&g);
}

TEST(content_that_is_known_is_no_conflict)
{
    struct flush_rig g;
    struct journal_record rec;

    fr_up(&g, &paused);
    fr_put(&g, "/f", "same");
    rec = patch_of(&g, "/f");
    rec.object[JOURNAL_AT].has_hash = true;
    sha256("same", 4, rec.object[JOURNAL_AT].hash);
    fr_put(&g, "/f", "same"); /* another inode, as after a restore */
    assert_int_equal(flush_wait(g.flush, fr_add(&g, &rec), false), 0);
    fr_expect(&g, "/f", "ours");
    fr_down(&g);
}

TEST(both_who_append_are_there)
{
    struct flush_rig g;
    struct journal_record rec;
    uint64_t seq;

    fr_up(&g, &paused);
    fr_put(&g, "/log", "one\n");
    rec = patch_of(&g, "/log");
    rec.kind = JOURNAL_APPEND;
    fr_put(&g, "/log", "one\ntheirs\n");
    seq = fr_add(&g, &rec);
    assert_int_equal(flush_wait(g.flush, seq, false), 0);
    fr_expect(&g, "/log", "one\ntheirs\nours");
    fr_down(&g);
}

TEST(what_is_gone_anyway_is_removed)
{
    struct flush_rig g;
    struct journal_record rec;

    fr_up(&g, &paused);
    fr_put(&g, "/f", "text");
    rec = patch_of(&g, "/f");
    rec.kind = JOURNAL_UNLINK;
    assert_int_equal(remote_unlink(g.mem, "/f"), 0);
    assert_int_equal(flush_wait(g.flush, fr_add(&g, &rec), false), 0);
    fr_down(&g);
}

/* ---- fewer changes ---- */

TEST(what_is_made_and_removed_again_goes_nowhere)
{
    struct flush_rig g;
    uint64_t seq, dir, made;

    fr_up(&g, &paused);
    dir = fr_change(&g, JOURNAL_MKDIR, "/tmp", NULL, 0);
    made = fr_change(&g, JOURNAL_MKDIR, "/tmp/d", NULL, 0);
    made = fr_change(&g, JOURNAL_SETATTR, "/tmp/d", NULL, made);
    for (int i = 0; i < 1000; i++) {
        seq = fr_data(&g, JOURNAL_PATCH, "/tmp/d/f", fr_create(&g, "/tmp/d/f"), 0, "text");
        fr_change(&g, JOURNAL_UNLINK, "/tmp/d/f", NULL, seq);
    }
    seq = fr_change(&g, JOURNAL_SYMLINK, "/tmp/d/l", "f", 0);
    fr_change(&g, JOURNAL_UNLINK, "/tmp/d/l", NULL, seq);
    seq = fr_change(&g, JOURNAL_RMDIR, "/tmp/d", NULL, made);
    fr_sync(&g);
    fr_await_end(&g, dir, JOURNAL_DONE, 0);
    fr_await_end(&g, made, JOURNAL_DROPPED, 0);
    fr_await_end(&g, seq, JOURNAL_DROPPED, 0);
    assert_int_equal(fr_requests(&g), 1);
    fr_expect(&g, "/tmp/d", NULL);
    fr_down(&g);
}

TEST(what_has_another_name_does_not_cancel_out)
{
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &paused);
    seq = fr_data(&g, JOURNAL_PATCH, "/f", fr_create(&g, "/f"), 0, "text");
    seq = fr_change(&g, JOURNAL_LINK, "/f", "/g", seq);
    seq = fr_change(&g, JOURNAL_UNLINK, "/f", NULL, seq);
    fr_sync(&g);
    fr_expect(&g, "/f", NULL);
    fr_expect(&g, "/g", "text");
    fr_down(&g);
}

TEST(what_was_sent_does_not_cancel_out)
{
    struct flush_rig g;
    uint64_t seq;

    fr_up(&g, &paused);
    seq = fr_create(&g, "/f");
    assert_int_equal(flush_wait(g.flush, seq, false), 0);
    seq = fr_change(&g, JOURNAL_UNLINK, "/f", NULL, seq);
    fr_sync(&g);
    fr_await_end(&g, seq, JOURNAL_DONE, 0);
    fr_expect(&g, "/f", NULL);
    fr_down(&g);
}

TEST(the_records_of_a_file_become_one_write)
{
    static const struct journal_attr attr = {
        .mask = JOURNAL_ATTR_MODE | JOURNAL_ATTR_MTIME, .mode = 0751, .mtime_ns = 12345};
    struct journal_record set = {.kind = JOURNAL_SETATTR, .path = "/f", .attr = attr};
    struct flush_rig g;
    struct flush_rig_end end;
    uint64_t first, seq;

    fr_up(&g, &paused);
    first = seq = fr_create(&g, "/f");
    for (int i = 0; i < 100; i++)
        seq = fr_data(&g, JOURNAL_PATCH, "/f", seq, (uint64_t)i * 3, "abc");
    seq = fr_data(&g, JOURNAL_PATCH, "/f", seq, 2, "XY");
    seq = fr_data(&g, JOURNAL_TRUNCATE, "/f", seq, 6, "");
    seq = fr_data(&g, JOURNAL_APPEND, "/f", seq, 6, "end");
    set.object[JOURNAL_AT] = (struct journal_object){.means = JOURNAL_MADE, .made_by = seq};
    seq = fr_add(&g, &set);
    fr_sync(&g);
    fr_expect(&g, "/f", "abXYbcend");
    assert_int_equal(fr_stat(&g, "/f").mode & 07777, 0751);
    assert_int_equal(fr_stat(&g, "/f").mtime_ns, 12345);
    assert_true(fr_end(&g, first, &end));
    assert_false(end.has_now);
    assert_true(fr_end(&g, seq, &end));
    assert_true(end.has_now);
    assert_int_equal(end.now.ino, fr_stat(&g, "/f").ino);
    /* One new file, and one name: the sandbox saw no other. */
    assert_int_equal(end.now.ctime_ns, fr_stat(&g, "/f").ctime_ns);
    fr_down(&g);
}

TEST(attributes_and_appends_keep_their_order)
{
    enum { SET, APPEND, CREATE, END };
    static const struct journal_attr attr = {
        .mask = JOURNAL_ATTR_MODE | JOURNAL_ATTR_MTIME, .mode = 0751, .mtime_ns = 12345};
    static const struct {
        int changes[4];
        bool set; /* the time stays as it was set */
    } cases[] = {
        {{SET, APPEND, END}, false},         {{APPEND, SET, END}, true},
        {{APPEND, SET, APPEND, END}, false}, {{CREATE, SET, APPEND, END}, false},
        {{CREATE, APPEND, SET, END}, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct journal_record set = {.kind = JOURNAL_SETATTR, .path = "/f", .attr = attr};
        const struct journal_object any = {.means = JOURNAL_ANY};
        struct flush_rig g;
        uint64_t seq = 0;

        fr_up(&g, &paused);
        if (cases[i].changes[0] != CREATE)
            fr_put(&g, "/f", "");
        for (const int *c = cases[i].changes; *c != END; c++) {
            struct journal_record append = {.kind = JOURNAL_APPEND,
                                            .path = "/f",
                                            .when_ns = 98765,
                                            .data = "line",
                                            .data_len = 4};

            set.object[JOURNAL_AT] = append.object[JOURNAL_AT] =
                seq ? (struct journal_object){.means = JOURNAL_MADE, .made_by = seq} : any;
            seq = *c == CREATE ? fr_create(&g, "/f") : fr_add(&g, *c == SET ? &set : &append);
        }
        fr_sync(&g);
        assert_int_equal(fr_stat(&g, "/f").mode & 07777, 0751);
        assert_int_equal(fr_stat(&g, "/f").mtime_ns == 12345, cases[i].set);
        fr_down(&g);
    }
}

/* As `cp -r` of 1,000 files in 100 directories, 5 MB. */
static void copy_tree(struct flush_rig *g)
{
    char *text = calloc(1, 5001);

    memset(text, 'x', 5000);
    fr_change(g, JOURNAL_MKDIR, "/t", NULL, 0);
    for (int d = 0; d < 100; d++) {
        char path[64];

        snprintf(path, sizeof(path), "/t/%d", d);
        fr_change(g, JOURNAL_MKDIR, path, NULL, 0);
        for (int i = 0; i < 10; i++) {
            uint64_t seq;

            snprintf(path, sizeof(path), "/t/%d/%d", d, i);
            seq = fr_create(g, path);
            seq = fr_data(g, JOURNAL_PATCH, path, seq, 0, text);
            fr_change(g, JOURNAL_SETATTR, path, NULL, seq);
        }
    }
    free(text);
}

TEST(a_tree_is_copied_and_removed_in_few_requests)
{
    struct flush_rig g;

    fr_up(&g, &paused);
    copy_tree(&g);
    fr_sync(&g);
    assert_true(fr_requests(&g) <= 2);
    assert_int_equal(fr_stat(&g, "/t/99/9").size, 5000);
    assert_int_equal(fr_stat(&g, "/t/99/9").mode & 07777, 0755);
    for (int d = 0; d < 100; d++) {
        char path[64];

        for (int i = 0; i < 10; i++) {
            snprintf(path, sizeof(path), "/t/%d/%d", d, i);
            fr_change(&g, JOURNAL_UNLINK, path, NULL, 0);
        }
        snprintf(path, sizeof(path), "/t/%d", d);
        fr_change(&g, JOURNAL_RMDIR, path, NULL, 0);
    }
    fr_change(&g, JOURNAL_RMDIR, "/t", NULL, 0);
    fr_sync(&g);
    assert_int_equal(fr_requests(&g), 1);
    fr_expect(&g, "/t", NULL);
    fr_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_arrive_in_one_request),
        cmocka_unit_test(what_is_not_paused_goes_by_itself),
        cmocka_unit_test(who_waits_is_served_while_the_rest_is_paused),
        cmocka_unit_test(what_the_sandbox_has_changed_is_not_overwritten),
        cmocka_unit_test(a_second_conflict_of_a_file_does_not_hide_the_first),
        cmocka_unit_test(what_a_dead_process_promised_is_sent),
        cmocka_unit_test(a_lost_answer_costs_one_more_request),
        cmocka_unit_test(larger_data_is_staged),
        cmocka_unit_test(what_stands_on_a_failed_change_is_kept_with_it),
        cmocka_unit_test(what_came_before_a_failed_change_is_not_lost_with_it),
        cmocka_unit_test(theirs_or_mine),
        cmocka_unit_test(all_that_was_written_to_a_file_which_is_refused_is_one_line),
        cmocka_unit_test(content_that_is_known_is_no_conflict),
        cmocka_unit_test(both_who_append_are_there),
        cmocka_unit_test(what_is_gone_anyway_is_removed),
        cmocka_unit_test(what_is_made_and_removed_again_goes_nowhere),
        cmocka_unit_test(what_has_another_name_does_not_cancel_out),
        cmocka_unit_test(what_was_sent_does_not_cancel_out),
        cmocka_unit_test(the_records_of_a_file_become_one_write),
        cmocka_unit_test(attributes_and_appends_keep_their_order),
        cmocka_unit_test(a_tree_is_copied_and_removed_in_few_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
