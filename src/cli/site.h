/*
 * place.h - where a command does its work when it speaks to the API itself: a sandbox, and if it is
 * mounted here, the mount, so that both see the same files.
 */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include "cli/api.h"
#include "cli/target.h"

struct place {
    struct target target;
    struct api api;
};

/*
 * Finds MOUNT|SANDBOX (word may be NULL, as in target_find) and asks for it. What was written
 * through a mount is sent first: if that fails the exit code is EXITCODE_QUEUED. An exit code; a
 * failure has been explained. The caller calls place_done.
 */
int place_open(struct place *p, const struct cli *cli, const char *word);
void place_done(struct place *p);

/* The sandbox has changed files: the mount, if there is one, must not answer from what it knew. */
void place_changed(const struct place *p);

/*
 * A path as the sandbox takes it. Relative is below what was meant: a path in the mount, else the
 * mount's root, else (and then it stays relative) the work-dir. path NULL: that place itself. A new
 * string; NULL without memory.
 */
char *place_path(const struct place *p, const char *path);

#endif
