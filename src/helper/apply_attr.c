/* Modes, owners and times of exactly the object that was looked at; and what is on the disk. */
#include "helper/apply.h"

#include "helper/text.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void times_of(const struct batch_change *c, struct timespec ts[2])
{
    ts[0] = ts[1] = (struct timespec){.tv_nsec = UTIME_OMIT};
    if (c->set & BATCH_SET_ATIME)
        ts[0] = ns_to_timespec(c->atime_ns);
    if (c->set & BATCH_SET_MTIME)
        ts[1] = ns_to_timespec(c->mtime_ns);
}

static uid_t owner_of(const struct batch_change *c)
{
    return c->set & BATCH_SET_UID ? c->uid : (uid_t)-1;
}

static gid_t group_of(const struct batch_change *c)
{
    return c->set & BATCH_SET_GID ? c->gid : (gid_t)-1;
}

/* What cannot be opened is reached through its O_PATH descriptor. */
static int set_mode(int fd, const struct stat *st, mode_t mode)
{
    char path[32];

    if (S_ISLNK(st->st_mode))
        return -EOPNOTSUPP;
    text_make(path, sizeof(path), "/proc/self/fd/%d", fd);
    return chmod(path, mode) < 0 ? -errno : 0;
}

static int set_times(int fd, const struct place *p, const struct timespec ts[2])
{
    if (utimensat(fd, "", ts, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOENT)
        return -errno;
    /* A kernel before 5.8. */
    return utimensat(p->dir, p->name, ts, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* The owner first: that may take bits of the mode away. */
int attr_set(struct place *p, const struct batch_change *c)
{
    const int fd = openat(p->dir, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct timespec ts[2];
    struct stat st;
    int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

    if (r == 0 && st.st_ino != p->st.st_ino)
        r = -ESTALE;
    if (r == 0 && (c->set & (BATCH_SET_UID | BATCH_SET_GID)) &&
        fchownat(fd, "", owner_of(c), group_of(c), AT_EMPTY_PATH) < 0)
        r = -errno;
    if (r == 0 && (c->set & BATCH_SET_MODE))
        r = set_mode(fd, &st, c->mode);
    times_of(c, ts);
    if (r == 0 && (c->set & (BATCH_SET_ATIME | BATCH_SET_MTIME)))
        r = set_times(fd, p, ts);
    if (r == 0 && fstat(fd, &p->st) < 0)
        r = -errno;
    if (fd >= 0)
        close(fd);
    return r;
}

int attr_set_fd(int fd, const struct stat *st, const struct batch_change *c)
{
    const uid_t uid = owner_of(c);
    const gid_t gid = group_of(c);
    struct timespec ts[2];

    if (((uid != (uid_t)-1 && uid != st->st_uid) || (gid != (gid_t)-1 && gid != st->st_gid)) &&
        fchown(fd, uid, gid) < 0)
        return -errno;
    if ((c->set & BATCH_SET_MODE) && fchmod(fd, c->mode) < 0)
        return -errno;
    times_of(c, ts);
    if ((c->set & (BATCH_SET_ATIME | BATCH_SET_MTIME)) && futimens(fd, ts) < 0)
        return -errno;
    return 0;
}

static int sync_fd(int fd)
{
    /* Where there is nothing to write back, that is said so. */
    const int r = fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -errno : 0;

    close(fd);
    return r;
}

int place_sync(const struct place *p)
{
    int fd, r = 0;

    if (p->there && (S_ISREG(p->st.st_mode) || S_ISDIR(p->st.st_mode))) {
        fd = openat(p->dir, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 && errno == EACCES && S_ISREG(p->st.st_mode))
            fd = openat(p->dir, p->name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        r = fd < 0 ? -errno : sync_fd(fd);
    }
    fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) /* it may be searched, but not read */
        return r < 0 || errno == EACCES ? r : -errno;
    return sync_fd(fd) < 0 && r == 0 ? -EIO : r;
}
