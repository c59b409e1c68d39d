/* find.c - what is at a path of the sandbox, looked up as the kernel does it. */
#include "fs/fs_internal.h"

#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void find_done(struct fs *fs, uint64_t ino)
{
    if (ino != FS_ROOT) /* that was not looked up */
        fs_forget(fs, ino, 1);
}

int find_path(struct fs *fs, const char *path, struct fs_entry *ret)
{
    char *names, *save = NULL;
    int r;

    r = fs_getattr(fs, FS_ROOT, NULL, ret);
    if (r < 0)
        return r;
    if (!path_is_below(path, fs->root_path))
        return -EXDEV;
    names = strdup(path_below(path, fs->root_path));
    if (!names)
        return -ENOMEM;
    for (char *n = strtok_r(names, "/", &save); n && r == 0; n = strtok_r(NULL, "/", &save)) {
        const uint64_t dir = ret->ino;

        r = fs_lookup(fs, dir, n, ret);
        if (r == 0 && ret->ino == 0)
            r = -ENOENT;
        find_done(fs, dir);
    }
    free(names);
    return r;
}
