/* window.c - large files, fetched in windows ahead of who reads them. */
#include "fs/fs_internal.h"

#include <stdlib.h>
#include <utlist.h>

/*
 * Who reads a large file in order has windows under way beyond where they are, so that the line
 * never waits for the next question. How far grows with what was read in order: a reader that
 * stops, or seeks, leaves at most twice of what it used. A read somewhere else fetches only the
 * blocks that it asks for; one that goes on from there, in small steps, a little more.
 */
enum { WINDOWS = 3, LITTLE = 64 << 10 };

struct window {
    struct job job;
    struct fs_file *file; /* NULL: nobody wants it any more */
    struct node *node;    /* counted */
    uint64_t off, bytes;
    struct window *prev, *next; /* in file->windows */
};

static uint64_t up_to_block(uint64_t n)
{
    return (n + BLOB_BLOCK - 1) / BLOB_BLOCK * BLOB_BLOCK;
}

static uint64_t at_most(uint64_t n, uint64_t max)
{
    return n < max ? n : max;
}

static void free_window_locked(struct fs *fs, struct window *w)
{
    if (w->file)
        DL_DELETE(w->file->windows, w);
    node_unref_locked(fs, w->node);
    free(w);
}

uint64_t window_of_locked(struct fs_file *file, uint64_t off, uint64_t len, uint64_t missing)
{
    const uint64_t start = missing / BLOB_BLOCK * BLOB_BLOCK;
    const uint64_t asked = up_to_block(off + len - start);

    struct window *w;

    /* A reader that is quicker than the threads does what one of them would have done. */
    DL_FOREACH(file->windows, w)
        if (missing >= w->off && missing - w->off < w->bytes &&
            ahead_unqueue_locked(file->fs, &w->job)) {
            const uint64_t rest = w->off + w->bytes - start;

            free_window_locked(file->fs, w);
            return rest;
        }
    if (off == 0)
        return FS_WINDOW; /* from the beginning: most go on */
    if (off != file->next_off)
        return asked;
    if (file->run < 2 * asked)
        return asked > LITTLE ? asked : LITTLE;
    return asked + up_to_block(at_most(file->run, FS_WINDOW_MAX - FS_WINDOW));
}

static void fetch_window(struct fs *fs, struct job *job, bool drop)
{
    struct window *w = (struct window *)job;
    struct node *n = w->node;
    uint64_t off, bytes;

    /* It may be of another version by now, or none: then the reader asks for itself. */
    if (!drop && w->file && n->file->blob && !n->file->writing &&
        (n->file->kept || !node_gone_locked(n)) && !change_hidden_locked(n) &&
        blob_take(n->file->blob, w->off, w->bytes, &off, &bytes) == 1)
        (void)data_fetch_range(fs, n, off, bytes); /* the reader meets the failure, if it lasts */
    free_window_locked(fs, w);
}

static bool queue_window_locked(struct fs_file *file, uint64_t bytes)
{
    struct window *w = calloc(1, sizeof(*w));

    if (!w)
        return false;
    w->job.run = fetch_window;
    w->node = node_ref_locked(file->node);
    w->off = file->ahead_off;
    w->bytes = bytes;
    if (!ahead_queue_locked(file->fs, &w->job, WINDOWS)) {
        free_window_locked(file->fs, w);
        return false;
    }
    w->file = file;
    DL_APPEND(file->windows, w);
    return true;
}

/* What has not begun is not begun; what is under way goes on, and is not waited for. */
static void forget_windows_locked(struct fs_file *file)
{
    struct window *w, *tmp;

    DL_FOREACH_SAFE(file->windows, w, tmp) {
        if (ahead_unqueue_locked(file->fs, &w->job)) {
            free_window_locked(file->fs, w);
        } else {
            DL_DELETE(file->windows, w);
            w->file = NULL;
        }
    }
}

static uint64_t step(uint64_t run)
{
    uint64_t bytes = FS_WINDOW;

    while (bytes < FS_WINDOW_MAX && run >= bytes)
        bytes *= 2;
    return bytes;
}

static void go_on_locked(struct fs_file *file)
{
    const uint64_t size = blob_size(file->node->file->blob), here = file->next_off;
    const uint64_t reach = at_most(2 * file->run, (uint64_t)WINDOWS * FS_WINDOW_MAX);
    struct window *w;
    int count;

    if (file->ahead_off < here)
        file->ahead_off = up_to_block(here);
    DL_COUNT(file->windows, w, count);
    for (; count < WINDOWS; count++) {
        const uint64_t left = size - at_most(size, file->ahead_off);
        const uint64_t bytes = at_most(left, step(file->run));

        if (bytes == 0 || file->ahead_off + bytes > here + reach)
            break;
        if (!blob_has(file->node->file->blob, file->ahead_off, bytes) &&
            !queue_window_locked(file, bytes))
            break;
        file->ahead_off += bytes;
    }
}

void window_read_locked(struct fs_file *file, uint64_t off, uint64_t len)
{
    struct node *n = file->node;

    lock_assert_held(&file->fs->lock);
    if (off != file->next_off) {
        file->run = file->ahead_off = 0;
        forget_windows_locked(file);
    }
    file->run += len;
    file->next_off = off + len;
    if (n->file->blob && !data_whole_locked(n) && file->run >= FS_WINDOW / 2)
        go_on_locked(file);
}

void window_close_locked(struct fs_file *file)
{
    forget_windows_locked(file);
}
