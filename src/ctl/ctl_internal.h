/* ctl_internal.h - what the files of this layer share. row.h says what a file or directory is. */
#ifndef CTL_CTL_INTERNAL_H
#define CTL_CTL_INTERNAL_H

#include "ctl/ctl.h"
#include "ctl/row.h"
#include "ctl/spool.h"
#include "ctl/talk.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/keyedhash.h"
#include "util/lock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <utlist.h>

/*
 * Lock order: ctl.lock, then sessions.lock, or whatever cancel_fire takes. No function of fs, of
 * the host or of a row and no callback runs with ctl.lock held, except fs_sandbox_path,
 * fs_mount_path and fs_watch_new, which only compute, and ctl_dir.release.
 */

enum {
    RUNNING_MAX = 256,          /* threads at a time: questions, verbs, watched paths */
    QUESTION_MAX = 1024 * 1024, /* bytes of a script */
    PATH_QUESTION_MAX = 8192,   /* bytes of a question that is a path */
    TEXT_MAX = 64 * 1024,       /* of one whose row does not say */
    WHY_MAX = 64 * 1024,        /* bytes of a reason */
    LAST_MAX = 32,              /* answers kept for files within entries */
    SNAPSHOT_MAX = 4 * 1024 * 1024,
    OUTPUT_MAX = 64 * 1024 * 1024,
    EXIT_NOT_RUN = 125,     /* as docker and env have it: the command could not be run */
    EXIT_INTERRUPTED = 130, /* as a shell has it after Ctrl-C */
};

/* Nothing is heard of a request that waits: with a longer one, what is between takes it for dead.
 */
#define WATCH_WAIT_NS (25 * NS_PER_S)

struct answer;
struct task;
struct work;

/* ---- names (names.c) ---- */

/* What a name stands for, as long as somebody uses it. Guarded by ctl.lock: refs, children, last,
 * named, kept. What is not guarded never changes. */
struct ctl_node {
    uint64_t ino; /* never used again */
    const struct ctl_row *row;
    struct ctl_node *parent; /* counted; NULL: the root */
    char *name;              /* owned */
    void *obj;               /* of the nearest entry; that one owns it */
    uint64_t id;             /* ctl_entry.id */
    bool entry;              /* was found or made, not a row of its parent */
    bool within;             /* it is an entry, or below one */
    bool named;              /* is in its parent's children */
    bool kept;               /* is in ctl.kept */
    void (*release)(void *obj);
    uint64_t refs;
    struct ctl_node *children;    /* by name */
    struct answer *last;          /* queries: what the last write-only handle asked */
    struct ctl_node *prev, *next; /* ctl.kept */
    UT_hash_handle by_ino, by_name;
};

int ctl_nodes_init(struct ctl *ctl);
void ctl_nodes_free(struct ctl *ctl); /* takes what is half made; no thread is left */
int ctl_node_of(struct ctl *ctl, uint64_t ino, struct ctl_node **ret); /* counted; -ENOENT */
struct ctl_node *ctl_node_ref_locked(struct ctl_node *n);
void ctl_node_unref_locked(struct ctl *ctl, struct ctl_node *n); /* takes NULL */
void ctl_node_unref(struct ctl *ctl, struct ctl_node *n);        /* takes NULL */
/* One with a reference and no name, for what ctl_row.open gave; takes entry's object over, also
 * when it returns NULL: without memory. */
struct ctl_node *ctl_node_nameless(struct ctl *ctl, struct ctl_node *from,
                                   const struct ctl_entry *entry);
int ctl_node_path(const struct ctl_node *n, struct buf *out); /* "/jobs/1/cmd" */
void ctl_node_set_last_locked(struct ctl *ctl, struct ctl_node *n, struct answer *a);

/* table.c */
extern const struct ctl_row ctl_root_row;
bool ctl_has(const struct ctl *ctl, size_t needs); /* ctl NULL: there is everything */
int ctl_help_verbs(const struct ctl *ctl, const struct ctl_verb *verbs, struct buf *out);
int ctl_help(const struct ctl *ctl, struct buf *out); /* ctl NULL: everything there can be */

/* ---- open files ---- */

/* The answer to one question that ends. Guarded by ctl.lock, except text. */
struct answer {
    unsigned refs;
    struct ctl_node *node; /* counted */
    char *text;            /* the question; never changes */
    size_t len;
    pid_t pid;
    struct cancel *cancel;
    bool done;
    bool shared;    /* asked by a write-only handle: the next reader wants it */
    bool waited;    /* somebody read or polled for it */
    struct buf out; /* what follows is final once done is true */
    int err;        /* what a reader gets after out; 0: end of file */
};

/* A read, write or poll that could not be answered at once. In its handle's list; ctl.lock. */
enum wait_kind { WAIT_READ, WAIT_WRITE, WAIT_ARMED, WAIT_WORK, WAIT_POLL };

struct wait {
    struct wait *prev, *next;
    enum wait_kind kind;
    uint64_t off;
    size_t size;
    char *data; /* to be written, or what was read; owned */
    ssize_t r;
    unsigned events;                        /* WAIT_POLL: as they were told */
    struct work *work;                      /* WAIT_WORK; borrowed, it knows this wait */
    ctl_done done;                          /* WAIT_POLL: NULL */
    void (*ready)(void *arg, bool changed); /* changed unless r is -ECANCELED */
    void *arg;
};

struct feed;

/* One handle's place at a feed. Guarded by ctl.lock. */
struct watcher {
    struct watcher *prev, *next;
    struct feed *feed; /* NULL once err is set */
    pid_t pid;
    struct spool spool;
    bool resumes; /* what happened after line since is to be told, too */
    uint64_t since;
    bool wanted; /* the scan that arms it has begun */
    bool armed;  /* what happens from now on will be told */
    int err;     /* it could not be armed */
};

/* Bytes on their way from a thread to one handle. Guarded by ctl.lock. */
struct ctl_flow {
    unsigned refs;
    struct ctl *ctl;
    struct ctl_node *node; /* counted */
    pid_t pid;
    struct cancel *cancel;
    struct buf kept;     /* what was not read, or may be read again */
    uint64_t first;      /* the offset of its first byte */
    pthread_cond_t room; /* there is room, or the reader has gone */
    bool gone;
    bool ended; /* what follows is final */
    int err;    /* what a reader gets after kept; 0: end of file */
};

struct ctl_handle {
    struct ctl_handle *prev, *next;
    struct ctl *ctl;
    struct ctl_node *node;     /* counted */
    const struct ctl_row *row; /* its */
    bool reads, writes;
    pid_t pid;
    struct buf text; /* what show gave: never changes */
    /* What follows: ctl.lock. */
    struct talk talk;        /* texts: what was written and is not stored */
    struct answer *answer;   /* to what was asked last through this handle, or attached at open */
    struct watcher *watcher; /* streams: the same; owned */
    struct ctl_flow *flow;   /* counted; NULL before the first read */
    struct wait *waits;
};

struct ctl {
    char *name;
    uint32_t uid, gid;
    const struct ctl_row *root;
    struct ctl_host host;
    void *host_arg;
    size_t output_max;
    int64_t watch_wait_ns;
    struct fs *fs;
    struct timespec born; /* the files' times */

    struct lock lock; /* guards what follows */
    struct ctl_handle *handles;
    struct task *tasks;
    unsigned running;
    struct ctl_node *nodes; /* by number */
    uint64_t next_ino;
    struct ctl_node *kept; /* those within entries that have a last answer, the oldest first */
    unsigned kept_count;
    char *watch_text; /* what the last write-only handle asked of watch, until a reader comes */
    size_t watch_len;
    struct jobs *jobs;              /* never changes */
    struct sessions *sessions;      /* never changes */
    struct feed *feeds;             /* one for each path; the longest at rest first */
    atomic_uint_fast64_t watch_seq; /* of the last line any of them told; no lock */
    int exit_code;                  /* -1: nothing was run */
    int64_t box_until_ns;           /* what the SDK knows of the sandbox is fresh until then */
    bool closing;
};

/* What is to be done once ctl.lock is dropped. */
struct later {
    struct wait *finished;
    struct {
        int err; /* 0: nothing to report */
        const struct ctl_node *node;
        pid_t pid;
        const char *sentence;
    } report;
};
void ctl_later_run(struct ctl *ctl, struct later *later);

/* ctl.c */
void ctl_report(struct ctl *ctl, const struct ctl_node *node, pid_t pid, int err, const char *fmt,
                ...) __attribute__((format(printf, 5, 6)));
/* why empty: says what err means. */
void ctl_report_why(struct ctl *ctl, const struct ctl_node *node, pid_t pid, int err,
                    const struct buf *why);
/* Answers whatever of every handle's waits can be answered. Call it after each change. */
void ctl_settle_locked(struct ctl *ctl, struct later *later);
void ctl_wait_finish_locked(struct ctl_handle *h, struct wait *w, ssize_t r, struct later *later);

/* task.c: a thread; fn runs with cancel (one reference is taken) bound. -EAGAIN: too many. */
int task_start_locked(struct ctl *ctl, void (*fn)(struct ctl *ctl, void *arg), void *arg,
                      struct cancel *cancel);
void task_end_all(struct ctl *ctl); /* fires every cancel, joins every thread; without the lock */

/* ask.c */
void answer_unref_locked(struct ctl *ctl, struct answer *a); /* takes NULL */
struct answer *answer_ref_locked(struct answer *a);
/* Always an answer, one that is done at once if it could not be asked; NULL without memory. */
struct answer *answer_ask_locked(struct ctl *ctl, struct ctl_node *node, const char *text,
                                 size_t len, pid_t pid, bool shared, struct later *later);

int ask_run(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
            struct buf *why);
int ask_exists(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
               struct buf *why);
/* The sandbox's path that a question of one path means, a new string. */
int ctl_path_asked(struct ctl *ctl, const char *text, size_t len, char **ret, struct buf *why);

/* work.c: a read or write that a thread answers */
struct work {
    struct ctl_handle *handle; /* valid while wait is set; ctl.lock */
    struct wait *wait;         /* who is told; NULL once it was interrupted; ctl.lock */
    struct cancel *cancel;
    struct ctl_node *node; /* counted */
    pid_t pid;
    char *data; /* owned; what was written, or NULL */
    size_t n;   /* bytes of data, or to be read from off */
    uint64_t off;
    /* Bytes, or -errno and perhaps why. out: what was read. */
    ssize_t (*run)(struct ctl *ctl, struct work *work, struct buf *out, struct buf *why);
};
/* w tells where to read; takes data over. */
void work_start_locked(struct ctl_handle *h, struct wait *w, char *data, size_t n,
                       struct later *later);
void work_abandon_locked(struct work *work); /* its wait is gone */

/* table.c: sends what is pending at and below a path in the sandbox; why lists what is left. */
int ctl_sync(struct ctl *ctl, const char *path, struct buf *why);
/* The same before something is started in the sandbox: fs_barrier. */
int ctl_barrier(struct fs *fs, struct buf *why);
/* What is not sent, as a sentence: left is of fs_exec, which gave err. */
void ctl_barrier_why(struct buf *why, int err, const struct buf *left);

/* verbs.c: carries out lines */
ssize_t verbs_run(struct ctl *ctl, struct work *work, struct buf *out, struct buf *why);

/* flow.c: NULL without memory; else err is set if it could not be begun. */
struct ctl_flow *flow_new_locked(struct ctl *ctl, struct ctl_node *node, pid_t pid);
void flow_leave_locked(struct ctl_flow *f); /* its reader has gone; takes NULL */
/* Bytes in *ret, 0: there are none yet, unless it has ended. */
ssize_t flow_read_locked(struct ctl_flow *f, uint64_t off, size_t size, char **ret);

/* feed.c */
/* A watcher that is armed later, or has err set. NULL without memory. */
struct watcher *watcher_new_locked(struct ctl *ctl, const struct ctl_node *node, const char *text,
                                   size_t len, pid_t pid, struct later *later);
void watcher_free_locked(struct ctl *ctl, struct watcher *w); /* takes NULL */
void feeds_free(struct ctl *ctl);                             /* when no thread is left */

#endif
