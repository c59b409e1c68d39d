/*
 * fs where the sandbox tells of trees and changes: what each use costs in requests, and that
 * nothing that happens inside is missed.
 */
#include "scene.h"
#include "slow_clock.h"

#include "fs/fs_internal.h"
#include "util/clock.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UP(g, ...) rig_up(g, &(struct rig_config){.changes = true, __VA_ARGS__})

static const int64_t window_ns = 100 * NS_PER_MS;

static void idle(void)
{
    slow_clock_pass(130 * NS_PER_MS); /* the window, and what the backend takes for slack */
}

/* ---- in the sandbox ---- */

static void make_tree(struct rig *g, const char *top, unsigned dirs, unsigned files)
{
    char path[128];

    for (unsigned d = 0; d < dirs; d++) {
        snprintf(path, sizeof(path), "%s/d%u", top, d);
        inside_mkdir(g, path);
        for (unsigned i = 0; i < files; i++) {
            snprintf(path, sizeof(path), "%s/d%u/f%u", top, d, i);
            inside_create(g, path);
        }
    }
}

/* ---- as find -printf '%s' does ---- */

struct found {
    struct fs_entry v[3000];
    size_t count;
};

static int find_entry(void *arg, const char *name, const struct fs_entry *e, uint64_t next)
{
    struct found *f = arg;

    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
        assert_true(f->count < ARRAY_LEN(f->v));
        f->v[f->count++] = *e;
    }
    return 0;
}

/* How many entries there are below; each is looked at. */
static size_t walk(struct rig *g, uint64_t ino)
{
    struct found *f = calloc(1, sizeof(*f));
    struct fs_dir *dir;
    struct fs_entry e;
    size_t count;
    int r;

    r = fs_opendir_cached(g->fs, ino, &dir);
    if (r == -EAGAIN)
        r = fs_opendir(g->fs, ino, &dir);
    assert_int_equal(r, 0);
    assert_int_equal(fs_readdir(dir, 0, true, find_entry, f), 0);
    fs_releasedir(dir);
    count = f->count;
    for (size_t i = 0; i < f->count; i++) {
        r = fs_getattr_cached(g->fs, f->v[i].ino, NULL, &e);
        if (r == -EAGAIN)
            r = fs_getattr(g->fs, f->v[i].ino, NULL, &e);
        assert_int_equal(r, 0);
        if (S_ISDIR(e.st.st_mode))
            count += walk(g, e.ino);
        fs_forget(g->fs, e.ino, 1);
    }
    free(f);
    return count;
}

static void expect_text(struct rig *g, const char *path, const char *text)
{
    char got[4096];

    assert_int_equal(rig_read(g, path, got, sizeof(got)), 0);
    assert_string_equal(got, text);
}

/* ---- requests ---- */

TEST(a_tree_costs_two_requests_then_none_and_after_idling_one)
{
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 100, 10);
    idle();
    tally_take(g.tally);
    assert_int_equal(walk(&g, FS_ROOT), 1100);
    assert_in_range(tally_take(g.tally).all, 1, 2);
    for (unsigned i = 0; i < 3; i++) {
        idle();
        assert_int_equal(walk(&g, FS_ROOT), 1100);
        assert_int_equal(tally_take(g.tally).all, 1);
    }
    rig_down(&g);
}

TEST(space_is_told_with_every_look)
{
    struct statvfs s, now;
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 2, 2);
    walk(&g, FS_ROOT);
    tally_take(g.tally);
    assert_int_equal(fs_statfs(g.fs, &s), 0);
    assert_int_equal(tally_take(g.tally).all, 0);
    inside_create(&g, "/new");
    idle();
    walk(&g, FS_ROOT);
    tally_take(g.tally);
    assert_int_equal(fs_statfs(g.fs, &now), 0);
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(now.f_ffree, s.f_ffree - 1);
    rig_down(&g);
}

TEST(within_the_window_nothing_is_asked)
{
    struct fs_entry e;
    char name[32];
    struct rig g;

    UP(&g, .coherence_ns = 600 * NS_PER_S);
    make_tree(&g, "", 100, 10);
    walk(&g, FS_ROOT);
    tally_take(g.tally);
    walk(&g, FS_ROOT);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "missing%u", i);
        assert_int_equal(fs_lookup_cached(g.fs, FS_ROOT, name, &e), 0);
        assert_int_equal(e.ino, 0);
        assert_true(e.ttl_ns > 0);
    }
    assert_int_equal(tally_take(g.tally).all, 0);
    rig_down(&g);
}

TEST(an_idle_mount_asks_nothing)
{
    struct fs_entry e;
    struct rig g;

    UP(&g, .coherence_ns = 10 * NS_PER_MS);
    make_tree(&g, "", 10, 10);
    walk(&g, FS_ROOT);
    assert_int_equal(rig_find(&g, "/d1", &e), 0); /* a shell sits in it */
    tally_take(g.tally);
    slow_clock_pass(NS_PER_S);
    usleep(30000);
    assert_int_equal(tally_take(g.tally).all, 0);
    rig_drop(&g, &e);
    rig_down(&g);
}

static void *look(void *arg)
{
    struct rig *g = arg;
    struct fs_entry e;

    assert_int_equal(fs_lookup(g->fs, FS_ROOT, "d3", &e), 0);
    assert_int_equal(fs_getattr(g->fs, e.ino, NULL, &e), 0);
    rig_drop(g, &e);
    return NULL;
}

TEST(who_needs_the_same_waits_for_one_request)
{
    pthread_t threads[8];
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 10, 10);
    walk(&g, FS_ROOT);
    idle();
    tally_take(g.tally);
    tally_hold(g.tally, true);
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look, &g), 0);
    tally_await(g.tally, 1);
    usleep(30000);
    tally_hold(g.tally, false);
    for (unsigned i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(tally_take(g.tally).all, 1);
    rig_down(&g);
}

TEST(only_what_was_used_is_asked_about)
{
    struct fs_entry e;
    struct tally_counts c;
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 100, 10);
    walk(&g, FS_ROOT);
    for (unsigned i = 0; i < 3; i++) {
        idle();
        assert_int_equal(rig_find(&g, "/d7/f1", &e), 0);
        rig_drop(&g, &e);
        c = tally_take(g.tally);
    }
    assert_int_equal(c.all, 1);
    assert_int_equal(c.paths, 2); /* the root and d7 */
    rig_down(&g);
}

TEST(a_name_that_was_missed_once_is_no_use_of_its_directory_for_ever)
{
    struct fs_entry e;
    struct tally_counts c;
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 10, 1);
    walk(&g, FS_ROOT);
    assert_int_equal(rig_find(&g, "/d3/none", &e), -ENOENT);
    for (unsigned i = 0; i < 3; i++) {
        idle();
        fs_refresh(g.fs, "/d5/f0");
        assert_int_equal(rig_find(&g, "/d7/f0", &e), 0);
        rig_drop(&g, &e);
        c = tally_take(g.tally);
    }
    assert_int_equal(c.all, 1);
    assert_int_equal(c.paths, 2); /* the root and d7 */
    rig_down(&g);
}

static void pause_now(void)
{
    slow_clock_pass(2 * window_ns);
}

/* Two requests, without a pause between them: each is about a part of it. False: it took longer. */
static bool use_two_after_another(struct rig *g)
{
    const int64_t start_ns = clock_mono_ns();
    struct fs_entry e;

    assert_int_equal(rig_find(g, "/d7/f1", &e), 0);
    rig_drop(g, &e);
    slow_clock_pass(window_ns * 11 / 10);
    assert_int_equal(rig_find(g, "/d8/f1", &e), 0);
    rig_drop(g, &e);
    assert_int_equal(rig_find(g, "/d8/f1", &e), 0);
    rig_drop(g, &e);
    return clock_mono_ns() - start_ns < window_ns * 14 / 10;
}

TEST(after_a_pause_all_that_was_used_before_it_is_asked_about_at_once)
{
    struct fs_entry e;
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 100, 10);
    walk(&g, FS_ROOT);
    for (unsigned i = 0; i < 20; i++) {
        pause_now();
        if (use_two_after_another(&g))
            break;
    }
    pause_now();
    tally_take(g.tally);
    assert_int_equal(rig_find(&g, "/d8/f1", &e), 0);
    rig_drop(&g, &e);
    assert_int_equal(rig_find(&g, "/d7/f1", &e), 0);
    rig_drop(&g, &e);
    assert_int_equal(tally_take(g.tally).all, 1);
    rig_down(&g);
}

TEST(a_walk_over_what_nobody_used_for_long_costs_few_requests)
{
    struct fs_entry e;
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 100, 10);
    walk(&g, FS_ROOT);
    for (unsigned i = 0; i < 3; i++) {
        idle();
        assert_int_equal(rig_find(&g, "/d7/f1", &e), 0);
        rig_drop(&g, &e);
    }
    idle();
    tally_take(g.tally);
    walk(&g, FS_ROOT);
    assert_in_range(tally_take(g.tally).all, 1, 3);
    rig_down(&g);
}

TEST(a_large_directory_is_kept_up_by_one_request)
{
    struct fs_entry e;
    char path[32];
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    for (unsigned i = 0; i < 3 * FS_DIR_LARGE; i++) {
        snprintf(path, sizeof(path), "/f%u", i);
        inside_create(&g, path);
    }
    assert_int_equal(rig_find(&g, "/f1", &e), 0);
    rig_drop(&g, &e);
    idle();
    tally_take(g.tally);
    assert_int_equal(rig_find(&g, "/f1", &e), 0);
    assert_int_equal(fs_lookup_cached(g.fs, FS_ROOT, "f4000", &e), 0);
    assert_int_equal(tally_take(g.tally).all, 1);
    rig_down(&g);
}

TEST(what_does_not_fit_the_first_answer_comes_in_the_background)
{
    struct tally_counts c = {0}, more;
    struct rig g;

    UP(&g, .coherence_ns = 600 * NS_PER_S);
    make_tree(&g, "", 60, 200);
    make_tree(&g, "/d0", 40, 50);
    tally_take(g.tally);
    assert_int_equal(rig_find(&g, "/missing", &(struct fs_entry){0}), -ENOENT);
    for (unsigned i = 0; i < 200; i++) {
        size_t nodes;

        usleep(10000);
        fs_lock(g.fs);
        nodes = g.fs->by_id.count;
        fs_unlock(g.fs);
        if (nodes == 1 + 60 * 201 + 40 * 51)
            break;
    }
    c = tally_take(g.tally);
    assert_true(c.background > 0);
    assert_int_equal(c.all, c.background + 1);
    usleep(50000);
    assert_int_equal(walk(&g, FS_ROOT), 60 * 201 + 40 * 51);
    more = tally_take(g.tally);
    assert_int_equal(more.all, 0);
    rig_down(&g);
}

static void run_command(struct rig *g, void (*fn)(void *arg))
{
    struct buf out = BUF_INIT(1000);
    int exit_code;

    tally_on_exec(g->tally, fn, g);
    assert_int_equal(fs_exec(g->fs, "true", NULL, 1000, &out, &exit_code, NULL), 0);
    tally_on_exec(g->tally, NULL, NULL);
    buf_done(&out);
}

static void up_with_100_dirs(struct rig *g)
{
    UP(g, .coherence_ns = 600 * NS_PER_S);
    make_tree(g, "", 100, 10);
    inside_put(g, "/d5/f5", "before");
    assert_int_equal(walk(g, FS_ROOT), 1100);
    expect_text(g, "/d5/f5", "before");
    tally_take(g->tally);
}

static void change_and_make(void *arg)
{
    inside_put(arg, "/d5/f5", "after");
    inside_create(arg, "/d6/new");
    inside_unlink(arg, "/d7/f1");
}

TEST(a_command_tells_what_it_did_together_with_its_end)
{
    struct tally_counts c;
    struct rig g;

    up_with_100_dirs(&g);
    run_command(&g, change_and_make);
    assert_int_equal(walk(&g, FS_ROOT), 1100);
    assert_int_equal(rig_find(&g, "/d7/f1", &(struct fs_entry){0}), -ENOENT);
    assert_int_equal(tally_take(g.tally).all, 1); /* it itself */
    expect_text(&g, "/d5/f5", "after");
    c = tally_take(g.tally);
    assert_int_equal(c.all, 1);
    assert_int_equal(c.data, 1);
    for (unsigned i = 0; i < 3; i++)
        run_command(&g, NULL);
    assert_int_equal(walk(&g, FS_ROOT), 1100);
    assert_int_equal(tally_take(g.tally).all, 3);
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(what_nobody_used_before_a_command_is_asked_about_after_it)
{
    struct fs_entry e;
    struct rig g;

    up_with_100_dirs(&g);
    fs_refresh(g.fs, NULL);
    assert_int_equal(rig_find(&g, "/d5/f5", &e), 0);
    rig_drop(&g, &e);
    assert_int_equal(tally_take(g.tally).all, 1);
    run_command(&g, change_and_make);
    assert_int_equal(rig_find(&g, "/d5/f6", &e), 0);
    rig_drop(&g, &e);
    assert_int_equal(tally_take(g.tally).all, 1); /* the command */
    assert_int_equal(walk(&g, FS_ROOT), 1100);
    assert_true(tally_take(g.tally).all > 0);
    expect_text(&g, "/d5/f5", "after");
    rig_same_tree(&g, "/");
    rig_down(&g);
}

static void change_here_and_there(void *arg)
{
    struct rig *g = arg;

    change_and_make(g);
    assert_int_equal(rig_write(g, "/d6/mine", "x"), 0);
    assert_int_equal(rig_rename(g, "/d5/f5", "/d5/moved", 0), 0);
    assert_int_equal(rig_rename(g, "/d8", "/renamed", 0), 0);
    rig_settle(g);
    inside_create(g, "/renamed/theirs");
}

TEST(a_command_tells_nothing_of_what_was_changed_here_while_it_ran)
{
    struct rig g;

    up_with_100_dirs(&g);
    run_command(&g, change_here_and_there);
    assert_int_equal(walk(&g, FS_ROOT), 1102);
    expect_text(&g, "/d5/moved", "after");
    expect_text(&g, "/d6/mine", "x");
    rig_same_tree(&g, "/");
    rig_down(&g);
}

static void look_and_then_change(void *arg)
{
    struct fs_entry e;

    assert_int_equal(rig_find(arg, "/d5/f5", &e), 0);
    rig_drop(arg, &e);
    fs_refresh(((struct rig *)arg)->fs, NULL);
    assert_int_equal(walk(arg, FS_ROOT), 1100);
    change_and_make(arg);
}

TEST(what_was_asked_while_a_command_ran_is_not_what_it_left)
{
    struct rig g;

    up_with_100_dirs(&g);
    run_command(&g, look_and_then_change);
    assert_int_equal(walk(&g, FS_ROOT), 1100);
    expect_text(&g, "/d5/f5", "after");
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(a_command_that_sets_the_clock_tells_nothing)
{
    static const int64_t steps_ns[] = {-3600 * NS_PER_S, 3600 * NS_PER_S};

    for (size_t i = 0; i < ARRAY_LEN(steps_ns); i++) {
        struct rig g;

        up_with_100_dirs(&g);
        tally_bend(g.tally, steps_ns[i] < 0 ? NULL : "another", steps_ns[i]);
        run_command(&g, change_and_make);
        assert_int_equal(walk(&g, FS_ROOT), 1100);
        expect_text(&g, "/d5/f5", "after");
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

TEST(only_what_a_command_changed_is_told_to_the_kernel)
{
    struct fs_entry changed, same;
    struct rig g;

    up_with_100_dirs(&g);
    assert_int_equal(rig_find(&g, "/d5/f5", &changed), 0);
    assert_int_equal(rig_find(&g, "/d5/f6", &same), 0);
    g.inode_events = g.entry_events = 0;
    run_command(&g, NULL);
    assert_int_equal(g.inode_events + g.entry_events, 0);
    assert_int_equal(walk(&g, FS_ROOT), 1100);
    run_command(&g, change_and_make);
    assert_true(g.inode_events > 0);
    rig_drop(&g, &changed);
    rig_drop(&g, &same);
    rig_down(&g);
}

TEST(local_changes_cost_no_listings)
{
    struct tally_counts c;
    char path[32];
    struct rig g;

    UP(&g, .coherence_ns = 600 * NS_PER_S);
    make_tree(&g, "", 20, 10);
    walk(&g, FS_ROOT);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(path, sizeof(path), "/d%u/mine", i);
        assert_int_equal(rig_write(&g, path, "x"), 0);
    }
    tally_take(g.tally);
    walk(&g, FS_ROOT);
    c = tally_take(g.tally);
    assert_in_range(c.all, 1, 2); /* the directories' times, all at once */
    rig_down(&g);
}

/* ---- what happens inside ---- */

static void add_file(struct rig *g)
{
    inside_create(g, "/d1/new");
}
static void add_file_at_the_top(struct rig *g)
{
    inside_create(g, "/new");
}
static void change_file(struct rig *g)
{
    inside_put(g, "/d1/f1", "changed");
}
static void change_mode(struct rig *g)
{
    const struct remote_setattr set = {.mask = REMOTE_SET_MODE, .attr.mode = 0600};
    struct remote_attr attr;

    assert_int_equal(remote_setattr(g->inside, "/d1/f2", &set, &attr), 0);
}
static void change_mode_of_directory(struct rig *g)
{
    const struct remote_setattr set = {.mask = REMOTE_SET_MODE, .attr.mode = 0700};
    struct remote_attr attr;

    assert_int_equal(remote_setattr(g->inside, "/d1", &set, &attr), 0);
    assert_int_equal(remote_setattr(g->inside, "/", &set, &attr), 0);
}
static void remove_file(struct rig *g)
{
    inside_unlink(g, "/d1/f3");
}
static void rename_file(struct rig *g)
{
    inside_move(g, "/d1/f1", "/d2/other");
}
static void replace_file(struct rig *g)
{
    inside_put(g, "/d1/t", "by rename");
    inside_move(g, "/d1/t", "/d1/f1");
}
static void replace_directory(struct rig *g)
{
    inside_mkdir(g, "/t");
    inside_create(g, "/t/inside");
    inside_move(g, "/d1", "/gone");
    inside_move(g, "/t", "/d1");
}
static void exchange_directories(struct rig *g)
{
    struct remote_attr one, two, both[2];

    assert_int_equal(remote_stat(g->inside, "/d1", &one, NULL), 0);
    assert_int_equal(remote_stat(g->inside, "/d2", &two, NULL), 0);
    assert_int_equal(remote_exchange(g->inside, "/d1", "/d2", (uint64_t[]){one.ino, two.ino}, both),
                     0);
}
static void move_tree_in(struct rig *g)
{
    inside_move(g, "/away/tree", "/d1/tree");
}
static void file_to_directory(struct rig *g)
{
    inside_unlink(g, "/d1/f1");
    inside_mkdir(g, "/d1/f1");
    inside_create(g, "/d1/f1/below");
}
static void directory_to_file(struct rig *g)
{
    inside_move(g, "/d1", "/gone");
    inside_create(g, "/d1");
}
static void file_to_link(struct rig *g)
{
    struct remote_attr attr;

    inside_unlink(g, "/d1/f1");
    assert_int_equal(remote_symlink(g->inside, "f2", "/d1/f1", &attr), 0);
}
static void forge_mtime(struct rig *g)
{
    const struct remote_setattr set = {.mask = REMOTE_SET_MTIME, .attr.mtime_ns = NS_PER_S};
    struct remote_attr attr;

    inside_put(g, "/d1/f1", "forged");
    assert_int_equal(remote_setattr(g->inside, "/d1/f1", &set, &attr), 0);
}
static void hard_link(struct rig *g)
{
    struct remote_attr attr;

    assert_int_equal(remote_link(g->inside, "/d1/f1", "/d2/second", &attr), 0);
}
static void remove_directory(struct rig *g)
{
    inside_mkdir(g, "/d1/e");
    assert_int_equal(remote_rmdir(g->inside, "/d1/e"), 0);
    assert_int_equal(remote_rmdir(g->inside, "/empty"), 0);
}

static const struct happening {
    const char *name;
    void (*happen)(struct rig *g);
} happenings[] = {
    {"add a file", add_file},
    {"add a file at the top", add_file_at_the_top},
    {"change a file", change_file},
    {"change a mode", change_mode},
    {"change the modes of directories", change_mode_of_directory},
    {"remove a file", remove_file},
    {"rename a file", rename_file},
    {"replace a file", replace_file},
    {"replace a directory", replace_directory},
    {"exchange directories", exchange_directories},
    {"move a tree in", move_tree_in},
    {"a file becomes a directory", file_to_directory},
    {"a directory becomes a file", directory_to_file},
    {"a file becomes a link", file_to_link},
    {"forge an mtime", forge_mtime},
    {"link a file", hard_link},
    {"remove a directory", remove_directory},
};

static void happens(const struct happening *h, bool used, uint32_t uid)
{
    struct fs_entry e;
    struct rig g;

    UP(&g, .coherence_ns = window_ns, .uid = uid);
    make_tree(&g, "", 4, 4);
    inside_mkdir(&g, "/empty");
    inside_mkdir(&g, "/away");
    inside_mkdir(&g, "/away/tree");
    make_tree(&g, "/away/tree", 2, 2);
    slow_clock_pass(30 * NS_PER_MS); /* what was moved in is older than any answer */
    rig_same_tree(&g, "/");
    if (!used) /* two questions about something else: nothing of it is asked about with them */
        for (unsigned i = 0; i < 2; i++) {
            idle();
            assert_int_equal(rig_find(&g, "/d3/f3", &e), 0);
            rig_drop(&g, &e);
        }
    slow_clock_pass(30 * NS_PER_MS);
    h->happen(&g);
    idle();
    rig_same_tree(&g, "/");
    idle();
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(whatever_happens_inside_is_seen_after_the_window)
{
    for (size_t i = 0; i < ARRAY_LEN(happenings); i++) {
        print_message("%s\n", happenings[i].name);
        happens(&happenings[i], true, i % 2 ? 1000 : 0);
        happens(&happenings[i], false, 0);
    }
}

TEST(a_moved_in_tree_is_walked_in_full_although_nothing_in_it_changed)
{
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    inside_mkdir(&g, "/in");
    inside_mkdir(&g, "/in/sub");
    rig_mkdir(&g, "/other");
    make_tree(&g, "/other", 3, 3);
    walk(&g, FS_ROOT);
    slow_clock_pass(50 * NS_PER_MS);
    inside_move(&g, "/in/sub", "/was"); /* in its place, and older than the last answer */
    inside_move(&g, "/other", "/in/sub");
    idle();
    tally_take(g.tally);
    assert_int_equal(walk(&g, FS_ROOT), 3 + 12);
    assert_in_range(tally_take(g.tally).all, 1, 3);
    rig_down(&g);
}

TEST(another_start_of_the_sandbox_makes_everything_asked_for_again)
{
    struct tally_counts c;
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 5, 5);
    walk(&g, FS_ROOT);
    idle();
    tally_bend(g.tally, "another", 0);
    tally_take(g.tally);
    walk(&g, FS_ROOT);
    c = tally_take(g.tally);
    assert_in_range(c.all, 2, 3);
    assert_true(c.since_ns == INT64_MIN);
    idle();
    walk(&g, FS_ROOT);
    assert_int_equal(tally_take(g.tally).all, 1);
    rig_down(&g);
}

TEST(a_clock_that_is_set_back_hides_nothing)
{
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    tally_bend(g.tally, NULL, 3600 * NS_PER_S);
    make_tree(&g, "", 5, 5);
    walk(&g, FS_ROOT);
    idle();
    walk(&g, FS_ROOT);
    tally_bend(g.tally, NULL, 0); /* what changes now is older than all that is known */
    inside_put(&g, "/d1/f1", "now");
    inside_create(&g, "/d2/new");
    idle();
    expect_text(&g, "/d1/f1", "now");
    rig_same_tree(&g, "/");
    rig_down(&g);
}

/* ---- answers and local changes that meet ---- */

struct meeting {
    struct rig *g;
    int r;
};

static void *ask(void *arg)
{
    struct meeting *m = arg;
    struct fs_entry e;

    m->r = rig_find(m->g, "/d1/f1", &e);
    if (m->r == 0)
        rig_drop(m->g, &e);
    return NULL;
}

static void create_meanwhile(struct rig *g)
{
    assert_int_equal(rig_write(g, "/d1/mine", "mine"), 0);
}
static void remove_meanwhile(struct rig *g)
{
    assert_int_equal(rig_unlink(g, "/d1/f2"), 0);
}
static void rename_meanwhile(struct rig *g)
{
    assert_int_equal(rig_rename(g, "/d1/f2", "/d2/f9", 0), 0);
}
static void rename_directory_meanwhile(struct rig *g)
{
    assert_int_equal(rig_rename(g, "/d2", "/d9", 0), 0);
    assert_int_equal(rig_rename(g, "/d3", "/d2", 0), 0);
}
static void write_meanwhile(struct rig *g)
{
    assert_int_equal(rig_write(g, "/d2/f2", "written"), 0);
}
static void refresh_meanwhile(struct rig *g)
{
    inside_put(g, "/d2/f3", "after the answer");
    fs_refresh(g->fs, NULL);
}

static void (*const meanwhile[])(struct rig *g) = {
    create_meanwhile,           remove_meanwhile, rename_meanwhile,
    rename_directory_meanwhile, write_meanwhile,  refresh_meanwhile,
};

/* What is done while an answer is on its way comes from a thread of its own; it may wait for it. */
struct doing {
    struct rig *g;
    void (*act)(struct rig *g);
};

static void *act(void *arg)
{
    struct doing *d = arg;

    d->act(d->g);
    return NULL;
}

static void meet(void (*what)(struct rig *g), bool cold)
{
    pthread_t asker, doer;
    struct meeting m;
    struct doing d;
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 4, 4);
    if (!cold) {
        rig_same_tree(&g, "/");
        idle();
    }
    m = (struct meeting){.g = &g};
    d = (struct doing){.g = &g, .act = what};
    tally_hold(g.tally, true);
    assert_int_equal(pthread_create(&asker, NULL, ask, &m), 0);
    tally_await(g.tally, 1);
    assert_int_equal(pthread_create(&doer, NULL, act, &d), 0);
    slow_clock_pass(20 * NS_PER_MS);
    tally_hold(g.tally, false);
    pthread_join(asker, NULL);
    pthread_join(doer, NULL);
    assert_int_equal(m.r, 0);
    rig_same_tree(&g, "/");
    idle();
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(an_answer_that_overlaps_a_local_change_undoes_nothing)
{
    for (size_t i = 0; i < ARRAY_LEN(meanwhile); i++) {
        meet(meanwhile[i], false);
        meet(meanwhile[i], true);
    }
}

/* The kernel knows the directory, so that the local change needs no lookup that would wait. */
TEST(a_name_made_while_an_answer_is_on_its_way_stays)
{
    struct fs_entry dir, e;
    pthread_t asker;
    struct meeting m;
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    make_tree(&g, "", 4, 4);
    rig_same_tree(&g, "/");
    assert_int_equal(rig_find(&g, "/d1", &dir), 0);
    idle();
    inside_create(&g, "/d1/theirs"); /* so that the answer has the whole directory */
    m = (struct meeting){.g = &g};
    tally_hold(g.tally, true);
    assert_int_equal(pthread_create(&asker, NULL, ask, &m), 0);
    tally_await(g.tally, 1);
    fs_lock(g.fs); /* as far as an operation is that looked before the window was over */
    {
        struct node *d1 = node_child_locked(g.fs->root, "d1"), *n;
        struct remote_attr attr;
        struct op op;

        assert_int_equal(op_begin_name(g.fs, &op, d1, "mine", false), 0);
        fs_unlock(g.fs);
        assert_int_equal(remote_create(g.inside, "/d1/mine", 0644, &attr), 0);
        fs_lock(g.fs);
        n = node_new_locked(g.fs, d1, "mine", &attr);
        node_known_locked(n, clock_mono_ns());
        n->changed_seq = g.fs->seq + 1;
        op_end_locked(g.fs, &op);
    }
    fs_unlock(g.fs);
    tally_hold(g.tally, false);
    pthread_join(asker, NULL);
    assert_int_equal(fs_lookup_cached(g.fs, dir.ino, "mine", &e), 0);
    assert_true(e.ino != 0);
    rig_drop(&g, &e);
    inside_unlink(&g, "/d1/mine");
    idle();
    assert_int_equal(rig_find(&g, "/d1/mine", &e), -ENOENT);
    rig_same_tree(&g, "/");
    rig_drop(&g, &dir);
    rig_down(&g);
}

/* ---- odd trees ---- */

TEST(what_cannot_be_read_is_searched_and_what_vanished_is_gone)
{
    const struct remote_setattr set = {.mask = REMOTE_SET_MODE, .attr.mode = 0311};
    struct remote_attr attr;
    struct fs_entry e;
    struct rig g;

    UP(&g, .coherence_ns = window_ns, .uid = 1000);
    make_tree(&g, "", 4, 4);
    rig_same_tree(&g, "/");
    assert_int_equal(remote_setattr(g.inside, "/d1", &set, &attr), 0);
    inside_move(&g, "/d2", "/moved");
    idle();
    assert_int_equal(rig_find(&g, "/d1/f1", &e), 0);
    rig_drop(&g, &e);
    assert_int_equal(rig_find(&g, "/d1/missing", &e), -ENOENT);
    assert_int_equal(rig_find(&g, "/d2/f1", &e), -ENOENT);
    assert_int_equal(rig_find(&g, "/moved/f1", &e), 0);
    rig_drop(&g, &e);
    rig_down(&g);
}

TEST(nodes_stay_below_their_bound_and_come_again)
{
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    g.fs->meta_max = 96 << 10;
    make_tree(&g, "", 50, 20);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(walk(&g, FS_ROOT), 1050);
        fs_lock(g.fs);
        node_trim_locked(g.fs);
        assert_true(g.fs->meta_bytes <= g.fs->meta_max);
        assert_true(g.fs->by_id.count < 350);
        fs_unlock(g.fs);
    }
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(a_walk_in_little_memory_fetches_little_more_than_once)
{
    enum { DIRS = 200, FILES = 20, AN_ANSWER = 256 }; /* entries, when memory is short */
    struct rig g;

    UP(&g, .coherence_ns = 600 * NS_PER_S);
    g.fs->meta_max = 200 << 10; /* it takes 1.4 MB */
    make_tree(&g, "", DIRS, FILES);
    for (unsigned i = 0; i < 3; i++) {
        tally_take(g.tally);
        assert_int_equal(walk(&g, FS_ROOT), DIRS * (FILES + 1));
        assert_in_range(tally_take(g.tally).all, 1, 3 * DIRS * FILES / AN_ANSWER);
    }
    rig_down(&g);
}

TEST(a_deep_tree_is_walked)
{
    char path[2100] = "";
    struct rig g;

    UP(&g, .coherence_ns = 600 * NS_PER_S);
    for (unsigned i = 0; i < 1000; i++) {
        strcat(path, "/d");
        inside_mkdir(&g, path);
    }
    tally_take(g.tally);
    assert_int_equal(walk(&g, FS_ROOT), 1000);
    assert_in_range(tally_take(g.tally).all, 1, 2);
    rig_down(&g);
}

static int64_t shown_mtime(struct rig *g, struct fs_file *f)
{
    struct fs_entry e;

    assert_int_equal(fs_getattr(g->fs, fs_file_ino(f), f, &e), 0);
    return timespec_to_ns(e.st.st_mtim);
}

TEST(the_sandboxs_clock_is_followed_and_no_time_goes_back)
{
    static const struct {
        int64_t off_ns, least_ns,
            most_ns; /* of what is shown of a change made then, to our clock */
    } steps[] = {
        {0, -NS_PER_S, NS_PER_S},
        {3600 * NS_PER_S, 3599 * NS_PER_S, 3601 * NS_PER_S},
        {3599 * NS_PER_S, 3598 * NS_PER_S, 3601 * NS_PER_S}, /* a correction: time waits for it */
        {-3600 * NS_PER_S, -3601 * NS_PER_S, -3599 * NS_PER_S},
        {0, -NS_PER_S, NS_PER_S},
    };
    struct fs_file *f[ARRAY_LEN(steps)];
    int64_t shown[ARRAY_LEN(steps)];
    struct rig g;

    UP(&g, .coherence_ns = window_ns);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        char name[16], names[256];
        int64_t ahead_ns;

        tally_bend(g.tally, NULL, steps[i].off_ns);
        fs_refresh(g.fs, NULL);
        assert_int_equal(rig_names(&g, "/", names, sizeof(names)), 0);
        snprintf(name, sizeof(name), "/f%zu", i);
        assert_int_equal(rig_create(&g, name, O_WRONLY, &f[i]), 0);
        assert_int_equal(fs_write(f[i], 0, "x", 1), 1);
        shown[i] = shown_mtime(&g, f[i]);
        ahead_ns = shown[i] - clock_real_ns();
        assert_true(ahead_ns >= steps[i].least_ns && ahead_ns <= steps[i].most_ns);
        for (size_t k = 0; k < i; k++)
            assert_true(shown_mtime(&g, f[k]) == shown[k]);
    }
    assert_true(shown[2] >= shown[1]);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        assert_int_equal(rig_close(f[i]), 0);
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sandboxs_clock_is_followed_and_no_time_goes_back),
        cmocka_unit_test(a_tree_costs_two_requests_then_none_and_after_idling_one),
        cmocka_unit_test(space_is_told_with_every_look),
        cmocka_unit_test(within_the_window_nothing_is_asked),
        cmocka_unit_test(an_idle_mount_asks_nothing),
        cmocka_unit_test(who_needs_the_same_waits_for_one_request),
        cmocka_unit_test(only_what_was_used_is_asked_about),
        cmocka_unit_test(a_name_that_was_missed_once_is_no_use_of_its_directory_for_ever),
        cmocka_unit_test(after_a_pause_all_that_was_used_before_it_is_asked_about_at_once),
        cmocka_unit_test(a_walk_over_what_nobody_used_for_long_costs_few_requests),
        cmocka_unit_test(a_large_directory_is_kept_up_by_one_request),
        cmocka_unit_test(what_does_not_fit_the_first_answer_comes_in_the_background),
        cmocka_unit_test(a_command_tells_what_it_did_together_with_its_end),
        cmocka_unit_test(what_nobody_used_before_a_command_is_asked_about_after_it),
        cmocka_unit_test(a_command_tells_nothing_of_what_was_changed_here_while_it_ran),
        cmocka_unit_test(what_was_asked_while_a_command_ran_is_not_what_it_left),
        cmocka_unit_test(a_command_that_sets_the_clock_tells_nothing),
        cmocka_unit_test(only_what_a_command_changed_is_told_to_the_kernel),
        cmocka_unit_test(local_changes_cost_no_listings),
        cmocka_unit_test(whatever_happens_inside_is_seen_after_the_window),
        cmocka_unit_test(a_moved_in_tree_is_walked_in_full_although_nothing_in_it_changed),
        cmocka_unit_test(another_start_of_the_sandbox_makes_everything_asked_for_again),
        cmocka_unit_test(a_clock_that_is_set_back_hides_nothing),
        cmocka_unit_test(an_answer_that_overlaps_a_local_change_undoes_nothing),
        cmocka_unit_test(a_name_made_while_an_answer_is_on_its_way_stays),
        cmocka_unit_test(what_cannot_be_read_is_searched_and_what_vanished_is_gone),
        cmocka_unit_test(nodes_stay_below_their_bound_and_come_again),
        cmocka_unit_test(a_walk_in_little_memory_fetches_little_more_than_once),
        cmocka_unit_test(a_deep_tree_is_walked),
    };

    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
