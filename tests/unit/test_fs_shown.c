#include "unit.h"

#include "fs/shown.h"

#include <errno.h>
#include <string.h>

static struct shown row(uint64_t ino)
{
    return (struct shown){.dev = 3,
                          .ino = ino,
                          .mtime_ns = -7,
                          .ctime_ns = 100 + (int64_t)ino,
                          .show_ino = ino % 2 ? UINT64_MAX - ino : 0,
                          .show_times = ino % 3 == 0,
                          .show_mtime_ns = -5,
                          .show_ctime_ns = INT64_MAX,
                          .own_link = ino % 5 == 0,
                          .target = {ino % 5 == 0 ? (uint8_t)ino : 0}};
}

static void expect_row(const struct shown_table *t, uint64_t ino)
{
    const struct shown want = row(ino);
    const struct shown *got = shown_find(t, want.dev, ino, want.mtime_ns, want.ctime_ns);

    assert_non_null(got);
    assert_int_equal(got->show_ino, want.show_ino);
    assert_int_equal(got->show_times, want.show_times);
    assert_int_equal(got->show_mtime_ns, want.show_mtime_ns);
    assert_int_equal(got->show_ctime_ns, want.show_ctime_ns);
    assert_int_equal(got->own_link, want.own_link);
    assert_memory_equal(got->target, want.target, sizeof(want.target));
    assert_null(shown_find(t, want.dev, ino, want.mtime_ns, want.ctime_ns + 1));
    assert_null(shown_find(t, want.dev, ino, want.mtime_ns + 1, want.ctime_ns));
    assert_null(shown_find(t, want.dev + 1, ino, want.mtime_ns, want.ctime_ns));
}

TEST(a_table_comes_back_from_its_bytes)
{
    struct shown_table *t = shown_new(), *again = shown_new();
    struct buf bytes = BUF_INIT(1 << 20);
    struct shown s;

    assert_int_equal(shown_encode(t, &bytes), 0);
    assert_int_equal(shown_decode(again, bytes.data, bytes.len), 0);
    assert_int_equal(shown_count(again), 0);
    for (uint64_t ino = 1; ino <= 100; ino++) {
        s = row(ino);
        s.show_times = !s.show_times; /* is replaced */
        shown_put(t, &s);
        s = row(ino);
        shown_put(t, &s);
    }
    buf_truncate(&bytes, 0);
    assert_int_equal(shown_encode(t, &bytes), 0);
    assert_int_equal(shown_decode(again, bytes.data, bytes.len), 0);
    assert_int_equal(shown_count(again), 100);
    for (uint64_t ino = 1; ino <= 100; ino++)
        expect_row(again, ino);
    buf_done(&bytes);
    shown_free(t);
    shown_free(again);
}

TEST(other_bytes_are_no_table)
{
    struct shown_table *t = shown_new();
    struct buf bytes = BUF_INIT(1 << 20);
    struct shown s = row(3);

    shown_put(t, &s);
    s = row(5);
    shown_put(t, &s);
    assert_int_equal(shown_encode(t, &bytes), 0);
    assert_int_equal(bytes.len, 8 + 57 + 57 + SHOWN_DIGEST);
    for (size_t n = 0; n < bytes.len; n++) {
        struct shown_table *cut = shown_new();

        assert_int_equal(shown_decode(cut, bytes.data, n), n == 8 || n == 8 + 57 ? 0 : -EBADMSG);
        shown_free(cut);
    }
    bytes.data[bytes.len - 1 - SHOWN_DIGEST] = (char)0x80;
    assert_int_equal(shown_decode(t, bytes.data, bytes.len), -EBADMSG);
    bytes.data[0] ^= 1;
    assert_int_equal(shown_decode(t, bytes.data, bytes.len), -EBADMSG);
    buf_done(&bytes);
    shown_free(t);
}

TEST(the_oldest_go_first)
{
    struct shown_table *t = shown_new();
    struct shown s;

    for (uint64_t ino = 1; ino <= SHOWN_MAX + 10; ino++) {
        s = row(ino);
        shown_put(t, &s);
    }
    assert_int_equal(shown_count(t), SHOWN_MAX);
    s = row(10);
    assert_null(shown_find(t, s.dev, s.ino, s.mtime_ns, s.ctime_ns));
    expect_row(t, 11);
    expect_row(t, SHOWN_MAX + 10);
    shown_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_comes_back_from_its_bytes),
        cmocka_unit_test(other_bytes_are_no_table),
        cmocka_unit_test(the_oldest_go_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
