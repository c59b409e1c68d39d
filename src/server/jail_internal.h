/*
 * jail_internal.h - what the server's side (jail.c), the init (jail_init.c) and the building of its
 * root (jail_root.c) share. The last two run in a process forked from one with threads: they use
 * neither malloc nor locks.
 */
#ifndef SERVER_JAIL_INTERNAL_H
#define SERVER_JAIL_INTERNAL_H

#include "server/jail.h"

#include <limits.h>
#include <sys/types.h>

/* Requests to the init, one a packet. */
enum jail_request_kind {
    JAIL_SPAWN = 1,
    JAIL_KILL = 2,
    JAIL_KILL_TREE = 3,
    JAIL_FORGET = 4,
    JAIL_SIGNAL_ALL = 5,
};
struct jail_request {
    uint32_t kind;
    uint32_t id;
    uint32_t argc, envc; /* strings in the memory file: cwd, argv, env, each NUL-ended */
    uint64_t bytes;
    uint32_t flags; /* enum jail_job_flags */
    int32_t sig;    /* of a kill */
};
/* In this order. With JAIL_KILL_TREE and JAIL_SIGNAL_ALL there is JAIL_FD_STATUS only. */
enum { JAIL_FD_STATUS, JAIL_FD_SPEC, JAIL_FD_JOB, JAIL_FDS_MAX = JAIL_FD_JOB + JAIL_JOB_FDS_MAX };
enum { JAIL_ARGV_MAX = 16, JAIL_ENV_MAX = 4096, JAIL_JOBS_MAX = 4096, JAIL_PROCESSES_MAX = 8192 };

/* The init's first packet: ready with the root as a file descriptor, or where it failed. */
struct jail_hello {
    int32_t err; /* 0 or errno */
    char step[60];
};

/* Everything the new process needs, made before the fork. */
struct jail_plan {
    char folder[PATH_MAX], tmp[PATH_MAX], var_tmp[PATH_MAX], mountpoint[PATH_MAX];
    char resolver[PATH_MAX]; /* what /etc/resolv.conf links to below /run; "": it does not */
    char hostname[65];
    struct {
        char from[PATH_MAX], sub[PATH_MAX], to[PATH_MAX];
    } binds[JAIL_BINDS_MAX];
    size_t bind_count;
    bool isolate, userns;
    uid_t uid;
    gid_t gid;
    int control;
};

/* Never returns. */
void jail_init_main(const struct jail_plan *plan) __attribute__((noreturn));

/* In new namespaces: makes the root and enters it. 0 or -errno, *ret_step says what failed. */
int jail_root_build(const struct jail_plan *plan, const char **ret_step);
/* Leaves the capabilities that a container has by default. */
int jail_root_drop_caps(void);

#endif
