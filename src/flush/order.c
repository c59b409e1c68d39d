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
    LOT_CHANGE = 128,     /* of that for a change, without its paths */
    LOT_BYTES = 64 << 20, /* of data, unless one file has more */
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

static bool is_target(const struct flush *f, const struct change *c)
{
    for (const struct waiter *w = f->waiters; w; w = w->next)
        if (wait_names(w, c))
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

/* Makers, and what it stands on, come before a change: once from the end to the front is enough. */
static uint64_t mark_wanted(struct flush *f)
{
    const uint64_t stamp = ++f->stamp;

    for (struct change *c = f->tail; c; c = c->prev) {
        if (c->wanted != stamp && !is_target(f, c) && !meets(c, stamp))
            continue;
        c->wanted = stamp;
        mark(c, stamp);
        want_makers(f, c, stamp);
    }
    return stamp;
}

/* ---- the lot ---- */

struct lot {
    struct change **v;
    size_t count, cap;
    size_t text, ranges;
    uint64_t bytes, in, out; /* stamps: of what is in it, of what must stay behind */
    bool full;
};

static bool stays(struct flush *f, const struct lot *lot, const struct change *c)
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

static int add(struct lot *lot, struct change *c)
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

static bool too_much(const struct flush *f, const struct lot *lot, const struct change *c)
{
    return lot->count > 0 && (lot->count >= f->lot_max || lot->ranges >= LOT_RANGES ||
                              lot->text >= LOT_TEXT || lot->bytes + c->bytes > LOT_BYTES);
}

static int take(struct flush *f, struct lot *lot, struct change *c)
{
    lot->text += LOT_CHANGE + path_len(c->at) + (c->at2 ? path_len(c->at2) : 0);
    lot->ranges += 2;
    lot->bytes += c->bytes;
    return add(lot, c);
}

int order_choose(struct flush *f, bool foreground, int64_t now_ns, struct change ***ret,
                 size_t *ret_count, int64_t *ret_until_ns)
{
    const uint64_t wanted = foreground ? mark_wanted(f) : 0;
    struct lot lot = {.out = ++f->stamp};
    size_t ahead = 0;
    int r = 0;

    *ret_until_ns = INT64_MAX;
    for (struct change *c = f->head; c && r == 0 && ahead < LOOK_AHEAD; c = c->next) {
        const int64_t due_ns = c->since_ns + f->config.linger_ns;
        bool go = foreground ? c->wanted == wanted : !change_held(c);

        if (!foreground && due_ns > now_ns) {
            *ret_until_ns = due_ns;
            break; /* those behind it are younger still */
        }
        if (go && !stays(f, &lot, c)) {
            lot.full = lot.full || too_much(f, &lot, c);
            if (!lot.full) {
                r = take(f, &lot, c);
                continue;
            }
        }
        if (lot.full)
            ahead++;
        c->blocked = lot.out;
        mark(c, lot.out);
    }
    if (r < 0) {
        free(lot.v);
        return r;
    }
    *ret = lot.v;
    *ret_count = lot.count;
    return 0;
}
