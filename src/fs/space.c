/* space.c - statfs. */
#include "fs/fs_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <string.h>

/* find and grep ask at each start: within the window, or for a moment, what is known will do, if we
 * changed nothing. */
static const int64_t space_moment_ns = 5 * NS_PER_S;

void space_told_locked(struct fs *fs, const struct remote_tree *t, const struct flight *f)
{
    lock_assert_held(&fs->lock);
    if (!t->has_space || f->start_ns < fs->space_ns)
        return;
    fs->space = t->space;
    fs->space_ns = f->start_ns;
    fs->space_seq = f->seq;
}

static int ask_space(struct fs *fs, struct remote_statfs *ret)
{
    const int64_t start_ns = clock_mono_ns();
    uint64_t seq;
    bool known;
    int r;

    fs_lock(fs);
    seq = fs->seq;
    known = fs->space_seq == seq && (fs->space_ns >= fs_since(fs) ||
                                     (fs->serves && fs->space_ns > start_ns - space_moment_ns));
    if (known)
        *ret = fs->space;
    fs_unlock(fs);
    if (known)
        return 0;
    r = remote_statfs(fs->remote, fs->root_path, ret);
    fs_lock(fs);
    if (r < 0) { /* df of all there is must not fail because one sandbox is stopped */
        known = r == -EHOSTDOWN && fs->space_ns != FS_NEVER;
        if (known)
            *ret = fs->space;
        fs_unlock(fs);
        return known ? 0 : r == -EHOSTDOWN ? -EOPNOTSUPP : r;
    }
    fs->space = *ret;
    fs->space_ns = start_ns;
    fs->space_seq = seq;
    fs_unlock(fs);
    return 0;
}

int fs_statfs(struct fs *fs, struct statvfs *ret)
{
    struct remote_statfs s;
    int r;

    memset(ret, 0, sizeof(*ret));
    ret->f_namemax = 255;
    ret->f_bsize = ret->f_frsize = 4096;
    if (fs->config.read_only)
        ret->f_flag |= ST_RDONLY;
    r = ask_space(fs, &s);
    if (r == -EOPNOTSUPP)
        return 0; /* unknown: programs take zero blocks for a file system without a size */
    if (r < 0)
        return r;
    if (s.block_size > 0 && s.block_size <= (1 << 30))
        ret->f_bsize = ret->f_frsize = s.block_size;
    ret->f_blocks = s.blocks;
    ret->f_bfree = s.blocks_free;
    ret->f_bavail = s.blocks_avail;
    ret->f_files = s.files;
    ret->f_ffree = ret->f_favail = s.files_free;
    return 0;
}
