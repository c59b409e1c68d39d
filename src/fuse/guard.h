/*
 * guard.h - a process that ends the kernel's side of a mount when the one that serves it is killed.
 *
 * A kill alone need not: the thread that tells the kernel of changes waits in it for the lock of a
 * directory, which whoever is in that directory holds until the mount has answered. Killed then,
 * it goes on waiting, /dev/fuse stays open, and nobody is told that there will be no answer:
 * neither of them ever ends, and the journal stays locked.
 */
#ifndef FUSE_GUARD_H
#define FUSE_GUARD_H

#include <stdint.h>

struct guard;

/*
 * For the FUSE mount with that st_dev. It guards against the end of the calling thread, which must
 * be the one that ends last. -ENOENT, -EPERM: there is no way to end it from here, which is so
 * for an ordinary user where /sys/fs/fuse/connections is not there.
 */
int guard_new(uint64_t dev, struct guard **ret);
/* The mount is no longer guarded. Returns NULL; takes NULL. */
struct guard *guard_free(struct guard *g);

#endif
