/* scan.c - a log from front to back, through one window of memory. */
#include "journal/journal_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOW = 4 * JOURNAL_RECORD_MAX };

int journal_scan_init(struct journal_scan *s, int fd, uint32_t salt, uint64_t off)
{
    struct stat st;

    memset(s, 0, sizeof(*s));
    if (fstat(fd, &st) < 0)
        return -errno;
    s->fd = fd;
    s->salt = salt;
    s->off = off;
    s->size = (uint64_t)st.st_size;
    buf_init(&s->window, WINDOW);
    return buf_reserve(&s->window, WINDOW);
}

void journal_scan_done(struct journal_scan *s)
{
    buf_done(&s->window);
}

/* Sees to it that a whole record at off is in the window, or all up to the end. */
static int look(struct journal_scan *s, uint64_t off)
{
    const uint64_t want = s->size - off < JOURNAL_RECORD_MAX ? s->size - off : JOURNAL_RECORD_MAX;

    if (off >= s->window_off && off + want <= s->window_off + s->window.len)
        return 0;
    s->window_off = off;
    s->window.len = 0;
    while (s->window.len < WINDOW) {
        const ssize_t n = pread(s->fd, s->window.data + s->window.len, WINDOW - s->window.len,
                                (off_t)(off + s->window.len));

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        if (n > 0)
            s->window.len += (size_t)n;
    }
    return s->window.len < want ? -EIO : 0;
}

static ssize_t get_at(struct journal_scan *s, uint64_t off, struct journal_record *ret)
{
    const int r = off < s->size ? look(s, off) : 0;

    if (r < 0)
        return r;
    if (off >= s->size)
        return 0;
    return journal_record_get(s->salt, s->window.data + (off - s->window_off),
                              s->window.len - (off - s->window_off), ret);
}

ssize_t journal_scan_next(struct journal_scan *s, struct journal_record *ret)
{
    const ssize_t n = get_at(s, s->off, ret);

    if (n > 0)
        s->off += (uint64_t)n;
    return n;
}

int journal_scan_skip(struct journal_scan *s, uint64_t after)
{
    for (uint64_t off = s->off + 8; off < s->size; off += 8) {
        struct journal_record rec;
        const ssize_t n = get_at(s, off, &rec);

        if (n < 0 && n != -EBADMSG)
            return (int)n;
        if (n > 0 && rec.seq > after) {
            s->off = off;
            return 0;
        }
    }
    return -ENOENT;
}
