#include "unit.h"

#include "cache/cache.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1 << 20 };

static char dir[64];

static int up(void **state)
{
    strcpy(dir, "/tmp/test-cache-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int down(void **state)
{
    return rmdir(dir); /* fails if anything was left in it */
}

static struct cache *cache_of(uint64_t bytes)
{
    struct cache *c;

    assert_int_equal(cache_new(dir, bytes, &c), 0);
    return c;
}

/* A blob of so many bytes that is wholly local, as if it had been fetched. */
static struct blob *fetched(struct cache *c, uint64_t size)
{
    uint64_t off, bytes;
    struct blob *b;

    assert_int_equal(blob_new(c, size, &b), 0);
    while (!blob_whole(b)) {
        for (off = 0; blob_has(b, off, 1); off += BLOB_BLOCK)
            ;
        assert_int_equal(blob_take(b, off, UINT64_MAX, &off, &bytes), 1);
        blob_settle(b, off, bytes, true);
    }
    return b;
}

TEST(a_directory_that_others_may_enter_is_refused)
{
    struct cache *c;

    assert_int_equal(chmod(dir, 0750), 0);
    assert_int_equal(cache_new(dir, MIB, &c), -EACCES);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(cache_new(dir, MIB, &c), 0);
    cache_free(c);
}

TEST(a_link_in_place_of_the_directory_is_refused)
{
    char link[80];
    struct cache *c;

    snprintf(link, sizeof(link), "%s-link", dir);
    assert_int_equal(symlink(dir, link), 0);
    assert_int_equal(cache_new(link, MIB, &c), -ENOTDIR);
    unlink(link);
}

TEST(nothing_is_seen_in_the_directory)
{
    struct cache *c = cache_of(MIB);
    struct blob *b = fetched(c, 100);
    unsigned entries = 0;
    DIR *d = opendir(dir);

    while (readdir(d))
        entries++;
    closedir(d);
    assert_int_equal(entries, 2); /* "." and ".." */
    blob_release(b);
    blob_unref(b);
    cache_free(c);
}

TEST(idle_content_goes_oldest_use_first)
{
    struct cache *c = cache_of(2 * MIB);
    struct blob *a = fetched(c, MIB), *b = fetched(c, MIB), *d;

    blob_release(a);
    blob_release(b);
    assert_true(blob_hold(a)); /* used again: now b is the oldest */
    blob_release(a);
    d = fetched(c, MIB);
    assert_false(blob_hold(b));
    assert_true(blob_hold(a));
    assert_true(cache_used(c) <= 2 * MIB);
    assert_int_equal(cache_blobs(c), 2);
    blob_release(a);
    blob_release(d);
    blob_unref(a);
    blob_unref(b);
    blob_unref(d);
    assert_int_equal(cache_used(c), 0);
    cache_free(c);
}

TEST(held_content_stays_even_beyond_the_limit)
{
    struct cache *c = cache_of(MIB);
    struct blob *v[4];

    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        v[i] = fetched(c, MIB);
    assert_int_equal(cache_used(c), 4 * MIB);
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        blob_release(v[i]);
    assert_true(cache_used(c) <= MIB);
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        blob_unref(v[i]);
    cache_free(c);
}

TEST(blocks_are_taken_by_one_and_known_in_part)
{
    enum { BLOCK = BLOB_BLOCK };
    struct cache *c = cache_of(64 * BLOCK);
    uint64_t off, bytes, other;
    struct blob *b;

    assert_int_equal(blob_new(c, 3 * BLOCK + 5, &b), 0);
    assert_int_equal(blob_take(b, BLOCK + 7, 1, &off, &bytes), 1); /* a block at least */
    assert_int_equal(off, BLOCK);
    assert_int_equal(bytes, BLOCK);
    assert_int_equal(blob_take(b, BLOCK, 1, &other, &other), -EBUSY);
    blob_settle(b, off, bytes, false); /* it failed: the next one may try */
    assert_int_equal(blob_take(b, BLOCK, 1, &off, &bytes), 1);
    blob_settle(b, off, bytes, true);
    assert_int_equal(blob_take(b, BLOCK, 1, &off, &bytes), 0);
    assert_true(blob_has(b, BLOCK, BLOCK));
    assert_false(blob_has(b, BLOCK, BLOCK + 1));
    assert_int_equal(blob_take(b, 2 * BLOCK, 64 * BLOCK, &off, &bytes), 1); /* to the end, short */
    assert_int_equal(bytes, BLOCK + 5);
    blob_settle(b, off, bytes, true);
    assert_false(blob_whole(b));
    assert_int_equal(blob_take(b, 0, 64 * BLOCK, &off, &bytes), 1); /* up to what is there */
    assert_int_equal(bytes, BLOCK);
    blob_settle(b, off, bytes, true);
    assert_true(blob_whole(b));
    blob_release(b);
    blob_unref(b);
    cache_free(c);
}

TEST(a_size_that_only_a_liar_claims_is_refused)
{
    struct cache *c = cache_of(MIB);
    struct blob *b;

    assert_int_equal(blob_new(c, UINT64_MAX, &b), -EFBIG);
    assert_int_equal(blob_new(c, UINT64_C(1) << 50, &b), -EFBIG);
    cache_free(c);
}

TEST(writing_beyond_the_end_leaves_zeros)
{
    struct cache *c = cache_of(MIB);
    char text[8] = "xxxxxxx";
    struct blob *b;

    assert_int_equal(blob_new(c, 0, &b), 0);
    assert_int_equal(blob_write(b, 4, "end", 3), 0);
    assert_int_equal(blob_size(b), 7);
    assert_int_equal(blob_read(b, 0, text, 8), 7);
    assert_memory_equal(text, "\0\0\0\0end", 7);
    assert_int_equal(blob_resize(b, 5), 0);
    assert_int_equal(blob_resize(b, 7), 0);
    assert_int_equal(blob_read(b, 0, text, 8), 7);
    assert_memory_equal(text, "\0\0\0\0e\0\0", 7);
    blob_release(b);
    blob_unref(b);
    cache_free(c);
}

TEST(a_write_that_fails_half_way_leaves_nothing_beyond_the_end)
{
    struct rlimit before, low;
    struct cache *c = cache_of(MIB);
    char data[8192], text[8192];
    struct blob *b;

    memset(data, 'x', sizeof(data));
    assert_int_equal(blob_new(c, 0, &b), 0);
    assert_int_equal(blob_write(b, 0, "a", 1), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    low = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    assert_int_equal(blob_write(b, 100, data, sizeof(data)), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(blob_size(b), 1);
    assert_int_equal(blob_resize(b, 4096), 0);
    assert_int_equal(blob_read(b, 0, text, sizeof(text)), 4096);
    for (size_t i = 1; i < 4096; i++)
        assert_int_equal(text[i], 0);
    blob_release(b);
    blob_unref(b);
    cache_free(c);
}

static size_t open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

TEST(files_of_blobs_that_are_gone_are_closed_before_the_cache_is)
{
    enum { ROUNDS = 4, MANY = 400 };
    const size_t before = open_files();
    struct cache *c = cache_of(MIB);
    struct blob *b[MANY];

    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < MANY; i++)
            b[i] = fetched(c, 1);
        for (size_t i = 0; i < MANY; i++)
            blob_unref(b[i]);
    }
    assert_int_equal(cache_blobs(c), 0);
    cache_free(c);
    assert_int_equal(open_files(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_directory_that_others_may_enter_is_refused, up, down),
        cmocka_unit_test_setup_teardown(a_link_in_place_of_the_directory_is_refused, up, down),
        cmocka_unit_test_setup_teardown(nothing_is_seen_in_the_directory, up, down),
        cmocka_unit_test_setup_teardown(idle_content_goes_oldest_use_first, up, down),
        cmocka_unit_test_setup_teardown(held_content_stays_even_beyond_the_limit, up, down),
        cmocka_unit_test_setup_teardown(blocks_are_taken_by_one_and_known_in_part, up, down),
        cmocka_unit_test_setup_teardown(a_size_that_only_a_liar_claims_is_refused, up, down),
        cmocka_unit_test_setup_teardown(writing_beyond_the_end_leaves_zeros, up, down),
        cmocka_unit_test_setup_teardown(a_write_that_fails_half_way_leaves_nothing_beyond_the_end,
                                        up, down),
        cmocka_unit_test_setup_teardown(files_of_blobs_that_are_gone_are_closed_before_the_cache_is,
                                        up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
