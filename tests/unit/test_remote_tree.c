/* Building a struct remote_tree. */
#include "unit.h"

#include "remote/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct remote_attr file = {.mode = S_IFREG | 0644, .ino = 7};

static void add(struct remote_tree *t, const char *name)
{
    assert_int_equal(tree_add_entry(t, name, strlen(name), NULL, 0, &file), 0);
}

static void add_dir(struct remote_tree *t, const char *path)
{
    struct remote_dir *d;

    assert_int_equal(tree_add_dir(t, path, strlen(path), &d), 0);
    d->whole = true;
}

TEST(entries_are_sorted_within_their_directory)
{
    struct remote_tree t = {0};

    add_dir(&t, "");
    add(&t, "b");
    add(&t, "a\xff");
    add(&t, "a");
    add_dir(&t, "b");
    add(&t, "a");
    assert_int_equal(tree_settle(&t), 0);
    assert_int_equal(t.dir_count, 2);
    assert_int_equal(t.count, 4);
    assert_string_equal(t.v[0].name, "a");
    assert_string_equal(t.v[1].name, "a\xff");
    assert_string_equal(t.v[2].name, "b");
    assert_int_equal(t.dirs[1].first, 3);
    assert_int_equal(t.dirs[1].count, 1);
    remote_tree_done(&t);
    assert_null(t.v);
    remote_tree_done(&t);
}

TEST(a_name_or_a_directory_that_comes_twice_is_refused)
{
    struct remote_tree t = {0};

    add_dir(&t, "");
    add(&t, "b");
    add(&t, "a");
    add(&t, "b");
    assert_int_equal(tree_settle(&t), -EPROTO);
    remote_tree_done(&t);

    add_dir(&t, "x");
    add_dir(&t, "y");
    add_dir(&t, "x");
    assert_int_equal(tree_settle(&t), -EPROTO);
    remote_tree_done(&t);
}

TEST(a_directory_that_failed_has_no_entries)
{
    struct remote_tree t = {0};

    add_dir(&t, "a");
    add(&t, "1");
    add_dir(&t, "b");
    add(&t, "1");
    tree_fail_dir(&t, -EIO);
    add_dir(&t, "c");
    add(&t, "2");
    assert_int_equal(tree_settle(&t), 0);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.dirs[1].err, -EIO);
    assert_string_equal(t.dirs[1].path, "b");
    assert_int_equal(t.dirs[1].count, 0);
    assert_false(t.dirs[1].whole);
    assert_string_equal(t.v[t.dirs[2].first].name, "2");
    remote_tree_done(&t);
}

TEST(strings_and_targets_of_any_length_stay)
{
    struct remote_tree t = {0};
    char *target = malloc(200000);

    memset(target, 'x', 200000);
    add_dir(&t, "");
    for (int i = 0; i < 5000; i++) {
        char name[16];

        snprintf(name, sizeof(name), "%04d", i);
        if (i % 1000 == 0)
            assert_int_equal(tree_add_entry(&t, name, 4, target, 200000 - (size_t)i, &file), 0);
        else
            add(&t, name);
    }
    assert_int_equal(tree_settle(&t), 0);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(atoi(t.v[i].name), i);
        assert_int_equal(t.v[i].target ? strlen(t.v[i].target) : 0, i % 1000 ? 0 : 200000 - i);
    }
    assert_null(tree_string(&t, target, TREE_STRINGS_MAX));
    remote_tree_done(&t);
    free(target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_sorted_within_their_directory),
        cmocka_unit_test(a_name_or_a_directory_that_comes_twice_is_refused),
        cmocka_unit_test(a_directory_that_failed_has_no_entries),
        cmocka_unit_test(strings_and_targets_of_any_length_stay),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
