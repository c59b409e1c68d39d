#include "journal_rig.h"

#include "util/lock.h"
#include "util/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const struct journal_key rig_key = {
    .api_url = "http://127.0.0.1:3000", .sandbox_id = "box", .slot = "/home/daytona"};

void rig_make(struct journal_rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    /* In memory where that is possible: a real fsync a step would take minutes. */
    strcpy(rig->base, "/dev/shm/journal-test-XXXXXX");
    if (!mkdtemp(rig->base)) {
        strcpy(rig->base, "/tmp/journal-test-XXXXXX");
        if (!mkdtemp(rig->base))
            abort();
    }
    rig->options = (struct journal_options){
        .base = rig->base, .mount_dir = "/mnt/box", .limits = {.spare_bytes = 1}};
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *d;

    while (dir && (d = readdir(dir))) {
        char *child = path_join(path, d->d_name);

        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 && unlink(child) < 0)
            remove_tree(child);
        free(child);
    }
    if (dir)
        closedir(dir);
    (void)rmdir(path);
}

void rig_remove(struct journal_rig *rig)
{
    remove_tree(rig->base);
}

char *rig_path(const struct journal_rig *rig, const char *file)
{
    char *name = journal_name(&rig_key), *path = NULL;

    if (asprintf(&path, "%s/%s/%s", rig->base, name, file) < 0)
        abort();
    free(name);
    return path;
}

/* ---- the disk ---- */

enum { FILES = 256 };

static struct lock lock = LOCK_INIT;
static struct {
    ino_t ino;
    off_t synced;
} files[FILES];
static size_t file_count;
static long die_after = -1, steps;
static bool died, once;
static uint64_t free_bytes = UINT64_MAX;

void rig_die_after(long n)
{
    lock_take(&lock);
    die_after = n;
    steps = 0;
    died = false;
    once = false;
    file_count = 0;
    lock_drop(&lock);
}

void rig_fail_at(long n)
{
    rig_die_after(n);
    once = true;
}

bool rig_died(void)
{
    return died;
}

void rig_kill(void)
{
    died = true;
    once = false;
}

void rig_set_free(uint64_t bytes)
{
    free_bytes = bytes;
}

/* True once for the step at which the disk dies; *ret_err: it is dead. */
static bool step(int *ret_err)
{
    bool now = false;

    lock_take(&lock);
    if (!died && die_after >= 0 && steps >= die_after)
        died = now = true;
    steps++;
    if (once)
        *ret_err = now ? -ENOSPC : 0;
    else
        *ret_err = died ? -EIO : 0;
    lock_drop(&lock);
    return now;
}

static off_t *synced_of(ino_t ino)
{
    for (size_t i = 0; i < file_count; i++)
        if (files[i].ino == ino)
            return &files[i].synced;
    if (file_count == FILES)
        abort();
    files[file_count].ino = ino;
    files[file_count].synced = 0;
    return &files[file_count++].synced;
}

static int disk_create(int dir_fd, const char *name)
{
    struct stat st;
    int err, fd;

    (void)step(&err);
    fd = err ? err : journal_sys_real.create(dir_fd, name);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        lock_take(&lock);
        *synced_of(st.st_ino) = 0; /* the number may be an old file's */
        lock_drop(&lock);
    }
    return fd;
}

static ssize_t disk_write(int fd, const void *p, size_t n, uint64_t at)
{
    int err;

    if (step(&err))
        (void)journal_sys_real.write(fd, p, n / 2, at);
    return err ? err : journal_sys_real.write(fd, p, n, at);
}

static int disk_truncate(int fd, uint64_t len)
{
    int err;

    (void)step(&err);
    return err ? err : journal_sys_real.truncate(fd, len);
}

static int disk_sync(int fd)
{
    struct stat st;
    int err;

    (void)step(&err);
    if (err == 0 && fstat(fd, &st) == 0) {
        lock_take(&lock);
        *synced_of(st.st_ino) = st.st_size;
        lock_drop(&lock);
    }
    return err;
}

static int disk_rename(int dir_fd, const char *from, const char *to)
{
    int err;

    (void)step(&err);
    return err ? err : journal_sys_real.rename(dir_fd, from, to);
}

static int disk_unlink(int dir_fd, const char *name)
{
    int err;

    (void)step(&err);
    return err ? err : journal_sys_real.unlink(dir_fd, name);
}

static int disk_free_bytes(int dir_fd, uint64_t *ret)
{
    if (free_bytes == UINT64_MAX)
        return journal_sys_real.free_bytes(dir_fd, ret);
    *ret = free_bytes;
    return 0;
}

const struct journal_sys rig_disk = {
    .create = disk_create,
    .write = disk_write,
    .truncate = disk_truncate,
    .sync = disk_sync,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .free_bytes = disk_free_bytes,
};

void rig_lose_power(const struct journal_rig *rig)
{
    char *path = rig_path(rig, "");
    DIR *dir = opendir(path);
    struct dirent *d;
    struct stat st;

    while (dir && (d = readdir(dir))) {
        if (strcmp(d->d_name, "lock") == 0 || d->d_name[0] == '.' ||
            fstatat(dirfd(dir), d->d_name, &st, 0) < 0)
            continue;
        for (size_t i = 0; i < file_count; i++)
            if (files[i].ino == st.st_ino && files[i].synced < st.st_size) {
                char *file = path_join(path, d->d_name);

                if (truncate(file, files[i].synced) < 0)
                    abort();
                free(file);
            }
    }
    if (dir)
        closedir(dir);
    free(path);
}
