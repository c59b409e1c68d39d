/* daytona/process.h - commands in the sandbox. */
#ifndef DAYTONA_PROCESS_H
#define DAYTONA_PROCESS_H

#include "daytona/sandbox.h"

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

#ifdef __cplusplus
}
#endif
#endif
