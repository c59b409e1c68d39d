/*
 * Files with several names, when changes wait in a journal: what one name gets or loses shows under
 * all of them at once, and so it stays when it was sent.
 */
#include "scene.h"

#include "fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int link_name(struct rig *g, const char *from, const char *to)
{
    struct fs_entry e, dir = {.ino = FS_ROOT}, made;
    const char *slash = strrchr(to, '/');
    char parent[64];
    int r = rig_find(g, from, &e);

    assert_int_equal(r, 0);
    snprintf(parent, sizeof(parent), "%.*s", (int)(slash - to), to);
    if (slash != to)
        assert_int_equal(rig_find(g, parent, &dir), 0);
    r = fs_link(g->fs, e.ino, dir.ino, slash + 1, &made);
    if (r == 0) {
        assert_int_equal(made.st.st_ino, e.st.st_ino);
        rig_drop(g, &made);
    }
    if (slash != to)
        rig_drop(g, &dir);
    rig_drop(g, &e);
    return r;
}

static struct stat stat_of(struct rig *g, const char *path)
{
    struct fs_entry e, again;

    assert_int_equal(rig_find(g, path, &e), 0);
    assert_int_equal(fs_getattr_cached(g->fs, e.ino, NULL, &again), 0);
    assert_int_equal(e.st.st_nlink, again.st.st_nlink);
    rig_drop(g, &e);
    return again.st;
}

static void same_shown(const struct stat *a, const struct stat *b)
{
    assert_int_equal(a->st_ino, b->st_ino);
    assert_int_equal(a->st_nlink, b->st_nlink);
    assert_int_equal(a->st_mode, b->st_mode);
    assert_int_equal(a->st_size, b->st_size);
    assert_int_equal(timespec_to_ns(a->st_mtim), timespec_to_ns(b->st_mtim));
    assert_int_equal(timespec_to_ns(a->st_ctim), timespec_to_ns(b->st_ctim));
}

/* What waits is not sent by itself from here on, and the root is known. */
static void quiet(struct rig *g)
{
    char names[256];

    rig_settle(g);
    rig_names(g, "/", names, sizeof(names));
    flush_pause(g->fs->flush);
    tally_take(g->tally);
}

/* As git makes an object. */
TEST(a_file_that_is_linked_and_loses_its_first_name_costs_nothing_until_it_is_sent)
{
    struct stat first, now;
    char text[32];
    struct rig g;

    UP_JOURNAL(&g);
    quiet(&g);
    assert_int_equal(rig_mkdir_fs(&g, "/ob"), 0);
    assert_int_equal(rig_write(&g, "/ob/tmp", "object"), 0);
    first = stat_of(&g, "/ob/tmp");
    assert_int_equal(link_name(&g, "/ob/tmp", "/ob/1234"), 0);
    assert_int_equal(stat_of(&g, "/ob/tmp").st_nlink, 2);
    assert_int_equal(stat_of(&g, "/ob/1234").st_nlink, 2);
    assert_int_equal(rig_unlink(&g, "/ob/tmp"), 0);
    now = stat_of(&g, "/ob/1234");
    assert_int_equal(now.st_nlink, 1);
    assert_int_equal(now.st_ino, first.st_ino);
    assert_int_equal(timespec_to_ns(now.st_mtim), timespec_to_ns(first.st_mtim));
    assert_int_equal(rig_read(&g, "/ob/1234", text, sizeof(text)), 0);
    assert_string_equal(text, "object");
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(tally_take(g.tally).all, 1);
    /* What it is by then is known without being asked for. */
    first = stat_of(&g, "/ob/1234");
    same_shown(&first, &now);
    assert_int_equal(rig_read(&g, "/ob/1234", text, sizeof(text)), 0);
    assert_string_equal(text, "object");
    assert_int_equal(tally_take(g.tally).all, 0);
    rig_expect(&g, "/ob/1234", "object");
    rig_expect(&g, "/ob/tmp", NULL);
    assert_int_equal(inside_attr(&g, "/ob/1234").nlink, 1);
    /* And it is no other version to the next change, either. */
    assert_int_equal(rig_rename(&g, "/ob/1234", "/ob/pack", 0), 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    rig_expect(&g, "/ob/pack", "object");
    rig_down(&g);
}

TEST(the_number_of_names_shows_under_each_of_them_at_once)
{
    static const char *const names[] = {"/a", "/b", "/d/c"};
    struct stat shown[ARRAY_LEN(names)], now;
    struct rig g;

    UP_JOURNAL(&g);
    rig_mkdir(&g, "/d");
    rig_put(&g, "/a", "text", 4);
    inside_link(&g, "/a", "/d/c");
    rig_names(&g, "/d", (char[64]){0}, 64);
    quiet(&g);
    assert_int_equal(stat_of(&g, "/d/c").st_nlink, 2);
    assert_int_equal(link_name(&g, "/a", "/b"), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        shown[i] = stat_of(&g, names[i]);
        assert_int_equal(shown[i].st_nlink, 3);
        same_shown(&shown[i], &shown[0]);
    }
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(inside_attr(&g, "/b").nlink, 3);
    tally_take(g.tally);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        now = stat_of(&g, names[i]);
        same_shown(&now, &shown[i]);
    }
    for (size_t i = 0; i + 1 < ARRAY_LEN(names); i++)
        assert_int_equal(rig_unlink(&g, names[i]), 0);
    assert_int_equal(stat_of(&g, "/d/c").st_nlink, 1);
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(inside_attr(&g, "/d/c").nlink, 1);
    assert_int_equal(stat_of(&g, "/d/c").st_nlink, 1);
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(a_linked_name_is_renamed_and_replaced_without_waiting)
{
    struct stat now;
    char text[32];
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/a", "one", 3);
    inside_link(&g, "/a", "/b");
    inside_link(&g, "/a", "/c");
    rig_put(&g, "/x", "two", 3);
    quiet(&g);
    assert_int_equal(rig_rename(&g, "/a", "/moved", 0), 0);
    assert_int_equal(rig_rename(&g, "/x", "/b", 0), 0);
    assert_int_equal(stat_of(&g, "/moved").st_nlink, 2);
    assert_int_equal(stat_of(&g, "/c").st_nlink, 2);
    assert_int_equal(stat_of(&g, "/b").st_nlink, 1);
    now = stat_of(&g, "/c");
    assert_int_equal(rig_rename(&g, "/c", "/moved", 0), 0); /* one file: both names stay */
    assert_int_equal(stat_of(&g, "/moved").st_ino, now.st_ino);
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(tally_take(g.tally).all, 1);
    assert_int_equal(stat_of(&g, "/c").st_nlink, 2);
    assert_int_equal(stat_of(&g, "/moved").st_nlink, 2);
    assert_int_equal(rig_unlink(&g, "/c"), 0);
    assert_int_equal(tally_take(g.tally).all, 0);
    rig_expect(&g, "/moved", "one");
    rig_expect(&g, "/b", "two");
    rig_expect(&g, "/c", NULL);
    assert_int_equal(rig_read(&g, "/moved", text, sizeof(text)), 0);
    assert_string_equal(text, "one");
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(a_mode_that_one_name_gets_shows_under_the_others)
{
    const struct stat want = {.st_mode = 0600, .st_mtim = {.tv_sec = 1000}};
    struct fs_entry e;
    struct stat a, b;
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/a", "text", 4);
    inside_link(&g, "/a", "/b");
    quiet(&g);
    assert_int_equal(rig_find(&g, "/a", &e), 0);
    assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_MODE | FS_SET_MTIME, &want, &e), 0);
    rig_drop(&g, &e);
    for (int sent = 0; sent < 2; sent++) {
        a = stat_of(&g, "/a");
        b = stat_of(&g, "/b");
        assert_int_equal(a.st_mode & 07777, 0600);
        assert_int_equal(a.st_mtim.tv_sec, 1000);
        same_shown(&a, &b);
        assert_int_equal(tally_take(g.tally).all, 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        tally_take(g.tally);
    }
    assert_int_equal(inside_attr(&g, "/b").mode & 07777, 0600);
    rig_down(&g);
}

static void set(struct rig *g, const char *path, unsigned what, mode_t mode, time_t mtime)
{
    const struct stat want = {.st_mode = mode, .st_mtim = {.tv_sec = mtime}};
    struct fs_entry e;

    assert_int_equal(rig_find(g, path, &e), 0);
    assert_int_equal(fs_setattr(g->fs, e.ino, NULL, what, &want, &e), 0);
    rig_drop(g, &e);
}

/* What waits under both names is one file's, and keeps its order: the last one counts. */
TEST(of_what_several_names_get_the_last_is_there_in_the_end)
{
    for (int made_here = 0; made_here < 2; made_here++)
        for (int killed = 0; killed < 2; killed++) {
            struct rig g;

            UP_JOURNAL(&g);
            if (made_here) {
                quiet(&g);
                assert_int_equal(rig_write(&g, "/a", "text"), 0);
                assert_int_equal(link_name(&g, "/a", "/b"), 0);
            } else {
                rig_put(&g, "/a", "text", 4);
                inside_link(&g, "/a", "/b");
                quiet(&g);
                stat_of(&g, "/b");
            }
            set(&g, "/a", FS_SET_MODE, 0700, 0);
            set(&g, "/b", FS_SET_MODE, 0600, 0);
            set(&g, "/a", FS_SET_MODE | FS_SET_MTIME, 0751, 1500000000);
            set(&g, "/b", FS_SET_MTIME, 0, 1400000000);
            if (killed)
                rig_restart(&g);
            assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
            assert_int_equal(inside_attr(&g, "/a").mode & 07777, 0751);
            assert_int_equal(inside_attr(&g, "/a").mtime_ns, 1400000000 * NS_PER_S);
            assert_int_equal(stat_of(&g, "/a").st_mode & 07777, 0751);
            rig_same_tree(&g, "/");
            rig_down(&g);
        }
}

/* What a name got before it went is the file's. */
TEST(what_a_name_that_is_gone_got_is_no_other_version_to_the_next_change)
{
    enum { WRITE, TRUNCATE, RENAME, OVER, LINK, UNLINK, NEXT };

    for (int i = 0; i < 2 * NEXT; i++) {
        const int next = i / 2;
        struct rig g;

        UP_JOURNAL(&g);
        rig_put(&g, "/a", "text", 4);
        rig_put(&g, "/other", "else", 4);
        inside_link(&g, "/a", "/b");
        quiet(&g);
        stat_of(&g, "/b");
        assert_int_equal(rig_rename(&g, "/a", "/c", 0), 0);
        set(&g, "/b", FS_SET_MTIME, 0, 1500000000);
        assert_int_equal(i % 2 ? rig_unlink(&g, "/b") : rig_rename(&g, "/other", "/b", 0), 0);
        switch (next) {
        case WRITE:
            assert_int_equal(rig_write(&g, "/c", "next"), 0);
            break;
        case TRUNCATE: {
            const struct stat size = {.st_size = 2};
            struct fs_entry e;

            assert_int_equal(rig_find(&g, "/c", &e), 0);
            assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_SIZE, &size, &e), 0);
            rig_drop(&g, &e);
            break;
        }
        case RENAME:
            assert_int_equal(rig_rename(&g, "/c", "/d", 0), 0);
            break;
        case OVER:
            assert_int_equal(rig_write(&g, "/new", "new"), 0);
            assert_int_equal(rig_rename(&g, "/new", "/c", 0), 0);
            break;
        case LINK:
            assert_int_equal(link_name(&g, "/c", "/d"), 0);
            break;
        default:
            assert_int_equal(rig_unlink(&g, "/c"), 0);
        }
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        rig_expect(&g, next == RENAME || next == LINK ? "/d" : "/c",
                   next == WRITE      ? "next"
                   : next == TRUNCATE ? "te"
                   : next == OVER     ? "new"
                   : next == UNLINK   ? NULL
                                      : "text");
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

/* Nor does what the other name gets later overtake a name that goes: it would find another version,
 * and, once that other name has gone, too, nobody else who has it. */
TEST(a_name_goes_before_what_the_file_gets_through_another_later)
{
    static const char *const froms[] = {NULL, "/new", "/a"}, *const tos[] = {"/a", "/a", "/c"};

    for (size_t i = 0; i < ARRAY_LEN(tos); i++) {
        struct rig g;

        UP_JOURNAL(&g);
        rig_put(&g, "/a", "text", 4);
        rig_put(&g, "/new", "next", 4);
        inside_link(&g, "/a", "/b");
        quiet(&g);
        stat_of(&g, "/b");
        assert_int_equal(froms[i] ? rig_rename(&g, froms[i], tos[i], 0) : rig_unlink(&g, tos[i]),
                         0);
        set(&g, "/b", FS_SET_MTIME, 0, 1500000000);
        assert_int_equal(rig_unlink(&g, "/b"), 0);
        assert_int_equal(fs_sync(g.fs, "/b", NULL), 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        rig_expect(&g, tos[i], i == 0 ? NULL : i == 1 ? "next" : "text");
        rig_expect(&g, "/b", NULL);
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

/* What one name's handle has written stays here until it is closed. What the other name gets goes
 * after it, and does not make another version of it. */
TEST(what_another_name_gets_goes_after_what_an_open_handle_has_written)
{
    struct fs_file *f, *other;
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/a", "text", 4);
    inside_link(&g, "/a", "/b");
    quiet(&g);
    stat_of(&g, "/b");
    assert_int_equal(rig_open(&g, "/a", O_WRONLY, &f), 0);
    assert_int_equal(fs_write(f, 0, "next", 4), 4);
    set(&g, "/b", FS_SET_MODE | FS_SET_MTIME, 0640, 1500000000);
    assert_int_equal(rig_open(&g, "/b", O_RDONLY, &other), 0);
    assert_int_equal(fs_fsync(other), 0);
    assert_int_equal(rig_close(other), 0);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(inside_attr(&g, "/a").mode & 07777, 0640);
    assert_int_equal(inside_attr(&g, "/a").mtime_ns, 1500000000 * NS_PER_S);
    rig_expect(&g, "/b", "next");
    rig_down(&g);
}

TEST(what_is_written_through_one_name_after_it_was_linked_shows_through_the_other)
{
    char text[32];
    struct rig g;

    UP_JOURNAL(&g);
    quiet(&g);
    assert_int_equal(rig_write(&g, "/a", "one"), 0);
    assert_int_equal(link_name(&g, "/a", "/b"), 0);
    assert_int_equal(rig_read(&g, "/b", text, sizeof(text)), 0);
    assert_string_equal(text, "one");
    assert_int_equal(rig_write(&g, "/b", "three"), 0);
    assert_int_equal(rig_read(&g, "/a", text, sizeof(text)), 0);
    assert_string_equal(text, "three");
    assert_int_equal(link_name(&g, "/b", "/c"), 0);
    assert_int_equal(rig_read(&g, "/c", text, sizeof(text)), 0);
    assert_string_equal(text, "three");
    rig_expect(&g, "/a", "three");
    rig_expect(&g, "/c", "three");
    assert_int_equal(inside_attr(&g, "/a").nlink, 3);
    rig_same_tree(&g, "/");
    rig_down(&g);
}

/* Content is shared by what nobody writes to; what was shared must not change with one of them. */
TEST(what_is_written_in_part_through_one_name_is_not_taken_for_the_other_ones_version)
{
    struct fs_file *f, *reader;
    char text[32] = {0};
    struct rig g;

    UP_JOURNAL(&g);
    quiet(&g);
    assert_int_equal(rig_write(&g, "/a", "one two"), 0);
    assert_int_equal(link_name(&g, "/a", "/b"), 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(rig_open(&g, "/b", O_RDONLY, &reader), 0);
    assert_int_equal(rig_open(&g, "/a", O_WRONLY, &f), 0);
    assert_int_equal(fs_write(f, 0, "ONE", 3), 3);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(fs_read(reader, 0, text, sizeof(text)), 7);
    assert_string_equal(text, "ONE two");
    assert_int_equal(rig_close(reader), 0);
    rig_expect(&g, "/b", "ONE two");
    rig_down(&g);
}

/* What one name's handle has not sent yet is no other version for who writes through the other. */
TEST(what_is_written_through_both_names_is_no_conflict)
{
    static const struct {
        int flags; /* of the first name's */
        const char *text;
        int other; /* flags of the second name's; -1: truncate(2), to 4 */
        const char *want;
    } cases[] = {
        {O_WRONLY | O_APPEND, "more", O_WRONLY | O_TRUNC, "ours"},
        {O_WRONLY, "one, two, three", O_WRONLY | O_TRUNC, "ours"},
        {O_WRONLY | O_APPEND, "more", O_WRONLY, "ourstwomore"},
        {O_WRONLY, "one, two, three", O_WRONLY, "ours two, three"},
        {O_WRONLY | O_APPEND, "more", O_WRONLY | O_APPEND, "one twomoreours"},
        {O_WRONLY | O_APPEND, "more", -1, "one "},
        {O_WRONLY, "1, 2", -1, "1, 2"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fs_file *f, *other;
        struct fs_entry e;
        struct rig g;

        UP_JOURNAL(&g);
        quiet(&g);
        assert_int_equal(rig_write(&g, "/a", "one two"), 0);
        assert_int_equal(link_name(&g, "/a", "/b"), 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        assert_int_equal(rig_open(&g, "/a", cases[i].flags, &f), 0);
        assert_int_equal(fs_write(f, 0, cases[i].text, strlen(cases[i].text)),
                         strlen(cases[i].text));
        if (cases[i].other < 0) {
            const struct stat st = {.st_size = 4};

            assert_int_equal(rig_find(&g, "/b", &e), 0);
            assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_SIZE, &st, &e), 0);
            rig_drop(&g, &e);
        } else {
            assert_int_equal(rig_open(&g, "/b", cases[i].other, &other), 0);
            assert_int_equal(fs_write(other, 0, "ours", 4), 4);
            assert_int_equal(rig_close(other), 0);
        }
        assert_int_equal(rig_close(f), 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        rig_expect(&g, "/a", cases[i].want);
        rig_expect(&g, "/b", cases[i].want);
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

/* What waits under each of the names moves the times that the others left. */
TEST(a_file_that_was_touched_by_both_names_goes)
{
    static const char *const names[] = {"/a", "/b"};
    struct rig g;

    UP_JOURNAL(&g);
    assert_int_equal(rig_write(&g, "/a", "text"), 0);
    quiet(&g);
    for (int i = 0; i < 2; i++) {
        const struct stat st = {.st_mtim = {.tv_sec = 1500000000 + i}};
        struct fs_entry e;

        assert_int_equal(rig_find(&g, names[i], &e), 0);
        assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_MTIME, &st, &e), 0);
        rig_drop(&g, &e);
        if (i == 0)
            assert_int_equal(link_name(&g, "/a", "/b"), 0);
    }
    assert_int_equal(rig_unlink(&g, "/b"), 0);
    assert_int_equal(rig_unlink(&g, "/a"), 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    rig_expect(&g, "/a", NULL);
    rig_expect(&g, "/b", NULL);
    rig_down(&g);
}

/* With one name left, what is written takes the place of the file. */
TEST(what_was_written_after_the_other_name_went_is_renamed_and_goes)
{
    for (int goes = 0; goes < 2; goes++) {
        const struct stat st = {.st_size = 2};
        struct fs_entry e;
        struct rig g;

        UP_JOURNAL(&g);
        assert_int_equal(rig_write(&g, "/a", "text"), 0);
        assert_int_equal(link_name(&g, "/a", "/b"), 0);
        quiet(&g);
        assert_int_equal(rig_unlink(&g, "/a"), 0);
        assert_int_equal(rig_find(&g, "/b", &e), 0);
        assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_SIZE, &st, &e), 0);
        rig_drop(&g, &e);
        if (goes)
            assert_int_equal(rig_unlink(&g, "/b"), 0);
        else
            assert_int_equal(rig_rename(&g, "/b", "/c", 0), 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        rig_expect(&g, "/b", NULL);
        rig_expect(&g, "/c", goes ? NULL : "te");
        rig_down(&g);
    }
}

TEST(a_name_that_was_taken_meanwhile_is_a_conflict_and_all_is_as_the_sandbox_has_it)
{
    char text[32];
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/a", "ours", 4);
    quiet(&g);
    assert_int_equal(link_name(&g, "/a", "/b"), 0);
    assert_int_equal(stat_of(&g, "/a").st_nlink, 2);
    rig_restart(&g); /* what waits in the journal is sent by the next mount */
    rig_expect(&g, "/b", "ours");
    assert_int_equal(inside_attr(&g, "/a").nlink, 2);
    quiet(&g);
    assert_int_equal(link_name(&g, "/a", "/c"), 0);
    inside_link(&g, "/b", "/theirs");
    assert_int_equal(remote_unlink(g.inside, "/b"), 0);
    assert_int_equal(remote_mkdir(g.inside, "/c", 0755, &(struct remote_attr){0}), 0);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), -EIO);
    assert_true(S_ISDIR(inside_attr(&g, "/c").mode));
    fs_refresh(g.fs, NULL);
    assert_int_equal(rig_read(&g, "/a", text, sizeof(text)), 0);
    assert_string_equal(text, "ours");
    rig_same_tree(&g, "/");
    rig_down(&g);
}

/* Nothing is lost with one name of several, whatever has become of the content; with the last, it
 * is. */
TEST(a_name_goes_though_the_file_has_changed_but_not_the_last_one)
{
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/a", "one", 3);
    inside_link(&g, "/a", "/b");
    rig_put(&g, "/c", "one", 3);
    quiet(&g);
    assert_int_equal(rig_unlink(&g, "/a"), 0);
    assert_int_equal(rig_unlink(&g, "/c"), 0);
    inside_put(&g, "/b", "changed there");
    inside_put(&g, "/c", "changed there");
    assert_int_equal(fs_sync(g.fs, NULL, NULL), -EIO);
    rig_expect(&g, "/a", NULL);
    rig_expect(&g, "/b", "changed there");
    rig_expect(&g, "/c", "changed there");
    rig_down(&g);
}

TEST(what_is_linked_and_renamed_in_every_order_is_in_the_sandbox_in_the_end)
{
    char text[32];
    struct rig g;

    UP_JOURNAL(&g);
    quiet(&g);
    for (int paused = 0; paused < 2; paused++) {
        assert_int_equal(rig_write(&g, "/a", "text"), 0);
        assert_int_equal(link_name(&g, "/a", "/b"), 0);
        assert_int_equal(rig_unlink(&g, "/b"), 0);
        assert_int_equal(link_name(&g, "/a", "/b"), 0);
        assert_int_equal(rig_rename(&g, "/a", "/c", 0), 0);
        assert_int_equal(link_name(&g, "/b", "/a"), 0);
        assert_int_equal(rig_unlink(&g, "/c"), 0);
        assert_int_equal(rig_unlink(&g, "/b"), 0);
        assert_int_equal(stat_of(&g, "/a").st_nlink, 1);
        assert_int_equal(rig_rename(&g, "/a", "/d", 0), 0);
        assert_int_equal(rig_read(&g, "/d", text, sizeof(text)), 0);
        assert_string_equal(text, "text");
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        rig_expect(&g, "/d", "text");
        rig_same_tree(&g, "/");
        assert_int_equal(rig_unlink(&g, "/d"), 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        flush_resume(g.fs->flush);
    }
    rig_down(&g);
}

TEST(who_may_not_read_a_file_of_another_lets_the_sandbox_say_if_it_may_be_linked)
{
    struct rig g;

    UP_JOURNAL(&g, .uid = 1000);
    rig_put(&g, "/own", "text", 4);
    quiet(&g);
    assert_int_equal(link_name(&g, "/own", "/linked"), 0);
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_true(perm_link(g.fs, &(struct remote_attr){.mode = S_IFREG | 0666, .uid = 1}));
    assert_false(perm_link(g.fs, &(struct remote_attr){.mode = S_IFREG | 0644, .uid = 1}));
    assert_false(perm_link(g.fs, &(struct remote_attr){.mode = S_IFREG | 04666, .uid = 1}));
    assert_false(perm_link(g.fs, &(struct remote_attr){.mode = S_IFREG | 02676, .uid = 1}));
    assert_false(perm_link(g.fs, &(struct remote_attr){.mode = S_IFLNK | 0777, .uid = 1}));
    rig_down(&g);
}

TEST(what_may_be_another_file_system_is_asked_at_once)
{
    struct node *dir;
    struct remote_attr attr;
    struct rig g;

    UP_JOURNAL(&g);
    rig_mkdir(&g, "/d");
    rig_put(&g, "/a", "one", 3);
    rig_put(&g, "/b", "two", 3);
    quiet(&g);
    rig_names(&g, "/d", (char[64]){0}, 64);
    fs_lock(g.fs);
    dir = node_child_locked(g.fs->root, "d");
    attr = dir->attr;
    attr.dev = 77;
    node_set_attr_locked(dir, &attr);
    fs_unlock(g.fs);
    tally_take(g.tally);
    assert_int_equal(link_name(&g, "/a", "/c"), 0);
    assert_int_equal(rig_rename(&g, "/c", "/e", 0), 0);
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(link_name(&g, "/b", "/d/b"), 0);
    assert_int_equal(inside_attr(&g, "/d/b").nlink, 2);
    assert_int_equal(rig_rename(&g, "/a", "/d/a", 0), 0);
    assert_int_equal(inside_attr(&g, "/d/a").nlink, 2);
    rig_down(&g);
}

/* Both are on one device, so that nothing else tells: it must not be accepted and refused later. */
TEST(between_two_mounts_nothing_is_renamed_or_linked)
{
    struct rig g;

    UP_JOURNAL(&g);
    rig_mkdir(&g, "/d");
    rig_mkdir(&g, "/d/e");
    rig_put(&g, "/a", "one", 3);
    rig_put(&g, "/d/b", "two", 3);
    remote_mem_mount(g.inside, "/d");
    quiet(&g);
    rig_names(&g, "/d/e", (char[64]){0}, 64);
    rig_names(&g, "/d", (char[64]){0}, 64);
    flush_pause(g.fs->flush);
    assert_int_equal(link_name(&g, "/a", "/d/c"), -EXDEV);
    assert_int_equal(link_name(&g, "/d/b", "/c"), -EXDEV);
    assert_int_equal(rig_rename(&g, "/a", "/d/a", 0), -EXDEV);
    assert_int_equal(rig_rename(&g, "/a", "/d/b", 0), -EXDEV);
    assert_int_equal(rig_rename(&g, "/d/b", "/a", RENAME_EXCHANGE), -EXDEV);
    assert_int_equal(rig_rename(&g, "/none", "/d/b", 0), -EXDEV);
    assert_int_equal(rig_rename(&g, "/d", "/f", 0), -EBUSY); /* where it is mounted */
    assert_int_equal(rig_rmdir(&g, "/d"), -EBUSY);
    /* What was made here is where its directory is. */
    assert_int_equal(rig_mkdir_fs(&g, "/d/new"), 0);
    assert_int_equal(rig_rename(&g, "/d/b", "/d/new/b", 0), 0);
    assert_int_equal(link_name(&g, "/d/new/b", "/d/e/b"), 0);
    assert_int_equal(rig_rename(&g, "/d/new/b", "/b", 0), -EXDEV);
    flush_resume(g.fs->flush);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(inside_attr(&g, "/d/e/b").nlink, 2);
    assert_int_equal(rig_rename(&g, "/d/new/b", "/b", 0), -EXDEV);
    rig_down(&g);
}

/* ---- what a sandbox may claim ---- */

/* Takes a moment, and would take many minutes if all of them were looked through for each. */
TEST(names_of_which_the_sandbox_says_that_they_are_one_file_come_and_go_quickly)
{
    enum { NAMES = 400000 };
    struct remote_attr attr = {.mode = S_IFREG | 0644, .nlink = NAMES, .dev = 1};
    char name[16];
    struct rig g;

    UP_JOURNAL(&g, .fs.meta_bytes = 1 << 30);
    fs_lock(g.fs);
    for (unsigned i = 0; i < NAMES; i++) {
        attr.ino =
            i % 2 ? 7 : (uint64_t)i << 40; /* one number, and what a weak hash takes for one */
        snprintf(name, sizeof(name), "%u", i);
        assert_non_null(node_new_locked(g.fs, g.fs->root, name, &attr));
    }
    fs_unlock(g.fs);
    rig_down(&g);
}

TEST(a_file_of_very_many_names_loses_them_one_after_the_other)
{
    enum { NAMES = 600 };
    char path[16];
    struct rig g;

    UP_JOURNAL(&g, .uid = 0);
    rig_put(&g, "/0", "text", 4);
    for (int i = 1; i < NAMES; i++) {
        snprintf(path, sizeof(path), "/%d", i);
        inside_link(&g, "/0", path);
    }
    for (int i = NAMES - 1; i >= 0; i--) {
        snprintf(path, sizeof(path), "/%d", i);
        assert_int_equal(rig_unlink(&g, path), 0);
        if (i == NAMES - 5) /* each went before the next */
            assert_int_equal(fs_unsent(g.fs, NULL), 0);
    }
    rig_settle(&g);
    rig_expect(&g, "/0", NULL);
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_file_that_is_linked_and_loses_its_first_name_costs_nothing_until_it_is_sent),
        cmocka_unit_test(the_number_of_names_shows_under_each_of_them_at_once),
        cmocka_unit_test(a_linked_name_is_renamed_and_replaced_without_waiting),
        cmocka_unit_test(a_mode_that_one_name_gets_shows_under_the_others),
        cmocka_unit_test(of_what_several_names_get_the_last_is_there_in_the_end),
        cmocka_unit_test(what_a_name_that_is_gone_got_is_no_other_version_to_the_next_change),
        cmocka_unit_test(a_name_goes_before_what_the_file_gets_through_another_later),
        cmocka_unit_test(what_another_name_gets_goes_after_what_an_open_handle_has_written),
        cmocka_unit_test(
            what_is_written_through_one_name_after_it_was_linked_shows_through_the_other),
        cmocka_unit_test(
            what_is_written_in_part_through_one_name_is_not_taken_for_the_other_ones_version),
        cmocka_unit_test(what_is_written_through_both_names_is_no_conflict),
        cmocka_unit_test(a_file_that_was_touched_by_both_names_goes),
        cmocka_unit_test(what_was_written_after_the_other_name_went_is_renamed_and_goes),
        cmocka_unit_test(
            a_name_that_was_taken_meanwhile_is_a_conflict_and_all_is_as_the_sandbox_has_it),
        cmocka_unit_test(a_name_goes_though_the_file_has_changed_but_not_the_last_one),
        cmocka_unit_test(what_is_linked_and_renamed_in_every_order_is_in_the_sandbox_in_the_end),
        cmocka_unit_test(
            who_may_not_read_a_file_of_another_lets_the_sandbox_say_if_it_may_be_linked),
        cmocka_unit_test(what_may_be_another_file_system_is_asked_at_once),
        cmocka_unit_test(between_two_mounts_nothing_is_renamed_or_linked),
        cmocka_unit_test(
            names_of_which_the_sandbox_says_that_they_are_one_file_come_and_go_quickly),
        cmocka_unit_test(a_file_of_very_many_names_loses_them_one_after_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
