/* process.h - POST /process/execute. */
#ifndef WIRE_PROCESS_H
#define WIRE_PROCESS_H

#include "wire/json.h"

#include <stdint.h>

struct wire_execute {
    char *command; /* owned strings, as everywhere in wire */
    char *cwd;     /* "": not given */
    struct json_pairs env;
    int64_t timeout_s; /* 0: none; at most UINT32_MAX */
};

void wire_execute_done(struct wire_execute *e);
/* -EPROTO also for a blank command, a timeout that is negative, fractional or beyond 32 bits. */
int wire_execute_read(const void *text, size_t len, struct wire_execute *ret);
/* -EILSEQ for text that is not UTF-8: the service would run something else. */
int wire_execute_write(struct buf *out, const struct wire_execute *e);

struct wire_result {
    int exit_code;
    char *output; /* owned; may hold NUL, and has one behind its end */
    size_t len;
};

void wire_result_done(struct wire_result *r);
int wire_result_read(const void *text, size_t len, struct wire_result *ret);
/* Bytes of output that are not UTF-8 become U+FFFD, as on the wire. */
int wire_result_write(struct buf *out, const struct wire_result *r);

/* What the exec of a session answers. Strings may hold NUL, and have one behind their end. */
struct wire_session_result {
    char *command_id;
    bool running; /* it was only started: there is no exit code */
    int exit_code;
    bool split;               /* out and err are there; else only output, perhaps with marks */
    char *output, *out, *err; /* owned */
    size_t output_len, out_len, err_len;
};
void wire_session_result_done(struct wire_session_result *r);
int wire_session_result_read(const void *text, size_t len, struct wire_session_result *ret);

#endif
