/* journals.h - the journal of a mount, and what earlier ones left. */
#ifndef MOUNT_JOURNALS_H
#define MOUNT_JOURNALS_H

#include "mount/stack.h"

/*
 * Sends what earlier mounts of the sandbox could not, oldest first, and gives s a journal of its
 * own with its queue. Says on stderr what it does that takes time, and what it could not. A mount
 * of the same path that is going away is waited for; one that is not is refused, with its
 * directory; so is one that would work beside changes that cannot be sent now. An enum exitcode,
 * and why as in stack_build.
 */
int journals_open(struct stack *s, struct buf *why);
/* Sends nothing: says how many there are, and counts them in s->left. */
void journals_look(struct stack *s);
/* A sentence, if the disk that s's journal is on has too little left for any change. */
bool journals_short(const struct stack *s, struct buf *out);
/*
 * Sends what is in the journal of that name, without a mount: s is as stack_reach has made it.
 * until_ns: monotonic. What is left is listed on stderr, and why has one line, on success too. An
 * enum exitcode; EXITCODE_QUEUED: something is left.
 */
int journals_resend(struct stack *s, const char *name, int64_t until_ns, struct buf *why);

#endif
