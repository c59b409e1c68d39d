/* What .ctl asks of the journal's queue. */
#include "fs/fs_internal.h"

#include <errno.h>

int fs_usage(struct fs *fs, struct flush_usage *ret)
{
    if (!fs->flush)
        return -EOPNOTSUPP;
    flush_usage(fs->flush, ret);
    return 0;
}

int fs_queue_text(struct fs *fs, size_t max, struct buf *out)
{
    int r = fs->flush ? flush_queue_text(fs->flush, max, out) : -EOPNOTSUPP;

    return r == 0 ? flush_parked_text(fs->flush, max, out) : r;
}

static int tell_flush(struct fs *fs, void (*fn)(struct flush *f))
{
    if (!fs->flush)
        return -EOPNOTSUPP;
    fn(fs->flush);
    return 0;
}

int fs_pause(struct fs *fs)
{
    return tell_flush(fs, flush_pause);
}

int fs_resume(struct fs *fs)
{
    return tell_flush(fs, flush_resume);
}

int fs_parked(struct fs *fs, int (*fn)(void *arg, const struct flush_parked *p), void *arg)
{
    return fs->flush ? flush_parked(fs->flush, fn, arg) : -EOPNOTSUPP;
}

ssize_t fs_parked_read(struct fs *fs, const char *path, uint64_t off, void *p, size_t n,
                       uint64_t *ret_size)
{
    return fs->flush ? flush_parked_read(fs->flush, path, off, p, n, ret_size) : -EOPNOTSUPP;
}

int fs_keep(struct fs *fs, const char *path, bool mine)
{
    int r = fs->flush ? flush_keep(fs->flush, path, mine) : -EOPNOTSUPP;

    if (mine && r != -EOPNOTSUPP && r != -ENOENT)
        fs_refresh(fs, path); /* there is something else by now, or was on the way */
    return r;
}

int fs_discard(struct fs *fs, const char *path)
{
    return fs->flush ? flush_discard(fs->flush, path) : -EOPNOTSUPP;
}
