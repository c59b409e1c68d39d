/* tree.c - the names in a directory, and the end of a tree. */
#include "server/tree.h"

#include "util/io.h"
#include "util/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES_MAX = 1 << 20, OPEN_DIRS = 32 };

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

/* What is in the open directory, through a descriptor of its own. NULL: errno. */
static DIR *list_of(int dir)
{
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);

    if (!list && fd >= 0)
        close(fd);
    return list;
}

int names_read(int dir, struct names *ret)
{
    DIR *list = list_of(dir);
    const struct dirent *e;
    int r = list ? 0 : -errno;

    while (r == 0) {
        errno = 0;
        e = readdir(list);
        if (!e) {
            r = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = add_name(ret, e->d_name);
    }
    if (r == 0 && ret->count)
        qsort(ret->list, ret->count, sizeof(*ret->list), by_bytes);
    if (list)
        closedir(list);
    return r;
}

/* ---- copies ---- */

/* Owner first: it takes special bits away. */
static int copy_attributes(int fd, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};

    (void)!fchown(fd, st->st_uid, st->st_gid); /* nobody but root can give files away */
    if (fchmod(fd, st->st_mode & 07777) < 0 || futimens(fd, times) < 0)
        return -errno;
    return 0;
}

static int copy_file(int from, int to, const char *name)
{
    struct stat st;
    int in, out = -1, r = 0;

    /* Not blocking: it may have become a FIFO meanwhile. */
    in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) < 0)
        r = -errno;
    if (r == 0 && S_ISREG(st.st_mode)) {
        out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        r = out < 0 ? -errno : io_copy(in, out);
        if (r == 0)
            r = copy_attributes(out, &st);
    }
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return r;
}

static int copy_link(int from, int to, const char *name, const struct stat *st)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    char target[4096];
    const ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

    if (n < 0)
        return -errno;
    target[n] = '\0';
    if (symlinkat(target, to, name) < 0)
        return -errno;
    (void)!fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
    return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_entries(int from, int to, unsigned depth);

static int copy_dir(int from, int to, const char *name, const struct stat *st, unsigned depth)
{
    int in, out = -1, r = 0;

    if (depth == 0)
        return -ELOOP;
    in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0 || mkdirat(to, name, 0700) < 0)
        r = -errno;
    if (r == 0) {
        out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = out < 0 ? -errno : copy_entries(in, out, depth - 1);
    }
    if (r == 0)
        r = copy_attributes(out, st);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return r;
}

static int copy_entries(int from, int to, unsigned depth)
{
    DIR *dir = list_of(from);
    const struct dirent *e;
    int r = dir ? 0 : -errno;

    while (r == 0 && (e = readdir(dir))) {
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (fstatat(from, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            r = errno == ENOENT ? 0 : -errno; /* gone meanwhile */
        else if (S_ISDIR(st.st_mode))
            r = copy_dir(from, to, e->d_name, &st, depth);
        else if (S_ISLNK(st.st_mode))
            r = copy_link(from, to, e->d_name, &st);
        else if (S_ISREG(st.st_mode))
            r = copy_file(from, to, e->d_name);
    }
    if (dir)
        closedir(dir);
    return r;
}

int tree_copy_path(const char *from, const char *to)
{
    int in, out = -1, r;

    r = path_make_dirs(to, 0755);
    if (r < 0)
        return r;
    in = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (in >= 0)
        out = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = in < 0 || out < 0 ? -errno : copy_entries(in, out, TREE_MAX);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return r;
}

/* ---- their end ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)remove(path);
    return 0;
}

void tree_remove_path(const char *path)
{
    (void)nftw(path, remove_one, OPEN_DIRS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
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
