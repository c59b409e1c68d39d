/*
 * stage.c - data on its way into the sandbox ahead of the batch that needs it. Nobody there sees it
 * until the batch comes. A few threads upload blobs, so that the sender is free for what is small
 * or waited for meanwhile.
 */
#include "flush/flush_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int staging_read(struct flush *f, uint64_t seq, uint64_t at, uint64_t len, struct buf *out)
{
    const size_t start = out->len;

    while (len > 0) {
        const size_t n = len < JOURNAL_EXTENT_MAX ? (size_t)len : JOURNAL_EXTENT_MAX;
        struct buf part = BUF_INIT(2 * JOURNAL_EXTENT_MAX);
        int r = journal_read(f->journal, seq, at, n, true, &part);

        if (r == 0 && part.len != n)
            r = -EBADMSG;
        if (r == 0)
            r = buf_append(out, part.data, part.len);
        buf_done(&part);
        if (r < 0) {
            buf_truncate(out, start);
            return r;
        }
        at += n;
        len -= n;
    }
    return 0;
}

/* ---- one blob ---- */

struct source {
    struct flush *f;
    const struct slice *v;
    size_t count;
    struct buf window; /* bytes of one slice */
    size_t slice;
    uint64_t window_at; /* in it */
    int err;            /* of reading it: the line only knows that it had to stop */
};

/* What ended meanwhile, with somebody who could not wait, has no data any more: nothing in the
 * batch refers to it. */
static bool is_gone(struct flush *f, uint64_t seq)
{
    bool gone;

    lock_take(&f->lock);
    gone = !change_find(f, seq);
    lock_drop(&f->lock);
    return gone;
}

static int read_slice(struct flush *f, uint64_t seq, uint64_t at, uint64_t len, struct buf *out)
{
    static const char zeros[4096];
    int r = staging_read(f, seq, at, len, out);

    if (r != -ENOENT || !is_gone(f, seq))
        return r;
    for (r = 0; r == 0 && len > 0;) {
        const size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

        r = buf_append(out, zeros, n);
        len -= n;
    }
    return r;
}

/* The window is what one read of the journal checks: reading on in it costs nothing. */
static int look(struct source *x, size_t i, uint64_t off)
{
    const struct slice *s = &x->v[i];
    uint64_t at = s->at + off, left = s->len - off;
    int r;

    if (x->slice == i && off >= x->window_at && off < x->window_at + x->window.len)
        return 0;
    buf_truncate(&x->window, 0);
    x->slice = SIZE_MAX;
    r = read_slice(x->f, s->seq, at, left < JOURNAL_EXTENT_MAX ? left : JOURNAL_EXTENT_MAX,
                   &x->window);
    if (r == 0) {
        x->slice = i;
        x->window_at = off;
    }
    return r;
}

static ssize_t source_read(void *arg, uint64_t off, void *p, size_t n)
{
    struct source *x = arg;
    size_t lo = 0, hi = x->count, done = 0;

    while (lo + 1 < hi) {
        const size_t mid = lo + (hi - lo) / 2;

        *(x->v[mid].off <= off ? &lo : &hi) = mid;
    }
    while (done < n && lo < x->count) {
        const uint64_t at = off + done - x->v[lo].off;
        size_t part;
        int r;

        if (at >= x->v[lo].len) {
            lo++;
            continue;
        }
        r = look(x, lo, at);
        if (r < 0)
            return x->err = r;
        part = x->window.len - (size_t)(at - x->window_at);
        if (part > n - done)
            part = n - done;
        memcpy((char *)p + done, x->window.data + (at - x->window_at), part);
        done += part;
    }
    return (ssize_t)done;
}

int staging_put(struct flush *f, const struct staging *g, size_t i, bool background,
                struct remote_blob *ret)
{
    struct source source = {.f = f,
                            .v = g->slices + g->first[i],
                            .count = g->first[i + 1] - g->first[i],
                            .window = BUF_INIT(JOURNAL_EXTENT_MAX),
                            .slice = SIZE_MAX};
    const struct remote_stage stage = {
        .read = source_read, .arg = &source, .len = g->blobs[i].len, .background = background};
    const int r = remote_stage(f->remote, &stage, ret);

    buf_done(&source.window);
    return r < 0 && source.err < 0 ? source.err : r;
}

void staging_drop(struct flush *f, const struct remote_blob *blob)
{
    if (f->unused_count == UNUSED_MAX || !blob->name[0])
        return; /* it is swept in the sandbox, by age; or there is none */
    f->unused[f->unused_count] = *blob;
    f->unused[f->unused_count++].len = 0;
}

void staging_drop_all(struct flush *f, struct staging *g)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->states[i] == BLOB_THERE)
            staging_drop(f, &g->blobs[i]);
    for (size_t i = 0; i < g->join_count; i++)
        join_stop(f, g, &g->joins[i]);
}

int staging_again(struct flush *f, struct staging *g, bool background, bool *ret_other)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < g->count; i++) {
        struct remote_blob blob;

        r = staging_put(f, g, i, background, &blob);
        lock_take(&f->lock);
        staging_drop(f, r < 0 ? &blob : &g->blobs[i]); /* if that was not lost */
        lock_drop(&f->lock);
        if (r < 0)
            break;
        *ret_other = *ret_other || blob.crc != g->blobs[i].crc;
        g->blobs[i] = blob;
    }
    return r;
}

/* ---- uploaders ---- */

static struct lot *find_job(struct flush *f, size_t *ret_blob)
{
    for (int waited = 1; waited >= 0; waited--)
        for (struct lot *lot = f->lots; lot; lot = lot->next) {
            if (lot->waited != waited || lot->err)
                continue;
            for (size_t i = 0; i < lot->staging->count; i++)
                if (lot->staging->states[i] == BLOB_WAITS) {
                    *ret_blob = i;
                    return lot;
                }
        }
    return NULL;
}

void stage_ended(struct flush *f, const struct lot *lot)
{
    if (lot->busy == 0 && (lot->err || lot->there == lot->staging->count))
        pthread_cond_signal(&f->work);
}

static void upload(struct flush *f, struct lot *lot, size_t i)
{
    const bool background = !lot->waited && f->failures == 0, was = remote_in_background();
    struct staging *g = lot->staging;
    struct remote_blob blob;
    int r;

    g->states[i] = BLOB_BUSY;
    lot->busy++;
    lock_drop(&f->lock);
    (void)remote_bind_background(background);
    r = staging_put(f, g, i, background, &blob);
    (void)remote_bind_background(was);
    lock_take(&f->lock);
    lot->busy--;
    if (r < 0 || g->states[i] == BLOB_VAIN)
        staging_drop(f, &blob);
    if (g->states[i] == BLOB_VAIN) {
        stage_ended(f, lot);
        return;
    }
    g->states[i] = r == 0 ? BLOB_THERE : BLOB_WAITS;
    if (r == 0) {
        g->blobs[i] = blob;
        lot->there++;
        f->progress_ns = clock_mono_ns();
        f->retry_ns = 0; /* somebody is there: the sender need not wait for its next attempt */
    } else if (lot->err == 0) {
        lot->err = r;
    }
    stage_ended(f, lot);
}

static void tend(struct flush *f)
{
    const bool compact = f->compact, sync = f->sync;

    f->compact = f->sync = false;
    f->tending = true;
    lock_drop(&f->lock);
    if (sync)
        (void)journal_sync(f->journal); /* the sender says that it failed */
    if (compact)
        (void)journal_compact(f->journal); /* on failure all is as before */
    lock_take(&f->lock);
    f->tending = false;
    if (journal_failed(f->journal) < 0)
        pthread_cond_signal(&f->work);
}

/* A cancel fires once. Who stops all of us looks at the one that there is by then. */
static void renew_cancel(struct uploader *u)
{
    struct flush *f = u->f;
    struct cancel *spare;

    lock_drop(&f->lock);
    spare =
        cancel_new(); /* without memory what it uploads cannot be stopped, and ends all the same */
    lock_take(&f->lock);
    if (!f->stop) {
        struct cancel *const old = u->cancel;

        u->cancel = spare;
        spare = old;
    }
    u->vain = false;
    lock_drop(&f->lock);
    cancel_bind(u->cancel);
    cancel_unref(spare);
    lock_take(&f->lock);
}

static void *upload_run(void *arg)
{
    struct uploader *u = arg;
    struct flush *f = u->f;

    cancel_bind(u->cancel);
    lock_take(&f->lock);
    while (!f->stop) {
        size_t blob, pieces;
        struct join *join;
        struct lot *joins = join_job(f, &join, &pieces);
        struct lot *lot = joins ? NULL : find_job(f, &blob);
        struct ahead *ahead = joins || lot ? NULL : ahead_job(f, &blob);

        if (joins) {
            join_run(f, joins, join, pieces);
            continue;
        }
        if (lot || ahead) {
            u->lot = lot;
            u->ahead = ahead;
            u->blob = blob;
            if (lot)
                upload(f, lot, blob);
            else
                ahead_upload(f, ahead, blob);
            u->lot = NULL;
            u->ahead = NULL;
            if (u->vain)
                renew_cancel(u);
            continue;
        }
        if (f->compact || f->sync) {
            tend(f);
            continue;
        }
        f->idle++;
        lock_wait(&f->lock, &f->upload);
        f->idle--;
    }
    lock_drop(&f->lock);
    return NULL;
}

static bool start(struct flush *f, struct uploader *u)
{
    *u = (struct uploader){.f = f, .cancel = cancel_new()};
    if (u->cancel && pthread_create(&u->thread, NULL, upload_run, u) == 0) {
        f->uploader_count++;
        return true;
    }
    u->cancel = cancel_unref(u->cancel);
    return false;
}

void stage_call(struct flush *f, size_t jobs)
{
    for (size_t n = f->idle; n < jobs && f->uploader_count < UPLOADS_MAX; n++)
        if (!start(f, &f->uploaders[f->uploader_count]))
            break;
    pthread_cond_broadcast(&f->upload);
}

int64_t stage_tend(struct flush *f)
{
    const int64_t now_ns = clock_mono_ns(), since_ns = journal_unsynced_ns(f->journal);
    const int64_t sync_ns = since_ns ? since_ns + f->config.sync_ns : INT64_MAX;

    if (!f->compact && !f->sync && !f->tending) {
        f->compact = journal_wants_compact(f->journal);
        f->sync = now_ns >= sync_ns;
        if (f->compact || f->sync)
            stage_call(f, 1);
    }
    return sync_ns > now_ns ? sync_ns : now_ns + f->config.sync_ns;
}

/* ---- lots ---- */

int lot_begin(struct flush *f, struct sending *s)
{
    struct lot *lot = calloc(1, sizeof(*lot)), **last = &f->lots;

    if (!lot)
        return -ENOMEM;
    lot->staging = staging_new(f, s);
    if (!lot->staging) {
        free(lot);
        return -ENOMEM;
    }
    lot->changes = s->changes;
    lot->count = s->change_count;
    lot->waited = s->waited;
    for (size_t i = 0; i < lot->staging->count; i++)
        lot->there += lot->staging->states[i] == BLOB_THERE;
    s->changes = NULL;
    s->change_count = 0;
    for (size_t i = 0; i < lot->count; i++) {
        lot->changes[i]->state = CHANGE_TAKEN;
        lot->changes[i]->lot = lot;
        lot->changes[i]->sending = NULL;
    }
    while (*last)
        last = &(*last)->next;
    *last = lot;
    f->lot_count++;
    stage_call(f, lot->staging->count);
    return 0;
}

void lot_leave(struct flush *f, struct change *c)
{
    struct lot *lot = c->lot;

    for (size_t i = 0; lot && i < lot->count; i++)
        if (lot->changes[i] == c)
            lot->changes[i] = NULL;
    c->lot = NULL;
    c->state = CHANGE_WAITS;
}

void lot_free(struct flush *f, struct lot *lot)
{
    struct lot **at = &f->lots;

    while (*at != lot)
        at = &(*at)->next;
    *at = lot->next;
    f->lot_count--;
    for (size_t i = 0; lot->changes && i < lot->count; i++)
        if (lot->changes[i]) {
            lot->changes[i]->lot = NULL;
            lot->changes[i]->state = CHANGE_WAITS;
        }
    free(lot->changes);
    staging_free(lot->staging);
    free(lot);
}

void lot_go(struct flush *f)
{
    for (struct lot *lot = f->lots; lot; lot = lot->next)
        lot->err = 0;
    stage_call(f, UPLOADS_MAX);
}
