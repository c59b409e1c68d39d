/*
 * The parser says the same however its input is cut, gives the content without gaps, and balances
 * begin and end. The first byte is the size of the pieces.
 */
#include "http/multipart.h"

#include "util/buf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct trace {
    struct buf text;
    uint64_t off;
    int open;
};

static void must(int holds)
{
    if (!holds)
        abort();
}

static int on_begin(void *arg, const struct multipart_part *part)
{
    struct trace *t = arg;

    must(t->open++ == 0);
    t->off = 0;
    return buf_printf(&t->text, "<%u %s %s %s %lld>", part->index, part->name, part->filename,
                      part->type, (long long)part->content_length);
}

static int on_data(void *arg, uint64_t off, const void *p, size_t n)
{
    struct trace *t = arg;

    must(t->open == 1 && off == t->off && n > 0);
    t->off += n;
    return buf_append(&t->text, p, n);
}

static int on_end(void *arg)
{
    struct trace *t = arg;

    must(--t->open == 0);
    return buf_puts(&t->text, "</>");
}

static int parse(const uint8_t *p, size_t n, size_t piece, struct trace *t)
{
    static const struct multipart_ops ops = {on_begin, on_data, on_end};
    struct multipart *m;
    int r = multipart_new("multipart/form-data; boundary=B", &ops, t, &m);

    for (size_t i = 0; r == 0 && i < n; i += piece)
        r = multipart_feed(m, p + i, n - i < piece ? n - i : piece);
    if (r == 0)
        r = multipart_finish(m);
    must(r < 0 || t->open == 0);
    multipart_free(m);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct trace whole = {.text = BUF_INIT(1 << 20)}, pieces = {.text = BUF_INIT(1 << 20)};

    if (n == 0)
        return 0;
    must(parse(p + 1, n - 1, n, &whole) == parse(p + 1, n - 1, p[0] % 16 + 1, &pieces));
    must(whole.text.len == pieces.text.len && whole.open == pieces.open);
    must(whole.text.len == 0 || memcmp(whole.text.data, pieces.text.data, whole.text.len) == 0);
    buf_done(&whole.text);
    buf_done(&pieces.text);
    return 0;
}
