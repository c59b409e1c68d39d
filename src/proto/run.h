/*
 * run.h - jobs: commands that live in the sandbox on their own. What is said about them, and the
 * state that a job leaves on the sandbox's disk.
 *
 * A request is one PROTO_RUN frame in the place of PROTO_REQUEST. The answer has one PROTO_RUN_JOB
 * (LIST: any number), then, to START and READ, PROTO_RUN_DATA.
 */
#ifndef PROTO_RUN_H
#define PROTO_RUN_H

#include "proto/proto.h"

enum { /* of enum proto_kind; on the wire: never renumber */
       PROTO_RUN = 32,
       PROTO_RUN_JOB = 33,   /* struct run_job */
       PROTO_RUN_DATA = 34,  /* struct run_data */
       PROTO_RUN_STATE = 35, /* struct run_state; on disk only */
};

enum {
    RUN_WORDS_MAX = 65536, /* of argv, and of env */
    RUN_TOKEN_MAX = 64,
    RUN_NAME_MAX = 64,
    RUN_LINE_MAX = 4096,
    RUN_DATA_MAX = 512 << 10,  /* bytes of stdin in one request */
    RUN_INPUT_AHEAD = 4 << 20, /* bytes of stdin that the job has not read yet: no more is taken */
    RUN_ANSWER_MAX = 16 << 20, /* bytes of output in one answer, at most */
    RUN_WAIT_MS_MAX = 60 * 1000,
};

enum run_op { /* on the wire: append, never renumber */
              RUN_START = 1,
              RUN_LIST = 2,
              RUN_READ = 3,
              RUN_WRITE = 4,
              RUN_KILL = 5,
              RUN_REMOVE = 6,
};

enum run_flags {
    RUN_STDIN_OPEN = 1 << 0, /* START: more will be written; else data is all there is */
    RUN_STDIN_END = 1 << 1,  /* WRITE: nothing comes after data */
    RUN_PASSING = 1 << 2,    /* START: once it has ended nobody lists it, and later it goes */
    RUN_TOGETHER = 1 << 3,   /* READ: both streams as one, in the order in which they came */
    RUN_FLAGS_ALL = (1 << 4) - 1,
};

/*
 * PROTO_RUN: op, flags, id, off, out_off, err_off, max_bytes, wait_ms, signal, token, name, line,
 * cwd, data, number of words and they, number of variables and they. What an op does not use is 0
 * or empty.
 *
 * START  starts a job, unless there is one with this token: then it is that one. Goes on as READ,
 *        but once there is output it waits a moment more for the end.
 * LIST   all of them, but those that pass and have ended
 * READ   waits until there is output beyond the offsets, or the job has ended, or wait_ms have
 *        passed; gives at most max_bytes, of each stream half of them if both have as much.
 *        Together: out_off is an offset in the one, err_off is not used
 * WRITE  data is what stands at off of its stdin; what was written before is not written again.
 *        Waits for wait_ms until the job has read enough; then takes some of it, or nothing: the
 *        answer's in_size says
 * KILL   sends signal to the job's process group; ESRCH if it has ended
 * REMOVE and everything of it is gone; EBUSY while it runs
 */
struct run_request {
    enum run_op op;
    unsigned flags; /* enum run_flags */
    uint64_t id, off, out_off, err_off, max_bytes, wait_ms, signal;
    /* Owned, none NULL after run_get_request. */
    char *token; /* letters and digits; whoever repeats a START has the same one */
    char *name;  /* "", or one component that is not a number and does not begin with '.' */
    char *line;  /* the command as people write it, for LIST */
    char *cwd;   /* absolute; "" in all but START */
    char *data;
    size_t data_len;
    char **argv, **env; /* each ended by NULL */
    size_t argc, envc;
};

int run_put_request(struct buf *out, const struct run_request *req); /* a whole frame */
int run_get_request(const struct proto_frame *frame,
                    struct run_request *ret); /* -EBADMSG, -ENOMEM */
void run_request_done(struct run_request *req);

enum run_phase { /* on the wire: append, never renumber */
                 RUN_RUNNING = 1,
                 RUN_ENDED = 2,
                 RUN_LOST = 3, /* it was cut off: the sandbox stopped, or its keeper was killed */
};

/*
 * How a job is and how it ended: started_ns (signed), ended_ns (signed), pid, exit_code, signal,
 * err.
 */
struct run_state {
    int64_t started_ns, ended_ns; /* sandbox's clock; 0: not yet */
    uint64_t pid;                 /* and its process group; 0: none */
    uint64_t exit_code;           /* 0-255; 126 and 127 also when it could not be executed */
    uint64_t signal;              /* that ended it; 0: none */
    uint64_t err;                 /* errno why it did not start; 0: it did */
};
int run_put_state(struct buf *out, const struct run_state *s); /* a whole frame */
int run_get_state(const struct proto_frame *f, struct run_state *ret);

/*
 * PROTO_RUN_JOB: id, phase, flags, sizes of stdin, stdout, stderr and both together, state, name,
 * line, cwd.
 */
struct run_job {
    uint64_t id;
    enum run_phase phase;
    unsigned flags; /* RUN_STDIN_OPEN: it still is; RUN_PASSING */
    uint64_t in_size, out_size, err_size, both_size;
    struct run_state state;
    const char *name, *line, *cwd; /* not terminated */
    size_t name_len, line_len, cwd_len;
};
int run_put_job(struct buf *out, const struct run_job *j); /* a whole frame */
int run_get_job(const struct proto_frame *f, struct run_job *ret);

enum run_stream { RUN_OUT = 1, RUN_ERR = 2, RUN_BOTH = 3 };
/* PROTO_RUN_DATA: stream, offset, string. */
struct run_data {
    enum run_stream stream;
    uint64_t off;
    const char *p;
    size_t len;
};
int run_put_data(struct buf *out, const struct run_data *d); /* a whole frame */
int run_get_data(const struct proto_frame *f, struct run_data *ret);

#endif
