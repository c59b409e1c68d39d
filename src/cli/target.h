/*
 * target.h - what MOUNT|SANDBOX means. A word with '/' in it, or that begins with '.', is a local
 * path in a mount; any other is a sandbox. Without a word the current directory says it.
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "cli/cli.h"
#include "mount/registry.h"

struct target {
    bool mounted;                /* there is a live mount to go through */
    struct registry_entry mount; /* if mounted; owned */
    char *rest;          /* the path that was meant, below the mount's root; "" for itself */
    const char *sandbox; /* as written; NULL: it was a path. Borrowed */
};

bool target_is_path(const char *word);

/* word may be NULL. An exit code; a failure has been explained. The caller calls target_done. */
int target_find(struct target *t, const struct cli *cli, const char *word);
/* As target_find, and it must be mounted: what says what is done with a mount ("watch"). */
int target_find_mount(struct target *t, const struct cli *cli, const char *word, const char *what);
void target_done(struct target *t);

/* ---- the mount's control files ---- */

/* Opens one: a file descriptor, or -errno. */
int target_open(const struct target *t, const char *file, int flags);
/* Writes text to it and reads the whole answer. 0 or -errno. */
int target_ask(const struct target *t, const char *file, const char *text, size_t len,
               struct buf *out);
/* A line for the ctl file. 0 or -errno. */
int target_order(const struct target *t, const char *line);
/* Why this mount refused: the last sentence in its errors file, else errno's. Returns code. */
int target_fail(const struct target *t, int code, int err, const char *what);

#endif
