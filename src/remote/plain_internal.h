/*
 * plain_internal.h - the inside of remote_plain, shared by plain*.c.
 *
 * What each call costs in requests, with a shell and the tools of GNU or of today's busybox (all) /
 * with such as cannot tell all that lstat does (sh) / with the file API only (api); - is
 * -EOPNOTSUPP:
 *
 *              all  sh  api                       all  sh  api
 *    stat        1   1    1        symlink, link    1   -    -
 *    list        1   2    2        unlink           1   1    2
 *    fetch       1   1    1        rmdir            1   1    -
 *    create      1   2    4        rename           1   2    3
 *    put         2   3    2        setattr          1   2    2
 *    mkdir       1   2    4        statfs, exec     1   1    -
 *
 * A put of at most PLAIN_INLINE_MAX bytes costs one less where there is a shell. Exceptions: a put
 * into a directory that may not be written (one more), a put with nothing to replace (one more), a
 * fetch of what changed in the last seconds (one more) or of a name that is not UTF-8 (one for each
 * 4 MiB), a list with leftovers of a dead mount (one more), a script beyond 90 kB (two more), and a
 * refusal by the file API, which carries no reason, is explained by one stat.
 */
#ifndef REMOTE_PLAIN_INTERNAL_H
#define REMOTE_PLAIN_INTERNAL_H

#include "remote/remote.h"
#include "remote/shcmd.h"

#include <daytona/sandbox.h>

#include <stdatomic.h>

enum {
    PLAIN_INLINE_MAX = 24 * 1024,       /* bytes of a file that travel in the script */
    PLAIN_SCRIPT_MAX = 90 * 1000,       /* bytes of a user's script that do */
    PLAIN_SMALL = 1024 * 1024,          /* ceiling of an answer that is one record */
    PLAIN_LIST_MAX = 256 * 1024 * 1024, /* of one that is a tree */
    PLAIN_CHUNK = 4 * 1024 * 1024,      /* bytes of a file in one answer */
    PLAIN_STEADY = 32 * 1024,           /* bytes that the service reads in one go */
};

/* What prints lstat records. */
enum plain_records { PLAIN_RECORDS_NONE, PLAIN_RECORDS_FIND, PLAIN_RECORDS_STAT };

/* How rename(2) itself can be called. */
enum plain_rename { PLAIN_RENAME_MV, PLAIN_RENAME_PERL, PLAIN_RENAME_PYTHON };

struct plain {
    struct remote remote;
    struct daytona_sandbox *sandbox; /* one reference */
    uint32_t op_timeout_s;           /* never changes */
    struct remote_info info;         /* never changes after the probe, as everything below */
    bool shell;                      /* scripts run */
    bool full;                       /* GNU find and coreutils */
    enum plain_records records;
    bool mv_no_copy; /* mv can be told not to copy between file systems */
    enum plain_rename rename;
    long renameat2;       /* the system call's number in the sandbox; 0: not known */
    char temp_prefix[32]; /* of the names this mount makes beside files */
    atomic_uint temp_count;
};

static inline struct plain *plain_of(struct remote *r)
{
    return (struct plain *)r;
}

/* A command that follows another in the same request. */
struct plain_more {
    const char *command;
    size_t output_max;
    void (*take)(void *arg, const char *out, size_t len); /* gets what both have printed */
    void *arg;
};

/* ---- plain.c: running scripts ---- */

/*
 * Runs the script and takes it apart. 0 even if the script failed: see shcmd_errno. Frees s. The
 * caller calls shcmd_answer_done after 0.
 */
int plain_run(struct plain *p, struct shcmd *s, size_t answer_max, struct shcmd_answer *ret);
/* The same for as long as timeout_s; 0: without end. */
int plain_run_for(struct plain *p, struct shcmd *s, size_t answer_max, uint32_t timeout_s,
                  struct shcmd_answer *ret);
/* The same without end, for a user's own command; more (may be NULL) runs after it. */
int plain_run_long(struct plain *p, struct shcmd *s, size_t answer_max,
                   const struct plain_more *more, struct shcmd_answer *ret);

/* What a failed daytona_ call means for a file system, when the call was not about a file. */
int plain_net_error(int r);
/* The same for one that was about path: asks again by stat when the service gave no reason. */
int plain_file_error(struct plain *p, const char *path, int r);

struct plain *remote_plain_of(struct remote *r); /* NULL: it is none */
/* 0: none, or r is no remote_plain. */
uint32_t remote_plain_op_timeout_s(const struct remote *r);

/* ---- plain_temp.c ---- */

/* A new name beside path, the caller frees; NULL without memory. */
char *plain_temp_beside(struct plain *p, const char *path);
char *plain_temp_in(struct plain *p, const char *dir);
/* What mounts that died left in a directory that was listed: removed there, and taken out of the
 * list. A failure leaves it for the next time. */
void plain_temp_sweep(struct plain *p, const char *path, struct remote_list *list);
/* Adds a step that does so with a directory; for a script that is about something else. */
void plain_temp_add_sweep(struct shcmd *s, const char *dir);

/* ---- plain_meta.c ---- */

/* Adds what prints the record of the thing that the script's variable var names. */
void plain_add_record(struct plain *p, struct shcmd *s, const char *var);
/* Turns what that printed into what record_decode_… take. */
int plain_records(struct plain *p, struct buf *part);
/* Runs a change. Its record, or, where the tools cannot print one, what the service says of path.
 * ret NULL: there is none. */
int plain_change(struct plain *p, struct shcmd *s, const char *path, struct remote_attr *ret);

int plain_info(struct remote *r, struct remote_info *ret);
int plain_stat(struct remote *r, const char *path, struct remote_attr *ret, char **ret_target);
int plain_list(struct remote *r, const char *path, unsigned depth, size_t max,
               struct remote_list *ret);
int plain_statfs(struct remote *r, const char *path, struct remote_statfs *ret);

/* ---- plain_data.c ---- */

int plain_fetch(struct remote *r, const char *path, const struct remote_attr *expect, uint64_t off,
                uint64_t len, int fd, uint64_t *ret_len);
/* The same in one request, which tells versions apart by size and whole seconds. */
int plain_download(struct remote *r, const char *path, const struct remote_attr *expect,
                   uint64_t off, uint64_t len, int fd, uint64_t *ret_len);
int plain_put(struct remote *r, const char *path, const struct remote_put *put,
              struct remote_attr *ret);

bool plain_is_utf8(const char *s);
bool plain_is_kernel_file(const char *path);

/* ---- plain_many.c ---- */

int plain_fetch_many(struct remote *r, const struct remote_many *many);

/* ---- plain_change.c ---- */

int plain_create(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret);
int plain_mkdir(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret);
int plain_symlink(struct remote *r, const char *target, const char *path, struct remote_attr *ret);
int plain_link(struct remote *r, const char *from, const char *to, struct remote_attr *ret);
int plain_unlink(struct remote *r, const char *path);
int plain_rmdir(struct remote *r, const char *path);
int plain_setattr(struct remote *r, const char *path, const struct remote_setattr *set,
                  struct remote_attr *ret);
/* Adds "touch … ||" of var to a time; which is 'a' or 'm'. What to do if it fails must follow. */
void plain_add_touch(struct shcmd *s, char which, const char *var, int64_t ns);

/* ---- plain_rename.c ---- */

int plain_rename(struct remote *r, const char *from, const char *to, unsigned flags,
                 struct remote_attr *ret);
int plain_exchange(struct remote *r, const char *from, const char *to, const uint64_t ino[2],
                   struct remote_attr ret[2]);

/* ---- plain_exec.c ---- */

int plain_exec(struct remote *r, const struct remote_exec *exec, struct buf *out, int *ret_exit);
/* exec->after is not looked at. more is not run, and take not called, where both together would be
 * too long. */
int plain_exec_more(struct plain *p, const struct remote_exec *exec, const struct plain_more *more,
                    struct buf *out, int *ret_exit);

/* ---- plain_job.c ---- */

int plain_job(struct remote *r, const struct remote_job_call *call, struct remote_job_answer *ret);

/* ---- plain_api.c: the same through the file API alone, for sandboxes without a shell ---- */

int plain_api_stat(struct plain *p, const char *path, struct remote_attr *ret);
int plain_api_list(struct plain *p, const char *path, size_t max, struct remote_list *ret);
int plain_api_create(struct plain *p, const char *path, mode_t mode, struct remote_attr *ret);
int plain_api_mkdir(struct plain *p, const char *path, mode_t mode, struct remote_attr *ret);
int plain_api_unlink(struct plain *p, const char *path);
int plain_api_rename(struct plain *p, const char *from, const char *to, unsigned flags,
                     struct remote_attr *ret);
int plain_api_setattr(struct plain *p, const char *path, const struct remote_setattr *set,
                      struct remote_attr *ret);
/* In place: the service has all of it before it touches the file. */
int plain_api_put(struct plain *p, const char *path, const struct remote_put *put,
                  struct remote_attr *ret);

#endif
