/*
 * ctl.h - /.ctl: tables of files and verbs. No FUSE types.
 *
 * Files are found by name and numbered from CTL_ROOT up; CTL_ROOT is the directory itself. Names,
 * modes, functions and help are one row each. Reads and writes never block their caller: what has
 * to wait is parked, and done runs later on another thread.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "fs/fs.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct ctl;
struct ctl_handle;
struct ctl_row;
struct daytona_sandbox;

#define CTL_ROOT (UINT64_C(1) << 62)

/* What the mount knows and can do. Each may be NULL: the file or verb is then not there. Text
 * functions append; start and stop may block and are called on a thread that may. */
struct ctl_host {
    int (*status)(void *arg, struct buf *out); /* lines ahead of fs_status */
    int (*config)(void *arg, struct buf *out); /* "option value" lines */
    int (*capabilities)(void *arg, struct buf *out);
    int (*stats)(void *arg, struct buf *out);
    int (*trace)(void *arg, struct buf *out); /* the last calls, a line each */
    void (*set_trace)(void *arg, bool on);
    /* The sandbox's life cycle; each waits for its end. What went wrong is in the SDK's last error.
     */
    int (*start)(void *arg);
    int (*stop)(void *arg);
    int (*archive)(void *arg); /* stops it first */
    int (*recover)(void *arg);
    int (*destroy)(void *arg);
    /* Ends the pause after which a sandbox out of reach is tried again, and tries now. */
    int (*retry)(void *arg);
    struct daytona_sandbox *sandbox; /* borrowed; what files that stand for the SDK's calls use */
};

struct ctl_config {
    const char *name;  /* ".ctl"; shown in help */
    uint32_t uid, gid; /* owner of every file; modes give nothing to others */
    const struct ctl_host *host;
    void *host_arg;
    const struct ctl_row *root; /* NULL: the files that there are; others for tests */
    size_t output_max;          /* bytes of one answer; 0: 64 MiB */
    int64_t watch_wait_ns;      /* how long one request waits for changes; 0: 25 s */
};

/* fs is borrowed and must outlive it; strings are copied. -ENOMEM. */
int ctl_new(const struct ctl_config *config, struct fs *fs, struct ctl **ret);
/* Ends every wait with -EINTR, frees the handles that are still open, cancels running questions and
 * joins their threads. No other function may be running or be called any more. */
struct ctl *ctl_free(struct ctl *ctl);

/* Does a job run that this mount knows of? May ask the sandbox about those it believes to run. */
bool ctl_busy(struct ctl *ctl);

/* ---- the tables, for help and manual pages; no ctl is needed ---- */

int ctl_help_text(struct buf *out); /* what .ctl/help says when everything is there */

enum { CTL_DOC_NAME_MAX = 96 };

struct ctl_doc {                 /* static strings, none NULL */
    char name[CTL_DOC_NAME_MAX]; /* "sandbox/", "sandbox/id", "sync" */
    char file[CTL_DOC_NAME_MAX]; /* verbs only: where they are written */
    mode_t mode;                 /* files only */
    const char *kind;            /* "snapshot", "directory" …; "verb" */
    const char *takes;           /* "" nothing */
    const char *help;            /* one line */
};
/* The i-th file or verb; false past the last. */
bool ctl_doc_file(size_t i, struct ctl_doc *ret);
bool ctl_doc_verb(size_t i, struct ctl_doc *ret);
/* The i-th state a sandbox can be in: name and help. */
bool ctl_doc_state(size_t i, struct ctl_doc *ret);

/*
 * A plain name may ask the network and ends with -EINTR when the bound cancel fires; the same name
 * with _cached never waits and returns -EAGAIN when it would have to: then call the plain one on a
 * thread that may.
 *
 * ---- names ----
 *
 * What is looked up or made keeps its number until ctl_forget gave back each reference that was
 * counted, and no number is used twice. CTL_ROOT is always there and is not counted.
 */
int ctl_lookup(struct ctl *ctl, uint64_t dir, const char *name, struct stat *ret); /* counted */
int ctl_lookup_cached(struct ctl *ctl, uint64_t dir, const char *name, struct stat *ret);
void ctl_forget(struct ctl *ctl, uint64_t ino, uint64_t count);
int ctl_getattr(struct ctl *ctl, uint64_t ino, struct stat *ret);
int ctl_getattr_cached(struct ctl *ctl, uint64_t ino, struct stat *ret);

/* -EPERM: nothing can be made or removed there. pid is for errors. All may wait. */
int ctl_mkdir(struct ctl *ctl, uint64_t dir, const char *name, pid_t pid,
              struct stat *ret); /* counted */
int ctl_rmdir(struct ctl *ctl, uint64_t dir, const char *name, pid_t pid);
int ctl_unlink(struct ctl *ctl, uint64_t dir, const char *name, pid_t pid);

struct ctl_list; /* an open directory; one thread at a time */

int ctl_opendir(struct ctl *ctl, uint64_t ino, struct ctl_list **ret);
void ctl_closedir(struct ctl_list *list);
/* Makes the listing, again if there was one. */
int ctl_list(struct ctl_list *list);
int ctl_list_cached(struct ctl_list *list);
uint64_t ctl_list_parent(const struct ctl_list *list); /* 0: it is the root */
/* The i-th entry; -ENOENT past the last. Of *ret only the type and the number count; no reference
 * is. The name lives until the list is made again or closed. */
int ctl_entry(struct ctl_list *list, size_t i, const char **ret_name, struct stat *ret);

/* ---- open files: their pages must not be cached (direct I/O), their size is not their length ----
 */

/* flags as in open(2); O_TRUNC and O_APPEND mean nothing. -EACCES, -EISDIR. pid is for errors. */
int ctl_open(struct ctl *ctl, uint64_t ino, int flags, pid_t pid, struct ctl_handle **ret);
int ctl_open_cached(struct ctl *ctl, uint64_t ino, int flags, pid_t pid, struct ctl_handle **ret);

/* Runs exactly once, perhaps before the function that was given it returns. r: bytes or -errno;
 * data is borrowed for the call. */
typedef void (*ctl_done)(void *arg, ssize_t r, const void *data);

void ctl_read(struct ctl_handle *h, uint64_t off, size_t size, ctl_done done, void *arg);
/* data is copied. A bad line makes r -errno after the lines before it were carried out. */
void ctl_write(struct ctl_handle *h, uint64_t off, const void *data, size_t n, ctl_done done,
               void *arg);
/* Ends the wait that was given arg with -EINTR, if it still waits. Not from within a done. */
void ctl_interrupt(struct ctl_handle *h, void *arg);

/*
 * *ret_events: POLLIN, POLLOUT … as of now. ready(arg, true) runs once when that changes, or when
 * the handle is released. At most one is armed: a new one replaces it, and the old one gets (arg,
 * false), which must not wake anybody. Who is woken asks again, and would replace, and wake, for
 * ever.
 */
void ctl_poll(struct ctl_handle *h, unsigned *ret_events, void (*ready)(void *arg, bool changed),
              void *arg);

/* A descriptor was closed: asks, or stores, what is pending. Before close(2) is answered, so that
 * whoever opens the file next finds the question asked. */
int ctl_flush(struct ctl_handle *h);
int ctl_flush_cached(struct ctl_handle *h);
void ctl_release(struct ctl_handle *h); /* the last one: frees it; no read or write waits by then */

#endif
