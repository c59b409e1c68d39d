#include "fs/contain.h"

#include "util/buf.h"
#include "util/path.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Steps over one component; *ret_len is 0 at the end. */
static const char *next_part(const char *p, size_t *ret_len)
{
    while (*p == '/')
        p++;
    *ret_len = strcspn(p, "/");
    return p;
}

static size_t depth_of(const char *dir)
{
    size_t depth = 0, len;

    for (dir = next_part(dir, &len); len > 0; dir = next_part(dir + len, &len))
        depth++;
    return depth;
}

static bool is_part(const char *p, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(p, name, len) == 0;
}

/*
 * The path with ".." only at its start, how many in *ret_up. A ".." behind a name must not stay:
 * the name may be a link to ".", and then each such pair is a step up that counting does not see.
 */
static char *resolve_relative(const char *path, size_t *ret_up)
{
    char *out = malloc(strlen(path) + 2); /* what is written never outgrows what was read */
    size_t len, used = 0, up = 0, names = 0;

    if (!out)
        return NULL;
    for (path = next_part(path, &len); len > 0; path = next_part(path + len, &len)) {
        if (is_part(path, len, "."))
            continue;
        if (is_part(path, len, "..") && names > 0) {
            names--;
            for (used--; used > 0 && out[used - 1] != '/'; used--)
                ;
            continue;
        }
        if (is_part(path, len, ".."))
            up++;
        else
            names++;
        memcpy(out + used, path, len);
        used += len;
        out[used++] = '/';
    }
    if (used == 0) {
        out[used++] = '.';
        out[used++] = '/';
    }
    out[used - 1] = '\0';
    *ret_up = up;
    return out;
}

static bool steps_back(const char *path)
{
    bool named = false;
    size_t len;

    for (path = next_part(path, &len); len > 0; path = next_part(path + len, &len)) {
        if (is_part(path, len, "..") && named)
            return true;
        named = named || !(is_part(path, len, "..") || is_part(path, len, "."));
    }
    return false;
}

/* ".." would step out of what is put in front, so it is resolved first: at "/" it stays there. */
static char *contain_absolute(const char *root, const char *mount_dir, const char *target)
{
    char *clean = path_resolve("/", target), *shown = NULL;
    const char *rest;

    if (!clean)
        return NULL;
    rest = path_is_below(clean, root) ? path_below(clean, root) : path_below(clean, "/");
    shown = rest[0] ? path_join(mount_dir, rest) : strdup(mount_dir);
    free(clean);
    return shown;
}

/* Each ".." of the target is kept as text inside one name, so that nothing steps up from it. */
static char *nowhere(const char *target)
{
    struct buf b = BUF_INIT(SIZE_MAX / 2);
    size_t len;
    int r = buf_puts(&b, CONTAIN_OUTSIDE);

    for (target = next_part(target, &len); r == 0 && len > 0; target = next_part(target, &len)) {
        r = is_part(target, len, "..") ? buf_puts(&b, "/up")
                                       : buf_printf(&b, "/%.*s", (int)len, target);
        target += len;
    }
    if (r < 0) {
        buf_done(&b);
        return NULL;
    }
    return buf_take(&b);
}

char *contain_target(const char *root, const char *mount_dir, const char *dir, const char *target)
{
    char *clean, *shown;
    size_t up;

    if (target[0] == '/')
        return contain_absolute(root, mount_dir, target);
    clean = resolve_relative(target, &up);
    if (!clean)
        return NULL;
    if (up > depth_of(dir))
        shown = nowhere(target);
    else
        shown = strdup(steps_back(target) ? clean : target);
    free(clean);
    return shown;
}
