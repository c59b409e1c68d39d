/*
 * run.h - jobs on the sandbox's disk. The spool is the folder jobs/ beside the helper; in it
 *
 *   lock, last           whoever starts, ends, kills or removes a job holds the lock; the last id
 *   t-TOKEN, n-NAME      links to the id
 *   ID/request           the frame that started it; with it a job is there
 *   ID/alive             locked as long as the job has a keeper
 *   ID/begun             made by the keeper that runs it: there is never a second one
 *   ID/state             struct run_state, written in place, padded to STATE_SIZE
 *   ID/out, err          what it printed: its own stdout and stderr
 *   ID/order             how the two came: a row of points, two 8-byte sizes each, out and err.
 *                        From one to the next out grew first, then err; the last one grows in place
 *   ID/in, end, taken    its stdin so far, that there is no more, and what the job has got of it
 *   ID/wake              a fifo: something of these has changed
 *
 * A job is a keeper, which nobody waits for, and its child, which leads a session of its own. The
 * child is reaped with the lock held, so that a pid under the lock is never somebody else's.
 */
#ifndef HELPER_RUN_H
#define HELPER_RUN_H

#include "helper/emit.h"
#include "proto/run.h"

int verb_run(struct emit *e, const struct run_request *req, bool *ret_more);

/* ---- run_spool.c: descriptors are of folders; -errno ---- */

int spool_open(void);
int spool_lock(int spool); /* a descriptor: closing it unlocks. -ETIMEDOUT */
int spool_job(int spool, uint64_t id);
uint64_t spool_find(int spool, char kind, const char *name); /* 't' or 'n'; 0: none */
/* Puts all of a new job into the spool, and *ret_alive, which is locked. The id and a descriptor.
 * With the lock held. */
int spool_make(int spool, const struct run_request *req, uint64_t *id, int *ret_job,
               int *ret_alive);
int spool_remove(int spool, uint64_t id); /* whatever state it is in; with the lock held */
/* Calls fn for each id until it returns nonzero, and returns that. */
int spool_each(int spool, int (*fn)(void *arg, uint64_t id), void *arg);
int spool_sweep(int spool); /* what passes and has ended long ago goes; with the lock held */

int job_lock_alive(int job); /* a locked descriptor, -EAGAIN: it has a keeper */
bool job_has(int job, const char *file);
int job_request(int job, struct run_request *ret);
int job_state_put(int job, const struct run_state *s);
/* Everything but id, name, line and cwd. The phase first: once it has ended the sizes are final. */
int job_look(int job, struct run_job *ret);

struct job_taken {
    uint64_t bytes;
    bool closed; /* the job reads no more */
};
struct job_taken job_taken_get(int job);
void job_taken_put(int job, const struct job_taken *t);

/* ---- run_order.c ---- */

struct order {
    int fd;             /* -1: none */
    uint64_t count;     /* of points */
    uint64_t last[2];   /* out and err, as of the last point */
    bool err_ends_last; /* what grew last is err */
};
struct order order_open(int job);
/* The sizes have changed, perhaps. */
void order_note(struct order *o, uint64_t out, uint64_t err);
/* Of both together, as far as it is known how they came. */
uint64_t order_size(int job);
/* Calls put with pieces of both, from off on. 0, or what put returned. */
int order_walk(int job, uint64_t off, uint64_t len,
               int (*put)(void *arg, bool err, uint64_t from, uint64_t len), void *arg);

/* ---- run_keep.c ---- */

/*
 * Starts the keeper and the job, and takes alive over. A descriptor that is readable once the job
 * has ended.
 */
int keep_start(int spool, int job, int alive, const struct run_request *req);

#endif
