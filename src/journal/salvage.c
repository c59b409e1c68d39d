/* salvage.c - what can still be read of a journal, changing nothing. */
#include "journal/journal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct journal_salvage {
    int dir_fd;
    struct journal_head head;
    struct journal_scan scan;
};

int journal_salvage_read(struct journal_salvage *s, const struct journal_record *rec, size_t i,
                         struct buf *out)
{
    const struct journal_extent e = journal_record_extent(rec, i);
    char name[32];
    int fd, r;

    journal_segment_name(name, e.segment);
    fd = journal_file_open(s->dir_fd, name, O_RDONLY);
    if (fd < 0)
        return fd == -ENOENT ? -EBADMSG : fd;
    r = journal_blob_read(fd, &e, 0, e.len, true, out);
    close(fd);
    return r;
}

static int tell_all(struct journal_salvage *s,
                    int (*fn)(void *arg, struct journal_salvage *s,
                              const struct journal_record *rec),
                    void *arg, uint64_t *bad)
{
    uint64_t last = 0;
    int r = 0;

    while (r == 0) {
        const uint64_t from = s->scan.off;
        struct journal_record rec;
        const ssize_t n = journal_scan_next(&s->scan, &rec);

        if (n == 0)
            return 0;
        if (n > 0 && rec.seq > last) {
            last = rec.seq;
            r = fn(arg, s, &rec);
        } else if (n == -EBADMSG) {
            r = journal_scan_skip(&s->scan, last);
            *bad += (r == 0 ? s->scan.off : s->scan.size) - from;
            if (r == -ENOENT)
                return 0;
        } else if (n > 0) {
            *bad += (uint64_t)n; /* older than what is before it */
        } else {
            r = (int)n;
        }
    }
    return r;
}

int journal_salvage(const char *base, const char *name,
                    int (*fn)(void *arg, struct journal_salvage *s,
                              const struct journal_record *rec),
                    void *arg, uint64_t *ret_bad)
{
    struct journal_salvage s = {.dir_fd = -1};
    struct buf head = BUF_INIT(JOURNAL_HEAD_MAX);
    int fd = -1, base_fd = journal_base_open(base, false);
    uint64_t bad = 0;
    ssize_t n;
    int r;

    if (base_fd < 0)
        return base_fd;
    s.dir_fd = r = journal_subdir_open(base_fd, name);
    if (r >= 0)
        fd = r = journal_file_open(s.dir_fd, "log", O_RDONLY);
    if (r >= 0)
        r = buf_reserve(&head, JOURNAL_HEAD_MAX);
    if (r < 0)
        goto out;
    n = pread(fd, head.data, JOURNAL_HEAD_MAX, 0);
    n = n < 0 ? -errno : journal_head_get(head.data, (size_t)n, &s.head);
    r = n < 0 ? (int)n : journal_scan_init(&s.scan, fd, s.head.salt, (uint64_t)n);
    if (r == 0)
        r = tell_all(&s, fn, arg, &bad);
    if (r == 0)
        *ret_bad = bad;
out:
    journal_scan_done(&s.scan);
    buf_done(&head);
    if (fd >= 0)
        close(fd);
    if (s.dir_fd >= 0)
        close(s.dir_fd);
    close(base_fd);
    return r;
}
