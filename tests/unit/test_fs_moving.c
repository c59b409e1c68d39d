/* Files that change while they are looked up, opened and fetched. */
#include "scene.h"

#include "fs/fs_internal.h"
#include "remote/wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A line on which something happens in the sandbox before each call that looks. */
struct mover {
    struct wrap wrap;
    void (*move)(struct remote *inner, unsigned count);
    unsigned count;
};

static struct mover *mover;

static int mover_around(struct wrap *w, const struct wrap_call *call)
{
    struct mover *m = (struct mover *)w;

    if (m->move && call->op != WRAP_INFO)
        m->move(w->inner, ++m->count);
    return wrap_forward(w, call);
}

enum { LONG = 9000, ROUNDS = 40 };

/* Of another length each time, and all of one number. */
static size_t content(unsigned count, char *out)
{
    const size_t len = 9 * (1 + count * 7 % (LONG / 9));

    for (size_t i = 0; i < len; i += 9) {
        char line[16];

        snprintf(line, sizeof(line), "%08u\n", count % 100000000);
        memcpy(out + i, line, 9);
    }
    return len;
}

static void put(struct remote *r, const char *path, unsigned count)
{
    char bytes[LONG];
    FILE *f = tmpfile();
    struct remote_put p = {.fd = fileno(f), .size = content(count, bytes), .mtime_ns = INT64_MIN};
    struct remote_attr attr;
    int err = remote_create(r, path, 0644, &attr);

    assert_true(err == 0 || err == -EEXIST);
    assert_int_equal(pwrite(p.fd, bytes, p.size, 0), (ssize_t)p.size);
    assert_int_equal(remote_put(r, path, &p, &attr), 0);
    fclose(f);
}

/* As editors, npm and git do it: there is a file of that name at every moment. */
static void replace(struct remote *r, unsigned count)
{
    put(r, "/new", count);
    assert_int_equal(remote_rename(r, "/new", "/f", 0, NULL), 0);
}

/* It has a second name, and so keeps its inode. */
static void rewrite(struct remote *r, unsigned count)
{
    put(r, "/f", count);
}

static void up(struct rig *g, int64_t coherence_ns, bool young)
{
    struct remote_attr a, b;

    mover = calloc(1, sizeof(*mover));
    wrap_init(&mover->wrap, remote_mem_new(0, 0), mover_around, NULL);
    rig_up(g, &(struct rig_config){
                  .under = &mover->wrap.remote, .changes = true, .coherence_ns = coherence_ns});
    if (!young)
        g->fs->ahead_age_ns = INT64_MIN / 4;
    put(g->inside, "/f", 0);
    assert_int_equal(remote_stat(g->inside, "/f", &a, NULL), 0);
    assert_int_equal(remote_link(g->inside, "/f", "/second", NULL), 0);
    put(g->inside, "/f", 0);
    assert_int_equal(remote_stat(g->inside, "/f", &b, NULL), 0);
    assert_true(a.ino == b.ino);
}

/* One version from end to end, and fstat says how long it is. */
static void expect_whole(struct fs_file *f, struct rig *g)
{
    char got[LONG + 1], want[LONG];
    struct fs_entry e;
    ssize_t len;

    assert_int_equal(fs_getattr(g->fs, fs_file_ino(f), f, &e), 0);
    len = fs_read(f, 0, got, sizeof(got));
    assert_true(len >= 9);
    got[len] = '\0';
    assert_int_equal(content((unsigned)strtoul(got, NULL, 10), want), len);
    assert_memory_equal(got, want, len);
    if (!mover->move) /* in place it may have moved in between */
        assert_int_equal(e.st.st_size, len);
}

static void expect_number(struct fs_file *f, unsigned count)
{
    char got[LONG], want[LONG];
    const size_t len = content(count, want);

    assert_int_equal(fs_read(f, 0, got, sizeof(got)), len);
    assert_memory_equal(got, want, len);
}

static void read_while(void (*move)(struct remote *inner, unsigned count))
{
    static const int64_t windows[] = {-1, NS_PER_MS, NS_PER_S};
    struct rig g;

    for (size_t i = 0; i < 2 * ARRAY_LEN(windows); i++) {
        up(&g, windows[i / 2], i % 2 == 0);
        for (unsigned round = 0; round < ROUNDS; round++) {
            struct fs_file *f;

            mover->move = move;
            assert_int_equal(rig_open(&g, "/f", O_RDONLY, &f), 0);
            if (move == replace)
                mover->move = NULL; /* from here on it is what was opened */
            expect_whole(f, &g);
            mover->move = NULL;
            assert_int_equal(rig_close(f), 0);
            if (windows[i / 2] > NS_PER_MS)
                fs_refresh(g.fs, NULL);
        }
        fs_refresh(g.fs, NULL);
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

TEST(a_file_that_is_replaced_all_the_time_can_be_read_at_any_time)
{
    read_while(replace);
}

TEST(a_file_that_is_rewritten_all_the_time_is_never_mixed)
{
    read_while(rewrite);
}

TEST(whoever_opens_a_replaced_file_to_write_gets_what_has_its_name)
{
    static const int flags[] = {O_RDWR, O_WRONLY, O_RDONLY | O_TRUNC, O_WRONLY | O_TRUNC};
    struct fs_open_hints hints;
    struct fs_entry e, now;
    struct fs_file *f;
    struct rig g;

    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        up(&g, 0, true);
        assert_int_equal(rig_find(&g, "/f", &e), 0);
        replace(g.inside, 1);
        fs_refresh(g.fs, NULL);
        assert_int_equal(fs_open(g.fs, e.ino, flags[i], &f, &hints), 0);
        assert_true(hints.direct_io || (flags[i] & O_TRUNC) || !hints.keep_cache);
        assert_int_equal(fs_getattr(g.fs, e.ino, f, &now), 0);
        assert_true(now.st.st_ino != e.st.st_ino);
        if (flags[i] & O_ACCMODE)
            assert_int_equal(fs_write(f, 0, "ours", 4), 4);
        assert_int_equal(rig_close(f), 0);
        rig_drop(&g, &e);
        assert_int_equal(rig_find(&g, "/f", &now), 0);
        assert_true(now.ino == e.ino);
        rig_drop(&g, &now);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

TEST(a_replaced_file_that_is_open_is_not_the_new_one)
{
    struct fs_open_hints hints;
    struct fs_file *f, *other;
    struct fs_entry e;
    struct rig g;

    up(&g, 0, true);
    assert_int_equal(rig_find(&g, "/f", &e), 0);
    assert_int_equal(fs_open(g.fs, e.ino, O_RDONLY, &other, &hints), 0);
    replace(g.inside, 1);
    fs_refresh(g.fs, NULL);
    assert_int_equal(fs_open(g.fs, e.ino, O_RDWR, &f, &hints), -ESTALE);
    expect_number(other, 0);
    fs_release(other);
    rig_drop(&g, &e);
    assert_int_equal(rig_open(&g, "/f", O_RDWR, &f), 0);
    expect_number(f, 1);
    assert_int_equal(rig_close(f), 0);
    rig_same_tree(&g, "/");
    rig_down(&g);
}

/* The kernel looks a name up again only once. */
TEST(what_was_replaced_twice_is_opened_to_write_whoever_has_it_open)
{
    static const int flags[] = {O_RDWR, O_WRONLY | O_TRUNC};
    struct fs_open_hints hints;
    struct fs_file *f, *other;
    struct fs_entry e, now;
    struct rig g;

    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        up(&g, 0, true);
        assert_int_equal(rig_find(&g, "/f", &e), 0);
        assert_int_equal(fs_open(g.fs, e.ino, O_RDONLY, &other, &hints), 0);
        replace(g.inside, 1);
        fs_refresh(g.fs, NULL);
        assert_int_equal(fs_open(g.fs, e.ino, flags[i], &f, &hints), -ESTALE);
        assert_int_equal(fs_open(g.fs, e.ino, flags[i], &f, &hints), 0);
        assert_true(hints.direct_io);
        if (!(flags[i] & O_TRUNC))
            expect_number(f, 1);
        assert_int_equal(fs_write(f, 0, "ours", 4), 4);
        expect_number(other, 0);
        assert_int_equal(fs_getattr(g.fs, e.ino, f, &now), 0);
        assert_true(now.st.st_ino != e.st.st_ino && now.ttl_ns == 0);
        assert_int_equal(rig_close(f), 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        expect_number(other, 0);
        fs_release(other);
        rig_drop(&g, &e);
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

TEST(a_file_that_is_replaced_all_the_time_can_be_opened_to_write_at_any_time)
{
    static const int64_t windows[] = {-1, NS_PER_MS, NS_PER_S};
    struct rig g;

    for (size_t i = 0; i < 2 * ARRAY_LEN(windows); i++) {
        up(&g, windows[i / 2], i % 2 == 0);
        for (unsigned round = 0; round < ROUNDS; round++) {
            struct fs_file *f;

            fs_refresh(g.fs, NULL);
            mover->move = replace;
            assert_int_equal(rig_open(&g, "/f", round % 2 ? O_RDWR : O_WRONLY | O_TRUNC, &f), 0);
            mover->move = NULL;
            if (round % 2)
                expect_whole(f, &g);
            assert_int_equal(rig_close(f), 0);
        }
        fs_refresh(g.fs, NULL);
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

TEST(a_name_that_went_or_is_no_file_any_more_is_looked_up_again)
{
    struct fs_open_hints hints;
    struct fs_entry e;
    struct fs_file *f;
    struct rig g;

    for (unsigned kind = 0; kind < 3; kind++) {
        up(&g, 0, true);
        assert_int_equal(rig_find(&g, "/f", &e), 0);
        assert_int_equal(remote_unlink(g.inside, "/f"), 0);
        if (kind == 1)
            assert_int_equal(remote_mkdir(g.inside, "/f", 0755, NULL), 0);
        if (kind == 2)
            assert_int_equal(remote_symlink(g.inside, "second", "/f", NULL), 0);
        fs_refresh(g.fs, NULL);
        assert_int_equal(fs_open(g.fs, e.ino, O_RDONLY, &f, &hints), -ESTALE);
        rig_drop(&g, &e);
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

TEST(the_page_cache_is_not_used_until_the_kernel_knows_the_size)
{
    struct fs_open_hints hints;
    struct fs_entry e;
    struct fs_file *f;
    struct rig g;

    up(&g, 0, true);
    assert_int_equal(rig_find(&g, "/f", &e), 0);
    rewrite(g.inside, 1);
    fs_refresh(g.fs, NULL);
    assert_int_equal(fs_open(g.fs, e.ino, O_RDONLY, &f, &hints), 0);
    assert_true(hints.direct_io);
    assert_int_equal(fs_getattr(g.fs, e.ino, f, &e), 0);
    fs_release(f);
    assert_int_equal(fs_open(g.fs, e.ino, O_RDONLY, &f, &hints), 0);
    assert_false(hints.direct_io);
    fs_release(f);
    rig_drop(&g, &e);
    rig_down(&g);
}

/* ---- its directory is renamed, which takes a while ---- */

struct meanwhile {
    struct rig g;
    struct fs_file *f;
    pthread_t thread;
    int (*change)(struct meanwhile *m);
};

static int write_it(struct meanwhile *m)
{
    return fs_write(m->f, 0, "new", 3) == 3 ? 0 : -EIO;
}

static int empty_it(struct meanwhile *m)
{
    struct stat st = {.st_size = 0};
    struct fs_entry e;

    return fs_setattr(m->g.fs, fs_file_ino(m->f), m->f, FS_SET_SIZE, &st, &e);
}

static int change_its_mode(struct meanwhile *m)
{
    struct stat st = {.st_mode = 0600};
    struct fs_entry e;

    return fs_setattr(m->g.fs, fs_file_ino(m->f), m->f, FS_SET_MODE, &st, &e);
}

static void *change_main(void *arg)
{
    struct meanwhile *m = arg;

    assert_int_equal(m->change(m), 0);
    return NULL;
}

static void change_now(void *arg)
{
    struct meanwhile *m = arg;

    tally_on_rename(m->g.tally, NULL, NULL);
    assert_int_equal(pthread_create(&m->thread, NULL, change_main, m), 0);
    usleep(50000);
}

TEST(what_is_changed_while_its_directory_is_renamed_is_changed_there)
{
    static int (*const changes[])(struct meanwhile * m) = {write_it, empty_it, change_its_mode};
    struct meanwhile m;

    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        m.change = changes[i];
        UP_JOURNAL(&m.g);
        rig_mkdir(&m.g, "/d");
        rig_put(&m.g, "/d/f", "old", 3);
        assert_int_equal(rig_open(&m.g, "/d/f", O_RDWR, &m.f), 0);
        tally_on_rename(m.g.tally, change_now, &m);
        assert_int_equal(rig_rename(&m.g, "/d", "/e", 0), 0);
        pthread_join(m.thread, NULL);
        assert_int_equal(fs_fsync(m.f), 0);
        assert_int_equal(rig_close(m.f), 0);
        rig_expect(&m.g, "/e/f", i == 0 ? "new" : i == 1 ? "" : "old");
        rig_down(&m.g);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_is_replaced_all_the_time_can_be_read_at_any_time),
        cmocka_unit_test(a_file_that_is_rewritten_all_the_time_is_never_mixed),
        cmocka_unit_test(what_is_changed_while_its_directory_is_renamed_is_changed_there),
        cmocka_unit_test(whoever_opens_a_replaced_file_to_write_gets_what_has_its_name),
        cmocka_unit_test(a_replaced_file_that_is_open_is_not_the_new_one),
        cmocka_unit_test(what_was_replaced_twice_is_opened_to_write_whoever_has_it_open),
        cmocka_unit_test(a_file_that_is_replaced_all_the_time_can_be_opened_to_write_at_any_time),
        cmocka_unit_test(a_name_that_went_or_is_no_file_any_more_is_looked_up_again),
        cmocka_unit_test(the_page_cache_is_not_used_until_the_kernel_knows_the_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
