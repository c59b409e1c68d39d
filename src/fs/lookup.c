/* lookup.c - what has a name, as the kernel asks it. */
#include "fs/fs_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <string.h>

static void show_absent_locked(struct fs *fs, struct node *dir, const char *name, int64_t known_ns,
                               struct fs_entry *ret)
{
    const int64_t now_ns = clock_mono_ns();
    const int64_t until_ns = known_ns == FS_NEVER ? now_ns : known_ns + fs_window_ns(fs);

    memset(ret, 0, sizeof(*ret));
    if (until_ns > now_ns && negative_add_locked(fs, dir, name, until_ns))
        ret->ttl_ns = until_ns - now_ns;
}

int fs_lookup(struct fs *fs, uint64_t parent, const char *name, struct fs_entry *ret)
{
    const int64_t since = fs_since(fs);
    struct node *dir, *n = NULL;
    int64_t known_ns;
    int r = -ESTALE;

    fs_lock(fs);
    dir = node_find_locked(fs, parent);
    if (dir)
        r = tree_lookup(fs, dir, name, since, &n, &known_ns);
    if (r == 0 && !n)
        show_absent_locked(fs, dir, name, known_ns, ret);
    if (r == 0 && n) {
        n->nlookup++;
        show_told_locked(fs, n, ret);
    }
    node_unref_locked(fs, n);
    node_unref_locked(fs, dir);
    fs_unlock(fs);
    return r;
}

int fs_lookup_cached(struct fs *fs, uint64_t parent, const char *name, struct fs_entry *ret)
{
    struct node *dir, *n = NULL;
    int64_t known_ns;
    int r = -ESTALE;

    fs_lock(fs);
    dir = node_find_locked(fs, parent);
    if (dir)
        r = tree_peek_locked(fs, dir, name, fs_since(fs), &n, &known_ns);
    if (r == 0 && !n)
        show_absent_locked(fs, dir, name, known_ns, ret);
    if (r == 0 && n) {
        n->nlookup++;
        show_told_locked(fs, n, ret);
    }
    node_unref_locked(fs, dir);
    fs_unlock(fs);
    return r;
}
