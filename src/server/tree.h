/* tree.h - directories as lists of names, and trees that go. */
#ifndef SERVER_TREE_H
#define SERVER_TREE_H

#include <stddef.h>

struct names {
    char **list;
    size_t count, cap;
};

/* What is in the open directory, in byte order. names_done also after an error. -EFBIG, -ENOMEM. */
int names_read(int dir, struct names *ret);
void names_done(struct names *n);

/*
 * Removes name, and what is below it down to depth levels (0: only what is not a directory). Never
 * follows a link. What cannot be removed ends it, with the rest partly gone.
 */
enum { TREE_MAX = 256 };
int tree_remove(int parent, const char *name, unsigned depth);
/*
 * Copies what is in one directory of the host into another, which is made: files, directories and
 * links, with modes, owners (as far as it may) and times. Links are not followed, a file with
 * several names becomes several files, what is none of the three is left out.
 */
int tree_copy_path(const char *from, const char *to);
/* As much of it as can be. */
void tree_remove_path(const char *path);

#endif
