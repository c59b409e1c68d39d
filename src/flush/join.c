/*
 * join.c - large files of a lot, put together in the sandbox while the rest of it is still being
 * staged: when their batch comes, all that is left to do with them is to give them their names. One
 * batch is under way at a time, so whatever takes long in one keeps the next from being sent, a
 * small save for instance.
 *
 *   begun --> grows, piece by piece, as blobs arrive --> whole: the batch names it
 *     ^         |  anything went wrong: it is dropped, and begun anew once
 *     |_________|--> given up: the batch is made of the blobs, which stay until it is finished
 *
 * Not what changes a file in place, of which readers would see a half for as long as that takes;
 * nor, therefore, what comes after the first part of a file that is larger than the journal has
 * room for: for all of it to appear at once its data would have to leave the journal for a file in
 * the sandbox that nobody knows of but by its seal, and whoever restores or clears the sandbox
 * would lose it.
 *
 * So nothing is lost with it: it is a copy. Where it has to be made on another mount than the one
 * that blobs are on, it is made of all pieces at once, when the last of them has come.
 */
#include "flush/flush_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FAILURES_MAX = 2 };

void join_done(struct join *j)
{
    free(j->pieces);
    free(j->path);
}

/* ---- which files ---- */

static bool is_large(const struct flush *f, const struct op *op)
{
    uint64_t bytes = 0;

    if (!op->writes || op->content.append)
        return false;
    for (size_t i = 0; i < op->content.count; i++)
        bytes += op->content.v[i].len;
    return bytes >= f->config.join_bytes;
}

/* So much of what is there stays, at most. */
static uint64_t kept(const struct op *op)
{
    const struct remote_object *at = &op->change.at;
    const uint64_t had = at->means == REMOTE_ABSENT    ? 0
                         : at->means == REMOTE_VERSION ? at->size
                                                       : UINT64_MAX;

    return op->content.keep < had ? op->content.keep : had;
}

static bool wants_fsync(const struct op *op)
{
    for (const struct change *c = op->first; c; c = c->op_next)
        if (c->fsync)
            return true;
    return false;
}

static int add_join(struct staging *g, const struct op *op)
{
    struct join *j = &g->joins[g->join_count];
    const struct piece *last = &op->content.v[op->content.count - 1];
    int r;

    *j = (struct join){.seq = op->first->seq, .size = op->content.size, .fsync = wants_fsync(op)};
    if (j->size == CONTENT_UNKNOWN)
        j->size = last->off + last->len;
    j->pieces = calloc(op->content.count + g->slice_count, sizeof(*j->pieces));
    j->path = strdup(op->path);
    r = j->pieces && j->path ? staging_refer(g, &op->content, j->pieces, &j->count) : -ENOMEM;
    if (r == 0 && remote_covers(j->pieces, j->count, kept(op))) {
        g->join_count++;
        return 0;
    }
    free(j->pieces);
    free(j->path);
    return r;
}

int joins_plan(struct flush *f, const struct sending *s, struct staging *g)
{
    int r = 0;

    g->joins = calloc(REMOTE_JOINED, sizeof(*g->joins));
    if (!g->joins)
        return -ENOMEM;
    for (size_t i = 0; i < s->count && r == 0 && g->join_count < REMOTE_JOINED; i++)
        if (is_large(f, &s->ops[i]))
            r = add_join(g, &s->ops[i]);
    return r;
}

/* ---- when ---- */

static bool is_open(const struct join *j)
{
    return !j->vain && j->done < j->count && j->failures < FAILURES_MAX;
}

bool joins_open(const struct staging *g)
{
    for (size_t i = 0; i < g->join_count; i++)
        if (is_open(&g->joins[i]))
            return true;
    return false;
}

/* How many of its pieces are to be added now: as many as are there, once it is worth a request. */
static size_t due(const struct flush *f, const struct staging *g, const struct join *j)
{
    const uint64_t enough = j->at_once ? UINT64_MAX : f->config.lot_bytes;
    uint64_t bytes = 0;
    size_t i = j->done;

    while (i < j->count && bytes < enough && g->states[j->pieces[i].blob - 1] == BLOB_THERE)
        bytes += j->pieces[i++].len;
    return i == j->count || bytes >= enough ? i - j->done : 0;
}

struct lot *join_job(struct flush *f, struct join **ret, size_t *ret_count)
{
    for (struct lot *lot = f->lots; lot; lot = lot->next) {
        struct staging *g = lot->staging;

        for (size_t i = 0; !lot->err && !g->joining && i < g->join_count; i++) {
            *ret = &g->joins[i];
            *ret_count = is_open(*ret) ? due(f, g, *ret) : 0;
            if (*ret_count > 0)
                return lot;
        }
    }
    return NULL;
}

/* ---- one request ---- */

struct request {
    struct remote_piece *pieces; /* owned, as are the blobs: those that are needed, by numbers of */
    struct remote_blob *blobs;   /* its own */
    size_t count, blob_count;
};

/* Neighbours tend to be of one blob. */
static size_t blob_of(struct request *q, const struct remote_blob *blob)
{
    for (size_t i = q->blob_count; i > 0; i--)
        if (strcmp(q->blobs[i - 1].name, blob->name) == 0)
            return i;
    q->blobs[q->blob_count++] = *blob;
    return q->blob_count;
}

static int request_of(const struct staging *g, const struct join *j, size_t count,
                      struct request *ret)
{
    *ret = (struct request){.pieces = calloc(count, sizeof(*ret->pieces)),
                            .blobs = calloc(count, sizeof(*ret->blobs)),
                            .count = count};
    if (!ret->pieces || !ret->blobs)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        ret->pieces[i] = j->pieces[j->done + i];
        ret->pieces[i].blob = (uint32_t)blob_of(ret, &g->blobs[ret->pieces[i].blob - 1]);
    }
    return 0;
}

/* What there is of it goes with the next batch. */
static void drop(struct flush *f, struct join *j)
{
    struct remote_blob blob = {.len = 0};

    memcpy(blob.name, j->joined.name, sizeof(blob.name));
    staging_drop(f, &blob);
    j->joined = (struct remote_joined){.size = 0};
    j->done = 0;
}

void join_stop(struct flush *f, const struct staging *g, struct join *j)
{
    j->vain = true;
    if (!g->joining) /* who is at it comes back here */
        drop(f, j);
}

static void give_up(struct flush *f, struct join *j, int err)
{
    drop(f, j);
    if (err == -EXDEV && !j->at_once) {
        j->at_once = true;
        return;
    }
    j->failures = err == -EOPNOTSUPP ? FAILURES_MAX : j->failures + 1;
}

void join_run(struct flush *f, struct lot *lot, struct join *j, size_t count)
{
    const bool background = !lot->waited && f->failures == 0, was = remote_in_background();
    struct staging *g = lot->staging;
    struct remote_joined joined = j->joined;
    struct request q;
    int r = request_of(g, j, count, &q);

    g->joining = true;
    lot->busy++;
    lock_drop(&f->lock);
    if (r == 0) {
        const struct remote_join join = {
            .path = j->path,
            .pieces = q.pieces,
            .piece_count = q.count,
            .blobs = q.blobs,
            .blob_count = q.blob_count,
            .size = j->done + count == j->count ? j->size : REMOTE_ALL,
            .fsync = j->fsync,
            .background = background,
        };

        (void)remote_bind_background(background);
        r = remote_join(f->remote, &join, &joined);
        (void)remote_bind_background(was);
    }
    free(q.pieces);
    free(q.blobs);
    lock_take(&f->lock);
    lot->busy--;
    g->joining = false;
    j->joined = joined;
    if (r == 0)
        j->done += count;
    else
        give_up(f, j, r);
    for (size_t i = 0; i < g->join_count; i++)
        if (g->joins[i].vain)
            drop(f, &g->joins[i]);
    stage_ended(f, lot);
}

/* ---- the batch ---- */

const struct remote_joined *join_of(const struct staging *g, const struct remote_change *c)
{
    for (size_t i = 0; i < g->join_count; i++) {
        const struct join *j = &g->joins[i];

        if (j->done == j->count && j->count == c->piece_count &&
            (c->size == REMOTE_ALL || c->size == j->size) && j->joined.size == j->size &&
            memcmp(j->pieces, c->pieces, j->count * sizeof(*j->pieces)) == 0)
            return &j->joined;
    }
    return NULL;
}

static bool uses(const struct sending *s, const struct join *j)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->v[i].joined == &j->joined)
            return true;
    return false;
}

void joins_drop(struct flush *f, const struct sending *s)
{
    for (size_t i = 0; s->staging && i < s->staging->join_count; i++)
        if (!uses(s, &s->staging->joins[i]))
            drop(f, &s->staging->joins[i]);
}
