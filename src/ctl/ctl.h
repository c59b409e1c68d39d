/*
 * ctl.h - /.ctl: tables of files and verbs. No FUSE types.
 *
 * Files are found by name and numbered from CTL_ROOT up; CTL_ROOT is the directory itself. Names,
 * modes, functions and help are one row each. Nothing here blocks its caller: what has to wait is
 * parked, and done runs later on another thread.
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

#define CTL_ROOT (UINT64_C(1) << 62)

/* What the mount knows and can do. Each may be NULL: the file or verb is then not there. Text
 * functions append; start and stop may block and are called on a thread that may. */
struct ctl_host {
    int (*status)(void *arg, struct buf *out); /* lines ahead of fs_status */
    int (*config)(void *arg, struct buf *out); /* "option value" lines */
    int (*capabilities)(void *arg, struct buf *out);
    int (*stats)(void *arg, struct buf *out);
    int (*start)(void *arg); /* the sandbox's life cycle */
    int (*stop)(void *arg);
};

struct ctl_config {
    const char *name;  /* ".ctl"; shown in help */
    uint32_t uid, gid; /* owner of every file; modes give nothing to others */
    const struct ctl_host *host;
    void *host_arg;
    size_t output_max;     /* bytes of one answer; 0: 64 MiB */
    int64_t watch_wait_ns; /* how long one request waits for changes; 0: 25 s */
};

/* fs is borrowed and must outlive it; strings are copied. -ENOMEM. */
int ctl_new(const struct ctl_config *config, struct fs *fs, struct ctl **ret);
/* Ends every wait with -EINTR, frees the handles that are still open, cancels running questions and
 * joins their threads. No other function may be running or be called any more. */
struct ctl *ctl_free(struct ctl *ctl);

/* ---- the tables, for help and manual pages; no ctl is needed ---- */

int ctl_help_text(struct buf *out); /* what .ctl/help says when everything is there */

struct ctl_doc { /* static strings, none NULL */
    const char *name;
    mode_t mode;       /* files only */
    const char *kind;  /* "snapshot", "query", "stream", "verbs"; "verb" */
    const char *takes; /* "" nothing */
    const char *help;  /* one line */
};
/* The i-th file or verb; false past the last. */
bool ctl_doc_file(size_t i, struct ctl_doc *ret);
bool ctl_doc_verb(size_t i, struct ctl_doc *ret);

/* ---- names ---- */

int ctl_lookup(struct ctl *ctl, uint64_t dir, const char *name, struct stat *ret); /* -ENOENT */
int ctl_getattr(struct ctl *ctl, uint64_t ino, struct stat *ret);
/* The i-th listed entry of dir; -ENOENT past the last. */
int ctl_entry(struct ctl *ctl, uint64_t dir, size_t i, const char **ret_name, struct stat *ret);

/* ---- open files: their pages must not be cached (direct I/O), their size is not their length ----
 */

/* flags as in open(2); O_TRUNC and O_APPEND mean nothing. -EACCES, -EISDIR. pid is for errors. */
int ctl_open(struct ctl *ctl, uint64_t ino, int flags, pid_t pid, struct ctl_handle **ret);

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

/* A descriptor was closed: asks what is pending. Before close(2) is answered, so that whoever opens
 * the file next finds the question asked. */
void ctl_flush(struct ctl_handle *h);
void ctl_release(struct ctl_handle *h); /* the last one: frees it; no read or write waits by then */

#endif
