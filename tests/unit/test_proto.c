#include "unit.h"

#include "proto/proto.h"
#include "util/crc32c.h"

#include <errno.h>
#include <string.h>

static struct proto_entry sample_entry(void)
{
    return (struct proto_entry){.name = "na\nme",
                                .name_len = 5,
                                .target = "../to",
                                .target_len = 5,
                                .dev = UINT64_MAX,
                                .ino = 1,
                                .size = INT64_MAX,
                                .blocks = 8,
                                .mode = 0120777,
                                .nlink = 2,
                                .uid = 1000,
                                .gid = UINT32_MAX,
                                .mtime_ns = -5,
                                .ctime_ns = INT64_MAX,
                                .has_birth = true,
                                .birth_ns = -7};
}

/* One of every kind of frame, in a row. */
static void put_everything(struct buf *out)
{
    static char *paths[] = {"", "a", "a/b", "a/bc", "b"};
    const struct proto_request req = {.verb = PROTO_VERB_CHANGES,
                                      .root = "/home/d",
                                      .since_ns = INT64_MIN,
                                      .max_entries = 5000,
                                      .wait_ms = 25000,
                                      .paths = paths,
                                      .path_count = ARRAY_LEN(paths)};
    const struct proto_start start = {.now_ns = 1, .uptime_ns = 2, .boot = "b", .boot_len = 1};
    const struct proto_dir dir = {
        .flags = PROTO_DIR_WHOLE, .path = "a/b", .path_len = 3, .self = {.name = ""}};
    const struct proto_dir failed = {.err = EACCES, .path = "x", .path_len = 1};
    const struct proto_statfs statfs = {.block_size = 4096, .blocks = 10, .type = 0xef53};
    const struct proto_info info = {.uid = 1, .gid = 2, .groups = {3, 4}, .group_count = 2};
    const struct proto_end end = {.err = 5, .more = 1, .entries = 6};

    assert_int_equal(proto_put_request(out, &req), 0);
    assert_int_equal(proto_put_start(out, &start), 0);
    assert_int_equal(proto_put_dir(out, &dir), 0);
    assert_int_equal(proto_put_dir(out, &failed), 0);
    assert_int_equal(proto_put_statfs(out, &statfs), 0);
    assert_int_equal(proto_put_info(out, &info), 0);
    assert_int_equal(proto_put_end(out, &end), 0);
}

TEST(crc32c_gives_the_published_values)
{
    const uint8_t zeros[32] = {0};

    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

TEST(numbers_and_strings_come_back)
{
    static const uint64_t uints[] = {0, 1, 127, 128, 300, UINT32_MAX, INT64_MAX, UINT64_MAX};
    static const int64_t ints[] = {0, -1, 1, -64, 64, INT64_MIN, INT64_MAX};
    struct buf b = BUF_INIT(1000);
    struct proto_in in;

    for (size_t i = 0; i < ARRAY_LEN(uints); i++)
        proto_put_uint(&b, uints[i]);
    for (size_t i = 0; i < ARRAY_LEN(ints); i++)
        proto_put_int(&b, ints[i]);
    in = (struct proto_in){.p = (uint8_t *)b.data, .end = (uint8_t *)b.data + b.len};
    for (size_t i = 0; i < ARRAY_LEN(uints); i++)
        assert_true(proto_get_uint(&in) == uints[i]);
    for (size_t i = 0; i < ARRAY_LEN(ints); i++)
        assert_true(proto_get_int(&in) == ints[i]);
    assert_true(proto_in_done(&in));
    assert_int_equal(proto_get_uint(&in), 0);
    assert_true(in.bad);
    buf_done(&b);
}

TEST(an_entry_comes_back)
{
    const struct proto_entry e = sample_entry();
    struct proto_entry got;
    struct buf b = BUF_INIT(1000);
    struct proto_in in;

    assert_int_equal(proto_put_entry(&b, &e), 0);
    in = (struct proto_in){.p = (uint8_t *)b.data, .end = (uint8_t *)b.data + b.len};
    assert_true(proto_get_entry(&in, &got));
    assert_true(proto_in_done(&in));
    assert_memory_equal(got.name, e.name, e.name_len);
    assert_memory_equal(got.target, e.target, e.target_len);
    assert_true(got.dev == e.dev && got.size == e.size && got.gid == e.gid);
    assert_true(got.mtime_ns == e.mtime_ns && got.ctime_ns == e.ctime_ns);
    assert_true(got.has_birth && got.birth_ns == e.birth_ns);
    buf_done(&b);
}

TEST(an_entry_with_a_name_that_climbs_is_refused)
{
    static const struct {
        const char *name;
        size_t len;
    } rows[] = {{".", 1}, {"..", 2}, {"a/b", 3}, {"a\0b", 3}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proto_entry e = sample_entry(), got;
        struct buf b = BUF_INIT(1000);
        struct proto_in in;

        e.name = rows[i].name;
        e.name_len = rows[i].len;
        assert_int_equal(proto_put_entry(&b, &e), 0);
        in = (struct proto_in){.p = (uint8_t *)b.data, .end = (uint8_t *)b.data + b.len};
        assert_false(proto_get_entry(&in, &got));
        buf_done(&b);
    }
}

TEST(a_request_comes_back_and_paths_that_climb_do_not)
{
    static char *good[] = {"", "a", "a/b", "a/b/c"};
    static char *const bad[] = {"/a", "a/", "a//b", "..", "a/../b", "."};
    struct proto_request req = {
        .verb = PROTO_VERB_TREE, .root = "/r", .paths = good, .path_count = 4};
    struct proto_request got;
    struct proto_frame f;
    struct buf b = BUF_INIT(10000);

    assert_int_equal(proto_put_request(&b, &req), 0);
    assert_int_equal(proto_get_frame((uint8_t *)b.data, b.len, &f), b.len);
    assert_int_equal(proto_get_request(&f, &got), 0);
    assert_string_equal(got.root, "/r");
    assert_int_equal(got.path_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(got.paths[i], good[i]);
    proto_request_done(&got);

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *one[] = {bad[i]};

        req.paths = one;
        req.path_count = 1;
        buf_truncate(&b, 0);
        assert_int_equal(proto_put_request(&b, &req), 0);
        assert_true(proto_get_frame((uint8_t *)b.data, b.len, &f) > 0);
        assert_int_equal(proto_get_request(&f, &got), -EBADMSG);
    }
    buf_done(&b);
}

TEST(a_frame_that_is_cut_waits_and_one_that_is_changed_is_refused)
{
    struct buf b = BUF_INIT(100000);
    struct proto_frame f;
    ssize_t whole;

    put_everything(&b);
    whole = proto_get_frame((uint8_t *)b.data, b.len, &f);
    assert_true(whole > PROTO_HEADER);
    for (size_t n = 0; n < (size_t)whole; n++)
        assert_int_equal(proto_get_frame((uint8_t *)b.data, n, &f), 0);
    for (size_t i = 0; i < (size_t)whole * 8; i++) {
        ssize_t r;

        b.data[i / 8] ^= (char)(1 << i % 8);
        r = proto_get_frame((uint8_t *)b.data, (size_t)whole, &f);
        assert_true(r == -EBADMSG || r == 0); /* 0: a length that asks for more */
        b.data[i / 8] ^= (char)(1 << i % 8);
    }
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(numbers_and_strings_come_back),
        cmocka_unit_test(an_entry_comes_back),
        cmocka_unit_test(an_entry_with_a_name_that_climbs_is_refused),
        cmocka_unit_test(a_request_comes_back_and_paths_that_climb_do_not),
        cmocka_unit_test(a_frame_that_is_cut_waits_and_one_that_is_changed_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
