/* mem_blob.c - what is staged in remote_mem, and joined there, until a batch takes it. */
#include "remote/mem_internal.h"

#include "remote/backends.h"
#include "util/crc32c.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mem_blob {
    char name[REMOTE_BLOB_NAME + 1];
    uint8_t *p;
    uint64_t len;
    uint64_t seal; /* of one that was joined, else 0 */
    UT_hash_handle hh;
};

static void blob_free(struct mem *m, struct mem_blob *b)
{
    HASH_DEL(m->blobs, b);
    free(b->p);
    free(b);
}

static int read_all(const struct remote_stage *stage, uint8_t *p)
{
    for (uint64_t done = 0; done < stage->len;) {
        const ssize_t n = stage->read(stage->arg, done, p + done, (size_t)(stage->len - done));

        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        done += (uint64_t)n;
    }
    return 0;
}

int mem_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret)
{
    struct mem *m = mem_of(r);
    struct mem_blob *b = calloc(1, sizeof(*b));
    int err;

    if (!b)
        return -ENOMEM;
    b->len = stage->len;
    b->p = malloc(stage->len);
    err = b->p ? read_all(stage, b->p) : -ENOMEM;
    if (err < 0) {
        free(b->p);
        free(b);
        return err;
    }
    lock_take(&m->lock);
    snprintf(b->name, sizeof(b->name), "blob%" PRIu64, ++m->last_blob);
    HASH_ADD_STR(m->blobs, name, b);
    *ret = (struct remote_blob){.len = b->len, .crc = crc32c(0, b->p, b->len)};
    memcpy(ret->name, b->name, sizeof(ret->name));
    lock_drop(&m->lock);
    return 0;
}

static struct mem_blob *blob_named(struct mem *m, const char *name)
{
    struct mem_blob *b;

    HASH_FIND_STR(m->blobs, name, b);
    return b;
}

/* NULL if it is gone, or not what it was. */
static const struct mem_blob *find_blob(struct mem *m, const struct remote_blob *blob)
{
    const struct mem_blob *b = blob_named(m, blob->name);

    return b && b->len == blob->len && crc32c(0, b->p, b->len) == blob->crc ? b : NULL;
}

static void drop_blob(struct mem *m, const char *name)
{
    struct mem_blob *b = blob_named(m, name);

    if (b)
        blob_free(m, b);
}

void mem_blobs_used(struct mem *m, const struct remote_batch *batch)
{
    for (size_t i = 0; i < batch->blob_count; i++)
        drop_blob(m, batch->blobs[i].name);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->v[i].joined)
            drop_blob(m, batch->v[i].joined->name);
}

/* ---- joining ---- */

static int join_begin(struct mem *m, struct remote_joined *to, struct mem_blob **ret)
{
    struct mem_blob *b = to->seal ? blob_named(m, to->name) : calloc(1, sizeof(*b));

    if (!b)
        return to->seal ? -ESTALE : -ENOMEM;
    if (to->seal && (b->seal != to->seal || b->len != to->size))
        return -ESTALE;
    if (!to->seal) {
        snprintf(b->name, sizeof(b->name), "joined%" PRIu64, ++m->last_blob);
        HASH_ADD_STR(m->blobs, name, b);
        memcpy(to->name, b->name, sizeof(to->name));
    }
    *ret = b;
    return 0;
}

static int join_grow(struct mem_blob *b, uint64_t len)
{
    uint8_t *p = realloc(b->p, len + 1);

    if (!p)
        return -ENOMEM;
    b->p = p;
    memset(p + b->len, 0, len - b->len);
    b->len = len;
    return 0;
}

static int join_locked(struct mem *m, const struct remote_join *join, struct remote_joined *to)
{
    struct mem_blob *b;
    int r = join_begin(m, to, &b);

    for (size_t i = 0; i < join->piece_count && r == 0; i++) {
        const struct remote_piece *p = &join->pieces[i];
        const struct mem_blob *from = find_blob(m, &join->blobs[p->blob - 1]);

        r = from ? join_grow(b, p->off + p->len) : -ENODATA;
        if (r == 0)
            memcpy(b->p + p->off, from->p + p->at, p->len);
    }
    if (r == 0 && join->size != REMOTE_ALL)
        r = join_grow(b, join->size);
    if (r < 0)
        return r;
    to->size = b->len;
    to->seal = b->seal = ++m->last_blob;
    return 0;
}

int mem_join(struct remote *r, const struct remote_join *join, struct remote_joined *to)
{
    struct mem *m = mem_of(r);
    int err;

    lock_take(&m->lock);
    err = join_locked(m, join, to);
    lock_drop(&m->lock);
    return err;
}

const uint8_t *mem_piece(struct mem *m, const struct remote_batch *b, const struct remote_piece *p)
{
    const uint8_t *from = p->blob > 0 ? blob_named(m, b->blobs[p->blob - 1].name)->p : b->data;

    return from + p->at;
}

const uint8_t *mem_joined(struct mem *m, const struct remote_change *c, uint64_t had)
{
    const struct mem_blob *b = c->joined ? blob_named(m, c->joined->name) : NULL;

    return b && b->seal == c->joined->seal && b->len == c->joined->size &&
                   remote_covers(c->pieces, c->piece_count, c->keep < had ? c->keep : had)
               ? b->p
               : NULL;
}

bool mem_blobs_there(struct mem *m, const struct remote_batch *b)
{
    for (size_t i = 0; i < b->blob_count; i++)
        if (b->blobs[i].len > 0 && !find_blob(m, &b->blobs[i]))
            return false;
    return true;
}

void mem_blobs_free(struct mem *m)
{
    for (struct mem_blob *b = m->blobs, *next; b; b = next) {
        next = b->hh.next;
        blob_free(m, b);
    }
}

/* ---- for tests ---- */

size_t remote_mem_blobs(struct remote *r, bool drop)
{
    struct mem *m = mem_of(r);
    size_t count;

    lock_take(&m->lock);
    count = HASH_COUNT(m->blobs);
    if (drop)
        mem_blobs_free(m);
    lock_drop(&m->lock);
    return count;
}
