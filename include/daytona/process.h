/* daytona/process.h - commands in the sandbox. */
#ifndef DAYTONA_PROCESS_H
#define DAYTONA_PROCESS_H

#include "daytona/session.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_execute {
    const char *command; /* given to the sandbox's shell (zsh, bash or sh) on its stdin; UTF-8 */
    const char *cwd;     /* NULL: the work-dir */
    const struct daytona_pair *env;
    size_t env_count;
    uint32_t timeout_s;  /* the service kills the command then: -ETIMEDOUT; 0: no limit */
    uint64_t output_max; /* bytes of JSON the answer may have; 0: 64 MiB; -EFBIG beyond */
    bool background;     /* does not count as activity: the sandbox may still stop by itself */
};

struct daytona_result {
    int exit_code; /* -1: it could not be started, or the shell was killed; output says why */
    char *output;  /* stdout and stderr as they came; bytes that are not UTF-8 became U+FFFD */
    size_t len;    /* output may hold NUL */
};

DAYTONA_API void daytona_result_done(struct daytona_result *result);

/*
 * POST /process/execute, sent so that no proxy repeats it; never retried once it may have reached
 * the service. Waits as long as the command runs. Cancelling leaves the command running. The caller
 * calls daytona_result_done.
 */
DAYTONA_API int daytona_process_execute(struct daytona_sandbox *sandbox,
                                        const struct daytona_execute *execute,
                                        struct daytona_result *ret);

struct daytona_code_run {
    const char *code;        /* UTF-8 */
    const char *language;    /* "python", "javascript" or "typescript" */
    const char *const *argv; /* borrowed; the service joins them with blanks, unquoted */
    size_t argc;
    const struct daytona_pair *env;
    size_t env_count;
    uint32_t timeout_s;  /* as in daytona_execute */
    uint64_t output_max; /* as in daytona_execute */
};
/*
 * POST /process/code-run: runs the code with the sandbox's own interpreter of the language; the
 * code is its stdin. Charts that it draws are not in the output and not handed over. Sent and
 * repeated as daytona_process_execute. -EOPNOTSUPP from daemons before 0.167.
 */
DAYTONA_API int daytona_process_code_run(struct daytona_sandbox *sandbox,
                                         const struct daytona_code_run *run,
                                         struct daytona_result *ret);

/*
 * Commands that go on by themselves and have a number, as other sandboxes' SDKs have them: start,
 * connect(pid), sendStdin(pid), kill(pid), list. Each is the one command of a session of its own,
 * "daytona-process-PID", and so has its limits (daytona/session.h): output comes in whole lines,
 * stdin has no end, all of it ends with the sandbox's stop. Any client of the sandbox may connect,
 * any number at a time. The number is not that of a process in the sandbox.
 *
 * Threads: any, at once. Errors beside those named: as of the session calls behind them.
 */
struct daytona_process_params {
    const char *command;            /* for the sandbox's shell, any number of lines; UTF-8 */
    const char *cwd;                /* NULL: the work-dir. Not there: exit code 125 */
    const struct daytona_pair *env; /* names as shells have them, else -EINVAL */
    size_t env_count;
};

struct daytona_process {
    uint32_t pid;
    char *command;
    bool running;
    int exit_code; /* 0 while it runs */
};

/* createSession, executeSessionCommand. After any error it may have been started or not: list
 * tells. Its number is never 0. */
DAYTONA_API int daytona_process_start(struct daytona_sandbox *sandbox,
                                      const struct daytona_process_params *params,
                                      uint32_t *ret_pid);
/* listSessions: those that run, and those that have ended and were not killed. The caller calls
 * daytona_process_list_free. */
DAYTONA_API int daytona_process_list(struct daytona_sandbox *sandbox, struct daytona_process **ret,
                                     size_t *ret_count);
DAYTONA_API void daytona_process_list_free(struct daytona_process *list, size_t count);
/* getSession, streamSessionCommandLogs: all of its output, from the beginning, until it has ended;
 * otherwise as daytona_session_follow. -ENOENT: there is none of that number (any more). */
DAYTONA_API int daytona_process_connect(struct daytona_sandbox *sandbox, uint32_t pid,
                                        daytona_output output, void *arg, int *ret_exit_code);
/* getSession, sendSessionCommandInput: types data, and a newline if it has none. -ESRCH: it has
 * ended. */
DAYTONA_API int daytona_process_send_stdin(struct daytona_sandbox *sandbox, uint32_t pid,
                                           const void *data, size_t len);
/* deleteSession: SIGTERM, 5 s later SIGKILL, and what is kept of it goes; also for one that has
 * ended, which otherwise stays until the sandbox stops. -ENOENT. */
DAYTONA_API int daytona_process_kill(struct daytona_sandbox *sandbox, uint32_t pid);

#ifdef __cplusplus
}
#endif
#endif
