/*
 * interrupt.h - which signal may end which wait.
 *
 * The kernel reports any signal as an interrupt, once. But programs do not expect EINTR from files,
 * and git, Go and shells are sent SIGALRM, SIGURG and SIGCHLD all the time. So an interrupted
 * waiter is watched, on a thread of its own: it is stopped when its caller is about to die or was
 * asked to stop, at once or whenever that happens; other signals wait until it has its answer.
 */
#ifndef FUSE_INTERRUPT_H
#define FUSE_INTERRUPT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum interrupt_kind {
    INTERRUPT_FILE,   /* by SIGINT, SIGQUIT, SIGTERM, SIGHUP, or what kills */
    INTERRUPT_STREAM, /* as a pipe: by all but what programs get without asking */
};

/* Embedded in what waits. */
struct waiter {
    atomic_uint refs; /* one when made */
    pid_t tid;        /* of the caller; 0: unknown, any signal counts */
    enum interrupt_kind kind;
    void (*fire)(struct waiter *w); /* stops it; may come again, may come too late; no lock held */
    void (*free)(struct waiter *w);
    /* interrupt's own */
    bool listed, settled;
    uint64_t pass;
    struct waiter *prev, *next;
};

struct interrupts;

int interrupts_new(struct interrupts **ret);
struct interrupts *interrupts_free(struct interrupts *in); /* every waiter must be settled */

/* A signal came. May be called with libfuse's locks held. */
void interrupts_add(struct interrupts *in, struct waiter *w);
/* The wait is over: from now on no interrupts_add counts. */
void interrupts_settle(struct interrupts *in, struct waiter *w);

bool waiter_tryref(struct waiter *w); /* false: it is being freed */
void waiter_unref(struct waiter *w);

/* What /proc/TID/status says, as masks with bit n-1 for signal n. For tests. */
bool interrupt_wanted(enum interrupt_kind kind, uint64_t pending, uint64_t blocked,
                      uint64_t ignored, uint64_t caught);

#endif
