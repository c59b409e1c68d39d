/*
 * A batch whose record was lost, and perhaps its answer, too: how far did it come? Its changes are
 * gone through without making any, to know what each name must have after each of them; and what
 * the names have tells which of them were made. Names that changes have in common make a part: a
 * part is known to be made up to the last change after which all of its names, as far as they were
 * touched by then, have what they must. What somebody else changed since fits nowhere: of that part
 * nothing is taken for done, and it ends as the conflict that it is.
 */
#include "helper/apply_data.h"

#include "util/clock.h"
#include "util/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a name may have: nothing; something of which no more is known; what change i found at path
 * or path2, as it says; or what it made there. */
enum { NOTHING = 0, SOMETHING = 1, FIRST = 2, AT = 0, AT2 = 1, MADE = 2, THINGS = 3 };

enum { SPOTS_MAX = 4 * BATCH_CHANGES_MAX, BUCKETS = 8192, NONE = -1 };

struct spot { /* a name */
    char *path;
    uint32_t has;
    bool fits;
    struct stat st; /* of what fits */
    int part;       /* another spot of the same part, or itself */
    int ring;       /* the next one of its part, in a ring */
    int next;       /* in its bucket */
    /* Of what stands for its part: how many of its spots do not fit, and the changes, each with its
     * next one, of which it is not known yet. */
    unsigned bad;
    int first, last;
};

struct renewal {
    struct apply *a;
    uint64_t count, now; /* changes; the one that is looked at */
    struct batch_change *v;
    struct step {
        uint32_t base, left; /* what it changed; what it left where it says */
        uint64_t size;
        int next;
        bool done;
    } * steps;
    struct stat *things; /* as they are after the last change that is known to be made */
    uint32_t *later;     /* what a thing is after it was changed in place; 0: it was not */
    struct spot *spots;
    int spot_count, buckets[BUCKETS];
    bool linked;
};

static uint32_t thing_of(uint64_t change, unsigned which)
{
    return (uint32_t)(FIRST + change * THINGS + which);
}

/* ---- does it have it? ---- */

static bool attr_fits(const struct stat *st, const struct batch_change *c, unsigned set)
{
    set &= c->set;
    return (!(set & BATCH_SET_MODE) || (st->st_mode & 07777) == c->mode) &&
           (!(set & BATCH_SET_UID) || st->st_uid == c->uid) &&
           (!(set & BATCH_SET_GID) || st->st_gid == c->gid) &&
           (!(set & BATCH_SET_MTIME) || timespec_to_ns(st->st_mtim) == c->mtime_ns);
}

/* It was killed before it got its mode. */
static bool is_unfinished(const struct stat *dir)
{
    return (dir->st_mode & 0777) == 0700;
}

static bool content_fits(struct renewal *n, const struct place *p, uint64_t change)
{
    const struct batch_change *c = &n->v[change];
    struct shape s = {.size = n->steps[change].size};
    bool fits = false;
    int fd;

    if (!S_ISREG(p->st.st_mode))
        return false;
    fd = openat(p->dir, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && c->flags & BATCH_APPEND)
        fits = append_is_there(n->a, c, fd, s.size);
    else if (fd >= 0)
        fits = data_is_there(n->a, c, &s, fd);
    if (fd >= 0)
        close(fd);
    return fits;
}

static bool object_fits(const struct place *p, const struct batch_object *o, unsigned set)
{
    const struct stat *st = &p->st;

    if (st->st_ino == o->ino &&
        (o->means == BATCH_SAME || S_ISDIR(st->st_mode) ||
         ((uint64_t)st->st_size == o->size &&
          (!(set & BATCH_SET_MTIME) || timespec_to_ns(st->st_mtim) == o->mtime_ns))))
        return true;
    return o->hash && S_ISREG(st->st_mode) && (uint64_t)st->st_size == o->size &&
           file_has_hash(p->dir, p->name, st, o->hash);
}

static bool place_fits(struct renewal *n, const struct place *p, uint32_t thing)
{
    unsigned set = BATCH_SET_ALL; /* what no later change has set */

    while (p->there && thing >= FIRST) {
        const uint64_t change = (thing - FIRST) / THINGS;
        const struct batch_change *c = &n->v[change];

        if ((thing - FIRST) % THINGS != MADE)
            return object_fits(p, (thing - FIRST) % THINGS == AT ? &c->at : &c->at2, set);
        if (c->kind == BATCH_MKDIR)
            return S_ISDIR(p->st.st_mode) &&
                   (is_unfinished(&p->st) || attr_fits(&p->st, c, set & BATCH_SET_MODE));
        if (c->kind == BATCH_SYMLINK)
            return place_has_target(p, c->path2);
        if (!attr_fits(&p->st, c, c->kind == BATCH_SETATTR ? set : set & BATCH_SET_MTIME))
            return false;
        if (c->kind == BATCH_WRITE)
            return content_fits(n, p, change);
        set &= ~c->set;
        thing = n->steps[change].base;
    }
    return p->there == (thing != NOTHING);
}

static bool spot_fits(struct renewal *n, struct spot *s)
{
    struct place p;
    bool fits;

    if (place_open(n->a, s->path, &p) < 0)
        return s->has == NOTHING; /* there is no way to it */
    fits = place_fits(n, &p, s->has);
    s->st = p.st;
    place_done(&p);
    return fits;
}

/* ---- spots and parts ---- */

static int spot_find(struct renewal *n, const char *path, uint32_t had)
{
    int *bucket = &n->buckets[crc32c(0, path, strlen(path)) % BUCKETS], i;

    for (i = *bucket; i != NONE; i = n->spots[i].next)
        if (strcmp(n->spots[i].path, path) == 0)
            return i;
    i = n->spot_count;
    if (i == SPOTS_MAX)
        return -ENOMEM;
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

    part->bad -= !s->fits;
    s->has = has;
    s->fits = spot_fits(n, s);
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
    const uint64_t size = size_of(n, base);

    if (c->kind != BATCH_WRITE)
        return size;
    if (!(c->flags & BATCH_APPEND))
        return shape_of(c, size == BATCH_ALL ? 0 : size).size;
    return size == BATCH_ALL ? size : size + data_total(c);
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
            n->later[base] = made;
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

/* It was killed when what it moves had both names. */
static void drop_first_name(struct renewal *n, int from, int to)
{
    struct place p, q;

    if (place_open(n->a, n->spots[from].path, &p) < 0)
        return;
    if (place_open(n->a, n->spots[to].path, &q) == 0) {
        if (p.there && q.there && p.st.st_ino == q.st.st_ino && !S_ISDIR(p.st.st_mode))
            (void)unlinkat(p.dir, p.name, 0);
        place_done(&q);
    }
    place_done(&p);
    spot_set(n, from, NOTHING);
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
    if (!n->spots[from].fits && part_of(n, from)->bad == 1)
        drop_first_name(n, from, to);
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
    for (const struct spot *s = &n->spots[part->ring];; s = &n->spots[s->ring]) {
        n->things[s->has] = s->st;
        if (s == part)
            break;
    }
}

static bool consider_all(struct renewal *n)
{
    /* There must be time left to do something. */
    const int64_t until_ns = n->a->until_ns - apply_limit_ns() / 2;

    for (n->now = 0; n->now < n->count && clock_mono_ns() < until_ns; n->now++) {
        const struct batch_change *c = &n->v[n->now];
        struct spot *part;

        if (consider(n, c) < 0)
            return false;
        part = part_of(n, spot_find(n, c->path, NOTHING));
        if (part->bad == 0 && c->kind != BATCH_FSYNC) /* which makes nothing that could be seen */
            mark_done(n, part);
    }
    return true;
}

static char *copy_of(const void *p, size_t len)
{
    char *copy = malloc(len + 1);

    if (copy && len > 0)
        memcpy(copy, p, len);
    return copy;
}

static bool copy_change(struct batch_change *c)
{
    c->path = copy_of(c->path, strlen(c->path) + 1);
    if (c->path2)
        c->path2 = copy_of(c->path2, strlen(c->path2) + 1);
    c->pieces =
        (struct batch_piece *)(void *)copy_of(c->pieces, c->piece_count * sizeof(*c->pieces));
    return c->path && c->pieces;
}

static int take_changes(struct renewal *n)
{
    struct message *m = &n->a->message;
    const struct proto_in start = m->changes.in;
    int r = 0;

    while (r == 0 && n->count < n->a->record.count && (r = message_next(m, &n->v[n->count])) > 0)
        r = copy_change(&n->v[n->count++]) ? 0 : -ENOMEM;
    batch_changes_done(&m->changes);
    m->changes.in = start;
    return r;
}

struct renewal *renewal_free(struct renewal *n)
{
    for (uint64_t i = 0; n && n->v && i < n->count; i++) {
        free((char *)n->v[i].path);
        free((char *)n->v[i].path2);
        free((struct batch_piece *)n->v[i].pieces);
    }
    for (int i = 0; n && i < n->spot_count; i++)
        free(n->spots[i].path);
    if (n) {
        free(n->v);
        free(n->steps);
        free(n->things);
        free(n->later);
        free(n->spots);
    }
    free(n);
    return NULL;
}

struct renewal *renewal_new(struct apply *a)
{
    const size_t count = (size_t)a->record.count;
    struct renewal *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->a = a;
    n->v = calloc(count, sizeof(*n->v));
    n->steps = calloc(count, sizeof(*n->steps));
    n->things = calloc(thing_of(count, AT), sizeof(*n->things));
    n->spots = calloc(SPOTS_MAX, sizeof(*n->spots));
    memset(n->buckets, 0xff, sizeof(n->buckets));
    for (size_t i = 0; n->steps && i < count; i++)
        n->steps[i].next = NONE;
    n->later = calloc(thing_of(count, AT), sizeof(*n->later));
    if (!n->v || !n->steps || !n->things || !n->later || !n->spots || take_changes(n) < 0 ||
        !consider_all(n))
        return renewal_free(n);
    return n;
}

bool renewal_tell(const struct renewal *n, uint64_t change, struct batch_result *ret)
{
    static const struct stat gone = {.st_ino = 1, .st_mode = S_IFREG};
    const struct batch_change *c = n ? &n->v[change] : NULL;
    const struct stat *st;
    struct place p;
    uint32_t left;

    if (!n || !n->steps[change].done)
        return false;
    left = n->steps[change].left;
    while (n->things[left].st_mode == 0 && n->later[left] != 0)
        left = n->later[left];
    st = &n->things[left];
    (void)result_done(ret, left == NOTHING ? NULL : st->st_mode ? st : &gone);
    keep_tell(n->a, c, ret);
    if (place_open(n->a, c->kind == BATCH_RENAME ? c->path2 : c->path, &p) < 0)
        return true;
    if (p.there)
        result_born(ret, p.dir, p.name);
    if (c->kind == BATCH_MKDIR && p.there && p.st.st_ino == st->st_ino && is_unfinished(st))
        (void)names_finish_dir(c, &p, ret);
    else if (c->flags & BATCH_FSYNC_TOO)
        (void)place_sync(&p);
    place_done(&p);
    return true;
}
