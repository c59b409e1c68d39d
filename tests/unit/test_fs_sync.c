/*
 * durability=sync with a journal: each call is in the sandbox when it returns, and what the sandbox
 * has changed meanwhile is written over no more than in any other way to mount.
 */
#include "scene.h"

#include "fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define UP(g) UP_JOURNAL(g, .fs.durability = FS_DURABILITY_SYNC)

/* ---- in the sandbox, which nobody here has looked at since ---- */

static void resize_inside(struct rig *g, const char *path, uint64_t size)
{
    const struct remote_setattr set = {.mask = REMOTE_SET_SIZE, .attr.size = size};

    assert_int_equal(remote_setattr(g->inside, path, &set, NULL), 0);
}

static void expect_inside(struct rig *g, const char *path, const char *text, size_t size)
{
    FILE *f = tmpfile();
    struct remote_attr attr;
    char got[64];
    uint64_t len;

    assert_int_equal(remote_stat(g->inside, path, &attr, NULL), 0);
    assert_int_equal(attr.size, size);
    assert_int_equal(remote_fetch(g->inside, path, &attr, 0, size, fileno(f), &len), 0);
    assert_int_equal(pread(fileno(f), got, sizeof(got), 0), (ssize_t)size);
    assert_memory_equal(got, text, size);
    fclose(f);
}

static int count_one(void *arg, const struct flush_parked *p)
{
    ++*(unsigned *)arg;
    return 0;
}

static unsigned parked(struct rig *g)
{
    unsigned n = 0;

    assert_int_equal(fs_parked(g->fs, count_one, &n), 0);
    return n;
}

/* ---- what a call has done when it returns ---- */

TEST(each_call_is_in_the_sandbox_when_it_returns)
{
    struct stat st = {.st_mode = 0600, .st_size = 2};
    struct remote_attr attr;
    struct fs_entry e;
    struct fs_file *f;
    struct rig g;

    UP(&g);
    assert_int_equal(rig_mkdir_fs(&g, "/d"), 0);
    assert_int_equal(remote_stat(g.inside, "/d", &attr, NULL), 0);
    assert_int_equal(rig_create(&g, "/d/f", O_WRONLY, &f), 0);
    expect_inside(&g, "/d/f", "", 0);
    assert_int_equal(fs_write_cached(f, 0, "hello", 5), -EAGAIN);
    assert_int_equal(fs_write(f, 0, "hello", 5), 5);
    expect_inside(&g, "/d/f", "hello", 5);
    assert_int_equal(fs_setattr(g.fs, fs_file_ino(f), f, FS_SET_MODE, &st, &e), 0);
    assert_int_equal(remote_stat(g.inside, "/d/f", &attr, NULL), 0);
    assert_int_equal(attr.mode & 07777, 0600);
    assert_int_equal(fs_write(f, 5, "!", 1), 1);
    assert_int_equal(rig_rename(&g, "/d/f", "/d/g", 0), 0);
    expect_inside(&g, "/d/g", "hello!", 6);
    assert_int_equal(fs_write(f, 0, "J", 1), 1);
    expect_inside(&g, "/d/g", "Jello!", 6);
    assert_int_equal(fs_setattr(g.fs, fs_file_ino(f), f, FS_SET_SIZE, &st, &e), 0);
    expect_inside(&g, "/d/g", "Je", 2);
    assert_int_equal(fs_fallocate(f, 0, 0, 4), 0);
    expect_inside(&g, "/d/g", "Je\0\0", 4);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(rig_open(&g, "/d/g", O_WRONLY | O_TRUNC, &f), 0);
    expect_inside(&g, "/d/g", "", 0);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(rig_unlink(&g, "/d/g"), 0);
    assert_int_equal(remote_stat(g.inside, "/d/g", &attr, NULL), -ENOENT);
    assert_int_equal(rig_rmdir(&g, "/d"), 0);
    assert_int_equal(remote_stat(g.inside, "/d", &attr, NULL), -ENOENT);
    assert_int_equal(parked(&g), 0);
    rig_down(&g);
}

/* Nothing that was not asked for is kept aside: the caller has the answer. */
TEST(a_name_that_the_sandbox_took_is_refused_at_once)
{
    struct fs_entry e, made;
    struct fs_file *f;
    struct fs_open_hints hints;
    struct rig g;

    UP(&g);
    assert_int_equal(rig_find(&g, "/lock", &e), -ENOENT);
    inside_create(&g, "/lock");
    assert_int_equal(
        fs_create(g.fs, FS_ROOT, "lock", 0644, O_WRONLY | O_CREAT | O_EXCL, &made, &f, &hints),
        -EEXIST);
    inside_mkdir(&g, "/d");
    assert_int_equal(fs_mkdir(g.fs, FS_ROOT, "d", 0755, &made), -EEXIST);
    assert_int_equal(parked(&g), 0);
    rig_down(&g);
}

/* ---- theirs is not written over ---- */

static void replace(struct rig *g)
{
    inside_put(g, "/f", "theirs");
}
static void grow(struct rig *g)
{
    resize_inside(g, "/f", 6);
}
static void remove_it(struct rig *g)
{
    inside_unlink(g, "/f");
}
static void make_a_directory(struct rig *g)
{
    remove_it(g);
    inside_mkdir(g, "/f");
}

static int patch(struct rig *g, struct fs_file *f)
{
    return (int)fs_write(f, 0, "OURS", 4);
}
static int truncate_it(struct rig *g, struct fs_file *f)
{
    struct stat st = {.st_size = 3};
    struct fs_entry e;

    return fs_setattr(g->fs, fs_file_ino(f), f, FS_SET_SIZE, &st, &e);
}
static int open_anew(struct rig *g, struct fs_file *f)
{
    struct fs_open_hints hints;
    struct fs_file *other;
    const int r = fs_open(g->fs, fs_file_ino(f), O_WRONLY | O_TRUNC, &other, &hints);

    if (r == 0)
        (void)rig_close(other);
    return r;
}

static const struct {
    void (*theirs)(struct rig *g);
    const char *text; /* NULL: no file */
    size_t size;
} changes[] = {
    {replace, "theirs", 6},
    {grow, "ours\0\0", 6},
    {remove_it, NULL, 0},
    {make_a_directory, NULL, 0},
};

TEST(what_the_sandbox_changed_between_two_writes_is_not_written_over)
{
    static int (*const ours[])(struct rig * g, struct fs_file * f) = {patch, truncate_it,
                                                                      open_anew};
    struct fs_file *f, *other;
    struct rig g;

    for (size_t i = 0; i < ARRAY_LEN(changes) * ARRAY_LEN(ours); i++) {
        const size_t k = i % ARRAY_LEN(changes);

        UP(&g);
        assert_int_equal(rig_create(&g, "/f", O_RDWR, &f), 0);
        assert_int_equal(fs_write(f, 0, "ours", 4), 4);
        assert_int_equal(rig_open(&g, "/f", O_RDONLY, &other), 0);
        changes[k].theirs(&g);
        assert_int_equal(ours[i / ARRAY_LEN(changes)](&g, f), -EIO);
        if (changes[k].text)
            expect_inside(&g, "/f", changes[k].text, changes[k].size);
        assert_int_equal(parked(&g), 1);
        /* Who was told is not told again; who was not, is. */
        if (ours[i / ARRAY_LEN(changes)] != open_anew)
            assert_int_equal(fs_flush(f), 0);
        (void)rig_close(f);
        assert_int_equal(fs_flush(other), -EIO);
        assert_int_equal(fs_flush(other), 0);
        fs_release(other);
        rig_down(&g);
    }
}

/* As on a local disk: the bytes that were meant are replaced, and no others. */
TEST(what_was_changed_in_place_and_is_known_here_is_written_to)
{
    struct fs_entry e;
    struct fs_file *f;
    struct rig g;

    UP(&g);
    assert_int_equal(rig_create(&g, "/f", O_RDWR, &f), 0);
    assert_int_equal(fs_write(f, 0, "ours", 4), 4);
    resize_inside(&g, "/f", 6);
    fs_refresh(g.fs, "/f");
    assert_int_equal(fs_getattr(g.fs, fs_file_ino(f), f, &e), 0);
    assert_int_equal(e.st.st_size, 6);
    assert_int_equal(fs_write(f, 5, "!", 1), 1);
    expect_inside(&g, "/f", "ours\0!", 6);
    /* But another file that has the name is never written to. */
    inside_put(&g, "/f", "theirs");
    fs_refresh(g.fs, "/f");
    assert_true(fs_write(f, 0, "OURS", 4) < 0);
    expect_inside(&g, "/f", "theirs", 6);
    (void)rig_close(f);
    assert_int_equal(rig_open(&g, "/f", O_RDWR, &f), 0);
    assert_int_equal(fs_write(f, 0, "T", 1), 1);
    expect_inside(&g, "/f", "Theirs", 6);
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

/* ---- what is done here is no reason ---- */

enum { ROUNDS = 60 };

struct busy {
    struct rig g;
    struct fs_file *f;
    _Atomic bool stop;
};

static void *change_attributes(void *arg)
{
    struct busy *b = arg;
    struct fs_entry e;

    for (unsigned i = 0; !b->stop; i++) {
        struct stat st = {.st_mode = i % 2 ? 0600 : 0644, .st_mtim.tv_sec = 1000 + i};

        assert_int_equal(fs_setattr(b->g.fs, fs_file_ino(b->f), b->f,
                                    i % 3 ? FS_SET_MODE : FS_SET_MTIME, &st, &e),
                         0);
    }
    return NULL;
}

static void *rename_it(void *arg)
{
    struct busy *b = arg;

    for (unsigned i = 0; !b->stop; i++)
        assert_int_equal(rig_rename(&b->g, i % 2 ? "/g" : "/f", i % 2 ? "/f" : "/g", 0), 0);
    return NULL;
}

static void *write_too(void *arg)
{
    struct busy *b = arg;

    while (!b->stop)
        assert_int_equal(fs_write(b->f, ROUNDS, "x", 1), 1);
    return NULL;
}

TEST(what_is_done_to_it_here_at_the_same_time_is_no_conflict)
{
    static void *(*const others[])(void *) = {change_attributes, rename_it, write_too};
    pthread_t threads[ARRAY_LEN(others)];
    struct busy b = {.stop = false};

    UP(&b.g);
    assert_int_equal(rig_create(&b.g, "/f", O_RDWR, &b.f), 0);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, others[i], &b), 0);
    for (unsigned i = 0; i < ROUNDS; i++)
        assert_int_equal(fs_write(b.f, i, "y", 1), 1);
    b.stop = true;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rig_close(b.f), 0);
    assert_int_equal(parked(&b.g), 0);
    rig_down(&b.g);
}

/* A program that makes room, and writes again, need not open the file again. */
TEST(who_was_told_by_a_write_may_go_on)
{
    struct fs_file *f;
    struct rig g;

    UP(&g);
    assert_int_equal(rig_create(&g, "/f", O_RDWR, &f), 0);
    assert_int_equal(fs_write(f, 0, "ours", 4), 4);
    resize_inside(&g, "/f", 6);
    assert_int_equal(fs_write(f, 0, "OURS", 4), -EIO);
    assert_int_equal(fs_keep(g.fs, "/f", false), 0);
    assert_int_equal(fs_write(f, 0, "OURS", 4), 4);
    expect_inside(&g, "/f", "OURS\0\0", 6);
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_is_in_the_sandbox_when_it_returns),
        cmocka_unit_test(a_name_that_the_sandbox_took_is_refused_at_once),
        cmocka_unit_test(what_the_sandbox_changed_between_two_writes_is_not_written_over),
        cmocka_unit_test(what_was_changed_in_place_and_is_known_here_is_written_to),
        cmocka_unit_test(what_is_done_to_it_here_at_the_same_time_is_no_conflict),
        cmocka_unit_test(who_was_told_by_a_write_may_go_on),
    };

    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
