/*
 * remote_cases.h - what every backend must do the same way. Included by one test program for each
 * backend, which sets `world` before a case runs; what a backend has no capability for is skipped.
 */
#ifndef TESTS_REMOTE_CASES_H
#define TESTS_REMOTE_CASES_H

#include "unit.h"

#include "remote/backends.h"
#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct {
    struct remote *r;
    char dir[256]; /* an empty directory for the running case */
    unsigned caps;
    bool privileged;
} world;

#define NEED(bits)                                                                                 \
    do {                                                                                           \
        if ((world.caps & (bits)) != (bits))                                                       \
            skip();                                                                                \
    } while (0)

/* The path of name in the case's directory; a few may be in use at once. */
static const char *at(const char *name)
{
    static char ring[8][PATH_LEN_MAX + 1];
    static unsigned next;
    char *p = ring[next++ % ARRAY_LEN(ring)];

    snprintf(p, sizeof(ring[0]), "%s/%s", world.dir, name);
    return p;
}

static int file_with(const void *p, size_t n)
{
    int fd = memfd_create("content", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, p, n, 0), (ssize_t)n);
    return fd;
}

static int put_bytes(const char *name, const void *p, size_t n, const struct remote_attr *replace,
                     int64_t mtime_ns, struct remote_attr *ret)
{
    struct remote_put put = {.size = n, .replace = replace, .mtime_ns = mtime_ns};
    int r;

    put.fd = file_with(p, n);
    r = remote_put(world.r, at(name), &put, ret);
    close(put.fd);
    return r;
}

static void have_file(const char *name, const char *text)
{
    assert_int_equal(put_bytes(name, text, strlen(text), NULL, INT64_MIN, NULL), 0);
}

static void have_dir(const char *name)
{
    assert_int_equal(remote_mkdir(world.r, at(name), 0755, NULL), 0);
}

static struct remote_attr attr_of(const char *name)
{
    struct remote_attr a;

    memset(&a, 0, sizeof(a));
    assert_int_equal(remote_stat(world.r, at(name), &a, NULL), 0);
    return a;
}

/* The whole file as a string, the caller frees. */
static char *content_of(const char *name)
{
    const struct remote_attr a = attr_of(name);
    int fd = memfd_create("got", MFD_CLOEXEC);
    uint64_t got = 0;
    char *text = calloc(1, a.size + 1);

    assert_int_equal(remote_fetch(world.r, at(name), &a, 0, UINT64_MAX, fd, &got), 0);
    assert_int_equal(got, a.size);
    assert_int_equal(pread(fd, text, a.size, 0), (ssize_t)a.size);
    close(fd);
    return text;
}

static void expect_content(const char *name, const char *text)
{
    char *got = content_of(name);

    assert_string_equal(got, text);
    free(got);
}

static bool exists(const char *name)
{
    int r = remote_stat(world.r, at(name), NULL, NULL);

    assert_true(r == 0 || r == -ENOENT);
    return r == 0;
}

static const struct remote_entry *entry_of(const struct remote_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->v[i].name, name) == 0)
            return &list->v[i];
    return NULL;
}

static int set_attr(const char *name, unsigned mask, const struct remote_attr *attr,
                    struct remote_attr *ret)
{
    struct remote_setattr set = {.mask = mask, .attr = *attr};

    return remote_setattr(world.r, at(name), &set, ret);
}

/* ---- the cases ---- */

TEST(create_makes_an_empty_file_with_exactly_that_mode)
{
    static const mode_t modes[] = {0644, 0600, 0444, 0777, 0000, 04755, 02755, 01777};
    struct remote_attr a, b;
    char name[16];

    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        const mode_t mode = world.caps & REMOTE_CAP_LSTAT ? modes[i] : modes[i] & 0777;

        snprintf(name, sizeof(name), "f%zu", i);
        assert_int_equal(remote_create(world.r, at(name), mode, &a), 0);
        assert_int_equal(a.mode, S_IFREG | mode);
        assert_int_equal(a.size, 0);
        b = attr_of(name);
        assert_true(remote_attr_same(&a, &b));
        assert_int_equal(b.mode, a.mode);
        assert_int_equal(remote_create(world.r, at(name), 0644, NULL), -EEXIST);
        assert_int_equal(attr_of(name).mode, a.mode);
    }
}

TEST(names_that_lead_nowhere_say_so)
{
    have_file("file", "x");
    assert_int_equal(remote_stat(world.r, at("none"), NULL, NULL), -ENOENT);
    assert_int_equal(remote_stat(world.r, at("none/x"), NULL, NULL), -ENOENT);
    assert_int_equal(remote_create(world.r, at("none/x"), 0644, NULL), -ENOENT);
    assert_int_equal(remote_mkdir(world.r, at("none/x"), 0755, NULL), -ENOENT);
    assert_int_equal(remote_mkdir(world.r, at("file"), 0755, NULL), -EEXIST);
    assert_int_equal(remote_unlink(world.r, at("none")), -ENOENT);
    if (world.caps & REMOTE_CAP_EXEC) { /* the file API alone cannot tell ENOTDIR */
        assert_int_equal(remote_stat(world.r, at("file/x"), NULL, NULL), -ENOTDIR);
        assert_int_equal(remote_create(world.r, at("file/x"), 0644, NULL), -ENOTDIR);
        assert_int_equal(remote_mkdir(world.r, at("file/x"), 0755, NULL), -ENOTDIR);
        assert_int_equal(remote_rmdir(world.r, at("none")), -ENOENT);
        assert_int_equal(remote_rmdir(world.r, at("file")), -ENOTDIR);
    }
}

TEST(paths_that_are_not_resolved_never_reach_the_backend)
{
    struct remote_list list;
    char name[PATH_NAME_MAX + 2];

    assert_int_equal(remote_stat(world.r, "relative", NULL, NULL), -EINVAL);
    assert_int_equal(remote_stat(world.r, "/a/../b", NULL, NULL), -EINVAL);
    assert_int_equal(remote_stat(world.r, "/a//b", NULL, NULL), -EINVAL);
    assert_int_equal(remote_stat(world.r, "/a/", NULL, NULL), -EINVAL);
    assert_int_equal(remote_list(world.r, "/.", 1, 10, &list), -EINVAL);
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(remote_create(world.r, at(name), 0644, NULL), -ENAMETOOLONG);
    name[PATH_NAME_MAX] = '\0';
    assert_int_equal(remote_create(world.r, at(name), 0644, NULL), 0);
    assert_int_equal(remote_rename(world.r, at("a"), at("a/b"), 0, NULL), -EINVAL);
    assert_int_equal(remote_unlink(world.r, "/"), -EISDIR);
    assert_int_equal(remote_rmdir(world.r, "/"), -EBUSY);
}

TEST(put_and_fetch_carry_every_byte)
{
    enum { SIZE = 300 * 1000 + 7 };
    unsigned char *bytes = malloc(SIZE), *got = malloc(SIZE);
    struct remote_attr a;
    uint64_t len;
    int fd = memfd_create("got", MFD_CLOEXEC);

    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * 31 + (i >> 8));
    assert_int_equal(put_bytes("f", bytes, SIZE, NULL, INT64_MIN, &a), 0);
    assert_int_equal(a.size, SIZE);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, 0, SIZE, fd, &len), 0);
    assert_int_equal(len, SIZE);
    assert_int_equal(pread(fd, got, SIZE, 0), SIZE);
    assert_memory_equal(got, bytes, SIZE);

    /* A range goes to its own place; beyond the end there is nothing. */
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, 70000, 1000, fd, &len), 0);
    assert_int_equal(len, 1000);
    assert_int_equal(pread(fd, got, 1000, 70000), 1000);
    assert_memory_equal(got, bytes + 70000, 1000);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, SIZE - 5, 1000, fd, &len), 0);
    assert_int_equal(len, 5);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, SIZE, 10, fd, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, SIZE + 9, 10, fd, &len), 0);
    assert_int_equal(len, 0);

    assert_int_equal(put_bytes("f", "", 0, &a, INT64_MIN, &a), 0);
    assert_int_equal(a.size, 0);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, 0, 10, fd, &len), 0);
    assert_int_equal(len, 0);
    close(fd);
    free(bytes);
    free(got);
}

static void note_done(void *arg, size_t i)
{
    unsigned *done = arg;

    *done |= 1u << i;
}

TEST(many_files_come_at_once_each_with_its_own_outcome)
{
    static const char *const names[] = {"a", "empty", "grown", "gone", "b"};
    static const int errs[] = {0, 0, -ESTALE, -ENOENT, 0};
    struct remote_attr attrs[ARRAY_LEN(names)];
    struct remote_want v[ARRAY_LEN(names)];
    unsigned done = 0;
    struct remote_many many = {.v = v, .count = ARRAY_LEN(names), .done = note_done, .arg = &done};
    char got[16], paths[ARRAY_LEN(names)][4096];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        have_file(names[i], strcmp(names[i], "empty") == 0 ? "" : names[i]);
        attrs[i] = attr_of(names[i]);
        snprintf(paths[i], sizeof(paths[i]), "%s", at(names[i]));
        v[i] = (struct remote_want){
            .path = paths[i], .expect = &attrs[i], .fd = memfd_create("got", MFD_CLOEXEC)};
    }
    attrs[2].size = 3;
    assert_int_equal(remote_unlink(world.r, at("gone")), 0);
    assert_int_equal(remote_fetch_many(world.r, &many), 0);
    assert_int_equal(done, 31);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(v[i].err, errs[i]);
        if (v[i].err == 0) {
            assert_int_equal(pread(v[i].fd, got, sizeof(got), 0), attrs[i].size);
            assert_memory_equal(got, names[i], attrs[i].size);
        }
        close(v[i].fd);
    }
    attrs[0].mode = S_IFIFO | 0644;
    assert_int_equal(remote_fetch_many(world.r, &many), -EINVAL);
}

TEST(fetch_of_another_version_is_stale)
{
    struct remote_attr before;
    uint64_t len = 42;
    int fd = memfd_create("got", MFD_CLOEXEC);

    have_file("f", "one");
    before = attr_of("f");
    assert_int_equal(put_bytes("f", "longer", 6, &before, before.mtime_ns + 5 * NS_PER_S, NULL), 0);
    assert_int_equal(remote_fetch(world.r, at("f"), &before, 0, 3, fd, &len), -ESTALE);
    assert_int_equal(len, 42);
    before.mode = S_IFIFO | 0644;
    assert_int_equal(remote_fetch(world.r, at("f"), &before, 0, 3, fd, &len), -EINVAL);
    assert_int_equal(remote_fetch(world.r, at("none"), NULL, 0, 3, fd, &len), -ENOENT);
    close(fd);
}

/* A replacement of the same size and time, as tar and npm leave it: two ranges that are read one
 * after the other must not be of both. */
TEST(a_range_of_a_young_file_is_of_the_version_that_was_asked_for)
{
    enum { SIZE = 300 << 10, OFF = 100 << 10 };
    static char bytes[SIZE];
    struct remote_attr before, after;
    uint64_t len;
    int fd = memfd_create("got", MFD_CLOEXEC);

    NEED(REMOTE_CAP_LSTAT | REMOTE_CAP_REPLACE | REMOTE_CAP_TIMES);
    assert_int_equal(put_bytes("f", bytes, SIZE, NULL, INT64_MIN, NULL), 0);
    before = attr_of("f");
    assert_int_equal(remote_fetch(world.r, at("f"), &before, 0, OFF, fd, &len), 0);
    assert_int_equal(len, OFF);
    usleep(20000);
    memset(bytes, 'x', SIZE);
    assert_int_equal(put_bytes("f", bytes, SIZE, &before, before.mtime_ns, NULL), 0);
    after = attr_of("f");
    assert_int_equal(remote_fetch(world.r, at("f"), &before, OFF, OFF, fd, &len), -ESTALE);
    assert_int_equal(remote_fetch(world.r, at("f"), &before, OFF, 1000, fd, &len), -ESTALE);
    assert_int_equal(remote_fetch(world.r, at("f"), &after, OFF, OFF, fd, &len), 0);
    assert_int_equal(len, OFF);
    close(fd);
}

TEST(put_keeps_mode_and_links_and_sets_the_mtime)
{
    const int64_t mtime_ns = INT64_C(1234567890123456789);
    struct remote_attr a, b;

    NEED(REMOTE_CAP_LSTAT | REMOTE_CAP_LINKS | REMOTE_CAP_TIMES);
    assert_int_equal(remote_create(world.r, at("f"), 04750, &a), 0);
    assert_int_equal(put_bytes("f", "new", 3, &a, mtime_ns, &b), 0);
    assert_int_equal(b.mode, S_IFREG | 04750);
    assert_int_equal(b.mtime_ns, mtime_ns);
    assert_int_equal(b.uid, a.uid);
    assert_int_equal(b.gid, a.gid);
    a = attr_of("f");
    assert_true(remote_attr_same(&a, &b));

    assert_int_equal(remote_link(world.r, at("f"), at("g"), &a), 0);
    assert_int_equal(a.nlink, 2);
    assert_int_equal(put_bytes("g", "both", 4, &a, INT64_MIN, &b), 0);
    assert_int_equal(b.nlink, 2);
    assert_int_equal(b.ino, a.ino);
    assert_int_equal(b.mode, S_IFREG | 04750);
    expect_content("f", "both");

    /* Read-only, as git leaves its objects, is no obstacle for its owner. */
    assert_int_equal(remote_create(world.r, at("ro"), 0444, &a), 0);
    assert_int_equal(put_bytes("ro", "text", 4, &a, INT64_MIN, &b), 0);
    assert_int_equal(b.mode, S_IFREG | 0444);
    expect_content("ro", "text");
}

TEST(put_refuses_what_is_not_a_file)
{
    have_dir("d");
    assert_int_equal(put_bytes("d", "x", 1, NULL, INT64_MIN, NULL), -EISDIR);
    assert_int_equal(put_bytes("none/f", "x", 1, NULL, INT64_MIN, NULL), -ENOENT);
    assert_false(exists("none"));
    NEED(REMOTE_CAP_LINKS | REMOTE_CAP_LSTAT);
    assert_int_equal(remote_symlink(world.r, "victim", at("l"), NULL), 0);
    assert_int_equal(put_bytes("l", "x", 1, NULL, INT64_MIN, NULL), -EINVAL);
    assert_false(exists("victim"));
    assert_true(S_ISLNK(attr_of("l").mode));
}

TEST(mkdir_has_the_mode_asked_for)
{
    static const mode_t modes[] = {0755, 0700, 01777, 0777, 02775, 0555};
    struct remote_attr a;
    char name[16];

    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        const mode_t mode = world.caps & REMOTE_CAP_LSTAT ? modes[i] : modes[i] & 0777;

        snprintf(name, sizeof(name), "d%zu", i);
        assert_int_equal(remote_mkdir(world.r, at(name), mode, &a), 0);
        assert_int_equal(a.mode, S_IFDIR | mode);
        assert_int_equal(remote_mkdir(world.r, at(name), 0700, NULL), -EEXIST);
        assert_int_equal(attr_of(name).mode, S_IFDIR | mode);
    }
}

TEST(list_shows_everything_once_with_its_attributes)
{
    struct remote_list list;
    const struct remote_entry *e;
    struct remote_attr self;

    have_file("b", "bytes");
    have_dir("a");
    have_file("a/deep", "x");
    have_file(".hidden", "");
    if (world.caps & REMOTE_CAP_LINKS)
        assert_int_equal(remote_symlink(world.r, "no where", at("link"), NULL), 0);
    assert_int_equal(remote_stat(world.r, world.dir, &self, NULL), 0);
    assert_int_equal(remote_list(world.r, world.dir, 1, 100, &list), 0);
    assert_false(list.cut);
    assert_true(remote_attr_same(&self, &list.self));
    assert_int_equal(list.self.mode, self.mode);
    assert_int_equal(list.count, world.caps & REMOTE_CAP_LINKS ? 4 : 3);
    e = entry_of(&list, "b");
    assert_non_null(e);
    assert_int_equal(e->attr.size, 5);
    self = attr_of("b");
    assert_true(remote_attr_same(&self, &e->attr));
    assert_int_equal(self.nlink, e->attr.nlink);
    assert_int_equal(self.uid, e->attr.uid);
    assert_non_null(entry_of(&list, ".hidden"));
    e = entry_of(&list, "a");
    assert_true(e && S_ISDIR(e->attr.mode) && !e->target);
    if (world.caps & REMOTE_CAP_LINKS) {
        e = entry_of(&list, "link");
        assert_true(e && S_ISLNK(e->attr.mode));
        assert_string_equal(e->target, "no where");
        assert_int_equal(e->attr.size, strlen("no where"));
    }
    remote_list_done(&list);
    assert_int_equal(remote_list(world.r, at("a"), 1, 100, &list), 0);
    assert_int_equal(list.count, 1);
    remote_list_done(&list);
    assert_int_equal(remote_list(world.r, at("none"), 1, 100, &list), -ENOENT);
    if (world.caps & REMOTE_CAP_EXEC)
        assert_int_equal(remote_list(world.r, at("b"), 1, 100, &list), -ENOTDIR);
}

TEST(list_of_an_empty_directory_and_of_more_than_asked_for)
{
    struct remote_list list;

    assert_int_equal(remote_list(world.r, world.dir, 1, 10, &list), 0);
    assert_int_equal(list.count, 0);
    assert_false(list.cut);
    assert_true(S_ISDIR(list.self.mode));
    remote_list_done(&list);
    have_file("1", "");
    have_file("2", "");
    have_file("3", "");
    assert_int_equal(remote_list(world.r, world.dir, 1, 3, &list), 0);
    assert_int_equal(list.count, 3);
    assert_false(list.cut);
    remote_list_done(&list);
    assert_int_equal(remote_list(world.r, world.dir, 1, 2, &list), 0);
    assert_int_equal(list.count, 2);
    assert_true(list.cut);
    remote_list_done(&list);
}

TEST(list_of_a_tree_has_parents_first_and_follows_no_link)
{
    struct remote_list list;
    size_t seen = 0;

    NEED(REMOTE_CAP_TREE | REMOTE_CAP_LINKS);
    have_dir("a");
    have_dir("a/b");
    have_dir("a/b/c");
    have_file("a/b/f", "x");
    assert_int_equal(remote_symlink(world.r, "..", at("a/up"), NULL), 0);
    assert_int_equal(remote_list(world.r, world.dir, 3, 100, &list), 0);
    assert_int_equal(list.count, 5);
    for (size_t i = 0; i < list.count; i++) {
        char *dir = path_dir(list.v[i].name);

        if (strcmp(dir, ".") != 0) {
            const struct remote_entry *parent = entry_of(&list, dir);

            assert_true(parent && parent < &list.v[i]);
            seen++;
        }
        free(dir);
    }
    assert_int_equal(seen, 4);
    assert_non_null(entry_of(&list, "a/b/c"));
    remote_list_done(&list);
    assert_int_equal(remote_list(world.r, world.dir, 2, 100, &list), 0);
    assert_int_equal(list.count, 3);
    remote_list_done(&list);
}

TEST(odd_names_are_names)
{
    static const char *const names[] = {
        "it's",
        "\"double\"",
        "new\nline",
        "-rf",
        " both ends ",
        "$(touch pwned)",
        "`x`",
        "a\\b\\",
        "*",
        "?[x]",
        "~",
        "#hash",
        "!bang!!",
        "=cat",
        "tab\tx",
        "{a,b}",
        ";&|<>",
        "%s%n\\n",
        "\xc3\xa9t\xc3\xa9",
        "trailing\n",
        "--",
        "\x01\x7f",
        "a+b%20c",
    };
    struct remote_list list;
    struct remote_attr a;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(remote_create(world.r, at("plain"), 0640, &a), 0);
        assert_int_equal(remote_rename(world.r, at("plain"), at(names[i]), 0, &a), 0);
        assert_int_equal(put_bytes(names[i], names[i], strlen(names[i]), &a, INT64_MIN, &a), 0);
        expect_content(names[i], names[i]);
    }
    assert_int_equal(remote_list(world.r, world.dir, 1, 1000, &list), 0);
    assert_int_equal(list.count, ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_non_null(entry_of(&list, names[i]));
    remote_list_done(&list);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(remote_unlink(world.r, at(names[i])), 0);
    assert_int_equal(remote_list(world.r, world.dir, 1, 1000, &list), 0);
    assert_int_equal(list.count, 0);
    remote_list_done(&list);
}

TEST(names_that_are_not_utf8_are_names_too)
{
    static const char *const names[] = {"\xff\xfe", "caf\xe9", "d\xe9r'", "\x80 \n"};
    struct remote_list list;
    struct remote_attr a;
    char *target;

    NEED(REMOTE_CAP_LSTAT | REMOTE_CAP_LINKS | REMOTE_CAP_RMDIR);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        have_file(names[i], "old");
        a = attr_of(names[i]);
        assert_int_equal(put_bytes(names[i], "text", 4, &a, INT64_MIN, &a), 0);
        expect_content(names[i], "text");
        assert_int_equal(remote_list(world.r, world.dir, 1, 10, &list), 0);
        assert_int_equal(list.count, 1);
        assert_string_equal(list.v[0].name, names[i]);
        remote_list_done(&list);
        assert_int_equal(remote_unlink(world.r, at(names[i])), 0);
        assert_int_equal(remote_symlink(world.r, names[i], at(names[i]), NULL), 0);
        assert_int_equal(remote_stat(world.r, at(names[i]), &a, &target), 0);
        assert_string_equal(target, names[i]);
        free(target);
        assert_int_equal(remote_unlink(world.r, at(names[i])), 0);
    }
}

/* Those that the service cannot be asked for, whatever the size and age of the file. */
TEST(what_has_a_name_that_is_not_utf8_is_fetched_by_its_version)
{
    static const size_t sizes[] = {100, 70000, 300000};
    struct remote_attr a;

    NEED(REMOTE_CAP_LSTAT);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        for (int old = 0; old < 2; old++) {
            char *text = malloc(sizes[i]);
            FILE *f = tmpfile();
            uint64_t len = 0;

            assert_non_null(text);
            assert_non_null(f);
            memset(text, 'x', sizes[i]);
            have_file("\xff", "old");
            a = attr_of("\xff");
            assert_int_equal(put_bytes("\xff", text, sizes[i], &a, INT64_MIN, NULL), 0);
            assert_int_equal(remote_stat(world.r, at("\xff"), &a, NULL), 0);
            if (old)
                a.ctime_ns = 0;
            assert_int_equal(remote_fetch(world.r, at("\xff"), &a, 0, sizes[i], fileno(f), &len),
                             0);
            assert_int_equal(len, sizes[i]);
            a.size++;
            assert_int_equal(remote_fetch(world.r, at("\xff"), &a, 0, 10, fileno(f), &len),
                             -ESTALE);
            fclose(f);
            free(text);
            assert_int_equal(remote_unlink(world.r, at("\xff")), 0);
        }
}

TEST(links_are_themselves)
{
    const struct remote_attr mode = {.mode = 0600};
    struct remote_attr a, b;
    char *target = NULL;
    char longest[PATH_LEN_MAX + 1];

    NEED(REMOTE_CAP_LINKS | REMOTE_CAP_LSTAT);
    have_file("f", "x");
    b = attr_of("f");
    assert_int_equal(remote_symlink(world.r, "f", at("s"), &a), 0);
    assert_true(S_ISLNK(a.mode));
    assert_int_equal(remote_stat(world.r, at("s"), &a, &target), 0);
    assert_true(S_ISLNK(a.mode));
    assert_string_equal(target, "f");
    free(target);
    assert_int_equal(remote_stat(world.r, at("f"), &a, &target), 0);
    assert_null(target);
    assert_int_equal(remote_symlink(world.r, "x", at("s"), NULL), -EEXIST);
    assert_int_equal(remote_create(world.r, at("s"), 0644, NULL), -EEXIST);
    assert_int_equal(remote_mkdir(world.r, at("s"), 0755, NULL), -EEXIST);
    assert_int_equal(set_attr("s", REMOTE_SET_MODE, &mode, NULL), -EOPNOTSUPP);
    assert_int_equal(attr_of("f").mode, b.mode);

    assert_int_equal(remote_link(world.r, at("s"), at("s2"), &a), 0); /* of the link, not of f */
    assert_true(S_ISLNK(a.mode));
    assert_int_equal(remote_rename(world.r, at("s2"), at("s3"), 0, &a), 0);
    assert_true(S_ISLNK(a.mode));
    assert_int_equal(remote_unlink(world.r, at("s3")), 0);
    assert_int_equal(remote_unlink(world.r, at("s")), 0);
    expect_content("f", "x");

    assert_int_equal(remote_symlink(world.r, "gone/away ", at("dangling"), NULL), 0);
    assert_true(S_ISLNK(attr_of("dangling").mode));
    assert_int_equal(remote_unlink(world.r, at("dangling")), 0);
    memset(longest, 't', sizeof(longest));
    longest[PATH_LEN_MAX] = '\0';
    assert_int_equal(remote_symlink(world.r, longest, at("long"), NULL), 0);
    assert_int_equal(remote_stat(world.r, at("long"), &a, &target), 0);
    assert_string_equal(target, longest);
    free(target);
}

TEST(hard_links_share_one_file)
{
    struct remote_attr a, b;

    NEED(REMOTE_CAP_LINKS | REMOTE_CAP_LSTAT);
    have_file("f", "x");
    have_dir("d");
    assert_int_equal(remote_link(world.r, at("f"), at("g"), &a), 0);
    b = attr_of("f");
    assert_int_equal(a.nlink, 2);
    assert_int_equal(b.nlink, 2);
    assert_int_equal(a.ino, b.ino);
    assert_int_equal(remote_link(world.r, at("f"), at("g"), NULL), -EEXIST);
    assert_int_equal(remote_link(world.r, at("f"), at("d"), NULL), -EEXIST);
    assert_false(exists("d/f"));
    assert_int_equal(remote_link(world.r, at("none"), at("h"), NULL), -ENOENT);
    assert_int_equal(remote_link(world.r, at("f"), at("none/h"), NULL), -ENOENT);
    assert_int_equal(remote_link(world.r, at("d"), at("e"), NULL), -EPERM);
    /* POSIX: a rename between two names of one file does nothing. */
    assert_int_equal(remote_rename(world.r, at("f"), at("g"), 0, NULL), 0);
    assert_true(exists("f") && exists("g"));
    assert_int_equal(remote_unlink(world.r, at("f")), 0);
    assert_int_equal(attr_of("g").nlink, 1);
}

TEST(unlink_never_removes_a_directory_and_rmdir_nothing_else)
{
    have_dir("d");
    have_file("d/f", "x");
    have_dir("empty");
    assert_int_equal(remote_unlink(world.r, at("d")), -EISDIR);
    assert_int_equal(remote_unlink(world.r, at("empty")), -EISDIR);
    expect_content("d/f", "x");
    assert_true(exists("empty"));
    assert_int_equal(remote_unlink(world.r, at("d/f")), 0);
    assert_false(exists("d/f"));
    NEED(REMOTE_CAP_RMDIR);
    have_file("d/f", "x");
    assert_int_equal(remote_rmdir(world.r, at("d")), -ENOTEMPTY);
    assert_int_equal(remote_rmdir(world.r, at("d/f")), -ENOTDIR);
    expect_content("d/f", "x");
    assert_int_equal(remote_rmdir(world.r, at("empty")), 0);
    assert_false(exists("empty"));
    NEED(REMOTE_CAP_LINKS);
    have_dir("real");
    assert_int_equal(remote_symlink(world.r, "real", at("l"), NULL), 0);
    assert_int_equal(remote_rmdir(world.r, at("l")), -ENOTDIR);
    assert_int_equal(remote_unlink(world.r, at("l")), 0);
    assert_true(exists("real"));
}

TEST(rename_moves_and_replaces_as_posix_says)
{
    static const struct {
        const char *from, *to;
        int want;
    } rows[] = {
        {"none", "x", -ENOENT},
        {"f", "none/x", -ENOENT},
        {"f", "full", -EISDIR},
        {"f", "empty", -EISDIR},
        {"empty", "f", -ENOTDIR},
        {"empty", "full", -ENOTEMPTY},
        {"full/in", "full", -ENOTEMPTY},
        {"f", "f/x", -EINVAL},
        {"full", "full/in/x", -EINVAL},
        {"f", "g/x", -ENOTDIR},
        {"f", "f", 0},
        {"empty", "empty", 0},
        {"none", "none", -ENOENT},
        {"f", "g", 0},
        {"empty", "empty2", 0},
        {"full", "moved", 0},
        {"moved/in", "empty2/in", 0},
    };
    struct remote_attr a, b;

    NEED(REMOTE_CAP_REPLACE | REMOTE_CAP_EXEC);
    have_file("f", "f");
    have_file("g", "g");
    have_dir("empty");
    have_dir("empty2");
    have_dir("full");
    have_dir("full/in");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const int r = remote_rename(world.r, at(rows[i].from), at(rows[i].to), 0, &a);

        if (r != rows[i].want)
            fail_msg("rename %s %s: %d, not %d", rows[i].from, rows[i].to, r, rows[i].want);
        if (r == 0) {
            b = attr_of(rows[i].to);
            assert_true(remote_attr_same(&a, &b));
        }
    }
    expect_content("g", "f");
    assert_false(exists("f") || exists("full") || exists("empty") || exists("moved/in"));
    assert_true(exists("empty2/in"));
}

TEST(rename_noreplace_never_replaces)
{
    have_file("f", "f");
    have_file("g", "g");
    have_dir("d");
    have_dir("e");
    assert_int_equal(remote_rename(world.r, at("f"), at("g"), REMOTE_RENAME_NOREPLACE, NULL),
                     -EEXIST);
    assert_int_equal(remote_rename(world.r, at("f"), at("d"), REMOTE_RENAME_NOREPLACE, NULL),
                     -EEXIST);
    assert_int_equal(remote_rename(world.r, at("d"), at("e"), REMOTE_RENAME_NOREPLACE, NULL),
                     -EEXIST);
    assert_int_equal(remote_rename(world.r, at("f"), at("f"), REMOTE_RENAME_NOREPLACE, NULL),
                     -EEXIST);
    assert_int_equal(remote_rename(world.r, at("none"), at("x"), REMOTE_RENAME_NOREPLACE, NULL),
                     -ENOENT);
    assert_int_equal(remote_rename(world.r, at("f"), at("h"), REMOTE_RENAME_NOREPLACE, NULL), 0);
    assert_int_equal(remote_rename(world.r, at("d"), at("k"), REMOTE_RENAME_NOREPLACE, NULL), 0);
    assert_false(exists("f") || exists("d"));
    expect_content("g", "g");
    expect_content("h", "f");
}

static int exchange(const char *from, uint64_t from_ino, const char *to, uint64_t to_ino,
                    struct remote_attr ret[2])
{
    const uint64_t ino[2] = {from_ino, to_ino};

    return remote_exchange(world.r, at(from), at(to), ino, ret);
}

TEST(an_exchange_swaps_what_is_meant_and_nothing_else)
{
    struct remote_attr d, f, now, both[2];

    NEED(REMOTE_CAP_EXCHANGE);
    have_file("f", "f");
    have_dir("d");
    have_file("d/in", "in");
    d = attr_of("d");
    f = attr_of("f");
    assert_int_equal(exchange("f", f.ino, "none", 1, both), -ENOENT);
    assert_int_equal(exchange("d/in", 1, "d", d.ino, both), -EINVAL);
    assert_int_equal(exchange("f", f.ino, "d", d.ino + 1000, both), -ESTALE);
    assert_int_equal(exchange("f", f.ino + 1000, "d", d.ino, both), -ESTALE);
    expect_content("d/in", "in");
    assert_int_equal(exchange("f", f.ino, "d", d.ino, both), 0);
    assert_int_equal(both[0].ino, d.ino);
    assert_int_equal(both[1].ino, f.ino);
    now = attr_of("f");
    assert_int_equal(now.ino, d.ino);
    now = attr_of("d");
    assert_int_equal(now.ino, f.ino);
    expect_content("f/in", "in");
}

TEST(setattr_sets_what_is_asked_for_and_no_more)
{
    const struct remote_attr want = {.mode = 02710,
                                     .size = 5,
                                     .mtime_ns = INT64_C(981173106123456789),
                                     .atime_ns = -INT64_C(86400000000001)};
    struct remote_attr before, a;
    int fd;
    uint64_t len;
    char bytes[5];

    NEED(REMOTE_CAP_LSTAT | REMOTE_CAP_TIMES | REMOTE_CAP_TRUNCATE);
    have_file("f", "abc");
    before = attr_of("f");
    assert_int_equal(set_attr("f", REMOTE_SET_MTIME, &want, &a), 0);
    assert_int_equal(a.mtime_ns, want.mtime_ns);
    if (before.atime_ns) /* known */
        assert_int_equal(a.atime_ns, before.atime_ns);
    assert_int_equal(a.mode, before.mode);
    assert_int_equal(set_attr("f", REMOTE_SET_ATIME, &want, &a), 0);
    assert_int_equal(a.atime_ns, want.atime_ns);
    assert_int_equal(a.mtime_ns, want.mtime_ns);
    assert_int_equal(set_attr("f", REMOTE_SET_MODE, &want, &a), 0);
    assert_int_equal(a.mode, S_IFREG | 02710);
    assert_int_equal(a.mtime_ns, want.mtime_ns);
    assert_int_equal(set_attr("f", REMOTE_SET_SIZE, &want, &a), 0);
    assert_int_equal(a.size, 5);
    assert_true(a.mtime_ns != want.mtime_ns);
    fd = memfd_create("got", MFD_CLOEXEC);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, 0, 5, fd, &len), 0);
    assert_int_equal(pread(fd, bytes, 5, 0), 5);
    assert_memory_equal(bytes, "abc\0\0", 5);
    close(fd);
    assert_int_equal(set_attr("f", REMOTE_SET_SIZE | REMOTE_SET_MTIME, &want, &a), 0);
    assert_int_equal(a.mtime_ns, want.mtime_ns); /* the size first, or it would move again */
    before = attr_of("f");
    assert_true(remote_attr_same(&a, &before));
    assert_int_equal(set_attr("none", REMOTE_SET_MODE, &want, NULL), -ENOENT);
    assert_int_equal(set_attr("none", REMOTE_SET_SIZE, &want, NULL), -ENOENT);
    assert_false(exists("none"));
    have_dir("d");
    assert_int_equal(set_attr("d", REMOTE_SET_SIZE, &want, NULL), -EISDIR);
    assert_int_equal(set_attr("d", REMOTE_SET_MODE, &want, &a), 0);
    assert_int_equal(a.mode, S_IFDIR | 02710);
    a.mode = 0755;
    assert_int_equal(set_attr("d", REMOTE_SET_MODE, &a, &a), 0);
    assert_int_equal(a.mode, S_IFDIR | 0755); /* setgid goes, too */
}

TEST(setattr_of_a_link_leaves_its_target_alone)
{
    const struct remote_attr want = {.mtime_ns = 1000000001, .atime_ns = 1000000002};
    struct remote_attr before, a;

    NEED(REMOTE_CAP_LSTAT | REMOTE_CAP_TIMES | REMOTE_CAP_LINKS);
    have_file("f", "x");
    before = attr_of("f");
    assert_int_equal(remote_symlink(world.r, "f", at("l"), NULL), 0);
    assert_int_equal(set_attr("l", REMOTE_SET_MTIME | REMOTE_SET_ATIME, &want, &a), 0);
    assert_true(S_ISLNK(a.mode));
    assert_int_equal(a.mtime_ns, want.mtime_ns);
    a = attr_of("f");
    assert_true(remote_attr_same(&a, &before));
    assert_int_equal(set_attr("l", REMOTE_SET_SIZE, &want, NULL), -EINVAL);
    assert_int_equal(attr_of("f").size, 1);
}

TEST(a_privileged_user_gives_files_away)
{
    const struct remote_attr want = {.uid = 4321, .gid = 1234};
    struct remote_attr a;

    NEED(REMOTE_CAP_LSTAT);
    if (!world.privileged)
        skip();
    have_file("f", "x");
    assert_int_equal(set_attr("f", REMOTE_SET_UID, &want, &a), 0);
    assert_int_equal(a.uid, 4321);
    assert_int_not_equal(a.gid, 1234);
    assert_int_equal(set_attr("f", REMOTE_SET_GID, &want, &a), 0);
    assert_int_equal(a.gid, 1234);
    assert_int_equal(put_bytes("f", "y", 1, &a, INT64_MIN, &a), 0);
    assert_int_equal(a.uid, 4321);
    assert_int_equal(a.gid, 1234);
}

TEST(permissions_bind_an_ordinary_user)
{
    struct remote_list list;
    struct remote_attr a;
    uint64_t len;
    int fd;

    NEED(REMOTE_CAP_LSTAT);
    if (world.privileged)
        skip();
    have_dir("d");
    have_file("d/f", "x");
    a = attr_of("d");
    a.mode = 0500;
    assert_int_equal(set_attr("d", REMOTE_SET_MODE, &a, NULL), 0);
    assert_int_equal(remote_create(world.r, at("d/g"), 0644, NULL), -EACCES);
    assert_int_equal(remote_unlink(world.r, at("d/f")), -EACCES);
    assert_int_equal(remote_rename(world.r, at("d/f"), at("f"), 0, NULL), -EACCES);
    assert_int_equal(put_bytes("d/new", "y", 1, NULL, INT64_MIN, NULL), -EACCES);
    /* A file that may be written, where nothing can be put beside it, is rewritten. */
    a = attr_of("d/f");
    assert_int_equal(put_bytes("d/f", "in place", 8, &a, 5 * NS_PER_S, &a), 0);
    assert_int_equal(a.mtime_ns, 5 * NS_PER_S);
    expect_content("d/f", "in place");
    a.mode = 0300;
    assert_int_equal(set_attr("d", REMOTE_SET_MODE, &a, NULL), 0);
    assert_int_equal(remote_list(world.r, at("d"), 1, 10, &list), -EACCES);
    assert_int_equal(remote_stat(world.r, at("d/f"), NULL, NULL), 0);
    a.mode = 0600;
    assert_int_equal(set_attr("d", REMOTE_SET_MODE, &a, NULL), 0);
    assert_int_equal(remote_stat(world.r, at("d/f"), NULL, NULL), -EACCES);
    a.mode = 0700; /* so that it can be cleared away */
    assert_int_equal(set_attr("d", REMOTE_SET_MODE, &a, NULL), 0);
    have_file("f", "x");
    a = attr_of("f");
    a.mode = 0200;
    assert_int_equal(set_attr("f", REMOTE_SET_MODE, &a, &a), 0);
    fd = memfd_create("got", MFD_CLOEXEC);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, 0, 1, fd, &len), -EACCES);
    close(fd);
    a.mode = 0400;
    a.size = 0;
    assert_int_equal(set_attr("f", REMOTE_SET_MODE, &a, NULL), 0);
    assert_int_equal(set_attr("f", REMOTE_SET_SIZE, &a, NULL), -EACCES);
    a.uid = 0; /* nor root's, nor a group's that we are not in */
    assert_int_equal(set_attr("f", REMOTE_SET_UID, &a, NULL), -EPERM);
    a.gid = 7;
    assert_int_equal(set_attr("f", REMOTE_SET_GID, &a, NULL), -EPERM);
}

TEST(a_change_moves_ctime_and_the_directorys_mtime)
{
    struct remote_attr dir, a, b;

    NEED(REMOTE_CAP_LSTAT);
    have_dir("d");
    dir = attr_of("d");
    usleep(20000); /* a kernel's clock for files moves every few milliseconds */
    have_file("d/f", "x");
    b = attr_of("d");
    assert_true(b.mtime_ns > dir.mtime_ns);
    a = attr_of("d/f");
    usleep(20000);
    b = a;
    b.mode ^= 0100;
    assert_int_equal(set_attr("d/f", REMOTE_SET_MODE, &b, &b), 0);
    assert_true(b.ctime_ns > a.ctime_ns);
    assert_int_equal(b.mtime_ns, a.mtime_ns);
    assert_false(remote_attr_same(&a, &b));
}

TEST(statfs_knows_some_space)
{
    struct remote_statfs s = {0};

    NEED(REMOTE_CAP_STATFS);
    assert_int_equal(remote_statfs(world.r, world.dir, &s), 0);
    assert_true(s.block_size >= 512 && s.blocks > 0 && s.blocks_avail <= s.blocks_free);
    assert_int_equal(remote_statfs(world.r, at("none"), &s), -ENOENT);
}

#define REMOTE_CASE(name) cmocka_unit_test_setup_teardown(name, world_enter, world_leave)

/* clang-format off */
#define REMOTE_CASES                                                                               \
    REMOTE_CASE(create_makes_an_empty_file_with_exactly_that_mode),                                \
    REMOTE_CASE(names_that_lead_nowhere_say_so),                                                   \
    REMOTE_CASE(paths_that_are_not_resolved_never_reach_the_backend),                              \
    REMOTE_CASE(put_and_fetch_carry_every_byte),                                                   \
    REMOTE_CASE(many_files_come_at_once_each_with_its_own_outcome),                                \
    REMOTE_CASE(fetch_of_another_version_is_stale),                                                \
    REMOTE_CASE(a_range_of_a_young_file_is_of_the_version_that_was_asked_for),                     \
    REMOTE_CASE(put_keeps_mode_and_links_and_sets_the_mtime),                                      \
    REMOTE_CASE(put_refuses_what_is_not_a_file),                                                   \
    REMOTE_CASE(mkdir_has_the_mode_asked_for),                                                     \
    REMOTE_CASE(list_shows_everything_once_with_its_attributes),                                   \
    REMOTE_CASE(list_of_an_empty_directory_and_of_more_than_asked_for),                            \
    REMOTE_CASE(list_of_a_tree_has_parents_first_and_follows_no_link),                             \
    REMOTE_CASE(odd_names_are_names),                                                              \
    REMOTE_CASE(what_has_a_name_that_is_not_utf8_is_fetched_by_its_version),                       \
    REMOTE_CASE(names_that_are_not_utf8_are_names_too),                                            \
    REMOTE_CASE(links_are_themselves),                                                             \
    REMOTE_CASE(hard_links_share_one_file),                                                        \
    REMOTE_CASE(unlink_never_removes_a_directory_and_rmdir_nothing_else),                          \
    REMOTE_CASE(rename_moves_and_replaces_as_posix_says),                                          \
    REMOTE_CASE(rename_noreplace_never_replaces),                                                  \
    REMOTE_CASE(an_exchange_swaps_what_is_meant_and_nothing_else),                                 \
    REMOTE_CASE(setattr_sets_what_is_asked_for_and_no_more),                                       \
    REMOTE_CASE(setattr_of_a_link_leaves_its_target_alone),                                        \
    REMOTE_CASE(a_privileged_user_gives_files_away),                                               \
    REMOTE_CASE(permissions_bind_an_ordinary_user),                                                \
    REMOTE_CASE(a_change_moves_ctime_and_the_directorys_mtime),                                    \
    REMOTE_CASE(statfs_knows_some_space)
/* clang-format on */

/* Each test program says how the case's directory is made and what goes afterwards. */
static int world_enter(void **state);
static int world_leave(void **state);

#endif
