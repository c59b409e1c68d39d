/* conflicts=beside: ours of a file that the sandbox changed meanwhile is put next to it. */
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void up_with(struct rig *g, enum fs_durability durability)
{
    rig_up(g, &(struct rig_config){.journal = true,
                                   .keep = true,
                                   .coherence_ns = 600 * NS_PER_S,
                                   .fs = {.beside = true, .durability = durability}});
}

static void up(struct rig *g)
{
    up_with(g, FS_DURABILITY_CLOSE);
}

static int sync_all(struct rig *g)
{
    return fs_sync(g->fs, NULL, NULL);
}

/* Saved here on what the sandbox has replaced by then. */
static void clash(struct rig *g, const char *path, const char *ours)
{
    char text[64];

    assert_true(rig_read(g, path, text, sizeof(text)) >= 0);
    inside_put(g, path, "theirs");
    assert_int_equal(rig_write(g, path, ours), 0);
    assert_int_equal(sync_all(g), -EIO);
}

static void expect_error(struct rig *g, const char *part)
{
    struct buf text = BUF_INIT(1 << 20);

    assert_int_equal(fs_errors_text(g->fs, &text), 0);
    if (!strstr(buf_str(&text), part))
        fail_msg("errors has no '%s':\n%s", part, buf_str(&text));
    buf_done(&text);
}

static char *parked(struct rig *g, const char *path)
{
    static char text[1024];
    const ssize_t n = flush_parked_read(g->fs_config.flush, path, 0, text, sizeof(text) - 1, NULL);

    text[n > 0 ? n : 0] = '\0';
    return n < 0 ? NULL : text;
}

/* Past the fs: nothing is settled, and names are counted as they are. */
static void expect_inside(struct rig *g, const char *path, const char *text)
{
    FILE *f = tmpfile();
    struct remote_attr attr;
    char data[1024] = "";
    uint64_t len;
    const int r = remote_stat(g->inside, path, &attr, NULL);

    if (!text) {
        assert_int_equal(r, -ENOENT);
    } else {
        if (r < 0)
            fail_msg("%s: %s", path, strerror(-r));
        assert_int_equal(remote_fetch(g->inside, path, NULL, 0, sizeof(data) - 1, fileno(f), &len),
                         0);
        assert_int_equal(pread(fileno(f), data, sizeof(data) - 1, 0), (ssize_t)strlen(text));
        assert_string_equal(data, text);
    }
    fclose(f);
}

TEST(ours_is_beside_theirs_and_settling_leaves_it)
{
    struct rig g;

    up(&g);
    rig_put(&g, "/f", "first", 5);
    clash(&g, "/f", "ours one");
    expect_inside(&g, "/f", "theirs");
    expect_inside(&g, "/f.conflict-1~", "ours one");
    assert_string_equal(parked(&g, "/f"), "ours one");
    expect_error(&g, "as f.conflict-1~");
    assert_int_equal(fs_keep(g.fs, "/f", false), 0);
    clash(&g, "/f", "ours two");
    expect_inside(&g, "/f.conflict-1~", "ours one");
    expect_inside(&g, "/f.conflict-2~", "ours two");
    expect_inside(&g, "/f.conflict-3~", NULL);
    rig_down(&g);
}

TEST(who_makes_room_for_the_name_first_counts)
{
    struct rig g;
    char name[64];

    up(&g);
    rig_put(&g, "/f", "first", 5);
    for (int i = 1; i < 99; i++) {
        snprintf(name, sizeof(name), "/f.conflict-%d~", i);
        inside_put(&g, name, "taken");
    }
    clash(&g, "/f", "ours");
    expect_inside(&g, "/f.conflict-1~", "taken");
    expect_inside(&g, "/f.conflict-99~", "ours");
    assert_int_equal(fs_keep(g.fs, "/f", false), 0);
    clash(&g, "/f", "more");
    expect_error(&g, "could not be put beside it");
    assert_string_equal(parked(&g, "/f"), "more");
    rig_down(&g);
}

/* The name is taken in the sandbox while the copy is on its way: theirs of that stays, too. */
TEST(a_name_that_the_sandbox_took_is_not_used)
{
    struct rig g;
    char text[64];

    up(&g);
    rig_put(&g, "/f", "first", 5);
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    assert_int_equal(rig_read(&g, "/f.conflict-1~", text, sizeof(text)), -ENOENT); /* known */
    inside_put(&g, "/f.conflict-1~", "also theirs");
    clash(&g, "/f", "ours");
    expect_inside(&g, "/f", "theirs");
    expect_inside(&g, "/f.conflict-1~", "also theirs");
    expect_inside(&g, "/f.conflict-2~", "ours");
    expect_inside(&g, "/f.conflict-1~.conflict-1~", NULL); /* a copy has none */
    expect_error(&g, "as f.conflict-2~");
    assert_string_equal(parked(&g, "/f"), "ours");
    rig_down(&g);
}

TEST(a_long_name_is_cut_where_a_character_ends)
{
    struct rig g;
    char path[300] = "/", copy[300] = "/";

    up(&g);
    memset(path + 1, 'x', 242);
    strcat(path, "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xb6z");
    assert_int_equal(strlen(path + 1), 255);
    memset(copy + 1, 'x', 242);
    strcat(copy, ".conflict-1~");
    rig_put(&g, path, "first", 5);
    clash(&g, path, "ours");
    expect_inside(&g, path, "theirs");
    expect_inside(&g, copy, "ours");
    rig_down(&g);
}

TEST(where_nothing_can_be_made_it_is_said)
{
    struct rig g;
    char text[64];

    up(&g);
    rig_mkdir(&g, "/d");
    rig_put(&g, "/d/f", "first", 5);
    assert_true(rig_read(&g, "/d/f", text, sizeof(text)) >= 0);
    /* The directory goes, and what was in it. */
    inside_unlink(&g, "/d/f");
    assert_int_equal(remote_rmdir(g.inside, "/d"), 0);
    assert_int_equal(rig_write(&g, "/d/f", "ours"), 0);
    assert_int_not_equal(sync_all(&g), 0);
    expect_inside(&g, "/d", NULL);
    expect_error(&g, "could not be put beside it");
    assert_string_equal(parked(&g, "/d/f"), "ours");
    rig_down(&g);
}

TEST(a_directory_that_may_not_be_written_to_gets_none)
{
    const struct remote_setattr read_only = {.mask = REMOTE_SET_MODE, .attr.mode = 0555};
    struct rig g;

    rig_up(&g, &(struct rig_config){.journal = true,
                                    .uid = 1000,
                                    .coherence_ns = 600 * NS_PER_S,
                                    .fs = {.beside = true}});
    rig_mkdir(&g, "/d");
    rig_put(&g, "/d/f", "first", 5);
    assert_int_equal(remote_setattr(g.inside, "/d", &read_only, NULL), 0);
    clash(&g, "/d/f", "ours");
    expect_inside(&g, "/d/f", "theirs");
    expect_inside(&g, "/d/f.conflict-1~", NULL);
    expect_error(&g, "could not be put beside it");
    assert_string_equal(parked(&g, "/d/f"), "ours");
    rig_down(&g);
}

static void patch(struct rig *g, const char *path, int flags, uint64_t off, const char *text)
{
    struct fs_file *f;

    assert_int_equal(rig_open(g, path, O_WRONLY | flags, &f), 0);
    assert_int_equal(fs_write(f, off, text, strlen(text)), strlen(text));
    assert_int_equal(rig_close(f), 0);
}

TEST(of_parts_it_is_made_if_the_rest_is_known_here)
{
    struct rig g;
    char text[64];

    up(&g);
    rig_put(&g, "/f", "first", 5);
    scene_age();
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    inside_put(&g, "/f", "theirs");
    patch(&g, "/f", 0, 2, "XX");
    assert_int_equal(sync_all(&g), -EIO);
    expect_inside(&g, "/f", "theirs");
    expect_inside(&g, "/f.conflict-1~", "fiXXt");
    expect_error(&g, "as f.conflict-1~");
    assert_non_null(parked(&g, "/f"));
    rig_down(&g);
}

TEST(of_parts_alone_none_is_made)
{
    struct rig g;

    up(&g);
    free(scene_big(&g, "/f", 3 << 20));
    flush_pause(g.fs_config.flush);
    patch(&g, "/f", 0, 2 << 20, "XX");
    inside_put(&g, "/f", "theirs");
    flush_resume(g.fs_config.flush);
    assert_int_equal(sync_all(&g), -EIO);
    expect_inside(&g, "/f", "theirs");
    expect_inside(&g, "/f.conflict-1~", NULL);
    expect_error(&g, "only parts of it");
    assert_non_null(parked(&g, "/f"));
    rig_down(&g);
}

static void truncate_to(struct rig *g, const char *path, off_t size)
{
    const struct stat st = {.st_size = size};
    struct fs_entry e, now;

    assert_int_equal(rig_find(g, path, &e), 0);
    assert_int_equal(fs_setattr(g->fs, e.ino, NULL, FS_SET_SIZE, &st, &now), 0);
    rig_drop(g, &e);
}

TEST(what_was_cut_short_or_made_longer_is_known_too)
{
    static const struct {
        off_t size;
        const char *want;
    } runs[] = {{3, "fir"}, {0, NULL}};

    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        struct rig g;
        char text[64];

        up(&g);
        rig_put(&g, "/f", "first", 5);
        scene_age();
        assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
        inside_put(&g, "/f", "theirs");
        truncate_to(&g, "/f", runs[i].size);
        assert_int_equal(sync_all(&g), -EIO);
        expect_inside(&g, "/f", "theirs");
        expect_inside(&g, "/f.conflict-1~", runs[i].want);
        rig_down(&g);
    }
}

/* What an earlier mount left comes to be in conflict while the next one starts. */
TEST(what_conflicts_while_the_mount_starts_is_beside_it)
{
    struct rig g;
    char text[64];

    up(&g);
    rig_put(&g, "/f", "first", 5);
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    flush_pause(g.fs_config.flush);
    assert_int_equal(rig_write(&g, "/f", "ours"), 0);
    inside_put(&g, "/f", "theirs");
    rig_restart(&g);
    (void)sync_all(&g);
    expect_inside(&g, "/f", "theirs");
    expect_inside(&g, "/f.conflict-1~", "ours");
    assert_int_equal(inside_attr(&g, "/f.conflict-1~").mode & 0777,
                     inside_attr(&g, "/f").mode & 0777);

    /* Once: who removes it has it no more. */
    inside_unlink(&g, "/f.conflict-1~");
    rig_restart(&g);
    (void)sync_all(&g);
    expect_inside(&g, "/f.conflict-1~", NULL);
    assert_string_equal(parked(&g, "/f"), "ours");
    rig_down(&g);
}

/* What is written is there before the call returns: it is the call that says so. */
TEST(with_durability_sync_parts_are_beside_it_too)
{
    struct rig g;
    struct fs_file *f;
    char text[64];

    up_with(&g, FS_DURABILITY_SYNC);
    rig_put(&g, "/f", "first", 5);
    scene_age();
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    inside_put(&g, "/f", "theirs");
    assert_int_equal(rig_open(&g, "/f", O_WRONLY, &f), 0);
    assert_int_equal(fs_write(f, 2, "XX", 2), -EIO);
    (void)rig_close(f);
    (void)sync_all(&g);
    expect_inside(&g, "/f", "theirs");
    expect_inside(&g, "/f.conflict-1~", "fiXXt");
    rig_down(&g);
}

/* The line fails at every request in turn: theirs stays, and ours is beside it or in conflicts. */
TEST(whatever_request_is_lost_nothing_is)
{
    for (unsigned n = 1; n <= 8; n++) {
        struct rig g;
        char text[64];

        up(&g);
        rig_put(&g, "/f", "first", 5);
        assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
        inside_put(&g, "/f", "theirs");
        remote_fault_set(g.fault, n, n % 2 ? REMOTE_FAULT_BEFORE : REMOTE_FAULT_AFTER, -ECONNRESET);
        assert_int_equal(rig_write(&g, "/f", "ours"), 0);
        for (int i = 0; i < 5; i++)
            (void)sync_all(&g);
        remote_fault_set(g.fault, 0, REMOTE_FAULT_BEFORE, 0);
        (void)sync_all(&g);
        expect_inside(&g, "/f", "theirs");
        expect_inside(&g, "/f.conflict-1~", "ours");
        expect_inside(&g, "/f.conflict-2~", NULL);
        assert_string_equal(parked(&g, "/f"), "ours");
        rig_down(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ours_is_beside_theirs_and_settling_leaves_it),
        cmocka_unit_test(who_makes_room_for_the_name_first_counts),
        cmocka_unit_test(a_name_that_the_sandbox_took_is_not_used),
        cmocka_unit_test(a_long_name_is_cut_where_a_character_ends),
        cmocka_unit_test(where_nothing_can_be_made_it_is_said),
        cmocka_unit_test(a_directory_that_may_not_be_written_to_gets_none),
        cmocka_unit_test(of_parts_it_is_made_if_the_rest_is_known_here),
        cmocka_unit_test(of_parts_alone_none_is_made),
        cmocka_unit_test(what_was_cut_short_or_made_longer_is_known_too),
        cmocka_unit_test(what_conflicts_while_the_mount_starts_is_beside_it),
        cmocka_unit_test(with_durability_sync_parts_are_beside_it_too),
        cmocka_unit_test(whatever_request_is_lost_nothing_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
