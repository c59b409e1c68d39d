/* walk.h - opening and listing below a root without ever following a link or leaving it. */
#ifndef HELPER_WALK_H
#define HELPER_WALK_H

#include "helper/look.h"

#include <stdbool.h>
#include <stdint.h>

/* A directory to walk below. -errno. Links in the path of the root itself are followed. */
int walk_root(const char *path);

/* The directory at path below root ("": root), to be listed. A new descriptor, or -errno; -ELOOP
 * and -ENOTDIR where a link or something else is in the way. */
int walk_dir(int root, const char *path);

/* The directory that path's last component is in, to pass through; that is *ret_name. */
int walk_parent(int root, const char *path, const char **ret_name);

/* The regular file at path below root, for reading: -EISDIR, -ELOOP, -EINVAL for special files,
 * which are never opened. */
int walk_file(int root, const char *path, struct look *ret);

/* lstat of what is at path below root, and the target if it is a link, else NULL; the caller frees.
 */
int walk_stat(int root, const char *path, struct look *ret, char **ret_target);

/*
 * Calls each for every name in dir with its lstat and, for a link, its target; what vanishes
 * meanwhile is left out, and *ret_went says so: a name that came in its place may be missing too.
 * Stops at the first nonzero of each and returns it. Takes dir over.
 */
typedef int (*walk_each)(void *arg, const char *name, const struct look *attr, const char *target);
int walk_list(int dir, walk_each each, void *arg, bool *ret_went);

/* What the test build does between reading a name and looking at it. Nothing in the real one. */
#ifdef HELPER_STEPS
void walk_step(int dir);
#else
static inline void walk_step(int dir)
{
}
#endif

/* True where a change of the content of a directory, or of a file, moves its ctime. */
bool walk_ctime_tells(int dir);

#endif
