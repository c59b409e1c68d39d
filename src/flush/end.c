/*
 * end.c - how changes end. The journal has what the sandbox said; then the owner is told, then the
 * journal that they are settled: whoever dies in between tells it once more, to nobody.
 *
 * What stands on a failed change fails with it: later ones at its paths or below, and those whose
 * object it should have made; also those that are queued while the owner is being told.
 */
#include "flush/flush_internal.h"

#include "util/clock.h"
#include "util/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ending {
    struct flush *f;
    struct end *v; /* owned */
    size_t count, cap;
    uint64_t rejected, conflict; /* stamps */
    bool bad;                    /* some failed */
    uint64_t seen;               /* spread: up to here */
};

static int end_add(struct ending *x, const struct end *e)
{
    if (x->count == x->cap) {
        const size_t cap = x->cap ? 2 * x->cap : 64;
        struct end *v = realloc(x->v, cap * sizeof(*v));

        if (!v)
            return -ENOMEM;
        x->v = v;
        x->cap = cap;
    }
    x->v[x->count++] = *e;
    return 0;
}

static bool is_bad(const struct end *e)
{
    return e->outcome == JOURNAL_REJECTED || e->outcome == JOURNAL_CONFLICT;
}

static void set_bad(struct ending *x, struct change *c, enum journal_outcome outcome)
{
    x->bad = true;
    c->bad = outcome == JOURNAL_CONFLICT ? x->conflict : x->rejected;
}

static void mark_paths(struct change *c)
{
    node_mark(c->at, c->bad);
    if (c->at2)
        node_mark(c->at2, c->bad);
}

static bool under(const struct change *c, uint64_t mark)
{
    return node_under(c->at, mark) || (c->at2 && node_under(c->at2, mark));
}

/* OPEN: it stands on nothing that failed. */
static enum journal_outcome inherits(struct ending *x, const struct change *c)
{
    bool made_by_conflict = false, made_by_rejected = c->lost;

    for (int i = 0; i < JOURNAL_ROLES; i++) {
        const struct change *maker = change_is_of(i) ? change_find(x->f, c->made[i]) : NULL;

        made_by_conflict = made_by_conflict || (maker && maker->bad == x->conflict);
        made_by_rejected = made_by_rejected || (maker && maker->bad == x->rejected);
    }
    if (made_by_conflict || under(c, x->conflict))
        return JOURNAL_CONFLICT;
    return made_by_rejected || under(c, x->rejected) ? JOURNAL_REJECTED : JOURNAL_OPEN;
}

/* Adds what is lost with those that failed: only later ones. */
static int spread(struct ending *x)
{
    int r = 0;

    if (!x->bad && x->f->lost == 0)
        return 0;
    for (struct change *c = x->f->head; c && r == 0; c = c->next) {
        enum journal_outcome outcome;

        if (c->seq <= x->seen)
            continue;
        if (c->ended && (c->bad == x->rejected || c->bad == x->conflict))
            mark_paths(c);
        if (c->state != CHANGE_WAITS || c->ended)
            continue;
        outcome = inherits(x, c);
        if (outcome == JOURNAL_OPEN)
            continue;
        r = end_add(x, &(struct end){.c = c, .outcome = outcome, .err = -ECANCELED});
        c->ended = true;
        set_bad(x, c, outcome);
        mark_paths(c);
    }
    x->seen = x->f->tail ? x->f->tail->seq : 0;
    return r;
}

/* What failed here for another one's sake ends as that one. */
static void mark_all(struct ending *x)
{
    for (size_t i = 0; i < x->count; i++) {
        struct end *e = &x->v[i];

        e->c->ended = true;
        if (e->outcome == JOURNAL_REJECTED && e->err == -ECANCELED &&
            inherits(x, e->c) == JOURNAL_CONFLICT)
            e->outcome = JOURNAL_CONFLICT;
        if (is_bad(e)) {
            set_bad(x, e->c, e->outcome);
            mark_paths(e->c);
        }
    }
    /* Anew, for spread: what came before one that failed does not stand on it. */
    x->rejected = ++x->f->stamp;
    x->conflict = ++x->f->stamp;
    for (size_t i = 0; i < x->count; i++)
        if (is_bad(&x->v[i]))
            set_bad(x, x->v[i].c, x->v[i].outcome);
}

/* ---- telling ---- */

static int tell(struct flush *f, const struct end *v, size_t count)
{
    struct flush_end *told = calloc(count + 1, sizeof(*told));
    struct flush_owner owner;
    int r = told ? 0 : -ENOMEM;

    lock_take(&f->lock);
    owner = f->owner;
    for (size_t i = 0; i < count && r == 0; i++) {
        char *path = node_path(v[i].c->at);

        told[i] = (struct flush_end){.seq = v[i].c->seq,
                                     .outcome = v[i].outcome,
                                     .err = v[i].err,
                                     .path = path,
                                     .has_now = v[i].has_now,
                                     .now = v[i].now,
                                     .other = v[i].other,
                                     .told_ns = v[i].told_ns};
        if (!path)
            r = -ENOMEM;
    }
    lock_drop(&f->lock);
    if (r == 0 && owner.ended)
        owner.ended(owner.arg, told, count);
    for (size_t i = 0; told && i < count; i++)
        free((char *)told[i].path);
    free(told);
    return r;
}

static int settle(struct flush *f, const struct end *v, size_t count)
{
    struct journal_result *results = calloc(count + 1, sizeof(*results));
    int r;

    if (!results)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        results[i] =
            (struct journal_result){.seq = v[i].c->seq, .settled = v[i].outcome, .err = v[i].err};
    r = journal_settle(f->journal, results, count);
    free(results);
    return r;
}

static const int64_t pause_most_ns = 10 * NS_PER_S;

bool end_may_retry(struct flush *f, int err)
{
    return err == -ENOSPC || (err == -EIO && journal_failed(f->journal) == 0);
}

/* Nothing goes on before what was told is written down. The lock is dropped meanwhile. */
static void wait_for_disk(struct flush *f, int err, int64_t *pause_ns)
{
    f->line = err;
    (void)lock_wait_until(&f->lock, &f->work, clock_mono_ns() + *pause_ns);
    if (*pause_ns < pause_most_ns)
        *pause_ns *= 2;
}

/* ---- remembering ---- */

struct recent *end_recent(struct flush *f, uint64_t seq)
{
    struct recent *e = NULL;

    HASH_FIND(hh, f->recent, &seq, sizeof(seq), e);
    return e;
}

static void recent_free(struct flush *f, struct recent *e)
{
    HASH_DEL(f->recent, e);
    free(e->path);
    free(e);
}

void end_done(struct flush *f)
{
    while (f->recent)
        recent_free(f, f->recent);
}

static void remember(struct flush *f, const struct end *e)
{
    struct recent *recent = calloc(1, sizeof(*recent));

    if (!recent)
        return; /* a caller that is late is told that the maker is unknown */
    recent->seq = e->c->seq;
    recent->outcome = e->outcome;
    recent->err = e->err;
    recent->path = node_path(e->c->at2 ? e->c->at2 : e->c->at);
    recent->now = e->known;
    HASH_ADD(hh, f->recent, seq, sizeof(recent->seq), recent);
    if (HASH_COUNT(f->recent) > RECENT_MAX)
        recent_free(f, f->recent); /* the oldest: uthash keeps the order */
}

static int park(struct flush *f, const struct end *e)
{
    struct buf mem = BUF_INIT(JOURNAL_RECORD_MAX);
    struct journal_item item;
    int r = journal_get(f->journal, e->c->seq, &mem, &item);

    if (r == 0)
        r = park_add(f, &item.rec, e->outcome, e->err, false);
    buf_done(&mem);
    return r;
}

static void leave(struct ending *x)
{
    struct flush *f = x->f;

    for (size_t i = 0; i < x->count; i++) {
        struct end *e = &x->v[i];

        if (is_bad(e) && park(f, e) < 0)
            log_msg(LOG_ERROR, "a change that did not succeed is kept, but not shown until the "
                               "next mount");
        if (e->outcome == JOURNAL_DONE) {
            f->done++;
            f->done_bytes += e->c->bytes;
        }
        f->lost -= e->c->lost;
        remember(f, e);
        wait_ended(f, e);
    }
    /* The makers of others are looked for until the last is told. */
    for (size_t i = 0; i < x->count; i++)
        change_remove(f, x->v[i].c);
}

int end_changes(struct flush *f, struct end *v, size_t count)
{
    struct ending x = {.f = f, .v = v, .count = count, .cap = count};
    int64_t pause_ns = 50 * NS_PER_MS;
    size_t told = 0;
    int r = 0, waited_for = 0;

    lock_take(&f->lock);
    x.rejected = ++f->stamp;
    x.conflict = ++f->stamp;
    mark_all(&x);
    r = spread(&x);
    for (;;) {
        while (told < x.count && r == 0) {
            const size_t from = told;

            told = x.count;
            lock_drop(&f->lock);
            r = tell(f, x.v + from, told - from);
            lock_take(&f->lock);
            if (r == 0)
                r = spread(&x); /* what was queued meanwhile */
        }
        if (r == 0)
            r = settle(f, x.v, x.count);
        if (!end_may_retry(f, r) || (r != -ENOSPC && pause_ns >= pause_most_ns) || f->stop)
            break;
        wait_for_disk(f, r, &pause_ns);
        waited_for = r;
        r = spread(&x);
    }
    if (r == 0 && waited_for && f->line == waited_for)
        f->line = 0;
    if (r == 0)
        leave(&x);
    pthread_cond_broadcast(&f->news);
    lock_drop(&f->lock);
    free(x.v);
    return r;
}
