/* pathset.h - absolute, resolved paths, asked for what is above one. */
#ifndef UTIL_PATHSET_H
#define UTIL_PATHSET_H

#include <stdbool.h>
#include <stddef.h>

/* Not locked. A question costs one look for each component of its path. {0} is empty. */
struct pathset {
    char **slots;       /* owned, and so are the paths; NULL: free */
    size_t size, count; /* size is 0 or a power of two */
};

void pathset_done(struct pathset *s); /* and can be used again */

int pathset_add(struct pathset *s, const char *path);           /* 0, -ENOMEM */
bool pathset_covers(const struct pathset *s, const char *path); /* it, or what it is below */

#endif
