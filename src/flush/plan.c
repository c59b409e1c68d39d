/*
 * plan.c - which changes of a batch go as one, and which cancel out. With the lock held, before
 * anything is read from the journal.
 *
 * The records of one file become one change as long as nothing else touched its path, something
 * above or something below in between; then it makes no difference that the later ones go earlier.
 * Each must name one of them as the maker of its object, so that a file with several names is never
 * taken for another. What was made here and is removed again, never having been sent, goes nowhere:
 * no LINK or RENAME can have come between without touching its path. Nor does what was written to a
 * file that was there, and is removed with its only name: it goes as one change with the removal,
 * which is all that is left of it, on the version that the first of them stood on.
 */
#include "flush/flush_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { MEMBERS_MAX = 1 << 20, PASSES_MAX = 16 };

/* Marks of a pass are base + place in the batch, counted from 1: so later ones are larger. */
struct pass {
    struct sending *s;
    uint64_t base;
};

static bool touched_after(const struct node *n, uint64_t mark)
{
    if (n->below > mark)
        return true;
    while (n && n->at <= mark)
        n = n->parent;
    return n != NULL;
}

static bool is_write(enum journal_kind kind)
{
    return kind <= JOURNAL_CREATE;
}

/*
 * Can c's content follow what op has so far? The end of a file is not known before it is there. Nor
 * are attributes part of an append, which moves the time stamps when it is made: they go before it,
 * or after it.
 */
static bool content_follows(const struct op *op, const struct change *c)
{
    switch (c->kind) {
    case JOURNAL_PUT:
        return true;
    case JOURNAL_SETATTR:
        return !op->appends;
    case JOURNAL_APPEND:
        return op->sized || op->appends;
    case JOURNAL_PATCH:
    case JOURNAL_TRUNCATE:
        return op->sized || !op->appends;
    default:
        return false;
    }
}

static struct op *run_at(const struct pass *x, const struct node *n)
{
    return n->run > x->base ? &x->s->ops[n->run - x->base - 1] : NULL;
}

/* The op that made, or last wrote, c's object, if nothing came between. */
static struct op *run_of(struct flush *f, const struct pass *x, const struct change *c)
{
    struct op *op = run_at(x, c->at);
    const struct change *maker = change_find(f, c->made[JOURNAL_AT]);

    if (!op || !maker || maker->sending != x->s || &x->s->ops[maker->op] != op)
        return NULL;
    return touched_after(c->at, x->base + op->place) || c->forced != op->first->forced ? NULL : op;
}

static void note_content(struct op *op, const struct change *c)
{
    switch (c->kind) {
    case JOURNAL_PUT:
    case JOURNAL_CREATE:
        op->sized = true;
        op->patches = op->appends = false;
        break;
    case JOURNAL_TRUNCATE:
        op->sized = true;
        break;
    case JOURNAL_PATCH:
        op->patches = true;
        break;
    case JOURNAL_APPEND:
        op->appends = !op->sized;
        op->appended = true;
        break;
    default:
        return;
    }
    op->writes = true;
}

static void join(struct pass *x, struct op *op, struct change *c, uint64_t place)
{
    c->op = (size_t)(op - x->s->ops);
    c->op_next = NULL;
    *(op->last ? &op->last->op_next : &op->first) = c;
    op->last = c;
    op->members++;
    op->place = place;
    note_content(op, c);
    node_mark(c->at, x->base + place);
    if (c->at2)
        node_mark(c->at2, x->base + place);
}

static bool begins_run(const struct change *c)
{
    return is_write(c->kind) || c->kind == JOURNAL_SETATTR || c->kind == JOURNAL_SYMLINK ||
           c->kind == JOURNAL_MKDIR;
}

/* Somebody who waits for what is written to be on the disk is served first. An append does not say
 * on which version it stands. */
static bool ends_with(struct flush *f, const struct op *op, const struct change *c)
{
    struct kept *kept = NULL;

    HASH_FIND(hh, f->kept, &c->seq, sizeof(c->seq), kept);
    if (!c->only || kept || !op->writes || op->appended || op->first->absent)
        return false;
    for (const struct change *m = op->first; m; m = m->op_next)
        if (m->fsync)
            return false;
    return true;
}

static bool joins(struct flush *f, const struct op *op, const struct change *c, bool cancelling)
{
    const enum journal_kind first = op->first->kind;

    if (op->members >= MEMBERS_MAX || c->kind == JOURNAL_CREATE || op_removes(op))
        return false;
    if (c->kind == JOURNAL_UNLINK)
        return ends_with(f, op, c);
    /* A directory's or a link's attributes go alone, but are not in the way of its end. */
    if (first == JOURNAL_MKDIR || first == JOURNAL_SYMLINK)
        return cancelling && c->kind == JOURNAL_SETATTR;
    return (is_write(c->kind) || c->kind == JOURNAL_SETATTR) && content_follows(op, c);
}

static bool cancels(const struct op *op, const struct change *c)
{
    const struct change *first = op->first;

    if (!first->absent)
        return false;
    if (c->kind == JOURNAL_RMDIR)
        return first->kind == JOURNAL_MKDIR;
    return c->kind == JOURNAL_UNLINK &&
           (first->kind == JOURNAL_CREATE || first->kind == JOURNAL_PUT ||
            first->kind == JOURNAL_SYMLINK);
}

bool op_removes(const struct op *op)
{
    return op->first != op->last && op->last->kind == JOURNAL_UNLINK;
}

/* *ret_dropped: how many cancelled out. */
static void run_pass(struct flush *f, struct sending *s, bool cancelling, size_t *ret_dropped)
{
    struct pass x = {.s = s, .base = f->stamp};
    size_t dropped = 0;

    f->stamp += s->change_count + 1;
    s->count = 0;
    for (size_t i = 0; i < s->change_count; i++) {
        struct change *c = s->changes[i];
        struct op *op;

        if (c->dropped)
            continue;
        op = run_of(f, &x, c);
        if (op && cancelling && cancels(op, c)) {
            for (struct change *m = op->first; m; m = m->op_next) {
                m->dropped = true;
                dropped++;
            }
            c->dropped = true;
            dropped++;
            continue;
        }
        if (!op || !joins(f, op, c, cancelling)) {
            op = &s->ops[s->count++];
            *op = (struct op){.content = CONTENT_INIT};
            c->at->run = begins_run(c) ? x.base + s->count : 0;
        }
        join(&x, op, c, i + 1);
    }
    *ret_dropped = dropped;
}

/* Moves those that cancelled out to a list of their own. */
static int split(struct sending *s, size_t dropped, struct end **ret)
{
    struct end *v = calloc(dropped + 1, sizeof(*v));
    size_t kept = 0, n = 0;

    if (!v)
        return -ENOMEM;
    for (size_t i = 0; i < s->change_count; i++) {
        struct change *c = s->changes[i];

        if (c->dropped) {
            c->sending = NULL;
            v[n++] = (struct end){.c = c, .outcome = JOURNAL_DROPPED};
        } else {
            s->changes[kept++] = c;
        }
    }
    s->change_count = kept;
    *ret = v;
    return 0;
}

int plan_batch(struct flush *f, struct sending *s, struct end **ret_dropped, size_t *ret_count)
{
    size_t all = 0, dropped = 0;
    int r = 0;

    *ret_dropped = NULL;
    s->ops = calloc(s->change_count + 1, sizeof(*s->ops));
    if (!s->ops)
        return -ENOMEM;
    for (size_t i = 0; i < s->change_count; i++) {
        s->changes[i]->sending = s;
        s->changes[i]->dropped = false;
    }
    /* A directory cancels out once nothing is left in it. */
    for (int pass = 0; pass < PASSES_MAX && (pass == 0 || dropped > 0); pass++) {
        run_pass(f, s, true, &dropped);
        all += dropped;
    }
    if (all > 0)
        r = split(s, all, ret_dropped);
    *ret_count = all;
    /* Anew: the note in the journal must stand for itself, without them. */
    run_pass(f, s, false, &dropped);
    return r;
}
