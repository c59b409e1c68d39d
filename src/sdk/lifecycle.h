/* lifecycle.h - waiting for a sandbox to be in a state. */
#ifndef SDK_LIFECYCLE_H
#define SDK_LIFECYCLE_H

#include "sdk/call.h"

/* Without a byte for so long a call has failed: the service itself waits up to 30 s for the state
 * before it answers. */
extern const int64_t lifecycle_stall_ns;

/* When a timeout that begins now is over, monotonic; INT64_MAX: never. timeout_ms as in
 * <daytona/sandbox.h>. What a request may take of it: at least a little, so that it can be tried;
 * 0: no limit. */
int64_t lifecycle_until_ns(int64_t timeout_ms);
int64_t lifecycle_left_ns(int64_t until_ns);

/* Asks until it is in the state wanted. gone_is_fine: none of that id is a success, too. Sets the
 * last error: -ETIMEDOUT, or what went wrong with it. */
int lifecycle_wait(struct daytona_sandbox *sb, enum daytona_state wanted, bool gone_is_fine,
                   int64_t until_ns);

#endif
