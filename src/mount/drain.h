/* drain.h - the last chance of data that is not sent yet. */
#ifndef MOUNT_DRAIN_H
#define MOUNT_DRAIN_H

#include "fs/fs.h"

#include <stdint.h>

/* fs_sync, ended at until_ns (monotonic). 0: nothing is left. */
int drain(struct fs *fs, int64_t until_ns);

/* When nothing is left: fs_learn_times, for a moment at most. */
void drain_learn(struct fs *fs);

/* Says in the log what is left in the journal, where it stays. 1; 0: nothing. */
int drain_journal(struct fs *fs);

/* Keeps what is left in dir, and says so in the log. 0: nothing was left; 1: kept; -errno: it could
 * not be kept. */
int drain_keep(struct fs *fs, const char *dir);

#endif
