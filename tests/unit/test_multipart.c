#include "unit.h"

#include "http/multipart.h"
#include "util/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define B "DAYTONA-FILE-BOUNDARY"
#define TYPE "multipart/form-data; boundary=" B

/* Writes down what the parser says, as text that does not depend on how the input was cut. */
struct trace {
    struct buf text;
    uint64_t off;
};

static int on_begin(void *arg, const struct multipart_part *part)
{
    struct trace *t = arg;

    t->off = 0;
    return buf_printf(&t->text, "<%u name=%s file=%s type=%s len=%lld|", part->index, part->name,
                      part->filename, part->type, (long long)part->content_length);
}

static int on_data(void *arg, uint64_t off, const void *p, size_t n)
{
    struct trace *t = arg;

    assert_int_equal(off, t->off);
    assert_true(n > 0);
    t->off += n;
    return buf_append(&t->text, p, n);
}

static int on_end(void *arg)
{
    struct trace *t = arg;

    return buf_puts(&t->text, ">");
}

static const struct multipart_ops ops = {on_begin, on_data, on_end};

/* Feeds a, then b, each in pieces of that size; returns what the parse came to. */
static int parse(const char *input, size_t len, size_t cut, size_t piece, struct trace *t)
{
    struct multipart *m;
    int r = 0, end;

    *t = (struct trace){.text = BUF_INIT(1 << 20)};
    assert_int_equal(multipart_new(TYPE, &ops, t, &m), 0);
    for (size_t i = 0; r == 0 && i < len;) {
        size_t n = i < cut ? cut - i : len - i;

        if (n > piece)
            n = piece;
        r = multipart_feed(m, input + i, n);
        i += n;
    }
    end = multipart_finish(m);
    if (r < 0)
        assert_int_equal(end, r);
    multipart_free(m);
    return end;
}

#define PART(headers, body) "--" B "\r\n" headers "\r\n" body "\r\n"
#define FILE_PART(len, body)                                                                       \
    PART("Content-Disposition: form-data; name=\"file\"; filename=\"/a b\"\r\n"                    \
         "Content-Length: " #len "\r\nContent-Type: text/plain\r\n",                               \
         body)
#define CLOSE "--" B "--\r\n"

static const struct {
    const char *what, *input, *want;
    int err;
} rows[] = {
    {"two parts", FILE_PART(5, "hello") FILE_PART(0, "") CLOSE,
     "<0 name=file file=/a b type=text/plain len=5|hello>"
     "<1 name=file file=/a b type=text/plain len=0|>",
     0},
    {"no length", PART("Content-Disposition: form-data; name=error\r\n", "{\"a\":\r\n1}") CLOSE,
     "<0 name=error file= type= len=-1|{\"a\":\r\n1}>", 0},
    {"no headers", PART("", "x") CLOSE, "<0 name= file= type= len=-1|x>", 0},
    {"a boundary in counted content", FILE_PART(29, "ab\r\n--" B "\r\n") CLOSE,
     "<0 name=file file=/a b type=text/plain len=29|ab\r\n--" B "\r\n>", 0},
    {"nearly a boundary in scanned content",
     PART("", "\r\n--" B "\r\r\n--" B "-x\r\n--DAYTONA\r\r\n\r") CLOSE,
     "<0 name= file= type= len=-1|\r\n--" B "\r\r\n--" B "-x\r\n--DAYTONA\r\r\n\r>", 0},
    {"length 0 but content, as /proc", FILE_PART(0, "cpu 1\r\n2\r\n") FILE_PART(1, "y") CLOSE,
     "<0 name=file file=/a b type=text/plain len=0|cpu 1\r\n2\r\n>"
     "<1 name=file file=/a b type=text/plain len=1|y>",
     0},
    {"more than its length", FILE_PART(3, "hello") CLOSE,
     "<0 name=file file=/a b type=text/plain len=3|hel", -EPROTO},
    {"less than its length", FILE_PART(300, "hello") CLOSE,
     "<0 name=file file=/a b type=text/plain len=300|hello\r\n" CLOSE, -EPROTO},
    {"preamble and epilogue", "junk\r\n-\r\n" PART("", "x") CLOSE "junk\r\n" PART("", "y"),
     "<0 name= file= type= len=-1|x>", 0},
    {"a first boundary with CRLF", "\r\n" PART("", "x") CLOSE, "<0 name= file= type= len=-1|x>", 0},
    {"a preamble of carriage returns", "\rx\r\n" PART("", "x") CLOSE,
     "<0 name= file= type= len=-1|x>", 0},
    {"nothing but the end", CLOSE, "", 0},
    {"empty", "", "", -EPROTO},
    {"junk", "HTTP/1.1 200 OK\r\n\r\n<html>", "", -EPROTO},
    {"filename*",
     PART("content-disposition: form-data; filename=\"___\"; "
          "filename*=utf-8''%2Fa%20%C3%A4%22; name=\"f\"\r\n",
          "") CLOSE,
     "<0 name=f file=/a \xc3\xa4\" type= len=-1|>", 0},
    {"filename* that is none: NUL, bad hex, other charset",
     PART("Content-Disposition: x; filename=a; filename*=utf-8''b%00c\r\n", "")
         PART("Content-Disposition: x; filename=a; filename*=utf-8''%4\r\n", "")
             PART("Content-Disposition: x; filename=a; filename*=koi8-r''b\r\n", "") CLOSE,
     "<0 name= file=a type= len=-1|><1 name= file=a type= len=-1|><2 name= file=a type= len=-1|>",
     0},
    {"quotes", PART("Content-Disposition: x; name=\"a;\\\"filename=b\"\r\n", "") CLOSE,
     "<0 name=a;\"filename=b file= type= len=-1|>", 0},
    {"a quote that stays open", PART("Content-Disposition: x; name=\"ab\\\r\n", "") CLOSE,
     "<0 name=ab\\ file= type= len=-1|>", 0},
    {"two lengths", PART("Content-Length: 1\r\nContent-Length: 1\r\n", "x") CLOSE, "", -EPROTO},
    {"negative length", PART("Content-Length: -1\r\n", "x") CLOSE, "", -EPROTO},
    {"length that overflows", PART("Content-Length: 9223372036854775808\r\n", "x") CLOSE, "",
     -EPROTO},
    {"no length in Content-Length", PART("Content-Length:\r\n", "x") CLOSE, "", -EPROTO},
    {"a header without colon", PART("nonsense\r\n", "x") CLOSE, "", -EPROTO},
    {"a bare line feed in headers", PART("a: b\n", "x") CLOSE, "", -EPROTO},
};

TEST(samples_give_what_they_say)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct trace t;
        const int r = parse(rows[i].input, strlen(rows[i].input), 0, SIZE_MAX, &t);

        if (r != rows[i].err || strcmp(buf_str(&t.text), rows[i].want) != 0)
            fail_msg("%s: %d, %s", rows[i].what, r, buf_str(&t.text));
        buf_done(&t.text);
    }
}

TEST(cutting_the_input_anywhere_changes_nothing)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const size_t len = strlen(rows[i].input);

        for (size_t cut = 0; cut <= len; cut++) {
            struct trace t;
            /* two pieces, and from byte 0 on pieces of that size */
            int r = parse(rows[i].input, len, cut, SIZE_MAX, &t);

            assert_int_equal(r, rows[i].err);
            assert_string_equal(buf_str(&t.text), rows[i].want);
            buf_done(&t.text);
            r = parse(rows[i].input, len, 0, cut + 1, &t);
            assert_int_equal(r, rows[i].err);
            assert_string_equal(buf_str(&t.text), rows[i].want);
            buf_done(&t.text);
        }
    }
}

/* A cut answer is never taken for a whole one, and never shows more than the whole one does. */
TEST(an_answer_that_ends_early_is_seen)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *close = strstr(rows[i].input, CLOSE);
        const size_t needed = close ? (size_t)(close - rows[i].input) + strlen(CLOSE) - 2 : 0;

        for (size_t len = 0; rows[i].err == 0 && len < needed; len++) {
            struct trace t;

            assert_int_equal(parse(rows[i].input, len, 0, SIZE_MAX, &t), -EPROTO);
            assert_memory_equal(buf_str(&t.text), rows[i].want, t.text.len);
            buf_done(&t.text);
        }
    }
}

TEST(a_nul_in_a_header_is_refused)
{
    static const char input[] = "--" B "\r\na: b\0c\r\n\r\nx\r\n" CLOSE;
    struct trace t;

    assert_int_equal(parse(input, sizeof(input) - 1, 0, SIZE_MAX, &t), -EPROTO);
    assert_int_equal(t.text.len, 0);
    buf_done(&t.text);
}

TEST(headers_and_preamble_have_a_ceiling)
{
    const size_t len = 20000;
    char *input = malloc(len);
    struct trace t;

    memset(input, 'x', len);
    assert_int_equal(parse(input, len, 0, 100, &t), -EPROTO);
    memcpy(input, "--" B "\r\n", strlen(B) + 4);
    assert_int_equal(parse(input, len, 0, 100, &t), -EPROTO);
    for (size_t i = 30; i + 8 < len; i += 8)
        memcpy(input + i, "xx: yy\r\n", 8);
    assert_int_equal(parse(input, len, 0, 100, &t), -EPROTO);
    assert_int_equal(t.text.len, 0);
    free(input);
}

static int refuse(void *arg, uint64_t off, const void *p, size_t n)
{
    return -ENOSPC;
}

TEST(what_a_callback_says_ends_it_for_good)
{
    static const struct multipart_ops refusing = {on_begin, refuse, on_end};
    static const char input[] = FILE_PART(5, "hello") CLOSE;
    struct trace t = {.text = BUF_INIT(1000)};
    struct multipart *m;

    assert_int_equal(multipart_new(TYPE, &refusing, &t, &m), 0);
    assert_int_equal(multipart_feed(m, input, strlen(input)), -ENOSPC);
    assert_int_equal(multipart_feed(m, "x", 1), -ENOSPC);
    assert_int_equal(multipart_finish(m), -ENOSPC);
    multipart_free(m);
    buf_done(&t.text);
}

TEST(content_types_are_judged)
{
    static const struct {
        const char *type;
        int err;
    } types[] = {
        {TYPE, 0},
        {"Multipart/Form-Data; charset=x; Boundary=\"a b\"", 0},
        {"multipart/mixed;boundary=x", 0},
        {"multipart/form-data", -EPROTO},
        {"multipart/form-data; boundary=", -EPROTO},
        {"multipart/form-data; boundary=\"\"", -EPROTO},
        {"multipart/form-data; xboundary=a", -EPROTO},
        {"application/json; boundary=x", -EPROTO},
        {"", -EPROTO},
        {"multipart/x; boundary=a\rb", -EPROTO},
        {"multipart/x; boundary=0123456789012345678901234567890123456789012345678901234567890123456"
         "789",
         0},
        {"multipart/x; boundary=0123456789012345678901234567890123456789012345678901234567890123456"
         "789x",
         -EPROTO},
    };

    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        struct multipart *m = NULL;

        if (multipart_new(types[i].type, &ops, NULL, &m) != types[i].err)
            fail_msg("%s", types[i].type);
        multipart_free(m);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_give_what_they_say),
        cmocka_unit_test(cutting_the_input_anywhere_changes_nothing),
        cmocka_unit_test(an_answer_that_ends_early_is_seen),
        cmocka_unit_test(a_nul_in_a_header_is_refused),
        cmocka_unit_test(headers_and_preamble_have_a_ceiling),
        cmocka_unit_test(what_a_callback_says_ends_it_for_good),
        cmocka_unit_test(content_types_are_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
