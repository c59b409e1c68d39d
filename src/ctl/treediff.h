/* treediff.h - what happened between two listings of one tree. Pure. */
#ifndef CTL_TREEDIFF_H
#define CTL_TREEDIFF_H

#include "remote/remote.h"

struct tree_entry {
    const char *name; /* below the watched path; "" is that itself */
    const struct remote_attr *attr;
};

struct tree {
    struct tree_entry *v; /* sorted by name (strcmp), no name twice: tree_sort */
    size_t count;
    bool cut; /* entries are missing: what is not here may still be there */
};

enum tree_event { TREE_CREATE, TREE_MODIFY, TREE_DELETE, TREE_RENAME };

/* Sorts, and drops names that come twice (a sandbox may send anything). */
void tree_sort(struct tree *t);

/*
 * Reports each difference: deletions (children first), then creations and renames (parents first),
 * then modifications. name and new_name (renames only) are borrowed for the call. What moved along
 * with a renamed directory is not reported again. A directory is modified by a change of mode or
 * owner only. If either tree is cut, only modifications are reported. 0 or -ENOMEM, and what fn
 * returned if that is negative.
 */
typedef int (*tree_fn)(void *arg, enum tree_event event, const char *name, const char *new_name);
int tree_diff(const struct tree *before, const struct tree *after, tree_fn fn, void *arg);

#endif
