/* stack.h - the layers of one mount, built from the bottom up. */
#ifndef MOUNT_STACK_H
#define MOUNT_STACK_H

#include "cache/cache.h"
#include "ctl/ctl.h"
#include "fs/fs.h"
#include "fuse/session.h"
#include "journal/journal.h"
#include "mount/keepalive.h"
#include "mount/mount.h"
#include "remote/backends.h"
#include "remote/stats.h"
#include "util/buf.h"

#include <daytona/daytona.h>

struct stack {
    const struct mount_params *params; /* borrowed */
    const struct options *options;     /* borrowed */
    char *dir;                         /* here: absolute, resolved */
    char *path;                        /* in the sandbox: absolute */
    struct stats *stats;
    struct daytona_client *client;
    struct daytona_sandbox *sandbox;
    struct daytona_sandbox_info info;
    struct remote *remote; /* the outermost; owns those below it */
    struct remote *wake;   /* one of them */
    struct remote *trace;  /* another */
    struct buf no_helper;  /* why helper=auto is without one; empty otherwise */
    struct notify *notify;
    struct cache *cache;
    struct journal *journal; /* NULL: none, every change is made at once */
    struct flush *flush;     /* until fs has taken it over */
    size_t left; /* changes of earlier mounts that are not in the sandbox, and not sent from here */
    struct fs *fs;
    struct ctl *ctl; /* NULL: none */
    char *ctl_files; /* with ctl=visible the name that is not listed; NULL otherwise */
    struct session *session;
    struct keepalive *keepalive; /* NULL: none */
    int64_t since_ns;            /* clock_real_ns() */
};

/*
 * Builds all of it; s->params and s->dir are set. May block; ends with -EINTR when the bound cancel
 * fires. On failure why has one line without its end, and what was built stays for stack_done; the
 * exit code is returned.
 */
int stack_build(struct stack *s, struct buf *why);
/* The first two parts of it: s->client is there; and then s->sandbox and s->remote are. */
int stack_connect(struct stack *s, struct buf *why);
int stack_reach(struct stack *s, struct buf *why);

/* Takes the session, then the rest down; fs must have been drained. Takes what is half built. */
void stack_close_session(struct stack *s);
void stack_done(struct stack *s);

/* host.c: what /.ctl shows of the mount. arg is the struct stack. */
extern const struct ctl_host stack_ctl_host;

#endif
