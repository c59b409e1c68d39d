/* begin.c - a batch that is built gets its number: from then on it is sent with the same bytes.
 * Also the batch that only says what is to be on the sandbox's disk. */
#include "flush/flush_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct op *fsync_op(struct sending *s, struct waiter *w)
{
    struct op *op = &s->ops[s->count];

    op->path = strdup(w->fsync_path);
    if (!op->path)
        return NULL;
    op->waiter = w;
    op->change.kind = REMOTE_CHANGE_FSYNC;
    op->change.path = op->path;
    s->count++;
    return op;
}

int batch_build_fsync(struct flush *f, struct sending **ret)
{
    enum { AT_ONCE = 256 };
    struct sending *s = calloc(1, sizeof(*s));
    int r = 0;

    if (!s)
        return -ENOMEM;
    s->waited = true;
    s->ops = calloc(AT_ONCE, sizeof(*s->ops));
    s->v = calloc(AT_ONCE, sizeof(*s->v));
    if (!s->ops || !s->v)
        r = -ENOMEM;
    lock_take(&f->lock);
    for (struct waiter *w = f->waiters; w && r == 0 && s->count < AT_ONCE; w = w->next)
        if (w->fsync_path && !w->done && !fsync_op(s, w))
            r = -ENOMEM;
    if (r == 0 && s->count > 0)
        f->sending = s; /* who leaves from now on takes himself out of it */
    lock_drop(&f->lock);
    for (size_t i = 0; r == 0 && i < s->count; i++)
        s->v[i] = s->ops[i].change;
    s->batch.v = s->v;
    s->batch.count = s->count;
    s->batch.client = journal_client(f->journal);
    if (r < 0 || s->count == 0)
        s = batch_free(s);
    *ret = s;
    return r;
}

/* As late as can be: who waits may come until then. */
static void note_fsyncs(struct flush *f, struct sending *s)
{
    lock_take(&f->lock);
    for (size_t i = 0; i < s->count; i++)
        for (struct change *c = s->ops[i].first; c; c = c->op_next) {
            c->fsync_sent = c->fsync;
            if (c->fsync)
                s->v[i].flags |= REMOTE_CHANGE_FSYNC_TOO;
        }
    lock_drop(&f->lock);
}

/* What is to stay kept from now on: of all that went before, the rest is given up. */
static int note_kept(struct flush *f, struct sending *s)
{
    size_t n = 0;

    free(s->kept);
    s->kept = calloc(REMOTE_KEPT, sizeof(*s->kept));
    if (!s->kept)
        return -ENOMEM;
    lock_take(&f->lock);
    for (const struct kept *k = f->kept; k && n < REMOTE_KEPT; k = k->hh.next)
        s->kept[n++] = k->seq;
    f->lets_go = false;
    lock_drop(&f->lock);
    s->batch.kept = s->kept;
    s->batch.kept_count = n;
    return 0;
}

/* What went ahead in vain goes away with it. */
static int drop_unused(struct flush *f, struct sending *s)
{
    const size_t staged = s->staging ? s->staging->count : 0;
    size_t n = 0;

    lock_take(&f->lock);
    joins_drop(f, s);
    s->blobs = calloc(staged + f->unused_count + 1, sizeof(*s->blobs));
    for (; s->blobs && f->unused_count > 0 && staged + n < REMOTE_BATCH_BLOBS; n++)
        s->blobs[staged + n] = f->unused[--f->unused_count];
    lock_drop(&f->lock);
    if (!s->blobs)
        return -ENOMEM;
    s->batch.blob_count = staged + n;
    batch_name_blobs(s);
    return 0;
}

void batch_name_blobs(struct sending *s)
{
    if (!s->blobs)
        return;
    if (s->staging)
        memcpy(s->blobs, s->staging->blobs, s->staging->count * sizeof(*s->blobs));
    s->batch.blobs = s->blobs;
}

/*
 * The ranges of the note say which records each change has, so that what another process sent can
 * be told apart: those of one change, then {0, 0}, which is no record.
 */
int batch_begin(struct flush *f, struct sending *s)
{
    struct journal_range *ranges = malloc((s->change_count + s->count + 1) * sizeof(*ranges));
    size_t n = 0;
    int r;

    if (!ranges)
        return -ENOMEM;
    for (size_t i = 0; i < s->count; i++) {
        const size_t first = n;

        for (const struct change *c = s->ops[i].first; c; c = c->op_next) {
            if (n > first && ranges[n - 1].last + 1 == c->seq)
                ranges[n - 1].last++;
            else
                ranges[n++] = (struct journal_range){c->seq, c->seq};
        }
        if (n > first || !s->ops[i].first) /* an fsync alone */
            ranges[n++] = (struct journal_range){0, 0};
    }
    note_fsyncs(f, s);
    r = note_kept(f, s);
    if (r == 0 && !s->blobs)
        r = drop_unused(f, s);
    if (r == 0)
        r = remote_batch_digest(&s->batch, s->batch.digest);
    if (r == 0)
        r = journal_begin_batch(f->journal, ranges, n, s->batch.digest, &s->batch.number);
    free(ranges);
    s->begun = r == 0;
    return r;
}

int batch_forget(struct flush *f, struct sending *s)
{
    struct journal_result *open = calloc(s->change_count + 1, sizeof(*open));
    int r;

    if (!open)
        return -ENOMEM;
    for (size_t i = 0; i < s->change_count; i++)
        open[i] = (struct journal_result){.seq = s->changes[i]->seq, .settled = JOURNAL_OPEN};
    r = journal_settle(f->journal, open, s->change_count);
    free(open);
    return r;
}
