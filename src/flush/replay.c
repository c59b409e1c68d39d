/*
 * replay.c - what an earlier process left in the journal. Changes that were not sent wait as they
 * did then. Of the batch that was under way the sandbox is asked how far it came, and nothing more
 * of it is done: what is left goes with what has come since.
 */
#include "flush/flush_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct replay {
    struct flush *f;
    struct end *said; /* owned; by seq */
    size_t said_count, said_cap;
};

static int note_said(struct replay *x, struct change *c, const struct journal_result *result)
{
    if (x->said_count == x->said_cap) {
        const size_t cap = x->said_cap ? 2 * x->said_cap : 64;
        struct end *v = realloc(x->said, cap * sizeof(*v));

        if (!v)
            return -ENOMEM;
        x->said = v;
        x->said_cap = cap;
    }
    x->said[x->said_count++] =
        (struct end){.c = c, .outcome = result->said, .err = result->err, .known = result->now};
    c->state = CHANGE_SENT;
    return 0;
}

static int add_change(struct replay *x, const struct journal_item *item)
{
    struct journal_record rec = item->rec;
    const struct journal_result *result = &item->result;
    struct change *c;
    int r;

    if (result->settled != JOURNAL_OPEN)
        return park_add(x->f, &rec, result->settled, result->err, true);
    rec.group = 0; /* nobody has it open any more */
    r = change_add(x->f, &rec, rec.seq, &c);
    if (r == 0) {
        c->batch = item->batch;
        c->forced = result->forced;
    }
    if (r == 0 && result->said != JOURNAL_OPEN)
        r = note_said(x, c, result);
    return r;
}

/* ---- the batch that was under way ---- */

static bool is_open(const struct replay *x, const struct change *c)
{
    for (size_t i = 0; i < x->said_count; i++)
        if (x->said[i].c == c)
            return false;
    return true;
}

static void forget_said(struct replay *x, uint64_t batch)
{
    size_t kept = 0;

    for (size_t i = 0; i < x->said_count; i++)
        if (x->said[i].c->batch != batch)
            x->said[kept++] = x->said[i];
    x->said_count = kept;
}

static void add_member(struct sending *s, struct change *c)
{
    struct op *op = &s->ops[s->count];

    if (c->sending)
        return; /* it has it already */
    c->state = CHANGE_SENT;
    c->sending = s;
    c->op = s->count;
    c->op_next = NULL;
    *(op->last ? &op->last->op_next : &op->first) = c;
    op->last = c;
    s->changes[s->change_count++] = c;
}

static int by_seq(const void *a, const void *b)
{
    const struct change *x = *(struct change *const *)a, *y = *(struct change *const *)b;

    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Members of one op, up to {0, 0}. */
static void add_range(struct replay *x, struct sending *s, uint64_t batch,
                      const struct journal_range *range)
{
    if (range->first == 0) {
        s->count++;
        return;
    }
    if (range->last - range->first >= x->f->waiting) {
        for (struct change *c = x->f->head; c; c = c->next)
            if (c->seq >= range->first && c->seq <= range->last && c->batch == batch)
                add_member(s, c);
        return;
    }
    for (uint64_t seq = range->first; seq <= range->last; seq++) {
        struct change *c = change_find(x->f, seq);

        if (c && c->batch == batch)
            add_member(s, c);
    }
}

/* Only fsyncs: nobody waits for them any more, but the sandbox must have heard of the number. */
static bool is_bare(const struct journal_record *note)
{
    for (size_t i = 0; i < note->range_count; i++)
        if (journal_record_range(note, i).first != 0)
            return false;
    return note->range_count > 0;
}

static int add_batch(struct replay *x, const struct journal_record *note)
{
    const uint64_t batch = note->batch;
    struct flush *f = x->f;
    struct sending *s;
    bool open = is_bare(note);

    for (struct change *c = f->head; c && !open; c = c->next)
        open = c->batch == batch && is_open(x, c);
    if (!open)
        return 0;
    if (f->sending)
        return -EBADMSG; /* one at a time */
    s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    f->sending = s;
    s->ops = calloc(note->range_count + 1, sizeof(*s->ops));
    s->changes = calloc(f->waiting + 1, sizeof(*s->changes));
    if (!s->ops || !s->changes)
        return -ENOMEM;
    for (size_t i = 0; i < note->range_count; i++) {
        const struct journal_range range = journal_record_range(note, i);

        add_range(x, s, batch, &range);
    }
    qsort(s->changes, s->change_count, sizeof(struct change *), by_seq);
    forget_said(x, batch);
    memcpy(s->batch.digest, note->digest, sizeof(s->batch.digest));
    s->batch.client = journal_client(f->journal);
    s->batch.number = batch;
    s->batch.mode = REMOTE_BATCH_CLOSE;
    s->batch.count = s->count;
    s->begun = s->staged = true;
    return 0;
}

static int look(void *arg, const struct journal_item *item)
{
    return item->rec.kind == JOURNAL_BATCH ? add_batch(arg, &item->rec) : add_change(arg, item);
}

int replay(struct flush *f)
{
    struct replay x = {.f = f};
    int r;

    lock_take(&f->lock);
    r = journal_replay(f->journal, look, &x);
    if (r == 0) {
        f->said = x.said_count ? x.said : NULL;
        f->said_count = x.said_count;
    }
    if (r < 0 || !f->said)
        free(x.said);
    lock_drop(&f->lock);
    return r;
}
