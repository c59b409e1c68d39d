/*
 * daytona/cancel.h - the right to end a call while it waits.
 *
 * A thread binds a cancel before it makes calls; any other thread may fire it. From then on calls
 * of that thread, the one under way included, end with -EINTR. What had reached the service by then
 * may have been done.
 */
#ifndef DAYTONA_CANCEL_H
#define DAYTONA_CANCEL_H

#include "daytona/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_cancel;

/* NULL without memory. The caller's: daytona_cancel_free. */
DAYTONA_API struct daytona_cancel *daytona_cancel_new(void);
/* Not while a thread has it bound. NULL is fine; returns NULL. */
DAYTONA_API struct daytona_cancel *daytona_cancel_free(struct daytona_cancel *cancel);
/* Any thread, any number of times. Not in a signal handler. */
DAYTONA_API void daytona_cancel_fire(struct daytona_cancel *cancel);
/* Makes cancel, or none with NULL, the calling thread's. Returns the one before. */
DAYTONA_API struct daytona_cancel *daytona_cancel_bind(struct daytona_cancel *cancel);

#ifdef __cplusplus
}
#endif
#endif
