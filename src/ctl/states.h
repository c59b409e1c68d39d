/* states.h - what a state of the sandbox means for whoever uses its files. */
#ifndef CTL_STATES_H
#define CTL_STATES_H

#include <stdbool.h>

#include <daytona/sandbox.h>

struct states_row {
    enum daytona_state state;
    const char *name; /* as the service says it; several are parted by blanks */
    bool wakes;       /* with wake=auto it is started when it is needed */
    int err;          /* what needs the sandbox fails with it when it is not woken; 0: it works */
    const char *help; /* what happens, and what helps; one line */
};

/* One row for each state that the SDK tells apart; ended by a row without a name. */
extern const struct states_row states_table[];

const struct states_row *states_row(enum daytona_state state); /* never NULL */

#endif
