/* run.h - a program in the sandbox, from its start to its end. */
#ifndef SERVER_RUN_H
#define SERVER_RUN_H

#include "util/buf.h"
#include "wire/json.h"

#include <stdint.h>

struct request;

struct run_params {
    const char *const *argv;      /* NULL-ended; argv[0] is absolute in the sandbox */
    const struct json_pairs *env; /* over the sandbox's */
    const char *cwd;              /* absolute */
    const char *input;
    size_t input_len;
    int64_t timeout_ns; /* 0: none */
};

/*
 * Output, of both streams, goes to *out, which is made here and the caller's to be done with.
 * Returns the exit code, 128+n for a signal, -ETIMEDOUT when it was killed, -EFBIG when it printed
 * too much, -ENOENT and so on when it could not be started.
 */
int run_program(struct request *rq, const struct run_params *params, struct buf *out);

#endif
