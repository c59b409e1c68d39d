/*
 * content.c - what the records of one file, one after the other, make of its content: which part of
 * what was there stays, and which bytes of which record lie over it.
 */
#include "flush/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void content_done(struct content *x)
{
    free(x->v);
    *x = (struct content)CONTENT_INIT;
}

static int reserve(struct content *x, size_t more)
{
    const size_t need = x->count + more;
    size_t cap = x->cap ? x->cap : 4;
    struct piece *v;

    if (need <= x->cap)
        return 0;
    while (cap < need)
        cap *= 2;
    v = realloc(x->v, cap * sizeof(*v));
    if (!v)
        return -ENOMEM;
    x->v = v;
    x->cap = cap;
    return 0;
}

/* The first piece that ends behind off. */
static size_t place(const struct content *x, uint64_t off)
{
    size_t lo = 0, hi = x->count;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;

        if (x->v[mid].off + x->v[mid].len <= off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void move(struct content *x, size_t from, size_t to)
{
    memmove(&x->v[to], &x->v[from], (x->count - from) * sizeof(*x->v));
    x->count = x->count - from + to;
}

/* Makes room for off … end and says where. Room for two more is there. */
static size_t clear(struct content *x, uint64_t off, uint64_t end)
{
    size_t i = place(x, off), last;

    if (i < x->count && x->v[i].off < off) {
        struct piece *p = &x->v[i];
        const uint64_t cut = off - p->off;

        if (p->off + p->len > end) { /* it goes on behind */
            const struct piece tail = {end, p->off + p->len - end, p->seq, p->at + (end - p->off)};

            move(x, i, i + 1);
            x->v[i + 1] = tail;
        }
        x->v[i++].len = cut;
    }
    for (last = i; last < x->count && x->v[last].off + x->v[last].len <= end; last++)
        ;
    if (last < x->count && x->v[last].off < end) {
        struct piece *p = &x->v[last];
        const uint64_t cut = end - p->off;

        p->off += cut;
        p->at += cut;
        p->len -= cut;
    }
    move(x, last, i);
    return i;
}

static bool goes_on(const struct piece *a, const struct piece *b)
{
    return a->off + a->len == b->off && a->seq == b->seq && a->at + a->len == b->at;
}

int content_write(struct content *x, const struct piece *p)
{
    size_t i;
    int r;

    if (p->len == 0)
        return 0;
    r = reserve(x, 2);
    if (r < 0)
        return r;
    i = clear(x, p->off, p->off + p->len);
    if (i > 0 && goes_on(&x->v[i - 1], p)) {
        x->v[i - 1].len += p->len;
    } else {
        move(x, i, i + 1);
        x->v[i] = *p;
    }
    if (x->size != CONTENT_UNKNOWN && x->size < p->off + p->len)
        x->size = p->off + p->len;
    return 0;
}

void content_resize(struct content *x, uint64_t size)
{
    if (x->count > 0) {
        const size_t i = place(x, size);

        if (i < x->count && x->v[i].off < size) {
            x->v[i].len = size - x->v[i].off;
            x->count = i + 1;
        } else {
            x->count = i;
        }
    }
    if (x->keep > size)
        x->keep = size;
    x->size = size;
}

void content_replace(struct content *x)
{
    x->count = 0;
    x->keep = x->size = 0;
    x->append = false;
}
