/*
 * demux.h - the log of a session's command, taken apart into its two streams.
 *
 * The service puts three bytes in front of every line: 01 01 01 for stdout, 02 02 02 for stderr.
 * Only there they are marks: the same bytes further on in a line, or after a mark, are the
 * command's. A line without a mark goes where the one before went, the first to stdout. Bytes come
 * in pieces of any size; what may be the start of a mark is held back until more is known.
 */
#ifndef WIRE_DEMUX_H
#define WIRE_DEMUX_H

#include <stdbool.h>
#include <stddef.h>

enum demux_stream { DEMUX_OUT = 1, DEMUX_ERR = 2 }; /* the bytes of the marks, too */

/* All zero is a new one. */
struct demux {
    enum demux_stream stream; /* 0: none yet, which is stdout */
    bool in_line;             /* the next byte is not the first of a line */
    unsigned char mark;       /* what is held back: this byte … */
    unsigned held;            /* … so many times, less than three */
};

/* 0 to go on; anything else ends demux_feed, which returns it. */
typedef int (*demux_sink)(void *arg, enum demux_stream stream, const void *p, size_t n);
int demux_feed(struct demux *d, const void *p, size_t n, demux_sink sink, void *arg);
/* After the last piece: what was held back is no mark. */
int demux_end(struct demux *d, demux_sink sink, void *arg);

#endif
