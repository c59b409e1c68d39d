/* ctl_internal.h - what the files of this layer share. */
#ifndef CTL_CTL_INTERNAL_H
#define CTL_CTL_INTERNAL_H

#include "ctl/ctl.h"
#include "ctl/spool.h"
#include "ctl/talk.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/lock.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * Lock order: ctl.lock, then whatever cancel_fire takes. No function of fs or of the host and no
 * callback runs with ctl.lock held, except fs_sandbox_path, fs_mount_path and fs_watch_new, which
 * only compute.
 */

enum {
    RUNNING_MAX = 256,          /* threads at a time: questions, verbs, watched paths */
    QUESTION_MAX = 1024 * 1024, /* bytes of a script */
    PATH_QUESTION_MAX = 8192,   /* bytes of a question that is a path */
    SNAPSHOT_MAX = 4 * 1024 * 1024,
    OUTPUT_MAX = 64 * 1024 * 1024,
    EXIT_NOT_RUN = 125,     /* as docker and env have it: the command could not be run */
    EXIT_INTERRUPTED = 130, /* as a shell has it after Ctrl-C */
};

/* Nothing is heard of a request that waits: with a longer one, what is between takes it for dead.
 */
#define WATCH_WAIT_NS (25 * NS_PER_S)

/* SNAPSHOT: text made at open. VERBS: lines that are carried out. QUERY: a question and its answer.
 * STREAM: a question and an answer that does not end. */
enum ctl_kind { CTL_SNAPSHOT, CTL_VERBS, CTL_QUERY, CTL_STREAM };

struct answer;

struct ctl_file {
    const char *name;
    mode_t mode;
    enum ctl_kind kind;
    size_t needs; /* offset in ctl_host of the function it stands on, or NEEDS_NOTHING */
    /* Snapshots: appends the text. Must not wait. */
    int (*show)(struct ctl *ctl, struct buf *out);
    /* Queries: answers q, on a thread that may wait. Reports its own failure. */
    int (*ask)(struct ctl *ctl, const char *text, size_t len, pid_t pid, struct buf *out);
    size_t question_max; /* bytes */
    const char *takes;   /* what is written to it; NULL: nothing */
    const char *help;
    const char *example;
};

struct ctl_verb {
    const char *name;
    const char *takes; /* "" nothing, "PATH", "[PATH]" */
    size_t needs;
    /* path: in the sandbox, NULL when none was given. May wait. A failure is told in why. */
    int (*run)(struct ctl *ctl, const char *path, struct buf *why);
    const char *help;
};

#define NEEDS_NOTHING SIZE_MAX
#define NEEDS(member) offsetof(struct ctl_host, member)

/* table.c */
extern const struct ctl_file ctl_files[];
extern const size_t ctl_file_count;
extern const struct ctl_verb ctl_verbs[];
extern const size_t ctl_verb_count;
const struct ctl_file *ctl_file_named(const char *name); /* NULL: no such row */
bool ctl_has(const struct ctl *ctl, size_t needs);
int ctl_help(const struct ctl *ctl, struct buf *out); /* ctl NULL: everything there can be */

/* One thread that may wait. */
struct task;

/* The answer to one question that ends. Guarded by ctl.lock, except text. */
struct answer {
    unsigned refs;
    const struct ctl_file *file;
    char *text; /* the question; never changes */
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
enum wait_kind { WAIT_READ, WAIT_WRITE, WAIT_ARMED, WAIT_VERBS, WAIT_POLL };

struct wait {
    struct wait *prev, *next;
    enum wait_kind kind;
    uint64_t off;
    size_t size;
    char *data; /* to be written, or what was read; owned */
    ssize_t r;
    unsigned events;                        /* WAIT_POLL: as they were told */
    struct verb_call *verbs;                /* WAIT_VERBS; borrowed, it knows this wait */
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

struct ctl_handle {
    struct ctl_handle *prev, *next;
    struct ctl *ctl;
    const struct ctl_file *file;
    bool reads, writes;
    pid_t pid;
    struct buf text; /* snapshots: never changes */
    /* What follows: ctl.lock. */
    struct talk talk;
    struct answer *answer;   /* to what was asked last through this handle, or attached at open */
    struct watcher *watcher; /* streams: the same; owned */
    struct wait *waits;
};

struct ctl {
    char *name;
    uint32_t uid, gid;
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
    struct answer **last; /* for each file: what the last write-only handle asked */
    char *watch_text;     /* the same for watch, as long as no reader came */
    size_t watch_len;
    struct feed *feeds;             /* one for each path; the longest at rest first */
    atomic_uint_fast64_t watch_seq; /* of the last line any of them told; no lock */
    int exit_code;                  /* -1: nothing was run */
    bool closing;
};

/* What is to be done once ctl.lock is dropped. */
struct later {
    struct wait *finished;
    struct {
        int err; /* 0: nothing to report */
        const struct ctl_file *file;
        pid_t pid;
        const char *sentence;
    } report;
};
void ctl_later_run(struct ctl *ctl, struct later *later);

/* ctl.c */
void ctl_report(struct ctl *ctl, const struct ctl_file *file, pid_t pid, int err, const char *fmt,
                ...) __attribute__((format(printf, 5, 6)));
/* Answers whatever of every handle's waits can be answered. Call it after each change. */
void ctl_settle_locked(struct ctl *ctl, struct later *later);
void ctl_wait_finish_locked(struct ctl_handle *h, struct wait *w, ssize_t r, struct later *later);

/* task.c: a thread; fn runs with cancel (one reference is taken) bound. -EAGAIN: too many. */
int task_start_locked(struct ctl *ctl, void (*fn)(struct ctl *ctl, void *arg), void *arg,
                      struct cancel *cancel);
void task_end_all(struct ctl *ctl); /* fires every cancel, joins every thread; without the lock */

/* ask.c */
void answer_unref_locked(struct answer *a); /* takes NULL */
struct answer *answer_ref_locked(struct answer *a);
/* Always an answer, one that is done at once if it could not be asked; NULL without memory. */
struct answer *answer_ask_locked(struct ctl *ctl, const struct ctl_file *file, const char *text,
                                 size_t len, pid_t pid, bool shared, struct later *later);
int ask_run(struct ctl *ctl, const char *text, size_t len, pid_t pid, struct buf *out);
int ask_exists(struct ctl *ctl, const char *text, size_t len, pid_t pid, struct buf *out);

/* verbs.c: carries out the lines in data, of which w is told; takes data over. */
void verbs_start_locked(struct ctl_handle *h, struct wait *w, char *data, size_t n,
                        struct later *later);
void verbs_abandon_locked(struct verb_call *call); /* its wait is gone */

/* feed.c */
/* A watcher that is armed later, or has err set. NULL without memory. */
struct watcher *watcher_new_locked(struct ctl *ctl, const char *text, size_t len, pid_t pid,
                                   struct later *later);
void watcher_free_locked(struct ctl *ctl, struct watcher *w); /* takes NULL */
void feeds_free(struct ctl *ctl);                             /* when no thread is left */

#endif
