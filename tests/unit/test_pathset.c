#include "unit.h"

#include "util/pathset.h"

#include <stdio.h>

TEST(what_is_above_and_below_is_known)
{
    static const struct {
        const char *path;
        bool has, covers, has_below;
    } table[] = {
        {"/a/b", true, true, true},      {"/a/b/c/d", true, true, false},
        {"/a/b/x", false, true, false},  {"/a/b/c", false, true, true},
        {"/a", false, false, true},      {"/", false, false, true},
        {"/a/bc", false, false, false},  {"/a/b/c/d/e", false, true, false},
        {"/ab", false, false, false},    {"/a/b/c/de", false, true, false},
        {"/other", false, false, false}, {"/a/b\xff\n", false, false, false},
    };
    struct pathset s = {0};

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        assert_false(pathset_has(&s, table[i].path));
        assert_false(pathset_covers(&s, table[i].path));
        assert_false(pathset_has_below(&s, table[i].path));
    }
    assert_int_equal(pathset_add(&s, "/a/b/c/d"), 0);
    assert_false(pathset_covers(&s, "/a/b"));
    assert_int_equal(pathset_add(&s, "/a/b"), 0);
    assert_int_equal(pathset_add(&s, "/a/b"), 0);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (pathset_has(&s, table[i].path) != table[i].has ||
            pathset_covers(&s, table[i].path) != table[i].covers ||
            pathset_has_below(&s, table[i].path) != table[i].has_below)
            fail_msg("%s", table[i].path);
    }
    pathset_done(&s);
    assert_false(pathset_covers(&s, "/a/b"));
}

TEST(the_root_covers_all)
{
    struct pathset s = {0};

    assert_int_equal(pathset_add(&s, "/"), 0);
    assert_true(pathset_has(&s, "/") && pathset_covers(&s, "/") && pathset_covers(&s, "/a/b"));
    assert_false(pathset_has_below(&s, "/"));
    assert_false(pathset_has(&s, "/a"));
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
        snprintf(path, sizeof(path), "/d%d/e%d/f%d", i % 7, i % 301, i);
        assert_int_equal(pathset_has(&s, path), i < 20000);
        snprintf(path, sizeof(path), "/d%d/e%d/f%d/g", i % 7, i % 301, i);
        assert_int_equal(pathset_covers(&s, path), i < 20000);
    }
    assert_true(pathset_has_below(&s, "/d3") && !pathset_has_below(&s, "/d7"));
    pathset_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_above_and_below_is_known),
        cmocka_unit_test(the_root_covers_all),
        cmocka_unit_test(many_paths_are_all_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
