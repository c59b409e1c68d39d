/* backends.h - where a struct remote comes from. Each wrapper owns what it wraps. */
#ifndef REMOTE_BACKENDS_H
#define REMOTE_BACKENDS_H

#include "remote/remote.h"

#include <daytona/sandbox.h>

/*
 * The sandbox through its toolbox's file calls, and one quoted execute for what they cannot do
 * safely. Probes the sandbox once (shell, tools, user, clock). Keeps a reference on sandbox.
 * -errno of the probe. What a file operation runs there is ended after op_timeout_s (0: never);
 * remote_exec's commands may take as long as they like.
 *
 * put makes names that start with ".daytonafs-" and this mount's own number beside the file; list
 * leaves them out, and one that a broken connection left behind stays. -EPROTO: the sandbox's
 * answer makes no sense. exec: a child left in the background with stdout open keeps the call
 * waiting, as with the service's own execute; so does nothing else. exchange, and an unraced
 * NOREPLACE, need perl or python3 in the sandbox, and so does a rename between file systems that
 * fails (EXDEV) instead of copying.
 */
int remote_plain_new(struct daytona_sandbox *sandbox, uint32_t op_timeout_s, struct remote **ret);

/*
 * The same with a program of ours in the sandbox: trees, changes and exact attributes in one
 * request each; everything else goes to plain, which is taken over on success only. The program is
 * local_helper_path, or (NULL) the one for the sandbox's architecture in $DAYTONAFS_HELPER_DIR,
 * else beside the running program, else in ../libexec/daytonafs; it is uploaded once, into a folder
 * that only the sandbox's user can write. -EOPNOTSUPP: it cannot run there, and why has a sentence:
 * go on with plain. Else -errno as of any call: the network, memory.
 */
int remote_helper_new(struct daytona_sandbox *sandbox, struct remote *plain,
                      const char *local_helper_path, struct remote **ret, struct buf *why);

/*
 * An in-memory tree with POSIX semantics, for tests: one user (uid, gid; 0 is privileged), its own
 * clock that moves forward with every change unless it is set, root "/" mode 0755. exec understands
 * nothing: exit 127. Of jobs it knows "echo WORD", which ends at once, and "cat"; any other prints
 * and ends when it is told so.
 */
struct remote *remote_mem_new(uint32_t uid, uint32_t gid); /* NULL without memory */
int remote_mem_job_print(struct remote *mem, uint64_t id, bool err, const void *p, size_t len);
int remote_mem_job_end(struct remote *mem, uint64_t id, int code);

/* The next thing that is made gets this number, which nothing has any more. */
void remote_mem_reuse_ino(struct remote *mem, uint64_t ino);
/* From now on the directory, with all that is and will be in it, is reached by another mount. */
void remote_mem_mount(struct remote *mem, const char *path);
/* Somebody sets its clock forward by step_ns, or back. */
void remote_mem_set_clock(struct remote *mem, int64_t step_ns);
/* fn is called once, in the middle of the next look at several directories. */
void remote_mem_on_look(struct remote *mem, void (*fn)(void *arg), void *arg);

/* r from remote_mem_new. The next batch stops after so many changes with err, as if the sandbox had
 * been killed: it goes on from there when it comes again. SIZE_MAX: never. */
void remote_mem_stop_after(struct remote *r, size_t changes, int err);
/* What it recorded of clients is that of another batch; 0: it is gone. Files stay. */
void remote_mem_rewind(struct remote *r, uint64_t number);
size_t remote_mem_blobs(struct remote *r, bool drop); /* how many were staged and not yet used */

/* Logs each call, its outcome and its time at LOG_DETAIL. */
struct remote *remote_trace_new(struct remote *inner);
/* On: the last of those lines are kept, from now on; off: no more are. */
void remote_trace_set(struct remote *r, bool on);
int remote_trace_text(struct remote *r, struct buf *out); /* TIME CALL PATH: RESULT, MS ms */

/* Breaks calls on purpose, for tests. */
struct remote_fault;
struct remote *remote_fault_new(struct remote *inner, struct remote_fault **ret_control);
enum remote_fault_kind {
    REMOTE_FAULT_BEFORE, /* the call fails and was not made */
    REMOTE_FAULT_AFTER,  /* the call was made, its answer is lost */
    REMOTE_FAULT_SHORT,  /* fetch: half the bytes, fetch_many: half the files; then the error */
};
/* The n-th call from now (1: the next) fails with err; 0: none. */
void remote_fault_set(struct remote_fault *f, unsigned n, enum remote_fault_kind kind, int err);
/* The line is down: each call fails with err and is not made, but the next so many; 0: it is up. */
void remote_fault_down(struct remote_fault *f, unsigned after, int err);
unsigned remote_fault_calls(struct remote_fault *f); /* since the last _set */

/*
 * At most data_max fetches and puts at a time, and other_max other calls; others wait. Those in the
 * background always leave room for one more. exec is not
 * counted: a command may run for hours, and must not keep everybody else from stat.
 */
struct remote *remote_limit_new(struct remote *inner, unsigned data_max, unsigned other_max);

/*
 * What to do when the sandbox is not running or the network is gone. On -EHOSTDOWN, wake (may be
 * NULL: never) is called, by one thread at a time; if it returns 0 the call is made once more
 * (a stopped sandbox made nothing of it, so repeating is safe). statfs never wakes. After a
 * -ETIMEDOUT (or -EHOSTUNREACH, -ECONNREFUSED) calls fail at once with -EHOSTDOWN until a probe
 * (stat of "/") is answered: tried by a caller, at most every backoff, 1 s doubling to 60 s.
 */
struct remote *remote_wake_new(struct remote *inner, int (*wake)(void *arg), void *arg);
/*
 * tell hears, with wake's arg, when a call is the first to find the sandbox out of reach
 * (-ETIMEDOUT and the like), or not running while there is no wake (-EHOSTDOWN). Set it before the
 * first call.
 */
void remote_wake_tell(struct remote *r, void (*tell)(void *arg, int err));
/* Appends "online", "waking", "not running" or "unreachable since …"; r must come from
 * remote_wake_new. */
int remote_wake_text(struct remote *r, struct buf *out);
/* Since when it has not been reached (of the wall clock); 0: it was, or nobody has tried. */
int64_t remote_wake_since(struct remote *r);
/* The sandbox was started or stopped by other means: what the last call found is old. */
void remote_wake_set(struct remote *r, bool running);
/* The pause before the next probe is over now. */
void remote_wake_retry(struct remote *r);

#endif
