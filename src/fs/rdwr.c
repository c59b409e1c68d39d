/* rdwr.c - reads and writes of an open file. */
#include "fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

/* ---- reading ---- */

/* Nothing but the local disk is waited for. Drops the lock meanwhile. */
static ssize_t read_blob(struct fs *fs, struct node *n, uint64_t off, void *p, size_t n_bytes)
{
    struct blob *b = blob_ref(n->file->blob);
    ssize_t got;

    if (!blob_hold(b)) {
        blob_unref(b);
        return -EAGAIN;
    }
    fs_unlock(fs);
    got = blob_read(b, off, p, n_bytes);
    blob_release(b);
    blob_unref(b);
    fs_lock(fs);
    return got;
}

/* 0: the content that n->file->blob has may be used. */
static int content_valid(struct fs *fs, struct node *n, bool wait)
{
    int r;

    if (links_hidden_locked(fs, n)) {
        if (!wait)
            return -EAGAIN;
        r = links_ready(fs, n);
        if (r < 0)
            return r;
    }
    if (node_suspect(n) && !node_local(n) && !node_gone_locked(n)) {
        if (!wait)
            return -EAGAIN;
        r = tree_refresh(fs, n, fs_since(fs), false);
        if (r < 0)
            return r;
    }
    if (!n->file->blob && !wait)
        return -EAGAIN;
    return data_blob_locked(fs, n);
}

static ssize_t read_locked(struct fs_file *file, uint64_t off, void *p, size_t n_bytes, bool wait)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    unsigned stale = FS_STALE_TRIES;
    bool followed = false;

    if ((file->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    for (;;) {
        uint64_t size, len, missing;
        ssize_t r = content_valid(fs, n, wait);

        if (r < 0)
            return r;
        size = node_local(n) ? n->file->size : blob_size(n->file->blob);
        if (off >= size || n_bytes == 0)
            return 0;
        len = n_bytes < size - off ? n_bytes : size - off;
        if (blob_has(n->file->blob, off, len)) {
            r = read_blob(fs, n, off, p, (size_t)len);
            if (r >= 0)
                window_read_locked(file, off, (uint64_t)r);
            return r;
        }
        if (!wait)
            return -EAGAIN;
        missing = blob_local_to(n->file->blob, off, len);
        r = data_fetch(fs, n, missing, window_of_locked(file, off, len, missing), &stale);
        /* It had changed in place, and then another took its name; or its inode number was used
         * again at once, and all of it was the second. */
        if (r == -ESTALE && size <= FS_SMALL && !followed) {
            followed = true;
            r = data_fetch_now(fs, n, false);
        }
        if (r < 0)
            return r == -EAGAIN ? -ESTALE : r;
    }
}

ssize_t fs_read(struct fs_file *file, uint64_t off, void *p, size_t n)
{
    ssize_t r;

    fs_lock(file->fs);
    r = read_locked(file, off, p, n, true);
    fs_unlock(file->fs);
    return r;
}

ssize_t fs_read_cached(struct fs_file *file, uint64_t off, void *p, size_t n)
{
    ssize_t r;

    fs_lock(file->fs);
    r = read_locked(file, off, p, n, false);
    fs_unlock(file->fs);
    return r;
}

/* ---- writing ---- */

/* It is our turn. */
static ssize_t write_blob(struct fs *fs, struct node *n, uint64_t off, const void *p, size_t bytes)
{
    const bool journaled = write_in_parts(fs, n);
    struct blob *b = blob_ref(n->file->blob);
    int r;

    /* Marked before, so that no refresh takes the blob away. */
    write_mark_locked(fs, n);
    if (journaled && off + bytes > n->file->size)
        n->file->size = off + bytes;
    fs_unlock(fs);
    r = blob_write(b, off, p, bytes);
    blob_unref(b);
    fs_lock(fs);
    if (journaled) { /* it is written, whatever has become of it here */
        write_hidden_locked(fs, n, r);
        return (ssize_t)bytes;
    }
    /* And after, so that a put that began meanwhile does not count as having sent this. */
    write_mark_locked(fs, n);
    if (r == 0 && off + bytes > n->file->size)
        n->file->size = off + bytes;
    return r < 0 ? r : (ssize_t)bytes;
}

/*
 * A program whose output is redirected to a file writes like one that copies a file there; but who
 * takes seconds for a few bytes is no copy, and those who follow the file in the sandbox wait for
 * them: they go as they come, as what is appended does.
 */
static bool trickles(struct fs_file *file, uint64_t off, size_t bytes)
{
    const struct fs *fs = file->fs;

    file->grown = off == file->grown && off == node_size(file->node) ? off + bytes : NOT_GROWN;
    return file->grown != NOT_GROWN && fs->flush && fs->config.durability != FS_DURABILITY_SYNC &&
           flush_is_slow(fs->flush, file->grown, clock_mono_ns() - file->opened_ns);
}

static int write_journaled(struct fs_file *file, uint64_t off, const void *p, size_t bytes)
{
    const bool append = trickles(file, off, bytes) || (file->flags & O_APPEND);
    struct journal_record rec = {.kind = append ? JOURNAL_APPEND : JOURNAL_PATCH,
                                 .off = append ? 0 : off,
                                 .flags = file->grown != NOT_GROWN ? JOURNAL_GROWS : 0,
                                 .data = p,
                                 .data_len = bytes};

    file->wrote = true;
    return write_journal_locked(file->fs, file->node, &rec, file);
}

static ssize_t write_file(struct fs_file *file, uint64_t off, const void *p, size_t bytes)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    ssize_t r;

    if (!flags_write(file->flags))
        return -EBADF;
    if (bytes == 0)
        return 0;
    r = write_begin(fs, n, file->flags & O_APPEND ? UINT64_MAX : off, bytes);
    if (r < 0)
        return r;
    if (file->flags & O_APPEND)
        off = node_size(n);
    r = change_lost_locked(file);
    if (r == 0)
        r = off > CACHE_BLOB_MAX - bytes ? -EFBIG : write_journaled(file, off, p, bytes);
    if (r == 0)
        r = write_blob(fs, n, off, p, bytes);
    write_end_locked(fs, n);
    return r;
}

ssize_t fs_write(struct fs_file *file, uint64_t off, const void *p, size_t n)
{
    struct fs *fs = file->fs;
    ssize_t r = change_room(fs, n);
    struct writing w;

    if (r < 0)
        return r;
    fs_lock(fs);
    r = write_enter(fs, file->node, &w);
    if (r == 0)
        r = write_leave(fs, file->node, file, &w, write_file(file, off, p, n), false);
    fs_unlock(fs);
    return r;
}

ssize_t fs_write_cached(struct fs_file *file, uint64_t off, const void *p, size_t n)
{
    struct fs *fs = file->fs;
    ssize_t r = -EAGAIN;

    if (fs->config.durability == FS_DURABILITY_SYNC ||
        (fs->flush && flush_room_now(fs->flush, n) < 0))
        return -EAGAIN;
    fs_lock(fs);
    if (data_whole_locked(file->node) && !file->node->file->writing &&
        links_turn_locked(fs, file->node))
        r = write_file(file, off, p, n);
    fs_unlock(fs);
    return r;
}

int fs_fallocate(struct fs_file *file, int mode, uint64_t off, uint64_t len)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    struct writing w;
    int r = 0;

    if (mode & ~FALLOC_FL_KEEP_SIZE)
        return -EOPNOTSUPP;
    if (!flags_write(file->flags))
        return -EBADF;
    if (len == 0)
        return -EINVAL;
    if (len > CACHE_BLOB_MAX || off > CACHE_BLOB_MAX - len)
        return -EFBIG;
    r = change_room(fs, 0);
    if (r < 0)
        return r;
    fs_lock(fs);
    r = write_enter(fs, n, &w);
    if (r == 0) {
        r = change_lost_locked(file);
        if (r == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && off + len > node_size(n))
            r = write_truncate(fs, n, off + len, file);
        r = (int)write_leave(fs, n, file, &w, r, false);
    }
    fs_unlock(fs);
    return r;
}
