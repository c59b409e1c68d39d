/* look.h - the attributes of files, and when these were born, which stat(2) does not tell. */
#ifndef HELPER_LOOK_H
#define HELPER_LOOK_H

#include <stdint.h>
#include <sys/stat.h>

struct look {
    struct stat st;
    int64_t birth_ns; /* INT64_MIN: not known, or a directory's */
    uint64_t mount;   /* the number of the mount by which it was reached; 0: not known */
};

/* lstat of name in dir; "": of dir itself, whatever that is. -errno. */
int look_at(int dir, const char *name, struct look *ret);

/* When the directory was made; INT64_MAX: not known. */
int64_t look_birth_of_dir(const char *path);

#endif
