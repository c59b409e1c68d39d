#include "util/path.h"

#include "util/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool path_name_valid(const char *name, size_t len)
{
    if (len == 0 || len > PATH_NAME_MAX)
        return false;
    if (memchr(name, '/', len) || memchr(name, '\0', len))
        return false;
    return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

char *path_join(const char *dir, const char *name)
{
    const size_t dir_len = strlen(dir);
    const char *slash = dir_len > 0 && dir[dir_len - 1] == '/' ? "" : "/";
    struct buf b = BUF_INIT(SIZE_MAX / 2);

    while (name[0] == '/')
        name++;
    if (buf_printf(&b, "%s%s%s", dir, slash, name) < 0)
        return NULL;
    return buf_take(&b);
}

char *path_resolve(const char *base, const char *path)
{
    char *whole = path[0] == '/' ? strdup(path) : path_join(base, path);
    char *out, *save, *part;
    size_t len = 0;

    if (!whole)
        return NULL;
    out = malloc(strlen(whole) + 2);
    if (!out)
        goto out;

    for (part = strtok_r(whole, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            while (len > 0 && out[--len] != '/')
                ;
            continue;
        }
        out[len++] = '/';
        memcpy(out + len, part, strlen(part));
        len += strlen(part);
    }
    if (len == 0)
        out[len++] = '/';
    out[len] = '\0';
out:
    free(whole);
    return out;
}

bool path_is_below(const char *path, const char *dir)
{
    const size_t len = strlen(dir);

    if (strcmp(dir, "/") == 0)
        return path[0] == '/';
    return strncmp(path, dir, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

const char *path_below(const char *path, const char *dir)
{
    path += strcmp(dir, "/") == 0 ? 0 : strlen(dir);
    while (path[0] == '/')
        path++;
    return path;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

char *path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int path_make_dirs(const char *path, unsigned mode)
{
    char *copy = strdup(path);
    int r = 0;

    if (!copy)
        return -ENOMEM;
    for (char *p = copy + 1; r == 0; p++) {
        if (*p != '/' && *p != '\0')
            continue;

        const char end = *p;

        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            r = -errno;
        *p = end;
        if (end == '\0')
            break;
    }
    free(copy);
    return r;
}
