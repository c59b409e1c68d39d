/* remote.h - what the file system asks of a sandbox, and nothing more. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Times are the sandbox's clock, since the epoch, UTC. What a backend cannot know is 0. */
struct remote_attr {
    uint64_t dev, ino; /* 0: unknown. dev is no number of a device, only another for another */
    uint64_t size;     /* bytes */
    uint64_t rdev;
    int64_t mtime_ns, ctime_ns, atime_ns;
    mode_t mode; /* file type and permission bits, special ones included */
    uint32_t nlink, uid, gid;
    uint32_t birth; /* of no directory: another for a later file with the same dev and ino */
    uint32_t mount; /* of directories: by which it was reached, as dev may be at several places */
};

/* The same version of the same object, as far as a fingerprint can tell. */
bool remote_attr_same(const struct remote_attr *a, const struct remote_attr *b);
/* The same object, of whatever version. Two whose numbers are not known are. */
bool remote_attr_same_object(const struct remote_attr *a, const struct remote_attr *b);
/* Not the same object, though both have the same number. */
static inline bool remote_attr_reborn(const struct remote_attr *a, const struct remote_attr *b)
{
    return a->birth != 0 && b->birth != 0 && a->birth != b->birth;
}
/* Reached by two mounts, perhaps of one device: nothing is renamed or linked from one to the other,
 * and where one is in the other it is a mount point. */
static inline bool remote_attr_apart(const struct remote_attr *a, const struct remote_attr *b)
{
    return a->mount != 0 && b->mount != 0 && a->mount != b->mount;
}

struct remote_entry {
    char *name;   /* below the listed directory; with depth > 1 it may hold '/' */
    char *target; /* of a symbolic link; else NULL */
    struct remote_attr attr;
};

struct remote_list {
    struct remote_entry *v; /* owned; parents before children */
    size_t count;
    struct remote_attr self; /* of the directory itself, taken before its entries were read */
    bool cut;                /* there is more than the limit allowed */
};

void remote_list_done(struct remote_list *list);

/* What this sandbox's backend can do. A missing one makes its calls -EOPNOTSUPP or weaker. */
enum remote_cap {
    REMOTE_CAP_EXEC = 1 << 0,     /* commands can be run */
    REMOTE_CAP_LSTAT = 1 << 1,    /* links, inodes and every name are seen as they are */
    REMOTE_CAP_LINKS = 1 << 2,    /* symlink, link */
    REMOTE_CAP_REPLACE = 1 << 3,  /* put and rename replace atomically */
    REMOTE_CAP_RMDIR = 1 << 4,    /* an empty directory can be removed safely */
    REMOTE_CAP_TIMES = 1 << 5,    /* and as fine as they are, not in whole seconds */
    REMOTE_CAP_TRUNCATE = 1 << 6, /* setattr of size */
    REMOTE_CAP_STATFS = 1 << 7,
    REMOTE_CAP_EXCHANGE = 1 << 8, /* exchange */
    REMOTE_CAP_TREE = 1 << 9,     /* list with depth > 1 */
    REMOTE_CAP_CHANGES = 1 << 10, /* tree, changes */
    REMOTE_CAP_APPLY = 1 << 11,   /* batch.h: changes in batches, exactly once */
    REMOTE_CAP_JOBS = 1 << 12,    /* job.h: commands that outlive whoever started them */
    REMOTE_CAP_TOUCH = 1 << 13,   /* setattr of times */
};

enum { REMOTE_GROUPS_MAX = 64 };

struct remote_info {
    char *work_dir, *home_dir; /* absolute; owned by whoever got the info */
    char *daemon_version;
    char *shell;    /* what execute uses, "" if none */
    char *kept_dir; /* absolute; owned; see remote_kept_path. NULL: nothing can be kept */
    struct remote_attr kept_at; /* dev and mount: only what is on the same can */
    uint32_t uid, gid, groups[REMOTE_GROUPS_MAX];
    size_t group_count;
    bool privileged;         /* permission bits do not bind this user (root) */
    int64_t clock_offset_ns; /* sandbox's clock minus ours */
    unsigned caps;           /* enum remote_cap */
};

void remote_info_done(struct remote_info *info);

/* A table of lines "name yes|no: what is weaker", as .ctl/capabilities shows them. */
int remote_caps_text(unsigned caps, struct buf *out);

/* Directories that are asked for in one go. All borrowed. */
struct remote_ask {
    const char *root;         /* absolute */
    const char *const *paths; /* below it, "" is root; each once, and for tree none below another */
    size_t path_count;        /* at most REMOTE_PATHS_MAX */
    size_t max_entries;       /* tree: enough when there are so many; 0: the backend's limit */
    uint64_t max_bytes;       /* tree: the same for bytes of the answer */
    int64_t since_ns;         /* changes: sandbox's clock; INT64_MIN: everything has changed */
    int64_t wait_ns;          /* changes: answer at the first change, or after so long */
    bool background;          /* nobody waits for it: it does not count as activity */
};
enum { REMOTE_PATHS_MAX = 200000 };

struct remote_statfs {
    uint64_t block_size, blocks, blocks_free, blocks_avail, files, files_free;
};

/* One directory of an answer. */
struct remote_dir {
    const char *path;        /* relative to the root that was asked for; "" is that */
    int err;                 /* -errno why it could not be read; then only path counts */
    bool whole;              /* all of its entries are here, not only those that changed */
    struct remote_attr self; /* taken before its entries were read */
    size_t first, count;     /* its entries: v[first] … in the order of strcmp */
};

struct remote_store;

/* Strings in it live as long as the tree, and so name and target in v, which nobody frees alone. */
struct remote_tree {
    struct remote_dir *dirs; /* owned; no path comes twice */
    size_t dir_count;
    struct remote_entry *v; /* owned; no name comes twice in a directory */
    size_t count;
    struct remote_store *store; /* owned: strings */
    int64_t now_ns;             /* sandbox's clock before anything was looked at */
    int64_t uptime_ns;          /* of the sandbox's host then: a clock that was set shows */
    const char *boot;           /* names this start of the sandbox */
    bool more;                  /* a limit stopped it: some directories are missing */
    bool has_space;
    struct remote_statfs space; /* where the root is */
};

void remote_tree_done(struct remote_tree *tree);
/* NULL: it has none. */
static inline struct remote_entry *remote_dir_entries(const struct remote_tree *t,
                                                      const struct remote_dir *d)
{
    return d->count > 0 ? t->v + d->first : NULL;
}

/* One of several files that are fetched whole. */
struct remote_want {
    const char *path;
    const struct remote_attr *expect; /* of a regular file */
    int fd;
    int err; /* set by the call: 0, all of it is in fd. -EAGAIN: not tried */
};

struct remote_many {
    struct remote_want *v;
    size_t count;
    /* File i has its err, which says if it is there: at most once each, in any order. May be NULL.
     */
    void (*done)(void *arg, size_t i);
    void *arg;
};

/* A whole new content for a file, from fd (pread, 0 to size). */
struct remote_put {
    int fd;
    uint64_t size;
    const struct remote_attr *replace; /* what is there now: its mode, owner and links are kept */
    int64_t mtime_ns;                  /* to be set; INT64_MIN: leave it */
};

enum remote_set {
    REMOTE_SET_MODE = 1 << 0,
    REMOTE_SET_UID = 1 << 1,
    REMOTE_SET_GID = 1 << 2,
    REMOTE_SET_SIZE = 1 << 3,
    REMOTE_SET_ATIME = 1 << 4,
    REMOTE_SET_MTIME = 1 << 5,
};

/* Links themselves are set, never their targets. */
struct remote_setattr {
    unsigned mask; /* enum remote_set: which of attr's fields */
    struct remote_attr attr;
};

/*
 * What a command has changed: a question for `changes` that is asked in the sandbox as soon as the
 * command has ended, within the request that tells of its end. Not every backend can, and too much
 * is not told: then answered stays false, and remote_changes is to be asked.
 */
struct remote_after {
    const struct remote_ask *ask; /* without waiting */
    bool answered;                /* set by the call; then tree is the caller's */
    struct remote_tree tree;
};

struct remote_exec {
    const char *script; /* as a user would write it, any number of lines; the sandbox's shell */
    const char *cwd;    /* absolute */
    size_t output_max;  /* bytes; -EFBIG beyond */
    struct remote_after *after; /* NULL: nothing more */
};

enum remote_rename_flags { REMOTE_RENAME_NOREPLACE = 1 << 0 };

struct remote;
struct remote_batch;
struct remote_applied;
struct remote_stage;
struct remote_blob;
struct remote_join;
struct remote_joined;
struct remote_job_call;
struct remote_job_answer;

/*
 * One place where files live. Paths are absolute in the sandbox, resolved, any bytes but NUL.
 * Every call may block on the network, ends with -EINTR when the bound cancel fires, may be made
 * from any thread, and is made with no lock held. Returns 0 or -errno as the local call would
 * (-ENOENT, -EACCES, -ENOTEMPTY …), -EHOSTDOWN if the sandbox is not running, -ETIMEDOUT without
 * progress, -EIO if nothing better is known; ret is written on success only. After -ETIMEDOUT,
 * -ECONNRESET and -EINTR the outcome of a change is unknown: stat before deciding. Changes return
 * the new attributes where ret is not NULL.
 */
struct remote_ops {
    const char *name; /* as .ctl/status shows it */
    int (*info)(struct remote *r, struct remote_info *ret);
    /* lstat. *ret_target (may be NULL) gets the link's target, the caller frees; NULL if no link.
     */
    int (*stat)(struct remote *r, const char *path, struct remote_attr *ret, char **ret_target);
    /* depth 1: the directory; more: below it too, never through links. At most max entries. */
    int (*list)(struct remote *r, const char *path, unsigned depth, size_t max,
                struct remote_list *ret);
    /*
     * The directories and what is below them, breadth first. One that is listed is listed whole:
     * the asker knows which ones it has not got. Links are not followed.
     */
    int (*tree)(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);
    /*
     * Of each directory, one level: all of its entries if names in it may have come or gone since
     * since_ns, else those that have changed; nothing of one without changes. What is 20 ms older
     * than since_ns may be among them. A directory that was moved in changes its parent only.
     */
    int (*changes)(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);
    /*
     * Copies bytes off … off+len of the regular file into fd at the same offsets. *ret_len may be
     * short at the end of the file. -ESTALE if what is there is not the version in expect (as far
     * as that can be seen); fd's range is then undefined.
     */
    int (*fetch)(struct remote *r, const char *path, const struct remote_attr *expect, uint64_t off,
                 uint64_t len, int fd, uint64_t *ret_len);
    /*
     * Several files at once, optional. Each has an err of its own, whatever this returns; one that
     * did not get any is -EAGAIN and may be fetched alone, as those with names that cannot be asked
     * for (-EILSEQ). -ESTALE: it is of another size than the version in expect; that is all that
     * can be seen. Who must know better looks at the attributes once more.
     */
    int (*fetch_many)(struct remote *r, const struct remote_many *many);
    /*
     * Appends all of the regular file that is at path now to out, and ret is what it was like: the
     * bytes are of one version, as far as the sandbox can see to it in a moment. -EFBIG: there are
     * more than max, for one more than which out has room. -ESTALE: it changed all the time.
     * Optional.
     */
    int (*snapshot)(struct remote *r, const char *path, size_t max, struct buf *out,
                    struct remote_attr *ret);
    /* O_CREAT|O_EXCL: -EEXIST. mode is exact (no umask). */
    int (*create)(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret);
    /* Readers in the sandbox see the old content or the new, never a mixture, where they can. */
    int (*put)(struct remote *r, const char *path, const struct remote_put *put,
               struct remote_attr *ret);
    int (*mkdir)(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret);
    int (*symlink)(struct remote *r, const char *target, const char *path, struct remote_attr *ret);
    int (*link)(struct remote *r, const char *from, const char *to, struct remote_attr *ret);
    int (*unlink)(struct remote *r, const char *path); /* never a directory: -EISDIR */
    int (*rmdir)(struct remote *r, const char *path);  /* never anything else, never what is full */
    int (*rename)(struct remote *r, const char *from, const char *to, unsigned flags,
                  struct remote_attr *ret);
    /*
     * Swaps what two names have, if that is what has the inodes in ino a moment before: else
     * -ESTALE. ret: of what from, and to, have afterwards, whoever has put it there.
     */
    int (*exchange)(struct remote *r, const char *from, const char *to, const uint64_t ino[2],
                    struct remote_attr ret[2]);
    int (*setattr)(struct remote *r, const char *path, const struct remote_setattr *set,
                   struct remote_attr *ret);
    int (*statfs)(struct remote *r, const char *path, struct remote_statfs *ret);
    /* Appends stdout and stderr, as they came, to out. *ret_exit: 0-255; 125 could not be started.
     */
    int (*exec)(struct remote *r, const struct remote_exec *exec, struct buf *out, int *ret_exit);
    int (*apply)(struct remote *r, const struct remote_batch *batch, struct remote_applied *ret);
    int (*stage)(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret);
    int (*join)(struct remote *r, const struct remote_join *join, struct remote_joined *to);
    /* All of job.h. */
    int (*job)(struct remote *r, const struct remote_job_call *call, struct remote_job_answer *ret);
    void (*free)(struct remote *r); /* frees the remote that it wraps, too */
};

/* First member of every backend (plain, mem) and of every wrapper (trace, fault, limit, wake). */
struct remote {
    const struct remote_ops *ops;
};

/* Callers use these, never ops: they check arguments and turn a missing one into -EOPNOTSUPP. */
const char *remote_name(const struct remote *r);
int remote_info(struct remote *r, struct remote_info *ret);
int remote_stat(struct remote *r, const char *path, struct remote_attr *ret, char **ret_target);
int remote_list(struct remote *r, const char *path, unsigned depth, size_t max,
                struct remote_list *ret);
int remote_tree(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);
int remote_changes(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret);
int remote_fetch(struct remote *r, const char *path, const struct remote_attr *expect, uint64_t off,
                 uint64_t len, int fd, uint64_t *ret_len);
int remote_fetch_many(struct remote *r, const struct remote_many *many);
int remote_snapshot(struct remote *r, const char *path, size_t max, struct buf *out,
                    struct remote_attr *ret);
int remote_create(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret);
int remote_put(struct remote *r, const char *path, const struct remote_put *put,
               struct remote_attr *ret);
int remote_mkdir(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret);
int remote_symlink(struct remote *r, const char *target, const char *path, struct remote_attr *ret);
int remote_link(struct remote *r, const char *from, const char *to, struct remote_attr *ret);
int remote_unlink(struct remote *r, const char *path);
int remote_rmdir(struct remote *r, const char *path);
int remote_rename(struct remote *r, const char *from, const char *to, unsigned flags,
                  struct remote_attr *ret);
int remote_exchange(struct remote *r, const char *from, const char *to, const uint64_t ino[2],
                    struct remote_attr ret[2]);
int remote_setattr(struct remote *r, const char *path, const struct remote_setattr *set,
                   struct remote_attr *ret);
int remote_statfs(struct remote *r, const char *path, struct remote_statfs *ret);
int remote_exec(struct remote *r, const struct remote_exec *exec, struct buf *out, int *ret_exit);
struct remote *remote_free(struct remote *r); /* NULL is fine; returns NULL */

/*
 * Says of the calling thread whether somebody waits for what it asks from now on. For what is asked
 * in the background no sandbox is woken (-EHOSTDOWN instead), and it does not count as activity,
 * so that a sandbox that nobody uses may still stop by itself. Returns what was said before.
 */
bool remote_bind_background(bool background);
bool remote_in_background(void);

/*
 * The same of an answer that the caller can do without, since it only says whether what is known is
 * still true: no sandbox is woken for it (-EHOSTDOWN). It is activity like any other.
 */
bool remote_bind_optional(bool optional);
bool remote_is_optional(void);

#endif
