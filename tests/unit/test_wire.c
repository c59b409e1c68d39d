#include "unit.h"

#include "util/buf.h"
#include "wire/error.h"
#include "wire/file.h"
#include "wire/gomode.h"
#include "wire/json.h"
#include "wire/process.h"
#include "wire/sandbox.h"
#include "wire/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

TEST(json_takes_one_value_and_nothing_else)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"{}", 0},
        {" [1, 2] \n", 0},
        {"\"a,}\\\"]\"", 0},
        {"", -EPROTO},
        {"{}{}", -EPROTO},
        {"{},{}", -EPROTO},
        {"[1", -EPROTO},
        {"]", -EPROTO},
        {"{\"a\":\"b", -EPROTO},
        {"\"a\\u0000b\"", -EPROTO},
        {"\"a\\\\u0000b\"", 0}, /* a backslash and text */
        {"<html>", -EPROTO},
        {"nul", -EPROTO},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cJSON *json = NULL;

        assert_int_equal(json_parse(cases[i].text, strlen(cases[i].text), &json), cases[i].r);
        assert_true((json != NULL) == (cases[i].r == 0));
        cJSON_Delete(json);
    }
}

TEST(json_bounds_values_and_depth)
{
    struct buf b = BUF_INIT(8 << 20);
    cJSON *json = NULL;

    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf_putc(&b, '['), 0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf_putc(&b, ']'), 0);
    assert_int_equal(json_parse(b.data, b.len, &json), -EPROTO);
    buf_truncate(&b, 0);
    assert_int_equal(buf_putc(&b, '['), 0);
    for (int i = 0; i < JSON_VALUES_MAX; i++)
        assert_int_equal(buf_puts(&b, "1,"), 0);
    assert_int_equal(buf_puts(&b, "1]"), 0);
    assert_int_equal(json_parse(b.data, b.len, &json), -EPROTO);
    buf_done(&b);
}

static int count_element(void *arg, const cJSON *element)
{
    ++*(int *)arg;
    return cJSON_IsFalse(element) ? -ECANCELED : 0;
}

TEST(json_array_each_hands_over_every_element)
{
    static const struct {
        const char *text;
        int r, count;
    } cases[] = {
        {"[]", 0, 0},
        {" [ ] ", 0, 0},
        {"[1]", 0, 1},
        {"[{\"a\":[1,2]}, \"x,y]\", null]\n", 0, 3},
        {"[1,false,2]", -ECANCELED, 2},
        {"[1,]", -EPROTO, 1},
        {"[,1]", -EPROTO, 0},
        {"[1}", -EPROTO, 0},
        {"[1", -EPROTO, 0},
        {"[1]x", -EPROTO, 1},
        {"{}", -EPROTO, 0},
        {"", -EPROTO, 0},
        {"[", -EPROTO, 0},
        {"[{]}]", -EPROTO, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int count = 0;

        assert_int_equal(
            json_array_each(cases[i].text, strlen(cases[i].text), count_element, &count),
            cases[i].r);
        assert_int_equal(count, cases[i].count);
    }
}

struct sample {
    char *s;
    bool b;
    int64_t i;
    uint64_t u;
    double d;
    struct json_pairs pairs;
    struct json_strings strings;
};

static const struct json_field sample_fields[] = {
    JSON_FIELD(struct sample, s, "s", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct sample, b, "b", JSON_BOOL, 0),
    JSON_FIELD(struct sample, i, "i", JSON_INT, JSON_OMIT),
    JSON_FIELD(struct sample, u, "u", JSON_SIZE, 0),
    JSON_FIELD(struct sample, d, "d", JSON_DOUBLE, 0),
    JSON_FIELD(struct sample, pairs, "p", JSON_PAIRS, 0),
    JSON_FIELD(struct sample, strings, "l", JSON_STRINGS, 0),
};

static int load_sample(const char *text, struct sample *ret)
{
    cJSON *json = NULL;
    int r = json_parse(text, strlen(text), &json);

    if (r == 0)
        r = json_load(json, sample_fields, ARRAY_LEN(sample_fields), ret);
    cJSON_Delete(json);
    return r;
}

TEST(json_load_refuses_what_would_mislead)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"{\"s\":\"x\"}", 0},
        {"{\"s\":\"x\",\"more\":1,\"i\":null}", 0},
        {"{\"s\":\"x\",\"u\":9007199254740992}", 0},
        {"{\"s\":null}", -EPROTO},
        {"{}", -EPROTO},
        {"[]", -EPROTO},
        {"{\"s\":1}", -EPROTO},
        {"{\"s\":\"x\",\"s\":\"y\"}", -EPROTO},
        {"{\"s\":\"x\",\"b\":1}", -EPROTO},
        {"{\"s\":\"x\",\"u\":-1}", -EPROTO},
        {"{\"s\":\"x\",\"u\":1.5}", -EPROTO},
        {"{\"s\":\"x\",\"u\":9007199254740994}", -EPROTO},
        {"{\"s\":\"x\",\"u\":\"1\"}", -EPROTO},
        {"{\"s\":\"x\",\"i\":1e300}", -EPROTO},
        {"{\"s\":\"x\",\"d\":1e999}", -EPROTO},
        {"{\"s\":\"x\",\"p\":[]}", -EPROTO},
        {"{\"s\":\"x\",\"p\":{\"a\":1}}", -EPROTO},
        {"{\"s\":\"x\",\"l\":[1]}", -EPROTO},
        {"{\"s\":\"x\",\"l\":{}}", -EPROTO},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sample sample = {0};

        assert_int_equal(load_sample(cases[i].text, &sample), cases[i].r);
        if (cases[i].r < 0)
            assert_null(sample.s);
        json_unload(sample_fields, ARRAY_LEN(sample_fields), &sample);
    }
}

TEST(json_writes_what_it_reads)
{
    static const char text[] =
        "{\"s\":\"a\\\"\\\\\\n\\u003c\\u0001\xc3\xa9\",\"b\":true,\"i\":-7,\"u\":9007199254740991,"
        "\"d\":0.1,\"p\":{\"k\":\"v\",\"\":\"\"},\"l\":[\"x\",\"\"]}";
    struct sample sample = {0};
    struct buf out = BUF_INIT(1024);
    struct json_out o = {.buf = &out};

    assert_int_equal(load_sample(text, &sample), 0);
    json_open(&o, '{');
    json_fields(&o, sample_fields, ARRAY_LEN(sample_fields), &sample);
    json_close(&o, '}');
    assert_int_equal(o.err, 0);
    assert_string_equal(out.data, text);
    json_unload(sample_fields, ARRAY_LEN(sample_fields), &sample);
    buf_done(&out);
}

TEST(json_bytes_replaces_what_is_not_utf8)
{
    static const struct {
        const char *in;
        size_t len;
        const char *out;
        bool valid;
    } cases[] = {
        {"a\0b", 3, "\"a\\u0000b\"", true},
        {"\xff", 1, "\"\\ufffd\"", false},
        {"a\xc3", 2, "\"a\\ufffd\"", false},
        {"\xc3\xa9z", 3, "\"\xc3\xa9z\"", true},
        {"\xc0\x80", 2, "\"\\ufffd\\ufffd\"", false},            /* overlong */
        {"\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"", false}, /* a surrogate */
        {"\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\"", true},
        {"\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", false}, /* beyond U+10FFFF */
        {"<&>\t", 4, "\"\\u003c\\u0026\\u003e\\t\"", true},
        {"", 0, "\"\"", true},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = BUF_INIT(256);
        struct json_out o = {.buf = &out};

        json_bytes(&o, cases[i].in, cases[i].len);
        assert_int_equal(o.err, 0);
        assert_string_equal(out.data, cases[i].out);
        assert_int_equal(json_utf8_valid(cases[i].in, cases[i].len), cases[i].valid);
        buf_done(&out);
    }
}

TEST(json_out_keeps_the_first_error)
{
    struct buf out = BUF_INIT(4);
    struct json_out o = {.buf = &out};

    json_open(&o, '[');
    json_string(&o, "longer");
    json_int(&o, 1);
    json_close(&o, ']');
    assert_int_equal(o.err, -EFBIG);
    buf_done(&out);
}

TEST(times_are_read)
{
    static const struct {
        int (*read)(const char *, int64_t *);
        const char *text;
        int r;
        int64_t v;
    } cases[] = {
        {time_read_rfc3339, "1970-01-01T00:00:00Z", 0, 0},
        {time_read_rfc3339, "2026-06-01T10:00:00.123456789Z", 0, 1780308000123456789},
        {time_read_rfc3339, "2026-06-01T12:00:00.5+02:00", 0, 1780308000500000000},
        {time_read_rfc3339, "2026-06-01T04:30:00-05:30", 0, 1780308000000000000},
        {time_read_rfc3339, "1969-12-31T23:59:59.9Z", 0, -100000000},
        {time_read_rfc3339, "0001-01-01T00:00:00Z", 0, INT64_MIN},
        {time_read_rfc3339, "-0001-01-01T00:00:00Z", 0, INT64_MIN},
        {time_read_rfc3339, "9999-12-31T23:59:59Z", 0, INT64_MAX},
        {time_read_rfc3339, "292277026-01-01T00:00:00Z", 0, INT64_MAX},
        {time_read_rfc3339, "2026-02-30T00:00:00Z", -EPROTO, 0},
        {time_read_rfc3339, "2026-13-01T00:00:00Z", -EPROTO, 0},
        {time_read_rfc3339, "2026-06-01T24:00:00Z", -EPROTO, 0},
        {time_read_rfc3339, "2026-06-01T10:00:00", -EPROTO, 0},
        {time_read_rfc3339, "2026-06-01T10:00:00.Z", -EPROTO, 0},
        {time_read_rfc3339, "2026-06-01T10:00:00.1234567890Z", -EPROTO, 0},
        {time_read_rfc3339, "2026-06-01T10:00:00Zx", -EPROTO, 0},
        {time_read_rfc3339, "", -EPROTO, 0},
        {time_read_go, "2026-06-01 10:00:00.123456789 +0000 UTC", 0, 1780308000123456789},
        {time_read_go, "2026-06-01 12:00:00 +0200 CEST", 0, 1780308000000000000},
        {time_read_go, "2026-06-01 10:00:00 +0000", 0, 1780308000000000000},
        {time_read_go, "2026-06-01 10:00:00 +0000 UTC m=+0.1", 0, 1780308000000000000},
        {time_read_go, "2026-06-01T10:00:00 +0000 UTC", -EPROTO, 0},
        {time_read_go, "2026-06-01 10:00:00 UTC", -EPROTO, 0},
        {time_read_http, "Mon, 01 Jun 2026 10:00:00 GMT", 0, 1780308000},
        {time_read_http, "Thu, 01 Jan 1970 00:00:00 GMT", 0, 0},
        {time_read_http, "Mon, 01 Foo 2026 10:00:00 GMT", -EPROTO, 0},
        {time_read_http, "Mon, 01 Jun 2026 10:00:00 CET", -EPROTO, 0},
        {time_read_http, "Monday, 01-Jun-26 10:00:00 GMT", -EPROTO, 0},
        {time_read_http, "", -EPROTO, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t v = 0;

        if (cases[i].read(cases[i].text, &v) != cases[i].r || v != cases[i].v)
            fail_msg("%s: %lld", cases[i].text, (long long)v);
    }
}

TEST(times_are_written_as_go_does)
{
    static const struct {
        int64_t ns;
        int offset_s;
        const char *rfc3339, *go;
    } cases[] = {
        {0, 0, "1970-01-01T00:00:00Z", "1970-01-01 00:00:00 +0000 UTC"},
        {1780308000123456789, 7200, "2026-06-01T12:00:00.123456789+02:00",
         "2026-06-01 12:00:00.123456789 +0200 UTC"},
        {1780308000500000000, -19800, "2026-06-01T04:30:00.5-05:30",
         "2026-06-01 04:30:00.5 -0530 UTC"},
        {-1, 0, "1969-12-31T23:59:59.999999999Z", "1969-12-31 23:59:59.999999999 +0000 UTC"},
        {INT64_MAX, 0, "2262-04-11T23:47:16.854775807Z", "2262-04-11 23:47:16.854775807 +0000 UTC"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = BUF_INIT(64);
        int64_t back;

        assert_int_equal(time_write_rfc3339(&out, cases[i].ns, cases[i].offset_s), 0);
        assert_string_equal(out.data, cases[i].rfc3339);
        assert_int_equal(time_read_rfc3339(out.data, &back), 0);
        assert_int_equal(back, cases[i].ns);
        buf_truncate(&out, 0);
        assert_int_equal(time_write_go(&out, cases[i].ns, cases[i].offset_s, "UTC"), 0);
        assert_string_equal(out.data, cases[i].go);
        assert_int_equal(time_read_go(out.data, &back), 0);
        assert_int_equal(back, cases[i].ns);
        buf_truncate(&out, 0);
        assert_int_equal(time_write_http(&out, 1780308000), 0);
        assert_string_equal(out.data, "Mon, 01 Jun 2026 10:00:00 GMT");
        buf_done(&out);
    }
}

TEST(go_modes_go_both_ways)
{
    static const struct {
        const char *text;
        mode_t mode;
    } cases[] = {
        {"-rw-r--r--", S_IFREG | 0644},
        {"drwxr-xr-x", S_IFDIR | 0755},
        {"urwxr-xr-x", S_IFREG | S_ISUID | 0755},
        {"dtrwxrwxrwx", S_IFDIR | S_ISVTX | 0777},
        {"dgrwxr-xr-x", S_IFDIR | S_ISGID | 0755},
        {"prw-r--r--", S_IFIFO | 0644},
        {"Srwxr-xr-x", S_IFSOCK | 0755},
        {"Dcrw-rw-rw-", S_IFCHR | 0666},
        {"Drw-------", S_IFBLK | 0600},
        {"Lrwxrwxrwx", S_IFLNK | 0777},
        {"ugtrwxrwxrwx", S_IFREG | 07777},
        {"----------", S_IFREG},
        {"Dugctrwxrwxrwx", S_IFCHR | 07777},
    };
    static const char *const bad[] = {
        "",
        "rwxrwxrwx",
        "drwxr-xr-z",
        "xrwxr-xr-x",
        "dLrwxr-xr-x",
        "crw-rw-rw-",
        "d-rwxr-xr-x",
        "drwxr-xr-xdrwxr-xr-xdrwxr-xr-x",
    };
    mode_t mode;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[GOMODE_TEXT_MAX];

        assert_int_equal(gomode_read(cases[i].text, &mode), 0);
        assert_int_equal(mode, cases[i].mode);
        gomode_write(mode, text);
        assert_string_equal(text, cases[i].text);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(gomode_read(bad[i], &mode), -EPROTO);
}

TEST(special_bits_are_at_gos_positions)
{
    assert_int_equal(gomode_to_number(04755), 040000755);
    assert_int_equal(gomode_to_number(S_IFDIR | 02755), 020000755);
    assert_int_equal(gomode_to_number(01777), 04000777);
    assert_int_equal(gomode_from_number(040000755), 04755);
    assert_int_equal(gomode_from_number(04755), 0755); /* lost, as in the service */
    for (mode_t m = 0; m <= 07777; m++)
        assert_int_equal(gomode_from_number(gomode_to_number(m)), m);
}

#define INFO(name, size, mode)                                                                     \
    "{\"name\":\"" name "\",\"size\":" size ",\"mode\":\"" mode                                    \
    "\",\"modTime\":\"2026-06-01 10:00:00.123456789 +0000 UTC\","                                  \
    "\"modifiedAt\":\"2026-06-01T10:00:00.123456789Z\",\"isDir\":false,\"owner\":\"1000\","        \
    "\"group\":\"100\",\"permissions\":\"0644\"}"

TEST(file_info_is_read_and_written)
{
    static const char text[] = INFO("a.txt", "6", "-rw-r--r--");
    static const struct wire_file_style style = {.zone = "UTC"};
    struct buf out = BUF_INIT(4096);
    struct json_out o = {.buf = &out};
    struct wire_file f = {0};

    assert_int_equal(wire_file_read(text, strlen(text), &f), 0);
    assert_string_equal(f.name, "a.txt");
    assert_string_equal(f.path, "");
    assert_int_equal(f.size, 6);
    assert_int_equal(f.mode, S_IFREG | 0644);
    assert_int_equal(f.mtime_ns, 1780308000123456789);
    assert_int_equal(f.uid, 1000);
    assert_int_equal(f.gid, 100);
    wire_file_write(&o, &f, &style);
    assert_int_equal(o.err, 0);
    assert_string_equal(out.data, text);
    wire_file_done(&f);
    buf_done(&out);
}

TEST(file_info_of_every_daemon_is_understood)
{
    static const struct {
        const char *text;
        int r;
        mode_t mode;
        int64_t uid;
    } cases[] = {
        /* before 0.184: modTime only */
        {"{\"name\":\"a\",\"size\":1,\"mode\":\"drwxr-xr-x\",\"owner\":\"0\",\"group\":\"0\","
         "\"modTime\":\"2026-06-01 10:00:00 +0000 UTC\"}",
         0, S_IFDIR | 0755, 0},
        {"{\"name\":\"a\",\"size\":1,\"isDir\":true,\"permissions\":\"0700\",\"owner\":\"root\","
         "\"modifiedAt\":\"2026-06-01T10:00:00Z\",\"path\":\"/x/a\"}",
         0, S_IFDIR | 0700, -1},
        {"{\"name\":\"a\",\"size\":1,\"mode\":\"-rw-r--r--\",\"owner\":\"4294967296\","
         "\"modifiedAt\":\"2026-06-01T10:00:00Z\"}",
         0, S_IFREG | 0644, -1},
        {"{\"name\":\"a\",\"size\":1,\"mode\":\"-rw-r--r--\"}", -EPROTO, 0, 0},
        {"{\"name\":\"a\",\"mode\":\"-rw-r--r--\",\"modifiedAt\":\"2026-06-01T10:00:00Z\"}",
         -EPROTO, 0, 0},
        {INFO("a", "-1", "-rw-r--r--"), -EPROTO, 0, 0},
        {INFO("a", "1e30", "-rw-r--r--"), -EPROTO, 0, 0},
        {INFO("a", "6", "-rw-"), -EPROTO, 0, 0},
        {INFO("a\\u0000b", "6", "-rw-r--r--"), -EPROTO, 0, 0},
        {"[]", -EPROTO, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wire_file f = {0};

        assert_int_equal(wire_file_read(cases[i].text, strlen(cases[i].text), &f), cases[i].r);
        assert_int_equal(f.mode, cases[i].mode);
        if (cases[i].r == 0)
            assert_int_equal(f.uid, cases[i].uid);
        wire_file_done(&f);
    }
}

TEST(listings_refuse_names_that_no_directory_holds)
{
    static const struct {
        const char *name;
        int r;
    } cases[] = {
        {"a", 0},       {"...", 0},      {" a b\\n", 0},   {"\xef\xbf\xbd", 0}, {"", -EPROTO},
        {".", -EPROTO}, {"..", -EPROTO}, {"a/b", -EPROTO}, {"/", -EPROTO},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf text = BUF_INIT(4096);
        struct wire_file *list = NULL;
        size_t count = 0;

        assert_int_equal(
            buf_printf(&text,
                       "[" INFO("x", "1", "-rw-r--r--") "," INFO("%s", "1", "-rw-r--r--") "]",
                       cases[i].name),
            0);
        assert_int_equal(wire_files_read(text.data, text.len, &list, &count), cases[i].r);
        assert_int_equal(count, cases[i].r == 0 ? 2 : 0);
        wire_files_free(list, count);
        buf_done(&text);
    }
}

TEST(long_names_are_possible_only_when_they_were_damaged)
{
    char name[800] = "";
    struct wire_file *list = NULL;
    size_t count = 0;

    for (int damaged = 0; damaged < 2; damaged++) {
        struct buf text = BUF_INIT(4096);

        name[0] = '\0';
        for (int i = 0; i < 100; i++)
            strcat(name, damaged ? "\xef\xbf\xbd" : "abc");
        assert_int_equal(buf_printf(&text, "[" INFO("%s", "1", "-rw-r--r--") "]", name), 0);
        assert_int_equal(wire_files_read(text.data, text.len, &list, &count),
                         damaged ? 0 : -EPROTO);
        buf_done(&text);
    }
    wire_files_free(list, count);
}

TEST(bulk_upload_answers_are_understood)
{
    static const char ok[] = "{\"files\":[{\"path\":\"/a\",\"bytes\":3}]}";
    static const char bad[] =
        "{\"errors\":[\"x: create: open x: permission denied\"],\"files\":null}";
    struct wire_uploaded u = {0};
    struct buf out = BUF_INIT(512);

    assert_int_equal(wire_uploaded_read(ok, strlen(ok), &u), 0);
    assert_int_equal(u.count, 1);
    assert_int_equal(u.files[0].bytes, 3);
    assert_int_equal(wire_uploaded_write(&out, &u), 0);
    assert_string_equal(out.data, ok);
    wire_uploaded_done(&u);
    buf_truncate(&out, 0);
    assert_int_equal(wire_uploaded_read(bad, strlen(bad), &u), 0);
    assert_int_equal(u.count, 0);
    assert_int_equal(u.errors.count, 1);
    assert_int_equal(wire_uploaded_write(&out, &u), 0);
    assert_string_equal(out.data, bad);
    wire_uploaded_done(&u);
    buf_done(&out);
    assert_int_equal(wire_uploaded_read("{\"files\":3}", 11, &u), -EPROTO);
    assert_int_equal(wire_uploaded_read("[]", 2, &u), -EPROTO);
}

TEST(search_and_replace_go_both_ways)
{
    static const char found[] = "[{\"file\":\"/a\",\"line\":2,\"content\":\"x y\"}]";
    static const char replaced[] =
        "[{\"file\":\"/a\",\"success\":true},"
        "{\"file\":\"/b\",\"success\":false,\"error\":\"open /b: permission denied\"}]";
    static const char body[] = "{\"files\":[\"/a\"],\"pattern\":\"x\",\"newValue\":\"\"}";
    struct wire_match *list = NULL;
    struct wire_replace replace = {0};
    struct json_strings files = {0};
    struct buf out = BUF_INIT(512);
    size_t count;

    assert_int_equal(wire_found_read(found, strlen(found), &list, &count), 0);
    assert_int_equal(list[0].line, 2);
    assert_int_equal(wire_found_write(&out, list, count), 0);
    assert_string_equal(out.data, found);
    wire_matches_free(list, count);
    buf_truncate(&out, 0);
    assert_int_equal(wire_replaced_read(replaced, strlen(replaced), &list, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].content, "");
    assert_int_equal(wire_replaced_write(&out, list, count), 0);
    assert_string_equal(out.data, replaced);
    wire_matches_free(list, count);
    buf_truncate(&out, 0);
    assert_int_equal(wire_replace_read(body, strlen(body), &replace), 0);
    assert_int_equal(wire_replace_write(&out, &replace), 0);
    assert_string_equal(out.data, body);
    wire_replace_done(&replace);
    assert_int_equal(wire_replace_read("{\"files\":[]}", 12, &replace), -EPROTO);
    assert_int_equal(wire_searched_read("{\"files\":null}", 14, &files), 0);
    assert_int_equal(files.count, 0);
    json_strings_done(&files);
    buf_done(&out);
}

TEST(execute_results_keep_every_byte)
{
    static const struct {
        const char *text;
        int r, exit_code;
        size_t len;
        const char *output;
    } cases[] = {
        {"{\"exitCode\":0,\"result\":\"hi\\n\"}", 0, 0, 3, "hi\n"},
        {"{\"exitCode\":-1,\"result\":\"\"}", 0, -1, 0, ""},
        {"{\"exitCode\":7}", 0, 7, 0, ""},
        {"{\"exitCode\":0,\"result\":\"a\\u0000b\"}", 0, 0, 3, "a\0b"},
        {"{\"exitCode\":0,\"result\":\"\\u0000\\u0001z\\u0001o\\\\u0000\"}", 0, 0, 11,
         "\0\1z\1o\\u0000"},
        {"{\"exitCode\":0,\"result\":\"\\u0000\1\"}", -EPROTO, 0, 0, NULL},
        {"{\"exitCode\":1e12,\"result\":\"\"}", -EPROTO, 0, 0, NULL},
        {"{\"result\":\"\"}", -EPROTO, 0, 0, NULL},
        {"{\"exitCode\":0,\"result\":\"\\u0000", -EPROTO, 0, 0, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wire_result result = {0}, back = {0};
        struct buf out = BUF_INIT(256);

        assert_int_equal(wire_result_read(cases[i].text, strlen(cases[i].text), &result),
                         cases[i].r);
        if (cases[i].r < 0)
            continue;
        assert_int_equal(result.exit_code, cases[i].exit_code);
        assert_int_equal(result.len, cases[i].len);
        assert_memory_equal(result.output, cases[i].output, cases[i].len + 1);
        assert_int_equal(wire_result_write(&out, &result), 0);
        assert_int_equal(wire_result_read(out.data, out.len, &back), 0);
        assert_int_equal(back.len, result.len);
        assert_memory_equal(back.output, result.output, back.len);
        wire_result_done(&result);
        wire_result_done(&back);
        buf_done(&out);
    }
}

TEST(execute_bodies_are_checked)
{
    static const struct {
        const char *text;
        int r;
    } cases[] = {
        {"{\"command\":\"true\"}", 0},
        {"{\"command\":\"true\",\"cwd\":\"/\",\"envs\":{\"A\":\"b\"},\"timeout\":4294967295}", 0},
        {"{\"command\":\" \\n\"}", -EPROTO},
        {"{\"command\":\"true\",\"timeout\":-1}", -EPROTO},
        {"{\"command\":\"true\",\"timeout\":0.5}", -EPROTO},
        {"{\"command\":\"true\",\"timeout\":4294967296}", -EPROTO},
        {"{}", -EPROTO},
    };
    struct wire_execute e = {.command = "\xff"};
    struct buf out = BUF_INIT(256);

    assert_int_equal(wire_execute_write(&out, &e), -EILSEQ);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(wire_execute_read(cases[i].text, strlen(cases[i].text), &e), cases[i].r);
        if (cases[i].r < 0)
            continue;
        buf_truncate(&out, 0);
        assert_int_equal(wire_execute_write(&out, &e), 0);
        assert_string_equal(out.data, cases[i].text);
        wire_execute_done(&e);
    }
    buf_done(&out);
}

TEST(errors_of_every_kind_are_read)
{
    static const struct {
        const char *text;
        int r, status;
        const char *message, *code, *source;
    } cases[] = {
        {"{\"path\":\"/api/x\",\"timestamp\":\"t\",\"statusCode\":404,\"error\":\"Not Found\","
         "\"message\":\"gone\"}",
         0, 404, "gone", "", ""},
        {"{\"statusCode\":404,\"message\":\"not found: a\\nb\\u001b[1m\",\"code\":"
         "\"FILE_NOT_FOUND\",\"source\":\"DAYTONA_DAEMON\"}",
         0, 404, "not found: a b [1m", "FILE_NOT_FOUND", "DAYTONA_DAEMON"},
        {"{\"error\":\"session not found\"}", 0, 0, "session not found", "", ""},
        {"{\"message\":[\"name is bad\",\"x\"]}", 0, 0, "name is bad", "", ""},
        {"{\"statusCode\":\"404\",\"message\":3}", -EPROTO, 0, NULL, NULL, NULL},
        {"[]", -EPROTO, 0, NULL, NULL, NULL},
        {"404 page not found", -EPROTO, 0, NULL, NULL, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wire_error e;

        assert_int_equal(wire_error_read(cases[i].text, strlen(cases[i].text), &e), cases[i].r);
        if (cases[i].r < 0)
            continue;
        assert_int_equal(e.status, cases[i].status);
        assert_string_equal(e.message, cases[i].message);
        assert_string_equal(e.code, cases[i].code);
        assert_string_equal(e.source, cases[i].source);
    }
}

TEST(errors_are_written_in_both_forms)
{
    static const struct wire_error e = {
        .status = 404,
        .message = "no",
        .error = "Not Found",
        .path = "/p",
        .method = "GET",
        .code = "C",
    };
    struct buf out = BUF_INIT(512);

    assert_int_equal(wire_error_write(&out, &e, WIRE_ERROR_API, "t"), 0);
    assert_string_equal(out.data, "{\"path\":\"/p\",\"timestamp\":\"t\",\"statusCode\":404,"
                                  "\"error\":\"Not Found\",\"message\":\"no\",\"code\":\"C\"}");
    buf_truncate(&out, 0);
    assert_int_equal(wire_error_write(&out, &e, WIRE_ERROR_DAEMON, "t"), 0);
    assert_string_equal(out.data, "{\"statusCode\":404,\"message\":\"no\",\"code\":\"C\","
                                  "\"timestamp\":\"t\",\"path\":\"/p\",\"method\":\"GET\"}");
    buf_done(&out);
}

TEST(long_lines_are_cut_between_characters)
{
    char out[4];

    wire_copy_line(out, sizeof(out), "ab\xc3\xa9");
    assert_string_equal(out, "ab");
    wire_copy_line(out, sizeof(out), "abc");
    assert_string_equal(out, "abc");
}

static const char sandbox_text[] =
    "{\"env\":{\"A\":\"b\"},\"id\":\"0a-1\",\"organizationId\":\"o\",\"name\":\"n\",\"user\":\"u\","
    "\"labels\":{},\"public\":true,\"networkBlockAll\":false,\"target\":\"eu\",\"cpu\":0.5,"
    "\"gpu\":0,\"memory\":1,\"disk\":3,\"state\":\"started\",\"recoverable\":false,"
    "\"autoStopInterval\":15,\"toolboxProxyUrl\":\"http://127.0.0.1:1/toolbox\"}";

TEST(sandboxes_go_both_ways)
{
    struct wire_sandbox s = {0};
    struct buf out = BUF_INIT(4096);
    struct json_out o = {.buf = &out};

    assert_int_equal(wire_sandbox_read(sandbox_text, strlen(sandbox_text), &s), 0);
    assert_string_equal(s.id, "0a-1");
    assert_int_equal(wire_state_find(s.state), WIRE_STATE_STARTED);
    assert_int_equal(s.auto_stop_min, 15);
    assert_true(s.auto_delete_min == JSON_ABSENT);
    assert_string_equal(s.error_reason, "");
    wire_sandbox_write(&o, &s, false);
    assert_int_equal(o.err, 0);
    assert_string_equal(out.data, sandbox_text);
    wire_sandbox_done(&s);
    buf_done(&out);
}

TEST(sandbox_ids_that_could_climb_are_refused)
{
    static const char *const ids[] = {"", "..", "a/b", "a?b", "a b", "%2e", "a\\u0000", ".x"};

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        struct buf text = BUF_INIT(64);
        struct wire_sandbox s = {0};

        assert_int_equal(buf_printf(&text, "{\"id\":\"%s\"}", ids[i]), 0);
        assert_int_equal(wire_sandbox_read(text.data, text.len, &s), -EPROTO);
        assert_null(s.id);
        buf_done(&text);
    }
}

TEST(pages_of_old_and_new_servers_are_read)
{
    static const struct {
        const char *text;
        int r;
        size_t count;
        const char *next;
    } cases[] = {
        {"{\"items\":[{\"id\":\"a\"},{\"id\":\"b\"}],\"nextCursor\":\"n\"}", 0, 2, "n"},
        {"{\"items\":[],\"nextCursor\":null}", 0, 0, ""},
        {"[{\"id\":\"a\"}]", 0, 1, ""},
        {"{\"items\":{}}", -EPROTO, 0, ""},
        {"{\"items\":[{\"id\":\"a\"},{}]}", -EPROTO, 0, ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct wire_page p = {0};

        assert_int_equal(wire_page_read(cases[i].text, strlen(cases[i].text), &p), cases[i].r);
        assert_int_equal(p.count, cases[i].count);
        if (cases[i].r == 0)
            assert_string_equal(p.next_cursor, cases[i].next);
        wire_page_done(&p);
    }
}

TEST(create_bodies_say_only_what_was_given)
{
    struct wire_create c = {
        .name = "n",
        .dockerfile = "FROM a:1\n",
        .cpu = 2,
        .auto_stop_min = 0,
        .auto_archive_min = JSON_ABSENT,
        .auto_delete_min = -1,
        .auto_pause_min = JSON_ABSENT,
        .ttl_min = JSON_ABSENT,
    };
    struct wire_create back = {0};
    struct buf out = BUF_INIT(512);

    assert_int_equal(wire_create_write(&out, &c), 0);
    assert_string_equal(out.data, "{\"name\":\"n\",\"cpu\":2,\"autoStopInterval\":0,"
                                  "\"autoDeleteInterval\":-1,"
                                  "\"buildInfo\":{\"dockerfileContent\":\"FROM a:1\\n\"}}");
    assert_int_equal(wire_create_read(out.data, out.len, &back), 0);
    assert_string_equal(back.dockerfile, c.dockerfile);
    assert_string_equal(back.snapshot, "");
    assert_int_equal(back.auto_stop_min, 0);
    assert_true(back.auto_archive_min == JSON_ABSENT);
    wire_create_done(&back);
    assert_int_equal(wire_create_read("{\"buildInfo\":{}}", 16, &back), -EPROTO);
    buf_done(&out);
}

TEST(states_have_names)
{
    for (int i = 1; i < WIRE_STATE_COUNT; i++)
        assert_int_equal(wire_state_find(wire_state_name((enum wire_state)i)), i);
    assert_int_equal(wire_state_find("hibernating"), WIRE_STATE_OTHER);
    assert_int_equal(wire_state_find(""), WIRE_STATE_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_takes_one_value_and_nothing_else),
        cmocka_unit_test(json_bounds_values_and_depth),
        cmocka_unit_test(json_array_each_hands_over_every_element),
        cmocka_unit_test(json_load_refuses_what_would_mislead),
        cmocka_unit_test(json_writes_what_it_reads),
        cmocka_unit_test(json_bytes_replaces_what_is_not_utf8),
        cmocka_unit_test(json_out_keeps_the_first_error),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(times_are_written_as_go_does),
        cmocka_unit_test(go_modes_go_both_ways),
        cmocka_unit_test(special_bits_are_at_gos_positions),
        cmocka_unit_test(file_info_is_read_and_written),
        cmocka_unit_test(file_info_of_every_daemon_is_understood),
        cmocka_unit_test(listings_refuse_names_that_no_directory_holds),
        cmocka_unit_test(long_names_are_possible_only_when_they_were_damaged),
        cmocka_unit_test(bulk_upload_answers_are_understood),
        cmocka_unit_test(search_and_replace_go_both_ways),
        cmocka_unit_test(execute_results_keep_every_byte),
        cmocka_unit_test(execute_bodies_are_checked),
        cmocka_unit_test(errors_of_every_kind_are_read),
        cmocka_unit_test(errors_are_written_in_both_forms),
        cmocka_unit_test(long_lines_are_cut_between_characters),
        cmocka_unit_test(sandboxes_go_both_ways),
        cmocka_unit_test(sandbox_ids_that_could_climb_are_refused),
        cmocka_unit_test(pages_of_old_and_new_servers_are_read),
        cmocka_unit_test(create_bodies_say_only_what_was_given),
        cmocka_unit_test(states_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
