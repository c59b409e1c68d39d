/*
 * interpreter.h - contexts: one Python each, which remembers what its runs have defined.
 *
 * A context is a process in the sandbox and a turn that is taken: who runs code in it has it alone
 * until the code has ended. There is no thread: whoever runs moves the events himself. Any thread;
 * a context is used with a reference.
 */
#ifndef SERVER_INTERPRETER_H
#define SERVER_INTERPRETER_H

#include "server/jail.h"
#include "util/lock.h"
#include "wire/json.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    INTERPRETERS_MAX = 64,            /* of one sandbox */
    INTERPRETER_QUEUE_MAX = 128,      /* who waits for a turn */
    INTERPRETER_EVENT_MAX = 16 << 20, /* bytes of one */
};

/* The one that needs not be made. */
#define INTERPRETER_DEFAULT "default"

struct request;
struct sandbox;

struct interpreter {
    struct interpreter *next; /* server.live */
    unsigned refs;            /* server.live */

    /* These never change. */
    struct server *srv; /* borrowed */
    struct jail *jail;  /* a reference */
    char id[40];
    char *cwd;
    int64_t created_ms;

    struct lock lock; /* guards what follows */
    pthread_cond_t changed;
    uint64_t next_ticket, serving; /* who comes gets a ticket; whose is being served has the turn */
    bool deleted;
    bool alive; /* the process */

    /* Of who has the turn; -1 when there is no process. */
    int commands, events, out, err, status;
    uint32_t job; /* lock */
};

/* cwd NULL: the work-dir. -EMFILE, -ENOENT cwd, -ENOEXEC no Python here. *ret has a reference. */
int interpreter_create(struct request *rq, const char *cwd, struct interpreter **ret);
/* Makes the default one if it is asked for. A reference; NULL: none. */
struct interpreter *interpreter_find(struct request *rq, const char *id);
size_t interpreter_list(struct sandbox *sb, struct interpreter *ret[INTERPRETERS_MAX]);
void interpreter_unref(struct interpreter *in); /* takes NULL */
/* Kills its process and takes it off the list. */
void interpreter_delete(struct sandbox *sb, struct interpreter *in);
void interpreter_end_all(struct sandbox *sb); /* after jail_end */
bool interpreter_alive(struct interpreter *in);

/* In line for a turn. -EMFILE: too many wait. */
int interpreter_queue(struct interpreter *in, uint64_t *ret_ticket);
/* 0: it is the ticket's turn, -ETIMEDOUT. Who has queued waits until it is and gives it back. */
int interpreter_wait_turn(struct interpreter *in, uint64_t ticket, int64_t until_ns);
void interpreter_give_back(struct interpreter *in);
/* With the turn: starts the process unless it is there. Errors as of interpreter_create. */
int interpreter_start(struct request *rq, struct interpreter *in);
/* With the turn: it has ended, or is made to. */
void interpreter_stop(struct interpreter *in);

/* The program, for python3 -c: commands on descriptor 4, events on 3, a line of JSON each. */
extern const char interpreter_program[];

#endif
