/* mem_apply.c - batches of remote_mem: what batch.h says, with the records of clients in memory. */
#include "remote/mem_internal.h"

#include "remote/backends.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct mem_client {
    char client[REMOTE_CLIENT_LEN + 1];
    uint64_t number;
    uint8_t digest[REMOTE_DIGEST];
    struct remote_result *v;
    size_t count, done; /* v[done] is the next to be made */
    bool finished, renew;
    UT_hash_handle hh;
};

static void client_free(struct mem *m, struct mem_client *c)
{
    HASH_DEL(m->clients, c);
    free(c->v);
    free(c);
}

/* What the record says of a batch before anything is done; RUN: it may go on. */
enum verdict { RUN, REPEAT, BEGIN, STATE };

static enum verdict judge(const struct mem_client *c, const struct remote_batch *b,
                          enum remote_batch_state *state)
{
    *state = REMOTE_BATCH_FINISHED;
    if (c && b->number == c->number) {
        if (memcmp(c->digest, b->digest, sizeof(c->digest)) != 0 || c->count != b->count) {
            *state = REMOTE_BATCH_OTHER;
            return STATE;
        }
        return c->finished ? REPEAT : RUN;
    }
    if (c && b->number < c->number)
        *state = REMOTE_BATCH_AHEAD;
    else if (b->mode == REMOTE_BATCH_RENEW || b->number == (c ? c->number : 0) + 1)
        return BEGIN;
    else
        *state = c ? REMOTE_BATCH_BEHIND : REMOTE_BATCH_UNKNOWN;
    return STATE;
}

static int begin(struct mem *m, const struct remote_batch *b, struct mem_client **ret)
{
    struct mem_client *c = *ret, *fresh = calloc(1, sizeof(*fresh));

    if (fresh)
        fresh->v = calloc(b->count, sizeof(*fresh->v));
    if (!fresh || !fresh->v) {
        free(fresh);
        return -ENOMEM;
    }
    memcpy(fresh->client, b->client, sizeof(fresh->client));
    memcpy(fresh->digest, b->digest, sizeof(fresh->digest));
    fresh->number = b->number;
    fresh->count = b->count;
    fresh->renew = b->mode == REMOTE_BATCH_RENEW;
    if (c)
        client_free(m, c);
    HASH_ADD_STR(m->clients, client, fresh);
    *ret = fresh;
    return 0;
}

static int run(struct mem *m, const struct remote_batch *b, struct mem_client *c)
{
    struct mem_renew *renew =
        c->renew && b->mode != REMOTE_BATCH_CLOSE ? mem_renew_new(m, b) : NULL;
    int r = 0;

    while (c->done < b->count && b->mode != REMOTE_BATCH_CLOSE) {
        if (m->stop_after == 0) {
            m->stop_after = SIZE_MAX;
            r = m->stop_err;
            break;
        }
        if (m->stop_after != SIZE_MAX)
            m->stop_after--;
        mem_change(m, b, renew, c->done++, c->v);
    }
    (void)mem_renew_free(renew);
    if (r < 0)
        return r;
    c->finished = true;
    mem_kept_drop(m, b);
    if (b->mode != REMOTE_BATCH_CLOSE)
        mem_blobs_used(m, b);
    return 0;
}

static int answer(struct mem *m, const struct mem_client *c, enum remote_batch_state state,
                  struct remote_applied *ret)
{
    struct remote_applied a = {.state = state, .now_ns = m->now_ns};

    if (state == REMOTE_BATCH_FINISHED) {
        a.v = malloc(c->count * sizeof(*a.v));
        if (!a.v)
            return -ENOMEM;
        memcpy(a.v, c->v, c->count * sizeof(*a.v));
        a.count = c->count;
    }
    *ret = a;
    return 0;
}

static int apply_locked(struct mem *m, const struct remote_batch *b, struct remote_applied *ret)
{
    enum remote_batch_state state;
    struct mem_client *c;
    enum verdict verdict;
    int r = 0;

    HASH_FIND_STR(m->clients, b->client, c);
    verdict = judge(c, b, &state);
    if (verdict == RUN || verdict == BEGIN) {
        if (b->mode != REMOTE_BATCH_CLOSE && !mem_blobs_there(m, b))
            return -ENODATA;
        if (verdict == BEGIN)
            r = begin(m, b, &c);
        if (r == 0)
            r = run(m, b, c);
    }
    return r < 0 ? r : answer(m, c, state, ret);
}

int mem_apply(struct remote *r, const struct remote_batch *batch, struct remote_applied *ret)
{
    struct mem *m = mem_of(r);
    int err;

    lock_take(&m->lock);
    err = apply_locked(m, batch, ret);
    lock_drop(&m->lock);
    return err;
}

void mem_apply_done(struct mem *m)
{
    mem_kept_drop(m, NULL);
    for (struct mem_client *c = m->clients, *next; c; c = next) {
        next = c->hh.next;
        client_free(m, c);
    }
    mem_blobs_free(m);
}

/* ---- for tests ---- */

void remote_mem_stop_after(struct remote *r, size_t changes, int err)
{
    struct mem *m = mem_of(r);

    lock_take(&m->lock);
    m->stop_after = changes;
    m->stop_err = err;
    lock_drop(&m->lock);
}

void remote_mem_rewind(struct remote *r, uint64_t number)
{
    struct mem *m = mem_of(r);

    lock_take(&m->lock);
    for (struct mem_client *c = m->clients, *next; c; c = next) {
        next = c->hh.next;
        if (number == 0)
            client_free(m, c);
        else
            c->number = number;
    }
    lock_drop(&m->lock);
}
