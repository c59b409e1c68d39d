/* salvage.c - what can still be read of a journal, changing nothing. */
#include "journal/journal_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct journal_salvage {
    int dir_fd;
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

/* ---- without a head ---- */

/* Where records begin whose checksums start from salt. */
static int find_records(struct journal_salvage *s, int fd, uint32_t salt)
{
    int r = journal_scan_init(&s->scan, fd, salt, 0);

    if (r == 0)
        r = journal_scan_skip(&s->scan, 0);
    if (r < 0)
        journal_scan_done(&s->scan);
    return r;
}

static bool segment_salt(int dir_fd, const char *name, uint32_t *ret)
{
    uint8_t head[JOURNAL_SEGMENT_HEADER];
    const size_t len = strlen(name);
    ssize_t n;
    int fd;

    if (len < 4 || strcmp(name + len - 4, ".seg") != 0)
        return false;
    fd = journal_file_open(dir_fd, name, O_RDONLY);
    if (fd < 0)
        return false;
    n = pread(fd, head, sizeof(head), 0);
    close(fd);
    return n > 0 && journal_segment_salt(head, (size_t)n, ret) == 0;
}

/* With what a segment says that they start from. */
static int find_by_segments(struct journal_salvage *s, int fd)
{
    const int dir_fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = dir_fd < 0 ? NULL : fdopendir(dir_fd);
    const struct dirent *d;
    int r = -ENOENT;
    uint32_t salt;

    while (dir && r == -ENOENT && (d = readdir(dir)))
        if (segment_salt(s->dir_fd, d->d_name, &salt))
            r = find_records(s, fd, salt);
    if (dir)
        closedir(dir);
    else if (dir_fd >= 0)
        close(dir_fd);
    return r;
}

/* A head of another version is not damaged, unless it is whole but for that number. */
static bool is_damaged(int err, uint8_t *head, size_t n)
{
    struct journal_head whole;

    if (err != -EPROTONOSUPPORT)
        return err == -EBADMSG;
    for (uint8_t v = JOURNAL_VERSION_OLDEST; v <= JOURNAL_VERSION; v++) {
        memcpy(head + 8, (const uint8_t[4]){v}, 4);
        if (journal_head_get(head, n, &whole) > 0)
            return true;
    }
    return false;
}

/* The head is damaged by err: what is behind it may be whole. */
static int scan_headless(struct journal_salvage *s, int fd, int err, uint8_t *head, size_t n,
                         uint64_t *bad)
{
    int r = -ENOENT;

    if (!is_damaged(err, head, n))
        return err;
    if (n >= JOURNAL_HEAD_MIN)
        r = find_records(s, fd, journal_head_salt(head));
    if (r == -ENOENT)
        r = find_by_segments(s, fd);
    if (r == 0)
        *bad += s->scan.off;
    return r == -ENOENT ? err : r;
}

static int find_begin(struct journal_salvage *s, int fd, uint64_t *bad)
{
    struct buf head = BUF_INIT(JOURNAL_HEAD_MAX);
    int r = buf_reserve(&head, JOURNAL_HEAD_MAX);
    struct journal_head found;
    ssize_t n = 0, len;

    if (r == 0) {
        n = pread(fd, head.data, JOURNAL_HEAD_MAX, 0);
        r = n < 0 ? -errno : 0;
    }
    if (r == 0) {
        len = journal_head_get(head.data, (size_t)n, &found);
        r = len > 0 ? journal_scan_init(&s->scan, fd, found.salt, (uint64_t)len)
                    : scan_headless(s, fd, (int)len, (uint8_t *)head.data, (size_t)n, bad);
    }
    buf_done(&head);
    return r;
}

int journal_salvage(const char *base, const char *name,
                    int (*fn)(void *arg, struct journal_salvage *s,
                              const struct journal_record *rec),
                    void *arg, uint64_t *ret_bad)
{
    struct journal_salvage s = {.dir_fd = -1};
    int fd = -1, base_fd = journal_base_open(base, false);
    uint64_t bad = 0;
    int r;

    if (base_fd < 0)
        return base_fd;
    s.dir_fd = r = journal_subdir_open(base_fd, name);
    if (r >= 0)
        fd = r = journal_file_open(s.dir_fd, "log", O_RDONLY);
    if (r >= 0)
        r = find_begin(&s, fd, &bad);
    if (r == 0)
        r = tell_all(&s, fn, arg, &bad);
    if (r == 0)
        *ret_bad = bad;
    journal_scan_done(&s.scan);
    if (fd >= 0)
        close(fd);
    if (s.dir_fd >= 0)
        close(s.dir_fd);
    close(base_fd);
    return r;
}
