/*
 * session.h - the kernel's side of a mount: requests in, one fs_ or ctl_ call, one answer.
 *
 * Nothing here waits in a thread that reads requests: what memory cannot answer goes to threads
 * that may wait (slow.h), reads and writes of control files are parked without any. Each can be
 * interrupted.
 */
#ifndef FUSE_SESSION_H
#define FUSE_SESSION_H

#include "ctl/ctl.h"
#include "fs/fs.h"
#include "fuse/notify.h"

#include <stdbool.h>

struct session;

/* Borrowed; must outlive the session. */
struct session_config {
    struct fs *fs;
    struct ctl *ctl;      /* NULL: no control files */
    const char *ctl_name; /* their directory in the root, found by name and not listed */
    const char *ctl_link; /* a symbolic link to it, which is listed; NULL: none */
    struct notify *notify;
    const char *name; /* what mount(8) shows as the source */
    bool allow_other, noexec, noatime;
    bool default_permissions; /* the kernel checks the caller against what is shown, too */
    bool debug;               /* every request to stderr */
};

int session_new(const struct session_config *config, struct session **ret);
/* -errno; libfuse or fusermount3 has said why on stderr. dir must exist. */
int session_mount(struct session *s, const char *dir);
/* Serves until it is unmounted or session_exit. 0 or -errno. Signals stay as they are, but SIGUSR2
 * is used to wake the calling thread. */
int session_loop(struct session *s);
/* Makes session_loop return soon; any thread. */
void session_exit(struct session *s);
/* Somebody else has unmounted it, or will: session_free must not, as something else may be mounted
 * there by then. */
void session_unmounted(struct session *s);
/* Unmounts if need be; every waiting request is answered, every handle released. */
struct session *session_free(struct session *s);

#endif
