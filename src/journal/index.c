/* index.c - which records are needed, in memory. All called with the journal's lock held. */
#include "journal/journal_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The place of the first entry that is not below seq. */
size_t journal_place(const struct journal *j, uint64_t seq)
{
    size_t lo = 0, hi = j->entry_count;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;

        if (j->entries[mid].seq < seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct entry *journal_entry(struct journal *j, uint64_t seq)
{
    const size_t i = journal_place(j, seq);

    return i < j->entry_count && j->entries[i].seq == seq && !j->entries[i].dead ? &j->entries[i]
                                                                                 : NULL;
}

int journal_entry_reserve(struct journal *j)
{
    size_t cap = j->entry_cap ? j->entry_cap * 2 : 64;
    struct entry *more;

    if (j->entry_count < j->entry_cap)
        return 0;
    more = realloc(j->entries, cap * sizeof(*more));
    if (!more)
        return -ENOMEM;
    j->entries = more;
    j->entry_cap = cap;
    return 0;
}

static bool is_final(const struct entry *e)
{
    return e->result.settled == JOURNAL_DONE || e->result.settled == JOURNAL_DROPPED;
}

static bool is_parked(const struct entry *e)
{
    return e->result.settled == JOURNAL_REJECTED || e->result.settled == JOURNAL_CONFLICT;
}

void journal_entry_add(struct journal *j, const struct entry *new_entry)
{
    struct entry *e = &j->entries[j->entry_count++];

    *e = *new_entry;
    if (!journal_is_change(e->kind))
        return;
    j->changes++;
    for (int i = 0; i < JOURNAL_ROLES; i++) {
        struct entry *maker = e->made_by[i] ? journal_entry(j, e->made_by[i]) : NULL;

        if (maker)
            maker->dependents++;
        else
            e->made_by[i] = 0;
    }
}

/* Makers are always older than what they made, so this ends. */
static void bury(struct journal *j, struct entry *e)
{
    if (e->dead || e->dependents > 0 || (journal_is_change(e->kind) && !is_final(e)))
        return;
    e->dead = true;
    j->dead_count++;
    j->dead_bytes += e->len;
}

static void let_go(struct journal *j, uint64_t *seq)
{
    struct entry *e = *seq ? journal_entry(j, *seq) : NULL;

    *seq = 0;
    if (!e)
        return;
    e->dependents--;
    bury(j, e);
}

void journal_apply_batch(struct journal *j, uint64_t seq, uint64_t number,
                         const struct journal_range *ranges, size_t count)
{
    struct entry *note = journal_entry(j, seq);

    if (number > j->last_batch)
        j->last_batch = number;
    let_go(j, &j->bare_batch);
    for (size_t i = 0; i < count; i++)
        for (size_t k = journal_place(j, ranges[i].first); k < j->entry_count; k++) {
            struct entry *e = &j->entries[k];

            if (e->seq > ranges[i].last)
                break;
            if (e->dead || !journal_is_change(e->kind) || is_final(e) || e->batch == seq)
                continue;
            let_go(j, &e->batch);
            e->batch = seq;
            e->batch_number = number;
            e->renewed = false;
            note->dependents++;
        }
    if (note->dependents == 0) { /* it asks for an fsync only: whether it was sent, nothing says */
        note->dependents++;
        j->bare_batch = seq;
    }
}

static void count(struct journal *j, const struct entry *e, int sign)
{
    if (is_parked(e))
        j->parked += (size_t)sign;
    else if (!is_final(e))
        j->changes += (size_t)sign;
}

void journal_apply_result(struct journal *j, enum journal_kind kind, const struct journal_result *r)
{
    struct entry *e = journal_entry(j, r->seq);

    if (!e || !journal_is_change(e->kind) || is_final(e))
        return;
    count(j, e, -1);
    if (kind != JOURNAL_SETTLED) {
        e->result.said = r->said;
        e->result.now = r->now;
    }
    if (kind != JOURNAL_APPLIED)
        e->result.settled = r->settled;
    if (kind == JOURNAL_CHECKPOINT)
        e->result.forced = r->forced;
    else if (kind == JOURNAL_SETTLED)
        e->result.forced = r->settled == JOURNAL_OPEN && (r->forced || e->result.forced);
    e->result.err = r->err;
    if (kind != JOURNAL_APPLIED && e->result.settled == JOURNAL_OPEN &&
        (kind == JOURNAL_SETTLED || e->result.said == JOURNAL_OPEN)) {
        e->result = (struct journal_result){.seq = e->seq, .forced = e->result.forced};
        e->renewed = true;
        let_go(j, &e->batch);
        e->batch_number = 0;
    }
    count(j, e, 1);
    if (!is_final(e))
        return;
    journal_blob_release(j, e->extents, e->extent_count);
    free(e->extents);
    e->extents = NULL;
    e->extent_count = 0;
    let_go(j, &e->batch);
    for (int i = 0; i < JOURNAL_ROLES; i++)
        let_go(j, &e->made_by[i]);
    bury(j, e);
}

void journal_index_sweep(struct journal *j)
{
    size_t kept = 0;

    for (size_t i = 0; i < j->entry_count; i++)
        if (!j->entries[i].dead)
            j->entries[kept++] = j->entries[i];
    j->entry_count = kept;
    j->dead_count = 0;
}

void journal_index_done(struct journal *j)
{
    for (size_t i = 0; i < j->entry_count; i++)
        free(j->entries[i].extents);
    free(j->entries);
}
