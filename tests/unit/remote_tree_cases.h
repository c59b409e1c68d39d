/*
 * remote_tree_cases.h - what tree and changes must do on every backend that has them. Included
 * after remote_cases.h by test programs whose world has REMOTE_CAP_CHANGES.
 */
#ifndef TESTS_REMOTE_TREE_CASES_H
#define TESTS_REMOTE_TREE_CASES_H

#include "remote_cases.h"

#include <pthread.h>

static const struct remote_dir *dir_of(const struct remote_tree *t, const char *path)
{
    for (size_t i = 0; i < t->dir_count; i++)
        if (strcmp(t->dirs[i].path, path) == 0)
            return &t->dirs[i];
    return NULL;
}

static const struct remote_entry *name_in(const struct remote_tree *t, const char *dir,
                                          const char *name)
{
    const struct remote_dir *d = dir_of(t, dir);

    assert_non_null(d);
    for (size_t i = d->first; i < d->first + d->count; i++)
        if (strcmp(t->v[i].name, name) == 0)
            return &t->v[i];
    return NULL;
}

/* paths: of directories below the case's, ended by NULL. */
static struct remote_ask ask_about(const char *const *paths)
{
    struct remote_ask ask = {.root = world.dir, .paths = paths, .since_ns = INT64_MIN};

    while (paths[ask.path_count])
        ask.path_count++;
    return ask;
}

static struct remote_tree tree_of(const struct remote_ask *ask)
{
    struct remote_tree t;

    assert_int_equal(remote_tree(world.r, ask, &t), 0);
    assert_true(t.now_ns > 0 && t.uptime_ns > 0 && t.boot[0]);
    return t;
}

static struct remote_tree changes_of(const struct remote_ask *ask)
{
    struct remote_tree t;

    assert_int_equal(remote_changes(world.r, ask, &t), 0);
    assert_false(t.more);
    return t;
}

/* The sandbox's time, when what came before is older than any slack. */
static int64_t quiet_now(void)
{
    const char *const paths[] = {NULL};
    const struct remote_ask ask = ask_about(paths);
    struct remote_tree t;
    int64_t now_ns;

    usleep(60000);
    t = changes_of(&ask);
    now_ns = t.now_ns;
    remote_tree_done(&t);
    return now_ns;
}

TEST(tree_lists_everything_below_breadth_first)
{
    const char *const paths[] = {"", NULL};
    const struct remote_ask ask = ask_about(paths);
    struct remote_tree t;
    struct remote_attr f;

    have_dir("b");
    have_dir("a");
    have_dir("a/sub");
    have_file("a/sub/deep", "x");
    have_file("a/f", "hello");
    have_file("b/odd \n\\'\"$`*", "");
    assert_int_equal(remote_symlink(world.r, "../b", at("a/link"), NULL), 0);
    f = attr_of("a/f");
    t = tree_of(&ask);
    assert_false(t.more);
    assert_int_equal(t.dir_count, 4);
    assert_string_equal(t.dirs[0].path, "");
    assert_string_equal(t.dirs[3].path, "a/sub");
    assert_int_equal(t.count, 2 + 3 + 1 + 1);
    assert_string_equal(t.v[t.dirs[0].first].name, "a");
    assert_string_equal(t.v[t.dirs[0].first + 1].name, "b");
    assert_true(remote_attr_same(&name_in(&t, "a", "f")->attr, &f));
    assert_int_equal(name_in(&t, "a", "f")->attr.ino, f.ino);
    assert_string_equal(name_in(&t, "a", "link")->target, "../b");
    assert_true(S_ISLNK(name_in(&t, "a", "link")->attr.mode));
    assert_null(name_in(&t, "a", "f")->target);
    assert_non_null(name_in(&t, "b", "odd \n\\'\"$`*"));
    for (size_t i = 0; i < t.dir_count; i++)
        assert_true(t.dirs[i].whole && t.dirs[i].err == 0 && S_ISDIR(t.dirs[i].self.mode));
    assert_int_equal(dir_of(&t, "a")->self.ino, name_in(&t, "", "a")->attr.ino);
    remote_tree_done(&t);
}

TEST(a_limit_ends_a_tree_between_directories)
{
    const char *const paths[] = {"a", "b", NULL};
    struct remote_ask ask = ask_about(paths);
    struct remote_tree t;
    char name[32];

    have_dir("a");
    have_dir("b");
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof(name), "%c/%d", i % 2 ? 'a' : 'b', i);
        have_file(name, "");
    }
    ask.max_entries = 10;
    t = tree_of(&ask);
    assert_true(t.more);
    assert_int_equal(t.dir_count, 1);
    assert_int_equal(t.count, 15);
    remote_tree_done(&t);
    ask.max_entries = 16;
    t = tree_of(&ask);
    assert_false(t.more);
    assert_int_equal(t.count, 30);
    remote_tree_done(&t);
    ask.max_entries = 0;
    ask.max_bytes = 100;
    t = tree_of(&ask);
    assert_true(t.more);
    assert_int_equal(t.dir_count, 1);
    remote_tree_done(&t);
}

TEST(what_is_no_directory_is_said_and_the_rest_is_listed)
{
    const char *const paths[] = {"file", "gone/below", "link", "ok", NULL};
    struct remote_ask ask = ask_about(paths);
    struct remote_tree t;

    have_dir("ok");
    have_file("ok/f", "");
    have_file("file", "");
    assert_int_equal(remote_symlink(world.r, "ok", at("link"), NULL), 0);
    for (int i = 0; i < 2; i++) {
        t = i ? changes_of(&ask) : tree_of(&ask);
        assert_int_equal(t.dir_count, 4);
        assert_int_equal(dir_of(&t, "file")->err, -ENOTDIR);
        assert_int_equal(dir_of(&t, "gone/below")->err, -ENOENT);
        assert_true(dir_of(&t, "link")->err == -ELOOP || dir_of(&t, "link")->err == -ENOTDIR);
        assert_int_equal(t.count, 1);
        assert_non_null(name_in(&t, "ok", "f"));
        remote_tree_done(&t);
    }
    ask.root = at("gone");
    assert_int_equal(remote_tree(world.r, &ask, &t), -ENOENT);
    assert_int_equal(remote_changes(world.r, &ask, &t), -ENOENT);
}

TEST(asking_outside_the_root_is_refused)
{
    static const char *const bad[] = {"..", "a/../b", "/etc", "a//b", "a/", ".", "./a"};
    const char *paths[] = {"", NULL};
    struct remote_ask ask = ask_about(paths);
    struct remote_tree t;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        paths[0] = bad[i];
        assert_int_equal(remote_tree(world.r, &ask, &t), -EINVAL);
        assert_int_equal(remote_changes(world.r, &ask, &t), -EINVAL);
    }
    paths[0] = "";
    ask.root = "relative";
    assert_int_equal(remote_changes(world.r, &ask, &t), -EINVAL);
}

TEST(changes_are_whole_directories_or_single_entries)
{
    const char *const paths[] = {"", "names", "content", "still", NULL};
    struct remote_ask ask = ask_about(paths);
    struct remote_attr a;
    struct remote_tree t;

    have_dir("names");
    have_dir("content");
    have_dir("still");
    have_file("names/old", "");
    have_file("names/going", "");
    have_file("content/f", "one");
    have_file("content/g", "one");
    have_file("still/f", "one");
    ask.since_ns = quiet_now();
    t = changes_of(&ask);
    assert_int_equal(t.dir_count, 0);
    remote_tree_done(&t);

    have_file("names/new", "");
    assert_int_equal(remote_unlink(world.r, at("names/going")), 0);
    a = attr_of("content/f");
    a.mode ^= 0111;
    assert_int_equal(set_attr("content/f", REMOTE_SET_MODE, &a, NULL), 0);
    t = changes_of(&ask);
    assert_true(dir_of(&t, "names")->whole);
    assert_int_equal(dir_of(&t, "names")->count, 2);
    assert_null(name_in(&t, "names", "going"));
    assert_false(dir_of(&t, "content")->whole);
    assert_int_equal(dir_of(&t, "content")->count, 1);
    assert_int_equal(name_in(&t, "content", "f")->attr.mode, a.mode);
    assert_null(dir_of(&t, "still"));
    /* The directory that changed is an entry of the one it is in. */
    assert_false(dir_of(&t, "")->whole);
    assert_non_null(name_in(&t, "", "names"));
    assert_null(name_in(&t, "", "still"));
    remote_tree_done(&t);

    ask.since_ns = INT64_MIN;
    t = changes_of(&ask);
    assert_int_equal(t.dir_count, 4);
    assert_true(dir_of(&t, "still")->whole);
    remote_tree_done(&t);
}

TEST(a_tree_that_was_moved_in_changes_its_parent_only)
{
    const char *const paths[] = {"", "to", NULL};
    const char *const below[] = {"to/moved", "to/moved/sub", NULL};
    struct remote_ask ask = ask_about(paths);
    struct remote_tree t;

    have_dir("from");
    have_dir("to");
    have_dir("from/moved");
    have_dir("from/moved/sub");
    have_file("from/moved/sub/f", "x");
    ask.since_ns = quiet_now();
    assert_int_equal(remote_rename(world.r, at("from/moved"), at("to/moved"), 0, NULL), 0);
    t = changes_of(&ask);
    assert_true(dir_of(&t, "to")->whole);
    assert_non_null(name_in(&t, "to", "moved"));
    remote_tree_done(&t);
    ask.paths = below; /* nothing says that they came: who sees a new name walks it */
    t = changes_of(&ask);
    assert_null(dir_of(&t, "to/moved/sub"));
    remote_tree_done(&t);
    ask.since_ns = INT64_MIN;
    t = changes_of(&ask);
    assert_non_null(name_in(&t, "to/moved/sub", "f"));
    remote_tree_done(&t);
}

TEST(a_forged_mtime_and_another_type_are_changes)
{
    const char *const paths[] = {"d", NULL};
    struct remote_ask ask = ask_about(paths);
    struct remote_attr before;
    struct remote_tree t;

    have_dir("d");
    have_file("d/f", "one");
    have_file("d/g", "one");
    before = attr_of("d/f");
    ask.since_ns = quiet_now();
    assert_int_equal(put_bytes("d/f", "two", 3, &before, before.mtime_ns, NULL), 0);
    assert_int_equal(remote_unlink(world.r, at("d/g")), 0);
    have_dir("d/g");
    t = changes_of(&ask);
    assert_int_equal(name_in(&t, "d", "f")->attr.mtime_ns, before.mtime_ns);
    assert_false(remote_attr_same(&name_in(&t, "d", "f")->attr, &before));
    assert_true(S_ISDIR(name_in(&t, "d", "g")->attr.mode));
    remote_tree_done(&t);
}

static void *change_soon(void *arg)
{
    usleep(200000);
    have_dir("d/new");
    return NULL;
}

TEST(waiting_ends_at_the_first_change_or_in_time)
{
    const char *const paths[] = {"d", NULL};
    struct remote_ask ask = ask_about(paths);
    struct remote_tree t;
    pthread_t thread;
    int64_t start_ns;

    have_dir("d");
    ask.background = true;
    ask.since_ns = quiet_now();
    ask.wait_ns = 300 * NS_PER_MS;
    start_ns = clock_mono_ns();
    t = changes_of(&ask);
    assert_int_equal(t.dir_count, 0);
    assert_true(clock_mono_ns() - start_ns >= ask.wait_ns - NS_PER_MS);
    remote_tree_done(&t);

    ask.wait_ns = 20 * NS_PER_S;
    start_ns = clock_mono_ns();
    assert_int_equal(pthread_create(&thread, NULL, change_soon, NULL), 0);
    t = changes_of(&ask);
    assert_true(clock_mono_ns() - start_ns < 15 * NS_PER_S);
    assert_non_null(name_in(&t, "d", "new"));
    remote_tree_done(&t);
    pthread_join(thread, NULL);
}

/* clang-format off */
#define REMOTE_TREE_CASES                                                                          \
    REMOTE_CASE(tree_lists_everything_below_breadth_first),                                        \
    REMOTE_CASE(a_limit_ends_a_tree_between_directories),                                          \
    REMOTE_CASE(what_is_no_directory_is_said_and_the_rest_is_listed),                              \
    REMOTE_CASE(asking_outside_the_root_is_refused),                                               \
    REMOTE_CASE(changes_are_whole_directories_or_single_entries),                                  \
    REMOTE_CASE(a_tree_that_was_moved_in_changes_its_parent_only),                                 \
    REMOTE_CASE(a_forged_mtime_and_another_type_are_changes),                                      \
    REMOTE_CASE(waiting_ends_at_the_first_change_or_in_time)
/* clang-format on */

#endif
