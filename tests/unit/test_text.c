#include "unit.h"

#include "cli/cli.h"
#include "util/text.h"

#include <string.h>

TEST(control_characters_are_known_above_ascii_too)
{
    static const struct {
        const char *text;
        size_t control;
    } rows[] = {
        {"", 0},
        {"a", 0},
        {" ", 0},
        {"\n", 1},
        {"\x1b[31m", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xc2\x9b"
         "31m",
         2},
        {"\xc2\x9f", 2},
        {"\xc2\xa0", 0},
        {"\xc2", 0},
        {"\xc4\x9b", 0},
        {"\x9b", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(text_control(rows[i].text), rows[i].control);
}

TEST(what_is_said_to_people_steers_no_terminal)
{
    struct buf out = BUF_INIT(100);

    assert_int_equal(text_plain(&out, "a\x1b[1m\xc2\x9b"
                                      "2J\xc4\x9b\nb"),
                     0);
    assert_string_equal(buf_str(&out), "a?[1m?2J\xc4\x9b?b");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_known_above_ascii_too),
        cmocka_unit_test(what_is_said_to_people_steers_no_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
