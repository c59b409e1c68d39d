/* error.h - the bodies of refusals, of the API, the proxies, old daemons and new ones. */
#ifndef WIRE_ERROR_H
#define WIRE_ERROR_H

#include "util/buf.h"

#include <stddef.h>

/* Absent strings are "". Longer ones are cut; control characters became blanks. */
struct wire_error {
    int status;        /* statusCode; 0: absent. Old daemons always say 500: trust HTTP's */
    char message[512]; /* message, or `error` where that is all there is */
    char code[64];     /* "FILE_NOT_FOUND" */
    char source[32];   /* "DAYTONA_DAEMON", "DAYTONA_API" */
    char error[64];    /* API: "Not Found" */
    char path[256];    /* of the request */
    char method[16];
};

/* -EPROTO when it is not a JSON object that says anything. */
int wire_error_read(const void *text, size_t len, struct wire_error *ret);

enum wire_error_form {
    WIRE_ERROR_API,    /* {path,timestamp,statusCode,error,message[,code,source]} */
    WIRE_ERROR_DAEMON, /* {statusCode,message,code,timestamp,path,method[,source]} */
};
/* code and source are left out of the API's form when empty; source of the daemon's. */
int wire_error_write(struct buf *out, const struct wire_error *e, enum wire_error_form form,
                     const char *timestamp);

/* Copies what fits of s into out, on a UTF-8 boundary, with control characters as blanks. */
void wire_copy_line(char *out, size_t size, const char *s);

#endif
