/*
 * look.h - what became different at and below one path of the sandbox, look by look. One thread at
 * a time uses a look; it holds no lock.
 */
#ifndef CTL_LOOK_H
#define CTL_LOOK_H

#include "ctl/ctl.h"
#include "ctl/treediff.h"

struct look;

int look_new(struct ctl *ctl, const char *path, struct look **ret); /* -ENOMEM */
struct look *look_free(struct look *l);

/* The sandbox tells when something changes. Else look_next does not wait: call it now and then. */
bool look_waits(const struct look *l);
/* There is more than is looked at. */
bool look_cut(const struct look *l);
/* This sandbox can only list the directory itself. */
bool look_is_flat(const struct look *l);

/*
 * Tells what is different from the look before, of which there is none at first; waits for it up to
 * wait_ns. *ret_overflow: something may not have been told. -errno: nothing was, and the next look
 * will; but -ENOMEM and what fn returned (negative): some of it was not, and never will.
 */
int look_next(struct look *l, int64_t wait_ns, tree_fn fn, void *arg, bool *ret_overflow);

#endif
