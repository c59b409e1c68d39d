/*
 * daytona/session.h - shells that live on in the sandbox, and the commands they run.
 *
 * A session is one shell: what a command does to it (cd, variables, functions) the next one finds.
 * Commands of a session run one after another, those started without waiting, too. What the service
 * makes of them, which no client can change:
 *   - `exit` and `exec` end the session's shell: the command never ends for the service, and
 *     daytona_session_execute waits until its timeout. `return N` sets the exit code; `( exit N )`
 *     does, too.
 *   - Output comes line by line: what has no newline yet waits, and a missing last one is added.
 *     The order between stdout and stderr is not kept. Under bash and sh NUL bytes vanish. Lines of
 *     both streams longer than some KiB may be torn by each other.
 *   - A command alone cannot be killed; daytona_session_delete ends all.
 *   - Sessions end with the sandbox's stop.
 * Ids are up to the caller; not empty, without a slash. -ENOENT: no such session or command.
 */
#ifndef DAYTONA_SESSION_H
#define DAYTONA_SESSION_H

#include "daytona/sandbox.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The image's own entrypoint as a session; it has one command. -ENOENT from images without. */
#define DAYTONA_SESSION_ENTRYPOINT "entrypoint"
#define DAYTONA_COMMAND_ENTRYPOINT "entrypoint_command"

struct daytona_command {
    char *id, *command;
    bool running;
    int exit_code; /* 0 while it runs */
};

struct daytona_session {
    char *id;
    struct daytona_command *commands;
    size_t command_count;
};

DAYTONA_API void daytona_command_done(struct daytona_command *command);
DAYTONA_API void daytona_session_done(struct daytona_session *session);

/* POST /process/session. -EEXIST: there is one of that id. */
DAYTONA_API int daytona_session_create(struct daytona_sandbox *sandbox, const char *session);
/* GET /process/session, without the entrypoint's. *ret is the caller's: daytona_session_list_free.
 */
DAYTONA_API int daytona_session_list(struct daytona_sandbox *sandbox, struct daytona_session **ret,
                                     size_t *ret_count);
DAYTONA_API void daytona_session_list_free(struct daytona_session *list, size_t count);
/* GET /process/session/{id}. The caller calls daytona_session_done. */
DAYTONA_API int daytona_session_get(struct daytona_sandbox *sandbox, const char *session,
                                    struct daytona_session *ret);
/* DELETE /process/session/{id}: kills what runs in it, and its logs go, too. */
DAYTONA_API int daytona_session_delete(struct daytona_sandbox *sandbox, const char *session);

struct daytona_session_execute {
    const char *command;      /* UTF-8 */
    bool async;               /* returns as soon as it has been handed to the shell */
    bool suppress_input_echo; /* what daytona_session_input types is not added to the log */
    int64_t timeout_ms;       /* for the wait; the command goes on: -ETIMEDOUT. 0: no end */
    uint64_t output_max;      /* bytes of JSON the answer may have; 0: 64 MiB; -EFBIG beyond */
};

struct daytona_session_result {
    char *command_id;
    bool running; /* async: there is no exit code and no output yet */
    int exit_code;
    char *out, *err; /* stdout and stderr; may hold NUL. Bytes that are not UTF-8 became U+FFFD:
                        daytona_session_logs has them as they were */
    size_t out_len, err_len;
};

DAYTONA_API void daytona_session_result_done(struct daytona_session_result *result);

/*
 * POST /process/session/{id}/exec, sent so that no proxy repeats it; never retried once it may have
 * reached the service. Without async its stdin is empty. -EPIPE: the session's shell has ended,
 * -ECANCELED: the session was deleted while it ran. The caller calls daytona_session_result_done.
 */
DAYTONA_API int daytona_session_execute(struct daytona_sandbox *sandbox, const char *session,
                                        const struct daytona_session_execute *execute,
                                        struct daytona_session_result *ret);

/* GET /process/session/{id}/command/{id}. The caller calls daytona_command_done. */
DAYTONA_API int daytona_session_command(struct daytona_sandbox *sandbox, const char *session,
                                        const char *command, struct daytona_command *ret);

/* POST …/command/{id}/input: types data, and a newline if it has none, into the stdin of a command
 * that was started with async. UTF-8 without NUL. -ESRCH: it has ended. */
DAYTONA_API int daytona_session_input(struct daytona_sandbox *sandbox, const char *session,
                                      const char *command, const void *data, size_t len);

enum daytona_stream { DAYTONA_STDOUT = 1, DAYTONA_STDERR = 2 };

/* Takes some bytes of a log: 0 to go on, or -errno to end the call with it. */
typedef int (*daytona_output)(void *arg, enum daytona_stream stream, const void *p, size_t n);

/*
 * GET …/command/{id}/logs: what there is so far, byte for byte, each byte once. The sink runs on a
 * thread of the client's and must not call daytona_ functions.
 */
DAYTONA_API int daytona_session_logs(struct daytona_sandbox *sandbox, const char *session,
                                     const char *command, daytona_output output, void *arg);

/*
 * The same by WebSocket, from the beginning and as it comes, until the command has ended (about a
 * second after it did); then *ret_exit_code is set (it may be NULL). The sink runs on the calling
 * thread. A connection that is lost is made again, and each byte still comes once. -ECONNRESET,
 * -EHOSTDOWN … when that fails five times in a row, -ENOENT also when the session was deleted
 * meanwhile, -EINTR when cancelled: the command goes on.
 */
DAYTONA_API int daytona_session_follow(struct daytona_sandbox *sandbox, const char *session,
                                       const char *command, daytona_output output, void *arg,
                                       int *ret_exit_code);

#ifdef __cplusplus
}
#endif
#endif
