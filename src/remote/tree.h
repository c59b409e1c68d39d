/*
 * tree.h - building a struct remote_tree, for backends. Not locked. A tree starts zeroed and is
 * remote_tree_done's at any time.
 */
#ifndef REMOTE_TREE_H
#define REMOTE_TREE_H

#include "remote/remote.h"

/* Ceilings of one tree. */
enum { TREE_ENTRIES_MAX = 2000000, TREE_DIRS_MAX = 1000000, TREE_STRINGS_MAX = 256 << 20 };

/* A copy of n bytes that ends with NUL, as old as the tree. NULL: no memory, or the ceiling. */
const char *tree_string(struct remote_tree *t, const char *p, size_t n);

/* A directory; entries that are added belong to it, up to the next. -EFBIG beyond a ceiling. */
int tree_add_dir(struct remote_tree *t, const char *path, size_t len, struct remote_dir **ret);
/* An entry of the last directory; target NULL: it is no link. */
int tree_add_entry(struct remote_tree *t, const char *name, size_t name_len, const char *target,
                   size_t target_len, const struct remote_attr *attr);
/* The last directory without its entries: it could not be read after all. */
void tree_fail_dir(struct remote_tree *t, int err);

/* Appends what more has, and leaves it empty. On failure both are still to be freed. */
int tree_join(struct remote_tree *t, struct remote_tree *more);

/* When all is there: sorts. -EPROTO if a directory, or a name in one, comes twice. */
int tree_settle(struct remote_tree *t);

#endif
