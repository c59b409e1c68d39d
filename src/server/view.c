/*
 * view.c - files as the sandbox's own processes see them.
 *
 * With isolation every path is resolved by openat2 below the sandbox's root, as if that were "/":
 * links, "..", and mounts behave as inside, and nothing leads out. Without isolation the sandbox's
 * root is the host's.
 */
#include "server/server_internal.h"

#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RACES_MAX = 64 };

const char *view_work_dir(const struct request *rq)
{
    return rq->srv->isolate ? JAIL_HOME : rq->sandbox->folder;
}

char *view_absolute(const struct request *rq, const char *path)
{
    return *path == '/' ? strdup(path) : path_join(view_work_dir(rq), *path ? path : ".");
}

static int open_absolute(const struct request *rq, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)flags | O_CLOEXEC,
        .mode = flags & O_CREAT ? mode & 07777 : 0,
        .resolve = RESOLVE_IN_ROOT,
    };
    const int root = jail_root_fd(rq->jail);
    long fd = -1;

    if (root < 0) {
        fd = open(path, flags | O_CLOEXEC, mode);
        return fd < 0 ? -errno : (int)fd;
    }
    /* EAGAIN: something was renamed while ".." was being resolved. */
    for (int i = 0; i < RACES_MAX; i++) {
        fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 ? -errno : (int)fd;
}

int view_open(const struct request *rq, const char *path, int flags, mode_t mode)
{
    char *absolute = view_absolute(rq, path);
    int r;

    if (!absolute)
        return -ENOMEM;
    r = open_absolute(rq, absolute, flags, mode);
    free(absolute);
    return r;
}

int view_stat(const struct request *rq, const char *path, struct stat *ret)
{
    int fd, r = 0;

    fd = view_open(rq, path, O_PATH, 0);
    if (fd < 0)
        return fd;
    if (fstatat(fd, "", ret, AT_EMPTY_PATH) < 0)
        r = -errno;
    close(fd);
    return r;
}

int view_parent(const struct request *rq, const char *path, char name[256])
{
    char *absolute = view_absolute(rq, path), *last;
    size_t n;
    int r;

    if (!absolute)
        return -ENOMEM;
    for (n = strlen(absolute); n > 1 && absolute[n - 1] == '/'; n--)
        absolute[n - 1] = '\0';
    last = strrchr(absolute, '/') + 1;
    if (strlen(last) > PATH_NAME_MAX) {
        r = -ENAMETOOLONG;
    } else if (!path_name_valid(last, strlen(last))) {
        r = -EINVAL;
    } else {
        strcpy(name, last);
        *last = '\0';
        r = open_absolute(rq, absolute, O_PATH | O_DIRECTORY, 0);
    }
    free(absolute);
    return r;
}

/* One directory, which may be there already. */
static int make_dir(const struct request *rq, const char *path, mode_t mode)
{
    struct stat st;
    char name[256];
    int fd, r;

    r = view_stat(rq, path, &st);
    if (r == 0)
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    if (r != -ENOENT)
        return r;
    fd = view_parent(rq, path, name);
    if (fd < 0)
        return fd;
    r = mkdirat(fd, name, mode) < 0 ? -errno : 0;
    close(fd);
    if (r == -EEXIST) /* made meanwhile, or a dangling link */
        r = view_stat(rq, path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -EEXIST;
    return r;
}

int view_make_dirs(const struct request *rq, const char *path, mode_t mode)
{
    char *absolute = view_absolute(rq, path);
    struct stat st;
    int r;

    if (!absolute)
        return -ENOMEM;
    r = view_stat(rq, absolute, &st);
    if (r == 0)
        r = S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
    else if (r == -ENOENT)
        r = 0;
    for (char *slash = absolute; r == 0 && (slash = strchr(slash + 1, '/'));) {
        if (slash[1] == '/' || slash[1] == '\0')
            continue;
        *slash = '\0';
        r = make_dir(rq, absolute, mode);
        *slash = '/';
    }
    if (r == 0)
        r = make_dir(rq, absolute, mode);
    free(absolute);
    return r;
}
