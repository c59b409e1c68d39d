/* place.h - the local directory that a mount covers, as the kernel's list of mounts knows it. */
#ifndef MOUNT_PLACE_H
#define MOUNT_PLACE_H

#include "util/buf.h"

/*
 * The file system type of the topmost mount exactly at dir (absolute, resolved): "fuse.daytonafs".
 * A new string. -ENOENT: nothing is mounted there. Does not touch dir, which may hang or be dead.
 */
int place_type(const char *dir, char **ret);

/*
 * Checks that something can be mounted at dir, and removes a dead daytonafs mount that is in the
 * way (why says so then). *ret is its resolved absolute path, the caller's. Otherwise -errno, and
 * one line without its end in why. Notes about a success end in a newline.
 */
int place_check(const char *dir, char **ret, struct buf *why);

#endif
