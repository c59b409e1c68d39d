/*
 * bytes.h - the numbers and strings that records and heads are made of, for those who write and
 * read them. Numbers are little-endian; a string is a 4 byte length, so many bytes, none of them
 * NUL, and a NUL that is not counted.
 */
#ifndef JOURNAL_BYTES_H
#define JOURNAL_BYTES_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void bytes_set_le(uint8_t *p, uint64_t v, int n);
uint64_t bytes_get_le(const uint8_t *p, int n);

/* What is written. The first error sticks, and then nothing more is. */
struct bytes_out {
    struct buf *out; /* borrowed */
    int err;
};

void bytes_put(struct bytes_out *w, const void *p, size_t n); /* p NULL: -EINVAL */
void bytes_put32(struct bytes_out *w, uint32_t v);
void bytes_put64(struct bytes_out *w, uint64_t v);
/* NULL, or longer than max: -EINVAL. */
void bytes_put_string(struct bytes_out *w, const char *s, size_t max);
void bytes_pad(struct bytes_out *w, size_t start); /* zeros, to a multiple of 8 from start */

/* What is read. Once something does not fit all is bad, and what is taken is zeros. */
struct bytes_in {
    const uint8_t *p, *end;
    bool bad;
};

enum { BYTES_TAKE_MAX = 40 }; /* up to that bytes_take never returns NULL */
const uint8_t *bytes_take(struct bytes_in *r, size_t n);
uint32_t bytes_take32(struct bytes_in *r);
uint64_t bytes_take64(struct bytes_in *r);
const char *bytes_take_string(struct bytes_in *r, size_t max); /* "" if it is bad */
bool bytes_at_end(const struct bytes_in *r);                   /* but for the padding */

#endif
