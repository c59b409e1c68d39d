/* Every decoder of src/wire: the first byte picks one, the rest is what it reads. */
#include "util/array.h"
#include "wire/error.h"
#include "wire/file.h"
#include "wire/gomode.h"
#include "wire/process.h"
#include "wire/profile.h"
#include "wire/sandbox.h"
#include "wire/time.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_file(const void *p, size_t n)
{
    struct wire_file f;

    if (wire_file_read(p, n, &f) == 0)
        wire_file_done(&f);
}

static void read_files(const void *p, size_t n)
{
    struct wire_file *list;
    size_t count;

    if (wire_files_read(p, n, &list, &count) == 0)
        wire_files_free(list, count);
}

static void read_uploaded(const void *p, size_t n)
{
    struct wire_uploaded u;

    if (wire_uploaded_read(p, n, &u) == 0)
        wire_uploaded_done(&u);
}

static void read_matches(const void *p, size_t n)
{
    struct wire_match *list;
    size_t count;

    if (wire_found_read(p, n, &list, &count) == 0)
        wire_matches_free(list, count);
    if (wire_replaced_read(p, n, &list, &count) == 0)
        wire_matches_free(list, count);
}

static void read_strings(const void *p, size_t n)
{
    struct json_strings s;
    char *dir;

    if (wire_paths_read(p, n, &s) == 0)
        json_strings_done(&s);
    if (wire_searched_read(p, n, &s) == 0)
        json_strings_done(&s);
    if (wire_string_read(p, n, "dir", &dir) == 0)
        free(dir);
}

static void read_replace(const void *p, size_t n)
{
    struct wire_replace r;

    if (wire_replace_read(p, n, &r) == 0)
        wire_replace_done(&r);
}

static void read_execute(const void *p, size_t n)
{
    struct wire_execute e;

    if (wire_execute_read(p, n, &e) == 0)
        wire_execute_done(&e);
}

/* What was read must come back from what is written of it, unless its bytes were not UTF-8. */
static void read_result(const void *p, size_t n)
{
    struct wire_result result, back;
    struct buf out = BUF_INIT(n * 8 + 64);

    if (wire_result_read(p, n, &result) < 0)
        return;
    if (wire_result_write(&out, &result) < 0 || wire_result_read(out.data, out.len, &back) < 0)
        abort();
    if (json_utf8_valid(result.output, result.len) &&
        (back.len != result.len || memcmp(back.output, result.output, back.len) != 0))
        abort();
    wire_result_done(&back);
    wire_result_done(&result);
    buf_done(&out);
}

static void read_error(const void *p, size_t n)
{
    struct wire_error e;

    (void)wire_error_read(p, n, &e); /* owns nothing */
}

static void read_sandbox(const void *p, size_t n)
{
    struct wire_sandbox s;
    struct wire_page page;

    if (wire_sandbox_read(p, n, &s) == 0)
        wire_sandbox_done(&s);
    if (wire_page_read(p, n, &page) == 0)
        wire_page_done(&page);
}

static void read_create(const void *p, size_t n)
{
    struct wire_create c;
    struct json_pairs labels;

    if (wire_create_read(p, n, &c) == 0)
        wire_create_done(&c);
    if (wire_labels_read(p, n, &labels) == 0)
        json_pairs_done(&labels);
}

static void read_words(const void *p, size_t n)
{
    char *s = strndup(p, n);
    int64_t t;
    mode_t mode;

    if (!s)
        return;
    (void)time_read_rfc3339(s, &t); /* what they say does not matter, only that they return */
    (void)time_read_go(s, &t);
    (void)time_read_http(s, &t);
    if (gomode_read(s, &mode) == 0) {
        char text[GOMODE_TEXT_MAX];
        mode_t back;

        gomode_write(mode, text);
        if (gomode_read(text, &back) < 0 || back != mode)
            abort();
    }
    free(s);
}

static void read_profile(const void *p, size_t n)
{
    struct wire_profile profile;

    if (wire_profile_read(p, n, &profile) == 0)
        wire_profile_done(&profile);
}

static void (*const readers[])(const void *p, size_t n) = {
    read_file,   read_files, read_uploaded, read_matches, read_strings, read_replace, read_execute,
    read_result, read_error, read_sandbox,  read_create,  read_words,   read_profile,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        readers[data[0] % ARRAY_LEN(readers)](data + 1, size - 1);
    return 0;
}
