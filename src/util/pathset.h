/* pathset.h - absolute, resolved paths, asked for what is above and below them. */
#ifndef UTIL_PATHSET_H
#define UTIL_PATHSET_H

#include <stdbool.h>
#include <stddef.h>

/* Not locked. A question costs one look for each component of its path. {0} is empty. */
struct pathset {
    struct pathset_slot *slots; /* owned; size is 0 or a power of two */
    size_t size, used;
    char **paths; /* owned: what was added */
    size_t count;
};

void pathset_done(struct pathset *s); /* and can be used again */

int pathset_add(struct pathset *s, const char *path);              /* 0, -ENOMEM */
bool pathset_covers(const struct pathset *s, const char *path);    /* it, or what it is below */
bool pathset_has_below(const struct pathset *s, const char *path); /* something below it */
bool pathset_has(const struct pathset *s, const char *path);       /* it itself */

#endif
