#include "helper/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int folder_open(struct stat *ret_helper)
{
    char path[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash;
    int fd;

    if (n <= 0)
        return n < 0 ? -errno : -ENOENT;
    path[n] = '\0';
    if (ret_helper && stat(path, ret_helper) < 0)
        return -errno;
    slash = strrchr(path, '/');
    if (!slash)
        return -ENOENT;
    slash[slash == path] = '\0';
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int folder_sub(int folder, const char *name)
{
    int fd;

    if (mkdirat(folder, name, 0700) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
