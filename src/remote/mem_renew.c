/* Batches of remote_mem whose record is gone: what the names have, as proto/renew.h asks. */
#include "remote/batch_wire.h"
#include "remote/mem_internal.h"

#include "proto/renew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct mem_renew {
    struct mem *m;
    const struct remote_batch *b;
    struct batch_change *v;     /* owned: b's */
    struct batch_piece *pieces; /* owned */
    struct renewal *found;      /* owned; NULL: it cannot be known */
};

static bool attr_fits(const struct remote_attr *a, const struct renew_wants *w)
{
    return (!(w->set & BATCH_SET_MODE) || (a->mode & 07777) == w->mode) &&
           (!(w->set & BATCH_SET_UID) || a->uid == w->uid) &&
           (!(w->set & BATCH_SET_GID) || a->gid == w->gid) &&
           (!(w->set & BATCH_SET_MTIME) || a->mtime_ns == w->mtime_ns);
}

static bool has_piece(struct mem_renew *x, const struct mem_node *n, const struct remote_piece *p,
                      uint64_t base)
{
    const uint64_t off = base + p->off;
    uint8_t *got = off <= n->data.size && p->len <= n->data.size - off ? malloc(p->len + 1) : NULL;
    bool same = false;

    if (got) {
        mem_data_read(&n->data, got, p->len, off);
        same = memcmp(got, mem_piece(x->m, x->b, p), p->len) == 0;
    }
    free(got);
    return same;
}

static bool has_pieces(struct mem_renew *x, const struct mem_node *n, const struct remote_change *c,
                       uint64_t base)
{
    for (size_t i = 0; i < c->piece_count; i++)
        if (!has_piece(x, n, &c->pieces[i], base))
            return false;
    return true;
}

static bool content_fits(struct mem_renew *x, const struct mem_node *n, const struct renew_wants *w)
{
    const struct remote_change *c = &x->b->v[w->made - x->v];
    const struct remote_piece *last = c->piece_count > 0 ? &c->pieces[c->piece_count - 1] : NULL;
    const uint64_t total = last ? last->off + last->len : 0;

    if (!S_ISREG(n->attr.mode))
        return false;
    if (!(c->flags & REMOTE_CHANGE_APPEND))
        return n->attr.size == w->size && has_pieces(x, n, c, 0);
    /* Others may have added something, too. */
    for (uint64_t base = w->size - total; w->size != BATCH_ALL && base + total <= n->attr.size;
         base++)
        if (has_pieces(x, n, c, base))
            return true;
    return false;
}

static bool object_fits(const struct mem_node *n, const struct renew_wants *w)
{
    const struct batch_object *o = w->object;
    const struct remote_attr *a = &n->attr;

    if (a->ino == o->ino && !(a->birth != 0 && o->birth != 0 && a->birth != o->birth) &&
        (o->means == BATCH_SAME || S_ISDIR(a->mode) ||
         (a->size == o->size && (!w->times || a->mtime_ns == o->mtime_ns))))
        return true;
    return mem_has_hash(n, o->hash, o->size);
}

static bool fits(void *arg, const char *path, const struct renew_wants *w, void *ret_attr)
{
    struct mem_renew *x = arg;
    struct mem_node *n;
    int r;

    n = mem_node_at(x->m, path, &r);
    if (r == 0 && n)
        memcpy(ret_attr, &n->attr, sizeof(n->attr));
    if (!n || w->what <= RENEW_SOMETHING)
        return (n != NULL) == (w->what != RENEW_NOTHING);
    if (!attr_fits(&n->attr, w))
        return false;
    if (w->what == RENEW_OBJECT)
        return object_fits(n, w);
    if (w->made->kind == BATCH_MKDIR)
        return S_ISDIR(n->attr.mode);
    if (w->made->kind == BATCH_SYMLINK)
        return n->target && strcmp(n->target, w->made->path2) == 0;
    return content_fits(x, n, w);
}

static const struct renew_ops ops = {.attr_size = sizeof(struct remote_attr), .fits = fits};

struct mem_renew *mem_renew_free(struct mem_renew *x)
{
    if (x) {
        (void)renewal_free(x->found);
        free(x->v);
        free(x->pieces);
    }
    free(x);
    return NULL;
}

struct mem_renew *mem_renew_new(struct mem *m, const struct remote_batch *b)
{
    struct mem_renew *x = calloc(1, sizeof(*x));
    struct batch_piece *pieces;
    size_t count = 0;

    if (!x)
        return NULL;
    for (size_t i = 0; i < b->count; i++)
        count += b->v[i].piece_count;
    *x = (struct mem_renew){.m = m, .b = b};
    x->v = calloc(b->count, sizeof(*x->v));
    x->pieces = pieces = calloc(count + 1, sizeof(*pieces));
    for (size_t i = 0; x->v && pieces && i < b->count; i++) {
        x->v[i] = batch_wire_change(&b->v[i], pieces);
        pieces += b->v[i].piece_count;
    }
    if (x->v && x->pieces)
        x->found = renewal_new(&ops, x, x->v, b->count);
    return x->found ? x : mem_renew_free(x);
}

bool mem_renew_tell(const struct mem_renew *x, size_t change, struct remote_result *ret)
{
    static const struct remote_attr gone = {.ino = 1, .mode = S_IFREG};
    const void *attr = NULL;
    const enum renewal_left left = x ? renewal_left(x->found, change, &attr) : RENEWAL_OPEN;

    if (left == RENEWAL_OPEN)
        return false;
    *ret = (struct remote_result){.outcome = REMOTE_DONE};
    if (left != RENEWAL_NOTHING)
        ret->now = left == RENEWAL_IT ? *(const struct remote_attr *)attr : gone;
    return true;
}
