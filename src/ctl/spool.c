#include "ctl/spool.h"

#include <errno.h>
#include <string.h>

void spool_init(struct spool *s)
{
    *s = (struct spool){0};
    buf_init(&s->kept, 2 * SPOOL_MAX); /* room for what spool_lose adds */
}

void spool_done(struct spool *s)
{
    buf_done(&s->kept);
}

uint64_t spool_end(const struct spool *s)
{
    return s->first + s->kept.len;
}

bool spool_unread(const struct spool *s)
{
    return s->cursor < spool_end(s);
}

/* Drops n or more bytes that were read: whole lines, if they were read whole. */
static void drop(struct spool *s, size_t n)
{
    const size_t read = s->cursor > s->first ? (size_t)(s->cursor - s->first) : 0;
    const char *newline;

    n = n < read ? n : read;
    if (n == 0)
        return;
    newline = memchr(s->kept.data + n - 1, '\n', read - n + 1);
    if (newline)
        n = (size_t)(newline + 1 - s->kept.data);
    buf_consume(&s->kept, n);
    s->first += n;
}

int spool_add(struct spool *s, const char *line, size_t n)
{
    const uint64_t end = spool_end(s);
    const uint64_t unread = s->cursor < end ? end - s->cursor : 0;

    if (s->lost && unread > 0)
        return 0;
    s->lost = false;
    if (n > SPOOL_MAX || unread + n > SPOOL_MAX)
        return -ENOBUFS;
    if (s->kept.len + n > SPOOL_MAX)
        drop(s, s->kept.len + n - SPOOL_MAX);
    return buf_append(&s->kept, line, n);
}

int spool_lose(struct spool *s, const char *line, size_t n)
{
    int r;

    if (s->lost)
        return 0;
    if (s->kept.len + n > SPOOL_MAX)
        drop(s, s->kept.len + n - SPOOL_MAX);
    r = buf_append(&s->kept, line, n);
    s->lost = r == 0;
    return r;
}

size_t spool_read(struct spool *s, uint64_t position, void *p, size_t n)
{
    const uint64_t end = spool_end(s);

    if (position < s->first || position >= end)
        return 0;
    if (n > end - position)
        n = (size_t)(end - position);
    memcpy(p, s->kept.data + (position - s->first), n);
    s->cursor = position + n;
    return n;
}
