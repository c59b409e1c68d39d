#include "helper/look.h"

#include "helper/mounts.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* statx(2) by layout: the C library may be older than the kernel. */
enum { X_BASIC = 0x7ff, X_BIRTH = 0x800, X_MOUNT = 0x1000 };
struct x_time {
    int64_t sec;
    uint32_t nsec;
    int32_t spare;
};
struct x_stat {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t nlink, uid, gid;
    uint16_t mode, spare;
    uint64_t ino, size, blocks, attributes_mask;
    struct x_time atime, birth, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mount, more[13];
};
_Static_assert(sizeof(struct x_stat) == 256, "the layout of statx");

static struct timespec time_of(const struct x_time *t)
{
    return (struct timespec){.tv_sec = t->sec, .tv_nsec = t->nsec};
}

static struct stat stat_of(const struct x_stat *x)
{
    return (struct stat){
        .st_dev = makedev(x->dev_major, x->dev_minor),
        .st_ino = x->ino,
        .st_mode = x->mode,
        .st_nlink = x->nlink,
        .st_uid = x->uid,
        .st_gid = x->gid,
        .st_rdev = makedev(x->rdev_major, x->rdev_minor),
        .st_size = (off_t)x->size,
        .st_blksize = (blksize_t)x->block_size,
        .st_blocks = (blkcnt_t)x->blocks,
        .st_atim = time_of(&x->atime),
        .st_mtim = time_of(&x->mtime),
        .st_ctim = time_of(&x->ctime),
    };
}

static int x_look(int dir, const char *name, int flags, struct x_stat *ret)
{
    return syscall(SYS_statx, dir, name, flags, X_BASIC | X_BIRTH | X_MOUNT, ret) < 0 ? -errno : 0;
}

int look_at(int dir, const char *name, struct look *ret)
{
    static bool missing; /* or filtered: one thread, and it stays so */
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
    struct x_stat x;
    const int r = missing ? -ENOSYS : x_look(dir, name, flags, &x);

    ret->birth_ns = INT64_MIN;
    ret->mount = 0;
    if (r == 0) {
        ret->st = stat_of(&x);
        if (x.mask & X_MOUNT)
            ret->mount = x.mount;
        if ((x.mask & X_BIRTH) && !S_ISDIR(x.mode))
            ret->birth_ns = mounts_birth(ret->st.st_dev, timespec_to_ns(time_of(&x.birth)));
        return 0;
    }
    if (r != -ENOSYS && r != -EPERM && r != -EINVAL)
        return r;
    if (fstatat(dir, name, &ret->st, flags) < 0)
        return -errno;
    missing = true;
    return 0;
}

int64_t look_birth_of_dir(const char *path)
{
    struct x_stat x;

    if (x_look(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, &x) < 0 ||
        !(x.mask & X_BIRTH))
        return INT64_MAX;
    return timespec_to_ns(time_of(&x.birth));
}
