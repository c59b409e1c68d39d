/* unsent.c - without a journal: the files whose content is here and not in the sandbox. */
#include "fs/fs_internal.h"

#include "util/errtext.h"
#include "util/io.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

enum { COPY_STEP = 128 << 10 };

/* The unsent nodes at and below top (NULL: all), counted. */
static int collect_unsent(struct fs *fs, const char *top, struct node ***ret, size_t *ret_count)
{
    struct node **v = calloc(fs->unsent_count + 1, sizeof(*v));
    struct node_file *nf;
    size_t count = 0;

    lock_assert_held(&fs->lock);
    if (!v)
        return -ENOMEM;
    DL_FOREACH(fs->unsent, nf) {
        char *path = NULL;

        if (top && node_path_locked(fs, nf->node, &path) < 0)
            continue;
        if (!top || path_is_below(path, top))
            v[count++] = node_ref_locked(nf->node);
        free(path);
    }
    *ret = v;
    *ret_count = count;
    return 0;
}

static int put_left(struct fs *fs, const struct node *n, int err, struct buf *left)
{
    char *path = NULL, *shown = NULL;
    int r = node_path_locked(fs, n, &path);

    if (r == 0) {
        shown = fs_mount_path(fs, path);
        r = shown ? buf_printf(left, "%s: %s\n", shown, errtext_sentence(err)) : -ENOMEM;
    }
    free(shown);
    free(path);
    return r;
}

int unsent_send(struct fs *fs, const char *top, struct buf *left)
{
    struct node **v;
    size_t count;
    int first = 0, r;

    fs_lock(fs);
    r = collect_unsent(fs, top, &v, &count);
    if (r < 0) {
        fs_unlock(fs);
        return r;
    }
    for (size_t i = 0; i < count; i++) {
        r = first == -EINTR ? -EINTR : send_node(fs, v[i]);
        if (r < 0 && (first == 0 || r == -EINTR))
            first = r;
        if (r < 0 && left)
            (void)put_left(fs, v[i], r, left); /* a list that is too long is cut */
        node_unref_locked(fs, v[i]);
    }
    free(v);
    fs_unlock(fs);
    return first;
}

static uint64_t unsent_bytes_locked(struct fs *fs)
{
    struct node_file *nf;
    uint64_t bytes = 0;

    DL_FOREACH(fs->unsent, nf)
        bytes += nf->size;
    return bytes;
}

size_t fs_unsent(struct fs *fs, uint64_t *ret_bytes)
{
    struct flush_usage usage;
    size_t count;

    if (fs_usage(fs, &usage) == 0) {
        if (ret_bytes)
            *ret_bytes = usage.bytes;
        return usage.waiting;
    }
    fs_lock(fs);
    count = fs->unsent_count;
    if (ret_bytes)
        *ret_bytes = unsent_bytes_locked(fs);
    fs_unlock(fs);
    return count;
}

/* ---- the end of a mount ---- */

static int copy_blob(struct blob *b, uint64_t size, int fd)
{
    char *p = malloc(COPY_STEP);
    int r = p ? 0 : -ENOMEM;

    for (uint64_t off = 0; r == 0 && off < size;) {
        const size_t want = size - off < COPY_STEP ? (size_t)(size - off) : COPY_STEP;
        ssize_t got = blob_read(b, off, p, want);

        if (got <= 0) {
            r = got < 0 ? (int)got : -EIO;
            break;
        }
        r = io_write(fd, p, (size_t)got);
        off += (uint64_t)got;
    }
    free(p);
    return r;
}

/* A new file for it, numbered: names from the sandbox may be alike, or mean something to a shell.
 */
static int new_kept_file(int dir_fd, const char *base, char *name, size_t size)
{
    for (unsigned i = 1; i < 100000; i++) {
        int fd;

        snprintf(name, size, "%05u-%.200s", i, base);
        fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd >= 0 ? fd : -errno;
    }
    return -EEXIST;
}

/* Into a file of its own, on the disk. Without the lock. */
static int keep_blob(struct blob *b, uint64_t size, const char *base, int dir_fd, char *name,
                     size_t name_size)
{
    int fd = new_kept_file(dir_fd, base, name, name_size), r;

    if (fd < 0)
        return fd;
    r = copy_blob(b, size, fd);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir_fd, name, 0); /* half of it would only mislead */
    return r;
}

static int keep_node(struct fs *fs, struct node *n, int dir_fd, const char *dir, struct buf *kept)
{
    const uint64_t gen = n->file->gen, size = n->file->size;
    struct blob *b = blob_ref(n->file->blob);
    char name[256], *path = NULL;
    int r;

    (void)blob_hold(b); /* unsent content is held already: this only lasts longer */
    r = node_path_locked(fs, n, &path);
    if (r == 0) {
        fs_unlock(fs);
        r = keep_blob(b, size, path_base(path), dir_fd, name, sizeof(name));
        fs_lock(fs);
    }
    blob_release(b);
    blob_unref(b);
    if (r == 0)
        r = buf_printf(kept, "%s/%s\t%s\n", dir, name, path);
    if (r == 0 && node_unsent(n) && n->file->gen == gen)
        write_sent_locked(fs, n); /* it has a home */
    free(path);
    return r;
}

int fs_keep_unsent(struct fs *fs, const char *dir, struct buf *kept)
{
    struct node **v = NULL;
    size_t count = 0;
    int dir_fd, r, first;

    if (fs->flush)
        return 0;
    first = path_make_dirs(dir, 0700);
    if (first < 0)
        return first;
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    fs_lock(fs);
    first = collect_unsent(fs, NULL, &v, &count);
    for (size_t i = 0; i < count; i++) {
        r = node_unsent(v[i]) ? keep_node(fs, v[i], dir_fd, dir, kept) : 0;
        first = first < 0 ? first : r;
        node_unref_locked(fs, v[i]);
    }
    fs_unlock(fs);
    free(v);
    close(dir_fd);
    return first;
}
