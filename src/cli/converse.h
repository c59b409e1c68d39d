/*
 * converse.h - a terminal in the sandbox, shown in this one: what comes is shown, what the user
 * types and the size of his window go there. For shell and exec --tty.
 */
#ifndef CLI_CONVERSE_H
#define CLI_CONVERSE_H

#include <daytona/daytona.h>
#include <stdbool.h>
#include <stdint.h>

/* Why it is over although what runs there has not ended. */
enum converse_left {
    CONVERSE_STAYED,
    CONVERSE_KEY,    /* ~. was typed */
    CONVERSE_SIGNAL, /* this program was told to end; signal says how */
    CONVERSE_TIME,   /* until_ns has come */
};

struct converse {
    /* Set by the caller before. */
    struct daytona_sandbox *sandbox;
    const char *id; /* of the terminal */
    struct daytona_pty *pty;
    bool keys;  /* stdin is typed into it: raw if it is a terminal, else as it comes and Ctrl-D at
                   its  end. Without, the first SIGINT is typed as Ctrl-C */
    bool waits; /* for converse_go: until then nothing is typed */
    _Atomic int64_t until_ns; /* monotonic; 0: no end. show may change it before converse_go */
    daytona_pty_output show;
    void *arg;

    /* Set by converse. */
    enum converse_left left;
    int signal;

    struct conversation *inside; /* while it goes on */
};

/* Shows the terminal until what runs in it has ended: 0 and *end; or left says why not: -EINTR; or
 * -errno as of daytona_pty_wait and show. The user's terminal is then as it was. */
int converse(struct converse *c, struct daytona_pty_exit *end);
/* By show, for one that waits. */
void converse_go(struct converse *c);
/* The size of the user's window goes to the terminal, if it has one. */
void converse_resize(const struct converse *c);
/* That size, or 0 and 0. */
void converse_size(unsigned *ret_cols, unsigned *ret_rows);

#endif
