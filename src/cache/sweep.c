/*
 * sweep.c - folders of owners that nobody is any more. Each folder keeps to its own limit while it
 * is used, and only then: so whoever comes looks at the others. What was not used for long goes,
 * and the folder whose last use was longest ago while all together are over the limit of one.
 */
#include "cache/cache_internal.h"

#include "util/clock.h"
#include "util/sha256.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDERS_MAX = 10000 };

static const int64_t unused_ns = 30LL * 24 * 3600 * NS_PER_S;

struct folder {
    char name[SHA256_HEX + 1];
    int64_t used_ns;
    uint64_t bytes;
};

int cache_open_folder(int parent, const char *name)
{
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int r = 0;

    if (fd < 0)
        return errno == ELOOP ? -ENOTDIR : -errno;
    if (fstat(fd, &st) < 0)
        r = -errno;
    else if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        r = -EACCES;
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int cache_lock_folder(int parent, const char *name)
{
    const int fd = cache_open_folder(parent, name);
    struct stat st;
    int r = 0;

    if (fd < 0)
        return fd;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        r = errno == EWOULDBLOCK ? -EBUSY : -errno;
    else if (fstat(fd, &st) < 0 || st.st_nlink == 0) /* it was swept away before we had it */
        r = -ENOENT;
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

static bool is_folder(const char *name)
{
    return strlen(name) == SHA256_HEX && strspn(name, "0123456789abcdef") == SHA256_HEX;
}

static DIR *open_list(int parent, const char *name)
{
    const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d && fd >= 0)
        close(fd);
    return d;
}

/* Calls each for every file; only what is written here is a file of the folder. */
static void each_file(int parent, const char *name,
                      void (*each)(void *arg, int dir_fd, const char *file, const struct stat *st),
                      void *arg)
{
    DIR *d = open_list(parent, name);
    struct dirent *de;
    struct stat st;

    if (!d)
        return;
    while ((de = readdir(d)))
        if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            each(arg, dirfd(d), de->d_name, &st);
    closedir(d);
}

static void add_bytes(void *arg, int dir_fd, const char *file, const struct stat *st)
{
    struct folder *f = arg;

    f->bytes += (uint64_t)st->st_blocks * 512;
}

static void remove_file(void *arg, int dir_fd, const char *file, const struct stat *st)
{
    if (keeper_wrote(file))
        (void)unlinkat(dir_fd, file, 0);
}

/* One that somebody has stays, and so does one that holds what is not ours. */
static bool remove_folder(int parent, const char *name)
{
    const int fd = cache_lock_folder(parent, name);
    bool gone;

    if (fd < 0)
        return false;
    each_file(parent, name, remove_file, NULL);
    gone = unlinkat(parent, name, AT_REMOVEDIR) == 0;
    close(fd);
    return gone;
}

static int by_use(const void *a, const void *b)
{
    const struct folder *x = a, *y = b;

    return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}

static size_t find_folders(int parent, const char *own, struct folder *v)
{
    DIR *d = open_list(parent, ".");
    struct dirent *de;
    struct stat st;
    size_t count = 0;

    while (d && count < FOLDERS_MAX && (de = readdir(d))) {
        if (!is_folder(de->d_name) || strcmp(de->d_name, own) == 0 ||
            fstatat(parent, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
            continue;
        v[count] = (struct folder){.used_ns = timespec_to_ns(st.st_mtim)};
        memcpy(v[count++].name, de->d_name, SHA256_HEX + 1);
    }
    if (d)
        closedir(d);
    return count;
}

void cache_sweep(int parent, const char *own, uint64_t own_bytes, uint64_t max_bytes)
{
    struct folder *v = calloc(FOLDERS_MAX, sizeof(*v));
    const int64_t now_ns = clock_real_ns();
    uint64_t bytes = own_bytes;
    size_t count;

    if (!v)
        return; /* the next one sweeps */
    count = find_folders(parent, own, v);
    for (size_t i = 0; i < count; i++) {
        each_file(parent, v[i].name, add_bytes, &v[i]);
        bytes += v[i].bytes;
    }
    qsort(v, count, sizeof(*v), by_use);
    for (size_t i = 0; i < count; i++)
        if ((v[i].used_ns < now_ns - unused_ns || bytes > max_bytes) &&
            remove_folder(parent, v[i].name))
            bytes -= v[i].bytes;
    free(v);
}
