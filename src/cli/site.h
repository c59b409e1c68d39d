/*
 * site.h - where a command does its work when it speaks to the API itself: a sandbox, and if it is
 * mounted here, the mount, so that both see the same files.
 */
#ifndef CLI_SITE_H
#define CLI_SITE_H

#include "cli/api.h"
#include "cli/target.h"

struct site {
    struct target target;
    struct api api;
};

/*
 * Finds MOUNT|SANDBOX (word may be NULL, as in target_find) and asks for it. send: what was written
 * through a mount is sent first; if that fails the exit code is EXITCODE_QUEUED. An exit code; a
 * failure has been explained. The caller calls site_done.
 */
int site_open(struct site *p, const struct cli *cli, const char *word, bool send);
void site_done(struct site *p);

/*
 * Explains err, which the SDK gave for what was asked of this sandbox ("cannot clone"): in the
 * service's words if it is about that, as api_check if it is about the sandbox or the key. Returns
 * the exit code; 0 for 0 and above.
 */
int site_check(const struct site *p, int err, const char *what);

/* The sandbox has changed files: the mount, if there is one, must not answer from what it knew. */
void site_changed(const struct site *p);

/*
 * A path as the sandbox takes it. Relative is below what was meant: a path in the mount, else the
 * mount's root, else (and then it stays relative) the work-dir. path NULL: that place itself. A new
 * string; NULL without memory.
 */
char *site_path(const struct site *p, const char *path);

#endif
