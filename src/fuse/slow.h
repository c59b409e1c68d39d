/*
 * slow.h - threads for what may wait. A lane is a kind of work with a bound of its own, so that any
 * number of slow jobs of one kind never delays another kind. Threads come with demand, up to the
 * bound, and go when they are idle; more jobs than threads wait in line, in order.
 */
#ifndef FUSE_SLOW_H
#define FUSE_SLOW_H

#include "util/cancel.h"

#include <stddef.h>

enum slow_lane { SLOW_META, SLOW_DATA, SLOW_LANES };

enum slow_state { SLOW_NEW, SLOW_QUEUED, SLOW_TAKEN };

/* Embedded in what a job needs. */
struct slow_job {
    /* Runs exactly once, with cancel bound; may free the job. After a slow_cancel it runs, too: its
     * first wait then ends with -EINTR. */
    void (*run)(struct slow_job *job);
    struct cancel *cancel; /* owned by whoever owns the job */
    /* slow's own */
    enum slow_state state;
    int lane;
    struct slow_job *prev, *next;
};

struct slow_config {
    unsigned threads[SLOW_LANES];
    unsigned queue_max; /* jobs in line, all lanes */
};

struct slow;

int slow_new(const struct slow_config *config, struct slow **ret);
/* Cancels every job, lets all of them run to their end, joins the threads. No slow_run by then. */
struct slow *slow_free(struct slow *s);

/* 0: job->run will be called. -EAGAIN: the line is full; -ENOMEM: no thread could be made. */
int slow_run(struct slow *s, enum slow_lane lane, struct slow_job *job);

/*
 * Fires the job's cancel. A job that still waits in line runs at once, whatever its lane is busy
 * with; for one that has ended nothing happens, but its memory must still be there. Quick.
 */
void slow_cancel(struct slow *s, struct slow_job *job);

/* Fires the cancel of every job there is, as slow_cancel does. */
void slow_cancel_all(struct slow *s);

/* Threads now; for status and tests. */
unsigned slow_threads(struct slow *s);

#endif
