/*
 * row.h - what a file or directory below /.ctl is: a row of a table.
 *
 * The kind of a row says what reading and writing mean, its functions do the rest. A directory has
 * rows of its own, entries that come and go, or both. What is below an entry gets the entry's
 * object. A directory of jobs, say, where each job is a directory of two files:
 *
 *     static int job_find(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
 *     {
 *         struct job *job = job_named(ctl, name); (counted)
 *
 *         if (!job)
 *             return -ENOENT;
 *         *ret = (struct ctl_entry){.row = &job_row, .obj = job, .id = job->number};
 *         return 0;
 *     }
 *     static int job_status(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
 *     {
 *         return buf_printf(out, "%s\n", job_state(obj));
 *     }
 *     static const struct ctl_row job_rows[] = {
 *         {.name = "status", .mode = 0400, .kind = CTL_SNAPSHOT, .show = job_status, .help =
 * "..."},
 *         {.name = "follow", .mode = 0400, .kind = CTL_FLOW, .unlisted = true, .flow = job_follow,
 *          .help = "..."},
 *         {.name = NULL},
 *     };
 *     static const struct ctl_row job_row = {.mode = 0700, .kind = CTL_DIR, .rows = job_rows};
 *     const struct ctl_dir jobs_dir = {.entry = &job_row, .takes = "NAME", .find = job_find,
 *         .list = job_list, .make = job_make, .remove = job_remove, .release = job_release};
 *
 * and in table.c
 *
 *     {.name = "jobs", .mode = 0700, .kind = CTL_DIR, .waits = true, .dir = &jobs_dir, ...},
 *
 * What the functions may rely on:
 *   - None runs with a lock held, but release does with ctl.lock. Those of a row that `waits`, and
 *     ask, put, flow, make and remove of any, run on a thread that may wait, with a cancel bound
 *     that fires when whoever asked was interrupted or has gone; then end with -EINTR. The others
 *     run in a thread of libfuse and must not wait for anything.
 *   - Any may run on many threads at once, for one object, too. The object lives that long.
 *   - obj is that of the nearest entry above, or of the entry itself; outside of any the row's own.
 *   - Results are 0 or -errno. why takes a sentence (no newline) about a failure, which errors then
 *     shows with the file's path; left empty, it shows the errno's own.
 *   - Nothing stops a name that was found from being gone when it is used.
 */
#ifndef CTL_ROW_H
#define CTL_ROW_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define NEEDS(member) offsetof(struct ctl_host, member)

struct ctl;
struct ctl_flow;
struct ctl_list;
struct ctl_row;

/* clang-format off */
enum ctl_kind {
    CTL_SNAPSHOT, /* read: text made at open (show) */
    CTL_TEXT,     /* the same; what is written between open and close is taken whole (store) */
    CTL_VERBS,    /* each line that is written is carried out (verbs); read: show, if any */
    CTL_QUERY,    /* what is written is a question (ask), what is read the answer */
    CTL_STREAM,   /* the same without an end: watch */
    CTL_LIVE,     /* read: bytes at an offset, as they are now (pread, stat) */
    CTL_FLOW,     /* read: bytes as they come, from the first on (flow); waits until the end */
    CTL_SINK,     /* each write is passed on (put); read: nothing */
    CTL_DIR,
};
/* clang-format on */

struct ctl_verb {
    const char *name;  /* NULL ends a table */
    const char *takes; /* its arguments, as help shows them; "" none */
    int min, max;      /* how many; max < 0: any number */
    size_t needs;      /* as in a row */
    /* v: count arguments, without the verb. May wait. */
    int (*run)(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
    const char *help;
};

/* What find and make give: an entry of a directory. */
struct ctl_entry {
    const struct ctl_row *row; /* static; its name is not used */
    void *obj;                 /* handed over: release is called for it, once */
    /* Another thing of the same name has another id. With the same id (and row) the object that was
     * given before stays, and this one is released. */
    uint64_t id;
};

/* Entries that come and go. owner: the object that the directory itself gets. */
struct ctl_dir {
    const struct ctl_row *entry; /* for help: what most of them are; NULL: nothing to tell */
    const char *takes;           /* for help: what stands for their names, "NAME" */
    /* name has no slash, is neither "." nor "..", and at most 255 bytes long. -ENOENT. */
    int (*find)(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret);
    int (*list)(struct ctl *ctl, void *owner, struct ctl_list *list);
    /* mkdir. NULL: -EPERM. */
    int (*make)(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret,
                struct buf *why);
    /* rmdir, or unlink of an entry that is a file. NULL: within another entry nothing happens and
     * that is a success, so that rm -r works; elsewhere -EPERM. */
    int (*remove)(struct ctl *ctl, void *obj, struct buf *why);
    /* With ctl.lock held: it only counts down or frees. NULL: nothing to do. */
    void (*release)(void *obj);
};

/* Appends an entry. A name that could not be one, comes twice, or hides a row is left out. -ENOMEM.
 */
int ctl_list_add(struct ctl_list *list, const char *name, const struct ctl_row *row);

struct ctl_row {
    const char *name; /* NULL ends a table */
    mode_t mode;      /* permission bits, the owner's. What cannot be read stops cp -a and tar */
    enum ctl_kind kind;
    bool waits;    /* its functions (and those of dir) ask the network */
    bool unlisted; /* is found by name, but not listed */
    size_t needs;  /* NEEDS(a function of ctl_host) without which the row is not there; 0: none */
    int (*show)(struct ctl *ctl, void *obj, struct buf *out, struct buf *why);
    int (*store)(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *why);
    int (*ask)(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
               struct buf *why);
    /* Appends up to size bytes from off; none: the end. out takes no more than size. */
    int (*pread)(struct ctl *ctl, void *obj, uint64_t off, size_t size, struct buf *out,
                 struct buf *why);
    int (*flow)(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why);
    int (*put)(struct ctl *ctl, void *obj, const char *data, size_t len, struct buf *why);
    /* Optional: changes st_size, st_mtim, st_mode's permissions. Without it the size is 0, as in
     * /proc, or that of the last answer. */
    int (*stat)(struct ctl *ctl, void *obj, struct stat *st);
    /* Optional: what is opened for reading and writing is another file, which nobody can name yet
     * (jobs/clone). May wait. The entry is released at close. Otherwise it is the file it is, so
     * that whoever only walks by makes nothing. */
    int (*open)(struct ctl *ctl, void *obj, struct ctl_entry *ret, struct buf *why);
    const struct ctl_verb *verbs;
    const struct ctl_row *rows; /* CTL_DIR: these are always there */
    const struct ctl_dir *dir;  /* CTL_DIR: these come and go */
    size_t question_max;        /* bytes of a question or text; 0: 64 KiB */
    const void *obj;            /* what functions get outside of any entry, instead of NULL */
    const char *takes;          /* what is written to it; NULL: nothing */
    const char *help;           /* one line; NULL: the row is not told of */
    const char *example;        /* $ stands for the directory of control files; or NULL */
};

/* The rows by which one follows what prints: a job, a command of a session. */
/* clang-format off */
#define CTL_FOLLOW_ROW(row_name, row_flow, row_help) \
    {.name = (row_name), .mode = 0400, .kind = CTL_FLOW, .unlisted = true, .flow = (row_flow), \
     .help = (row_help)}
#define CTL_FOLLOW_ROWS(both, out, err) \
    CTL_FOLLOW_ROW("follow", both, "stdout and stderr as they come, until it has ended"), \
    CTL_FOLLOW_ROW("follow.stdout", out, "the same of its stdout alone"), \
    CTL_FOLLOW_ROW("follow.stderr", err, "the same of its stderr alone")
/* clang-format on */

/* Passes on what came. Waits while the reader is slow. -EINTR: he has gone, and so should flow. */
int ctl_flow_put(struct ctl_flow *flow, const void *p, size_t n);

#endif
