/* tree.c - the names in a directory, and the end of a tree. */
#include "server/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTRIES_MAX = 1 << 20 };

static int add_name(struct names *n, const char *name)
{
    if (n->count == n->cap) {
        const size_t cap = n->cap ? n->cap * 2 : 64;
        char **bigger;

        if (cap > ENTRIES_MAX)
            return -EFBIG;
        bigger = realloc(n->list, cap * sizeof(*bigger));
        if (!bigger)
            return -ENOMEM;
        n->list = bigger;
        n->cap = cap;
    }
    n->list[n->count] = strdup(name);
    return n->list[n->count++] ? 0 : -ENOMEM;
}

void names_done(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->list[i]);
    free(n->list);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int names_read(DIR *dir, struct names *ret)
{
    const struct dirent *e;
    int r = 0;

    while (r == 0) {
        errno = 0;
        e = readdir(dir);
        if (!e) {
            r = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = add_name(ret, e->d_name);
    }
    if (r == 0 && ret->count)
        qsort(ret->list, ret->count, sizeof(*ret->list), by_bytes);
    return r;
}

int tree_remove(int parent, const char *name, unsigned depth)
{
    const struct dirent *e;
    int fd, r = 0;
    DIR *dir;

    if (unlinkat(parent, name, 0) == 0)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (depth == 0)
        return -ELOOP;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    while (r == 0 && (e = readdir(dir))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = tree_remove(dirfd(dir), e->d_name, depth - 1);
    }
    closedir(dir);
    if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
        r = -errno;
    return r;
}
