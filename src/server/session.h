/*
 * session.h - shells that live on between commands: the toolbox's process sessions.
 *
 * A session is a shell and one thread that feeds it commands, one at a time, and writes what they
 * print into a log each: every line behind three bytes that name its stream. It lives until it is
 * deleted or its sandbox stops. Any thread; a session is used with a reference.
 */
#ifndef SERVER_SESSION_H
#define SERVER_SESSION_H

#include "server/jail.h"
#include "util/lock.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SESSIONS_MAX = 256, /* of one sandbox */
    SESSION_COMMANDS_MAX = 4096,
    SESSION_NAME_MAX = 128,
    SESSION_TEXT_MAX = 64 << 20, /* all commands of one session */
};
#define SESSION_LOG_MAX (INT64_C(1) << 30) /* of one command; what comes after is lost */

struct sandbox;
struct server;

enum command_state { COMMAND_WAITING, COMMAND_RUNNING, COMMAND_DONE };

struct command {
    struct command *next; /* session.lock */
    char id[40];
    char *text;
    bool async; /* its standard input stays open */
    bool echo;  /* input goes to the log, too */

    /* session.lock */
    enum command_state state;
    int exit_code;
    int64_t done_ns; /* monotonic */
    uint64_t log_len;
};

struct session {
    struct session *next; /* server.live */
    unsigned refs;        /* server.live */

    /* These never change. */
    struct server *srv; /* borrowed */
    struct jail *jail;  /* a reference */
    char name[SESSION_NAME_MAX + 1];
    char *log_dir;       /* on the host, private */
    char *script_dir;    /* in the sandbox, as the shell names it */
    int scripts, parent; /* that directory and the one that holds it */
    bool keeps_nul;      /* the shell is one whose `read` does */
    uint32_t job;        /* of the jail */
    int in, input;       /* to the shell; to commands */
    int out, err, done;  /* from them; the thread's */
    int status, wake;    /* the thread's; an eventfd */
    pthread_t thread;

    struct lock lock;
    pthread_cond_t changed; /* what follows, and logs */
    struct command *commands, **commands_end;
    size_t count, text_bytes;
    struct command *current; /* the one that runs, or the last that ran: output is its */
    int log_fd;              /* of current */
    bool dead;               /* the shell has ended */
    bool cancelled;          /* deleted, or the sandbox stopped */
    bool stop;               /* the thread is to end */
};

struct session_start {
    struct sandbox *sandbox;
    struct jail *jail;
    const char *name; /* session_name_valid */
    const char *shell, *cwd;
    const char *const *env;
    const char *script_dir; /* named as the session is */
    int scripts, parent;    /* become the session's, also on error */
};

bool session_name_valid(const char *name);
/* -EEXIST, -EMFILE too many, -ENOTDIR and so on: the shell cannot be started there. */
int session_start(const struct session_start *start, struct session **ret);
/* A reference, or NULL. */
struct session *session_find(struct sandbox *sb, const char *name);
void session_unref(struct session *s); /* takes NULL */
/* All of a sandbox, each with a reference; *ret is the caller's to free. Returns how many. */
size_t session_list(struct sandbox *sb, struct session ***ret);
/*
 * SIGTERM to its processes, SIGKILL after at most 5 s, and forgets it. -ENOENT: somebody else did.
 * The sandbox's own end does not wait.
 */
int session_delete(struct sandbox *sb, struct session *s);
void session_end_all(struct sandbox *sb); /* after jail_end */

/*
 * Queues a command. *ret stays valid with the session. -EPIPE the shell has ended, -ECANCELED,
 * -ENOSPC too many commands.
 */
int session_exec(struct session *s, const char *text, bool async, bool echo, struct command **ret);
struct command *session_command(struct session *s, const char *id); /* NULL: none */
/* -ESRCH: it has ended; -EPIPE; -ETIMEDOUT: nobody reads. */
int session_input(struct session *s, struct command *c, const char *data);

/* A descriptor of its own to read the log with, the caller's. */
int session_open_log(struct session *s, const struct command *c);
/*
 * What the log has from off on. 0: the end, that is, about a second after the command's end or when
 * the session ends. -EAGAIN: nothing until until_ns.
 */
ssize_t session_read(struct session *s, struct command *c, int log, uint64_t off, void *out,
                     size_t max, int64_t until_ns);

#endif
