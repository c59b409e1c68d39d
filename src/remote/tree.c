#include "remote/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 << 10 };

/* Strings one behind the other: an allocation for each would cost more than most names. */
struct block {
    struct block *next;
    size_t used, size;
    char bytes[];
};

struct remote_store {
    struct block *blocks; /* the first has room */
    size_t total;         /* bytes in blocks */
    size_t dir_cap, entry_cap;
};

void remote_tree_done(struct remote_tree *t)
{
    struct block *next;

    for (struct block *b = t->store ? t->store->blocks : NULL; b; b = next) {
        next = b->next;
        free(b);
    }
    free(t->store);
    free(t->dirs);
    free(t->v);
    *t = (struct remote_tree){0};
}

static struct remote_store *store_of(struct remote_tree *t)
{
    if (!t->store)
        t->store = calloc(1, sizeof(*t->store));
    return t->store;
}

static struct block *add_block(struct remote_store *s, size_t need)
{
    const size_t size = need > BLOCK ? need : BLOCK;
    struct block *b;

    if (size > TREE_STRINGS_MAX - s->total)
        return NULL;
    b = malloc(sizeof(*b) + size);
    if (!b)
        return NULL;
    *b = (struct block){.next = s->blocks, .size = size};
    s->blocks = b;
    s->total += size;
    return b;
}

const char *tree_string(struct remote_tree *t, const char *p, size_t n)
{
    struct remote_store *s = store_of(t);
    struct block *b;
    char *copy;

    if (!s || n >= TREE_STRINGS_MAX)
        return NULL;
    b = s->blocks;
    if (!b || b->size - b->used <= n)
        b = add_block(s, n + 1);
    if (!b)
        return NULL;
    copy = b->bytes + b->used;
    memcpy(copy, p, n);
    copy[n] = '\0';
    b->used += n + 1;
    return copy;
}

/* v with room for one more of size bytes; NULL leaves it as it is: *ret_err says why. */
static void *grown(void *v, size_t count, size_t *cap, size_t max, size_t size, int *ret_err)
{
    size_t more = count < 64 ? 64 : count + count / 2;
    void *p;

    *ret_err = 0;
    if (count < *cap)
        return v;
    if (more > max)
        more = max;
    p = count < max ? realloc(v, more * size) : NULL;
    if (p)
        *cap = more;
    else
        *ret_err = count < max ? -ENOMEM : -EFBIG;
    return p;
}

/* Why there was no room for n more bytes. */
static int full(const struct remote_store *s, size_t n)
{
    return n < TREE_STRINGS_MAX - s->total ? -ENOMEM : -EFBIG;
}

int tree_add_dir(struct remote_tree *t, const char *path, size_t len, struct remote_dir **ret)
{
    struct remote_store *s = store_of(t);
    struct remote_dir d = {.first = t->count};
    struct remote_dir *dirs;
    int r;

    if (!s)
        return -ENOMEM;
    dirs = grown(t->dirs, t->dir_count, &s->dir_cap, TREE_DIRS_MAX, sizeof(*dirs), &r);
    if (!dirs)
        return r;
    t->dirs = dirs;
    d.path = tree_string(t, path, len);
    if (!d.path)
        return full(s, len);
    t->dirs[t->dir_count] = d;
    *ret = &t->dirs[t->dir_count++];
    return 0;
}

int tree_add_entry(struct remote_tree *t, const char *name, size_t name_len, const char *target,
                   size_t target_len, const struct remote_attr *attr)
{
    struct remote_store *s = store_of(t);
    struct remote_entry e = {.attr = *attr};
    struct remote_entry *v;
    int r;

    if (!s)
        return -ENOMEM;
    v = grown(t->v, t->count, &s->entry_cap, TREE_ENTRIES_MAX, sizeof(*v), &r);
    if (!v)
        return r;
    t->v = v;
    e.name = (char *)tree_string(t, name, name_len);
    if (target && e.name)
        e.target = (char *)tree_string(t, target, target_len);
    if (!e.name || (target && !e.target))
        return full(s, name_len + target_len);
    t->v[t->count++] = e;
    t->dirs[t->dir_count - 1].count++;
    return 0;
}

void tree_fail_dir(struct remote_tree *t, int err)
{
    struct remote_dir *d = &t->dirs[t->dir_count - 1];

    t->count = d->first;
    *d = (struct remote_dir){.path = d->path, .err = err, .first = d->first};
}

/* v of have things gets those of more behind it, n bytes each; NULL without memory. */
static void *joined(void *v, size_t have, size_t cap, const void *more, size_t count, size_t n)
{
    if (cap < have + count)
        v = realloc(v, (have + count) * n);
    if (v && count > 0)
        memcpy((char *)v + have * n, more, count * n);
    return v;
}

int tree_join(struct remote_tree *t, struct remote_tree *more)
{
    struct remote_store *s = store_of(t), *ms = store_of(more);
    struct block **last;
    void *p;

    if (!s || !ms)
        return -ENOMEM;
    if (more->dir_count > TREE_DIRS_MAX - t->dir_count ||
        more->count > TREE_ENTRIES_MAX - t->count || ms->total > TREE_STRINGS_MAX - s->total)
        return -EFBIG;
    p = joined(t->dirs, t->dir_count, s->dir_cap, more->dirs, more->dir_count, sizeof(*t->dirs));
    if (!p && more->dir_count > 0)
        return -ENOMEM;
    t->dirs = p;
    for (size_t i = 0; i < more->dir_count; i++)
        t->dirs[t->dir_count + i].first += t->count;
    if (s->dir_cap < t->dir_count + more->dir_count)
        s->dir_cap = t->dir_count + more->dir_count;
    p = joined(t->v, t->count, s->entry_cap, more->v, more->count, sizeof(*t->v));
    if (!p && more->count > 0)
        return -ENOMEM;
    t->v = p;
    if (s->entry_cap < t->count + more->count)
        s->entry_cap = t->count + more->count;
    t->dir_count += more->dir_count;
    t->count += more->count;

    for (last = &ms->blocks; *last; last = &(*last)->next)
        ;
    *last = s->blocks; /* the strings move as they are */
    s->blocks = ms->blocks;
    s->total += ms->total;
    ms->blocks = NULL;
    remote_tree_done(more);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct remote_entry *)a)->name, ((const struct remote_entry *)b)->name);
}

static int settle_dir(struct remote_entry *v, size_t count)
{
    bool sorted = true;

    for (size_t i = 1; i < count && sorted; i++)
        sorted = by_name(&v[i - 1], &v[i]) < 0;
    if (sorted)
        return 0;
    qsort(v, count, sizeof(*v), by_name);
    for (size_t i = 1; i < count; i++) {
        if (by_name(&v[i - 1], &v[i]) == 0)
            return -EPROTO;
    }
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_dirs(const struct remote_tree *t)
{
    const char **paths = malloc((t->dir_count + 1) * sizeof(*paths));
    int r = 0;

    if (!paths)
        return -ENOMEM;
    for (size_t i = 0; i < t->dir_count; i++)
        paths[i] = t->dirs[i].path;
    qsort(paths, t->dir_count, sizeof(*paths), by_path);
    for (size_t i = 1; i < t->dir_count && r == 0; i++) {
        if (strcmp(paths[i - 1], paths[i]) == 0)
            r = -EPROTO;
    }
    free(paths);
    return r;
}

int tree_settle(struct remote_tree *t)
{
    int r = check_dirs(t);

    for (size_t i = 0; i < t->dir_count && r == 0; i++)
        if (t->dirs[i].count > 0) /* else v may be NULL */
            r = settle_dir(t->v + t->dirs[i].first, t->dirs[i].count);
    return r;
}
