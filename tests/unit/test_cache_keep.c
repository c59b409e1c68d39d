/* File data that outlives the process: found again, or not believed. */
#include "unit.h"

#include "cache/cache.h"
#include "util/sha256.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, LEN = 3 * BLOB_BLOCK + 77 };

static char dir[64], folder[256];

static void remove_below(const char *path)
{
    char command[512];

    snprintf(command, sizeof(command), "rm -rf %s", path);
    assert_int_equal(system(command), 0);
}

static int up(void **state)
{
    strcpy(dir, "/tmp/test-keep-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int down(void **state)
{
    remove_below(dir);
    return 0;
}

static struct cache_key key_of(uint64_t ino, uint64_t size)
{
    return (struct cache_key){
        .dev = 7, .ino = ino, .size = size, .mtime_ns = -5, .ctime_ns = 1700000000};
}

static struct cache *open_cache(uint64_t bytes)
{
    struct cache *c;

    assert_int_equal(cache_new(dir, bytes, &c), 0);
    assert_int_equal(cache_keep(c, "http://api\nbox"), 0);
    return c;
}

static char byte_at(uint64_t ino, uint64_t off)
{
    return (char)(off * 31 + (off >> 9) + ino);
}

/* With the blocks of mask local. */
static struct blob *blob_with(struct cache *c, uint64_t ino, uint64_t size, unsigned mask)
{
    uint64_t off, bytes;
    struct blob *b;
    char *data = malloc(size);

    for (uint64_t i = 0; i < size; i++)
        data[i] = byte_at(ino, i);
    assert_int_equal(blob_new(c, size, &b), 0);
    for (unsigned i = 0; (uint64_t)i * BLOB_BLOCK < size; i++)
        if (mask >> i & 1) {
            assert_int_equal(blob_take(b, (uint64_t)i * BLOB_BLOCK, 1, &off, &bytes), 1);
            assert_int_equal(pwrite(blob_fd(b), data + off, bytes, (off_t)off), bytes);
            blob_settle(b, off, bytes, true);
        }
    free(data);
    return b;
}

static void let_go(struct blob *b)
{
    blob_release(b);
    blob_unref(b);
}

static void keep_one(uint64_t ino, uint64_t size, unsigned mask)
{
    const struct cache_key key = key_of(ino, size);
    struct cache *c = open_cache(64 * MIB);
    struct blob *b = blob_with(c, ino, size, mask);

    cache_put(c, &key, b);
    let_go(b);
    cache_free(c);
}

/* The blocks that are found, whose content must be right. */
static unsigned found(struct cache *c, const struct cache_key *key)
{
    unsigned mask = 0;
    struct blob *b;
    char *data = malloc(BLOB_BLOCK);

    assert_int_equal(blob_new(c, key->size, &b), 0);
    (void)cache_get(c, key, b);
    for (unsigned i = 0; (uint64_t)i * BLOB_BLOCK < key->size; i++) {
        const uint64_t off = (uint64_t)i * BLOB_BLOCK;
        const size_t len = key->size - off < BLOB_BLOCK ? (size_t)(key->size - off) : BLOB_BLOCK;

        if (!blob_has(b, off, len))
            continue;
        mask |= 1u << i;
        assert_int_equal(blob_read(b, off, data, len), len);
        for (size_t k = 0; k < len; k++)
            if (data[k] != byte_at(key->ino, off + k))
                fail_msg("byte %zu of block %u is wrong", k, i);
    }
    free(data);
    let_go(b);
    return mask;
}

static unsigned found_again(uint64_t ino, uint64_t size)
{
    const struct cache_key key = key_of(ino, size);
    struct cache *c = open_cache(64 * MIB);
    const unsigned mask = found(c, &key);

    cache_free(c);
    return mask;
}

/* The folder below dir; and the only file in it, if file is not NULL. */
static void find_kept(char *file, size_t size)
{
    struct dirent *de;
    DIR *d = opendir(dir);

    while ((de = readdir(d)))
        if (de->d_name[0] != '.')
            snprintf(folder, sizeof(folder), "%s/%.64s", dir, de->d_name);
    closedir(d);
    if (!file)
        return;
    file[0] = '\0';
    d = opendir(folder);
    while ((de = readdir(d)))
        if (de->d_name[0] != '.')
            snprintf(file, size, "%s/%.64s", folder, de->d_name);
    closedir(d);
}

static unsigned count_kept(void)
{
    struct dirent *de;
    unsigned n = 0;
    DIR *d;

    find_kept(NULL, 0);
    d = opendir(folder);
    while ((de = readdir(d)))
        n += de->d_name[0] != '.';
    closedir(d);
    return n;
}

TEST(what_was_kept_is_found_again)
{
    keep_one(1, LEN, 0xf);
    keep_one(2, 10, 1);
    assert_int_equal(found_again(1, LEN), 0xf);
    assert_int_equal(found_again(2, 10), 1);
    assert_int_equal(found_again(3, 10), 0);
}

TEST(what_was_kept_in_part_is_found_in_part)
{
    keep_one(1, LEN, 0xa);
    assert_int_equal(found_again(1, LEN), 0xa);
}

TEST(another_version_is_not_found_and_takes_the_place)
{
    const struct cache_key key = key_of(1, LEN);
    struct cache_key other;
    struct cache *c;

    keep_one(1, LEN, 0xf);
    c = open_cache(64 * MIB);
    for (unsigned i = 0; i < 3; i++) {
        other = key;
        other.mtime_ns += i == 0;
        other.ctime_ns += i == 1;
        other.dev += i == 2;
        assert_false(cache_has(c, &other));
        assert_int_equal(found(c, &other), 0);
    }
    assert_int_equal(found(c, &key), 0xf);
    cache_free(c);
    keep_one(1, 10, 1);
    assert_int_equal(found_again(1, 10), 1);
    assert_int_equal(found_again(1, LEN), 0);
    assert_int_equal(count_kept(), 1);
}

TEST(what_is_written_to_is_not_kept)
{
    const struct cache_key key = key_of(1, 10);
    struct cache *c = open_cache(64 * MIB);
    struct blob *b = blob_with(c, 1, 10, 1);

    assert_int_equal(blob_write(b, 0, "x", 1), 0);
    assert_int_equal(blob_resize(b, 5), 0);
    cache_put(c, &key, b); /* its size alone says that it is another version */
    let_go(b);
    cache_free(c);
    assert_int_equal(count_kept(), 0);
}

/* While it is copied: what is found is right, or nothing is found. */
TEST(what_is_written_to_meanwhile_is_not_kept)
{
    enum { SIZE = 30 * BLOB_BLOCK };
    const struct cache_key key = key_of(1, SIZE);
    struct cache *c = open_cache(64 * MIB);
    struct blob *b = blob_with(c, 1, SIZE, ~0u);

    cache_put(c, &key, b);
    for (uint64_t off = SIZE - 1; off > 0; off -= off < 4096 ? off : 4096)
        assert_int_equal(blob_write(b, off, "\xff", 1), 0);
    let_go(b);
    cache_free(c);
    (void)found_again(1, SIZE);
}

/* Before its turn comes. */
TEST(what_grows_before_it_is_kept_is_not_kept)
{
    enum { SIZE = 16 << 20 };
    const struct cache_key first = key_of(2, SIZE), key = key_of(1, 10);
    struct cache *c = open_cache(64 * MIB);
    struct blob *large, *b = blob_with(c, 1, 10, 1);
    char *data = calloc(1, SIZE);

    assert_int_equal(blob_new(c, 0, &large), 0);
    assert_int_equal(blob_write(large, 0, data, SIZE), 0);
    cache_put(c, &first, large);
    cache_put(c, &key, b);
    assert_int_equal(blob_write(b, 10, data, SIZE / 4), 0);
    let_go(large);
    let_go(b);
    cache_free(c);
    (void)found_again(1, 10);
    free(data);
}

TEST(what_was_written_here_is_kept_as_the_version_it_became)
{
    const struct cache_key key = key_of(1, 10);
    struct cache *c = open_cache(64 * MIB);
    struct blob *b = blob_with(c, 2, 10, 1);
    uint8_t p[10];

    for (size_t i = 0; i < sizeof(p); i++)
        p[i] = (uint8_t)byte_at(1, i);
    assert_int_equal(blob_write(b, 0, p, sizeof(p)), 0);
    cache_put(c, &key, b);
    let_go(b);
    cache_free(c);
    assert_int_equal(found_again(1, 10), 1);
}

/* With any one byte wrong there is less than before, never anything wrong (found looks at it). */
/* In a process of its own. True if it is so. */
static bool close_many_in_time(void)
{
    enum { DESCRIPTORS = 200, FILES = 300, LARGE = 64 * MIB };
    const struct rlimit limit = {DESCRIPTORS, DESCRIPTORS};
    struct cache_key key = key_of(1, LARGE);
    uint64_t off, bytes;
    struct cache *c;
    struct blob *b;
    int r;

    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return false;
    c = open_cache(512 * MIB);
    r = blob_new(c, LARGE, &b); /* so that others wait behind it */
    if (r == 0 && blob_take(b, 0, LARGE, &off, &bytes) == 1)
        blob_settle(b, off, bytes, true);
    for (uint64_t i = 0; r == 0 && i < FILES; i++) {
        cache_put(c, &key, b);
        let_go(b);
        r = blob_new(c, 1, &b);
        if (r == 0 && blob_take(b, 0, 1, &off, &bytes) == 1)
            blob_settle(b, off, bytes, true);
        key = key_of(i + 2, 1);
    }
    if (r == 0)
        let_go(b);
    cache_free(c);
    return r == 0;
}

TEST(what_waits_to_be_kept_leaves_descriptors_to_others)
{
    const pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(close_many_in_time() ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

TEST(damage_at_any_byte_is_noticed)
{
    enum { SMALL = 300 };
    char file[512];
    struct stat st;

    keep_one(1, SMALL, 1);
    find_kept(file, sizeof(file));
    assert_int_equal(stat(file, &st), 0);
    for (off_t i = 0; i < st.st_size; i++) {
        int fd = open(file, O_RDWR);
        unsigned char byte;

        assert_int_equal(pread(fd, &byte, 1, i), 1);
        byte ^= (unsigned char)(1u << i % 8);
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
        close(fd);
        assert_int_equal(found_again(1, SMALL), 0);
        assert_int_equal(access(file, F_OK), -1); /* it does not stay to be tried again */
        keep_one(1, SMALL, 1);
    }
}

TEST(a_file_cut_at_any_length_is_noticed)
{
    enum { SMALL = 300 };
    char file[512];
    struct stat st;

    keep_one(1, SMALL, 1);
    find_kept(file, sizeof(file));
    assert_int_equal(stat(file, &st), 0);
    for (off_t i = 0; i <= st.st_size + 1; i++) {
        assert_int_equal(truncate(file, i), 0);
        assert_int_equal(found_again(1, SMALL), i == st.st_size);
        keep_one(1, SMALL, 1);
    }
}

TEST(damage_in_one_block_leaves_those_before_it)
{
    char file[512];
    int fd;

    keep_one(1, LEN, 0xf);
    find_kept(file, sizeof(file));
    fd = open(file, O_RDWR);
    assert_int_equal(pwrite(fd, "damage", 6, 2 * BLOB_BLOCK + 1000), 6);
    close(fd);
    assert_int_equal(found_again(1, LEN) & ~3u, 0);
}

TEST(a_folder_that_others_may_enter_is_refused)
{
    struct cache *c;

    keep_one(1, 10, 1);
    find_kept(NULL, 0);
    assert_int_equal(chmod(folder, 0750), 0);
    assert_int_equal(cache_new(dir, MIB, &c), 0);
    assert_int_equal(cache_keep(c, "http://api\nbox"), -EACCES);
    cache_free(c);
    assert_int_equal(chmod(folder, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(folder, 65534, 65534), 0);
        assert_int_equal(cache_new(dir, MIB, &c), 0);
        assert_int_equal(cache_keep(c, "http://api\nbox"), -EACCES);
        cache_free(c);
    }
}

TEST(links_in_place_of_folder_or_file_are_not_followed)
{
    char file[512], elsewhere[600];
    struct cache *c;

    keep_one(1, 10, 1);
    find_kept(file, sizeof(file));
    snprintf(elsewhere, sizeof(elsewhere), "%s-moved", file);
    assert_int_equal(rename(file, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, file), 0);
    assert_int_equal(found_again(1, 10), 0);
    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", dir);
    assert_int_equal(rename(folder, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, folder), 0);
    assert_int_equal(cache_new(dir, MIB, &c), 0);
    assert_int_equal(cache_keep(c, "http://api\nbox"), -ENOTDIR);
    cache_free(c);
}

TEST(one_process_at_a_time_has_the_folder)
{
    const struct cache_key key = key_of(1, 10);
    struct cache *c, *other;
    int status, ready[2];
    struct blob *b;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork(); /* before there are threads */
    assert_true(pid >= 0);
    if (pid == 0) {
        struct cache *mine;
        char go;

        if (read(ready[0], &go, 1) != 1)
            _exit(2);
        if (cache_new(dir, 64 * MIB, &mine) < 0 || cache_keep(mine, "http://api\nbox") != -EBUSY)
            _exit(1);
        b = blob_with(mine, 1, 10, 1); /* it works, and keeps nothing */
        cache_put(mine, &key, b);
        let_go(b);
        cache_free(mine);
        _exit(0);
    }
    c = open_cache(64 * MIB);
    assert_int_equal(write(ready[1], "g", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(cache_new(dir, 64 * MIB, &other), 0);
    assert_int_equal(cache_keep(other, "http://api\nanother box"), 0);
    cache_free(other);
    cache_free(c);
    assert_int_equal(found_again(1, 10), 0);
}

TEST(the_oldest_use_goes_first)
{
    enum { BYTES = 32 * BLOB_BLOCK };
    const unsigned all = UINT32_MAX;
    struct cache *c = open_cache(MIB);
    struct cache_key key;

    for (uint64_t ino = 1; ino <= 8; ino++) {
        struct blob *b = blob_with(c, ino, BYTES, all);

        key = key_of(ino, BYTES);
        cache_put(c, &key, b);
        let_go(b);
    }
    cache_free(c);
    c = open_cache(MIB);
    key = key_of(1, BYTES);
    assert_false(cache_has(c, &key));
    key = key_of(8, BYTES);
    assert_int_equal(found(c, &key), all);
    cache_free(c);
    assert_true(count_kept() <= 6);
}

/* ---- folders of others ---- */

static void keep_for(const char *owner, uint64_t max, unsigned blocks)
{
    const struct cache_key key = key_of(1, blocks * (uint64_t)BLOB_BLOCK);
    struct cache *c;
    struct blob *b;

    assert_int_equal(cache_new(dir, max, &c), 0);
    assert_int_equal(cache_keep(c, owner), 0);
    b = blob_with(c, 1, key.size, (1u << blocks) - 1);
    cache_put(c, &key, b);
    let_go(b);
    cache_free(c);
}

static char *folder_of(const char *owner, char path[256])
{
    char name[SHA256_HEX + 1];

    sha256_hex(owner, strlen(owner), name);
    snprintf(path, 256, "%s/%s", dir, name);
    return path;
}

static void used_ago(const char *owner, int64_t days)
{
    const struct timespec at = {.tv_sec = time(NULL) - days * 24 * 3600};
    const struct timespec times[] = {at, at};
    char path[256];

    assert_int_equal(utimensat(AT_FDCWD, folder_of(owner, path), times, 0), 0);
}

static bool is_there(const char *owner)
{
    char path[256];

    return access(folder_of(owner, path), F_OK) == 0;
}

TEST(a_folder_that_nobody_used_for_long_goes)
{
    char path[256], file[512];
    struct cache *held;

    keep_for("old", 64 * MIB, 2);
    keep_for("young", 64 * MIB, 2);
    keep_for("old and not all ours", 64 * MIB, 2);
    snprintf(file, sizeof(file), "%s/diary", folder_of("old and not all ours", path));
    assert_int_equal(close(open(file, O_WRONLY | O_CREAT, 0600)), 0);
    assert_int_equal(cache_new(dir, 64 * MIB, &held), 0);
    assert_int_equal(cache_keep(held, "old, but in use"), 0);
    used_ago("old", 31);
    used_ago("old, but in use", 31);
    used_ago("old and not all ours", 31);
    used_ago("young", 29);
    keep_for("new", 64 * MIB, 1);
    assert_false(is_there("old"));
    assert_true(is_there("old, but in use"));
    assert_true(is_there("young"));
    assert_true(is_there("new"));
    assert_int_equal(access(file, F_OK), 0);
    cache_free(held);
}

TEST(what_was_used_longest_ago_goes_when_all_is_too_much)
{
    keep_for("a", 64 * MIB, 16);
    keep_for("b", 64 * MIB, 16);
    keep_for("c", 64 * MIB, 16);
    used_ago("a", 2);
    used_ago("b", 3);
    used_ago("c", 1);
    keep_for("new", 34 * BLOB_BLOCK + 65536, 1);
    assert_true(is_there("a"));
    assert_false(is_there("b"));
    assert_true(is_there("c"));
    keep_for("new", 17 * BLOB_BLOCK + 65536, 1);
    assert_false(is_there("a"));
    assert_true(is_there("c"));
    assert_true(is_there("new"));
}

TEST(what_a_crash_left_half_written_is_removed)
{
    char path[512];
    int fd;

    keep_one(1, 10, 1);
    find_kept(NULL, 0);
    snprintf(path, sizeof(path), "%s/new", folder);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "half", 4), 4);
    close(fd);
    assert_int_equal(found_again(1, 10), 1);
    assert_int_equal(access(path, F_OK), -1);
}

TEST(a_note_is_found_as_it_was_written_or_not_at_all)
{
    struct buf out = BUF_INIT(1 << 20);
    char path[512];
    struct cache *c = open_cache(MIB);
    int fd;

    assert_int_equal(cache_note_get(c, "a", &out), -ENOENT);
    assert_int_equal(cache_note_put(c, "a", "first", 5), 0);
    assert_int_equal(cache_note_put(c, "a", "sec\0nd", 6), 0);
    assert_int_equal(cache_note_put(c, "b", "", 0), 0);
    cache_free(c);
    find_kept(NULL, 0);
    c = open_cache(MIB);
    assert_int_equal(cache_note_get(c, "a", &out), 0);
    assert_int_equal(out.len, 6);
    assert_memory_equal(out.data, "sec\0nd", 7);
    assert_int_equal(cache_note_get(c, "b", &out), 0);
    assert_int_equal(out.len, 6);
    snprintf(path, sizeof(path), "%s/note-a", folder);
    for (off_t i = 0; i < 18; i++) {
        fd = open(path, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, "\xff", 1, i), 1);
        close(fd);
        assert_int_equal(cache_note_get(c, "a", &out), -ENOENT);
        assert_int_equal(out.len, 6);
        assert_int_equal(cache_note_put(c, "a", "second", 6), 0);
    }
    cache_free(c);
    assert_int_equal(cache_new(dir, MIB, &c), 0);
    assert_int_equal(cache_note_put(c, "a", "x", 1), -ENOENT);
    assert_int_equal(cache_note_get(c, "a", &out), -ENOENT);
    cache_free(c);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_kept_is_found_again, up, down),
        cmocka_unit_test_setup_teardown(what_was_kept_in_part_is_found_in_part, up, down),
        cmocka_unit_test_setup_teardown(another_version_is_not_found_and_takes_the_place, up, down),
        cmocka_unit_test_setup_teardown(what_is_written_to_is_not_kept, up, down),
        cmocka_unit_test_setup_teardown(what_is_written_to_meanwhile_is_not_kept, up, down),
        cmocka_unit_test_setup_teardown(what_grows_before_it_is_kept_is_not_kept, up, down),
        cmocka_unit_test_setup_teardown(what_was_written_here_is_kept_as_the_version_it_became, up,
                                        down),
        cmocka_unit_test_setup_teardown(what_waits_to_be_kept_leaves_descriptors_to_others, up,
                                        down),
        cmocka_unit_test_setup_teardown(damage_at_any_byte_is_noticed, up, down),
        cmocka_unit_test_setup_teardown(a_file_cut_at_any_length_is_noticed, up, down),
        cmocka_unit_test_setup_teardown(damage_in_one_block_leaves_those_before_it, up, down),
        cmocka_unit_test_setup_teardown(a_folder_that_others_may_enter_is_refused, up, down),
        cmocka_unit_test_setup_teardown(links_in_place_of_folder_or_file_are_not_followed, up,
                                        down),
        cmocka_unit_test_setup_teardown(one_process_at_a_time_has_the_folder, up, down),
        cmocka_unit_test_setup_teardown(the_oldest_use_goes_first, up, down),
        cmocka_unit_test_setup_teardown(a_folder_that_nobody_used_for_long_goes, up, down),
        cmocka_unit_test_setup_teardown(what_was_used_longest_ago_goes_when_all_is_too_much, up,
                                        down),
        cmocka_unit_test_setup_teardown(what_a_crash_left_half_written_is_removed, up, down),
        cmocka_unit_test_setup_teardown(a_note_is_found_as_it_was_written_or_not_at_all, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
