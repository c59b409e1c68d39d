/*
 * talk.h - one handle's question, and where in the file its answer lies. Pure: no locks, no clock.
 *
 * A shell has one offset for writing and reading, so an answer starts where the last write ended:
 * then `echo ls >&3; cat <&3` reads it from its first byte. A program that seeks to 0 before it
 * reads means the same thing, so a read below that point starts the answer over and moves the
 * answer's origin to where that read was: its next read goes on from there.
 */
#ifndef CTL_TALK_H
#define CTL_TALK_H

#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * IDLE     nothing was written
 * PENDING  text was written and not asked
 * ASKED    the text was asked; a write begins a new question
 * REFUSED  more was written than a question may hold. Nothing is asked any more through this
 *          handle: half a script must not run, and what follows is its other half.
 */
enum talk_state { TALK_IDLE, TALK_PENDING, TALK_ASKED, TALK_REFUSED };

struct talk {
    enum talk_state state;
    struct buf text;
    int64_t origin; /* the offset of the answer's first byte; below 0 when a stream dropped some */
};

void talk_init(struct talk *t, size_t question_max);
void talk_done(struct talk *t);

/* -EFBIG: refused, now and from now on. -ENOMEM. */
int talk_write(struct talk *t, uint64_t off, const void *p, size_t n);

/* True once for each question: it is to be asked now. text stays until the next write. */
bool talk_ask(struct talk *t);

/* Which byte of the answer a read at off (up to INT64_MAX) wants, never one before first, which is
 * the first that is still kept. */
uint64_t talk_position(struct talk *t, uint64_t off, uint64_t first);

#endif
