/* buf.h - bytes that grow, up to a ceiling given when the buffer is made. */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * data[len] is always NUL when data is not NULL, so text needs no copy. Not locked: one owner at a
 * time. A failed append leaves the contents as they were: -EFBIG beyond max, -ENOMEM.
 */
struct buf {
    char *data; /* owned; NULL until the first append */
    size_t len;
    size_t cap;
    size_t max; /* len never exceeds it */
};

#define BUF_INIT(ceiling)                                                                          \
    {                                                                                              \
        .max = (ceiling)                                                                           \
    }

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees; the buffer can be used again */

int buf_reserve(struct buf *b, size_t more);
int buf_append(struct buf *b, const void *p, size_t n);
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_truncate(struct buf *b, size_t len); /* len must not exceed b->len */
void buf_consume(struct buf *b, size_t n);    /* drops the first n bytes, n <= b->len */

const char *buf_str(const struct buf *b); /* "" when empty; valid until the next change */
char *buf_take(struct buf *b);            /* the caller frees; NULL only without memory */

#endif
