/* deadline.h - work that is to be stopped at a time, by a bound cancel that fires then. */
#ifndef UTIL_DEADLINE_H
#define UTIL_DEADLINE_H

#include "util/cancel.h"
#include "util/lock.h"

struct deadline {
    struct cancel *cancel, *before; /* before: the caller's, which does not count meanwhile */
    int64_t until_ns;
    pthread_t thread;
    struct lock lock; /* guards what follows */
    pthread_cond_t ended;
    bool end;
};

/* From here on what the calling thread waits for ends with -EINTR at until_ns (monotonic). -errno:
 * there is nothing to end. */
int deadline_begin(struct deadline *d, int64_t until_ns);
/* Its thread, again. True: the time was over before. */
bool deadline_end(struct deadline *d);

#endif
