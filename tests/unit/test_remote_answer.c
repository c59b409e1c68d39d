/* What a hostile sandbox may say in the helper's place. */
#include "unit.h"

#include "remote/helper_answer.h"
#include "util/base64.h"
#include "util/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct buf raw = BUF_INIT(8 << 20);
static uint64_t entries; /* in raw */

static void begin(void)
{
    const struct proto_start s = {
        .now_ns = 1000, .uptime_ns = 5, .boot = "boot.1", .boot_len = strlen("boot.1")};

    buf_truncate(&raw, 0);
    entries = 0;
    assert_int_equal(proto_put_start(&raw, &s), 0);
}

static void dir(const char *path, unsigned flags, int err)
{
    const struct proto_dir d = {.flags = flags,
                                .err = err,
                                .path = path,
                                .path_len = strlen(path),
                                .self = {.name = "", .mode = S_IFDIR | 0755}};

    assert_int_equal(proto_put_dir(&raw, &d), 0);
}

static void entry_of(const struct proto_entry *e)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);

    assert_int_equal(proto_put_entry(&body, e), 0);
    assert_int_equal(proto_put_frame(&raw, PROTO_ENTRIES, &body), 0);
    buf_done(&body);
    entries++;
}

static void entry(const char *name)
{
    entry_of(&(struct proto_entry){
        .name = name, .name_len = strlen(name), .mode = S_IFREG | 0644, .ino = 9, .size = 3});
}

static void end(int err)
{
    const struct proto_end e = {.err = (uint64_t)err, .entries = entries};

    assert_int_equal(proto_put_end(&raw, &e), 0);
}

static struct proto_request about(enum proto_verb verb)
{
    static char *paths[] = {"a", "b/c"};

    return (struct proto_request){.verb = verb, .root = "/r", .paths = paths, .path_count = 2};
}

static int decode(enum proto_verb verb, struct remote_tree *ret)
{
    const struct proto_request req = about(verb);

    return answer_tree(&raw, &req, NULL, ret);
}

static void expect_refused(enum proto_verb verb)
{
    struct remote_tree t;

    assert_int_equal(decode(verb, &t), -EPROTO);
}

/* ---- text ---- */

TEST(an_answer_is_found_in_whatever_was_printed)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"tok3n:aGVsbG8=:tok3n\n", 0},
        {"motd: hi\nexec x tok3n\ntok3n:aGVsbG8=:tok3ntrailing", 0},
        {"tok3n:aGVs\nbG8=:tok3n", 0},
        {"", -ENODATA},
        {"sh: not found", -ENODATA},
        {"tok3", -ENODATA},
        {"tok3n", -ENODATA},
        {"tok3n tok3n", -ENODATA},
        {"tok3n:", -EPROTO},
        {"tok3n:aGVsbG8=", -EPROTO},
        {"tok3n:aGVsbG8=:", -EPROTO},
        {"tok3n:aGVsbG8=:tok3", -EPROTO},
        {"tok3n:aGVsbG8=:other", -EPROTO},
        {"tok3n:aGV*bG8=:tok3n", -EPROTO},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = BUF_INIT(100);
        const int r = answer_text("tok3n", cases[i].text, strlen(cases[i].text), &out);

        if (r != cases[i].r)
            fail_msg("%s: %d", cases[i].text, r);
        assert_string_equal(buf_str(&out), r == 0 ? "hello" : "");
        buf_done(&out);
    }
}

TEST(an_answer_beyond_the_ceiling_is_refused)
{
    struct buf out = BUF_INIT(4);

    assert_int_equal(answer_text("t", "t:aGVsbG8=:t", 12, &out), -EFBIG);
    buf_done(&out);
}

/* ---- frames ---- */

TEST(a_good_answer_comes_through)
{
    struct remote_tree t;

    begin();
    dir("a", PROTO_DIR_WHOLE, 0);
    entry("z");
    entry("y");
    entry_of(&(struct proto_entry){
        .name = "l", .name_len = 1, .target = "to", .target_len = 2, .mode = S_IFLNK | 0777});
    dir("b/c", 0, ENOENT);
    end(0);
    assert_int_equal(decode(PROTO_VERB_CHANGES, &t), 0);
    assert_int_equal(t.now_ns, 1000);
    assert_int_equal(t.uptime_ns, 5);
    assert_string_equal(t.boot, "boot.1");
    assert_int_equal(t.dir_count, 2);
    assert_int_equal(t.dirs[1].err, -ENOENT);
    assert_string_equal(t.v[0].name, "l");
    assert_string_equal(t.v[0].target, "to");
    assert_string_equal(t.v[2].name, "z");
    assert_int_equal(t.v[2].attr.ino, 9);
    remote_tree_done(&t);
}

TEST(a_cut_or_bent_answer_is_refused_at_every_byte)
{
    struct remote_tree t;
    size_t len;

    begin();
    dir("a", PROTO_DIR_WHOLE, 0);
    entry("y");
    end(0);
    len = raw.len;
    for (size_t cut = 0; cut < len; cut++) {
        raw.len = cut;
        expect_refused(PROTO_VERB_TREE);
    }
    raw.len = len;
    for (size_t at = 0; at < len; at++) {
        raw.data[at] ^= 0x10;
        expect_refused(PROTO_VERB_TREE);
        raw.data[at] ^= 0x10;
    }
    assert_int_equal(decode(PROTO_VERB_TREE, &t), 0);
    remote_tree_done(&t);
    entry("after the end");
    expect_refused(PROTO_VERB_TREE);
}

TEST(frames_in_the_wrong_place_are_refused)
{
    begin();
    entry("of no directory");
    end(0);
    expect_refused(PROTO_VERB_TREE);

    begin();
    dir("a", PROTO_DIR_WHOLE, ENOENT);
    entry("of one that failed");
    end(0);
    expect_refused(PROTO_VERB_TREE);

    begin();
    assert_int_equal(proto_put_info(&raw, &(struct proto_info){.uid = 1}), 0);
    end(0);
    expect_refused(PROTO_VERB_TREE);

    buf_truncate(&raw, 0); /* no start */
    entries = 0;
    end(0);
    expect_refused(PROTO_VERB_TREE);

    begin();
    dir("a", PROTO_DIR_WHOLE, 0);
    entry("x");
    entries = 0; /* and miscounted */
    end(0);
    expect_refused(PROTO_VERB_TREE);
}

TEST(an_answer_may_tell_of_space)
{
    struct remote_tree t;

    begin();
    dir("a", PROTO_DIR_WHOLE, 0);
    entry("x");
    assert_int_equal(proto_put_statfs(&raw, &(struct proto_statfs){.blocks = 7}), 0);
    end(0);
    assert_int_equal(decode(PROTO_VERB_TREE, &t), 0);
    assert_true(t.has_space);
    assert_int_equal(t.space.blocks, 7);
    assert_int_equal(t.count, 1);
    remote_tree_done(&t);
}

TEST(entries_that_cannot_be_are_refused)
{
    static const struct proto_entry bad[] = {
        {.name = "..", .name_len = 2, .mode = S_IFREG},
        {.name = ".", .name_len = 1, .mode = S_IFDIR},
        {.name = "a/b", .name_len = 3, .mode = S_IFREG},
        {.name = "a\0b", .name_len = 3, .mode = S_IFREG},
        {.name = "", .name_len = 0, .mode = S_IFREG},
        {.name = "x", .name_len = 1, .mode = 0644},
        {.name = "x", .name_len = 1, .mode = S_IFMT | 0644},
        {.name = "x", .name_len = 1, .mode = S_IFREG | 0x10000},
        {.name = "x", .name_len = 1, .mode = S_IFLNK | 0777},
        {.name = "x", .name_len = 1, .mode = S_IFREG, .target = "t", .target_len = 1},
        {.name = "x", .name_len = 1, .mode = S_IFLNK, .target = "", .target_len = 0},
        {.name = "x", .name_len = 1, .mode = S_IFLNK, .target = "a\0b", .target_len = 3},
        {.name = "x", .name_len = 1, .mode = S_IFREG, .size = UINT64_MAX},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct remote_tree t;
        int r;

        begin();
        dir("a", PROTO_DIR_WHOLE, 0);
        entry_of(&bad[i]);
        end(0);
        r = decode(PROTO_VERB_CHANGES, &t);
        if (r != -EPROTO)
            fail_msg("entry %zu: %d", i, r);
    }
    begin();
    dir("a", PROTO_DIR_WHOLE, 0);
    entry("twice");
    entry("once");
    entry("twice");
    end(0);
    expect_refused(PROTO_VERB_CHANGES);
}

TEST(directories_that_nobody_asked_for_are_refused)
{
    static const char *const bad[] = {"b", "aa", "a/", "/a", "../a", "a/../a", "b/c/d/..", ""};
    struct remote_tree t;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        begin();
        dir("a", PROTO_DIR_WHOLE, 0);
        dir(bad[i], PROTO_DIR_WHOLE, 0);
        end(0);
        expect_refused(PROTO_VERB_TREE);
        expect_refused(PROTO_VERB_CHANGES);
    }
    begin();
    dir("a", PROTO_DIR_WHOLE, 0);
    dir("a/b", PROTO_DIR_WHOLE, 0);
    dir("a/b/c", PROTO_DIR_WHOLE, 0);
    end(0);
    expect_refused(PROTO_VERB_CHANGES);
    assert_int_equal(decode(PROTO_VERB_TREE, &t), 0);
    remote_tree_done(&t);
    begin();
    dir("a", PROTO_DIR_WHOLE, 0);
    dir("a/b/c", PROTO_DIR_WHOLE, 0); /* not without the one it is in */
    end(0);
    expect_refused(PROTO_VERB_TREE);
    begin();
    dir("a", 0, 0);
    dir("a", 0, 0);
    end(0);
    expect_refused(PROTO_VERB_CHANGES);
}

TEST(the_helpers_own_failures_are_errnos)
{
    struct remote_tree t;

    begin();
    end(ENOENT);
    assert_int_equal(decode(PROTO_VERB_TREE, &t), -ENOENT);
    begin();
    dir("a", PROTO_DIR_WHOLE, 0);
    entry("x");
    dir("a", 0, EIO); /* a listing that broke off */
    end(0);
    assert_int_equal(decode(PROTO_VERB_TREE, &t), 0);
    assert_int_equal(t.dir_count, 1);
    assert_int_equal(t.dirs[0].err, -EIO);
    assert_int_equal(t.count, 0);
    remote_tree_done(&t);
}

TEST(hidden_names_are_left_out_where_they_are)
{
    static char *paths[] = {"", "b/c"};
    const struct proto_request req = {
        .verb = PROTO_VERB_TREE, .root = "/r", .paths = paths, .path_count = 2};
    static const struct {
        struct answer_hide hide;
        const char *root;
        size_t left;
    } cases[] = {
        {{0}, "/r", 4},
        {{.temps = true}, "/r", 3},
        {{.dir = "/r/mine"}, "/r", 3},
        {{.dir = "/r/b/c/mine"}, "/r", 3},
        {{.dir = "/b/c/mine"}, "/", 3},
        {{.dir = "/mine"}, "/", 3},
        {{.dir = "/rr/mine"}, "/r", 4},
        {{.dir = "/r/b/mine"}, "/r", 4},
        {{.dir = "/r/min"}, "/r", 4},
        {{.dir = ""}, "/r", 4},
    };

    begin();
    dir("", PROTO_DIR_WHOLE, 0);
    entry("mine");
    entry(".daytonafs-0123abcd-1");
    dir("b/c", PROTO_DIR_WHOLE, 0);
    entry("mine");
    entry(".daytonafs-0123abcd-");
    end(0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proto_request r = req;
        struct remote_tree t;

        r.root = (char *)cases[i].root;
        assert_int_equal(answer_tree(&raw, &r, &cases[i].hide, &t), 0);
        if (t.count != cases[i].left)
            fail_msg("case %zu: %zu", i, t.count);
        remote_tree_done(&t);
    }
}

/* ---- the small ones ---- */

static void file(enum proto_kind kind, mode_t mode, int64_t ctime_ns)
{
    const struct proto_entry e = {
        .name = "", .mode = mode, .ino = 7, .size = 10, .mtime_ns = 1, .ctime_ns = ctime_ns};
    struct buf body = BUF_INIT(PROTO_BODY_MAX);

    assert_int_equal(proto_put_entry(&body, &e), 0);
    assert_int_equal(proto_put_frame(&raw, kind, &body), 0);
    buf_done(&body);
}

static void data(uint64_t off, const char *text)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);

    assert_int_equal(proto_put_uint(&body, off), 0);
    assert_int_equal(proto_put_string(&body, text, strlen(text)), 0);
    assert_int_equal(proto_put_frame(&raw, PROTO_DATA, &body), 0);
    buf_done(&body);
}

static int read_it(uint64_t off, uint64_t len, const char *want)
{
    struct buf out = BUF_INIT(100);
    struct remote_attr attr;
    const int r = answer_read(&raw, off, len, &out, &attr);

    assert_string_equal(buf_str(&out), r == 0 ? want : "");
    if (r == 0)
        assert_int_equal(attr.size, 10);
    buf_done(&out);
    return r;
}

TEST(bytes_count_only_if_they_are_the_ones_asked_for)
{
    begin();
    file(PROTO_FILE, S_IFREG | 0600, 5);
    data(2, "cde");
    data(5, "fg");
    file(PROTO_FILE_END, S_IFREG | 0600, 5);
    end(0);
    assert_int_equal(read_it(2, 5, "cdefg"), 0);
    assert_int_equal(read_it(3, 5, ""), -EPROTO); /* another offset */
    assert_int_equal(read_it(2, 4, ""), -EPROTO); /* more than that */
    assert_int_equal(read_it(2, 6, ""), -EPROTO); /* less, and it is not the end */

    begin();
    file(PROTO_FILE, S_IFREG | 0600, 5);
    data(6, "ghij");
    file(PROTO_FILE_END, S_IFREG | 0600, 5);
    end(0);
    assert_int_equal(read_it(6, 50, "ghij"), 0);

    begin();
    file(PROTO_FILE, S_IFREG | 0600, 5);
    data(0, "x");
    file(PROTO_FILE_END, S_IFREG | 0600, 6);
    end(0);
    assert_int_equal(read_it(0, 1, ""), -ESTALE);

    begin();
    file(PROTO_FILE, S_IFREG | 0600, 5);
    data(0, "x");
    end(0);
    assert_int_equal(read_it(0, 1, ""), -EPROTO);

    begin();
    data(0, "x");
    end(0);
    assert_int_equal(read_it(0, 1, ""), -EPROTO);

    begin();
    file(PROTO_FILE, S_IFDIR | 0600, 5);
    file(PROTO_FILE_END, S_IFDIR | 0600, 5);
    end(0);
    assert_int_equal(read_it(0, 0, ""), -EPROTO);

    begin();
    end(EACCES);
    assert_int_equal(read_it(0, 1, ""), -EACCES);
}

TEST(stat_info_and_statfs_are_one_frame_of_their_kind)
{
    struct remote_statfs statfs;
    struct remote_attr attr;
    struct proto_info info;
    struct answer_end last;
    char *target = NULL;

    begin();
    file(PROTO_FILE, S_IFREG | 0600, 5);
    end(0);
    assert_int_equal(answer_stat(&raw, &attr, &target), 0);
    assert_int_equal(attr.ctime_ns, 5);
    assert_null(target);
    assert_int_equal(answer_statfs(&raw, &statfs), -EPROTO);
    assert_int_equal(answer_info(&raw, &last, &info), -EPROTO);

    begin();
    dir("x", 0, EACCES);
    end(0);
    assert_int_equal(answer_stat(&raw, &attr, &target), -EACCES);

    begin();
    file(PROTO_FILE, S_IFREG | 0600, 5);
    file(PROTO_FILE, S_IFREG | 0600, 5);
    end(0);
    assert_int_equal(answer_stat(&raw, &attr, &target), -EPROTO);

    begin();
    end(0);
    assert_int_equal(answer_stat(&raw, &attr, &target), -EPROTO);

    begin();
    assert_int_equal(proto_put_info(&raw, &(struct proto_info){.uid = UINT64_C(1) << 32}), 0);
    end(0);
    assert_int_equal(answer_info(&raw, &last, &info), -EPROTO);
}

static int forget(void **state)
{
    buf_done(&raw);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_found_in_whatever_was_printed),
        cmocka_unit_test(an_answer_beyond_the_ceiling_is_refused),
        cmocka_unit_test(a_good_answer_comes_through),
        cmocka_unit_test(a_cut_or_bent_answer_is_refused_at_every_byte),
        cmocka_unit_test(frames_in_the_wrong_place_are_refused),
        cmocka_unit_test(an_answer_may_tell_of_space),
        cmocka_unit_test(entries_that_cannot_be_are_refused),
        cmocka_unit_test(directories_that_nobody_asked_for_are_refused),
        cmocka_unit_test(the_helpers_own_failures_are_errnos),
        cmocka_unit_test(hidden_names_are_left_out_where_they_are),
        cmocka_unit_test(bytes_count_only_if_they_are_the_ones_asked_for),
        cmocka_unit_test(stat_info_and_statfs_are_one_frame_of_their_kind),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}
