/* mount.h - a sandbox's directory, mounted here: from the first request to the last byte. */
#ifndef MOUNT_MOUNT_H
#define MOUNT_MOUNT_H

#include "mount/options.h"
#include "util/buf.h"

#include <stdbool.h>

/* Borrowed for the call. */
struct mount_params {
    const char *sandbox; /* id or name */
    const char *path;    /* in the sandbox, absolute or relative to its work-dir; NULL: that */
    const char *dir;     /* here */
    const struct options *options;
    bool foreground; /* stay; log to stderr */
    bool debug;      /* foreground, and every FUSE and remote call is logged */
};

/*
 * "SANDBOX[:PATH]" as two new strings; *ret_path is NULL if there is no colon. -EINVAL: no sandbox
 * in it; -ENOMEM.
 */
int mount_parse_target(const char *text, char **ret_sandbox, char **ret_path);

/*
 * Mounts, and serves until it is unmounted. Without foreground it returns as soon as the mount
 * answers, and another process serves it. Must be called before the process has threads. Returns
 * an enum exitcode; a failure has been explained on stderr in one line.
 */
int mount_main(const struct mount_params *params);

#endif
