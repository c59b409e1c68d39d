/* order.h - what is asked of a mount from outside: that it sends what waits, and how far it is. */
#ifndef MOUNT_ORDER_H
#define MOUNT_ORDER_H

#include <stdint.h>

/* Opens a control file of the mount at dir: a file descriptor, or -errno. */
int order_open(const char *dir, const char *ctl_name, const char *file, int flags);

/*
 * Writes line ("sync PATH\n") to the control file ctl of the mount at dir and waits for the answer,
 * at most timeout_ns (0: as long as it takes). Meanwhile stderr, if it is a terminal, has a bar of
 * changes, bytes and rate. Calls threads into being. 0, -ETIMEDOUT, or -errno of the write.
 */
int order_sync(const char *dir, const char *ctl_name, const char *line, int64_t timeout_ns);

/* What still waits, on stderr: a few lines, and how many more there are. Nothing if nothing does.
 */
void order_list_left(const char *dir, const char *ctl_name);
void order_list(const char *lines); /* the same of any lines */

#endif
