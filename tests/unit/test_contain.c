#include "unit.h"

#include "fs/contain.h"

#include <stdlib.h>

#define OUT CONTAIN_OUTSIDE

/* clang-format off */
static const struct {
    const char *root, *dir, *target, *shown;
} table[] = {
    {"/home/d", "",    "/home/d/x",          "/mnt/x"},
    {"/home/d", "a/b", "/home/d",            "/mnt"},
    {"/home/d", "",    "/home/dd",           "/mnt/home/dd"},
    {"/home/d", "",    "/etc/passwd",        "/mnt/etc/passwd"},
    {"/home/d", "",    "/home/d/../../etc",  "/mnt/etc"},
    {"/home/d", "",    "/../../..",          "/mnt"},
    {"/",       "a",   "/etc/passwd",        "/mnt/etc/passwd"},
    {"/",       "a",   "/",                  "/mnt"},
    {"/home/d", "",    "x",                  "x"},
    {"/home/d", "",    "./x/",               "./x/"},
    {"/home/d", "a",   "../x",               "../x"},
    {"/home/d", "a/b", "../../x",            "../../x"},
    {"/home/d", "a/b", "../..//./x",         "../..//./x"},
    {"/home/d", "",    "..",                 OUT "/up"},
    {"/home/d", "a",   "../../etc/passwd",   OUT "/up/up/etc/passwd"},
    {"/home/d", "a",   "../x/../../etc",     OUT "/up/x/up/up/etc"},
    /* If x is a link to ".", each "x/.." is a step up: what is shown has none. */
    {"/home/d", "",    "x/../y",             "y"},
    {"/home/d", "",    "x/x/../../y",        "y"},
    {"/home/d", "a",   "x/..",               "."},
    {"/home/d", "a/b", "../x/../y",          "../y"},
    {"/home/d", "",    "...",                "..."},
    {"/home/d", "",    "..x",                "..x"},
};
/* clang-format on */

TEST(a_link_never_points_out_of_the_mount)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char *shown = contain_target(table[i].root, "/mnt", table[i].dir, table[i].target);

        assert_string_equal(shown, table[i].shown);
        free(shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_never_points_out_of_the_mount),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
