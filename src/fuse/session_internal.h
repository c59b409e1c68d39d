/*
 * session_internal.h - what the ops share.
 *
 * Lock order, outermost first: libfuse's request lock, interrupts.lock; slow.lock, a cancel's lock.
 * session.lock is a leaf. No lock is held across a call into fs or ctl.
 *
 * The life of a request: an op answers it in place, or makes it a call (slow) or a parked one
 * (.ctl). From then on it belongs to that, which may be gone when the op's last function returns.
 * Every answer goes through a reply_ function: they are where the sign of an error flips.
 */
#ifndef FUSE_SESSION_INTERNAL_H
#define FUSE_SESSION_INTERNAL_H

#include "fuse/interrupt.h"
#include "fuse/session.h"
#include "fuse/slow.h"
#include "util/lock.h"

#include <fuse_lowlevel.h>
#include <pthread.h>

struct session {
    struct fs *fs;   /* these as in session_config */
    struct ctl *ctl; /* NULL: no control files */
    const char *ctl_name;
    const char *ctl_link; /* NULL: none */
    struct notify *notify;
    struct fuse_session *fuse; /* these live as long as the session */
    struct slow *slow;
    struct interrupts *interrupts;
    bool mounted;
    atomic_bool initializing; /* the next answer is that to INIT; see mappable.h */
    bool expire; /* the kernel can be told to ask again; else it may not keep names. Set by init */
    struct lock lock;       /* guards what follows */
    struct handle *handles; /* all there are */
    struct parked *parked;  /* those whose answer is not given */
    size_t parked_count;    /* those whose memory is there */
    bool closing;           /* nothing new may wait */
    bool exiting, looping;
    pthread_t loop_thread; /* while looping */
};

/* ---- handles: what fuse_file_info.fh points to ---- */

enum handle_kind { HANDLE_FILE, HANDLE_DIR, HANDLE_CTL, HANDLE_CTL_DIR };

struct handle {
    struct session *session;
    atomic_uint refs; /* the kernel's, and one for each request at work on it */
    enum handle_kind kind;
    bool root; /* HANDLE_DIR: of the root */
    union {
        struct fs_file *file;
        struct fs_dir *dir;
        struct ctl_handle *ctl;
        struct ctl_list *list;
    };
    struct handle *prev, *next; /* session.lock */
};

/* NULL without memory; then what it should hold is still the caller's. */
struct handle *handle_new(struct session *s, enum handle_kind kind);
struct handle *handle_ref(struct handle *h);   /* takes NULL */
struct handle *handle_unref(struct handle *h); /* the last one releases what it holds; NULL */
struct handle *handle_of(const struct fuse_file_info *fi); /* NULL: none */
struct fs_file *handle_file(const struct handle *h);       /* NULL unless it is one */

/* ---- calls: requests that wait in a slow thread ---- */

struct call {
    struct slow_job job; /* first */
    struct waiter waiter;
    struct session *session;
    fuse_req_t req;
    void (*fn)(struct call *c); /* answers req */
    /* What the op decoded; what is not used is 0. Strings and data are copied. */
    uint64_t ino, ino2, off;
    size_t size;
    int flags;
    unsigned mask;
    mode_t mode;
    struct handle *handle; /* counted */
    struct stat st;
    struct fuse_file_info fi;
    const char *name, *name2;
    const void *data; /* size bytes */
};

bool session_closing(struct session *s);

/* Answers req itself if that cannot be done. */
void call_slow(fuse_req_t req, enum slow_lane lane, void (*fn)(struct call *c),
               const struct call *args);

/* ---- answers: each ends the request ---- */

/* After it libfuse neither is nor will be in the request's interrupt function. The others call it.
 */
void req_settle(fuse_req_t req);
void reply_err(fuse_req_t req, int r);
void reply_entry(fuse_req_t req, struct session *s, int r, const struct fs_entry *e);
void reply_attr(fuse_req_t req, int r, const struct fs_entry *e);
void reply_data(fuse_req_t req, ssize_t r, const void *data);
void reply_count(fuse_req_t req, ssize_t r);
/* h holds what was opened; if the caller is gone it is released. */
void reply_open(fuse_req_t req, struct handle *h, struct fuse_file_info *fi);
void reply_create(fuse_req_t req, const struct fs_entry *e, struct handle *h,
                  struct fuse_file_info *fi);

void entry_to_param(const struct session *s, const struct fs_entry *e,
                    struct fuse_entry_param *ret);
double seconds(int64_t ns);

/* ---- the ops, by file ---- */

/* The kernel gives back references. */
void session_forget(struct session *s, uint64_t ino, uint64_t count);

/* The link that leads to the control files: one of their numbers, which count up from CTL_ROOT. */
#define CTL_LINK (UINT64_C(1) << 63)

bool ctl_owns(const struct session *s, uint64_t parent, const char *name);
static inline bool ino_is_ctl(uint64_t ino)
{
    return ino >= CTL_ROOT;
}

void node_ops(struct fuse_lowlevel_ops *ops);
void file_ops(struct fuse_lowlevel_ops *ops);
void dir_ops(struct fuse_lowlevel_ops *ops);

/* Interrupts every parked request; returns when all are answered. None may come any more. */
void ctl_op_end_parked(struct session *s);
void ctl_op_lookup(fuse_req_t req, struct session *s, uint64_t parent, const char *name);
void ctl_op_getattr(fuse_req_t req, struct session *s, uint64_t ino);
void ctl_op_readlink(fuse_req_t req, const struct session *s, uint64_t ino);
void ctl_op_access(fuse_req_t req, struct session *s, uint64_t ino, int mask);
void ctl_op_open(fuse_req_t req, struct session *s, uint64_t ino, struct fuse_file_info *fi);
void ctl_op_read(fuse_req_t req, struct handle *h, size_t size, off_t off);
void ctl_op_write(fuse_req_t req, struct handle *h, const char *data, size_t size, off_t off);
void ctl_op_poll(fuse_req_t req, struct handle *h, struct fuse_pollhandle *ph);
void ctl_op_flush(fuse_req_t req, struct handle *h);
void ctl_op_mkdir(fuse_req_t req, uint64_t parent, const char *name);
void ctl_op_rmdir(fuse_req_t req, uint64_t parent, const char *name);
void ctl_op_unlink(fuse_req_t req, uint64_t parent, const char *name);
void ctl_op_opendir(fuse_req_t req, struct session *s, uint64_t ino, struct fuse_file_info *fi);
void ctl_op_readdir(fuse_req_t req, struct handle *h, uint64_t ino, size_t size, off_t off,
                    bool plus);
/* What is listed in the root. */
int ctl_link_entry(struct session *s, struct fs_entry *ret);

#endif
