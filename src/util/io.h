/* io.h - all of the bytes or an error, where one read(2) or write(2) may do less. */
#ifndef UTIL_IO_H
#define UTIL_IO_H

#include "util/buf.h"

#include <stddef.h>
#include <stdint.h>

/*
 * For files, and for descriptors that block. Interrupted calls go on. After an error some of the
 * bytes may have been written. Negative errno.
 */
int io_write(int fd, const void *p, size_t n);
int io_pwrite(int fd, const void *p, size_t n, uint64_t off);
int io_pread(int fd, void *p, size_t n, uint64_t off); /* -EBADMSG: it ends before */
int io_read_rest(int fd, struct buf *out);             /* -EFBIG: more than out takes */
int io_copy(int from, int to);                         /* the rest of from, to where to is */

#endif
