/* resend.h - what an earlier mount left in its journal, brought to the sandbox. */
#ifndef MOUNT_RESEND_H
#define MOUNT_RESEND_H

#include "journal/journal.h"
#include "remote/remote.h"

struct resend {
    int64_t op_timeout_ns;
    int64_t until_ns; /* monotonic; INT64_MAX: as long as something moves */
};

struct resent {
    size_t found; /* changes that waited */
    uint64_t found_bytes;
    size_t waiting;  /* of them: that still do */
    size_t parked;   /* refused by the sandbox, or in conflict, now or before: in the journal */
    bool goes_on;    /* those that wait do so for the user's word: a mount can be told */
    const char *why; /* they are never sent from here: a sentence; NULL: the line is to blame */
};

/*
 * Sends all that is in j, each change once, whoever sent how much of it before, and says on stderr
 * that it does, and how far it is if that is a terminal. Goes on over a line that fails until
 * nothing has moved for a minute, or for twice op_timeout, or the bound cancel fires. left gets a
 * line for each change that waits or is parked, as far as they fit. 0 if nothing waits any more;
 * else -ETIMEDOUT, -EINTR, or what the line or the journal said. Always with ret.
 */
int resend(struct journal *j, struct remote *remote, const struct resend *how, struct buf *left,
           struct resent *ret);

#endif
