/* queue.c - the changes that wait, by number and by path. All with the lock held. */
#include "flush/flush_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- paths ---- */

static struct node *node_new(struct node *parent, const char *name, size_t len)
{
    const size_t key_len = sizeof(parent) + len;
    struct node *n = calloc(1, sizeof(*n) + key_len + 1);

    if (!n)
        return NULL;
    n->parent = parent;
    n->key_len = (unsigned)key_len;
    memcpy(n->key, &parent, sizeof(parent));
    memcpy(n->key + sizeof(parent), name, len);
    return n;
}

static const char *name_of(const struct node *n)
{
    return (const char *)n->key + sizeof(n->parent);
}

/* Of parent, which it takes over: one count of it goes with the name. */
static struct node *child_get(struct flush *f, struct node *parent, const char *name, size_t len)
{
    unsigned char key[sizeof(parent) + JOURNAL_PATH_MAX];
    struct node *n;

    memcpy(key, &parent, sizeof(parent));
    memcpy(key + sizeof(parent), name, len);
    HASH_FIND(hh, f->nodes, key, sizeof(parent) + len, n);
    if (n) {
        n->refs++;
        node_put(f, parent);
        return n;
    }
    n = node_new(parent, name, len);
    if (!n) {
        node_put(f, parent);
        return NULL;
    }
    n->refs = 1;
    HASH_ADD(hh, f->nodes, key, n->key_len, n);
    return n;
}

struct node *node_get(struct flush *f, const char *path)
{
    struct node *n = f->root;

    n->refs++;
    while (n && *path) {
        const size_t len = strcspn(path, "/");

        if (len > 0)
            n = child_get(f, n, path, len);
        path += len + (path[len] == '/');
    }
    return n;
}

struct node *node_put(struct flush *f, struct node *n)
{
    while (n && --n->refs == 0) {
        struct node *parent = n->parent;

        HASH_DEL(f->nodes, n);
        free(n);
        n = parent;
    }
    return NULL;
}

bool node_is_below(const struct node *n, const struct node *dir)
{
    while (n && n != dir)
        n = n->parent;
    return n != NULL;
}

char *node_path(const struct node *n)
{
    size_t len = 0;
    char *path;

    if (!n->parent)
        return strdup("/");
    for (const struct node *a = n; a->parent; a = a->parent)
        len += 1 + a->key_len - sizeof(a->parent);
    path = malloc(len + 1);
    if (!path)
        return NULL;
    path[len] = '\0';
    for (const struct node *a = n; a->parent; a = a->parent) {
        const size_t part = a->key_len - sizeof(a->parent);

        len -= part;
        memcpy(path + len, name_of(a), part);
        path[--len] = '/';
    }
    return path;
}

void node_mark(struct node *n, uint64_t mark)
{
    n->at = mark;
    for (n = n->parent; n && n->below != mark; n = n->parent)
        n->below = mark;
}

bool node_under(const struct node *n, uint64_t mark)
{
    while (n && n->at != mark)
        n = n->parent;
    return n != NULL;
}

bool node_meets(const struct node *n, uint64_t mark)
{
    return n->below == mark || node_under(n, mark);
}

int queue_init(struct flush *f)
{
    f->root = node_new(NULL, "", 0);
    if (!f->root)
        return -ENOMEM;
    f->root->refs = 1;
    HASH_ADD(hh, f->nodes, key, f->root->key_len, f->root);
    return 0;
}

void queue_done(struct flush *f)
{
    while (f->head)
        change_remove(f, f->head);
    f->root = node_put(f, f->root);
}

/* ---- groups ---- */

static int group_join(struct flush *f, struct change *c, const struct journal_record *rec)
{
    const bool grows =
        (c->kind == JOURNAL_PATCH || c->kind == JOURNAL_TRUNCATE) && (rec->flags & JOURNAL_GROWS);
    uint64_t id = rec->group;
    struct group *g;

    if (id == 0)
        return 0;
    HASH_FIND(hh, f->groups, &id, sizeof(id), g);
    if (!g) {
        g = calloc(1, sizeof(*g));
        if (!g)
            return -ENOMEM;
        g->id = id;
        HASH_ADD(hh, f->groups, id, sizeof(g->id), g);
    }
    g->count++;
    g->bytes += c->bytes;
    g->grows = g->grows || grows;
    g->rewrites = g->rewrites || (c->kind != JOURNAL_CREATE && c->kind != JOURNAL_APPEND &&
                                  c->kind != JOURNAL_SETATTR && !grows);
    if (g->data_ns == 0 && c->bytes > 0)
        g->data_ns = c->since_ns;
    c->group = g;
    ahead_note(g, c);
    return 0;
}

static void group_leave(struct flush *f, struct change *c)
{
    struct group *g = c->group;

    c->group = NULL;
    if (!g)
        return;
    g->bytes -= c->bytes;
    if (--g->count > 0)
        return;
    ahead_leave(f, g);
    HASH_DEL(f->groups, g);
    free(g);
}

bool change_held(const struct change *c)
{
    return c->group && c->seq > c->group->ready_seq;
}

/* ---- changes ---- */

struct change *change_find(struct flush *f, uint64_t seq)
{
    struct change *c = NULL;

    if (seq)
        HASH_FIND(hh, f->changes, &seq, sizeof(seq), c);
    return c;
}

static uint64_t bytes_of(const struct journal_record *rec)
{
    uint64_t bytes = rec->data_len;

    for (size_t i = 0; i < rec->extent_count; i++)
        bytes += rec->extents ? rec->extents[i].len : journal_record_extent(rec, i).len;
    return bytes;
}

static void insert(struct flush *f, struct change *c)
{
    struct change *after = f->tail;

    while (after && after->seq > c->seq) /* only what was parked goes before others */
        after = after->prev;
    c->prev = after;
    c->next = after ? after->next : f->head;
    *(after ? &after->next : &f->head) = c;
    *(c->next ? &c->next->prev : &f->tail) = c;
}

static void change_free(struct flush *f, struct change *c)
{
    group_leave(f, c);
    node_put(f, c->at);
    node_put(f, c->at2);
    free(c);
}

int change_add(struct flush *f, const struct journal_record *rec, uint64_t seq, struct change **ret)
{
    const bool two = rec->kind == JOURNAL_LINK || rec->kind == JOURNAL_RENAME;
    struct change *c = calloc(1, sizeof(*c));

    if (!c)
        return -ENOMEM;
    c->seq = seq;
    c->kind = rec->kind;
    c->bytes = bytes_of(rec);
    c->begin = rec->kind == JOURNAL_TRUNCATE ? rec->size : rec->off;
    c->end = c->begin + c->bytes;
    c->when_ns = rec->when_ns;
    c->since_ns = clock_mono_ns();
    c->exchange = rec->kind == JOURNAL_RENAME && (rec->flags & RENAME_EXCHANGE);
    c->only = rec->kind == JOURNAL_UNLINK && (rec->flags & JOURNAL_ONLY);
    c->absent = rec->object[JOURNAL_AT].means == JOURNAL_ABSENT;
    for (int i = 0; i < JOURNAL_ROLES; i++)
        if (rec->object[i].means == JOURNAL_MADE)
            c->made[i] = rec->object[i].made_by;
    c->at = node_get(f, rec->path);
    c->at2 = two ? node_get(f, rec->path2) : NULL;
    if (!c->at || (two && !c->at2) || group_join(f, c, rec) < 0) {
        change_free(f, c);
        return -ENOMEM;
    }
    insert(f, c);
    HASH_ADD(hh, f->changes, seq, sizeof(c->seq), c);
    f->waiting++;
    f->waiting_bytes += c->bytes;
    *ret = c;
    return 0;
}

void change_remove(struct flush *f, struct change *c)
{
    *(c->prev ? &c->prev->next : &f->head) = c->next;
    *(c->next ? &c->next->prev : &f->tail) = c->prev;
    HASH_DEL(f->changes, c);
    f->waiting--;
    f->waiting_bytes -= c->bytes;
    change_free(f, c);
}
