/* log.c - writing: every record is one write at the log's end, and its data is there before. */
#include "journal/journal_internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/crc32c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ASK_EVERY = 256 << 10 }; /* bytes between two looks at what the disk has left */
enum { SLICE_MS = 50 };         /* how late a cancel is seen at most */

int journal_write_all(const struct journal_sys *sys, int fd, const void *p, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        const ssize_t k = sys->write(fd, (const char *)p + done, n - done, at + done);

        if (k <= 0)
            return k < 0 ? (int)k : -EIO;
        done += (size_t)k;
    }
    return 0;
}

static int append_record_locked(struct journal *j, struct journal_record *rec, uint32_t *ret_len)
{
    struct buf *b = &j->scratch;
    int r;

    lock_assert_held(&j->lock);
    if (j->broken)
        return j->broken;
    buf_truncate(b, 0);
    rec->seq = j->next_seq;
    r = journal_record_put(b, j->head.salt, rec);
    if (r < 0)
        return r;
    r = journal_write_all(j->sys, j->log_fd, b->data, b->len, j->log_len);
    if (r < 0) {
        /* Half a record must not be followed by a good one. */
        const int undo = j->sys->truncate(j->log_fd, j->log_len);

        if (undo < 0)
            j->broken = undo;
        return r;
    }
    j->last_seq = j->next_seq++;
    j->log_len += b->len;
    *ret_len = (uint32_t)b->len;
    return 0;
}

/* ---- room ---- */

static uint64_t used_locked(const struct journal *j)
{
    uint64_t used = j->log_len;

    for (size_t i = 0; i < j->segment_count; i++)
        used += j->segments[i].len;
    return used;
}

static size_t records_locked(const struct journal *j)
{
    return j->entry_count - j->dead_count;
}

static int check_room_locked(struct journal *j, uint64_t more)
{
    uint64_t left;
    int r;

    if (records_locked(j) >= j->limits.max_records || used_locked(j) + more > j->limits.hard_bytes)
        return -ENOSPC;
    j->unasked += more;
    if (j->unasked < ASK_EVERY)
        return 0;
    r = j->sys->free_bytes(j->dir_fd, &left);
    if (r == 0 && left < j->limits.spare_bytes + more)
        r = -ENOSPC; /* and asked again next time */
    else
        j->unasked = 0;
    return r;
}

static bool is_crowded_locked(const struct journal *j)
{
    return used_locked(j) > j->limits.soft_bytes || records_locked(j) > j->limits.max_records / 2;
}

static double share(double n, double soft, double hard)
{
    return n <= soft ? 0 : n >= hard ? 1 : (n - soft) / (hard - soft);
}

void journal_pressure(struct journal *j, struct journal_pressure *ret)
{
    lock_take(&j->lock);
    ret->bytes =
        share((double)used_locked(j), (double)j->limits.soft_bytes, (double)j->limits.hard_bytes);
    ret->records = share((double)records_locked(j), (double)j->limits.max_records / 2,
                         (double)j->limits.max_records);
    if (ret->bytes > 0 || ret->records > 0)
        j->crowded_ns = clock_mono_ns();
    lock_drop(&j->lock);
}

int journal_wait_room(struct journal *j, int64_t until_ns)
{
    struct cancel *cancel = cancel_bound();
    int r = 0;

    lock_take(&j->lock);
    j->waiting++;
    while (r == 0 && !j->broken && is_crowded_locked(j)) {
        int64_t slice = clock_mono_ns() + SLICE_MS * NS_PER_MS;

        if (cancel_fired(cancel)) {
            r = -EINTR;
        } else if (clock_mono_ns() >= until_ns) {
            r = -ETIMEDOUT;
        } else {
            if (!cancel || slice > until_ns)
                slice = until_ns;
            (void)lock_wait_until(&j->lock, &j->room, slice); /* the loop looks again */
        }
    }
    j->waiting--;
    lock_drop(&j->lock);
    return r;
}

void journal_usage(struct journal *j, struct journal_usage *ret)
{
    lock_take(&j->lock);
    *ret = (struct journal_usage){
        .bytes = used_locked(j),
        .changes = j->changes,
        .parked = j->parked,
        .waiting = j->waiting,
    };
    lock_drop(&j->lock);
}

int journal_space(struct journal *j, uint64_t *ret_free_bytes, uint64_t *ret_spare_bytes)
{
    *ret_spare_bytes = j->limits.spare_bytes;
    return j->sys->free_bytes(j->dir_fd, ret_free_bytes);
}

bool journal_wants_compact(struct journal *j)
{
    enum { WORTH_IT = 1 << 20 };
    uint64_t dead, used;
    bool wants;

    lock_take(&j->lock);
    dead = j->dead_bytes;
    for (size_t i = 0; i < j->segment_count; i++)
        if (j->segments[i].refs == 0)
            dead += j->segments[i].len;
    used = used_locked(j);
    wants = (dead >= WORTH_IT && dead >= used / 2) ||
            (dead > 0 && used > j->limits.soft_bytes &&
             (j->waiting > 0 || j->crowded_ns + NS_PER_S > clock_mono_ns()));
    lock_drop(&j->lock);
    return wants;
}

/* ---- changes ---- */

/* What data goes to: its place is taken with the lock, filled without. */
struct placed {
    struct journal_extent *extents;
    size_t count;
    int *fds;
};

static void placed_done(struct placed *p)
{
    free(p->extents);
    free(p->fds);
}

static int place_data_locked(struct journal *j, const struct journal_record *rec, struct placed *p)
{
    int r;

    if (rec->extent_count) {
        p->extents = malloc(rec->extent_count * sizeof(*p->extents));
        if (!p->extents)
            return -ENOMEM;
        memcpy(p->extents, rec->extents, rec->extent_count * sizeof(*p->extents));
        r = journal_blob_hold(j, p->extents, rec->extent_count);
        p->count = r == 0 ? rec->extent_count : 0;
        return r;
    }
    if (rec->data_len <= JOURNAL_INLINE_MAX)
        return 0;
    r = journal_blob_reserve(j, rec->off, rec->data_len, &p->extents, &p->count);
    if (r < 0)
        return r;
    p->fds = malloc(p->count * sizeof(*p->fds));
    if (!p->fds)
        return -ENOMEM;
    for (size_t i = 0; i < p->count; i++)
        p->fds[i] = journal_segment(j, p->extents[i].segment)->fd;
    return 0;
}

static int fill(struct journal *j, const struct journal_record *rec, struct placed *p)
{
    const uint8_t *data = rec->data;
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->count; i++) {
        struct journal_extent *e = &p->extents[i];

        e->crc = crc32c(0, data, e->len);
        r = journal_write_all(j->sys, p->fds[i], data, e->len, e->at);
        data += e->len;
    }
    return r;
}

static int append_locked(struct journal *j, const struct journal_record *rec, struct placed *p,
                         uint64_t *ret_seq)
{
    struct journal_record copy = *rec;
    struct entry e = {.kind = rec->kind};
    int r = journal_entry_reserve(j);

    if (r < 0)
        return r;
    for (int i = 0; i < JOURNAL_ROLES; i++) {
        if (rec->object[i].means != JOURNAL_MADE)
            continue;
        e.made_by[i] = rec->object[i].made_by;
        if (!journal_entry(j, e.made_by[i]))
            return -ESTALE;
    }
    if (p->count) {
        copy.data = NULL;
        copy.data_len = 0;
        copy.extents = p->extents;
        copy.extent_count = p->count;
    }
    e.off = j->log_len;
    r = append_record_locked(j, &copy, &e.len);
    if (r < 0)
        return r;
    for (size_t i = 0; i < p->count; i++)
        journal_segment(j, p->extents[i].segment)->dirty = true;
    e.seq = e.result.seq = copy.seq;
    e.extents = p->extents;
    e.extent_count = p->count;
    journal_entry_add(j, &e);
    p->extents = NULL;
    p->count = 0;
    if (!j->unsynced_ns)
        j->unsynced_ns = clock_mono_ns();
    *ret_seq = e.seq;
    return 0;
}

int journal_append(struct journal *j, const struct journal_record *rec, uint64_t *ret_seq)
{
    enum { ROUGHLY = 512 }; /* a record without its paths and data */
    struct placed p = {0};
    int r;

    if (!journal_is_change(rec->kind) || (rec->extent_count && rec->data_len) ||
        rec->off > INT64_MAX - rec->data_len || rec->extent_count > JOURNAL_EXTENTS_MAX)
        return -EINVAL;
    lock_take(&j->lock);
    r = j->broken;
    if (r == 0 && j->gone)
        r = -EIO;
    if (r == 0)
        r = check_room_locked(j, rec->data_len + ROUGHLY);
    if (r == 0)
        r = place_data_locked(j, rec, &p);
    if (r == 0 && p.fds) {
        lock_drop(&j->lock);
        r = fill(j, rec, &p);
        lock_take(&j->lock);
    }
    if (r == 0)
        r = append_locked(j, rec, &p, ret_seq);
    if (r < 0)
        journal_blob_release(j, p.extents, p.count); /* what was written there is never looked at */
    lock_drop(&j->lock);
    placed_done(&p);
    return r;
}

/* ---- bookkeeping ---- */

int journal_begin_batch(struct journal *j, const struct journal_range *ranges, size_t count,
                        const uint8_t digest[JOURNAL_DIGEST], uint64_t *ret_batch)
{
    struct journal_record rec = {
        .kind = JOURNAL_BATCH, .digest = digest, .ranges = ranges, .range_count = count};
    struct entry e = {.kind = JOURNAL_BATCH};
    int r;

    lock_take(&j->lock);
    rec.batch = j->last_batch + 1;
    r = journal_entry_reserve(j);
    e.off = j->log_len;
    if (r == 0)
        r = append_record_locked(j, &rec, &e.len);
    if (r == 0) {
        e.seq = e.result.seq = rec.seq;
        journal_entry_add(j, &e);
        journal_apply_batch(j, rec.seq, rec.batch, ranges, count);
        *ret_batch = rec.batch;
    }
    lock_drop(&j->lock);
    return r;
}

static int note_results(struct journal *j, struct journal_record *rec,
                        const struct journal_result *results, size_t count)
{
    int r = 0;

    lock_take(&j->lock);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (results[i].seq == 0 || results[i].seq >= j->next_seq ||
            results[i].said > JOURNAL_DROPPED || results[i].settled > JOURNAL_DROPPED)
            r = -EINVAL;
    for (size_t done = 0; r == 0 && done < count; done += rec->result_count) {
        uint32_t len;

        rec->results = results + done;
        rec->result_count = count - done < JOURNAL_RESULTS_MAX ? count - done : JOURNAL_RESULTS_MAX;
        r = append_record_locked(j, rec, &len);
        for (size_t i = 0; r == 0 && i < rec->result_count; i++)
            journal_apply_result(j, rec->kind, &rec->results[i]);
        if (r == 0)
            j->dead_bytes += len;
    }
    if (j->dead_count > 1024 && j->dead_count > j->entry_count / 2 && !j->busy)
        journal_index_sweep(j);
    if (j->waiting > 0)
        pthread_cond_broadcast(&j->room); /* there may be fewer records */
    lock_drop(&j->lock);
    return r;
}

int journal_applied(struct journal *j, uint64_t batch, const struct journal_result *results,
                    size_t count)
{
    struct journal_record rec = {.kind = JOURNAL_APPLIED, .batch = batch};

    return note_results(j, &rec, results, count);
}

int journal_settle(struct journal *j, const struct journal_result *results, size_t count)
{
    struct journal_record rec = {.kind = JOURNAL_SETTLED};

    return note_results(j, &rec, results, count);
}

/* ---- sync ---- */

/* The segments first: a record on the disk must find its data there. */
static int sync_files(struct journal *j, const int *fds, size_t count, bool dir)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = j->sys->sync(fds[i]);
    if (r == 0 && dir)
        r = j->sys->sync(j->dir_fd);
    if (r == 0)
        r = j->sys->sync(j->log_fd);
    return r;
}

/* Has the log no name any more? Whatever is there goes on to the sandbox; nothing new is promised.
 */
static bool is_gone(const struct journal *j)
{
    struct stat st;

    return fstat(j->log_fd, &st) == 0 && st.st_nlink == 0;
}

/* So that what is missing later can be told from what was never there. last: what the one before it
 * was when the sync began. */
static void note_synced_locked(struct journal *j, uint64_t seq, uint64_t last)
{
    struct journal_record rec = {.kind = JOURNAL_SYNCED, .synced = last + 1};
    const bool all = j->next_seq == seq;
    uint32_t len;

    j->synced_seq = seq;
    if (append_record_locked(j, &rec, &len) < 0)
        return; /* the next one says it, too */
    j->dead_bytes += len;
    if (all)
        j->synced_seq = j->next_seq; /* of itself nobody needs to know */
}

int64_t journal_unsynced_ns(struct journal *j)
{
    int64_t since_ns;

    lock_take(&j->lock);
    since_ns = j->broken ? 0 : j->unsynced_ns;
    lock_drop(&j->lock);
    return since_ns;
}

int journal_failed(struct journal *j)
{
    int r;

    lock_take(&j->lock);
    r = j->broken;
    lock_drop(&j->lock);
    return r;
}

int journal_sync(struct journal *j)
{
    uint64_t target, seq, last;
    size_t count = 0;
    bool dir;
    int *fds, r;

    lock_take(&j->lock);
    target = j->next_seq;
    while (j->busy && j->synced_seq < target)
        lock_wait(&j->lock, &j->idle);
    r = j->broken;
    if (r < 0 || j->synced_seq >= target) {
        lock_drop(&j->lock);
        return r;
    }
    fds = malloc((j->segment_count + 1) * sizeof(*fds));
    if (!fds) {
        lock_drop(&j->lock);
        return -ENOMEM;
    }
    for (size_t i = 0; i < j->segment_count; i++)
        if (j->segments[i].dirty) {
            fds[count++] = j->segments[i].fd;
            j->segments[i].dirty = false;
        }
    dir = j->dir_dirty;
    j->dir_dirty = false;
    seq = j->next_seq;
    last = j->last_seq;
    j->unsynced_ns = 0;
    j->busy = true;
    lock_drop(&j->lock);

    r = sync_files(j, fds, count, dir);
    free(fds);

    lock_take(&j->lock);
    if (r < 0)
        j->broken = r; /* the kernel says so once, then forgets: nothing later can be believed */
    else
        note_synced_locked(j, seq, last);
    j->gone = j->gone || is_gone(j);
    j->busy = false;
    pthread_cond_broadcast(&j->idle);
    if (r < 0)
        pthread_cond_broadcast(&j->room); /* there will be none: append says why */
    lock_drop(&j->lock);
    return r;
}
