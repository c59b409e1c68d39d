/* life.h - signals and the end of a mount: one thread takes the signals, so that none interrupts
 * anything else. */
#ifndef MOUNT_LIFE_H
#define MOUNT_LIFE_H

#include "util/cancel.h"

#include <stdbool.h>
#include <stdint.h>

struct life;

/*
 * From here on SIGINT, SIGTERM and SIGHUP mean "stop": the first fires the cancel and ends
 * life_wait, the second ends the process at once. Must be called before other threads are made,
 * which inherit that these signals are blocked.
 */
int life_new(struct life **ret);
struct life *life_free(struct life *l);

struct cancel *life_cancel(struct life *l); /* borrowed; fired by the first signal */
bool life_stopping(struct life *l);         /* a signal came, or life_stop */

void life_journaled(struct life *l); /* what is not sent outlives us */

void life_stop(struct life *l); /* as a signal would */
void life_end(struct life *l);  /* the mount ended by itself; any thread */
void life_wait(struct life *l); /* until a signal came or life_end was called */

#endif
