#include "helper/walk.h"

#include "util/array.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* openat2(2) by number and layout: the C library may be older than the kernel. */
enum { OPENAT2_NUMBER = 437, OPENAT2_NO_SYMLINKS = 0x04, OPENAT2_BENEATH = 0x08 };
struct openat2_how {
    uint64_t flags, mode, resolve;
};

enum {
    LIST_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
    PASS_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, /* needs the right to search only */
};

int walk_root(const char *path)
{
    const int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

/* Component by component: for old kernels, filtered calls and paths beyond PATH_MAX. */
static int walk_slowly(int root, const char *path, int flags)
{
    char name[NAME_MAX + 1];
    int fd = openat(root, ".", *path ? PASS_FLAGS : flags);

    while (fd >= 0 && *path) {
        const char *end = strchrnul(path, '/');
        const size_t len = (size_t)(end - path);
        int next;

        if (len > NAME_MAX) {
            close(fd);
            return -ENAMETOOLONG;
        }
        memcpy(name, path, len);
        name[len] = '\0';
        next = openat(fd, name, *end ? PASS_FLAGS : flags);
        if (next < 0) {
            const int r = -errno;

            close(fd);
            return r;
        }
        close(fd);
        fd = next;
        path = *end ? end + 1 : end;
    }
    return fd < 0 ? -errno : fd;
}

static int walk_open(int root, const char *path, int flags)
{
    static bool missing; /* one thread; a kernel does not learn new calls */
    const struct openat2_how how = {.flags = (uint64_t)flags,
                                    .resolve = OPENAT2_NO_SYMLINKS | OPENAT2_BENEATH};

    if (!missing && strlen(path) < PATH_MAX) {
        const long fd = syscall(OPENAT2_NUMBER, root, *path ? path : ".", &how, sizeof(how));

        if (fd >= 0)
            return (int)fd;
        if (errno != ENOSYS && errno != EPERM && errno != EINVAL && errno != EAGAIN)
            return -errno;
        missing = errno != EAGAIN; /* EAGAIN: a rename was going on; this time the slow way */
    }
    return walk_slowly(root, path, flags);
}

int walk_dir(int root, const char *path)
{
    return walk_open(root, path, LIST_FLAGS);
}

int walk_parent(int root, const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash ? strndup(path, (size_t)(slash - path)) : strdup("");
    int dir;

    if (!parent)
        return -ENOMEM;
    dir = walk_open(root, parent, PASS_FLAGS);
    free(parent);
    *ret_name = slash ? slash + 1 : path;
    return dir;
}

int walk_file(int root, const char *path, struct look *ret)
{
    const char *name;
    const int dir = walk_parent(root, path, &name);
    int fd = -1, r;

    if (dir < 0)
        return dir;
    r = look_at(dir, name, ret);
    if (r == 0 && !S_ISREG(ret->st.st_mode))
        r = S_ISDIR(ret->st.st_mode) ? -EISDIR : S_ISLNK(ret->st.st_mode) ? -ELOOP : -EINVAL;
    if (r == 0) {
        fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        r = fd < 0 ? -errno : look_at(fd, "", ret);
        if (r == 0 && !S_ISREG(ret->st.st_mode)) /* replaced in between: opened, but not touched */
            r = -EINVAL;
    }
    close(dir);
    if (r < 0 && fd >= 0)
        close(fd);
    return r < 0 ? r : fd;
}

/* The target of a link; NULL when it went, or is empty. */
static const char *read_target(int dir, const char *name, char *out, size_t size)
{
    const ssize_t n = readlinkat(dir, name, out, size - 1);

    if (n <= 0)
        return NULL;
    out[n] = '\0';
    return out;
}

int walk_stat(int root, const char *path, struct look *ret, char **ret_target)
{
    const char *name, *target = NULL;
    char link[PATH_MAX];
    int dir, r;

    *ret_target = NULL;
    if (*path == '\0')
        return look_at(root, "", ret);
    dir = walk_parent(root, path, &name);
    if (dir < 0)
        return dir;
    r = look_at(dir, name, ret);
    if (r == 0 && S_ISLNK(ret->st.st_mode)) {
        target = read_target(dir, name, link, sizeof(link));
        *ret_target = target ? strdup(target) : NULL;
        if (!*ret_target)
            r = target ? -ENOMEM : -ENOENT; /* it went in between */
    }
    close(dir);
    return r;
}

int walk_list(int dir, walk_each each, void *arg, bool *ret_went)
{
    DIR *d = fdopendir(dir);
    char link[PATH_MAX];
    struct dirent *entry;
    int r = 0;

    *ret_went = false;
    if (!d) {
        r = -errno;
        close(dir);
        return r;
    }
    while (r == 0 && (errno = 0, entry = readdir(d))) {
        const char *target = NULL;
        struct look attr;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        walk_step(dirfd(d));
        if (look_at(dirfd(d), entry->d_name, &attr) < 0) {
            *ret_went = true;
            continue;
        }
        if (S_ISLNK(attr.st.st_mode)) {
            target = read_target(dirfd(d), entry->d_name, link, sizeof(link));
            if (!target) {
                *ret_went = true;
                continue;
            }
        }
        r = each(arg, entry->d_name, &attr, target);
    }
    if (r == 0 && errno != 0)
        r = -errno;
    closedir(d);
    return r;
}

bool walk_ctime_tells(int dir)
{
    static const uint32_t known[] = {
        0xef53,     /* ext2, 3, 4 */
        0x58465342, /* xfs */
        0x9123683e, /* btrfs */
        0x01021994, /* tmpfs */
        0x794c7630, /* overlay */
    };
    struct statfs fs;

    if (fstatfs(dir, &fs) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if ((uint32_t)fs.f_type == known[i])
            return true;
    }
    return false;
}
