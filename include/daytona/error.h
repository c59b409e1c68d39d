/*
 * daytona/error.h - what went wrong.
 *
 * Every call returns 0 (or a count) or a negative errno. The calling thread's last error says more,
 * until that thread's next call.
 *
 *   -EINVAL        an argument, or HTTP 400 with a message
 *   -EACCES        HTTP 401 or 403. daytona_error.auth: the credential was refused; else the
 *                  sandbox's user may not
 *   -ENOENT        no such file, sandbox, session …
 *   -EEXIST        409 on a name that is taken
 *   -EHOSTDOWN     the sandbox is not running
 *   -EBUSY         the sandbox is changing state
 *   -EAGAIN        rate limited (429) and still so after the retries
 *   -ETIMEDOUT     no progress, or the caller's timeout
 *   -ECONNREFUSED, -ECONNRESET, -EHOSTUNREACH   the network, or a proxy that lost the sandbox
 *                  while it did what is not repeated: after -ECONNRESET the outcome is unknown
 *   -EPROTO        an answer that is not Daytona's (HTML, bad JSON, wrong lengths)
 *   -EFBIG         an answer beyond its ceiling
 *   -EINTR         cancelled
 *   -EOPNOTSUPP    this daemon or server does not have the call
 *   -EIO           anything else the server failed at
 *   -ENOKEY        no credential was found
 *
 * A toolbox answers 401 for a refused key, for a sandbox that is gone (-EHOSTDOWN here) and when it
 * could not ask the API. So after a 401 the API is asked, and if it says that all is well the call
 * is made again, up to three times within 7 s: a 401 has executed nothing.
 */
#ifndef DAYTONA_ERROR_H
#define DAYTONA_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DAYTONA_API __attribute__((visibility("default")))

struct daytona_error {
    int err;           /* the negative errno that was returned; 0 if the last call succeeded */
    int http_status;   /* 0: no answer came */
    bool auth;         /* the credential was refused */
    bool infra;        /* proxy, runner or state of the sandbox, not the thing asked for */
    char call[48];     /* "listFiles" */
    char code[64];     /* "FILE_NOT_FOUND"; "" if none */
    char message[512]; /* one line for people, credentials removed; "" if none */
};

/* The calling thread's; never NULL; valid until its next daytona_ call. */
DAYTONA_API const struct daytona_error *daytona_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
