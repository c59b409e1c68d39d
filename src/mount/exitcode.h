/* exitcode.h - how the program ends, and the one line that says why. Codes never change meaning. */
#ifndef MOUNT_EXITCODE_H
#define MOUNT_EXITCODE_H

#include "util/buf.h"

#include <daytona/error.h>

enum exitcode {
    EXITCODE_OK = 0,
    EXITCODE_OTHER = 1,
    EXITCODE_USAGE = 2,
    EXITCODE_NOT_FOUND = 3,
    EXITCODE_AUTH = 4,
    EXITCODE_CONFLICT = 5,
    EXITCODE_TIMEOUT = 6,
    EXITCODE_TRANSIENT = 7,   /* trying again later may work */
    EXITCODE_QUEUED = 8,      /* data is still to be sent */
    EXITCODE_NOT_RUNNING = 9, /* the sandbox */
};

/* For 0 or a negative errno. detail: what the SDK knows of the same failure, or NULL. */
enum exitcode exitcode_of(int err, const struct daytona_error *detail);

/* What was being talked to; each may be NULL. */
struct exitcode_context {
    const char *sandbox; /* as the user wrote it */
    const char *api_url;
};

/*
 * Appends cause and next step, one line without its end: "no sandbox is called 'x': `daytonafs
 * sandbox list` shows what there is". detail and context may be NULL.
 */
int exitcode_explain(struct buf *out, int err, const struct daytona_error *detail,
                     const struct exitcode_context *context);

#endif
