/*
 * job.h - commands that live in the sandbox on their own: they outlive connections and whoever
 * started them, and what they print stays in the sandbox until they are removed.
 *
 * Threads, waiting, cancelling and errors are as in remote.h. All calls may be repeated after any
 * error, except _kill, which might be heard twice.
 */
#ifndef REMOTE_JOB_H
#define REMOTE_JOB_H

#include "remote/remote.h"

enum {
    REMOTE_JOB_NAME_MAX = 64,
    REMOTE_JOB_TOKEN_MAX = 64,
    REMOTE_JOB_LINE_MAX = 4096,
    REMOTE_JOB_INPUT_MAX = 512 << 10, /* bytes of stdin in one call */
    REMOTE_JOB_OUTPUT_MAX = 8 << 20,  /* bytes of output in one answer */
};

/* How long one call may wait in the sandbox; what is between takes a longer one for dead. */
#define REMOTE_JOB_WAIT_NS (25 * INT64_C(1000000000))

/* All borrowed. */
struct remote_job_start {
    const char *token; /* letters and digits: who starts with the same one again, gets the same job,
                          wherever the first one went wrong */
    const char *name;  /* NULL, or one that remote_job_name_valid allows; -EEXIST */
    const char *const *argv; /* ended by NULL; searched in the sandbox's PATH. NULL: script */
    const char *script;      /* for the sandbox's shell; any number of lines */
    const char *line;        /* what people see of it, at most REMOTE_JOB_LINE_MAX; NULL: nothing */
    const char *cwd;         /* absolute */
    const char *const *env;  /* "NAME=VALUE", ended by NULL; NULL: none. Added to the sandbox's */
    const void *input;       /* the first bytes of stdin */
    size_t input_len;        /* at most REMOTE_JOB_INPUT_MAX */
    bool input_open;         /* there will be more, by remote_job_write */
    bool passing; /* once it has ended it is not listed, and goes by itself some minutes later */
    size_t output_max;          /* of the answer */
    int64_t wait_ns;            /* for its end: a short job's answer has all of it */
    struct remote_after *after; /* what it changed, if it has ended by then; or NULL */
};

enum remote_job_phase { REMOTE_JOB_RUNNING, REMOTE_JOB_ENDED, REMOTE_JOB_LOST };

struct remote_job {
    uint64_t id;                 /* never 0, never used again */
    enum remote_job_phase phase; /* LOST: cut off, as by a stop of the sandbox; no exit code */
    int exit_code;               /* ENDED: 0-255; 125-127 when it could not be started */
    int signal;                  /* ENDED: that killed it; 0: none */
    int err;                     /* ENDED: -errno why it could not be started; 0: it was */
    bool input_open;             /* its stdin has not been closed */
    /* Bytes so far: of stdin, of stdout, of stderr, and of the two together as far as it is known
     * in which order they came. */
    uint64_t input_size, out_size, err_size, both_size;
    int64_t started_ns, ended_ns; /* sandbox's clock; 0: not yet */
    uint64_t pid;                 /* in the sandbox; 0: not known */
    char *name, *line, *cwd;      /* remote_job_list; owned. Else NULL */
};

void remote_job_done(struct remote_job *job);
void remote_job_list_free(struct remote_job *v, size_t count);
/* The sandbox's exit code as a shell would give it: 128 + signal. -1: lost, or it still runs. */
int remote_job_code(const struct remote_job *job);
/* At most REMOTE_JOB_NAME_MAX bytes, one component, no number, not with '.' at its beginning. */
bool remote_job_name_valid(const char *name);

/* What stdout and stderr are read from, and into: both are appended to. */
struct remote_job_read {
    uint64_t out_off, err_off;
    size_t max;      /* bytes, of both together, at most REMOTE_JOB_OUTPUT_MAX */
    int64_t wait_ns; /* until there is something beyond the offsets, or the job has ended */
    bool together;   /* both streams as one, to out from out_off, in the order in which they came */
    struct buf *out, *err;
    struct remote_after *after; /* as of a start */
};

/* A start's answer has output from its beginning in out and err, which may be NULL with output_max
 * 0. */
int remote_job_start(struct remote *r, const struct remote_job_start *start, struct buf *out,
                     struct buf *err, struct remote_job *ret);
/* By id. *ret is the caller's: remote_job_list_free. */
int remote_job_list(struct remote *r, struct remote_job **ret, size_t *ret_count);
int remote_job_status(struct remote *r, uint64_t id, struct remote_job *ret);
/* -ENOENT: no such job. On failure out and err are as they were. */
int remote_job_read(struct remote *r, uint64_t id, const struct remote_job_read *read,
                    struct remote_job *ret);

struct remote_job_write {
    uint64_t off; /* where data stands in all of its stdin: what was taken before is skipped */
    const void *data;
    size_t len;      /* at most REMOTE_JOB_INPUT_MAX */
    bool end;        /* nothing follows */
    int64_t wait_ns; /* until the job has read what it got before, if that is much */
};
/* ret->input_size says how much was taken, perhaps nothing. -EPIPE: it reads no more. */
int remote_job_write(struct remote *r, uint64_t id, const struct remote_job_write *write,
                     struct remote_job *ret);
/* To its process group. -ESRCH: it has ended. */
int remote_job_kill(struct remote *r, uint64_t id, int signal);
/* All that there is of it. -EBUSY: it runs. */
int remote_job_remove(struct remote *r, uint64_t id);

/* ---- job_follow.c: the same over a network that comes and goes ---- */

/* Takes some bytes: 0, or -errno to end the call with it. */
typedef int (*remote_job_sink)(void *arg, bool err, const void *p, size_t len);

struct remote_job_follow {
    uint64_t out_off, err_off; /* what the sink has had */
    int64_t patience_ns;       /* how long the network may be gone */
    remote_job_sink sink;
    void *arg;
};

/* An outage of the network, as one who goes on sees it. Begins zeroed; since_ns is 0 again once an
 * answer has come. */
struct remote_outage {
    int64_t since_ns, pause_ns;
};
/* After a call that failed with r: 0 when a moment has passed and it may be repeated; r when that
 * is no outage, or it has lasted longer than patience_ns; -EINTR. */
int remote_outage_bear(struct remote_outage *o, int r, int64_t patience_ns);

/*
 * As remote_job_start, repeated for some seconds while the network is gone. What the answer has of
 * output goes to the sink.
 */
int remote_job_begin(struct remote *r, const struct remote_job_start *start,
                     struct remote_job_follow *f, struct remote_job *ret);
/*
 * Gives the sink all that comes, until the job has ended; job says how. A connection that is lost
 * is made again, and each byte comes once. -ETIMEDOUT and the like once patience has run out:
 * following may be begun again.
 */
int remote_job_follow(struct remote *r, uint64_t id, struct remote_job_follow *f,
                      struct remote_job *job);

/*
 * Writes all of it, from *off on, which goes on with what was taken; end: and then nothing follows.
 */
int remote_job_feed(struct remote *r, uint64_t id, uint64_t *off, const void *p, size_t len,
                    bool end, int64_t patience_ns);

/* ---- for backends and wrappers: all of the above is one op ---- */

enum remote_job_op {
    REMOTE_JOB_START,
    REMOTE_JOB_LIST,
    REMOTE_JOB_READ, /* and status */
    REMOTE_JOB_WRITE,
    REMOTE_JOB_KILL,
    REMOTE_JOB_REMOVE,
};

struct remote_job_call {
    enum remote_job_op op;
    uint64_t id;
    const struct remote_job_start *start;
    const struct remote_job_read *read; /* START: made of start, from the beginning */
    const struct remote_job_write *write;
    struct remote_after *after; /* START, READ */
    int signal;
};

/* What it answers. */
struct remote_job_answer {
    struct remote_job *v; /* START, READ, WRITE: one. LIST: any number. Owned */
    size_t count;
};

/* Whether it may take longer than any other question. */
bool remote_job_call_waits(const struct remote_job_call *call);

#endif
