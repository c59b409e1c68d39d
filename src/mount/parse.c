#include "mount/mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int mount_parse_target(const char *text, char **ret_sandbox, char **ret_path)
{
    const size_t len = strcspn(text, ":");
    char *sandbox, *path;

    if (len == 0)
        return -EINVAL;
    sandbox = strndup(text, len);
    path = text[len] ? strdup(text + len + 1) : NULL;
    if (!sandbox || (text[len] && !path)) {
        free(sandbox);
        free(path);
        return -ENOMEM;
    }
    *ret_sandbox = sandbox;
    *ret_path = path;
    return 0;
}
