/* replay.c - reading: what a journal holds when it is opened, and what is told of it. */
#include "journal/journal_internal.h"

#include "util/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- loading ---- */

static int copy_extents(const struct journal_record *rec, struct entry *e)
{
    if (rec->extent_count == 0)
        return 0;
    e->extents = malloc(rec->extent_count * sizeof(*e->extents));
    if (!e->extents)
        return -ENOMEM;
    for (size_t i = 0; i < rec->extent_count; i++)
        e->extents[i] = journal_record_extent(rec, i);
    e->extent_count = rec->extent_count;
    return 0;
}

static int load_entry(struct journal *j, const struct journal_record *rec, uint64_t off,
                      uint32_t len)
{
    struct entry e = {.seq = rec->seq, .off = off, .len = len, .kind = rec->kind};
    int r = journal_entry_reserve(j);

    e.result.seq = rec->seq;
    for (int i = 0; i < JOURNAL_ROLES; i++)
        if (rec->object[i].means == JOURNAL_MADE)
            e.made_by[i] = rec->object[i].made_by;
    if (r == 0)
        r = copy_extents(rec, &e);
    if (r == 0)
        journal_entry_add(j, &e);
    return r;
}

static int load_batch(struct journal *j, const struct journal_record *rec)
{
    struct journal_range *ranges = malloc((rec->range_count + 1) * sizeof(*ranges));

    if (!ranges)
        return -ENOMEM;
    for (size_t i = 0; i < rec->range_count; i++)
        ranges[i] = journal_record_range(rec, i);
    journal_apply_batch(j, rec->seq, rec->batch, ranges, rec->range_count);
    free(ranges);
    return 0;
}

static void note_synced(const struct journal_record *rec, uint64_t *synced)
{
    const uint64_t seq = rec->kind == JOURNAL_CHECKPOINT ? rec->seq : rec->synced;

    if (seq > *synced)
        *synced = seq;
}

static int load_record(struct journal *j, const struct journal_record *rec, uint64_t off,
                       uint32_t len)
{
    int r = 0;

    j->next_seq = rec->seq + 1;
    j->last_seq = rec->seq;
    if (journal_is_change(rec->kind) || rec->kind == JOURNAL_BATCH)
        r = load_entry(j, rec, off, len);
    else
        j->dead_bytes += len;
    if (r == 0 && rec->kind == JOURNAL_BATCH)
        return load_batch(j, rec);
    if (rec->kind == JOURNAL_CHECKPOINT && rec->batch > j->last_batch)
        j->last_batch = rec->batch;
    note_synced(rec, &j->synced_seq);
    for (size_t i = 0; r == 0 && i < rec->result_count; i++) {
        const struct journal_result result = journal_record_result(rec, i);

        journal_apply_result(j, rec->kind, &result);
    }
    return r;
}

/* What is good behind a bad place is of no use, but as a witness. */
static int look_behind(struct journal *j, struct journal_scan *s)
{
    int r = 0;

    while (r == 0) {
        struct journal_record rec;
        const ssize_t n = journal_scan_next(s, &rec);

        if (n == 0)
            return 0;
        if (n > 0)
            note_synced(&rec, &j->synced_seq);
        else
            r = n == -EBADMSG ? journal_scan_skip(s, j->next_seq - 1) : (int)n;
    }
    return r == -ENOENT ? 0 : r;
}

/* Up to end. *ret_tail: where the good part ends. */
static int load_log(struct journal *j, uint64_t end, uint64_t *ret_tail)
{
    struct journal_scan s;
    int r = journal_scan_init(&s, j->log_fd, j->head.salt, j->head_bytes.len);

    if (s.size > end)
        s.size = end;
    while (r == 0) {
        struct journal_record rec;
        const uint64_t off = s.off;
        const ssize_t n = journal_scan_next(&s, &rec);

        *ret_tail = off;
        if (n == 0)
            break;
        if (n > 0 && rec.seq >= j->next_seq) {
            r = load_record(j, &rec, off, (uint32_t)n);
            continue;
        }
        r = n > 0 || n == -EBADMSG ? look_behind(j, &s) : (int)n;
        if (r == 0 && j->synced_seq > j->next_seq)
            r = -EBADMSG;
        break;
    }
    journal_scan_done(&s);
    return r;
}

/* Does all the data of e lie where it should? */
static int check_entry(struct journal *j, struct entry *e, struct buf *mem)
{
    int r = 0;

    for (size_t i = 0; i < e->extent_count && r == 0; i++) {
        const struct journal_extent *x = &e->extents[i];
        struct segment *seg = journal_segment(j, x->segment);

        r = seg ? 0 : journal_segment_load(j, x->segment);
        if (r == 0) {
            seg = journal_segment(j, x->segment);
            seg->refs++;
            buf_truncate(mem, 0);
            r = journal_blob_read(seg->fd, x, 0, x->len, true, mem);
        }
    }
    return r == -ENOENT ? -EBADMSG : r;
}

/* *ret_bad: the first whose data is not whole; NULL. */
static int check_data(struct journal *j, const struct entry **ret_bad)
{
    struct buf mem = BUF_INIT(JOURNAL_EXTENT_MAX);
    int r = 0;

    *ret_bad = NULL;
    for (size_t i = 0; r == 0 && i < j->entry_count; i++) {
        r = check_entry(j, &j->entries[i], &mem);
        if (r == -EBADMSG)
            *ret_bad = &j->entries[i];
    }
    buf_done(&mem);
    return *ret_bad ? 0 : r;
}

static void forget_all(struct journal *j)
{
    journal_index_done(j);
    j->entries = NULL;
    j->entry_count = j->entry_cap = j->dead_count = 0;
    j->dead_bytes = 0;
    j->changes = j->parked = 0;
    for (size_t i = 0; i < j->segment_count; i++)
        close(j->segments[i].fd);
    free(j->segments);
    j->segments = NULL;
    j->segment_count = 0;
    j->next_seq = j->next_segment = 1;
    j->last_batch = j->last_seq = j->bare_batch = 0;
}

/*
 * What was found goes on from here, and is told and swept by what it says: so it must not be lost
 * after all. What is cut off must not come back behind what is written in its place.
 */
static int settle_down(struct journal *j, uint64_t tail)
{
    int r = 0;

    j->torn_bytes = j->log_len - tail;
    if (j->torn_bytes > 0)
        r = j->sys->truncate(j->log_fd, tail);
    if (r == 0)
        r = j->sys->sync(j->log_fd);
    if (r == 0)
        r = j->sys->sync(j->dir_fd);
    if (r == 0)
        r = j->sys->sync(j->base_fd);
    j->log_len = tail;
    return r;
}

static bool segment_number(const char *name, uint64_t *ret)
{
    char again[32];

    if (sscanf(name, "%16" SCNx64 ".seg", ret) != 1)
        return false;
    journal_segment_name(again, *ret);
    return strcmp(again, name) == 0;
}

static DIR *list_files(int dir_fd)
{
    const int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

bool journal_has_segments(int dir_fd)
{
    DIR *dir = list_files(dir_fd);
    struct dirent *d;
    uint64_t number;
    bool found = !dir; /* what cannot be looked at is left alone */

    while (dir && !found && (d = readdir(dir)))
        found = segment_number(d->d_name, &number);
    if (dir)
        closedir(dir);
    return found;
}

/* Removes segments that no record needs, and a log that was being rewritten. */
static int sweep_files(struct journal *j)
{
    DIR *dir = list_files(j->dir_fd);
    struct dirent *d;

    if (!dir)
        return -EIO;
    while ((d = readdir(dir))) {
        uint64_t number;

        if (segment_number(d->d_name, &number)) {
            if (number >= j->next_segment)
                j->next_segment = number + 1; /* in case it cannot be removed */
            if (journal_segment(j, number))
                continue;
        } else if (strcmp(d->d_name, "log.new") != 0) {
            continue;
        }
        (void)j->sys->unlink(j->dir_fd, d->d_name); /* swept again next time */
    }
    closedir(dir);
    return 0;
}

int journal_load(struct journal *j)
{
    uint64_t end = j->log_len, tail;
    const struct entry *bad = NULL;
    int r;

    /* Without a record others are not what they were, and need data that they did not: all anew. */
    do {
        forget_all(j);
        r = load_log(j, end, &tail);
        if (r == 0)
            r = check_data(j, &bad);
        if (r < 0)
            return r;
        if (bad && j->synced_seq > bad->seq)
            return -EBADMSG;
        if (bad)
            end = bad->off;
    } while (bad);
    r = settle_down(j, tail);
    if (r < 0)
        return r;
    j->synced_seq = 0; /* of data it is not known */
    journal_index_sweep(j);
    j->sealed = true;
    return sweep_files(j);
}

/* ---- telling ---- */

static int read_log(struct journal *j, uint64_t off, size_t len, struct buf *mem)
{
    int r = buf_reserve(mem, len);

    if (r == 0)
        r = io_pread(j->log_fd, mem->data, len, off);
    mem->len = r == 0 ? len : 0;
    return r;
}

static int get_locked(struct journal *j, const struct entry *e, struct buf *mem,
                      struct journal_item *ret)
{
    ssize_t n;
    int r;

    buf_truncate(mem, 0);
    r = read_log(j, e->off, e->len, mem);
    if (r < 0)
        return r;
    n = journal_record_get(j->head.salt, mem->data, mem->len, &ret->rec);
    if (n < 0 || ret->rec.seq != e->seq)
        return -EBADMSG;
    ret->batch = e->batch_number;
    ret->result = e->result;
    return 0;
}

static bool is_settled(const struct entry *e)
{
    return e->dead || e->result.settled == JOURNAL_DONE || e->result.settled == JOURNAL_DROPPED;
}

int journal_get(struct journal *j, uint64_t seq, struct buf *mem, struct journal_item *ret)
{
    struct journal_item item = {0};
    struct entry *e;
    int r;

    lock_take(&j->lock);
    e = journal_entry(j, seq);
    r = !e || is_settled(e) ? -ENOENT : get_locked(j, e, mem, &item);
    lock_drop(&j->lock);
    if (r == 0)
        *ret = item;
    return r;
}

int journal_result(struct journal *j, uint64_t seq, struct journal_result *ret)
{
    struct entry *e;

    lock_take(&j->lock);
    e = journal_entry(j, seq);
    if (e && !journal_is_change(e->kind))
        e = NULL;
    if (e)
        *ret = e->result;
    lock_drop(&j->lock);
    return e ? 0 : -ENOENT;
}

/* The first that is not settled from *seq on; -ENOENT. */
static int next_item(struct journal *j, uint64_t *seq, uint64_t end, struct buf *mem,
                     struct journal_item *ret)
{
    int r = -ENOENT;

    lock_take(&j->lock);
    for (size_t i = journal_place(j, *seq); i < j->entry_count && j->entries[i].seq < end; i++) {
        if (is_settled(&j->entries[i]))
            continue;
        *seq = j->entries[i].seq;
        r = get_locked(j, &j->entries[i], mem, ret);
        break;
    }
    lock_drop(&j->lock);
    return r;
}

int journal_replay(struct journal *j, int (*fn)(void *arg, const struct journal_item *item),
                   void *arg)
{
    struct buf mem = BUF_INIT(JOURNAL_RECORD_MAX);
    uint64_t end;
    int r = 0;

    lock_take(&j->lock);
    end = j->next_seq;
    lock_drop(&j->lock);
    for (uint64_t seq = 1; r == 0; seq++) {
        struct journal_item item = {0};

        r = next_item(j, &seq, end, &mem, &item);
        if (r == 0)
            r = fn(arg, &item);
        else if (r == -ENOENT)
            break;
    }
    buf_done(&mem);
    return r == -ENOENT ? 0 : r;
}

static int read_inline(struct journal *j, const struct entry *e, uint64_t at, size_t len,
                       struct buf *out)
{
    struct buf mem = BUF_INIT(JOURNAL_RECORD_MAX);
    struct journal_item item = {0};
    int r = get_locked(j, e, &mem, &item);

    if (r == 0 && at < item.rec.data_len) {
        const size_t n = item.rec.data_len - (size_t)at;

        r = buf_append(out, (const uint8_t *)item.rec.data + at, len < n ? len : n);
    }
    buf_done(&mem);
    return r;
}

/* What is read of one extent, with its descriptor; the segment is held meanwhile. */
struct piece {
    struct journal_extent extent;
    int fd;
    uint32_t from, len;
};

static int take_piece_locked(struct journal *j, uint64_t seq, uint64_t at, size_t len,
                             struct piece *ret)
{
    struct entry *e = journal_entry(j, seq);
    uint64_t start = 0;

    if (!e || is_settled(e))
        return -ENOENT;
    for (size_t i = 0; i < e->extent_count; start += e->extents[i].len, i++) {
        const struct journal_extent *x = &e->extents[i];
        struct segment *seg = journal_segment(j, x->segment);

        if (at >= start + x->len)
            continue;
        ret->extent = *x;
        ret->from = (uint32_t)(at - start);
        ret->len = x->len - ret->from < len ? x->len - ret->from : (uint32_t)len;
        ret->fd = seg->fd;
        seg->refs++;
        return 1;
    }
    return 0;
}

int journal_read(struct journal *j, uint64_t seq, uint64_t at, size_t len, bool check,
                 struct buf *out)
{
    const size_t start = out->len;
    struct entry *e;
    int r;

    lock_take(&j->lock);
    e = journal_entry(j, seq);
    if (!e || is_settled(e) || e->extent_count == 0) {
        r = !e || is_settled(e) ? -ENOENT : read_inline(j, e, at, len, out);
        lock_drop(&j->lock);
        return r;
    }
    lock_drop(&j->lock);
    for (r = 1; r > 0 && len > 0;) {
        struct piece piece;

        lock_take(&j->lock);
        r = take_piece_locked(j, seq, at, len, &piece);
        lock_drop(&j->lock);
        if (r <= 0)
            break;
        r = journal_blob_read(piece.fd, &piece.extent, piece.from, piece.len, check, out);
        lock_take(&j->lock);
        journal_blob_release(j, &piece.extent, 1);
        lock_drop(&j->lock);
        at += piece.len;
        len -= piece.len;
        r = r == 0 ? 1 : r;
    }
    if (r < 0)
        buf_truncate(out, start);
    return r < 0 ? r : 0;
}
