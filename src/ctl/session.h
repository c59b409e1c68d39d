/*
 * session.h - sessions/: shells that live on in the sandbox, as the service keeps them. For src/ctl
 * only. What is known of one is asked for again after a moment; only the exit code of what was run
 * last is remembered here.
 */
#ifndef CTL_SESSION_H
#define CTL_SESSION_H

#include "ctl/row.h"

#include <daytona/session.h>

struct sessions;

struct session {
    struct session *prev, *next; /* in the table; sessions.lock */
    struct sessions *sessions;
    unsigned refs;                /* sessions.lock */
    char *name;                   /* never changes */
    bool listed;                  /* the table has a reference */
    int exit_code;                /* of the last run; -1: none */
    struct daytona_session known; /* id NULL: nothing is */
    int64_t until_ns;             /* known is true until then */
};

/* A command of one. */
struct session_command {
    struct session *session; /* counted */
    char *id;
};

int sessions_new(struct sessions **ret);
struct sessions *sessions_free(struct sessions *s); /* takes NULL; when no entry is left */

extern const struct ctl_dir sessions_dir; /* stands on ctl_host.sandbox */

/* ---- sessions.c, for the rows ---- */

/* The command as it is, not older than a moment; -ENOENT. *ret is the caller's. */
int session_command_now(struct ctl *ctl, const struct session_command *c,
                        struct daytona_command *ret);
/* Something was done to it: what is known is old. */
void session_stale(struct session *s);
void session_keep_exit(struct session *s, int code);
int session_last_exit(struct session *s);

/* What the shell of a session made here prints, on a line of its own and with its exit code, when
 * it ends: the service never tells whoever waits for it. */
#define SESSION_ENDED "daytonafs: the shell of the session has ended, "
/* Ends the text of what was run here, as a comment and with a number of its own. */
#define SESSION_MARK "\n# daytonafs "

extern const struct ctl_dir session_commands_dir;
extern const struct ctl_row session_row, session_command_row;

#endif
