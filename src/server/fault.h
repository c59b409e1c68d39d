/*
 * fault.h - what networks and hostile sandboxes do, on demand.
 *
 * A specification is a list of items; each has a counter. For every request fault_plan decides
 * once what will happen to it. Any thread.
 */
#ifndef SERVER_FAULT_H
#define SERVER_FAULT_H

#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct fault;
struct route;

enum fault_lie { /* what a sandbox's daemon may say that is not so */
                 LIE_NONE,
                 LIE_NAME_SLASH,
                 LIE_DOTDOT,
                 LIE_NEGATIVE_SIZE,
                 LIE_ENDLESS,
                 LIE_WRONG_LENGTH,
                 LIE_BAD_JSON,
                 LIE_HTML,
                 LIE_DUP_NAMES,
                 LIE_HUGE_NAME,
};

struct fault_plan {
    int64_t delay_ns;      /* before the answer */
    int status;            /* 0: none; the call is not run */
    int64_t retry_after_s; /* with status 429; -1: not said */
    bool hang;             /* no answer, until the faults change or the server ends */
    bool reset;            /* the connection is reset, the call is not run */
    bool reset_after;      /* the call is run, then the connection is reset */
    bool replay;           /* the call is run twice */
    int64_t cut;           /* the connection ends after so many bytes of body; -1: no */
    int64_t stall;         /* no more than so many until the faults change; -1: no */
    int64_t throttle;      /* bytes of body a second; 0: no limit */
    enum fault_lie lie;
};

struct fault_settings {
    int64_t state_delay_ns; /* a passing state lasts so long */
    int64_t state_wait_ns;  /* start and create wait so long for the state, at most */
    int64_t linger_ns;      /* how long execute waits for output after the shell's end */
    int64_t exit_hang_ns;   /* how long a session's command that ended its shell is waited for */
    int64_t minute_ns;      /* what a minute of the intervals is, to be quick in tests */
    char shell[256];        /* "": from /etc/shells; "none": there is none */
};

int fault_new(struct fault **ret);
struct fault *fault_free(struct fault *f);
/* -EINVAL with a sentence in why: nothing has changed. NULL and "" mean no faults. */
int fault_set(struct fault *f, const char *spec, struct buf *why);
void fault_plan(struct fault *f, const struct route *route, struct fault_plan *ret);
void fault_settings(struct fault *f, struct fault_settings *ret);
/* Sleeps; ends early when the faults change or fault_stop was called. */
void fault_sleep(struct fault *f, int64_t ns);
void fault_stop(struct fault *f);
struct fault_counts {
    uint64_t requests; /* since the last fault_set */
    uint64_t broken;   /* how many of them suffered */
};
void fault_counts(struct fault *f, struct fault_counts *ret);
int fault_help(struct buf *out);

#endif
