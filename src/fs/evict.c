/* Content that is here only to be read again, given up. */
#include "fs/fs_internal.h"

#include "util/path.h"

#include <errno.h>
#include <stdlib.h>

static void drop_locked(struct fs *fs, struct node *n)
{
    n->file->ahead = false;
    data_drop_locked(fs, n);
    fs_tell_inode_locked(fs, n);
}

/* Of regular files at and below top, what an earlier mount may have left of each is in keys. */
static size_t evict_locked(struct fs *fs, const struct node *top, struct cache_key *keys,
                           size_t *ret_kept)
{
    size_t count = 0;

    *ret_kept = 0;
    for (struct node *n = index_next(&fs->by_id, NULL); n; n = index_next(&fs->by_id, n)) {
        if (!S_ISREG(n->attr.mode) || n->deleted || !node_is_below_locked(n, top))
            continue;
        if (node_local(n) || (n->ours && n->ours->content > 0)) {
            (*ret_kept)++;
            continue;
        }
        /* A page that is read again must not wait for the network. */
        if (n->file && n->file->opens > 0)
            continue;
        if (n->file)
            drop_locked(fs, n);
        keys[count++] = data_key_of(&n->attr);
    }
    return count;
}

int fs_evict(struct fs *fs, const char *path, size_t *ret_kept)
{
    struct cache_key *keys = NULL;
    struct node *top;
    size_t count = 0;
    int r = 0;

    *ret_kept = 0;
    if (path && !path_is_below(path, fs->root_path))
        return -EXDEV;
    fs_lock(fs);
    top = path ? node_at_locked(fs, path) : fs->root;
    if (top)
        keys = calloc(fs->by_id.count, sizeof(*keys));
    if (keys)
        count = evict_locked(fs, top, keys, ret_kept);
    else if (top)
        r = -ENOMEM;
    fs_unlock(fs);
    cache_drop(fs->cache, keys, count);
    free(keys);
    fs_drain_notify(fs);
    return r == 0 && *ret_kept > 0 ? -EBUSY : r;
}
