/* umount.h - the end of a mount, seen from outside. */
#ifndef MOUNT_UMOUNT_H
#define MOUNT_UMOUNT_H

#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Sends what is pending, unmounts dir (the mount itself: a place below one is refused) and waits
 * until the process that served it is gone. Returns an enum exitcode and says why on stderr:
 * EXITCODE_QUEUED if something could not be sent, and then it stays mounted unless force. lazy:
 * also while it is in use.
 */
struct umount_params {
    const char *dir;
    bool force, lazy;
    int64_t timeout_ns; /* for sending; 0: as long as it takes */
};
int umount_main(const struct umount_params *params);

/* Where a serving process keeps what it could not send. A new string; NULL without memory. */
char *umount_kept_dir(const char *sandbox_id, pid_t pid);

/* fusermount3 -u or umount(2), whatever this user may do. 0 or -errno; -EBUSY: in use. */
int umount_detach(const char *dir, bool lazy);

#endif
