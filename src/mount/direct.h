/* direct.h - a sandbox without a mount, for what goes on inside it. */
#ifndef MOUNT_DIRECT_H
#define MOUNT_DIRECT_H

#include "remote/job.h"

#include <daytona/sandbox.h>

/* What a mount's jobs stand on, too. Keeps a reference on sandbox. Where the helper
 * cannot run it does without, and why has a sentence about that if there are no jobs then. */
int direct_open(struct daytona_sandbox *sandbox, struct remote **ret, struct buf *why);
/* Where commands start: path, or (NULL) the work-dir. A new string. */
int direct_path(struct remote *r, const char *path, char **ret);

#endif
