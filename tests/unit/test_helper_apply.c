/* The helper's apply on real directories: every kind of change, and what it refuses to touch. */
#include "apply_rig.h"

#include "util/clock.h"
#include "util/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static void expect(struct remote_result r, enum remote_outcome outcome, int err)
{
    if (r.outcome != outcome || r.err != err)
        fail_msg("outcome %d (%d), not %d (%d)", r.outcome, r.err, outcome, err);
}

static void expect_done(struct remote_result r)
{
    expect(r, REMOTE_DONE, 0);
}

/* It is told as it is. */
static void expect_now(struct remote_result r, const char *name)
{
    const struct stat st = arig_stat(name);

    expect_done(r);
    assert_true(r.now.ino == st.st_ino && r.now.dev != 0);
    assert_true(r.now.size == (uint64_t)st.st_size && r.now.mode == st.st_mode);
    assert_true(r.now.mtime_ns == timespec_to_ns(st.st_mtim));
    assert_true(r.now.ctime_ns == timespec_to_ns(st.st_ctim));
    assert_int_equal(r.now.nlink, st.st_nlink);
}

static void expect_file(const char *name, const char *text)
{
    const char *got = arig_get(name);

    if (!got || strcmp(got, text) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", name, got ? got : "(none)", text);
}

static void nothing_is_left(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/h/clients/%s", arig.root, arig.client);
    for (const char *const *p =
             (const char *const[]){"batch", "batch.new", "record.new", "t-0", "t-1", NULL};
         *p; p++) {
        char file[160];

        snprintf(file, sizeof(file), "%s/%s", path, *p);
        if (access(file, F_OK) == 0)
            fail_msg("%s is left", *p);
    }
}

/* ---- every kind ---- */

TEST(a_new_file_has_its_content_mode_and_time)
{
    struct remote_change c = arig_write("f", ARIG_ABSENT, "hello");
    struct remote_result r;

    c.set = (struct remote_setattr){.mask = REMOTE_SET_MODE | REMOTE_SET_MTIME,
                                    .attr = {.mode = 0640, .mtime_ns = 1234567890123456789}};
    r = arig_one(c, "hello");
    expect_file("f", "hello");
    expect_now(r, "f");
    assert_int_equal(r.now.mode, S_IFREG | 0640);
    assert_true(r.now.mtime_ns == 1234567890123456789);
    nothing_is_left();
}

TEST(a_new_file_without_a_mode_is_as_any_program_makes_it)
{
    umask(027);
    expect_done(arig_one(arig_write("f", ARIG_ABSENT, ""), NULL));
    umask(022);
    assert_int_equal(arig_stat("f").st_mode & 07777, 0640);
    assert_int_equal(arig_stat("f").st_size, 0);
}

TEST(a_file_is_replaced_by_a_new_inode_with_the_old_ones_mode)
{
    struct stat old;
    struct remote_result r;
    int reader;

    arig_put("f", "old content");
    assert_int_equal(chmod("f", 04751), 0);
    old = arig_stat("f");
    reader = open("f", O_RDONLY | O_CLOEXEC);
    r = arig_one(arig_write("f", arig_version("f"), "new"), "new");
    expect_file("f", "new");
    expect_now(r, "f");
    assert_true(r.now.ino != old.st_ino);
    assert_int_equal(r.now.mode, old.st_mode);
    assert_true(r.now.mtime_ns == timespec_to_ns(old.st_mtim));
    assert_int_equal(lseek(reader, 0, SEEK_END), 11); /* who had it open still sees all of it */
    close(reader);
    nothing_is_left();
}

TEST(pieces_go_over_what_is_kept_with_zeros_between)
{
    static const struct {
        uint64_t keep, size;
        const char *want;
        size_t want_len;
    } table[] = {
        {REMOTE_ALL, REMOTE_ALL, "01AB4567CD", 10},
        {4, REMOTE_ALL, "01AB\0\0\0\0CD", 10},
        {0, 12, "\0\0AB\0\0\0\0CD\0\0", 12},
        {REMOTE_ALL, 13, "01AB4567CD\0\0\0", 13},
        {3, 10, "01AB\0\0\0\0CD", 10},
    };
    static const struct remote_piece pieces[] = {{2, 2, 0, 0}, {8, 2, 0, 2}};

    for (size_t i = 0; i < 2 * ARRAY_LEN(table); i++) {
        struct remote_change c;

        arig_put("f", "0123456789");
        c = arig_write("f", arig_version("f"), "");
        c.flags = i % 2 ? REMOTE_CHANGE_IN_PLACE : 0;
        c.keep = table[i / 2].keep;
        c.size = table[i / 2].size;
        c.pieces = pieces;
        c.piece_count = 2;
        expect_now(arig_one(c, "ABCD"), "f");
        assert_int_equal(arig_stat("f").st_size, table[i / 2].want_len);
        assert_memory_equal(arig_get("f"), table[i / 2].want, table[i / 2].want_len);
    }
}

TEST(a_truncation_is_a_write_without_pieces)
{
    struct remote_change c;

    arig_put("f", "0123456789");
    c = arig_write("f", arig_version("f"), "");
    c.keep = REMOTE_ALL;
    c.size = 4;
    expect_done(arig_one(c, NULL));
    expect_file("f", "0123");
}

TEST(directories_links_and_names_come_move_and_go)
{
    const struct remote_setattr mode = {.mask = REMOTE_SET_MODE, .attr = {.mode = 01777}};
    struct remote_applied a;

    a = ARIG_DO(
        "x", {.kind = REMOTE_CHANGE_MKDIR, .path = arig_path("a"), .at = ARIG_ABSENT, .set = mode},
        {.kind = REMOTE_CHANGE_MKDIR, .path = arig_path("a/b"), .at = ARIG_ABSENT},
        arig_write("a/b/f", ARIG_ABSENT, "x"),
        {.kind = REMOTE_CHANGE_SYMLINK,
         .path = arig_path("a/l"),
         .path2 = "/no where/\xff",
         .at = ARIG_ABSENT},
        {.kind = REMOTE_CHANGE_LINK,
         .path = arig_path("a/b/f"),
         .path2 = arig_path("a/f2"),
         .at = ARIG_LEFT(2),
         .at2 = ARIG_ABSENT},
        {.kind = REMOTE_CHANGE_RENAME,
         .path = arig_path("a/b"),
         .path2 = arig_path("c"),
         .at = ARIG_LEFT(1),
         .at2 = ARIG_ABSENT});
    for (size_t i = 0; i < a.count; i++)
        expect_done(a.v[i]);
    expect_now(a.v[5], "c");
    expect_now(a.v[4], "a/f2");
    expect_now(a.v[3], "a/l");
    remote_applied_done(&a);
    assert_int_equal(arig_stat("a").st_mode, S_IFDIR | 01777);
    expect_file("c/f", "x");
    assert_int_equal(arig_stat("c/f").st_nlink, 2);
    a = ARIG_DO(NULL,
                {.kind = REMOTE_CHANGE_UNLINK, .path = arig_path("c/f"), .at = arig_same("c/f")},
                {.kind = REMOTE_CHANGE_RMDIR, .path = arig_path("c"), .at = arig_version("c")},
                {.kind = REMOTE_CHANGE_UNLINK, .path = arig_path("a/l"), .at = arig_version("a/l")},
                {.kind = REMOTE_CHANGE_SETATTR,
                 .path = arig_path("a/f2"),
                 .at = arig_same("a/f2"),
                 .set = {.mask = REMOTE_SET_MODE | REMOTE_SET_ATIME | REMOTE_SET_MTIME,
                         .attr = {.mode = 0, .atime_ns = -5, .mtime_ns = 7}}},
                {.kind = REMOTE_CHANGE_FSYNC, .path = arig_path("a"), .at = ARIG_ANY});
    for (size_t i = 0; i < a.count; i++)
        expect_done(a.v[i]);
    assert_int_equal(a.v[0].now.mode, 0);
    expect_now(a.v[3], "a/f2");
    assert_true(a.v[3].now.mtime_ns == 7 && timespec_to_ns(arig_stat("a/f2").st_atim) == -5);
    remote_applied_done(&a);
    assert_int_equal(arig_count("a"), 1);
    assert_int_equal(access("c", F_OK), -1);
}

TEST(a_rename_replaces_what_was_expected_or_exchanges)
{
    struct remote_applied a;

    arig_put("a", "a");
    arig_put("b", "b");
    a = ARIG_DO(NULL, {.kind = REMOTE_CHANGE_RENAME,
                       .path = arig_path("a"),
                       .path2 = arig_path("b"),
                       .at = arig_version("a"),
                       .at2 = arig_version("b")});
    expect_now(a.v[0], "b");
    remote_applied_done(&a);
    expect_file("b", "a");
    assert_int_equal(arig_count("."), 1);
    arig_put("c", "c");
    a = ARIG_DO(NULL, {.kind = REMOTE_CHANGE_RENAME,
                       .flags = REMOTE_CHANGE_EXCHANGE,
                       .path = arig_path("b"),
                       .path2 = arig_path("c"),
                       .at = arig_version("b"),
                       .at2 = arig_version("c")});
    expect_now(a.v[0], "c");
    remote_applied_done(&a);
    expect_file("c", "a");
    expect_file("b", "c");
}

TEST(an_append_goes_to_the_end_as_it_is_then)
{
    struct remote_change c;
    struct remote_object old;
    struct remote_result r;
    struct stat st;

    arig_put("log", "one\n");
    old = arig_version("log");
    arig_put("log", "one\ntheirs\n");
    c = arig_write("log", old, "ours\n");
    c.flags = REMOTE_CHANGE_APPEND;
    c.size = REMOTE_ALL;
    st = arig_stat("log");
    r = arig_one(c, "ours\n");
    expect_now(r, "log");
    assert_int_equal(r.other.ino, st.st_ino); /* what it was added to */
    assert_int_equal(r.other.size, 11);
    assert_int_equal(r.other.ctime_ns, timespec_to_ns(st.st_ctim));
    expect_file("log", "one\ntheirs\nours\n");
    assert_int_equal(unlink("log"), 0);
    expect(arig_one(c, "ours\n"), REMOTE_CONFLICT, -EBUSY);
    c.at = ARIG_ABSENT;
    r = arig_one(c, "ours\n");
    expect_done(r);
    assert_int_equal(r.other.mode, 0);
    expect_file("log", "ours\n");
}

/* ---- in place ---- */

TEST(a_file_with_two_names_keeps_both)
{
    ino_t ino;

    arig_put("f", "old");
    assert_int_equal(link("f", "g"), 0);
    ino = arig_stat("f").st_ino;
    expect_now(arig_one(arig_write("f", arig_version("f"), "newer"), "newer"), "f");
    expect_file("g", "newer");
    assert_true(arig_stat("f").st_ino == ino);
}

/* Its ctime moves with each of its names, and is not asked for. */
TEST(what_others_wrote_to_a_file_with_two_names_is_not_lost)
{
    struct remote_object at;

    arig_put("f", "old");
    at = arig_version("f");
    at.ctime_ns = 0;
    assert_int_equal(link("f", "g"), 0);
    expect_done(arig_one(arig_write("f", at, "ours"), "ours"));
    at = arig_version("f");
    at.ctime_ns = 0;
    arig_put("g", "theirs");
    expect(arig_one(arig_write("f", at, "more"), "more"), REMOTE_CONFLICT, -EBUSY);
    expect_file("f", "theirs");
}

/* Of what lost a name, and lives on under another one, it is told what it is now. Whatever was
 * written to it meanwhile: nothing of that is lost. */
TEST(one_name_of_several_goes_and_what_is_left_is_told)
{
    struct remote_change c = {.kind = REMOTE_CHANGE_UNLINK, .path = arig_path("f")};
    struct remote_result r;
    struct stat st;

    arig_put("f", "old");
    assert_int_equal(link("f", "g"), 0);
    assert_int_equal(link("f", "h"), 0);
    c.at = arig_version("f");
    arig_put("g", "written meanwhile");
    r = arig_one(c, NULL);
    expect_done(r);
    assert_null(arig_get("f"));
    st = arig_stat("g");
    assert_int_equal(r.now.mode, 0);
    assert_int_equal(r.other.ino, st.st_ino);
    assert_int_equal(r.other.nlink, 2);
    assert_int_equal(r.other.ctime_ns, timespec_to_ns(st.st_ctim));
    assert_int_equal(r.other.size, st.st_size);

    arig_put("new", "new");
    c = (struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                               .path = arig_path("new"),
                               .path2 = arig_path("g"),
                               .at = arig_version("new"),
                               .at2 = arig_version("g")};
    r = arig_one(c, NULL);
    expect_now(r, "g");
    st = arig_stat("h");
    assert_int_equal(r.other.ino, st.st_ino);
    assert_int_equal(r.other.nlink, 1);
    assert_int_equal(r.other.ctime_ns, timespec_to_ns(st.st_ctim));

    /* With the last one something would be lost. */
    c = (struct remote_change){
        .kind = REMOTE_CHANGE_UNLINK, .path = arig_path("h"), .at = arig_version("h")};
    arig_put("h", "changed");
    expect(arig_one(c, NULL), REMOTE_CONFLICT, -EBUSY);
    c.at = arig_version("h");
    r = arig_one(c, NULL);
    expect_done(r);
    assert_int_equal(r.other.mode, 0);
}

static const char *kept_path(uint64_t key)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/h/clients/%s/k-%llu", arig.root, arig.client,
             (unsigned long long)key);
    return path;
}

/* Applies one change, whose batch names these keys. */
static struct remote_result one_keeping(struct remote_change c, const uint64_t *kept, size_t count)
{
    struct remote_batch b = arig_batch(&c, 1, "data");
    struct remote_applied a;
    struct remote_result r;

    b.kept = kept;
    b.kept_count = count;
    assert_int_equal(arig_apply(&b, &a), 0);
    arig.number++;
    r = a.v[0];
    remote_applied_done(&a);
    return r;
}

TEST(what_is_open_at_the_clients_is_kept_until_a_batch_no_longer_names_it)
{
    static const uint64_t keys[] = {7, UINT64_MAX};
    struct remote_result r;
    struct stat st;

    arig_put("f", "unlinked");
    arig_put("g", "replaced");
    arig_put("new", "new");
    r = one_keeping((struct remote_change){.kind = REMOTE_CHANGE_UNLINK,
                                           .flags = REMOTE_CHANGE_KEEP,
                                           .key = 7,
                                           .path = arig_path("f"),
                                           .at = arig_version("f")},
                    keys, 2);
    expect_done(r);
    assert_null(arig_get("f"));
    st = arig_stat(kept_path(7));
    assert_int_equal(r.other.ino, st.st_ino);
    assert_int_equal(r.other.nlink, 1);
    assert_int_equal(r.other.ctime_ns, timespec_to_ns(st.st_ctim));
    expect_file(kept_path(7), "unlinked");
    r = one_keeping((struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                                           .flags = REMOTE_CHANGE_KEEP,
                                           .key = UINT64_MAX,
                                           .path = arig_path("new"),
                                           .path2 = arig_path("g"),
                                           .at = arig_version("new"),
                                           .at2 = arig_version("g")},
                    keys, 2);
    expect_now(r, "g");
    expect_file("g", "new");
    expect_file(kept_path(7), "unlinked");
    st = arig_stat(kept_path(UINT64_MAX));
    assert_int_equal(r.other.ino, st.st_ino);
    assert_int_equal(r.other.nlink, 1);
    expect_file(kept_path(UINT64_MAX), "replaced");

    /* Another one is there: nothing is done, and nothing kept. */
    r = one_keeping((struct remote_change){.kind = REMOTE_CHANGE_UNLINK,
                                           .flags = REMOTE_CHANGE_KEEP,
                                           .key = 8,
                                           .path = arig_path("g"),
                                           .at = {.means = REMOTE_VERSION, .ino = 1}},
                    keys + 1, 1);
    expect(r, REMOTE_CONFLICT, -EBUSY);
    assert_null(arig_get(kept_path(8)));
    assert_null(arig_get(kept_path(7)));
    expect_file(kept_path(UINT64_MAX), "replaced");
    expect_done(arig_one(arig_write("h", ARIG_ABSENT, "data"), "data"));
    assert_null(arig_get(kept_path(UINT64_MAX)));
}

/* Who wrote it had it open before it got that mode, as git's packs; killed at any step of it. */
TEST(a_mode_that_came_later_does_not_stop_what_was_written)
{
    enum { USER = 65534 };
    const struct remote_change append = {.kind = REMOTE_CHANGE_WRITE,
                                         .flags = REMOTE_CHANGE_APPEND,
                                         .path = arig_path("f"),
                                         .keep = REMOTE_ALL,
                                         .size = REMOTE_ALL,
                                         .pieces = &(struct remote_piece){.len = 3},
                                         .piece_count = 1};
    bool died = true;

    if (geteuid() != 0)
        skip();
    arig_put("f", "one");
    assert_int_equal(link("f", "g"), 0);
    arig_own(USER);
    for (long step = 1; died; step++) {
        struct remote_change v[2] = {arig_write("f", arig_same("f"), "two"), append};
        struct remote_batch b;
        struct remote_applied a;
        bool more;

        assert_int_equal(chmod("f", 0444), 0);
        v[1].at = ARIG_LEFT(0);
        b = arig_batch(v, 2, "two");
        arig.dies_at = step;
        died = arig_ask(&b, true, &a, &more) == -EPIPE;
        arig.dies_at = 0;
        if (died)
            assert_int_equal(arig_apply(&b, &a), 0);
        expect_done(a.v[0]);
        expect_now(a.v[1], "f");
        remote_applied_done(&a);
        arig.number++;
        expect_file("g", "twotwo");
        assert_int_equal(arig_stat("f").st_mode & 07777, 0444);
    }
}

TEST(little_in_a_large_file_is_written_in_place)
{
    enum { SIZE = 32 << 20 };
    struct remote_change c;
    struct stat old;
    char *file;

    arig_put("f", "");
    assert_int_equal(truncate("f", SIZE), 0);
    old = arig_stat("f");
    c = arig_write("f", arig_version("f"), "12345");
    ((struct remote_piece *)c.pieces)->off = SIZE / 2;
    c.keep = c.size = REMOTE_ALL;
    expect_now(arig_one(c, "12345"), "f");
    assert_true(arig_stat("f").st_ino == old.st_ino);
    assert_true(arig_stat("f").st_blocks < 100); /* and what was a hole still is one */
    file = arig_get("f");
    assert_memory_equal(file + SIZE / 2, "12345", 5);
}

TEST(holes_stay_holes_when_a_file_is_copied)
{
    enum { SIZE = 3 << 20 };
    struct remote_change c;
    ino_t ino;

    arig_put("f", "begin");
    assert_int_equal(truncate("f", SIZE), 0);
    ino = arig_stat("f").st_ino;
    c = arig_write("f", arig_version("f"), "12345");
    ((struct remote_piece *)c.pieces)->off = SIZE - 5;
    c.keep = c.size = REMOTE_ALL;
    expect_done(arig_one(c, "12345"));
    assert_true(arig_stat("f").st_ino != ino);
    assert_int_equal(arig_stat("f").st_size, SIZE);
    assert_true(arig_stat("f").st_blocks < 100);
    assert_memory_equal(arig_get("f"), "begin", 6);
}

/* ---- objects ---- */

TEST(another_object_is_never_touched)
{
    static const enum remote_change_kind kinds[] = {REMOTE_CHANGE_WRITE,   REMOTE_CHANGE_UNLINK,
                                                    REMOTE_CHANGE_SETATTR, REMOTE_CHANGE_RENAME,
                                                    REMOTE_CHANGE_LINK,    REMOTE_CHANGE_FSYNC};

    for (size_t i = 0; i < 4 * ARRAY_LEN(kinds); i++) {
        struct remote_change c = {.kind = kinds[i / 4],
                                  .path = arig_path("f"),
                                  .path2 = arig_path("g"),
                                  .set = {.mask = REMOTE_SET_MODE, .attr = {.mode = 0600}}};
        struct stat before;
        struct remote_result r;

        arig_put("f", "mine");
        switch (i % 4) {
        case 0: /* something is there after all */
            c.at = ARIG_ABSENT;
            break;
        case 1: /* another file has the name */
            c.at = arig_same("f");
            arig_put("other", "mine");
            assert_int_equal(rename("other", "f"), 0);
            break;
        case 2: /* it was changed in place, and given its time back */
            c.at = arig_version("f");
            arig_put("f", "thei");
            assert_int_equal(utimensat(AT_FDCWD, "f",
                                       (struct timespec[]){{.tv_nsec = UTIME_OMIT},
                                                           ns_to_timespec(c.at.mtime_ns)},
                                       0),
                             0);
            usleep(15000);
            assert_int_equal(chmod("f", 0640), 0);
            break;
        case 3: /* it is gone */
            c.at = arig_version("f");
            assert_int_equal(unlink("f"), 0);
            break;
        }
        if (i % 4 == 3) {
            r = arig_one(c, NULL);
            expect(r, REMOTE_CONFLICT, -EBUSY);
            assert_int_equal(r.now.mode, 0);
            assert_int_equal(access("f", F_OK), -1);
            continue;
        }
        before = arig_stat("f");
        r = arig_one(c, NULL);
        expect(r, REMOTE_CONFLICT, -EBUSY);
        assert_true(r.now.ino == before.st_ino);
        assert_true(arig_stat("f").st_ino == before.st_ino);
        assert_true(timespec_to_ns(arig_stat("f").st_ctim) == timespec_to_ns(before.st_ctim));
        assert_int_equal(access("g", F_OK), -1);
    }
}

/* What has its number, and even its times, may have been made later. */
TEST(a_file_that_was_born_at_another_time_is_another_object)
{
    static const enum remote_change_kind kinds[] = {REMOTE_CHANGE_WRITE, REMOTE_CHANGE_UNLINK,
                                                    REMOTE_CHANGE_SETATTR, REMOTE_CHANGE_RENAME,
                                                    REMOTE_CHANGE_LINK};

    for (size_t i = 0; i < 4 * ARRAY_LEN(kinds); i++) {
        struct remote_result r = arig_one(arig_write("f", ARIG_ABSENT, "mine"), "mine");
        struct remote_change c = {.kind = kinds[i / 4],
                                  .path = arig_path("f"),
                                  .path2 = arig_path("g"),
                                  .at = i % 2 ? arig_version("f") : arig_same("f"),
                                  .set = {.mask = REMOTE_SET_MODE, .attr = {.mode = 0600}}};
        const bool other = i % 4 < 2;

        if (r.now.birth == 0) /* this file system does not tell */
            skip();
        c.at.birth = other ? r.now.birth + 2 : r.now.birth;
        r = arig_one(c, "");
        if (other) {
            expect(r, REMOTE_CONFLICT, -EBUSY);
            expect_file("f", "mine");
            assert_int_equal(access("g", F_OK), -1);
        } else {
            expect_done(r);
        }
        (void)unlink("f");
        (void)unlink("g");
    }
}

TEST(the_same_content_is_the_same_file_whatever_its_inode)
{
    uint8_t hash[SHA256_BYTES], other[SHA256_BYTES] = {1};
    struct remote_change c;
    struct remote_object o = {.means = REMOTE_VERSION, .ino = 1, .size = 11, .hash = hash};

    arig_put("f", "was restored");
    assert_int_equal(truncate("f", 11), 0);
    sha256("was restore", 11, hash);
    c = arig_write("f", o, "new");
    c.at.hash = other;
    expect(arig_one(c, "new"), REMOTE_CONFLICT, -EBUSY);
    c.at.hash = hash;
    expect_now(arig_one(c, "new"), "f");
    expect_file("f", "new");
}

TEST(what_is_new_must_not_be_there_yet)
{
    struct remote_applied a;

    arig_put("f", "theirs");
    arig_put("g", "g");
    a = ARIG_DO(
        "x", arig_write("f", ARIG_ABSENT, "x"),
        {.kind = REMOTE_CHANGE_MKDIR, .path = arig_path("f"), .at = ARIG_ABSENT},
        {.kind = REMOTE_CHANGE_SYMLINK, .path = arig_path("g"), .path2 = "y", .at = ARIG_ABSENT});
    expect(a.v[0], REMOTE_CONFLICT, -EBUSY);
    expect(a.v[1], REMOTE_POISONED, -ECANCELED); /* for the same path */
    expect(a.v[2], REMOTE_CONFLICT, -EBUSY);
    remote_applied_done(&a);
    a = ARIG_DO(NULL, {.kind = REMOTE_CHANGE_LINK,
                       .path = arig_path("g"),
                       .path2 = arig_path("f"),
                       .at = arig_version("g"),
                       .at2 = ARIG_ABSENT});
    expect(a.v[0], REMOTE_CONFLICT, -EBUSY);
    assert_true(a.v[0].now.ino == arig_stat("f").st_ino); /* what is in the way */
    remote_applied_done(&a);
    expect(arig_one((struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                                           .flags = REMOTE_CHANGE_NOREPLACE,
                                           .path = arig_path("g"),
                                           .path2 = arig_path("f"),
                                           .at = arig_version("g")},
                    NULL),
           REMOTE_FAILED, -EEXIST);
    expect_file("f", "theirs");
    expect_file("g", "g");
}

/* ---- poison ---- */

TEST(what_stands_on_a_failed_change_is_poisoned_and_nothing_else)
{
    struct remote_applied a;

    arig_put("d", "a file");
    a = ARIG_DO("x", {.kind = REMOTE_CHANGE_MKDIR, .path = arig_path("d"), .at = ARIG_ABSENT},
                arig_write("d/f", ARIG_ABSENT, "x"), arig_write("dd", ARIG_ABSENT, "x"),
                {.kind = REMOTE_CHANGE_RENAME,
                 .path = arig_path("d/f"),
                 .path2 = arig_path("e"),
                 .at = ARIG_LEFT(1),
                 .at2 = ARIG_ABSENT},
                arig_write("e", ARIG_ANY, "x"),
                {.kind = REMOTE_CHANGE_UNLINK, .path = arig_path("dd"), .at = ARIG_LEFT(2)},
                {.kind = REMOTE_CHANGE_SETATTR, .path = arig_path("other"), .at = ARIG_LEFT(0)});
    expect(a.v[0], REMOTE_CONFLICT, -EBUSY);
    expect(a.v[1], REMOTE_POISONED, -ECANCELED);
    expect_done(a.v[2]);
    expect(a.v[3], REMOTE_POISONED, -ECANCELED);
    expect(a.v[4], REMOTE_POISONED, -ECANCELED);
    expect_done(a.v[5]);
    expect(a.v[6], REMOTE_POISONED, -ECANCELED);
    remote_applied_done(&a);
    assert_int_equal(arig_count("."), 1);
}

/* ---- what is in the way ---- */

TEST(links_and_special_files_are_never_followed_or_opened)
{
    char outside[128];
    struct remote_result r;

    snprintf(outside, sizeof(outside), "%s/outside", arig.root);
    arig_put(outside, "safe");
    assert_int_equal(symlink(outside, "l"), 0);
    assert_int_equal(symlink(arig.root, "d"), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    expect(arig_one(arig_write("l", arig_version("l"), "x"), "x"), REMOTE_FAILED, -ELOOP);
    expect(arig_one(arig_write("l", ARIG_ANY, "x"), "x"), REMOTE_FAILED, -ELOOP);
    expect(arig_one(arig_write("fifo", ARIG_ANY, "x"), "x"), REMOTE_FAILED, -EINVAL);
    r = arig_one(arig_write("d/outside", ARIG_ANY, "x"), "x");
    assert_true(r.outcome == REMOTE_FAILED && (r.err == -ELOOP || r.err == -ENOTDIR));
    expect(arig_one((struct remote_change){.kind = REMOTE_CHANGE_UNLINK,
                                           .path = arig_path("d/outside"),
                                           .at = arig_same(outside)},
                    NULL),
           REMOTE_CONFLICT, -EBUSY);
    expect_done(
        arig_one((struct remote_change){.kind = REMOTE_CHANGE_SETATTR,
                                        .path = arig_path("l"),
                                        .at = arig_same("l"),
                                        .set = {.mask = REMOTE_SET_MTIME, .attr = {.mtime_ns = 5}}},
                 NULL));
    expect(arig_one((struct remote_change){.kind = REMOTE_CHANGE_SETATTR,
                                           .path = arig_path("l"),
                                           .at = arig_same("l"),
                                           .set = {.mask = REMOTE_SET_MODE, .attr = {.mode = 0}}},
                    NULL),
           REMOTE_FAILED, -EOPNOTSUPP);
    expect_done(arig_one((struct remote_change){.kind = REMOTE_CHANGE_FSYNC,
                                                .path = arig_path("fifo"),
                                                .at = ARIG_ANY},
                         NULL));
    expect_file(outside, "safe");
    assert_true(timespec_to_ns(arig_stat("l").st_mtim) == 5);
    assert_true(timespec_to_ns(arig_stat(outside).st_mtim) != 5);
    assert_int_equal(arig_stat(outside).st_mode & 0777, 0644);
}

/* Does the list of what was synced have that? */
static bool was_synced(const char *list, const char *name)
{
    char line[32], *text = strdup(arig_get(list) ? arig_get(list) : "");
    bool found = false, whole;

    snprintf(line, sizeof(line), "%ju", (uintmax_t)arig_stat(name).st_ino);
    for (char *p = text; !found && (p = strstr(p, line)); p++) {
        whole = p[strlen(line)] == '\n' && (p == text || p[-1] == '\n');
        found = whole;
    }
    free(text);
    return found;
}

TEST(what_is_to_be_on_the_disk_is_synced_with_its_directory)
{
    static const struct {
        const char *name;
        bool there;
        unsigned flags;
    } rows[] = {
        {"d/new", false, 0},
        {"d/replaced", true, 0},
        {"d/patched", true, REMOTE_CHANGE_IN_PLACE},
        {"d/log", true, REMOTE_CHANGE_APPEND},
    };
    assert_int_equal(mkdir("d", 0755), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (unsigned too = 0; too < 2; too++) {
            struct remote_change c;

            (void)unlink(rows[i].name);
            if (rows[i].there)
                arig_put(rows[i].name, "old");
            c = arig_write(rows[i].name, rows[i].there ? arig_version(rows[i].name) : ARIG_ABSENT,
                           "new");
            c.flags |= rows[i].flags | (too ? REMOTE_CHANGE_FSYNC_TOO : 0);
            (void)unlink("synced");
            setenv("HELPER_SYNCED", "synced", 1);
            expect_done(arig_one(c, "new"));
            unsetenv("HELPER_SYNCED");
            assert_int_equal(was_synced("synced", rows[i].name), too);
            assert_int_equal(was_synced("synced", "d"), too);
        }
}

TEST(names_are_bytes_as_long_as_they_may_be)
{
    char name[256], *deep = calloc(1, 8000);
    struct remote_change v[32];
    struct remote_applied a;

    memset(name, 0xff, sizeof(name) - 1);
    name[255] = '\0';
    expect_now(arig_one(arig_write(name, ARIG_ABSENT, "x"), "x"), name);
    expect_now(arig_one(arig_write(name, arig_version(name), "y"), "y"), name);
    expect_file(name, "y");
    expect_done(arig_one((struct remote_change){.kind = REMOTE_CHANGE_UNLINK,
                                                .path = arig_path(name),
                                                .at = arig_version(name)},
                         NULL));
    memset(name, 'n', 240); /* deeper than PATH_MAX */
    name[240] = '\0';
    for (size_t i = 0; i < 24; i++) {
        strcat(strcat(deep, i ? "/" : ""), name);
        v[i] = (struct remote_change){
            .kind = REMOTE_CHANGE_MKDIR, .path = arig_path(deep), .at = ARIG_ABSENT};
    }
    strcat(deep, "/file");
    v[24] = arig_write(deep, ARIG_ABSENT, "deep");
    v[25] = arig_write(deep, ARIG_LEFT(24), "deep");
    a = arig_do(v, 26, "deep");
    for (size_t i = 0; i < a.count; i++)
        expect_done(a.v[i]);
    remote_applied_done(&a);
    free(deep);
}

TEST(a_refusal_is_told_with_its_reason)
{
    struct remote_applied a;

    assert_int_equal(mkdir("full", 0755), 0);
    arig_put("full/f", "x");
    arig_put("f", "x");
    a = ARIG_DO("x",
                {.kind = REMOTE_CHANGE_RMDIR, .path = arig_path("full"), .at = arig_same("full")},
                {.kind = REMOTE_CHANGE_RMDIR, .path = arig_path("f"), .at = ARIG_ANY},
                arig_write("none/f", ARIG_ABSENT, "x"), arig_write("f/below", ARIG_ABSENT, "x"));
    expect(a.v[0], REMOTE_FAILED, -ENOTEMPTY);
    expect(a.v[1], REMOTE_FAILED, -ENOTDIR);
    expect(a.v[2], REMOTE_FAILED, -ENOENT);
    expect(a.v[3], REMOTE_POISONED, -ECANCELED);
    remote_applied_done(&a);
    assert_int_equal(mkdir("e", 0755), 0);
    a = ARIG_DO("x", {.kind = REMOTE_CHANGE_UNLINK, .path = arig_path("e"), .at = arig_same("e")},
                arig_write("full", arig_same("full"), "x"),
                {.kind = REMOTE_CHANGE_UNLINK, .path = arig_path("missing"), .at = ARIG_ANY});
    expect(a.v[0], REMOTE_FAILED, -EISDIR);
    expect(a.v[1], REMOTE_FAILED, -EISDIR);
    expect(a.v[2], REMOTE_FAILED, -ENOENT);
    remote_applied_done(&a);
}

TEST(a_full_disk_fails_what_needs_room_and_nothing_else)
{
    static char big[200 << 10];
    struct remote_applied a;

    assert_int_equal(mkdir("small", 0755), 0);
    if (mount("none", "small", "tmpfs", 0, "size=128k") < 0)
        skip();
    arig_put("small/f", "keep me");
    arig_put("small/log", "log");
    memset(big, 'b', sizeof(big) - 1);
    a = ARIG_DO(big, arig_write("small/f", arig_version("small/f"), big),
                arig_write("small/new", ARIG_ABSENT, big),
                {.kind = REMOTE_CHANGE_UNLINK,
                 .path = arig_path("small/log"),
                 .at = arig_version("small/log")});
    expect(a.v[0], REMOTE_FAILED, -ENOSPC);
    expect(a.v[1], REMOTE_FAILED, -ENOSPC);
    expect_done(a.v[2]);
    remote_applied_done(&a);
    expect_file("small/f", "keep me");
    assert_int_equal(arig_count("small"), 1); /* no half files */
    assert_int_equal(link("small/f", "small/f2"), 0);
    expect(arig_one(arig_write("small/f", arig_version("small/f"), big), big), REMOTE_FAILED,
           -ENOSPC);
    assert_true(strlen(arig_get("small/f")) == 0 || strcmp(arig_get("small/f"), "keep me") == 0);
    assert_int_equal(mount("none", "small", NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    expect(arig_one(arig_write("small/new", ARIG_ABSENT, "x"), "x"), REMOTE_FAILED, -EROFS);
    expect(arig_one((struct remote_change){.kind = REMOTE_CHANGE_UNLINK,
                                           .path = arig_path("small/f"),
                                           .at = arig_version("small/f")},
                    NULL),
           REMOTE_FAILED, -EROFS);
    assert_int_equal(umount("small"), 0);
}

TEST(a_file_on_another_file_system_is_built_beside_its_name)
{
    struct remote_applied a;

    assert_int_equal(mkdir("other", 0755), 0);
    if (mount("none", "other", "tmpfs", 0, "size=1m") < 0)
        skip();
    arig_put("other/f", "old");
    arig_put("other/g", "g");
    a = ARIG_DO(
        "new", arig_write("other/f", arig_version("other/f"), "new"),
        arig_write("other/h", ARIG_ABSENT, "new"),
        {.kind = REMOTE_CHANGE_UNLINK, .path = arig_path("other/g"), .at = arig_version("other/g")},
        {.kind = REMOTE_CHANGE_RENAME,
         .path = arig_path("other/h"),
         .path2 = arig_path("h"),
         .at = ARIG_LEFT(1),
         .at2 = ARIG_ABSENT});
    expect_done(a.v[0]);
    expect_done(a.v[1]);
    expect_done(a.v[2]);
    expect(a.v[3], REMOTE_FAILED, -EXDEV);
    remote_applied_done(&a);
    expect_file("other/f", "new");
    assert_int_equal(arig_count("other"), 2);
    assert_int_equal(umount("other"), 0);
}

/* The same device, and still nothing can be renamed there: two mounts. */
TEST(a_file_on_another_mount_is_built_beside_its_name)
{
    struct remote_applied a;

    assert_int_equal(mkdir("other", 0755), 0);
    if (mount("other", "other", NULL, MS_BIND, NULL) < 0)
        skip();
    arig_put("other/f", "old");
    arig_put("other/g", "g");
    a = ARIG_DO(
        "new",
        {.kind = REMOTE_CHANGE_UNLINK, .path = arig_path("other/g"), .at = arig_version("other/g")},
        arig_write("other/f", arig_version("other/f"), "new"));
    expect_done(a.v[0]);
    expect_done(a.v[1]);
    remote_applied_done(&a);
    expect_file("other/f", "new");
    assert_int_equal(arig_count("other"), 1);
    assert_int_equal(umount("other"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, apply_rig_enter, apply_rig_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_file_has_its_content_mode_and_time),
        CASE(a_new_file_without_a_mode_is_as_any_program_makes_it),
        CASE(a_file_is_replaced_by_a_new_inode_with_the_old_ones_mode),
        CASE(pieces_go_over_what_is_kept_with_zeros_between),
        CASE(a_truncation_is_a_write_without_pieces),
        CASE(directories_links_and_names_come_move_and_go),
        CASE(a_rename_replaces_what_was_expected_or_exchanges),
        CASE(an_append_goes_to_the_end_as_it_is_then),
        CASE(a_file_with_two_names_keeps_both),
        CASE(what_others_wrote_to_a_file_with_two_names_is_not_lost),
        CASE(one_name_of_several_goes_and_what_is_left_is_told),
        CASE(what_is_open_at_the_clients_is_kept_until_a_batch_no_longer_names_it),
        CASE(a_mode_that_came_later_does_not_stop_what_was_written),
        CASE(little_in_a_large_file_is_written_in_place),
        CASE(holes_stay_holes_when_a_file_is_copied),
        CASE(another_object_is_never_touched),
        CASE(a_file_that_was_born_at_another_time_is_another_object),
        CASE(the_same_content_is_the_same_file_whatever_its_inode),
        CASE(what_is_new_must_not_be_there_yet),
        CASE(what_stands_on_a_failed_change_is_poisoned_and_nothing_else),
        CASE(links_and_special_files_are_never_followed_or_opened),
        CASE(what_is_to_be_on_the_disk_is_synced_with_its_directory),
        CASE(names_are_bytes_as_long_as_they_may_be),
        CASE(a_refusal_is_told_with_its_reason),
        CASE(a_full_disk_fails_what_needs_room_and_nothing_else),
        CASE(a_file_on_another_file_system_is_built_beside_its_name),
        CASE(a_file_on_another_mount_is_built_beside_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
