/*
 * shcmd.h - commands for the sandbox's shell, and what comes back. The one home of both.
 *
 * A script becomes one line, sh -c '…' </dev/null, of printable ASCII, without a single quote
 * inside: so it comes through zsh, bash, dash and busybox ash alike, and through old daemons that
 * split words themselves and have no shell. What it answers is framed by a token that nobody can
 * guess: greetings of start-up files and the like are told apart from it.
 *
 *    anything  \n TOKEN:1 \n  base64 … - base64 …  \n TOKEN:2 STATUS \n  text  \n TOKEN:3 \n
 * anything
 *
 * In a script, fd 3 takes the answer (base64; a line "-" parts it) and stderr is the text. `fail
 * SENTENCE` ends it with a sentence that errtext knows.
 */
#ifndef REMOTE_SHCMD_H
#define REMOTE_SHCMD_H

#include "util/buf.h"

enum {
    SHCMD_TOKEN_LEN = 24,
    SHCMD_PARTS_MAX = 3,
    SHCMD_MAX = 125 * 1000, /* Linux takes 128 KiB in one argument */
};

/* Errors stick: everything may be added first, and shcmd_command tells. */
struct shcmd {
    struct buf body;
    char token[SHCMD_TOKEN_LEN + 1];
    int err;
};

void shcmd_init(struct shcmd *s); /* takes a token from the kernel's random numbers */
void shcmd_done(struct shcmd *s);

/* Shell text. It must hold neither a single quote nor a newline: a bug, -EINVAL. */
void shcmd_add(struct shcmd *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* name=value; any bytes. "$name" is then the value in every sh. */
void shcmd_set(struct shcmd *s, const char *name, const char *value);

/* The whole line, the caller frees. -EFBIG: too long for one argument. */
int shcmd_command(struct shcmd *s, char **ret);

struct shcmd_answer {
    int status; /* of the script, 0 to 255 */
    size_t part_count;
    struct buf part[SHCMD_PARTS_MAX]; /* decoded */
    char *text;                       /* stderr */
};

/*
 * -EBADMSG: the frame is missing, cut or damaged. A pure function of its arguments. ret is the
 * caller's: shcmd_answer_done.
 */
int shcmd_decode(const char *token, const char *out, size_t len, struct shcmd_answer *ret);
void shcmd_answer_done(struct shcmd_answer *a);

/* What the script's failure means: 0 if status is 0, else the first errno the text tells, -EIO. */
int shcmd_errno(const struct shcmd_answer *a);

#endif
