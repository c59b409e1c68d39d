/* staging.c - which bytes of which records lie where in which blob. */
#include "flush/flush_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct staging *staging_free(struct staging *g)
{
    if (!g)
        return NULL;
    free(g->slices);
    free(g->by_seq);
    free(g->blobs);
    free(g->first);
    free(g->states);
    for (size_t i = 0; i < g->join_count; i++)
        join_done(&g->joins[i]);
    free(g->joins);
    free(g);
    return NULL;
}

static int by_place(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;

    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* As many at a time as there are uploaders. */
static uint64_t blob_bytes(const struct flush *f)
{
    const uint64_t part = f->config.lot_bytes / UPLOADS_MAX;

    return part < REMOTE_BLOB_MAX ? part : REMOTE_BLOB_MAX;
}

static int grow(void **v, size_t bytes)
{
    void *p = realloc(*v, bytes);

    if (!p)
        return -ENOMEM;
    *v = p;
    return 0;
}

static int add_blob(struct staging *g, const struct remote_blob *blob, enum blob_state state)
{
    if (g->count + 1 >= g->cap) { /* first has one more */
        const size_t more = g->cap ? 2 * g->cap : 16;

        if (grow((void **)&g->blobs, more * sizeof(*g->blobs)) < 0 ||
            grow((void **)&g->states, more * sizeof(*g->states)) < 0 ||
            grow((void **)&g->first, more * sizeof(*g->first)) < 0)
            return -ENOMEM;
        g->cap = more;
    }
    g->blobs[g->count] = *blob;
    g->states[g->count] = state;
    g->first[g->count++] = g->slice_count;
    return 0;
}

static int add_slice(struct staging *g, const struct slice *slice)
{
    if (g->slice_count >= g->slice_cap) {
        const size_t more = g->slice_cap ? 2 * g->slice_cap : 16;

        if (grow((void **)&g->slices, more * sizeof(*g->slices)) < 0)
            return -ENOMEM;
        g->slice_cap = more;
    }
    g->slices[g->slice_count++] = *slice;
    return 0;
}

/* Behind what there is. */
static int cut(struct staging *g, struct piece p, uint64_t max)
{
    int r = 0;

    while (p.len > 0 && r == 0) {
        const bool full = g->count == 0 || g->blobs[g->count - 1].len >= max;
        struct remote_blob *blob;
        uint64_t n;

        if (full)
            r = add_blob(g, &(struct remote_blob){.len = 0}, BLOB_WAITS);
        if (r < 0)
            break;
        blob = &g->blobs[g->count - 1];
        n = p.len < max - blob->len ? p.len : max - blob->len;
        r = add_slice(g, &(struct slice){p.seq, p.at, n, g->count - 1, blob->len});
        blob->len += n;
        p.at += n;
        p.len -= n;
    }
    return r;
}

int staging_add_blob(struct staging *g, const struct staging *from, size_t blob)
{
    int r = add_blob(g, &from->blobs[blob], BLOB_THERE);

    for (size_t i = from->first[blob]; r == 0 && i < from->first[blob + 1]; i++) {
        struct slice slice = from->slices[i];

        slice.blob = g->count - 1;
        r = add_slice(g, &slice);
    }
    return r;
}

/* Nothing is added any more. */
static int seal(struct staging *g)
{
    g->by_seq = malloc((g->slice_count + 1) * sizeof(*g->by_seq));
    if (!g->by_seq)
        return -ENOMEM;
    if (g->count > 0)
        g->first[g->count] = g->slice_count;
    if (g->slice_count > 0)
        memcpy(g->by_seq, g->slices, g->slice_count * sizeof(*g->slices));
    qsort(g->by_seq, g->slice_count, sizeof(*g->by_seq), by_place);
    return 0;
}

/* The joins of those that stay; whose blobs have new numbers. */
static void take_joins(struct staging *g, struct staging *from, const uint32_t *numbers)
{
    g->joins = from->joins;
    for (size_t i = 0; i < from->join_count; i++) {
        struct join *j = &from->joins[i];

        if (j->vain) {
            join_done(j);
            continue;
        }
        for (size_t k = 0; k < j->count; k++)
            j->pieces[k].blob = numbers[j->pieces[k].blob - 1];
        g->joins[g->join_count++] = *j;
    }
    from->joins = NULL;
    from->join_count = 0;
}

struct staging *staging_without_vain(struct staging *from)
{
    struct staging *g = calloc(1, sizeof(*g));
    uint32_t *numbers = calloc(from->count + 1, sizeof(*numbers));
    int r = g && numbers ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < from->count; i++)
        if (from->states[i] != BLOB_VAIN) {
            r = staging_add_blob(g, from, i);
            numbers[i] = (uint32_t)g->count;
        }
    if (r == 0)
        r = seal(g);
    if (r == 0)
        take_joins(g, from, numbers);
    free(numbers);
    staging_free(from);
    return r < 0 ? staging_free(g) : g;
}

struct staging *staging_of(const struct piece *v, size_t count, uint64_t max)
{
    struct staging *g = calloc(1, sizeof(*g));
    int r = g ? 0 : -ENOMEM;

    for (size_t i = 0; i < count && r == 0; i++)
        r = cut(g, v[i], max);
    if (r == 0)
        r = seal(g);
    return r < 0 ? staging_free(g) : g;
}

/* What of it did not go ahead. */
static int cut_rest(struct flush *f, struct staging *g, struct piece p, uint64_t max)
{
    int r = 0;

    while (p.len > 0 && r == 0) {
        struct piece part = p;
        struct staging *ahead;
        const struct slice *slice = ahead_find(f, p.seq, p.at, &part.len, &ahead);

        if (slice)
            ahead->states[slice->blob] = BLOB_NEEDED;
        else
            r = cut(g, part, max);
        p.at += part.len;
        p.len -= part.len;
    }
    return r;
}

struct staging *staging_new(struct flush *f, const struct sending *s)
{
    struct staging *g = calloc(1, sizeof(*g));
    const uint64_t max = blob_bytes(f);
    int r = g ? 0 : -ENOMEM;

    for (size_t i = 0; i < s->count && r == 0; i++)
        for (size_t k = 0; k < s->ops[i].content.count && r == 0; k++)
            r = cut_rest(f, g, s->ops[i].content.v[k], max);
    if (r == 0)
        r = ahead_adopt(f, s, g);
    if (r == 0)
        r = seal(g);
    if (r == 0)
        r = joins_plan(f, s, g);
    if (r < 0)
        ahead_forget(f);
    return r < 0 ? staging_free(g) : g;
}

const struct slice *staging_look(const struct staging *g, uint64_t seq, uint64_t at, uint64_t *len)
{
    size_t lo = 0, hi = g->slice_count;
    const struct slice *slice;
    uint64_t left = *len;

    while (lo < hi) { /* the last that does not begin behind it */
        const size_t mid = lo + (hi - lo) / 2;
        const struct slice *x = &g->by_seq[mid];

        if (x->seq < seq || (x->seq == seq && x->at <= at))
            lo = mid + 1;
        else
            hi = mid;
    }
    slice =
        lo > 0 && g->by_seq[lo - 1].seq == seq && at < g->by_seq[lo - 1].at + g->by_seq[lo - 1].len
            ? &g->by_seq[lo - 1]
            : NULL;
    if (slice)
        left = slice->at + slice->len - at;
    else if (lo < g->slice_count && g->by_seq[lo].seq == seq)
        left = g->by_seq[lo].at - at;
    if (*len > left)
        *len = left;
    return slice;
}

void piece_add(struct remote_piece *v, size_t *count, const struct remote_piece *p)
{
    struct remote_piece *last = *count > 0 ? &v[*count - 1] : NULL;

    if (last && last->blob == p->blob && last->off + last->len == p->off &&
        last->at + last->len == p->at)
        last->len += p->len;
    else
        v[(*count)++] = *p;
}

int staging_refer(const struct staging *g, const struct content *x, struct remote_piece *v,
                  size_t *count)
{
    for (size_t i = 0; i < x->count; i++) {
        struct piece p = x->v[i];

        while (p.len > 0) {
            struct remote_piece piece = {.off = p.off, .len = p.len};
            const struct slice *slice = staging_look(g, p.seq, p.at, &piece.len);

            if (!slice)
                return -ESTALE;
            piece.blob = (uint32_t)slice->blob + 1;
            piece.at = slice->off + (p.at - slice->at);
            piece_add(v, count, &piece);
            p.off += piece.len;
            p.at += piece.len;
            p.len -= piece.len;
        }
    }
    return 0;
}
