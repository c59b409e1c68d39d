/* known.c - how old what is known of a node is, and whether it is believed. */
#include "fs/fs_internal.h"

#include "util/clock.h"

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* An answer about changes is about the directory and all that is in it. */
int64_t node_known_ns(const struct node *n)
{
    int64_t ns = n->attr_ns;

    if (n->apart)
        return ns;
    if (n->parent && n->attached && n->parent->dir->covered)
        ns = later(ns, n->parent->dir->list_ns);
    if (n->dir && n->dir->covered)
        ns = later(ns, n->dir->list_ns);
    return ns;
}

/* The next answer about changes begins where the directory's last one ended. */
void node_known_locked(struct node *n, int64_t start_ns)
{
    const struct node_dir *d = n->parent ? n->parent->dir : NULL;

    n->attr_ns = start_ns;
    n->suspect_ns = FS_NEVER;
    n->unsure = false;
    n->apart = d && d->covered && start_ns < d->list_ns;
}

bool node_suspect(const struct node *n)
{
    return n->suspect_ns != FS_NEVER && node_known_ns(n) < n->suspect_ns;
}

void node_doubt_locked(struct node *n)
{
    n->attr_ns = FS_NEVER;
    n->suspect_ns = clock_mono_ns();
}

void node_stale_locked(struct node *n)
{
    node_doubt_locked(n);
    n->apart = true;
}

void node_unsure_locked(struct node *n)
{
    node_stale_locked(n);
    n->unsure = true;
}

void node_stale_links_locked(struct fs *fs, const struct node *n)
{
    struct node *other = NULL;

    while ((other = links_next_locked(fs, n, other))) {
        node_stale_locked(other);
        fs_tell_inode_locked(fs, other);
        other->told = true;
    }
}
