/*
 * order.c - what goes next. A change stands on earlier ones by path (equal, above or below), and on
 * those that made its objects: a file with several names is one object under unrelated paths.
 *
 * Paths are nodes of a tree, so that "does it touch any of these?" is a walk up from the node. One
 * pass over the queue, whatever is asked.
 */
#include "flush/flush_internal.h"

#include <errno.h>
#include <stdlib.h>

/* What one batch is filled with at most. */
enum {
    LOT_RANGES = 16000,   /* JOURNAL_RANGES_MAX, two for a change and some more */
    LOT_TEXT = 700 << 10, /* of REMOTE_BATCH_BYTES: paths, objects, pieces */
    LOT_CHANGE = 160,     /* of that for a change, without its paths */
    LOT_PIECE = 24,       /* and for a piece of data */
    LOOK_AHEAD = 65536,   /* changes that are looked at after it is full */
};

static bool meets(const struct change *c, uint64_t mark)
{
    return node_meets(c->at, mark) || (c->at2 && node_meets(c->at2, mark));
}

static void mark(struct change *c, uint64_t value)
{
    node_mark(c->at, value);
    if (c->at2)
        node_mark(c->at2, value);
}

/* ---- what somebody waits for, and what that stands on ---- */

static bool is_target(const struct flush *f, const struct change *c, bool barriers)
{
    for (const struct waiter *w = f->waiters; w; w = w->next)
        if ((barriers || !w->barrier) && wait_names(w, c))
            return true;
    return false;
}

static void want_makers(struct flush *f, const struct change *c, uint64_t stamp)
{
    for (int i = 0; i < JOURNAL_ROLES; i++) {
        struct change *maker = change_find(f, c->made[i]);

        if (maker)
            maker->wanted = stamp;
    }
}

static void want(struct flush *f, struct change *c, uint64_t stamp)
{
    c->wanted = stamp;
    mark(c, stamp);
    want_makers(f, c, stamp);
}

/* Makers, and what it stands on, come before a change: once from the end to the front is enough. */
static uint64_t mark_wanted(struct flush *f, bool barriers)
{
    const uint64_t stamp = ++f->stamp;

    for (struct change *c = f->tail; c; c = c->prev)
        if (c->wanted == stamp || is_target(f, c, barriers) || meets(c, stamp))
            want(f, c, stamp);
    return stamp;
}

static uint64_t mark_newest(struct flush *f, int64_t now_ns)
{
    const uint64_t stamp = ++f->stamp;
    uint64_t left = f->config.inline_bytes / 2;

    for (struct change *c = f->tail; c; c = c->prev) {
        const uint64_t cost = c->bytes + LOT_CHANGE;

        if (c->wanted != stamp && !meets(c, stamp)) {
            if (c->state != CHANGE_WAITS || change_held(c) || cost > left ||
                c->since_ns + f->config.linger_ns > now_ns ||
                (c->group && c->group->skipped == stamp)) {
                if (c->group)
                    c->group->skipped = stamp;
                continue;
            }
            left -= cost;
        }
        want(f, c, stamp);
    }
    return stamp;
}

/* ---- the lot ---- */

struct lot_choice {
    struct change **v;
    size_t count, cap;
    size_t text, ranges, changes; /* as far as the batch has them */
    uint64_t bytes, in, out;      /* stamps: of what is in it, of what must stay behind */
    const struct change *last;
};

static bool stays(struct flush *f, const struct lot_choice *lot, const struct change *c)
{
    if (meets(c, lot->out))
        return true;
    for (int i = 0; i < JOURNAL_ROLES; i++) {
        const struct change *maker = change_find(f, c->made[i]);

        if (maker && maker->blocked == lot->out)
            return true;
    }
    return false;
}

static int add(struct lot_choice *lot, struct change *c)
{
    if (lot->count == lot->cap) {
        const size_t cap = lot->cap ? 2 * lot->cap : 256;
        struct change **v = realloc(lot->v, cap * sizeof(*v));

        if (!v)
            return -ENOMEM;
        lot->v = v;
        lot->cap = cap;
    }
    lot->v[lot->count++] = c;
    return 0;
}

static size_t path_len(const struct node *n)
{
    size_t len = 0;

    for (; n && n->parent; n = n->parent)
        len += n->key_len;
    return len;
}

static bool is_full(const struct flush *f, const struct lot_choice *lot)
{
    return lot->changes >= f->lot_max || lot->ranges >= LOT_RANGES || lot->text >= LOT_TEXT;
}

/* Of it, or of all that its handle has written. */
static uint64_t whole_bytes(const struct change *c)
{
    return c->group ? c->group->bytes : c->bytes;
}

static bool is_begun(const struct lot_choice *lot, const struct change *c)
{
    return c->group && c->group->in == lot->in;
}

/* Where the last one ended: it is no piece of its own, nor a range, nor a change of the batch. */
static int take(struct lot_choice *lot, struct change *c, bool joins)
{
    const struct change *last = joins ? lot->last : NULL;
    const bool on = last && last->at == c->at && last->end == c->begin;
    const bool next = last && last->seq + 1 == c->seq;

    if (!joins)
        lot->text += LOT_CHANGE + path_len(c->at) + (c->at2 ? path_len(c->at2) : 0);
    if (!on)
        lot->text += LOT_PIECE;
    if (!next)
        lot->ranges += 2;
    if (!on || !next || c->kind != JOURNAL_PATCH)
        lot->changes++;
    if (!is_begun(lot, c))
        lot->bytes += whole_bytes(c);
    lot->last = c;
    c->at->in = lot->in;
    if (c->group)
        c->group->in = lot->in;
    return add(lot, c);
}

/* Is there room for the rest of its group, too? */
static bool is_room(const struct flush *f, const struct lot_choice *lot, const struct group *g)
{
    return lot->changes + g->count <= f->lot_max && lot->ranges + 2 * g->count <= LOT_RANGES &&
           lot->text + g->count * LOT_PIECE <= LOT_TEXT;
}

/*
 * Is there room for c? What one handle wrote is not divided: a file that was truncated to be
 * rewritten would be seen empty, or in part. Only what is more than a lot takes goes in several.
 */
static bool fits(const struct flush *f, const struct lot_choice *lot, const struct change *c,
                 bool joins, bool small)
{
    if (is_full(f, lot))
        return false;
    if (is_begun(lot, c))
        return true;
    if (lot->count > 0 && c->group && !is_room(f, lot, c->group))
        return false;
    if (small)
        return lot->bytes + whole_bytes(c) <= f->config.inline_bytes;
    return lot->count == 0 || joins || whole_bytes(c) == 0 ||
           lot->bytes + whole_bytes(c) <= f->config.lot_bytes;
}

/* What fills the journal goes although it is open; there is no need for the rest to. */
static bool must_go(const struct flush *f, const struct group *g)
{
    enum { MANY = 1000 };

    return g->bytes > f->config.inline_bytes || g->count > MANY;
}

static bool goes(const struct flush *f, const struct order *o, const struct change *c,
                 uint64_t wanted)
{
    if (c->state == CHANGE_SENT || (c->state == CHANGE_TAKEN && !o->taken))
        return false;
    if ((o->waited || wanted != 0) && c->wanted != wanted)
        return false;
    if (!o->waited && change_held(c) && !(f->pressed_ns > o->now_ns && must_go(f, c->group)))
        return false;
    if (!c->group)
        return true;
    c->group->claimed = true;
    return c->group->uploading == 0; /* what of it is on its way is there first */
}

/* Nobody would take so long for so little but who has no more to say yet. */
static int64_t slow_ns(const struct flush *f, uint64_t bytes)
{
    const double times = (double)bytes / (double)f->config.inline_bytes;

    return f->config.open_ns * (times > 1000 ? 1000 : times < 1 ? 1 : (int64_t)times + 1);
}

bool flush_is_slow(const struct flush *f, uint64_t bytes, int64_t took_ns)
{
    return took_ns >= slow_ns(f, bytes);
}

/* What is only added to goes after a while although it is open: nobody takes it for half a file. Of
 * a file that was empty that is so where little comes; more is a file that is being copied. */
static void stream(const struct flush *f, struct change *c, int64_t now_ns, int64_t *until_ns)
{
    struct group *g = c->group;
    int64_t due_ns = c->since_ns + f->config.open_ns;

    if (!change_held(c) || g->rewrites || (g->grows && g->data_ns == 0))
        return;
    if (g->grows)
        due_ns = g->data_ns + slow_ns(f, g->bytes);
    if (due_ns <= now_ns || (!g->grows && g->bytes >= f->config.ahead_bytes)) {
        g->ready_seq = g->grows ? g->last_seq : c->seq;
        g->data_ns = 0;
    } else if (due_ns < *until_ns) {
        *until_ns = due_ns;
    }
}

int order_choose(struct flush *f, const struct order *o, struct change ***ret, size_t *ret_count,
                 int64_t *ret_until_ns)
{
    const uint64_t wanted = o->waited   ? mark_wanted(f, o->barriers)
                            : o->newest ? mark_newest(f, o->now_ns)
                                        : 0;
    struct lot_choice lot = {.in = ++f->stamp, .out = ++f->stamp};
    int64_t until_ns = INT64_MAX;
    bool young = false;
    size_t ahead = 0;
    int r = 0;

    for (struct change *c = f->head; c && r == 0 && ahead < LOOK_AHEAD; c = c->next) {
        const int64_t due_ns = c->since_ns + f->config.linger_ns;
        bool joins;

        /* Those behind it are younger still. But what belongs to one that goes must not come a
         * moment later: a file that was truncated to be rewritten would be seen empty. So would one
         * that was just made in the place of another, and is still to be written. */
        if (!o->waited && due_ns > o->now_ns) {
            until_ns = due_ns < until_ns ? due_ns : until_ns;
            if (lot.count == 0)
                break;
            young = true;
        }
        joins = c->at->in == lot.in && (!young || c->kind != JOURNAL_CREATE);
        if (!o->waited)
            stream(f, c, o->now_ns, &until_ns);
        if ((joins || !young) && goes(f, o, c, wanted) && !stays(f, &lot, c) &&
            fits(f, &lot, c, joins, o->small)) {
            r = take(&lot, c, joins);
            continue;
        }
        if (lot.count > 0)
            ahead++;
        c->blocked = lot.out;
        mark(c, lot.out);
    }
    if (r < 0) {
        free(lot.v);
        return r;
    }
    *ret_until_ns = until_ns;
    *ret = lot.v;
    *ret_count = lot.count;
    return 0;
}
