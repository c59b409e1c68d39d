/* exec.h - one invocation of exec, for cmd_exec.c and exec_plain.c. */
#ifndef CLI_EXEC_H
#define CLI_EXEC_H

#include "cli/job.h"

enum { EXEC_SCRIPT_MAX = 1 << 20, EXEC_OUTPUT_MAX = 64 << 20, EXEC_NOT_RUN = 125 };

struct exec {
    const struct cli *cli;
    struct cli_job_place place;
    const char *cwd;    /* as the user wrote it, or this directory's place below a mount; NULL */
    const char **env;   /* "NAME=VALUE", NULL-ended */
    struct buf command; /* for the sandbox's shell */
    bool json;
    struct buf out, err; /* json: what came */
    int exit_code;       /* of the command; -1: not known */
};

/*
 * Where there are no jobs: one question to the mount, or one call of the API. Output and errors
 * come together in out, stdin is empty, and nothing goes on when the connection breaks. An exit
 * code; a failure has been explained.
 */
int exec_plain(struct exec *e);

#endif
