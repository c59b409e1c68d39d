/* path.h - POSIX paths as bytes: '/' and NUL are the only bytes that mean something. */
#ifndef UTIL_PATH_H
#define UTIL_PATH_H

#include <stdbool.h>
#include <stddef.h>

enum { PATH_NAME_MAX = 255, PATH_LEN_MAX = 4095 };

/* One component: 1 to 255 bytes, no '/', not "." or "..". What a sandbox sends must pass this. */
bool path_name_valid(const char *name, size_t len);

/* dir + "/" + name with exactly one slash between; a new string, NULL without memory. */
char *path_join(const char *dir, const char *name);

/*
 * Resolves path against the absolute base, removing ".", ".." and repeated slashes without looking
 * at any file system. ".." at the root stays at the root. A new absolute string without a trailing
 * slash (except "/"), NULL without memory.
 */
char *path_resolve(const char *base, const char *path);

/* Both absolute and resolved. True when path is dir or lies below it. */
bool path_is_below(const char *path, const char *dir);

/* What of path lies below dir: "" for dir itself; points into path. path_is_below must hold. */
const char *path_below(const char *path, const char *dir);

const char *path_base(const char *path); /* the last component; points into path */
char *path_dir(const char *path);        /* the rest: "/" or "." when there is none; a new string */

/* mkdir -p with one mode for what is missing. 0 or -errno. */
int path_make_dirs(const char *path, unsigned mode);

#endif
