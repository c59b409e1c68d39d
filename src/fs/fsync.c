/* fsync.c - flush and fsync of an open file: what is waited for, and what is told of it. */
#include "fs/fs_internal.h"

#include <errno.h>
#include <stdlib.h>

/* A close must wait: for content that goes as a whole, or that shows through other names, too. */
static bool close_waits_locked(const struct fs_file *file)
{
    const struct node *n = file->node;
    const struct fs *fs = file->fs;

    if (!flags_write(file->flags))
        return false;
    if (!fs->flush)
        return node_unsent(n);
    return n->ours && n->ours->content > 0 && !n->deleted &&
           (fs->config.durability != FS_DURABILITY_FSYNC || n->attr.nlink > 1);
}

/* A shell that redirects closes its first descriptor before anything is written to the second: the
 * truncated file alone is not what it wants to be seen. */
static void may_go_locked(struct fs_file *file)
{
    if (file->fs->flush && file->group && file->wrote)
        flush_ready(file->fs->flush, file->group);
}

static int close_file(struct fs_file *file)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    int r = 0, late;

    if (close_waits_locked(file)) {
        if (!fs->flush)
            return send_node(fs, n);
        if (fs->config.durability != FS_DURABILITY_FSYNC)
            r = change_wait(fs, n, false);
        if (r == 0)
            r = change_links(fs, n);
    }
    late = change_late_locked(file); /* told once, one way or the other */
    return r < 0 ? r : late;
}

/* For the kernel the other names of its file are other inodes: by the time that a call ends which
 * has sent what was written, it has heard that they changed, too. */
static bool has_other_names_locked(const struct fs_file *file)
{
    return file->group != 0 && file->node->attr.nlink > 1;
}

int fs_flush(struct fs_file *file)
{
    bool several;
    int r;

    fs_lock(file->fs);
    may_go_locked(file);
    r = close_file(file);
    several = has_other_names_locked(file);
    fs_unlock(file->fs);
    if (several)
        fs_drain_notify(file->fs);
    return r;
}

int fs_flush_cached(struct fs_file *file)
{
    int r;

    fs_lock(file->fs);
    may_go_locked(file);
    r = close_waits_locked(file) ? -EAGAIN : change_late_locked(file);
    fs_unlock(file->fs);
    return r;
}

/* Applied, but perhaps not on the sandbox's disk. */
static int fsync_applied(struct fs *fs, struct node *n)
{
    char *path = NULL;
    int r;

    if (!n->file->unsynced || n->deleted || node_gone_locked(n))
        return 0;
    r = change_settle_path(fs, n);
    if (r == 0)
        r = node_path_locked(fs, n, &path);
    if (r < 0)
        return r;
    n->file->unsynced = false;
    fs_unlock(fs);
    r = flush_fsync(fs->flush, path);
    fs_lock(fs);
    if (r < 0)
        n->file->unsynced = true;
    free(path);
    return r;
}

/* The sandbox has taken its name: as of any file that is open and has none, nothing is left that
 * could be missing. */
static bool has_no_name(int r)
{
    return r == -ENOENT || r == -ENOTDIR;
}

static int fsync_waiting(struct fs_file *file)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    const unsigned late_gen = n->file->late_gen;
    int r, late;

    may_go_locked(file);
    if (n->ours && n->ours->seq != 0 && !n->deleted) {
        r = change_wait(fs, n, true);
        if (r == 0)
            n->file->unsynced = false;
    } else {
        r = fsync_applied(fs, n);
    }
    late = change_late_locked(file);
    if (has_no_name(late)) /* what was written is set aside */
        late = -EIO;
    if (has_no_name(r))
        r = n->file->late_gen != late_gen ? -EIO : 0;
    return r < 0 ? r : late;
}

int fs_fsync(struct fs_file *file)
{
    bool several;
    int r;

    fs_lock(file->fs);
    r = file->fs->flush ? fsync_waiting(file) : send_node(file->fs, file->node);
    several = has_other_names_locked(file);
    fs_unlock(file->fs);
    if (several)
        fs_drain_notify(file->fs);
    return r;
}
