/* What clients left who never came back: looked for once a day, by age alone. */
#include "helper/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DAY_S = 24 * 60 * 60, CLIENT_DAYS = 30, BLOB_DAYS = 2 };

static bool is_older(int dir, const char *name, time_t now, int days)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           now - st.st_mtim.tv_sec > (time_t)days * DAY_S;
}

DIR *sweep_open(int dir, const char *name)
{
    const int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);

    if (!d && fd >= 0)
        close(fd);
    return d;
}

static void remove_client(int clients, const char *name)
{
    DIR *d = sweep_open(clients, name);
    struct dirent *e;

    while (d && (e = readdir(d)))
        (void)unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    (void)unlinkat(clients, name, AT_REMOVEDIR);
}

static void sweep_clients(int folder, time_t now)
{
    DIR *d = sweep_open(folder, "clients");
    struct dirent *e;

    while (d && (e = readdir(d))) { /* a folder's time moves with each batch */
        if (e->d_name[0] != '.' && is_older(dirfd(d), e->d_name, now, CLIENT_DAYS))
            remove_client(dirfd(d), e->d_name);
    }
    if (d)
        closedir(d);
}

static void sweep_blobs(int folder, int root, time_t now)
{
    DIR *d = sweep_open(folder, ".");
    struct dirent *e;

    while (d && (e = readdir(d))) {
        if (strncmp(e->d_name, "s-", 2) == 0 && is_older(folder, e->d_name, now, BLOB_DAYS))
            joined_drop(folder, root, e->d_name);
    }
    if (d)
        closedir(d);
}

void apply_sweep(int folder, int root)
{
    const time_t now = time(NULL);
    int fd;

    if (faccessat(folder, "swept", F_OK, 0) == 0 && !is_older(folder, "swept", now, 1))
        return;
    fd = openat(folder, "swept", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    (void)utimensat(folder, "swept", NULL, AT_SYMLINK_NOFOLLOW);
    sweep_clients(folder, now);
    sweep_blobs(folder, root, now);
}
