/* units.h - sizes and durations as people write them. */
#ifndef UTIL_UNITS_H
#define UTIL_UNITS_H

#include "util/buf.h"

#include <stdint.h>

/* "4096", "64K", "1.5G", "1GiB": powers of 1024. -EINVAL, -ERANGE. */
int units_parse_bytes(const char *s, uint64_t *ret_bytes);
int units_print_bytes(struct buf *out, uint64_t bytes); /* shortest form that parses back */

/* "100ms", "1s", "1.5s", "10m", "2h", "0"; a bare number is seconds. -EINVAL, -ERANGE. */
int units_parse_duration(const char *s, int64_t *ret_ns);
int units_print_duration(struct buf *out, int64_t ns); /* shortest form that parses back */

#endif
