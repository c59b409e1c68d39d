/*
 * Where nodes are found: by id, by directory and name, and by the file they are a name of. A
 * million of them are the bulk of what a mount keeps in memory, so a node carries one pointer for
 * each way, and no directory has a table of its own. The sandbox says which file it is: it can make
 * neither hashes that are alike, nor a chain of one file so long that to leave it takes long.
 */
#include "fs/fs_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BITS_FIRST = 6, BITS_MAX = 30 };

static uint32_t hash_of_id(uint64_t id)
{
    return (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

uint32_t index_hash_name(const struct fs *fs, const struct node *dir, const char *name)
{
    return (uint32_t)(siphash(&fs->hash_key, name, strlen(name)) >> 32) ^ hash_of_id(dir->id);
}

/* What is not there yet has no number, but all of its names show the same. */
static uint32_t hash_of_file(const struct node_index *x, const struct node *n)
{
    const uint64_t own = n->shown_ino != 0 ? n->shown_ino : show_own_ino(n);
    const uint64_t file[] = {n->attr.ino ? n->attr.ino : own, n->attr.ino ? n->attr.dev : 0};

    return (uint32_t)(siphash(x->key, file, sizeof(file)) >> 32);
}

static uint32_t hash_of(const struct node_index *x, const struct node *n)
{
    switch (x->chain) {
    case CHAIN_ID:
        return hash_of_id(n->id);
    case CHAIN_NAME:
        return n->name_hash;
    default:
        return hash_of_file(x, n);
    }
}

static size_t slot_of(const struct node_index *x, uint32_t hash)
{
    return hash >> (32 - x->bits);
}

int index_init(struct node_index *x, enum node_chain chain, const struct siphash_key *key)
{
    *x = (struct node_index){.chain = chain, .key = key, .bits = BITS_FIRST};
    x->v = calloc((size_t)1 << x->bits, sizeof(struct node *));
    return x->v ? 0 : -ENOMEM;
}

void index_done(struct node_index *x)
{
    free(x->v);
    x->v = NULL;
}

static void put(struct node_index *x, struct node *n)
{
    struct node **slot = &x->v[slot_of(x, hash_of(x, n))];

    n->chain[x->chain] = *slot;
    if (x->chain == CHAIN_FILE) {
        n->file_at = slot;
        if (*slot)
            (*slot)->file_at = &n->chain[CHAIN_FILE];
    }
    *slot = n;
}

/* Without memory the chains only get longer. */
static void grow(struct node_index *x)
{
    const size_t size = (size_t)1 << x->bits;
    struct node **old = x->v, *n, *next;
    struct node **v = x->bits < BITS_MAX ? calloc(2 * size, sizeof(struct node *)) : NULL;

    if (!v)
        return;
    x->v = v;
    x->bits++;
    for (size_t i = 0; i < size; i++)
        for (n = old[i]; n; n = next) {
            next = n->chain[x->chain];
            put(x, n);
        }
    free(old);
}

void index_add(struct node_index *x, struct node *n)
{
    if (x->count >= (size_t)1 << x->bits)
        grow(x);
    put(x, n);
    x->count++;
}

void index_remove(struct node_index *x, struct node *n)
{
    struct node **p = x->chain == CHAIN_FILE ? n->file_at : &x->v[slot_of(x, hash_of(x, n))];

    while (*p != n)
        p = &(*p)->chain[x->chain];
    *p = n->chain[x->chain];
    if (x->chain == CHAIN_FILE && *p)
        (*p)->file_at = p;
    x->count--;
}

struct node *index_find_id(const struct node_index *x, uint64_t id)
{
    struct node *n = x->v[slot_of(x, hash_of_id(id))];

    while (n && n->id != id)
        n = n->chain[CHAIN_ID];
    return n;
}

struct node *index_find_name(const struct node_index *x, uint32_t hash, const struct node *dir,
                             const char *name)
{
    struct node *n = x->v[slot_of(x, hash)];

    while (n && (n->name_hash != hash || n->parent != dir || strcmp(n->name, name) != 0))
        n = n->chain[CHAIN_NAME];
    return n;
}

bool index_same_file(const struct node *a, const struct node *b)
{
    if (a->attr.ino != b->attr.ino || a->attr.dev != b->attr.dev)
        return false;
    if (remote_attr_reborn(&a->attr, &b->attr))
        return false;
    return a->attr.ino != 0 || (a->shown_ino != 0 && a->shown_ino == b->shown_ino);
}

struct node *index_find_file(const struct node_index *x, const struct node *n,
                             const struct node *before)
{
    struct node *m = before ? before->chain[CHAIN_FILE] : x->v[slot_of(x, hash_of_file(x, n))];

    while (m && (m == n || !index_same_file(m, n)))
        m = m->chain[CHAIN_FILE];
    return m;
}

struct node *index_next(const struct node_index *x, const struct node *n)
{
    size_t i = 0;

    if (n && n->chain[x->chain])
        return n->chain[x->chain];
    if (n)
        i = slot_of(x, hash_of(x, n)) + 1;
    while (i < (size_t)1 << x->bits && !x->v[i])
        i++;
    return i < (size_t)1 << x->bits ? x->v[i] : NULL;
}
