/* tree.h - directories as lists of names, and trees that go. */
#ifndef SERVER_TREE_H
#define SERVER_TREE_H

#include <dirent.h>
#include <stddef.h>

struct names {
    char **list;
    size_t count, cap;
};

/* Appends all but "." and "..", in byte order. names_done also after an error. -EFBIG, -ENOMEM. */
int names_read(DIR *dir, struct names *ret);
void names_done(struct names *n);

/*
 * Removes name, and what is below it down to depth levels (0: only what is not a directory). Never
 * follows a link. What cannot be removed ends it, with the rest partly gone.
 */
enum { TREE_MAX = 256 };
int tree_remove(int parent, const char *name, unsigned depth);

#endif
