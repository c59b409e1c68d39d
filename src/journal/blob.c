/*
 * blob.c - data that is too long for a record, in segments: files named by their number, in 16
 * hexadecimal digits and ".seg", that only grow. No process goes on with another one's segment.
 */
#include "journal/journal_internal.h"

#include "util/crc32c.h"
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void journal_segment_name(char out[32], uint64_t number)
{
    snprintf(out, 32, "%016" PRIx64 ".seg", number);
}

struct segment *journal_segment(struct journal *j, uint64_t number)
{
    for (size_t i = j->segment_count; i-- > 0;)
        if (j->segments[i].number == number)
            return &j->segments[i];
    return NULL;
}

static int add_segment(struct journal *j, const struct segment *seg)
{
    struct segment *more = realloc(j->segments, (j->segment_count + 1) * sizeof(*more));

    if (!more)
        return -ENOMEM;
    j->segments = more;
    j->segments[j->segment_count++] = *seg;
    if (seg->number >= j->next_segment)
        j->next_segment = seg->number + 1;
    return 0;
}

static int new_segment(struct journal *j)
{
    struct segment seg = {.number = j->next_segment, .len = JOURNAL_SEGMENT_HEADER, .dirty = true};
    uint8_t head[JOURNAL_SEGMENT_HEADER];
    char name[32];
    int r;

    journal_segment_name(name, seg.number);
    journal_segment_put(head, j->head.salt, seg.number);
    seg.fd = j->sys->create(j->dir_fd, name);
    if (seg.fd < 0)
        return seg.fd;
    r = journal_write_all(j->sys, seg.fd, head, sizeof(head), 0);
    if (r == 0)
        r = add_segment(j, &seg);
    if (r < 0) {
        close(seg.fd);
        (void)j->sys->unlink(j->dir_fd, name); /* a leftover is swept at the next open, */
        j->next_segment++;                     /* and not in the way until then */
        return r;
    }
    j->dir_dirty = true;
    j->sealed = false;
    return 0;
}

int journal_segment_load(struct journal *j, uint64_t number)
{
    uint8_t head[JOURNAL_SEGMENT_HEADER];
    struct segment seg = {.number = number};
    struct stat st;
    char name[32];
    ssize_t n;
    int r;

    journal_segment_name(name, number);
    seg.fd = journal_file_open(j->dir_fd, name, O_RDWR);
    if (seg.fd < 0)
        return seg.fd;
    n = pread(seg.fd, head, sizeof(head), 0);
    r = n < 0 || fstat(seg.fd, &st) < 0 ? -errno : 0;
    if (r == 0)
        r = journal_segment_get(head, (size_t)n, j->head.salt, number);
    if (r == 0) {
        seg.len = (uint64_t)st.st_size;
        seg.dirty = true; /* who knows */
        r = add_segment(j, &seg);
    }
    if (r < 0)
        close(seg.fd);
    return r;
}

static int reserve_one(struct journal *j, struct journal_extent *e)
{
    struct segment *seg = j->segment_count ? &j->segments[j->segment_count - 1] : NULL;

    if (!seg || j->sealed || seg->doomed || seg->len + e->len > j->limits.segment_bytes) {
        const int r = new_segment(j);

        if (r < 0)
            return r;
        seg = &j->segments[j->segment_count - 1];
    }
    e->segment = seg->number;
    e->at = seg->len;
    seg->len += e->len;
    seg->refs++;
    return 0;
}

int journal_blob_reserve(struct journal *j, uint64_t off, size_t len, struct journal_extent **ret,
                         size_t *ret_count)
{
    const size_t count = (len + JOURNAL_EXTENT_MAX - 1) / JOURNAL_EXTENT_MAX;
    struct journal_extent *list;
    size_t done = 0;

    if (count > JOURNAL_EXTENTS_MAX)
        return -E2BIG;
    list = calloc(count, sizeof(*list));
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int r;

        list[i].off = off + done;
        list[i].len = (uint32_t)(len - done < JOURNAL_EXTENT_MAX ? len - done : JOURNAL_EXTENT_MAX);
        r = reserve_one(j, &list[i]);
        if (r < 0) {
            journal_blob_release(j, list, i);
            free(list);
            return r;
        }
        done += list[i].len;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

int journal_blob_hold(struct journal *j, const struct journal_extent *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct segment *seg = journal_segment(j, e[i].segment);

        if (!seg || seg->refs == 0 || seg->doomed || e[i].len == 0 ||
            e[i].len > JOURNAL_EXTENT_MAX || e[i].at < JOURNAL_SEGMENT_HEADER ||
            e[i].at > seg->len || e[i].len > seg->len - e[i].at) {
            journal_blob_release(j, e, i);
            return -ESTALE;
        }
        seg->refs++;
    }
    return 0;
}

void journal_blob_release(struct journal *j, const struct journal_extent *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct segment *seg = journal_segment(j, e[i].segment);

        if (seg && seg->refs > 0)
            seg->refs--;
    }
}

int journal_blob_read(int fd, const struct journal_extent *e, uint32_t from, uint32_t len,
                      bool check, struct buf *out)
{
    const size_t start = out->len;
    int r = buf_reserve(out, check ? e->len : len);
    uint8_t *p;

    if (r < 0)
        return r;
    p = (uint8_t *)out->data + start;
    r = io_pread(fd, p, check ? e->len : len, e->at + (check ? 0 : from));
    if (r == 0 && check && crc32c(0, p, e->len) != e->crc)
        r = -EBADMSG;
    if (r == 0) {
        out->len += check ? e->len : len;
        out->data[out->len] = '\0';
    } else {
        buf_truncate(out, start);
    }
    if (r == 0 && check && (from > 0 || len < e->len)) { /* keep only what was asked for */
        for (uint32_t i = 0; i < len; i++)
            p[i] = p[from + i];
        buf_truncate(out, start + len);
    }
    return r;
}
