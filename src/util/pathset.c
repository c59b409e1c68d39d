/* An open hash table. */
#include "util/pathset.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_FIRST = 64 };

/* FNV-1a. What a sandbox could do with collisions is to slow itself down. */
static uint64_t hash_on(uint64_t hash, char c)
{
    return (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
}

static const uint64_t hash_start = UINT64_C(0xcbf29ce484222325);

static uint64_t hash_of(const char *path, size_t len)
{
    uint64_t hash = hash_start;

    for (size_t i = 0; i < len; i++)
        hash = hash_on(hash, path[i]);
    return hash;
}

/* Where the first len bytes of path are, or would be. There is always room. */
static char **slot_of(const struct pathset *s, const char *path, size_t len, uint64_t hash)
{
    size_t i = (size_t)(hash ^ hash >> 32) & (s->size - 1);

    while (s->slots[i] && (strncmp(s->slots[i], path, len) != 0 || s->slots[i][len] != '\0'))
        i = (i + 1) & (s->size - 1);
    return &s->slots[i];
}

static int grow(struct pathset *s)
{
    const struct pathset old = *s;

    if (s->count < s->size / 2)
        return 0;
    s->size = s->size ? 2 * s->size : SIZE_FIRST;
    s->slots = calloc(s->size, sizeof(*s->slots));
    if (!s->slots) {
        *s = old;
        return -ENOMEM;
    }
    for (size_t i = 0; i < old.size; i++) {
        char *path = old.slots[i];

        if (path)
            *slot_of(s, path, strlen(path), hash_of(path, strlen(path))) = path;
    }
    free(old.slots);
    return 0;
}

int pathset_add(struct pathset *s, const char *path)
{
    /* The root is kept as "", which is how all other paths begin before their first slash. */
    const size_t len = path[1] == '\0' ? 0 : strlen(path);
    char *copy;

    if (pathset_covers(s, path))
        return 0;
    copy = strndup(path, len);
    if (!copy || grow(s) < 0) {
        free(copy);
        return -ENOMEM;
    }
    *slot_of(s, copy, len, hash_of(copy, len)) = copy;
    s->count++;
    return 0;
}

bool pathset_covers(const struct pathset *s, const char *path)
{
    uint64_t hash = hash_start;

    if (s->count == 0)
        return false;
    for (size_t i = 0; path[i]; i++) {
        if (path[i] == '/' && *slot_of(s, path, i, hash))
            return true;
        hash = hash_on(hash, path[i]);
    }
    return *slot_of(s, path, strlen(path), hash) != NULL;
}

void pathset_done(struct pathset *s)
{
    for (size_t i = 0; i < s->size; i++)
        free(s->slots[i]);
    free(s->slots);
    *s = (struct pathset){0};
}
