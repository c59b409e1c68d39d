/*
 * notify.h - tells the kernel what it must forget, on a thread of its own: those calls may wait for
 * a directory that a caller has locked, so nobody else ever makes them.
 */
#ifndef FUSE_NOTIFY_H
#define FUSE_NOTIFY_H

#include "fs/fs.h"

#include <stdint.h>

struct notify;

/* A struct fs_notify whose arg is a struct notify. */
extern const struct fs_notify notify_for_fs;

int notify_new(struct notify **ret);

/* What delivers: may block. Until it is set, and after it is cleared, everything is dropped (there
 * is no kernel to tell). notify_stop returns when nothing is being delivered any more. */
struct notify_target {
    void (*inode)(void *arg, uint64_t ino);
    void (*entry)(void *arg, uint64_t parent, const char *name);
    void (*forget)(void *arg, uint64_t parent, const char *name);
};
void notify_start(struct notify *n, const struct notify_target *target, void *arg);
void notify_stop(struct notify *n);

struct notify *notify_free(struct notify *n);

/* Waits until all that was queued before is delivered; -ETIMEDOUT. Never from a target. */
int notify_drain(struct notify *n, int64_t wait_ns);

#endif
