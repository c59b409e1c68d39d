/*
 * This machine's disk fails at every step of the journal while programs work. Each call fails, and
 * nothing of it is done, or it is done, and in the end in the sandbox; which of both is checked
 * against a plain directory that gets only what did not fail, after each call as it is seen here,
 * and at last in the sandbox. A disk that is broken for good is told.
 */
#include "flush_model.h"
#include "rig.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum failure { NO_ROOM, ONE_ERROR, SHORT, BROKEN, FAILURES };
static const char *const failures[FAILURES] = {"no room", "an error", "a short write", "broken"};

enum { BIG = 300 << 10, CHUNK = 100 << 10, TEXT = 5000 };

struct work {
    struct rig g;
    struct flush_model m;
    struct fs_file *f; /* NULL: it could not be opened */
    char path[64];     /* its */
    char *data;
};

/* ---- one call: here and, if it did not fail for the disk, there ---- */

static bool failed(int r)
{
    return rig_died() && (r == -EIO || r == -ENOSPC);
}

/* True if it is done. */
static bool both(struct work *w, const char *what, int r, int (*op)(struct flush_model *m))
{
    int there;

    if (failed(r))
        return false;
    w->m.err = 0;
    there = op(&w->m);
    if (r != there)
        fail_msg("%s: %d here, %d in a plain directory", what, r, there);
    return r == 0;
}

/* Of the model's operations; their arguments. */
static const char *arg, *arg2;
static uint64_t arg_off;
static size_t arg_len;
static const char *arg_data;

static int op_create(struct flush_model *m)
{
    return model_create(m, arg);
}

static int op_write(struct flush_model *m)
{
    return model_write(m, arg, arg_off, arg_data, arg_len);
}

static int op_mkdir(struct flush_model *m)
{
    return model_mkdir(m, arg);
}

static int op_rename(struct flush_model *m)
{
    return model_rename(m, arg, arg2);
}

static int op_unlink(struct flush_model *m)
{
    return model_unlink(m, arg);
}

static int op_rmdir(struct flush_model *m)
{
    return model_rmdir(m, arg);
}

static int op_truncate(struct flush_model *m)
{
    return model_truncate(m, arg, arg_off);
}

static void create(struct work *w, const char *path)
{
    int r;

    w->f = NULL;
    snprintf(w->path, sizeof(w->path), "%s", path);
    arg = path;
    r = rig_create(&w->g, path, O_WRONLY | O_EXCL, &w->f);
    both(w, path, r, op_create);
}

static void open_again(struct work *w, const char *path)
{
    w->f = NULL;
    snprintf(w->path, sizeof(w->path), "%s", path);
    (void)rig_open(&w->g, path, O_WRONLY, &w->f);
}

static void put(struct work *w, uint64_t off, size_t len)
{
    ssize_t n;

    if (!w->f)
        return;
    n = fs_write(w->f, off, w->data + off, len);
    if (failed((int)n))
        return;
    assert_true(n > 0); /* what a short one says is there */
    arg = w->path;
    arg_off = off;
    arg_len = (size_t)n;
    arg_data = w->data + off;
    both(w, w->path, 0, op_write);
}

static void cut(struct work *w, uint64_t size)
{
    const struct stat st = {.st_size = (off_t)size};
    struct fs_entry e;

    if (!w->f)
        return;
    arg = w->path;
    arg_off = size;
    both(w, w->path, fs_setattr(w->g.fs, fs_file_ino(w->f), w->f, FS_SET_SIZE, &st, &e),
         op_truncate);
}

/* What could not be sent may be told by these two. */
static void sync_it(struct work *w)
{
    const int r = w->f ? fs_fsync(w->f) : 0;

    assert_true(r == 0 || rig_died());
}

static void close_it(struct work *w)
{
    const int r = w->f ? rig_close(w->f) : 0;

    assert_true(r == 0 || rig_died());
    w->f = NULL;
}

static void make_dir(struct work *w, const char *path)
{
    arg = path;
    both(w, path, rig_mkdir_fs(&w->g, path), op_mkdir);
}

static void move(struct work *w, const char *from, const char *to)
{
    arg = from;
    arg2 = to;
    if (both(w, from, rig_rename(&w->g, from, to, 0), op_rename) && strcmp(w->path, from) == 0)
        snprintf(w->path, sizeof(w->path), "%s", to);
}

static void drop(struct work *w, const char *path)
{
    arg = path;
    both(w, path, rig_unlink(&w->g, path), op_unlink);
}

static void drop_dir(struct work *w, const char *path)
{
    arg = path;
    both(w, path, rig_rmdir(&w->g, path), op_rmdir);
}

/* ---- what programs do ---- */

static void save(struct work *w)
{
    create(w, "/f");
    put(w, 0, 20);
    close_it(w);
    for (int i = 0; i < 2; i++) {
        create(w, "/f.tmp");
        put(w, 0, TEXT);
        sync_it(w);
        close_it(w);
        move(w, "/f.tmp", "/f");
    }
}

static void copy(struct work *w)
{
    char path[64];

    make_dir(w, "/t");
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof(path), "/t/%d", i / 3);
        if (i % 3 == 0)
            make_dir(w, path);
        snprintf(path, sizeof(path), "/t/%d/%d", i / 3, i);
        create(w, path);
        put(w, 0, i % 2 ? TEXT : 30);
        close_it(w);
    }
}

static void shuffle(struct work *w)
{
    make_dir(w, "/d");
    create(w, "/d/a");
    put(w, 0, 10);
    move(w, "/d/a", "/d/b"); /* while it is open */
    put(w, 10, 10);
    close_it(w);
    create(w, "/d/c");
    close_it(w);
    move(w, "/d/c", "/d/b");
    drop(w, "/d/b");
    drop(w, "/d/b");
    move(w, "/d", "/e");
    drop(w, "/e/a");
    drop_dir(w, "/e");
}

static void large(struct work *w)
{
    create(w, "/big");
    for (uint64_t off = 0; off < BIG; off += CHUNK)
        put(w, off, CHUNK);
    sync_it(w);
    close_it(w);
    open_again(w, "/big");
    put(w, 1000, 100);
    put(w, CHUNK, CHUNK);
    cut(w, CHUNK + 5);
    close_it(w);
}

static void (*const works[])(struct work *) = {save, copy, shuffle, large};

/* ---- what is seen ---- */

static long content(struct remote *tree, const char *path, char *data, size_t max)
{
    struct remote_attr attr;
    uint64_t len = 0;
    int fd, r = remote_stat(tree, path, &attr, NULL);

    if (r < 0)
        return r;
    if (S_ISDIR(attr.mode))
        return -EISDIR;
    fd = memfd_create("content", 0);
    assert_int_equal(remote_fetch(tree, path, NULL, 0, max, fd, &len), 0);
    assert_int_equal(pread(fd, data, (size_t)len, 0), len);
    close(fd);
    return (long)len;
}

static long content_here(struct work *w, const char *path, char *data, size_t max)
{
    struct fs_entry e;
    struct fs_file *f;
    ssize_t n;
    int r = rig_find(&w->g, path, &e);

    if (r < 0)
        return r;
    rig_drop(&w->g, &e);
    if (S_ISDIR(e.st.st_mode))
        return -EISDIR;
    assert_int_equal(rig_open(&w->g, path, O_RDONLY, &f), 0);
    n = fs_read(f, 0, data, max);
    (void)rig_close(f);
    return (long)n;
}

static void same_here(struct work *w, const char *where)
{
    static const char *const paths[] = {"/f",   "/f.tmp", "/t",     "/t/0", "/t/0/0", "/t/0/1",
                                        "/t/1", "/t/1/4", "/t/1/5", "/d",   "/d/a",   "/d/b",
                                        "/d/c", "/e",     "/e/b",   "/e/c", "/big"};
    char *here = malloc(BIG), *there = malloc(BIG);

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        const long n = content_here(w, paths[i], here, BIG);
        const long m = content(w->m.tree, paths[i], there, BIG);

        if (n != m || (n > 0 && memcmp(here, there, (size_t)n) != 0))
            fail_msg("%s: %s: %ld here, %ld in a plain directory", where, paths[i], n, m);
    }
    free(here);
    free(there);
}

static void expect_told(struct work *w)
{
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;
    struct buf status = BUF_INIT(65536), errors = BUF_INIT(65536);

    do {
        assert_true(clock_mono_ns() < until_ns);
        usleep(1000);
        buf_truncate(&status, 0);
        buf_truncate(&errors, 0);
        assert_int_equal(fs_status(w->g.fs, &status), 0);
        assert_int_equal(fs_errors_text(w->g.fs, &errors), 0);
    } while (!strstr(buf_str(&status), "not_sending the journal") ||
             !strstr(buf_str(&errors), "the journal on this machine"));
    buf_done(&status);
    buf_done(&errors);
}

/* True if there was no n-th step. */
static bool run(void (*work)(struct work *), enum failure failure, long n, char *data)
{
    struct work *w = calloc(1, sizeof(*w));
    char where[64], *what;
    bool none;

    snprintf(where, sizeof(where), "%s at step %ld", failures[failure], n);
    rig_disk_new();
    w->data = data;
    rig_up(&w->g, &(struct rig_config){.journal = true, .sys = &rig_disk});
    model_up(&w->m, NULL);
    if (failure == BROKEN)
        rig_die_after(n);
    else
        rig_fail_at(n, failure == NO_ROOM ? -ENOSPC : failure == SHORT ? 0 : -EIO);
    work(w);
    none = !rig_died();
    same_here(w, where);
    if (journal_failed(w->g.journal) < 0)
        expect_told(w);
    rig_die_after(-1);
    rig_restart(&w->g);
    what = model_differs(w->m.tree, w->g.inside);
    if (what)
        fail_msg("%s: in the sandbox: %s", where, what);
    same_here(w, where);
    model_down(&w->m);
    rig_down(&w->g);
    free(w);
    return none;
}

static void run_all(enum failure failure)
{
    char *data = malloc(BIG);

    for (size_t i = 0; i < BIG; i++)
        data[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        long n = 0;

        while (!run(works[i], failure, n, data))
            n++;
        assert_true(n > 5);
    }
    free(data);
}

TEST(a_disk_without_room_fails_a_call_or_costs_nothing)
{
    run_all(NO_ROOM);
}

TEST(an_error_of_the_disk_fails_a_call_or_costs_nothing)
{
    run_all(ONE_ERROR);
}

TEST(a_short_write_fails_nothing)
{
    run_all(SHORT);
}

TEST(a_disk_that_breaks_fails_all_that_comes_and_is_told)
{
    run_all(BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_without_room_fails_a_call_or_costs_nothing),
        cmocka_unit_test(an_error_of_the_disk_fails_a_call_or_costs_nothing),
        cmocka_unit_test(a_short_write_fails_nothing),
        cmocka_unit_test(a_disk_that_breaks_fails_all_that_comes_and_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
