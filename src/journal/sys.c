#include "journal/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int sys_create(int dir_fd, const char *name)
{
    const int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    return fd < 0 ? -errno : fd;
}

/* Much that was written begins its way to the disk at once: who waits for a sync then does not wait
 * for all of it. */
static ssize_t sys_write(int fd, const void *p, size_t n, uint64_t at)
{
    enum { STEP = 4 << 20 };
    ssize_t done;

    do
        done = pwrite(fd, p, n, (off_t)at);
    while (done < 0 && errno == EINTR);
    if (done < 0)
        return -errno;
    if ((at + (uint64_t)done) / STEP > at / STEP)
        (void)sync_file_range(fd, (off_t)(at / STEP * STEP), STEP, SYNC_FILE_RANGE_WRITE);
    return done;
}

static int sys_truncate(int fd, uint64_t len)
{
    return ftruncate(fd, (off_t)len) < 0 ? -errno : 0;
}

static int sys_sync(int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    return (S_ISDIR(st.st_mode) ? fsync(fd) : fdatasync(fd)) < 0 ? -errno : 0;
}

static int sys_rename(int dir_fd, const char *from, const char *to)
{
    return renameat(dir_fd, from, dir_fd, to) < 0 ? -errno : 0;
}

static int sys_unlink(int dir_fd, const char *name)
{
    return unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
}

static int sys_free_bytes(int dir_fd, uint64_t *ret)
{
    struct statvfs st;

    if (fstatvfs(dir_fd, &st) < 0)
        return -errno;
    *ret = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

const struct journal_sys journal_sys_real = {
    .create = sys_create,
    .write = sys_write,
    .truncate = sys_truncate,
    .sync = sys_sync,
    .rename = sys_rename,
    .unlink = sys_unlink,
    .free_bytes = sys_free_bytes,
};
