/*
 * A log in pieces gives what it gives at once, no byte is lost, and lines that were marked as the
 * service marks them come back as they were. The first byte says how long the pieces are.
 */
#include "util/buf.h"
#include "wire/demux.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct streams {
    struct buf both[2];
};

static void must(int holds)
{
    if (!holds)
        abort();
}

static int take(void *arg, enum demux_stream stream, const void *p, size_t n)
{
    struct streams *s = arg;

    must(stream == DEMUX_OUT || stream == DEMUX_ERR);
    must(n > 0);
    return buf_append(&s->both[stream - DEMUX_OUT], p, n);
}

static void run(const uint8_t *p, size_t n, size_t piece, struct streams *ret)
{
    struct demux d = {0};

    *ret = (struct streams){{BUF_INIT(1 << 20), BUF_INIT(1 << 20)}};
    for (size_t at = 0; at < n; at += piece)
        must(demux_feed(&d, p + at, n - at < piece ? n - at : piece, take, ret) == 0);
    must(demux_end(&d, take, ret) == 0);
}

static void done(struct streams *s)
{
    buf_done(&s->both[0]);
    buf_done(&s->both[1]);
}

static void must_be(const struct buf *a, const struct buf *b)
{
    must(a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0));
}

/* As the service writes a command's lines, every other one of them to stderr. */
static void round_trip(const uint8_t *p, size_t n, size_t piece)
{
    struct buf log = BUF_INIT(4 << 20);
    struct streams wanted = {{BUF_INIT(1 << 20), BUF_INIT(1 << 20)}}, got;

    for (size_t at = 0, line = 0; at < n; line++) {
        const uint8_t *newline = memchr(p + at, '\n', n - at);
        const size_t len = newline ? (size_t)(newline + 1 - (p + at)) : n - at;

        must(buf_append(&log, line % 2 ? "\2\2\2" : "\1\1\1", 3) == 0);
        must(buf_append(&log, p + at, len) == 0);
        must(buf_append(&wanted.both[line % 2], p + at, len) == 0);
        at += len;
    }
    run((const uint8_t *)log.data, log.len, piece, &got);
    must_be(&got.both[0], &wanted.both[0]);
    must_be(&got.both[1], &wanted.both[1]);
    buf_done(&log);
    done(&wanted);
    done(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct streams whole, pieces;
    size_t piece;

    if (size < 1)
        return 0;
    piece = data[0] % 7 + 1;
    run(data + 1, size - 1, size, &whole);
    run(data + 1, size - 1, piece, &pieces);
    must_be(&whole.both[0], &pieces.both[0]);
    must_be(&whole.both[1], &pieces.both[1]);
    round_trip(data + 1, size - 1, piece);
    done(&whole);
    done(&pieces);
    return 0;
}
