/*
 * script.h - the text that runs one command in a sandbox's shell, and its answer taken apart. Pure.
 *
 * A shell answers with one stream. So the script ends it with a line of its own that carries the
 * command's exit code, under a token nobody else knows; and where bytes would be damaged on the
 * way (the API replaces what is not UTF-8) it sends them as base64.
 */
#ifndef CLI_SCRIPT_H
#define CLI_SCRIPT_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    SCRIPT_NOT_RUN = 125, /* exit codes as docker has them */
    SCRIPT_TOKEN_LEN = 32,
    SCRIPT_TAIL_MAX = SCRIPT_TOKEN_LEN + 8, /* "\nTOKEN 255\n" is never longer */
};

struct script {
    const char *command;    /* for the sandbox's shell; any number of lines */
    const char *cwd;        /* NULL: where it starts */
    const char *const *env; /* "KEY=VALUE", NULL-ended; or NULL */
    const char *token;      /* SCRIPT_TOKEN_LEN letters and digits */
    bool encode;            /* the output comes as base64 where the sandbox has base64(1) */
};

/* The words as one command: each quoted. 0 or -errno. */
int script_words(struct buf *out, char *const *words);
/* 32 hexadecimal digits and a NUL. 0 or -errno. */
int script_token(char ret[SCRIPT_TOKEN_LEN + 1]);
/* "KEY=VALUE" with a name that a shell accepts. */
bool script_env_valid(const char *pair);
int script_build(struct buf *out, const struct script *s);

/*
 * The same for a terminal, whose shell is to be typed SCRIPT_TERMINAL_LINE with the text in the
 * environment as SCRIPT_TERMINAL_ENV: it prints the token when the command begins, and ends with
 * it. The echo of the line does not have the token.
 */
#define SCRIPT_TERMINAL_ENV "DAYTONAFS_EXEC"
#define SCRIPT_TERMINAL_LINE " exec sh -c \"$" SCRIPT_TERMINAL_ENV "\" \"$0\"\n"
int script_terminal(struct buf *out, const struct script *s);

/*
 * Where in the answer the tail begins that holds the exit code; the command's own output is what
 * comes before. *ret_exit is set only if there is a whole one; else returns len.
 */
size_t script_tail(const char *p, size_t len, const char *token, int *ret_exit);
/* What an encoding script answered. On success out has the command's bytes; a script that did not
 * get as far as the token is given as it came, *ret_exit untouched. 0 or -errno. */
int script_decode(struct buf *out, const char *p, size_t len, const char *token, int *ret_exit);

#endif
