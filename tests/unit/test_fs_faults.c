/*
 * The n-th call to the sandbox fails, for every n, in every way: what programs commonly do must
 * then fail with that errno or succeed, never hang, never leave wrong data, and once the line is
 * back fs and the sandbox must agree.
 */
#include "rig.h"

#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BIG = 3 * 1024 * 1024 + 12345, TIMEOUT_S = 60 };

struct scenario {
    const char *name;
    void (*prepare)(struct rig *g);        /* straight in the sandbox */
    int (*run)(struct rig *g);             /* through fs; stops at the first failure */
    void (*check)(struct rig *g, bool ok); /* what the sandbox holds when all is sent */
};

/* ---- an editor saves: a new file, fsync, rename over the old one ---- */

static void prepare_save(struct rig *g)
{
    rig_put(g, "/f", "old", 3);
}

static int run_save(struct rig *g)
{
    struct fs_file *f;
    int r = rig_create(g, "/f.tmp", O_WRONLY | O_EXCL, &f);

    if (r < 0)
        return r;
    assert_int_equal(fs_write(f, 0, "new text", 8), 8);
    r = fs_fsync(f);
    if (r < 0) {
        (void)rig_close(f);
        return r;
    }
    r = rig_close(f);
    return r < 0 ? r : rig_rename(g, "/f.tmp", "/f", 0);
}

static void check_save(struct rig *g, bool ok)
{
    char text[16];
    const long n = rig_get(g, "/f", text, sizeof(text));

    assert_true((n == 3 && memcmp(text, "old", 3) == 0) ||
                (n == 8 && memcmp(text, "new text", 8) == 0));
    if (ok) {
        assert_int_equal(n, 8);
        rig_expect(g, "/f.tmp", NULL);
    }
}

/* ---- rename before close, as a shell's redirection and mv in parallel do ---- */

static int run_rename_open(struct rig *g)
{
    struct fs_file *f;
    int r = rig_create(g, "/f.tmp", O_WRONLY, &f), closed;

    if (r < 0)
        return r;
    assert_int_equal(fs_write(f, 0, "new text", 8), 8);
    r = rig_rename(g, "/f.tmp", "/f", 0);
    closed = rig_close(f);
    return r < 0 ? r : closed;
}

/* ---- a tree is made ---- */

static void prepare_nothing(struct rig *g)
{
}

static int run_tree(struct rig *g)
{
    static const char *const dirs[] = {"/a", "/a/b", "/a/b/c"};
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(dirs); i++)
        r = rig_mkdir_fs(g, dirs[i]);
    if (r == 0)
        r = rig_write(g, "/a/b/c/x", "x");
    return r < 0 ? r : rig_write(g, "/a/y", "y");
}

static void check_tree(struct rig *g, bool ok)
{
    if (!ok)
        return;
    rig_expect(g, "/a/b/c/x", "x");
    rig_expect(g, "/a/y", "y");
}

/* ---- rm -r ---- */

static void prepare_remove(struct rig *g)
{
    rig_mkdir(g, "/a");
    rig_mkdir(g, "/a/b");
    rig_put(g, "/a/b/x", "x", 1);
    rig_put(g, "/a/y", "y", 1);
}

static int run_remove(struct rig *g)
{
    char names[64];
    int r = rig_names(g, "/a", names, sizeof(names));

    if (r == 0)
        r = rig_names(g, "/a/b", names, sizeof(names));
    if (r == 0)
        r = rig_unlink(g, "/a/b/x");
    if (r == 0)
        r = rig_rmdir(g, "/a/b");
    if (r == 0)
        r = rig_unlink(g, "/a/y");
    return r < 0 ? r : rig_rmdir(g, "/a");
}

static void check_remove(struct rig *g, bool ok)
{
    struct remote_attr attr;

    if (ok)
        assert_int_equal(remote_stat(g->remote, "/a", &attr, NULL), -ENOENT);
}

/* ---- a large file is read ---- */

static char big_byte(size_t i)
{
    return (char)(i * 31 + i / 4096);
}

static void prepare_big(struct rig *g)
{
    char *p = malloc(BIG);

    for (size_t i = 0; i < BIG; i++)
        p[i] = big_byte(i);
    rig_put(g, "/big", p, BIG);
    free(p);
}

static int run_big(struct rig *g)
{
    static char part[128 << 10];
    struct fs_file *f;
    uint64_t off = 0;
    int r = rig_open(g, "/big", O_RDONLY, &f);

    if (r < 0)
        return r;
    for (;;) {
        const ssize_t n = fs_read(f, off, part, sizeof(part));

        if (n <= 0) {
            r = (int)n;
            break;
        }
        for (ssize_t i = 0; i < n; i++)
            if (part[i] != big_byte(off + (size_t)i))
                fail_msg("wrong byte at %llu", (unsigned long long)off + (size_t)i);
        off += (uint64_t)n;
    }
    if (r == 0)
        assert_int_equal(off, BIG);
    (void)rig_close(f);
    return r;
}

static void check_nothing(struct rig *g, bool ok)
{
}

/* ---- a log grows ---- */

static int run_append(struct rig *g)
{
    struct fs_file *f;
    ssize_t n;
    int r = rig_open(g, "/f", O_WRONLY | O_APPEND, &f), closed;

    if (r < 0)
        return r;
    n = fs_write(f, 0, " and more", 9);
    r = n < 0 ? (int)n : 0;
    closed = rig_close(f);
    return r < 0 ? r : closed;
}

static void check_append(struct rig *g, bool ok)
{
    char text[16];
    const long n = rig_get(g, "/f", text, sizeof(text));

    assert_true((n == 3 && memcmp(text, "old", 3) == 0) ||
                (n == 12 && memcmp(text, "old and more", 12) == 0));
    if (ok)
        assert_int_equal(n, 12);
}

/* ---- modes, times, sizes, links ---- */

static int run_attr(struct rig *g)
{
    struct stat st = {.st_mode = 0600, .st_size = 2, .st_mtim = {.tv_sec = 12345}};
    struct fs_entry e, other, ignored;
    int r = rig_find(g, "/f", &e);

    if (r < 0)
        return r;
    r = fs_setattr(g->fs, e.ino, NULL, FS_SET_MODE, &st, &ignored);
    if (r == 0)
        r = fs_setattr(g->fs, e.ino, NULL, FS_SET_SIZE, &st, &ignored);
    if (r == 0)
        r = fs_setattr(g->fs, e.ino, NULL, FS_SET_MTIME, &st, &ignored);
    if (r == 0)
        r = fs_symlink(g->fs, "f", FS_ROOT, "s", &other);
    if (r == 0) {
        rig_drop(g, &other);
        r = fs_link(g->fs, e.ino, FS_ROOT, "hard", &other);
    }
    if (r == 0)
        rig_drop(g, &other);
    rig_drop(g, &e);
    return r;
}

static void check_attr(struct rig *g, bool ok)
{
    struct remote_attr attr, hard;
    char *target;

    if (!ok)
        return;
    assert_int_equal(remote_stat(g->remote, "/f", &attr, NULL), 0);
    assert_int_equal(attr.mode, S_IFREG | 0600);
    assert_int_equal(attr.size, 2);
    assert_int_equal(attr.mtime_ns, INT64_C(12345000000000));
    assert_int_equal(remote_stat(g->remote, "/hard", &hard, NULL), 0);
    assert_int_equal(hard.ino, attr.ino);
    assert_int_equal(remote_stat(g->remote, "/s", &hard, &target), 0);
    assert_string_equal(target, "f");
    free(target);
}

static const struct scenario scenarios[] = {
    {"editor save", prepare_save, run_save, check_save},
    {"rename while open", prepare_save, run_rename_open, check_save},
    {"make a tree", prepare_nothing, run_tree, check_tree},
    {"remove a tree", prepare_remove, run_remove, check_remove},
    {"read a large file", prepare_big, run_big, check_nothing},
    {"append", prepare_save, run_append, check_append},
    {"attributes and links", prepare_save, run_attr, check_attr},
};

/* ---- */

static const struct {
    enum remote_fault_kind kind;
    const char *name;
} kinds[] = {
    {REMOTE_FAULT_BEFORE, "before"}, {REMOTE_FAULT_AFTER, "after"}, {REMOTE_FAULT_SHORT, "short"}};
static const int errors[] = {EIO, ETIMEDOUT, ECONNRESET, EHOSTDOWN, EINTR};

static const char *now; /* for whoever sees the alarm */

static void on_alarm(int sig)
{
    (void)!write(2, "hangs: ", 7);
    (void)!write(2, now, strlen(now));
    abort();
}

/* Returns whether the n-th call was reached at all. */
static bool try(const struct scenario *s, bool changes, unsigned n, enum remote_fault_kind kind,
                int err)
{
    struct rig g;
    unsigned calls;
    int r;

    rig_up(&g, &(struct rig_config){.changes = changes});
    s->prepare(&g);
    remote_fault_set(g.fault, n, kind, err);
    r = s->run(&g);
    calls = remote_fault_calls(g.fault);
    remote_fault_set(g.fault, 0, kind, 0);

    if (r != 0 && r != -err)
        fail_msg("%s, changes %d, call %u, errno %d: got %d", s->name, changes, n, err, r);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
    assert_int_equal(fs_unsent(g.fs, NULL), 0);
    s->check(&g, r == 0);
    rig_same_tree(&g, "/"); /* even before anything is forgotten: nothing was believed wrongly */
    fs_refresh(g.fs, NULL);
    rig_same_tree(&g, "/");
    rig_down(&g);
    return calls >= n;
}

static void break_calls(const struct scenario *s, bool changes)
{
    signal(SIGALRM, on_alarm);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
        for (size_t e = 0; e < ARRAY_LEN(errors); e++) {
            unsigned n = 1;

            now = s->name;
            alarm(TIMEOUT_S);
            while (try(s, changes, n, kinds[k].kind, errors[e]))
                n++;
            assert_true(n > 1); /* else nothing was broken */
        }
    alarm(0);
}

static void break_every_call(const struct scenario *s)
{
    break_calls(s, false);
    break_calls(s, true);
}

TEST(an_editors_save)
{
    break_every_call(&scenarios[0]);
}

TEST(a_rename_while_it_is_open)
{
    break_every_call(&scenarios[1]);
}

TEST(making_a_tree)
{
    break_every_call(&scenarios[2]);
}

TEST(removing_a_tree)
{
    break_every_call(&scenarios[3]);
}

TEST(reading_a_large_file)
{
    break_every_call(&scenarios[4]);
}

TEST(appending)
{
    break_every_call(&scenarios[5]);
}

TEST(attributes_and_links)
{
    break_every_call(&scenarios[6]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_editors_save),      cmocka_unit_test(a_rename_while_it_is_open),
        cmocka_unit_test(making_a_tree),        cmocka_unit_test(removing_a_tree),
        cmocka_unit_test(reading_a_large_file), cmocka_unit_test(appending),
        cmocka_unit_test(attributes_and_links),
    };

    log_set_level(LOG_ERROR); /* what fails here is meant to */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
