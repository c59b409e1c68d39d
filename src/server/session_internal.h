/* session_internal.h - what the files of session.h share: session.c has the beginning and the end,
 * session_thread.c what goes on in between, session_commands.c what is asked of it. */
#ifndef SERVER_SESSION_INTERNAL_H
#define SERVER_SESSION_INTERNAL_H

#include "server/session.h"

enum { SESSION_MARK = 3 }; /* bytes before each line of a log, which name its stream */
extern const char session_mark_out[], session_mark_err[];

/* The session's thread: feeds the shell and keeps the logs until s->stop. */
void *session_thread(void *session);
void session_wake(struct session *s);

/* A descriptor of c's log, or -errno. */
int session_log_open(const struct session *s, const struct command *c, int flags);
/* To the log of the command that output belongs to. A full disk loses output, as a full log does.
 */
void session_log_append_locked(struct session *s, const char *p, size_t n);

bool session_is_cancelled(struct session *s);
void session_close_fd(int *fd); /* and makes it -1 */

#endif
