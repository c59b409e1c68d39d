/* exec.h - one invocation of exec, for cmd_exec.c, exec_plain.c and exec_terminal.c. */
#ifndef CLI_EXEC_H
#define CLI_EXEC_H

#include "cli/job.h"

enum {
    EXEC_SCRIPT_MAX = 1 << 20,
    EXEC_OUTPUT_MAX = 64 << 20,
    EXEC_NOT_RUN = 125,
    EXEC_TIMED_OUT = 124 /* as timeout(1) has it */
};

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

/*
 * With a terminal of its own in the sandbox, shown in this one. word: MOUNT|SANDBOX or NULL;
 * place is not used. An exit code, the command's if it was started; a failure has been explained.
 */
int exec_terminal(struct exec *e, const char *word, int64_t timeout_ns);

#endif
