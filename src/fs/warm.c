/* Fetching a tree before it is needed, as somebody who reads all of it would. */
#include "fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { STEP = 1 << 20 };

/* What is still to be looked at; each counts a reference. No more than the directories along one
 * way hold at a time. */
struct warm {
    struct fs *fs;
    struct fs_entry *v;
    size_t count, room;
    size_t failed;
    int first; /* errno of the first that failed */
    char *step;
};

static int push(struct warm *w, const struct fs_entry *e)
{
    if (w->count == w->room) {
        const size_t room = w->room ? 2 * w->room : 256;
        struct fs_entry *v = realloc(w->v, room * sizeof(*v));

        if (!v)
            return -ENOMEM;
        w->v = v;
        w->room = room;
    }
    w->v[w->count++] = *e;
    return 0;
}

static int take_entry(void *arg, const char *name, const struct fs_entry *e, uint64_t next_off)
{
    struct warm *w = arg;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    return push(w, e) < 0; /* what is not taken is not counted */
}

/* What it holds is taken in the order of the listing, which is what fetching ahead knows. */
static int warm_dir(struct warm *w, uint64_t ino)
{
    const size_t start = w->count;
    struct fs_dir *dir;
    int r = fs_opendir(w->fs, ino, &dir);

    if (r < 0)
        return r;
    r = fs_readdir(dir, 0, true, take_entry, w);
    fs_releasedir(dir);
    for (size_t i = start, k = w->count; i + 1 < k; i++, k--) {
        const struct fs_entry e = w->v[i];

        w->v[i] = w->v[k - 1];
        w->v[k - 1] = e;
    }
    return r;
}

static int warm_file(struct warm *w, uint64_t ino)
{
    struct fs_open_hints hints;
    struct fs_file *file;
    uint64_t off = 0;
    ssize_t got;
    int r = fs_open(w->fs, ino, O_RDONLY, &file, &hints);

    if (r < 0)
        return r;
    while ((got = fs_read(file, off, w->step, STEP)) > 0)
        off += (uint64_t)got;
    fs_release(file);
    return (int)got;
}

static int warm_all(struct warm *w)
{
    int r = 0;

    while (w->count > 0 && r != -EINTR) {
        const struct fs_entry e = w->v[--w->count];

        r = 0; /* links and the like have no data */
        if (S_ISDIR(e.st.st_mode))
            r = warm_dir(w, e.ino);
        else if (S_ISREG(e.st.st_mode))
            r = warm_file(w, e.ino);
        find_done(w->fs, e.ino);
        if (r < 0 && r != -ENOENT && r != -ESTALE) { /* it went meanwhile: fine */
            w->failed++;
            w->first = w->first ? w->first : r;
        }
        if (r == -EHOSTDOWN || r == -ETIMEDOUT)
            break; /* so would all others */
    }
    return r == -EINTR ? r : w->first;
}

int fs_warm(struct fs *fs, const char *path, size_t *ret_failed)
{
    struct warm w = {.fs = fs};
    struct fs_entry top;
    int r = find_path(fs, path, &top);

    *ret_failed = 0;
    if (r < 0)
        return r;
    w.step = malloc(STEP);
    r = push(&w, &top);
    if (r < 0)
        find_done(fs, top.ino);
    else if (!w.step)
        r = -ENOMEM;
    else
        r = warm_all(&w);
    while (w.count > 0)
        find_done(fs, w.v[--w.count].ino);
    *ret_failed = w.failed;
    free(w.step);
    free(w.v);
    return r;
}
