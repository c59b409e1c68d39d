/*
 * compact.c - the log again without what is settled.
 *
 *   1 what is needed up to T, the log's end, is noted; segments that nothing needs are doomed
 *   2 log.new is written: head, those records, checkpoints with what is known of them; then
 *     segments, directory and log.new are synced
 *   3 what others appended after T is copied; log.new is renamed to log; they go on in it
 *   4 the directory is synced; only now the doomed segments are removed
 *
 * A crash before the rename leaves the old log and a log.new that is swept at the next open; after
 * it, doomed segments that are swept as well. journal_sync waits outside of this, so nothing after
 * T was ever promised to survive a loss of power.
 */
#include "journal/journal_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct moved {
    uint64_t seq, from, to;
    uint32_t len;
};

struct compaction {
    struct moved *moved;
    size_t moved_count;
    struct journal_result *results;
    size_t result_count;
    int *fds; /* of segments to be synced */
    size_t fd_count;
    uint64_t end; /* T */
    uint64_t seq; /* of the first checkpoint */
    uint64_t last_batch;
    bool
        data_lost; /* a segment could not be synced: as in journal_sync, nothing more is believed */
    int fd;        /* log.new */
    uint64_t len;  /* of it */
    struct buf mem;
};

static void compaction_done(struct compaction *c)
{
    free(c->moved);
    free(c->results);
    free(c->fds);
    buf_done(&c->mem);
    if (c->fd >= 0)
        close(c->fd);
}

static size_t checkpoints(const struct compaction *c)
{
    return c->result_count / JOURNAL_RESULTS_MAX + 1;
}

static int note_locked(struct journal *j, struct compaction *c)
{
    c->moved = malloc((j->entry_count + 1) * sizeof(*c->moved));
    c->results = malloc((j->entry_count + 1) * sizeof(*c->results));
    c->fds = malloc((j->segment_count + 1) * sizeof(*c->fds));
    if (!c->moved || !c->results || !c->fds)
        return -ENOMEM;
    journal_index_sweep(j);
    for (size_t i = 0; i < j->entry_count; i++) {
        const struct entry *e = &j->entries[i];

        c->moved[c->moved_count++] = (struct moved){.seq = e->seq, .from = e->off, .len = e->len};
        if (journal_is_change(e->kind) && (e->result.said || e->result.settled || e->result.err ||
                                           e->result.forced || e->renewed))
            c->results[c->result_count++] = e->result;
    }
    for (size_t i = 0; i < j->segment_count; i++) {
        struct segment *seg = &j->segments[i];

        seg->doomed = seg->refs == 0;
        if (seg->dirty && !seg->doomed)
            c->fds[c->fd_count++] = seg->fd;
    }
    c->end = j->log_len;
    c->last_batch = j->last_batch;
    c->seq = j->next_seq;
    j->next_seq += checkpoints(c);
    return 0;
}

static int copy(struct journal *j, struct compaction *c, int from_fd, uint64_t from, uint64_t len)
{
    int r = 0;

    while (r == 0 && len > 0) {
        const size_t want = len < JOURNAL_RECORD_MAX ? (size_t)len : JOURNAL_RECORD_MAX;
        const ssize_t n = pread(from_fd, c->mem.data, want, (off_t)from);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        r = journal_write_all(j->sys, c->fd, c->mem.data, (size_t)n, c->len);
        c->len += (uint64_t)n;
        from += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return r;
}

/* Neighbours go in one piece. */
static int copy_needed(struct journal *j, struct compaction *c)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->moved_count;) {
        const uint64_t from = c->moved[i].from;
        uint64_t end = from;

        for (; i < c->moved_count && c->moved[i].from == end; i++) {
            c->moved[i].to = c->len + (end - from);
            end += c->moved[i].len;
        }
        r = copy(j, c, j->log_fd, from, end - from);
    }
    return r;
}

static int write_checkpoints(struct journal *j, struct compaction *c)
{
    struct journal_record rec = {.kind = JOURNAL_CHECKPOINT, .batch = c->last_batch};
    int r = 0;

    for (size_t i = 0, n = checkpoints(c); r == 0 && i < n; i++) {
        const size_t done = i * JOURNAL_RESULTS_MAX, left = c->result_count - done;

        rec.seq = c->seq + i;
        rec.results = c->results + done;
        rec.result_count = left < JOURNAL_RESULTS_MAX ? left : JOURNAL_RESULTS_MAX;
        buf_truncate(&c->mem, 0);
        r = journal_record_put(&c->mem, j->head.salt, &rec);
        if (r == 0)
            r = journal_write_all(j->sys, c->fd, c->mem.data, c->mem.len, c->len);
        if (r == 0)
            c->len += c->mem.len;
    }
    return r;
}

static int write_new(struct journal *j, struct compaction *c)
{
    int r;

    (void)j->sys->unlink(j->dir_fd, "log.new"); /* of one that failed */
    c->fd = j->sys->create(j->dir_fd, "log.new");
    if (c->fd < 0)
        return c->fd;
    r = journal_write_all(j->sys, c->fd, j->head_bytes.data, j->head_bytes.len, 0);
    c->len = j->head_bytes.len;
    if (r == 0)
        r = copy_needed(j, c);
    if (r == 0)
        r = write_checkpoints(j, c);
    for (size_t i = 0; r == 0 && i < c->fd_count; i++) {
        r = j->sys->sync(c->fds[i]);
        c->data_lost = r < 0;
    }
    if (r == 0)
        r = j->sys->sync(j->dir_fd); /* the segments' names */
    if (r == 0)
        r = j->sys->sync(c->fd);
    return r;
}

/* Entries may have come since, and died, but none up to T was swept away. */
static void move_entries_locked(struct journal *j, const struct compaction *c, uint64_t new_end)
{
    size_t m = 0;

    for (size_t i = 0; i < j->entry_count; i++) {
        struct entry *e = &j->entries[i];

        if (e->off >= c->end) {
            e->off = e->off - c->end + new_end;
            continue;
        }
        while (c->moved[m].seq != e->seq)
            m++;
        e->off = c->moved[m].to;
    }
}

static int swap_locked(struct journal *j, struct compaction *c)
{
    const uint64_t new_end = c->len;
    const int old_fd = j->log_fd;
    int r = j->broken;

    if (r == 0)
        r = copy(j, c, j->log_fd, c->end, j->log_len - c->end);
    if (r == 0)
        r = j->sys->rename(j->dir_fd, "log.new", "log");
    if (r < 0)
        return r;
    move_entries_locked(j, c, new_end);
    j->log_fd = c->fd;
    c->fd = old_fd; /* closed with the rest */
    j->log_len = c->len;
    j->synced_seq = c->seq;
    if (j->last_seq < c->seq + checkpoints(c))
        j->last_seq = c->seq + checkpoints(c) - 1;
    j->dead_bytes = 0;
    for (size_t i = 0; i < j->entry_count; i++)
        if (j->entries[i].dead)
            j->dead_bytes += j->entries[i].len;
    return 0;
}

/* Takes the doomed out of the list; their descriptors are closed, their names returned. */
static size_t bury_segments_locked(struct journal *j, uint64_t *numbers)
{
    size_t kept = 0, gone = 0;

    for (size_t i = 0; i < j->segment_count; i++) {
        if (!j->segments[i].doomed) {
            j->segments[kept++] = j->segments[i];
            continue;
        }
        close(j->segments[i].fd);
        numbers[gone++] = j->segments[i].number;
    }
    if (gone && (kept == 0 || j->segments[kept - 1].number + 1 < j->next_segment))
        j->sealed = true;
    j->segment_count = kept;
    return gone;
}

/* *ret, owned by the caller, gets the numbers of those that may be removed now. */
static int bury_segments(struct journal *j, uint64_t **ret, size_t *ret_count)
{
    int r = j->sys->sync(j->dir_fd);

    lock_take(&j->lock);
    *ret = malloc((j->segment_count + 1) * sizeof(**ret));
    if (r == 0 && !*ret)
        r = -ENOMEM;
    if (r == 0)
        *ret_count = bury_segments_locked(j, *ret);
    lock_drop(&j->lock);
    return r;
}

/* Of gigabytes this takes a second, and nobody who syncs waits for it. */
static void remove_segments(struct journal *j, const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[32];

        journal_segment_name(name, numbers[i]);
        (void)j->sys->unlink(j->dir_fd, name); /* swept at the next open */
    }
}

int journal_compact(struct journal *j)
{
    struct compaction c = {.fd = -1, .mem = BUF_INIT(JOURNAL_RECORD_MAX)};
    uint64_t *gone = NULL;
    size_t gone_count = 0;
    bool swapped = false;
    int r;

    r = buf_reserve(&c.mem, JOURNAL_RECORD_MAX);
    lock_take(&j->lock);
    while (j->busy)
        lock_wait(&j->lock, &j->idle);
    if (r == 0)
        r = j->broken;
    if (r == 0)
        r = note_locked(j, &c);
    j->busy = true;
    lock_drop(&j->lock);

    if (r == 0)
        r = write_new(j, &c);
    lock_take(&j->lock);
    if (r == 0) {
        r = swap_locked(j, &c);
        swapped = r == 0;
    }
    lock_drop(&j->lock);
    if (swapped)
        r = bury_segments(j, &gone, &gone_count);
    else
        (void)j->sys->unlink(j->dir_fd, "log.new"); /* or at the next open */

    lock_take(&j->lock);
    if (r < 0 && (swapped || c.data_lost))
        j->broken = r;
    for (size_t i = 0; i < j->segment_count; i++)
        j->segments[i].doomed = false;
    j->busy = false;
    pthread_cond_broadcast(&j->idle);
    pthread_cond_broadcast(&j->room);
    lock_drop(&j->lock);
    compaction_done(&c);
    remove_segments(j, gone, gone_count);
    free(gone);
    return r;
}
