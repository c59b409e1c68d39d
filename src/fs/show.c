/* show.c - what is shown of a node: owners, modes, times, inode numbers, targets of links. */
#include "fs/fs_internal.h"

#include "fs/contain.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ID_NOBODY = 65534 };

/* id is the sandbox's; own is the id there that appears as the local one. */
static uint32_t map_id(const struct fs *fs, uint32_t id, uint32_t own, uint32_t local)
{
    if (!fs->config.map_user)
        return id;
    if (id == own)
        return local;
    return id == local ? ID_NOBODY : id; /* somebody else there is not us here */
}

static uint32_t map_id_back(const struct fs *fs, uint32_t id, uint32_t own, uint32_t local)
{
    return fs->config.map_user && id == local ? own : id;
}

uint32_t show_uid_back(const struct fs *fs, uint32_t uid)
{
    return map_id_back(fs, uid, fs->info.uid, fs->config.uid);
}

uint32_t show_gid_back(const struct fs *fs, uint32_t gid)
{
    return map_id_back(fs, gid, fs->info.gid, fs->config.gid);
}

uint64_t show_own_ino(const struct node *n)
{
    return n->id | UINT64_C(1) << 61;
}

/* Inode numbers of other devices below the root are moved aside: here all is one device. */
static uint64_t shown_ino(struct fs *fs, const struct node *n)
{
    if (n->shown_ino != 0)
        return n->shown_ino;
    if (n->attr.ino == 0)
        return show_own_ino(n);
    if (n->attr.dev == 0)
        return n->attr.ino;
    return n->attr.ino ^ (n->attr.dev ^ fs->root->attr.dev) << 40;
}

int show_target_locked(struct fs *fs, const struct node *n, char **ret)
{
    const char *below;
    char *dir;
    int r;

    if (!n->target)
        return -EIO; /* the sandbox says it is a link, but not where to */
    if (n->own_link || fs->config.symlinks == FS_SYMLINKS_RAW) {
        *ret = strdup(n->target);
        return *ret ? 0 : -ENOMEM;
    }
    r = node_path_locked(fs, n->parent, &dir);
    if (r < 0)
        return r;
    below = dir + (strcmp(fs->root_path, "/") == 0 ? 0 : strlen(fs->root_path));
    *ret = contain_target(fs->root_path, fs->mount_dir, below, n->target);
    free(dir);
    return *ret ? 0 : -ENOMEM;
}

static off_t shown_size(struct fs *fs, const struct node *n, uint64_t bytes)
{
    char *target;
    off_t size;

    if (!S_ISLNK(n->attr.mode) || show_target_locked(fs, n, &target) < 0)
        return bytes > INT64_MAX ? INT64_MAX : (off_t)bytes;
    size = (off_t)strlen(target);
    free(target);
    return size;
}

void show_stat_locked(struct fs *fs, const struct node *n, struct stat *ret)
{
    const struct remote_attr *a = &n->attr;
    int64_t mtime_ns = n->shown_times ? n->shown_mtime_ns : a->mtime_ns;
    int64_t ctime_ns = n->shown_times ? n->shown_ctime_ns : a->ctime_ns;
    const struct node *written = links_writer_locked(fs, n);
    const uint64_t bytes = node_size(written);

    if (node_local(written)) {
        mtime_ns = written->file->mtime_ns;
        ctime_ns = written->file->ctime_ns;
    }
    memset(ret, 0, sizeof(*ret));
    ret->st_ino = shown_ino(fs, n);
    ret->st_mode = S_ISLNK(a->mode) ? a->mode : a->mode & ~fs->config.umask;
    ret->st_nlink = a->nlink;
    ret->st_uid = fs->config.force_uid >= 0 ? (uid_t)fs->config.force_uid
                                            : map_id(fs, a->uid, fs->info.uid, fs->config.uid);
    ret->st_gid = fs->config.force_gid >= 0 ? (gid_t)fs->config.force_gid
                                            : map_id(fs, a->gid, fs->info.gid, fs->config.gid);
    ret->st_rdev = (dev_t)a->rdev;
    ret->st_size = shown_size(fs, n, bytes);
    ret->st_blksize = 128 << 10;
    ret->st_blocks = (blkcnt_t)(bytes / 512 + (bytes % 512 != 0));
    ret->st_mtim = ns_to_timespec(mtime_ns);
    ret->st_ctim = ns_to_timespec(ctime_ns);
    ret->st_atim = ns_to_timespec(a->atime_ns ? a->atime_ns : mtime_ns);
}

void show_told_locked(struct fs *fs, struct node *n, struct fs_entry *ret)
{
    n->resized = false;
    show_entry_locked(fs, n, ret);
}

void show_entry_locked(struct fs *fs, const struct node *n, struct fs_entry *ret)
{
    const int64_t known_ns = n->ours ? clock_mono_ns() : node_known_ns(n);
    int64_t left_ns = 0;

    lock_assert_held(&fs->lock);
    /* What changes through another name must be seen through this one at once: for the kernel they
     * are two inodes, and it hears of the other one only a moment later. */
    const bool several = n->attr.nlink > 1 && !S_ISDIR(n->attr.mode);

    if (n->attached && !several && !look_must_ask_locked(fs, n) && (n->ours || !node_suspect(n)) &&
        !n->times_stale && known_ns != FS_NEVER)
        left_ns = known_ns + fs_window_ns(fs) - clock_mono_ns();
    ret->ino = n->id;
    ret->ttl_ns = left_ns > 0 ? left_ns : 0;
    show_stat_locked(fs, n, &ret->st);
}
