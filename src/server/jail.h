/*
 * jail.h - where a sandbox's processes live: one init process, and with isolation its own mount,
 * pid, ipc and uts namespaces (and a user namespace when the caller is not root).
 *
 * Any thread. The init holds nothing that a sandbox may not have: what it says is not trusted.
 */
#ifndef SERVER_JAIL_H
#define SERVER_JAIL_H

#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct jail;

#define JAIL_HOME "/home/daytona"

enum { JAIL_BINDS_MAX = 16 };

struct jail_config {
    const char *folder;     /* the sandbox's home, on the host */
    const char *tmp;        /* its /tmp, on the host */
    const char *var_tmp;    /* its /var/tmp */
    const char *mountpoint; /* an empty directory to build the root on; may be shared */
    const char *hostname;
    /* More folders that it sees; only with isolation. Paths are absolute and clean. */
    struct jail_bind {
        const char *from;     /* a directory on the host; nobody else may change what leads there */
        const char *sub, *to; /* below it, "": itself; in the sandbox: made if they are not there */
    } binds[JAIL_BINDS_MAX];
    size_t bind_count;
    bool isolate; /* false: processes see the host, folder is where they start */
};

/* Starts the init. On failure why says which step was refused. -EPERM: no isolation here. */
int jail_start(const struct jail_config *config, struct jail **ret, struct buf *why);
/* Kills every process in it, waits until they are gone. Once; from then on calls are -EPIPE. */
void jail_end(struct jail *j);
bool jail_ended(struct jail *j);
struct jail *jail_ref(struct jail *j);
struct jail *jail_unref(struct jail *j); /* the last one needs jail_end before; takes NULL */

/*
 * The root as its processes see it (O_PATH); -1 without isolation. After jail_end it is an empty
 * tree: what was found missing then must not be believed.
 */
int jail_root_fd(const struct jail *j);

enum { JAIL_JOB_FDS_MAX = 5 };

enum jail_job_flags {
    JAIL_SESSION = 1 << 0,  /* leads a session of its own; jail_kill_tree finds all of it */
    JAIL_TERMINAL = 1 << 1, /* with JAIL_SESSION: 0 becomes its controlling terminal */
};

struct jail_job {
    const char *cwd;
    const char *const *argv;   /* NULL-ended; argv[0] is an absolute path */
    const char *const *env;    /* NULL-ended */
    int fds[JAIL_JOB_FDS_MAX]; /* fds[i] becomes i; they stay the caller's and may repeat */
    size_t fd_count;
    unsigned flags;
};

enum jail_event_kind {
    JAIL_EXITED = 1,  /* value: wait status */
    JAIL_NO_CWD = 2,  /* value: errno of chdir */
    JAIL_NO_EXEC = 3, /* value: errno of exec, or of fork */
    JAIL_COUNTED = 4, /* value: how many processes; not seen by callers */
};
struct jail_event {
    int32_t kind, value;
};

/*
 * Starts a process, leader of its own group. *ret_status is a pipe, the caller's, on which one
 * struct jail_event arrives, or EOF when the jail ends first. *ret_id is for jail_kill_group.
 */
int jail_spawn(struct jail *j, const struct jail_job *job, int *ret_status, uint32_t *ret_id);
/* SIGKILL to the group of a job, if its leader has not been reaped. */
int jail_kill_group(struct jail *j, uint32_t id);
/*
 * A signal (or 0: none) to every process of a JAIL_SESSION job: its session and its descendants,
 * also when the leader has ended. Returns how many there were, -ETIMEDOUT, -EPIPE. What the job
 * takes in the init is kept until jail_forget.
 */
int jail_kill_tree(struct jail *j, uint32_t id, int sig);
void jail_forget(struct jail *j, uint32_t id);
/* SIGSTOP to every process in it, or SIGCONT. Those that were stopped before go on, too. */
int jail_freeze(struct jail *j, bool on);

#endif
