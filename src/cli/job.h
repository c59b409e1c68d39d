/*
 * job.h - jobs for commands: through a mount's jobs/, or, where there is no mount, straight through
 * the API. Threads: one follows, others may write and kill meanwhile. Results are 0 or -errno.
 */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "cli/api.h"
#include "cli/target.h"
#include "remote/job.h"

/* Where the jobs are. */
struct cli_job_place {
    struct target target;
    struct api api;
    struct remote *remote; /* NULL: a mount's */
    struct buf why;        /* a sentence about the last failure, or empty */
};

/* word: MOUNT|SANDBOX or NULL. An exit code; a failure has been explained. -EOPNOTSUPP is none: it
 * is found out by the first call. */
int cli_job_place_find(struct cli_job_place *p, const struct cli *cli, const char *word);
void cli_job_place_done(struct cli_job_place *p);
/* Explains a failed call. Returns code, unless the exit codes have a better one. */
int cli_job_place_fail(struct cli_job_place *p, int code, int err, const char *what);

struct cli_job_spec {
    const char *script;     /* for the sandbox's shell */
    const char *cwd;        /* relative: below where the mount's root, or the work-dir, is. NULL */
    const char *const *env; /* "NAME=VALUE", NULL-ended */
    const char *name;       /* NULL: a number only */
    bool input_open;
    bool passing; /* goes by itself after its end */
};

typedef int (*cli_job_sink)(void *arg, bool err, const void *p, size_t n);

struct cli_job {
    struct cli_job_place *place;
    char *name; /* a mount's: below jobs/. Else NULL */
    int ctl;    /* a mount's: the job's ctl file; -1: none */
    int input;  /* a mount's: its stdin, once it was written to; -1: none */
    uint64_t id;
    uint64_t input_off;
    struct remote_job_follow follow;
    struct remote_job now;
    bool more; /* the answer to its start was not all */
};

/* sink may get output at once. */
int cli_job_begin(struct cli_job *j, struct cli_job_place *p, const struct cli_job_spec *spec,
                  cli_job_sink sink, void *arg);
/* One that was started before, by name or number. -ENOENT. */
int cli_job_attach(struct cli_job *j, struct cli_job_place *p, const char *name, cli_job_sink sink,
                   void *arg);
void cli_job_done(struct cli_job *j);

int cli_job_id(struct cli_job *j, uint64_t *ret);
/*
 * Gives the sink all that comes until the end. together: the two streams are shown in one place,
 * so the order in which they come counts; else the sink is called from two threads, one for each.
 * *ret_code: 0-255, or -1: it was cut off. why not started: in place->why.
 */
int cli_job_follow(struct cli_job *j, bool together, int *ret_code);
/* The same of what there is so far. */
int cli_job_output(struct cli_job *j);
int cli_job_write(struct cli_job *j, const void *p, size_t n, bool end);
int cli_job_kill(struct cli_job *j, const char *signal); /* "INT", "9" … */
int cli_job_remove(struct cli_job *j);
/* The end of one that passes: what it left is removed, unless that is little and would cost a
 * request. */
void cli_job_leave(struct cli_job *j);
int cli_job_signal(const char *word); /* -EINVAL: there is none of that name or number */

/* A row for each. */
extern const struct cli_column cli_job_columns[];
extern const size_t cli_job_column_count;
int cli_job_rows(struct cli_job_place *p, struct cli_rows *rows);

/* ---- job_mount.c: for job.c ---- */

int cli_job_mount_begin(struct cli_job *j, const struct cli_job_spec *spec);
int cli_job_mount_attach(struct cli_job *j, const char *name);
int cli_job_mount_id(struct cli_job *j, uint64_t *ret);
int cli_job_mount_follow(struct cli_job *j, bool together, int *ret_code);
int cli_job_mount_output(struct cli_job *j);
int cli_job_mount_write(struct cli_job *j, const void *p, size_t n, bool end);
int cli_job_mount_kill(struct cli_job *j, const char *signal);
int cli_job_mount_remove(struct cli_job *j);
int cli_job_mount_rows(struct cli_job_place *p, struct cli_rows *rows);

/* A row of cli_job_rows. */
int cli_job_add_row(struct cli_rows *rows, const struct remote_job *job);

#endif
