/* mem_internal.h - the inside of remote_mem, shared by mem*.c. */
#ifndef REMOTE_MEM_INTERNAL_H
#define REMOTE_MEM_INTERNAL_H

#include "remote/job.h"
#include "remote/mem_data.h"
#include "remote/remote.h"

#include "util/lock.h"

#include <uthash.h>

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
    int64_t now_ns; /* the last time given out */
    struct mem_job *jobs;
    uint64_t last_job;
};

static inline struct mem *mem_of(struct remote *r)
{
    return (struct mem *)r;
}

/* All of these want m->lock held. */
int mem_walk(struct mem *m, const char *path, struct mem_node **ret);
bool mem_may(const struct mem *m, const struct mem_node *n, unsigned want); /* R_OK | W_OK | X_OK */

/* ---- mem_tree.c ---- */

int mem_tree(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);
int mem_changes(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);

/* ---- mem_job.c ---- */

int mem_job(struct remote *r, const struct remote_job_call *call, struct remote_job_answer *ret);
void mem_jobs_free(struct mem *m); /* no lock is needed: nobody else is left */

#endif
