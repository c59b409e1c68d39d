/* The parts of ctl that are pure: where answers lie, what a stream keeps, what changed, spelling.
 */
#include "unit.h"

#include "ctl/ctltext.h"
#include "ctl/spool.h"
#include "ctl/talk.h"
#include "ctl/treediff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- talk ---- */

TEST(an_answer_starts_where_the_last_write_ended)
{
    struct talk t;

    talk_init(&t, 100);
    assert_false(talk_ask(&t));
    assert_int_equal(talk_write(&t, 0, "ls ", 3), 0);
    assert_int_equal(talk_write(&t, 3, "-l\n", 3), 0);
    assert_true(talk_ask(&t));
    assert_false(talk_ask(&t));
    assert_string_equal(buf_str(&t.text), "ls -l\n");
    assert_int_equal(talk_position(&t, 6, 0), 0);
    assert_int_equal(talk_position(&t, 10, 0), 4);
    assert_int_equal(talk_position(&t, 6, 0), 0);
    /* The offset stands behind the answer now: the next question goes there. */
    assert_int_equal(talk_write(&t, 50, "pwd\n", 4), 0);
    assert_true(talk_ask(&t));
    assert_string_equal(buf_str(&t.text), "pwd\n");
    assert_int_equal(talk_position(&t, 54, 0), 0);
    talk_done(&t);
}

TEST(a_read_before_the_answer_starts_it_over)
{
    struct talk t;

    talk_init(&t, 100);
    assert_int_equal(talk_write(&t, 0, "ls -l\n", 6), 0);
    assert_true(talk_ask(&t));
    assert_int_equal(talk_position(&t, 0, 0), 0);
    assert_int_equal(talk_position(&t, 100, 0), 100); /* the next read of the same program */
    assert_int_equal(talk_position(&t, 0, 0), 0);     /* and over again */
    talk_done(&t);
}

TEST(a_stream_that_dropped_its_start_goes_on_from_what_is_left)
{
    struct talk t;

    talk_init(&t, 100);
    assert_int_equal(talk_write(&t, 0, "src\n", 4), 0);
    assert_true(talk_ask(&t));
    assert_int_equal(talk_position(&t, 4 + 5000, 1000), 5000);
    assert_int_equal(talk_position(&t, 0, 1000), 1000);
    assert_int_equal(talk_position(&t, 10, 1000), 1010);
    assert_int_equal(talk_position(&t, 10, 5000), 5000); /* it dropped more meanwhile */
    assert_int_equal(talk_position(&t, 11, 5000), 5001);
    talk_done(&t);
}

TEST(half_a_question_is_never_asked)
{
    struct talk t;

    talk_init(&t, 8);
    assert_int_equal(talk_write(&t, 0, "rm -rf ", 7), 0);
    assert_int_equal(talk_write(&t, 7, "/tmp/x", 6), -EFBIG);
    assert_false(talk_ask(&t));
    assert_int_equal(talk_write(&t, 13, "/y\n", 3), -EFBIG);
    assert_false(talk_ask(&t));
    talk_done(&t);
    talk_init(&t, 8);
    assert_int_equal(talk_write(&t, INT64_MAX - 1, "abc", 3), -EFBIG);
    talk_done(&t);
}

/* ---- spool ---- */

static void add(struct spool *s, size_t len, int want)
{
    char *line = malloc(len);

    memset(line, 'x', len);
    line[len - 1] = '\n';
    assert_int_equal(spool_add(s, line, len), want);
    free(line);
}

TEST(a_spool_keeps_what_was_read_until_it_needs_the_room)
{
    static char p[SPOOL_MAX];
    struct spool s;

    spool_init(&s);
    assert_int_equal(spool_add(&s, "one\n", 4), 0);
    assert_true(spool_unread(&s));
    assert_int_equal(spool_read(&s, 0, p, 2), 2);
    assert_int_equal(spool_read(&s, 2, p, sizeof(p)), 2);
    assert_false(spool_unread(&s));
    assert_int_equal(spool_read(&s, 4, p, sizeof(p)), 0);
    assert_int_equal(spool_read(&s, 0, p, sizeof(p)), 4); /* once more */
    add(&s, 40000, 0);
    assert_int_equal(spool_read(&s, 4, p, sizeof(p)), 40000);
    add(&s, 40000, 0); /* the first two lines make room, whole */
    assert_int_equal(s.first, 40004);
    assert_int_equal(spool_read(&s, 0, p, sizeof(p)), 0);
    assert_int_equal(spool_read(&s, s.first, p, sizeof(p)), 40000);
    spool_done(&s);
}

TEST(a_slow_reader_is_told_that_lines_were_lost)
{
    static char p[2 * SPOOL_MAX];
    struct spool s;

    spool_init(&s);
    add(&s, 40000, 0);
    add(&s, 40000, -ENOBUFS);
    assert_int_equal(spool_lose(&s, "lost\n", 5), 0);
    add(&s, 10, 0); /* dropped: the reader knows already */
    assert_int_equal(spool_read(&s, 0, p, 39000), 39000);
    add(&s, 10, 0);
    assert_int_equal(spool_read(&s, 39000, p, sizeof(p)), 1005);
    assert_memory_equal(p + 1000, "lost\n", 5);
    add(&s, 10, 0); /* from here on it is told again */
    assert_int_equal(spool_read(&s, 40005, p, sizeof(p)), 10);
    add(&s, SPOOL_MAX + 1, -ENOBUFS);
    spool_done(&s);
}

/* ---- treediff ---- */

struct row {
    const char *name;
    uint64_t ino;
    int64_t mtime_ns;
    uint64_t size;
    mode_t mode;
};

static int note(void *arg, enum tree_event event, const char *name, const char *new_name)
{
    return buf_printf(arg, "%c %s%s%s\n", "CMDR"[event], name, new_name ? " " : "",
                      new_name ? new_name : "");
}

#define ROWS 8

static size_t tree_of(const struct row *rows, struct tree_entry *v, struct remote_attr *attrs)
{
    size_t n = 0;

    for (; n < ROWS && rows[n].name; n++) {
        attrs[n] = (struct remote_attr){.ino = rows[n].ino,
                                        .dev = 1,
                                        .mtime_ns = rows[n].mtime_ns,
                                        .ctime_ns = rows[n].mtime_ns,
                                        .size = rows[n].size,
                                        .mode = rows[n].mode};
        v[n] = (struct tree_entry){rows[n].name, &attrs[n]};
    }
    return n;
}

#define F (S_IFREG | 0644)
#define D (S_IFDIR | 0755)

TEST(differences_are_told_once_and_by_their_names)
{
    static const struct {
        struct row before[ROWS], after[ROWS];
        bool cut;
        const char *want;
    } cases[] = {
        {{{"a", 1, 1, 1, F}}, {{"a", 1, 1, 1, F}}, false, ""},
        {{{.name = NULL}}, {{"a", 1, 1, 1, F}}, false, "C a\n"},
        {{{"a", 1, 1, 1, F}}, {{.name = NULL}}, false, "D a\n"},
        {{{"a", 1, 1, 1, F}}, {{"a", 1, 2, 1, F}}, false, "M a\n"},
        {{{"a", 1, 1, 1, F}}, {{"a", 1, 1, 1, S_IFREG | 0600}}, false, "M a\n"},
        /* replaced by another file */
        {{{"a", 1, 1, 1, F}}, {{"a", 2, 2, 1, F}}, false, "M a\n"},
        {{{"a", 1, 1, 1, F}}, {{"b", 1, 1, 1, F}}, false, "R a b\n"},
        /* the inode number was used again */
        {{{"a", 1, 1, 1, F}}, {{"b", 1, 2, 1, F}}, false, "D a\nC b\n"},
        /* no inode numbers known */
        {{{"a", 0, 1, 1, F}}, {{"b", 0, 1, 1, F}}, false, "D a\nC b\n"},
        /* renamed over another name */
        {{{"a", 1, 1, 1, F}, {"b", 2, 1, 1, F}}, {{"b", 1, 1, 1, F}}, false, "R a b\n"},
        /* another kind of thing */
        {{{"a", 1, 1, 1, F}}, {{"a", 2, 1, 1, D}}, false, "D a\nC a\n"},
        /* a directory's times are its entries' affair */
        {{{"d", 1, 1, 1, D}}, {{"d", 1, 2, 2, D}, {"d/x", 2, 2, 2, F}}, false, "C d/x\n"},
        /* a directory moves with what is in it, even if that changes on the way */
        {{{"d", 1, 1, 1, D}, {"d/e", 2, 1, 1, D}, {"d/e/f", 3, 1, 1, F}, {"d/g", 4, 1, 1, F}},
         {{"n", 1, 1, 1, D}, {"n/e", 2, 1, 1, D}, {"n/e/f", 3, 1, 1, F}, {"n/g", 4, 9, 1, F}},
         false,
         "R d n\nM n/g\n"},
        {{{"d", 1, 1, 1, D}, {"d/e", 2, 1, 1, D}, {"d/e/f", 3, 1, 1, F}},
         {{.name = NULL}},
         false,
         "D d/e/f\nD d/e\nD d\n"},
        /* two names of one file, one goes and another comes */
        {{{"a", 1, 1, 1, F}, {"b", 1, 1, 1, F}},
         {{"a", 1, 1, 1, F}, {"c", 1, 1, 1, F}},
         false,
         "R b c\n"},
        /* exchanged */
        {{{"a", 1, 1, 1, F}, {"b", 2, 1, 1, F}},
         {{"a", 2, 1, 1, F}, {"b", 1, 1, 1, F}},
         false,
         "M a\nM b\n"},
        {{{"a", 1, 1, 1, F}, {"b", 2, 1, 1, F}}, {{"b", 2, 2, 1, F}}, true, "M b\n"},
        {{{"", 1, 1, 1, D}, {"a", 2, 1, 1, F}}, {{.name = NULL}}, false, "D a\nD \n"},
        /* a directory replaced by one that was inside it; what follows the events stays right */
        {{{"d", 1, 1, 1, D}, {"d/a", 2, 1, 1, D}, {"d/a/d", 3, 1, 1, D}},
         {{"d", 2, 1, 1, D}, {"d/d", 3, 1, 1, D}},
         false,
         "D d/a\nR d/a/d d/d\n"},
        /* within a directory that moves, something else takes a name */
        {{{"a", 1, 1, 1, D}, {"a/x", 2, 1, 1, F}},
         {{"c", 1, 1, 1, D}, {"c/x", 3, 1, 1, D}, {"c/x/y", 2, 1, 1, F}},
         false,
         "D a/x\nR a c\nC c/x\nC c/x/y\n"},
        /* "d-x" sorts between "d" and "d/y" */
        {{{"d", 1, 1, 1, D}, {"d-x", 3, 1, 1, F}, {"d/y", 2, 1, 1, F}},
         {{"d-x", 3, 1, 1, F}, {"e", 1, 1, 1, D}, {"e/y", 2, 1, 1, F}},
         false,
         "R d e\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct remote_attr old_attr[ROWS], new_attr[ROWS];
        struct tree_entry old_v[ROWS], new_v[ROWS];
        struct tree before = {.v = old_v}, after = {.v = new_v, .cut = cases[i].cut};
        struct buf got = BUF_INIT(1000);

        before.count = tree_of(cases[i].before, old_v, old_attr);
        after.count = tree_of(cases[i].after, new_v, new_attr);
        tree_sort(&before);
        tree_sort(&after);
        assert_int_equal(tree_diff(&before, &after, note, &got), 0);
        assert_string_equal(buf_str(&got), cases[i].want);
        buf_done(&got);
    }
}

TEST(a_name_that_comes_twice_counts_once)
{
    struct remote_attr attrs[ROWS];
    struct tree_entry v[ROWS];
    struct row rows[ROWS] = {{"b", 1, 1, 1, F}, {"a", 2, 1, 1, F}, {"b", 3, 1, 1, F}};
    struct tree t = {.v = v};

    t.count = tree_of(rows, v, attrs);
    tree_sort(&t);
    assert_int_equal(t.count, 2);
    assert_string_equal(t.v[0].name, "a");
    assert_string_equal(t.v[1].name, "b");
}

/* ---- spelling ---- */

TEST(names_stay_on_one_line)
{
    static const struct {
        const char *name, *want;
        size_t len;
    } rows[] = {
        {"plain name", "plain name", 10},
        {"a\tb\nc\\d", "a\\tb\\nc\\\\d", 7},
        {"\x01\x7f", "\\x01\\x7f", 2},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f", 6},
        {"\xff\xc3", "\\xff\\xc3", 2},
        {"\xc0\xaf", "\\xc0\\xaf", 2},          /* too long a form */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80", 3}, /* a surrogate */
        {"\xc2\x9b", "\\xc2\\x9b", 2},          /* a terminal's CSI */
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", 4},
        {"a\0b", "a\\x00b", 3},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b = BUF_INIT(100);

        assert_int_equal(ctltext_escape(&b, rows[i].name, rows[i].len), 0);
        assert_string_equal(buf_str(&b), rows[i].want);
        buf_done(&b);
    }
}

TEST(lines_become_json)
{
    static const struct {
        const char *lines, *want;
    } rows[] = {
        {"", "{\n}\n"},
        {"a 1\nb two words\nc\n", "{\n  \"a\": 1,\n  \"b\": \"two words\",\n  \"c\": \"\"\n}\n"},
        {"a 1\nb 2\na 3", "{\n  \"b\": 2,\n  \"a\": 3\n}\n"},
        {"a 007\nb -1.5\nc 1.\nd -\ne 1e5", "{\n  \"a\": \"007\",\n  \"b\": -1.5,\n  \"c\": "
                                            "\"1.\",\n  \"d\": \"-\",\n  \"e\": \"1e5\"\n}\n"},
        {"p \"q\"\\\t\xff", "{\n  \"p\": \"\\\"q\\\"\\\\\\u0009\\ufffd\"\n}\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b = BUF_INIT(1000);

        assert_int_equal(ctltext_json(&b, rows[i].lines), 0);
        assert_string_equal(buf_str(&b), rows[i].want);
        buf_done(&b);
    }
}

TEST(a_question_that_is_a_path_holds_one)
{
    static const struct {
        const char *text;
        size_t len;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"a b\n", 4, "a b"}, {"a", 1, "a"},     {"a\nb\0", 4, "a\nb"}, {"a\nb\0\n", 5, "a\nb"},
        {"a\n\0", 3, "a\n"}, {" a ", 3, " a "}, {"", 0, NULL},         {"\n", 1, NULL},
        {"a\nb\n", 4, NULL}, {"a\0b", 3, NULL}, {"\0", 1, NULL},
    };
    char *path = NULL, longest[5000];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        path = NULL;
        assert_int_equal(ctltext_path(rows[i].text, rows[i].len, &path),
                         rows[i].want ? 0 : -EINVAL);
        if (rows[i].want)
            assert_string_equal(path, rows[i].want);
        free(path);
    }
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(ctltext_path(longest, sizeof(longest), &path), -ENAMETOOLONG);
}

TEST(a_line_ends_at_a_newline_that_is_not_quoted)
{
    static const struct {
        const char *text;
        size_t want;
    } rows[] = {
        {"sync\nx", 5},    {"sync", 4},         {"a 'b\nc'\nd", 8}, {"a \"b\nc\"\nd", 8},
        {"a \\\nb\nc", 6}, {"# don't\nb\n", 8}, {"a#'b\nc'\nd", 8}, {"a '\\'\nb", 6},
        {"\n", 1},         {"a\\", 2},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(ctltext_line(rows[i].text, strlen(rows[i].text)), rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_starts_where_the_last_write_ended),
        cmocka_unit_test(a_read_before_the_answer_starts_it_over),
        cmocka_unit_test(a_stream_that_dropped_its_start_goes_on_from_what_is_left),
        cmocka_unit_test(half_a_question_is_never_asked),
        cmocka_unit_test(a_spool_keeps_what_was_read_until_it_needs_the_room),
        cmocka_unit_test(a_slow_reader_is_told_that_lines_were_lost),
        cmocka_unit_test(differences_are_told_once_and_by_their_names),
        cmocka_unit_test(a_name_that_comes_twice_counts_once),
        cmocka_unit_test(names_stay_on_one_line),
        cmocka_unit_test(lines_become_json),
        cmocka_unit_test(a_question_that_is_a_path_holds_one),
        cmocka_unit_test(a_line_ends_at_a_newline_that_is_not_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
