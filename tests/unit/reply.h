/* reply.h - what ctl_read, ctl_write and ctl_poll answer, perhaps much later. Tests only. */
#ifndef TESTS_REPLY_H
#define TESTS_REPLY_H

#include "util/lock.h"

#include <stdbool.h>
#include <sys/types.h>

enum { REPLY_MAX = 300 << 10, REPLY_NONE = -9999, REPLY_WRONG = -9998 };

struct reply {
    struct lock lock;
    pthread_cond_t cond;
    bool done;
    ssize_t r;
    char data[REPLY_MAX + 1]; /* what was read, and a NUL */
};

void reply_init(struct reply *reply); /* for one answer */
void reply_got(void *reply, ssize_t r, const void *data);
/* What came, or REPLY_NONE after ms; REPLY_WRONG: it came twice, or is too long. */
ssize_t reply_within(struct reply *reply, int ms);
/* What came; the test fails if nothing does. */
ssize_t reply_await(struct reply *reply);

#endif
