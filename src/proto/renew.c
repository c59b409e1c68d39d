#include "proto/renew.h"

#include "util/crc32c.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a name may have: nothing; something of which no more is known; what change i found at path
 * or path2, as it says; or what it made there. */
enum { NOTHING = 0, SOMETHING = 1, FIRST = 2, AT = 0, AT2 = 1, MADE = 2, THINGS = 3 };

enum { SPOTS_MAX = 4 * BATCH_CHANGES_MAX, BUCKETS = 8192, NONE = -1 };

struct spot { /* a name */
    char *path;
    uint32_t has;
    bool fits;
    int part; /* another spot of the same part, or itself */
    int ring; /* the next one of its part, in a ring */
    int next; /* in its bucket */
    /* Of what stands for its part: how many of its spots do not fit, and the changes, each with its
     * next one, of which it is not known yet. */
    unsigned bad;
    int first, last;
};

struct renewal {
    const struct renew_ops *ops;
    void *arg;
    const struct batch_change *v;
    size_t count, now; /* changes; the one that is looked at */
    struct step {
        uint32_t base, left; /* what it changed; what it left where it says */
        uint64_t size;
        int next;
        bool done;
    } * steps;
    struct thing {      /* after the last change that is known to be made */
        bool known;     /* as what, things_attr says */
        uint32_t later; /* what it is after it was changed in place; 0: it was not */
    } * things;
    struct spot *spots;
    char *thing_attrs, *spot_attrs; /* attr_size for each; of what fits */
    int spot_count, spot_room, buckets[BUCKETS];
    bool linked;
};

static uint32_t thing_of(uint64_t change, unsigned which)
{
    return (uint32_t)(FIRST + change * THINGS + which);
}

static char *attr_at(const struct renewal *n, char *attrs, size_t i)
{
    return attrs + i * n->ops->attr_size;
}

/* ---- does it have it? ---- */

/* What no later change has set. */
static void want_attr(struct renew_wants *w, const struct batch_change *c, unsigned set)
{
    set &= c->set & ~w->set;
    w->set |= set;
    if (set & BATCH_SET_MODE)
        w->mode = c->mode;
    if (set & BATCH_SET_UID)
        w->uid = c->uid;
    if (set & BATCH_SET_GID)
        w->gid = c->gid;
    if (set & BATCH_SET_MTIME)
        w->mtime_ns = c->mtime_ns;
}

static struct renew_wants wants_of(const struct renewal *n, uint32_t thing)
{
    struct renew_wants w = {.what = thing == NOTHING ? RENEW_NOTHING : RENEW_SOMETHING,
                            .as_made = true};

    while (thing >= FIRST) {
        const uint64_t change = (thing - FIRST) / THINGS, which = (thing - FIRST) % THINGS;
        const struct batch_change *c = &n->v[change];

        if (which != MADE) {
            w.what = RENEW_OBJECT;
            w.object = which == AT ? &c->at : &c->at2;
            w.times = !(w.set & BATCH_SET_MTIME);
            break;
        }
        if (c->kind != BATCH_SETATTR) {
            want_attr(&w, c, c->kind == BATCH_MKDIR ? BATCH_SET_MODE : BATCH_SET_MTIME);
            w.what = RENEW_MADE;
            w.made = c;
            w.size = n->steps[change].size;
            break;
        }
        want_attr(&w, c, BATCH_SET_ALL);
        w.as_made = false;
        thing = n->steps[change].base;
        w.what = thing == NOTHING ? RENEW_NOTHING : RENEW_SOMETHING;
    }
    return w;
}

/* ---- spots and parts ---- */

static bool make_room(struct renewal *n, int room)
{
    struct spot *spots = realloc(n->spots, (size_t)room * sizeof(*spots));
    char *attrs;

    if (!spots)
        return false;
    n->spots = spots;
    attrs = realloc(n->spot_attrs, (size_t)room * n->ops->attr_size);
    if (!attrs)
        return false;
    n->spot_attrs = attrs;
    n->spot_room = room;
    return true;
}

static int spot_find(struct renewal *n, const char *path, uint32_t had)
{
    int *bucket = &n->buckets[crc32c(0, path, strlen(path)) % BUCKETS], i;

    for (i = *bucket; i != NONE; i = n->spots[i].next)
        if (strcmp(n->spots[i].path, path) == 0)
            return i;
    i = n->spot_count;
    if (i == SPOTS_MAX || (i == n->spot_room && !make_room(n, 2 * i)))
        return -ENOMEM;
    memset(attr_at(n, n->spot_attrs, (size_t)i), 0, n->ops->attr_size);
    n->spots[i] = (struct spot){.path = strdup(path),
                                .has = had,
                                .fits = true,
                                .part = i,
                                .ring = i,
                                .next = *bucket,
                                .first = NONE};
    if (!n->spots[i].path)
        return -ENOMEM;
    *bucket = n->spot_count++;
    return i;
}

static struct spot *part_of(const struct renewal *n, int i)
{
    while (n->spots[i].part != i)
        i = n->spots[i].part = n->spots[n->spots[i].part].part;
    return &n->spots[i];
}

static void part_add(struct renewal *n, struct spot *part, int first, int last)
{
    if (first == NONE)
        return;
    if (part->first == NONE)
        part->first = first;
    else
        n->steps[part->last].next = first;
    part->last = last;
}

/* The change at hand is about that spot, too. */
static void spot_join(struct renewal *n, int spot, int with)
{
    struct spot *a = part_of(n, with), *b = part_of(n, spot);
    int ring;

    if (a == b)
        return;
    a->bad += b->bad;
    part_add(n, a, b->first, b->last);
    b->part = a->part;
    ring = a->ring;
    a->ring = b->ring;
    b->ring = ring;
}

static void spot_set(struct renewal *n, int i, uint32_t has)
{
    struct spot *s = &n->spots[i], *part = part_of(n, i);
    struct renew_wants w;

    part->bad -= !s->fits;
    s->has = has;
    w = wants_of(n, has);
    s->fits = n->ops->fits(n->arg, s->path, &w, attr_at(n, n->spot_attrs, (size_t)i));
    part->bad += !s->fits;
}

/* ---- what each change does ---- */

static uint64_t size_of(const struct renewal *n, uint32_t thing)
{
    const uint64_t change = (thing - FIRST) / THINGS, which = (thing - FIRST) % THINGS;

    if (thing < FIRST)
        return thing == NOTHING ? 0 : BATCH_ALL;
    if (which == MADE)
        return n->steps[change].size;
    return which == AT && n->v[change].at.means == BATCH_VERSION     ? n->v[change].at.size
           : which == AT2 && n->v[change].at2.means == BATCH_VERSION ? n->v[change].at2.size
                                                                     : BATCH_ALL;
}

static uint64_t size_after(const struct renewal *n, const struct batch_change *c, uint32_t base)
{
    const struct batch_piece *last = c->piece_count > 0 ? &c->pieces[c->piece_count - 1] : NULL;
    const uint64_t size = size_of(n, base), end = last ? last->off + last->len : 0;

    if (c->kind != BATCH_WRITE)
        return size;
    if (c->flags & BATCH_APPEND)
        return size == BATCH_ALL ? size : size + end;
    return c->size != BATCH_ALL ? c->size : size == BATCH_ALL || size < end ? end : size;
}

static uint32_t had(const struct batch_object *o, uint32_t thing)
{
    return o->means == BATCH_ABSENT                              ? NOTHING
           : o->means == BATCH_SAME || o->means == BATCH_VERSION ? thing
                                                                 : SOMETHING;
}

/* All of its names: what is written to has several in place. */
static void change_thing(struct renewal *n, int at)
{
    const uint32_t base = n->spots[at].has, made = thing_of(n->now, MADE);

    n->steps[n->now].base = base;
    n->steps[n->now].left = made;
    n->steps[n->now].size = size_after(n, &n->v[n->now], base);
    spot_set(n, at, made);
    for (int i = 0; n->linked && base >= FIRST && i < n->spot_count; i++)
        if (n->spots[i].has == base) {
            spot_join(n, i, at);
            spot_set(n, i, made);
            n->things[base].later = made;
        }
}

static bool is_below(const char *path, const char *dir)
{
    const size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 && path[len] == '/';
}

/* What is below it goes along. */
static int move_below(struct renewal *n, int from, int to)
{
    const char *old = n->spots[from].path, *new = n->spots[to].path;
    const int count = n->spot_count;

    for (int i = 0; i < count; i++) {
        struct buf path = BUF_INIT(2 * PROTO_BODY_MAX);
        int k = -ENOMEM;

        if (n->spots[i].has == NOTHING || !is_below(n->spots[i].path, old))
            continue;
        if (buf_append(&path, new, strlen(new)) == 0 &&
            buf_append(&path, n->spots[i].path + strlen(old),
                       strlen(n->spots[i].path + strlen(old)) + 1) == 0)
            k = spot_find(n, path.data, NOTHING);
        buf_done(&path);
        if (k < 0)
            return k;
        spot_join(n, i, from);
        spot_join(n, k, from);
        spot_set(n, k, n->spots[i].has);
        spot_set(n, i, NOTHING);
    }
    return 0;
}

static int rename_thing(struct renewal *n, const struct batch_change *c, int from, int to)
{
    const uint32_t thing = n->spots[from].has, other = n->spots[to].has;
    int r = 0;

    spot_set(n, to, thing);
    if (c->flags & BATCH_EXCHANGE) {
        spot_set(n, from, other);
        return 0;
    }
    spot_set(n, from, NOTHING);
    if (!n->spots[from].fits && part_of(n, from)->bad == 1 && n->ops->drop_first) {
        n->ops->drop_first(n->arg, n->spots[from].path, n->spots[to].path);
        spot_set(n, from, NOTHING);
    }
    if (thing < FIRST || (thing - FIRST) % THINGS != MADE ||
        n->v[(thing - FIRST) / THINGS].kind != BATCH_WRITE)
        r = move_below(n, from, to);
    return r;
}

static int consider(struct renewal *n, const struct batch_change *c)
{
    const bool two = c->kind == BATCH_LINK || c->kind == BATCH_RENAME;
    const int at = spot_find(n, c->path, had(&c->at, thing_of(n->now, AT)));
    const int at2 = two ? spot_find(n, c->path2, had(&c->at2, thing_of(n->now, AT2))) : at;
    int r = at < 0 ? at : at2 < 0 ? at2 : 0;

    if (r < 0)
        return r;
    spot_join(n, at2, at);
    n->steps[n->now].left = n->spots[at].has;
    switch (c->kind) {
    case BATCH_LINK:
        n->linked = true;
        spot_set(n, at, n->spots[at].has);
        spot_set(n, at2, n->spots[at].has);
        break;
    case BATCH_RENAME:
        r = rename_thing(n, c, at, at2);
        break;
    case BATCH_UNLINK:
    case BATCH_RMDIR:
        n->steps[n->now].left = NOTHING;
        spot_set(n, at, NOTHING);
        break;
    case BATCH_FSYNC:
        break;
    default:
        change_thing(n, at);
        break;
    }
    part_add(n, part_of(n, at), (int)n->now, (int)n->now);
    return r;
}

/* ---- all of them ---- */

static void mark_done(struct renewal *n, struct spot *part)
{
    for (int i = part->first; i != NONE; i = n->steps[i].next)
        n->steps[i].done = true;
    part->first = NONE;
    for (int i = part->ring;; i = n->spots[i].ring) {
        const uint32_t has = n->spots[i].has;

        n->things[has].known = true;
        memcpy(attr_at(n, n->thing_attrs, has), attr_at(n, n->spot_attrs, (size_t)i),
               n->ops->attr_size);
        if (&n->spots[i] == part)
            break;
    }
}

static bool consider_all(struct renewal *n)
{
    for (n->now = 0; n->now < n->count; n->now++) {
        const struct batch_change *c = &n->v[n->now];
        struct spot *part;

        if (n->ops->late && n->ops->late(n->arg))
            break;
        if (consider(n, c) < 0)
            return false;
        part = part_of(n, spot_find(n, c->path, NOTHING));
        if (part->bad == 0 && c->kind != BATCH_FSYNC) /* which makes nothing that could be seen */
            mark_done(n, part);
    }
    return true;
}

struct renewal *renewal_free(struct renewal *n)
{
    for (int i = 0; n && i < n->spot_count; i++)
        free(n->spots[i].path);
    if (n) {
        free(n->steps);
        free(n->things);
        free(n->thing_attrs);
        free(n->spots);
        free(n->spot_attrs);
    }
    free(n);
    return NULL;
}

struct renewal *renewal_new(const struct renew_ops *ops, void *arg, const struct batch_change *v,
                            size_t count)
{
    struct renewal *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    *n = (struct renewal){.ops = ops, .arg = arg, .v = v, .count = count};
    n->steps = calloc(count, sizeof(*n->steps));
    n->things = calloc(thing_of(count, AT), sizeof(*n->things));
    n->thing_attrs = calloc(thing_of(count, AT), ops->attr_size);
    memset(n->buckets, 0xff, sizeof(n->buckets));
    for (size_t i = 0; n->steps && i < count; i++)
        n->steps[i].next = NONE;
    if (!n->steps || !n->things || !n->thing_attrs || !make_room(n, 2 * (int)count + 2) ||
        !consider_all(n))
        return renewal_free(n);
    return n;
}

enum renewal_left renewal_left(const struct renewal *n, size_t change, const void **ret_attr)
{
    uint32_t left = n->steps[change].left;

    if (!n->steps[change].done)
        return RENEWAL_OPEN;
    while (!n->things[left].known && n->things[left].later != 0)
        left = n->things[left].later;
    *ret_attr = attr_at(n, n->thing_attrs, left);
    return left == NOTHING ? RENEWAL_NOTHING : n->things[left].known ? RENEWAL_IT : RENEWAL_GONE;
}
