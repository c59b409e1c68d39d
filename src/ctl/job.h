/*
 * job.h - jobs/: what is known here of the sandbox's jobs. For src/ctl only.
 *
 * A job is made here (mkdir), told what to be (cwd, env, stdin, ctl), and started in the sandbox by
 * the one who writes cmd. From then on it is the sandbox's; what is kept here can be found again.
 *
 *   NEW       made here, nobody else knows it
 *   STARTING  a thread asks for it; after a failure it is NEW again, and its token the same, so
 *             that one that was started all the same is found by the next try
 *   STARTED   it has an id
 */
#ifndef CTL_JOB_H
#define CTL_JOB_H

#include "ctl/row.h"
#include "remote/job.h"
#include "util/lock.h"

#include <stdatomic.h>

struct fs;
struct jobs;

enum job_state { JOB_NEW, JOB_STARTING, JOB_STARTED };
enum job_stream { JOB_OUT, JOB_ERR, JOB_BOTH, JOB_STREAMS };

/* Bytes of a stream that were fetched last: what a job has printed never changes. */
struct job_window {
    uint64_t off;
    struct buf data;
};

struct job {
    struct job *prev, *next; /* jobs.lock */
    struct jobs *jobs;
    atomic_uint refs;
    uint64_t serial; /* tells this one from another of its name */
    char *name;      /* here; of a job found in the sandbox its own, or its number. Never changes */
    char token[REMOTE_JOB_TOKEN_MAX + 1];
    bool cloned; /* its name is for here only */

    /* What follows: jobs.lock. */
    bool listed; /* in the table, which has a reference then */
    enum job_state state;
    struct remote_job now; /* STARTED: as it was last heard of; without strings */
    int64_t heard_ns;      /* monotonic */
    uint64_t input_off;    /* of stdin, what was taken */
    bool feeding;          /* a thread writes to it */
    bool whole;            /* the answer to its start had all of it */
    struct job_window windows[JOB_STREAMS];
    struct buf cmd, cwd, env;
    struct buf input; /* NEW: what stdin begins with */
    bool input_open;  /* stdin stays open until eof */
    bool passing;     /* for `daytonafs exec`: the start waits a little, nobody lists it later */
};

/* ---- jobs.c: the table ---- */

int jobs_new(struct ctl *ctl, struct fs *fs, struct jobs **ret);
struct jobs *jobs_free(struct jobs *jobs); /* when no thread and no handle is left */
/* Does one run of those that are known here, as of age_ns ago? May wait. */
bool jobs_busy(struct jobs *jobs, int64_t age_ns);
extern const struct ctl_dir jobs_dir;
extern const struct ctl_row jobs_rows[];

struct fs *jobs_fs(struct jobs *jobs);
void job_lock(struct job *job);
void job_unlock(struct job *job);
/* Somebody may wait for what has changed. With the lock held. */
void job_changed_locked(struct job *job);
/* Until that happens: 0; -EINTR. With the lock held. */
int job_wait_locked(struct job *job);
/* Its windows have grown: those of others may have to go. With the lock held. */
void job_trim_locked(struct job *job);

/* ---- job.c: one job; all of them may wait ---- */

int job_start(struct job *job, const char *cmd, size_t len, struct buf *why);
/* What it is like, not older than age_ns. -ENOENT: not started. */
int job_hear(struct job *job, int64_t age_ns, struct remote_job *ret);
/* Appends at most size bytes from off, none where it has not printed more. */
int job_read(struct job *job, enum job_stream stream, uint64_t off, size_t size, struct buf *out);
/* The stream from the beginning until it has ended. */
int job_flow(struct job *job, enum job_stream stream, struct ctl_flow *flow);
/* Until it has ended. */
int job_wait(struct job *job, struct remote_job *ret);
int job_input(struct job *job, const void *p, size_t len, bool end, struct buf *why);
int job_kill(struct job *job, int signal, struct buf *why);

/* ---- job_rows.c: the files of one ---- */

extern const struct ctl_row job_row;
extern const struct ctl_row job_ctl_row; /* what clone opens */

#endif
