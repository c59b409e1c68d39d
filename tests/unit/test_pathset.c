#include "unit.h"

#include "util/pathset.h"

#include <stdio.h>
#include <string.h>

TEST(what_is_below_one_is_covered)
{
    static const struct {
        const char *path;
        bool covers;
    } table[] = {
        {"/a/b", true},        {"/a/b/c/d", true}, {"/a/b/x", true},  {"/a/b/c", true},
        {"/a", false},         {"/", false},       {"/a/bc", false},  {"/a/b/c/d/e", true},
        {"/ab", false},        {"/x/y", true},     {"/x/y/z", true},  {"/x", false},
        {"/a/b\xff\n", false}, {"/x/yz", false},   {"/other", false},
    };
    struct pathset s = {0};

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_false(pathset_covers(&s, table[i].path));
    assert_int_equal(pathset_add(&s, "/a/b/c/d"), 0);
    assert_false(pathset_covers(&s, "/a/b"));
    assert_int_equal(pathset_add(&s, "/a/b"), 0);
    assert_int_equal(pathset_add(&s, "/a/b"), 0);
    assert_int_equal(pathset_add(&s, "/x/y"), 0);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (pathset_covers(&s, table[i].path) != table[i].covers)
            fail_msg("%s", table[i].path);
    pathset_done(&s);
    assert_false(pathset_covers(&s, "/a/b"));
}

TEST(the_root_covers_all)
{
    struct pathset s = {0};

    assert_int_equal(pathset_add(&s, "/"), 0);
    assert_true(pathset_covers(&s, "/") && pathset_covers(&s, "/a") && pathset_covers(&s, "/a/b"));
    pathset_done(&s);
}

TEST(many_paths_are_all_found)
{
    struct pathset s = {0};
    char path[64];

    for (int i = 0; i < 20000; i++) {
        snprintf(path, sizeof(path), "/d%d/e%d/f%d", i % 7, i % 301, i);
        assert_int_equal(pathset_add(&s, path), 0);
    }
    for (int i = 0; i < 40000; i++) {
        snprintf(path, sizeof(path), "/d%d/e%d/f%d/g", i % 7, i % 301, i);
        assert_int_equal(pathset_covers(&s, path), i < 20000);
        path[strlen(path) - 2] = '\0';
        assert_int_equal(pathset_covers(&s, path), i < 20000);
    }
    assert_false(pathset_covers(&s, "/d3"));
    pathset_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_below_one_is_covered),
        cmocka_unit_test(the_root_covers_all),
        cmocka_unit_test(many_paths_are_all_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
