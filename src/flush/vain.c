/*
 * vain.c - what is on its way into the sandbox and is not needed any more: the data of a file that
 * was removed before it was all there. Its changes leave the lot that they are in, so that they go
 * nowhere together with the removal (plan.c); blobs that were only for them are not begun, and an
 * upload of one stops where it is.
 */
#include "flush/flush_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>

/* Changes that are looked at: what is older than that goes. */
enum { LOOK_MAX = 65536 };

static bool is_under_way(const struct change *c)
{
    return c->lot || (c->group && c->group->ahead > 0);
}

void vain_note(struct flush *f, const struct change *c)
{
    const struct change *maker = c->only ? change_find(f, c->made[JOURNAL_AT]) : NULL;

    f->vain = f->vain || (maker && is_under_way(maker));
}

/* ---- which changes ---- */

static void leave(struct flush *f, struct change *c)
{
    if (c->lot) {
        c->lot = NULL; /* which is told of all of them at once */
        c->state = CHANGE_WAITS;
    }
    if (c->group && c->group->ahead > 0)
        ahead_begin_anew(f, c->group);
}

/* All that waits, from the first of what is under way, as if it were one batch. */
static struct sending *take_all(const struct flush *f)
{
    struct sending *s = calloc(1, sizeof(*s));
    struct change *c = f->head;

    while (c && !is_under_way(c))
        c = c->next;
    if (s)
        s->changes = calloc(LOOK_MAX, sizeof(struct change *));
    if (!s || !s->changes)
        return batch_free(s);
    for (; c && s->change_count < LOOK_MAX; c = c->next)
        if (c->state != CHANGE_SENT && !c->ended)
            s->changes[s->change_count++] = c;
    return s;
}

static int leave_all(struct flush *f)
{
    struct sending *s = take_all(f);
    struct end *dropped = NULL;
    size_t count = 0;
    int r = s ? plan_batch(f, s, &dropped, &count) : -ENOMEM;

    for (size_t i = 0; r == 0 && i < count; i++)
        leave(f, dropped[i].c);
    for (size_t i = 0; r == 0 && i < s->count; i++)
        if (op_removes(&s->ops[i]))
            for (struct change *c = s->ops[i].first; c; c = c->op_next)
                leave(f, c);
    free(dropped);
    batch_free(s);
    return r;
}

/* ---- which blobs ---- */

static bool is_in(struct flush *f, uint64_t seq, const struct lot *lot)
{
    const struct change *c = change_find(f, seq);

    return c && c->lot == lot;
}

static bool is_needed(struct flush *f, const struct lot *lot, size_t blob)
{
    const struct staging *g = lot->staging;

    for (size_t i = g->first[blob]; i < g->first[blob + 1]; i++)
        if (is_in(f, g->slices[i].seq, lot))
            return true;
    return false;
}

static void trim(struct flush *f, struct lot *lot)
{
    struct staging *g = lot->staging;

    for (size_t i = 0; i < lot->count; i++)
        if (lot->changes[i] && lot->changes[i]->lot != lot)
            lot->changes[i] = NULL;
    for (size_t i = 0; i < g->count; i++)
        if (g->states[i] < BLOB_THERE && !is_needed(f, lot, i)) {
            g->states[i] = BLOB_VAIN;
            lot->there++; /* as far as the lot waits for it */
        }
    for (size_t i = 0; i < g->join_count; i++)
        if (!is_in(f, g->joins[i].seq, lot))
            join_stop(f, g, &g->joins[i]);
}

/* ---- which uploads ---- */

static bool is_vain(const struct uploader *u)
{
    return u->lot ? u->lot->staging->states[u->blob] == BLOB_VAIN : u->ahead && !u->ahead->group;
}

/* Nobody's lock is held when they are told: what they do then looks at flush's. */
static void stop_uploads(struct flush *f)
{
    struct cancel *stop[UPLOADS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < f->uploader_count; i++) {
        struct uploader *u = &f->uploaders[i];

        if (u->vain || !is_vain(u))
            continue;
        u->vain = true;
        stop[count++] = cancel_ref(u->cancel);
    }
    if (count == 0)
        return;
    lock_drop(&f->lock);
    for (size_t i = 0; i < count; i++) {
        cancel_fire(stop[i]);
        cancel_unref(stop[i]);
    }
    lock_take(&f->lock);
}

int64_t vain_stop(struct flush *f)
{
    enum { SHARE = 10 }; /* of the time, at most */
    const int64_t start_ns = clock_mono_ns();

    if (f->vain && start_ns >= f->vain_ns) {
        f->vain = false;
        if (leave_all(f) == 0) /* without memory it all goes, and is removed afterwards */
            for (struct lot *lot = f->lots; lot; lot = lot->next)
                trim(f, lot);
        f->vain_ns = clock_mono_ns() + SHARE * (clock_mono_ns() - start_ns);
    }
    stop_uploads(f);
    return f->vain ? f->vain_ns : INT64_MAX;
}
