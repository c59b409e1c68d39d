/*
 * daytona/pty.h - terminals in the sandbox.
 *
 * A terminal is an interactive login shell. It lives until it exits, is killed, or the sandbox
 * stops, whether or not somebody is attached; several may be, and each sees the output from then
 * on. Ids are up to the caller; not empty, without a slash. -ENOENT: no such terminal.
 */
#ifndef DAYTONA_PTY_H
#define DAYTONA_PTY_H

#include "daytona/sandbox.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_pty_params {
    const char *id;
    const char *cwd;                /* NULL: the work-dir */
    const struct daytona_pair *env; /* TERM is xterm-256color unless it is among them */
    size_t env_count;
    unsigned cols, rows; /* 1 to 1000; 0: 80 and 24 */
    bool lazy_start;     /* the shell starts when somebody attaches */
};

struct daytona_pty_info {
    char *id, *cwd;
    char *created_at; /* ISO 8601 */
    int64_t cols, rows;
    bool active, lazy_start;
};

/* POST /process/pty. -EEXIST: there is one of that id. -EIO, or what the service gives as the
 * reason (-ENOENT: cwd is not there): the shell cannot be started. */
DAYTONA_API int daytona_pty_create(struct daytona_sandbox *sandbox,
                                   const struct daytona_pty_params *params);
/* GET /process/pty. *ret is the caller's: daytona_pty_list_free. */
DAYTONA_API int daytona_pty_list(struct daytona_sandbox *sandbox, struct daytona_pty_info **ret,
                                 size_t *ret_count);
DAYTONA_API void daytona_pty_list_free(struct daytona_pty_info *list, size_t count);
/* GET /process/pty/{id}. The caller calls daytona_pty_info_done. */
DAYTONA_API int daytona_pty_info(struct daytona_sandbox *sandbox, const char *id,
                                 struct daytona_pty_info *ret);
DAYTONA_API void daytona_pty_info_done(struct daytona_pty_info *info);
/* POST /process/pty/{id}/resize. 1 to 1000 each, else -EINVAL. -ESRCH: it has ended. */
DAYTONA_API int daytona_pty_resize(struct daytona_sandbox *sandbox, const char *id, unsigned cols,
                                   unsigned rows);
/* DELETE /process/pty/{id}: SIGKILL to the shell and what it started. */
DAYTONA_API int daytona_pty_kill(struct daytona_sandbox *sandbox, const char *id);

/* An attachment. One thread may wait while others send; the client must outlive it. */
struct daytona_pty;

/* GET /process/pty/{id}/connect (WebSocket). *ret is the caller's: daytona_pty_detach. */
DAYTONA_API int daytona_pty_attach(struct daytona_sandbox *sandbox, const char *id,
                                   struct daytona_pty **ret);
/*
 * Creates a terminal and attaches to it: GET /process/pty/create-connect where the daemon knows it,
 * else the two calls. Nothing of its output is missed; lazy_start means nothing here. Errors as of
 * daytona_pty_create; the terminal may exist after any other.
 */
DAYTONA_API int daytona_pty_open(struct daytona_sandbox *sandbox,
                                 const struct daytona_pty_params *params, struct daytona_pty **ret);
/* Leaves; the terminal goes on. Not while another thread uses pty. NULL is fine; returns NULL. */
DAYTONA_API struct daytona_pty *daytona_pty_detach(struct daytona_pty *pty);

/* Types bytes. Returns when they have left. -EPIPE: the terminal has ended, or the connection. */
DAYTONA_API int daytona_pty_send(struct daytona_pty *pty, const void *data, size_t len);

/* Takes output on the waiting thread: 0 to go on, or -errno to end the wait with it. It may send.
 */
typedef int (*daytona_pty_output)(void *arg, const void *p, size_t n);

struct daytona_pty_exit {
    int code;        /* of the shell; 128+n for signal n */
    char reason[64]; /* as the service puts it: "SIGKILL"; "" if it gives none */
};

/*
 * Hands over output until the shell has ended: then *ret is set (it may be NULL). -EAGAIN: it has
 * not within timeout_ms (0: no end); it can be waited for again. -ECONNRESET: the connection was
 * lost; the terminal may live, and daytona_pty_attach finds it. The service may lose the very last
 * output when a shell ends.
 */
DAYTONA_API int daytona_pty_wait(struct daytona_pty *pty, daytona_pty_output output, void *arg,
                                 int64_t timeout_ms, struct daytona_pty_exit *ret);

#ifdef __cplusplus
}
#endif
#endif
