/*
 * helper_internal.h - the inside of remote_helper, shared by helper*.c.
 *
 * What each call costs in requests: tree, changes, stat, list, fetch, statfs and jobs 1; the rest
 * what remote_plain takes. To begin: 1 if the helper is in the sandbox already, else 3 (look,
 * upload, check and run). Where a request is too large for one command, one for each piece. When
 * the helper was deleted meanwhile, the call that finds out takes 4 more.
 */
#ifndef REMOTE_HELPER_INTERNAL_H
#define REMOTE_HELPER_INTERNAL_H

#include "proto/proto.h"
#include "remote/helper_answer.h"
#include "remote/remote.h"
#include "util/sha256.h"

#include "util/lock.h"

#include <daytona/sandbox.h>

#include <stdatomic.h>

enum {
    HELPER_ARCH_MAX = 16,
    HELPER_ARCHES = 2,
    HELPER_DIR_MAX = 256,
    HELPER_TOKEN_LEN = 24,
};

/* A helper program on this machine. */
struct helper_program {
    char arch[HELPER_ARCH_MAX]; /* as uname -m says it: "x86_64" */
    char hash[SHA256_HEX + 1];
    char *bytes; /* owned */
    size_t len;
};

struct helper {
    struct remote remote;
    struct remote *plain;            /* owned */
    struct daytona_sandbox *sandbox; /* one reference */
    struct remote_info info;         /* never changes once it is there, as what follows */
    struct helper_program programs[HELPER_ARCHES];
    size_t program_count;
    uint32_t op_timeout_s;           /* 0: none; of every request that need not take longer */
    _Atomic int64_t clock_offset_ns; /* sandbox's clock minus ours, by the last answers */
    atomic_bool stdin_is_left;       /* a shell leaves what follows its first line to the program */

    struct lock lock; /* guards what follows */
    pthread_cond_t settled;
    bool installing;
    unsigned installs;                    /* how often it was */
    char dir[HELPER_DIR_MAX];             /* where it is in the sandbox */
    const struct helper_program *program; /* which one */
};

static inline struct helper *helper_of(struct remote *r)
{
    return (struct helper *)r;
}

/* ---- helper_program.c ---- */

/* From the file, or (NULL) from where they are installed. -ENOENT: there is none. */
int helper_programs_load(const char *path, struct helper_program v[HELPER_ARCHES],
                         size_t *ret_count);
void helper_programs_done(struct helper_program *v, size_t count);

/* ---- helper_install.c ---- */

/*
 * Finds the helper in the sandbox or puts it there, in place of the one that was there after
 * `installs` times: where another thread has done it, that is enough. broken: what is there does
 * not work. raw (may be NULL) gets an answer to INFO, if it was asked for. -EOPNOTSUPP: it cannot
 * run there, and why (may be NULL) has a sentence.
 */
int helper_install(struct helper *h, unsigned installs, bool broken, struct buf *raw,
                   struct buf *why);

/* ---- helper_ask.c ---- */

struct helper_way {
    bool background;
    size_t answer_max;          /* bytes of text */
    uint32_t more_s;            /* than an operation may take */
    bool once;                  /* not again after a broken connection: it would be done twice */
    struct remote_after *after; /* asked once the helper has ended with success; or NULL */
};

/* A new one, of letters and digits. */
int helper_token(char ret[HELPER_TOKEN_LEN + 1]);
/* Appends the request as one word. */
int helper_word(const struct proto_request *req, struct buf *out);
/* Runs the command; appends what it printed. What comes from the network is an errno as in
 * remote.h. A connection that broke is tried once more, unless way says otherwise. */
int helper_run(struct helper *h, const char *command, const struct helper_way *way,
               struct buf *out);
/* One question: appends the frames of the answer to raw. Installs the helper again if it is gone.
 */
int helper_ask(struct helper *h, const struct proto_request *req, const struct helper_way *way,
               struct buf *raw);
/* The same with a request that is a word already. */
int helper_ask_word(struct helper *h, const struct buf *word, const struct helper_way *way,
                    struct buf *raw);

/* The command that asks the helper as it was found last, for a shell that has something else to do
 * on its stdin. The answer is framed by token. */
int helper_command(struct helper *h, const char *token, const struct buf *word, struct buf *out);

/* ---- helper_after.c: commands, and what they changed ---- */

enum {
    HELPER_AFTER_BYTES = 1 << 20, /* of an answer: more is not told with a command's end */
    HELPER_AFTER_WORD = 64 << 10, /* of a question: longer ones are asked by themselves */
};

int helper_exec(struct remote *r, const struct remote_exec *exec, struct buf *out, int *ret_exit);
/* Appends the command that asks it; its answer is between two of ret_token. -E2BIG and the like: it
 * is asked by itself. */
int helper_after_put(struct helper *h, const struct remote_after *after,
                     char ret_token[HELPER_TOKEN_LEN + 1], struct buf *command);
/* Looks for the answer in what was printed. */
void helper_after_take(struct helper *h, const char *token, const char *text, size_t len,
                       struct remote_after *after);

/* ---- helper_tree.c ---- */

/* An answer to the request, without what is the helper's own. */
int helper_tree_take(struct helper *h, const struct buf *raw, const struct proto_request *req,
                     struct remote_tree *ret);
int helper_tree(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);
int helper_changes(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);
int helper_list(struct remote *r, const char *path, unsigned depth, size_t max,
                struct remote_list *ret);

/* ---- helper_job.c ---- */

int helper_job(struct remote *r, const struct remote_job_call *call, struct remote_job_answer *ret);

/* ---- helper_apply.c ---- */

int helper_apply(struct remote *r, const struct remote_batch *batch, struct remote_applied *ret);
int helper_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret);
int helper_join(struct remote *r, const struct remote_join *join, struct remote_joined *to);

#endif
