/* In which order the two streams of a job came, as far as its keeper could see. */
#include "helper/run.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { POINT = 16 };

static void put_le64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_le64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

struct order order_open(int job)
{
    const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;

    return (struct order){.fd = openat(job, "order", flags, 0600)};
}

void order_note(struct order *o, uint64_t out, uint64_t err)
{
    const bool out_grew = out > o->last[0], err_grew = err > o->last[1];
    uint8_t point[POINT];

    if (o->fd < 0 || (!out_grew && !err_grew))
        return;
    /* A point grows in place where that only adds to its end: what was read of it stays so. */
    if (o->count == 0 || (out_grew && (err_grew || o->err_ends_last)) ||
        (err_grew && !out_grew && !o->err_ends_last))
        o->count++;
    put_le64(point, out_grew ? out : o->last[0]);
    put_le64(point + 8, err_grew ? err : o->last[1]);
    if (pwrite(o->fd, point, POINT, (off_t)(o->count - 1) * POINT) != POINT)
        return; /* a full disk: the next point has it */
    o->last[0] = get_le64(point);
    o->last[1] = get_le64(point + 8);
    o->err_ends_last = err_grew;
}

/* Point i, and (0, 0) before the first. */
static bool get_point(int fd, uint64_t i, uint64_t ret[2])
{
    uint8_t point[POINT];

    ret[0] = ret[1] = 0;
    if (i == 0)
        return true;
    if (pread(fd, point, POINT, (off_t)(i - 1) * POINT) != POINT)
        return false;
    ret[0] = get_le64(point);
    ret[1] = get_le64(point + 8);
    return true;
}

static int open_points(int job, uint64_t *ret_count)
{
    const int fd = openat(job, "order", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    *ret_count = fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size / POINT : 0;
    return fd;
}

uint64_t order_size(int job)
{
    uint64_t count, last[2] = {0};
    const int fd = open_points(job, &count);

    if (fd < 0)
        return 0;
    (void)get_point(fd, count, last);
    close(fd);
    return last[0] + last[1];
}

/* The first point that lies beyond off. */
static uint64_t find_point(int fd, uint64_t count, uint64_t off)
{
    uint64_t low = 1, high = count + 1, p[2];

    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;

        if (!get_point(fd, middle, p) || p[0] + p[1] > off)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

int order_walk(int job, uint64_t off, uint64_t len,
               int (*put)(void *arg, bool err, uint64_t from, uint64_t len), void *arg)
{
    uint64_t count, before[2], after[2];
    const int fd = open_points(job, &count);
    uint64_t i = fd < 0 ? 1 : find_point(fd, count, off);
    int r = 0;

    for (; fd >= 0 && r == 0 && len > 0 && i <= count; i++) {
        if (!get_point(fd, i - 1, before) || !get_point(fd, i, after))
            break;
        for (int s = 0; s < 2 && r == 0 && len > 0; s++) {
            /* Where this stream's part of the segment begins in both together. */
            const uint64_t start = s == 0 ? before[0] + before[1] : after[0] + before[1];
            const uint64_t skip = off > start ? off - start : 0;
            const uint64_t has = after[s] > before[s] ? after[s] - before[s] : 0;
            const uint64_t n = has > skip ? (has - skip < len ? has - skip : len) : 0;

            if (n > 0)
                r = put(arg, s == 1, before[s] + skip, n);
            off += n;
            len -= n;
        }
    }
    if (fd >= 0)
        close(fd);
    return r;
}
