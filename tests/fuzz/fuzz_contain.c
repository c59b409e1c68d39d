/* A link's target, from the sandbox: what is shown never leaves the mount. */
#include "fs/contain.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_up(const char *p)
{
    return strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0');
}

/* ".." only at the start, and no more of them than the directory is deep. */
static bool stays_inside(const char *shown, size_t depth)
{
    bool named = false;

    for (const char *p = shown; *p;) {
        while (*p == '/')
            p++;
        if (is_up(p)) {
            if (named || depth-- == 0)
                return false;
        } else if (*p && !(p[0] == '.' && (p[1] == '/' || p[1] == '\0'))) {
            named = true;
        }
        while (*p && *p != '/')
            p++;
    }
    return true;
}

/* The first byte is the depth of the link's directory, the rest the target. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const dirs[] = {"", "a", "a/b", "a/b/c"};
    char *target, *shown;
    size_t depth;

    if (size < 2)
        return 0;
    depth = data[0] % 4;
    target = strndup((const char *)data + 1, size - 1);
    if (!target)
        return 0;
    shown = contain_target("/home/d", "/mnt/box", dirs[depth], target);
    if (!shown)
        abort();
    if (target[0] == '/') {
        if (strncmp(shown, "/mnt/box", 8) != 0 || !stays_inside(shown, 0))
            abort();
    } else if (shown[0] == '/' || !stays_inside(shown, depth)) {
        abort();
    }
    free(shown);
    free(target);
    return 0;
}
