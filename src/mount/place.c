#include "mount/place.h"

#include "mount/registry.h"
#include "mount/umount.h"
#include "util/errtext.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* proc(5): blanks, tabs, newlines and backslashes are \ooo. */
static void unescape(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

/* "ID PARENT MAJ:MIN ROOT POINT OPTIONS … - TYPE SOURCE …" */
static const char *split_mountinfo(char *line, char **ret_point)
{
    char *type = strstr(line, " - "), *rest = line;

    for (int i = 0; i < 5; i++)
        *ret_point = strsep(&rest, " ");
    if (!type || !*ret_point || !rest)
        return NULL;
    type += 3;
    type[strcspn(type, " \n")] = '\0';
    unescape(*ret_point);
    return type;
}

int place_type(const char *dir, char **ret)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char *line = NULL, *found = NULL;
    size_t cap = 0;
    int r = 0;

    if (!f)
        return -errno;
    while (r == 0 && getline(&line, &cap, f) >= 0) {
        char *point = NULL;
        const char *type = split_mountinfo(line, &point);

        if (!type || strcmp(point, dir) != 0)
            continue;
        free(found);
        found = strdup(type); /* the last one lies on top */
        r = found ? 0 : -ENOMEM;
    }
    free(line);
    fclose(f);
    if (r == 0 && !found)
        r = -ENOENT;
    if (r == 0)
        *ret = found;
    return r;
}

__attribute__((format(printf, 3, 4))) static int refuse(struct buf *why, int err, const char *fmt,
                                                        ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)buf_vprintf(why, fmt, ap); /* without memory there is no sentence, but still an error */
    va_end(ap);
    return err;
}

/* Something is mounted at dir. 0: no longer. */
static int check_covered(const char *dir, const char *type, struct buf *why)
{
    struct registry_entry live;
    int r;

    if (registry_find_path(dir, &live, NULL) == 0 && strcmp(live.dir, dir) == 0) {
        r = refuse(why, -EBUSY,
                   "%s is already a mount of sandbox '%s': unmount it first, or "
                   "choose another directory",
                   dir, live.sandbox_name);
        registry_entry_done(&live);
        return r;
    }
    if (strcmp(type, "fuse.daytonafs") != 0) {
        struct stat st;

        if (stat(dir, &st) < 0 && errno == ENOTCONN)
            return refuse(why, -EBUSY, "%s is a dead mount (%s): remove it with `fusermount3 -u`",
                          dir, type);
        return refuse(why, -EBUSY, "%s is already a mount point (%s): choose another directory",
                      dir, type);
    }
    r = umount_detach(dir, true);
    if (r < 0)
        return refuse(why, -EBUSY,
                      "a daytonafs that was killed left a dead mount at %s, and it cannot be "
                      "removed (%s): try `fusermount3 -uz`",
                      dir, errtext_sentence(r));
    (void)buf_printf(why, "removed the dead mount that a killed daytonafs left at %s\n", dir);
    return 0;
}

static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    bool empty = true;

    while (d && empty && (e = readdir(d)))
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    if (d)
        closedir(d);
    return empty;
}

/* It was mounted here and is unmounted: its process only has not ended yet. */
static bool is_leaving(const char *dir, const struct registry_entry *e)
{
    char *type = NULL;
    const bool mounted = place_type(dir, &type) == 0;

    free(type);
    return !mounted && strcmp(e->dir, dir) == 0;
}

static int check_directory(const char *dir, struct buf *why)
{
    struct registry_entry around;
    struct stat st;

    if (registry_find_path(dir, &around, NULL) == 0) {
        int r = 0;

        if (!is_leaving(dir, &around))
            r = refuse(why, -EBUSY,
                       "%s is inside a mount of sandbox '%s': choose a directory outside it", dir,
                       around.sandbox_name);
        registry_entry_done(&around);
        if (r < 0)
            return r;
    }
    if (stat(dir, &st) < 0) {
        const int err = -errno;

        if (err == -ENOENT)
            return refuse(why, err, "%s does not exist: make it with mkdir", dir);
        if (err == -ENOTCONN)
            return refuse(why, -EBUSY, "%s is below a dead mount: see `mount`, `fusermount3 -u`",
                          dir);
        return refuse(why, err, "%s: %s", dir, errtext_sentence(err));
    }
    if (!S_ISDIR(st.st_mode))
        return refuse(why, -ENOTDIR, "%s is not a directory", dir);
    if (!is_empty(dir))
        (void)buf_printf(why, "%s is not empty: what it holds is hidden while it is mounted\n",
                         dir);
    return 0;
}

/* As registry_resolve, with a last component that is a link followed too, unless it is dead. */
static char *resolve(const char *dir)
{
    char *path = registry_resolve(dir), *type = NULL, *real;

    if (!path)
        return NULL;
    if (place_type(path, &type) == 0) { /* covered: not to be touched */
        free(type);
        return path;
    }
    real = realpath(path, NULL);
    if (!real)
        return path;
    free(path);
    return real;
}

int place_check(const char *dir, char **ret, struct buf *why)
{
    char *path = NULL, *type = NULL;
    int r;

    if (!*dir)
        return refuse(why, -ENOENT, "the directory's name is empty: say where to mount");
    path = resolve(dir);
    if (!path)
        return -ENOMEM;
    r = place_type(path, &type);
    if (r == 0)
        r = check_covered(path, type, why);
    else if (r == -ENOENT)
        r = 0;
    free(type);
    if (r == 0)
        r = check_directory(path, why);
    if (r < 0)
        free(path);
    else
        *ret = path;
    return r;
}
