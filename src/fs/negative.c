/*
 * The kernel remembers for the rest of a coherence window that a name is not there. It has no node
 * for such a name, so what it was told is kept here: only then can it be told otherwise in time.
 */
#include "fs/fs_internal.h"

#include "util/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEGATIVES_MAX = 8192 };

struct negative {
    uint64_t dir; /* ino */
    int64_t until_ns;
    char *key; /* "INO/NAME", owned */
    UT_hash_handle hh;
};

static char *key_of(const struct node *dir, const char *name)
{
    char *key;

    return asprintf(&key, "%llu/%s", (unsigned long long)dir->id, name) < 0 ? NULL : key;
}

static void free_negative_locked(struct fs *fs, struct negative *g)
{
    HASH_DEL(fs->negatives, g);
    free(g->key);
    free(g);
}

static void drop_expired_locked(struct fs *fs)
{
    const int64_t now_ns = clock_mono_ns();
    struct negative *g, *tmp;

    HASH_ITER(hh, fs->negatives, g, tmp)
        if (g->until_ns <= now_ns)
            free_negative_locked(fs, g);
}

bool negative_add_locked(struct fs *fs, struct node *dir, const char *name, int64_t until_ns)
{
    struct negative *g;
    char *key;

    if (!fs->config.notify)
        return true;
    if (HASH_COUNT(fs->negatives) >= NEGATIVES_MAX)
        drop_expired_locked(fs);
    if (HASH_COUNT(fs->negatives) >= NEGATIVES_MAX)
        return false;
    key = key_of(dir, name);
    if (!key)
        return false;
    HASH_FIND_STR(fs->negatives, key, g);
    if (g) {
        free(key);
    } else {
        g = calloc(1, sizeof(*g));
        if (!g) {
            free(key);
            return false;
        }
        g->dir = dir->id;
        g->key = key;
        HASH_ADD_KEYPTR(hh, fs->negatives, g->key, strlen(g->key), g);
    }
    g->until_ns = until_ns;
    return true;
}

void negative_wrong_locked(struct fs *fs, struct node *dir, const char *name)
{
    struct negative *g;
    char *key;

    if (!fs->negatives)
        return;
    key = key_of(dir, name);
    if (!key)
        return;
    HASH_FIND_STR(fs->negatives, key, g);
    if (g) {
        fs_tell_entry_locked(fs, dir, name);
        free_negative_locked(fs, g);
    }
    free(key);
}

void negative_drop_locked(struct fs *fs, const struct node *top)
{
    struct negative *g, *tmp;

    HASH_ITER(hh, fs->negatives, g, tmp) {
        const struct node *dir = index_find_id(&fs->by_id, g->dir); /* that is no use of it */

        if (dir && !node_is_below_locked(dir, top))
            continue;
        if (dir)
            fs_tell_entry_locked(fs, dir, strchr(g->key, '/') + 1);
        free_negative_locked(fs, g);
    }
}

void negative_free_all_locked(struct fs *fs)
{
    struct negative *g, *tmp;

    HASH_ITER(hh, fs->negatives, g, tmp)
        free_negative_locked(fs, g);
}
