/* mem_internal.h - the inside of remote_mem, shared by mem*.c. */
#ifndef REMOTE_MEM_INTERNAL_H
#define REMOTE_MEM_INTERNAL_H

#include "remote/batch.h"
#include "remote/job.h"
#include "remote/mem_data.h"
#include "remote/remote.h"

#include "util/keyedhash.h"
#include "util/lock.h"

struct mem_name {
    char *name;
    struct mem_node *node; /* counted in its attr.nlink */
    UT_hash_handle hh;
};

/* Whatever has a name. attr.nlink is what stat shows: names, and for a directory 2 + directories */
struct mem_node {
    struct remote_attr attr;
    struct mem_name *names; /* directory */
    struct mem_data data;   /* regular file */
    char *target;           /* symbolic link */
};

struct mem {
    struct remote remote;
    struct lock lock; /* guards all of it */
    struct mem_node *root;
    uint32_t uid, gid;
    uint64_t last_ino, nodes;
    uint64_t next_ino; /* that the next one gets, once; 0: a new one */
    uint32_t births, mounts;
    int64_t set_ns; /* its clock minus ours */
    int64_t now_ns; /* the last time given out since it was set */
    void (*on_look)(void *arg);
    void *on_look_arg;
    struct mem_job *jobs;
    uint64_t last_job;
    struct mem_client *clients;
    struct mem_blob *blobs;
    uint64_t last_blob;
    struct mem_kept *kept;
    size_t stop_after; /* changes of the next batch; SIZE_MAX: never */
    int stop_err;
};

static inline struct mem *mem_of(struct remote *r)
{
    return (struct mem *)r;
}

/* ---- mem_node.c: all of it wants m->lock held ---- */

/* One without a name. NULL: no memory. */
struct mem_node *mem_node_new(struct mem *m, mode_t mode);
void mem_node_free(struct mem *m, struct mem_node *n);
void mem_free_tree(struct mem *m, struct mem_node *dir); /* all names in it */
int mem_dup(const char *s, char **ret);                  /* of NULL: NULL */
void mem_mount_node(struct mem_node *n, uint32_t mount); /* and all that is in it */
int mem_walk(struct mem *m, const char *path, struct mem_node **ret);
void mem_release(struct mem *m, struct mem_node *n); /* one name less; it may be freed */
bool mem_may(const struct mem *m, const struct mem_node *n, unsigned want); /* R_OK | W_OK | X_OK */

int64_t mem_now(const struct mem *m);
int64_t mem_tick(struct mem *m); /* and the time moves on */
int mem_make_node(struct mem *m, const char *path, mode_t mode, const char *target,
                  struct mem_node **ret);
int mem_link_node(struct mem *m, const char *from, const char *to, struct remote_attr *ret);
int mem_remove_name(struct mem *m, const char *path, bool is_dir);
/* ino NULL: whatever they are. */
int mem_exchange_nodes(struct mem *m, const char *from, const char *to, const uint64_t ino[2],
                       struct remote_attr ret[2]);
int mem_rename_node(struct mem *m, const char *from, const char *to, unsigned flags,
                    struct remote_attr *ret);
/* Takes data on success. The times are the caller's to set. */
int mem_put_node(struct mem *m, const char *path, const struct remote_put *put,
                 struct mem_data *data, struct mem_node **ret);
int mem_set_node(struct mem *m, struct mem_node *n, const struct remote_setattr *set);

/* ---- mem.c ---- */

struct remote_statfs mem_space(const struct mem *m);

/* ---- mem_apply.c ---- */

int mem_apply(struct remote *r, const struct remote_batch *batch, struct remote_applied *ret);
void mem_apply_done(struct mem *m);

/* ---- mem_blob.c ---- */

int mem_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret);
int mem_join(struct remote *r, const struct remote_join *join, struct remote_joined *to);
bool mem_blobs_there(struct mem *m, const struct remote_batch *b);
void mem_blobs_used(struct mem *m, const struct remote_batch *b);
void mem_blobs_free(struct mem *m);
/* Of a batch whose blobs are there. */
const uint8_t *mem_piece(struct mem *m, const struct remote_batch *b, const struct remote_piece *p);
/* All c->joined->size bytes of it, in place of a file of so many; NULL: the pieces are needed. */
const uint8_t *mem_joined(struct mem *m, const struct remote_change *c, uint64_t had);

/* ---- mem_change.c ---- */

struct mem_renew;

#define MEM_KEPT_DIR "/\001kept"
/* What was kept there; NULL: nothing. */
struct mem_node *mem_kept_at(struct mem *m, const char *path);
/* What b's client does not name any more; of b NULL: all. */
void mem_kept_drop(struct mem *m, const struct remote_batch *b);
/* NULL without an error: nothing is there. */
struct mem_node *mem_node_at(struct mem *m, const char *path, int *ret_err);
bool mem_has_hash(const struct mem_node *n, const uint8_t *hash, uint64_t size);
/* Makes b->v[i], and says in so_far[i] what came of it; the results before it are there. */
void mem_change(struct mem *m, const struct remote_batch *b, const struct mem_renew *renew,
                size_t i, struct remote_result *so_far);

/* ---- mem_renew.c ---- */

struct mem_renew *mem_renew_new(struct mem *m, const struct remote_batch *b);
struct mem_renew *mem_renew_free(struct mem_renew *x); /* NULL; takes NULL */
/* True: that change was made already, and ret says what it left. x may be NULL. */
bool mem_renew_tell(const struct mem_renew *x, size_t change, struct remote_result *ret);

/* ---- mem_tree.c ---- */

int mem_tree(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);
int mem_changes(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);

/* ---- mem_job.c ---- */

int mem_job(struct remote *r, const struct remote_job_call *call, struct remote_job_answer *ret);
void mem_jobs_free(struct mem *m); /* no lock is needed: nobody else is left */

#endif
