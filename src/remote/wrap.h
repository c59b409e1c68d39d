/*
 * wrap.h - what trace, fault, limit and wake have in common: a remote whose every call goes through
 * one function. For src/remote only.
 */
#ifndef REMOTE_WRAP_H
#define REMOTE_WRAP_H

#include "remote/remote.h"

enum wrap_op {
    WRAP_INFO,
    WRAP_STAT,
    WRAP_LIST,
    WRAP_TREE,
    WRAP_CHANGES,
    WRAP_FETCH,
    WRAP_FETCH_MANY,
    WRAP_SNAPSHOT,
    WRAP_CREATE,
    WRAP_PUT,
    WRAP_MKDIR,
    WRAP_SYMLINK,
    WRAP_LINK,
    WRAP_UNLINK,
    WRAP_RMDIR,
    WRAP_RENAME,
    WRAP_EXCHANGE,
    WRAP_SETATTR,
    WRAP_STATFS,
    WRAP_EXEC,
    WRAP_APPLY,
    WRAP_STAGE,
    WRAP_JOIN,
    WRAP_JOB,
};

/* One call with its arguments; those that the call does not have are 0. All borrowed. */
struct wrap_call {
    enum wrap_op op;
    const char *path;    /* what is changed or asked for; exec: the cwd; tree: the root */
    const char *from;    /* rename, exchange and link: the old name; symlink: the target */
    const uint64_t *ino; /* exchange */
    mode_t mode;
    unsigned depth, flags;
    size_t max;
    uint64_t off, len;
    int fd;
    const struct remote_ask *ask;
    const struct remote_many *many;
    const struct remote_attr *expect;
    const struct remote_put *put;
    const struct remote_setattr *set;
    const struct remote_exec *exec;
    const struct remote_job_call *job;
    const struct remote_batch *batch;
    const struct remote_stage *stage;
    const struct remote_join *join;
    struct buf *out;
    void *ret; /* of the type that the call has */
    char **ret_target;
    uint64_t *ret_len;
    int *ret_exit;
};

struct wrap {
    struct remote remote;
    struct remote_ops ops; /* those of every wrapper, under the name of inner */
    struct remote *inner;  /* owned */
    int (*around)(struct wrap *w, const struct wrap_call *call);
    void (*done)(struct wrap *w); /* may be NULL; the wrap itself is freed after it */
};

/* w is the first member of something from malloc. Takes inner. */
void wrap_init(struct wrap *w, struct remote *inner,
               int (*around)(struct wrap *w, const struct wrap_call *call),
               void (*done)(struct wrap *w));
int wrap_forward(struct wrap *w, const struct wrap_call *call);
/* Makes the call and throws away what it answered. */
int wrap_forward_lost(struct wrap *w, const struct wrap_call *call);

const char *wrap_op_name(enum wrap_op op);

#endif
