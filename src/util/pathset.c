/* An open hash table of the paths and of all that is above them; those are starts of the former. */
#include "util/pathset.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct pathset_slot {
    const char *path; /* borrowed from paths; NULL: free */
    size_t len;       /* of its start that is meant; 0 is the root */
    bool member, above;
};

enum { SIZE_FIRST = 64 };

/* FNV-1a. What a sandbox could do with collisions is to slow itself down. */
static uint64_t hash_on(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
}

static const uint64_t hash_start = UINT64_C(0xcbf29ce484222325);

/* Where it is, or would be. There is always room. */
static struct pathset_slot *slot_of(const struct pathset *s, const char *path, size_t len,
                                    uint64_t hash)
{
    size_t i = (size_t)(hash ^ hash >> 32) & (s->size - 1);

    while (s->slots[i].path && (s->slots[i].len != len || memcmp(s->slots[i].path, path, len) != 0))
        i = (i + 1) & (s->size - 1);
    return &s->slots[i];
}

static uint64_t hash_of(const char *path, size_t len)
{
    uint64_t hash = hash_start;

    for (size_t i = 0; i < len; i++)
        hash = hash_on(hash, path[i]);
    return hash;
}

static int grow(struct pathset *s, size_t more)
{
    struct pathset old = *s;
    size_t size = s->size ? s->size : SIZE_FIRST;

    while (size / 2 < s->used + more)
        size *= 2;
    if (size == s->size)
        return 0;
    s->slots = calloc(size, sizeof(*s->slots));
    if (!s->slots) {
        s->slots = old.slots;
        return -ENOMEM;
    }
    s->size = size;
    for (size_t i = 0; i < old.size; i++) {
        const struct pathset_slot *from = &old.slots[i];

        if (from->path)
            *slot_of(s, from->path, from->len, hash_of(from->path, from->len)) = *from;
    }
    free(old.slots);
    return 0;
}

/* The root's name ends with a slash, no other does. */
static size_t length(const char *path)
{
    return path[1] == '\0' ? 0 : strlen(path);
}

static size_t depth(const char *path)
{
    size_t n = 1;

    for (; *path; path++)
        n += *path == '/';
    return n;
}

static struct pathset_slot *put(struct pathset *s, const char *path, size_t len, uint64_t hash)
{
    struct pathset_slot *slot = slot_of(s, path, len, hash);

    if (!slot->path) {
        *slot = (struct pathset_slot){.path = path, .len = len};
        s->used++;
    }
    return slot;
}

static int keep_copy(struct pathset *s, const char *path)
{
    char **paths;

    if ((s->count & (s->count - 1)) == 0) {
        paths = realloc(s->paths, (s->count ? 2 * s->count : 1) * sizeof(*paths));
        if (!paths)
            return -ENOMEM;
        s->paths = paths;
    }
    s->paths[s->count] = strdup(path);
    if (!s->paths[s->count])
        return -ENOMEM;
    s->count++;
    return 0;
}

int pathset_add(struct pathset *s, const char *path)
{
    const size_t len = length(path);
    uint64_t hash = hash_start;

    if (pathset_has(s, path))
        return 0;
    if (grow(s, depth(path)) < 0 || keep_copy(s, path) < 0)
        return -ENOMEM;
    path = s->paths[s->count - 1];
    for (size_t i = 0; i < len; i++) {
        if (path[i] == '/')
            put(s, path, i, hash)->above = true;
        hash = hash_on(hash, path[i]);
    }
    put(s, path, len, hash)->member = true;
    return 0;
}

static const struct pathset_slot *find(const struct pathset *s, const char *path)
{
    const size_t len = length(path);

    return s->size ? slot_of(s, path, len, hash_of(path, len)) : NULL;
}

bool pathset_has(const struct pathset *s, const char *path)
{
    const struct pathset_slot *slot = find(s, path);

    return slot && slot->member;
}

bool pathset_has_below(const struct pathset *s, const char *path)
{
    const struct pathset_slot *slot = find(s, path);

    return slot && slot->above;
}

bool pathset_covers(const struct pathset *s, const char *path)
{
    const size_t len = length(path);
    uint64_t hash = hash_start;

    if (s->count == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (path[i] == '/' && slot_of(s, path, i, hash)->member)
            return true;
        hash = hash_on(hash, path[i]);
    }
    return slot_of(s, path, len, hash)->member;
}

void pathset_done(struct pathset *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->paths[i]);
    free(s->paths);
    free(s->slots);
    *s = (struct pathset){0};
}
