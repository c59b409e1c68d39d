/*
 * What clients left who never came back: looked for once an hour, by age alone. What was put
 * together beside where it is to be is seen there by whoever is not a client, and is a copy: it
 * goes soon, and a batch that comes for it later is made of the blobs, which stay for days.
 */
#include "helper/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HOUR_S = 60 * 60, DAY_S = 24 * HOUR_S };
enum { SWEEP_S = HOUR_S, BESIDE_S = HOUR_S, BLOB_S = 2 * DAY_S, CLIENT_S = 30 * DAY_S };

static bool is_older(int dir, const char *name, time_t now, time_t age_s)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && now - st.st_mtim.tv_sec > age_s;
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
        if (e->d_name[0] != '.' && is_older(dirfd(d), e->d_name, now, CLIENT_S))
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
        if (strncmp(e->d_name, "s-", 2) == 0 &&
            (is_older(folder, e->d_name, now, BLOB_S) ||
             joined_is_idle(folder, root, e->d_name, now - BESIDE_S)))
            joined_drop(folder, root, e->d_name);
    }
    if (d)
        closedir(d);
}

void apply_sweep(int folder, int root)
{
    const time_t now = time(NULL);
    int fd;

    if (faccessat(folder, "swept", F_OK, 0) == 0 && !is_older(folder, "swept", now, SWEEP_S))
        return;
    fd = openat(folder, "swept", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    (void)utimensat(folder, "swept", NULL, AT_SYMLINK_NOFOLLOW);
    sweep_clients(folder, now);
    sweep_blobs(folder, root, now);
}
