#include "wire/demux.h"

#include <string.h>

enum { MARK_LEN = 3 };

static int put(const struct demux *d, demux_sink sink, void *arg, const void *p, size_t n)
{
    return n > 0 ? sink(arg, d->stream ? d->stream : DEMUX_OUT, p, n) : 0;
}

/* It was no mark: the bytes are the command's. */
static int release(struct demux *d, demux_sink sink, void *arg)
{
    const unsigned char bytes[MARK_LEN] = {d->mark, d->mark, d->mark};
    const unsigned n = d->held;

    d->held = 0;
    d->in_line = d->in_line || n > 0;
    return put(d, sink, arg, bytes, n);
}

/* A byte at the start of a line: true if it is, or may become, part of a mark. */
static bool take_mark(struct demux *d, unsigned char c)
{
    if ((c != DEMUX_OUT && c != DEMUX_ERR) || (d->held > 0 && c != d->mark))
        return false;
    d->mark = c;
    if (++d->held == MARK_LEN) {
        d->stream = c;
        d->held = 0;
        d->in_line = true;
    }
    return true;
}

int demux_feed(struct demux *d, const void *p, size_t n, demux_sink sink, void *arg)
{
    const unsigned char *at = p, *const end = at + n;
    int r = 0;

    while (at < end && r == 0) {
        const unsigned char *newline;
        size_t len;

        if (!d->in_line && take_mark(d, *at)) {
            at++;
            continue;
        }
        r = release(d, sink, arg);
        if (r != 0)
            break;
        newline = memchr(at, '\n', (size_t)(end - at));
        len = newline ? (size_t)(newline + 1 - at) : (size_t)(end - at);
        r = put(d, sink, arg, at, len);
        d->in_line = !newline;
        at += len;
    }
    return r;
}

int demux_end(struct demux *d, demux_sink sink, void *arg)
{
    return release(d, sink, arg);
}
