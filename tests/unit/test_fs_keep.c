/*
 * Files that are open, not all of them here, when their last name goes: the change that takes it
 * keeps them in the sandbox, and nothing is fetched but what is read.
 */
#include "scene.h"

#include "fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BIG = 9 << 20 };

static void expect_bytes(struct fs_file *f, uint64_t off, size_t n)
{
    char *got = malloc(n);

    assert_int_equal(fs_read(f, off, got, n), n);
    for (size_t i = 0; i < n; i++)
        if (got[i] != scene_byte(off + i))
            fail_msg("byte %zu is %d", (size_t)off + i, got[i]);
    free(got);
}

static size_t kept_inside(struct rig *g, struct fs_file *f)
{
    char *path = flush_kept_path(g->fs->flush, &g->fs->info, f->node->file->kept_by);
    struct remote_attr attr;
    const int r = remote_stat(g->inside, path, &attr, NULL);

    free(path);
    return r == 0 ? attr.nlink : 0;
}

TEST(an_unlinked_file_is_read_on_where_the_sandbox_keeps_it)
{
    struct fs_file *f;
    struct rig g;
    char *path;

    UP_JOURNAL(&g);
    free(scene_big(&g, "/big", BIG));
    assert_int_equal(rig_open(&g, "/big", O_RDONLY, &f), 0);
    tally_take(g.tally);
    assert_int_equal(rig_unlink(&g, "/big"), 0);
    assert_int_equal(tally_take(g.tally).data, 0);
    rig_expect(&g, "/big", NULL);
    assert_int_equal(tally_take(g.tally).data, 0);
    assert_int_equal(kept_inside(&g, f), 1);
    path = flush_kept_path(g.fs->flush, &g.fs->info, f->node->file->kept_by);
    expect_bytes(f, 5 << 20, 100000);
    assert_true(tally_take(g.tally).data > 0);
    for (int i = 0; i < 2; i++) { /* it outlives batches as long as it is open */
        assert_int_equal(rig_write(&g, "/other", "y"), 0);
        rig_settle(&g);
    }
    assert_int_equal(kept_inside(&g, f), 1);
    expect_bytes(f, 1 << 20, 100000);
    assert_int_equal(rig_close(f), 0);
    tally_take(g.tally);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0); /* at the latest */
    assert_int_equal(tally_take(g.tally).all, 1);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(remote_stat(g.inside, path, &(struct remote_attr){0}, NULL), -ENOENT);
    free(path);
    rig_down(&g);
}

static void unlink_now(void *arg)
{
    struct rig *g = arg;

    tally_on_fetch(g->tally, NULL, NULL);
    assert_int_equal(rig_unlink(g, "/big"), 0);
    assert_int_equal(fs_sync(g->fs, NULL, NULL), 0);
}

TEST(what_is_being_fetched_when_the_name_goes_is_read_where_it_is_kept)
{
    struct fs_file *f;
    struct rig g;

    UP_JOURNAL(&g);
    free(scene_big(&g, "/big", BIG));
    assert_int_equal(rig_open(&g, "/big", O_RDONLY, &f), 0);
    tally_on_fetch(g.tally, unlink_now, &g);
    expect_bytes(f, 2 << 20, 100000);
    rig_expect(&g, "/big", NULL);
    expect_bytes(f, 0, BIG);
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

TEST(a_replaced_file_is_read_on_and_given_up_once_all_of_it_is_here)
{
    struct fs_file *f;
    struct rig g;

    UP_JOURNAL(&g);
    free(scene_big(&g, "/big", BIG));
    rig_put(&g, "/new", "new", 3);
    assert_int_equal(rig_open(&g, "/big", O_RDONLY, &f), 0);
    assert_int_equal(rig_rename(&g, "/new", "/big", 0), 0);
    expect_bytes(f, 0, 100); /* before anybody has waited for the rename */
    rig_expect(&g, "/big", "new");
    expect_bytes(f, 0, BIG);
    assert_int_equal(f->node->file->kept_by, 0);
    expect_bytes(f, 3 << 20, 100000);
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

TEST(what_is_written_to_a_file_without_a_name_stays_here)
{
    struct fs_file *f;
    char text[8];
    struct rig g;

    UP_JOURNAL(&g);
    free(scene_big(&g, "/big", BIG));
    assert_int_equal(rig_open(&g, "/big", O_RDWR, &f), 0);
    assert_int_equal(rig_unlink(&g, "/big"), 0);
    assert_int_equal(fs_write(f, 2 << 20, "WRITTEN", 7), 7);
    assert_int_equal(fs_read(f, 2 << 20, text, 7), 7);
    assert_memory_equal(text, "WRITTEN", 7);
    expect_bytes(f, 3 << 20, 100000);
    expect_bytes(f, 1 << 20, 100000);
    assert_int_equal(rig_close(f), 0);
    rig_expect(&g, "/big", NULL);
    rig_down(&g);
}

/* What was written before the name went is in the sandbox first. */
TEST(a_file_that_was_patched_and_then_unlinked_is_read_whole)
{
    struct fs_file *f;
    char text[8];
    struct rig g;

    UP_JOURNAL(&g);
    free(scene_big(&g, "/big", BIG));
    assert_int_equal(rig_open(&g, "/big", O_RDWR, &f), 0);
    assert_int_equal(fs_write(f, (2 << 20) + 5, "PATCHED", 7), 7);
    assert_int_equal(rig_unlink(&g, "/big"), 0);
    assert_int_equal(fs_read(f, (2 << 20) + 5, text, 7), 7);
    assert_memory_equal(text, "PATCHED", 7);
    expect_bytes(f, (2 << 20) + 12, 100000);
    expect_bytes(f, (2 << 20) - 100, 105);
    expect_bytes(f, 8 << 20, 100000);
    assert_int_equal(rig_close(f), 0);
    rig_expect(&g, "/big", NULL);
    rig_down(&g);
}

TEST(what_nobody_has_open_any_more_is_not_kept)
{
    struct fs_file *f;
    struct rig g;

    UP_JOURNAL(&g);
    free(scene_big(&g, "/big", BIG));
    assert_int_equal(rig_open(&g, "/big", O_RDONLY, &f), 0);
    flush_pause(g.fs->flush);
    tally_take(g.tally);
    assert_int_equal(rig_unlink(&g, "/big"), 0);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(tally_take(g.tally).all, 1); /* the batch, which has nothing to keep or drop */
    rig_expect(&g, "/big", NULL);
    rig_down(&g);
}

TEST(where_nothing_can_be_kept_all_is_fetched_before_the_name_goes)
{
    struct fs_file *f;
    struct rig g;

    UP_JOURNAL(&g);
    free(scene_big(&g, "/big", BIG));
    g.fs->info.kept_at.dev = 77;
    assert_int_equal(rig_open(&g, "/big", O_RDONLY, &f), 0);
    tally_take(g.tally);
    assert_int_equal(rig_unlink(&g, "/big"), 0);
    assert_true(tally_take(g.tally).data > 0);
    rig_expect(&g, "/big", NULL);
    tally_take(g.tally);
    expect_bytes(f, 0, BIG);
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

/* Of one device, and still nothing can be linked there. */
TEST(nor_can_it_be_kept_where_another_mount_is)
{
    struct fs_file *f;
    struct rig g;

    UP_JOURNAL(&g);
    rig_mkdir(&g, "/d");
    free(scene_big(&g, "/d/big", BIG));
    remote_mem_mount(g.inside, "/d");
    assert_int_equal(rig_open(&g, "/d/big", O_RDONLY, &f), 0);
    tally_take(g.tally);
    assert_int_equal(rig_unlink(&g, "/d/big"), 0);
    assert_true(tally_take(g.tally).data > 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    expect_bytes(f, 0, BIG);
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

TEST(a_file_that_the_sandbox_has_changed_is_not_taken_for_the_one_that_was_opened)
{
    struct fs_file *f;
    char text[8];
    struct rig g;

    UP_JOURNAL(&g);
    free(scene_big(&g, "/big", BIG));
    assert_int_equal(rig_open(&g, "/big", O_RDONLY, &f), 0);
    flush_pause(g.fs->flush);
    assert_int_equal(rig_unlink(&g, "/big"), 0);
    inside_put(&g, "/big", "new");
    assert_int_equal(fs_read(f, 0, text, sizeof(text)), -ESTALE);
    assert_int_equal(rig_close(f), -EIO); /* the unlink was not made */
    assert_int_equal(fs_sync(g.fs, NULL, NULL), -EIO);
    rig_expect(&g, "/big", "new");
    rig_down(&g);
}

/* As on a local disk: what has no name any more is not missing anywhere. */
TEST(fsync_of_a_file_that_the_sandbox_removed_tells_of_lost_writes_only)
{
    static const struct {
        bool before, after; /* written: and sent before its name went; after that */
        int want;
    } rows[] = {{false, false, 0}, {true, false, 0}, {false, true, -EIO}, {true, true, -EIO}};
    struct fs_file *f;
    struct rig g;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        UP_JOURNAL(&g);
        rig_put(&g, "/f", "old", 3);
        assert_int_equal(rig_open(&g, "/f", O_RDWR, &f), 0);
        if (rows[i].before)
            assert_int_equal(fs_write(f, 0, "new", 3), 3);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        inside_unlink(&g, "/f");
        if (rows[i].after)
            assert_int_equal(fs_write(f, 0, "lost", 4), 4);
        assert_int_equal(fs_fsync(f), rows[i].want);
        assert_int_equal(fs_fsync(f), 0); /* it is told once */
        assert_int_equal(rig_close(f), 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), rows[i].want);
        rig_down(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unlinked_file_is_read_on_where_the_sandbox_keeps_it),
        cmocka_unit_test(what_is_being_fetched_when_the_name_goes_is_read_where_it_is_kept),
        cmocka_unit_test(a_replaced_file_is_read_on_and_given_up_once_all_of_it_is_here),
        cmocka_unit_test(what_is_written_to_a_file_without_a_name_stays_here),
        cmocka_unit_test(a_file_that_was_patched_and_then_unlinked_is_read_whole),
        cmocka_unit_test(what_nobody_has_open_any_more_is_not_kept),
        cmocka_unit_test(where_nothing_can_be_kept_all_is_fetched_before_the_name_goes),
        cmocka_unit_test(nor_can_it_be_kept_where_another_mount_is),
        cmocka_unit_test(
            a_file_that_the_sandbox_has_changed_is_not_taken_for_the_one_that_was_opened),
        cmocka_unit_test(fsync_of_a_file_that_the_sandbox_removed_tells_of_lost_writes_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
