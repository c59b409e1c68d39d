/* mappable.h - what the kernel must be asked for so that every file can be mapped. */
#ifndef FUSE_MAPPABLE_H
#define FUSE_MAPPABLE_H

#include "fuse/session_internal.h"

/*
 * Files of which not all is local are opened for direct I/O, and of those Linux maps nothing shared
 * (ENODEV) unless it is asked to, which is possible from 6.6 on. These two ask, also where libfuse
 * (before 3.17) has no word for it. Once, as soon as it is mounted; and in init.
 */
int mappable_mounted(struct session *s);
void mappable_init(struct session *s, struct fuse_conn_info *conn);

#endif
