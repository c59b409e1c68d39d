/* apply_world.h - a change of every kind, what they are made of, and what they must come to. */
#ifndef TESTS_APPLY_WORLD_H
#define TESTS_APPLY_WORLD_H

#include "apply_rig.h"

enum { WORLD = 20 };
extern const char world_data[];
extern bool world_apart; /* nothing can be renamed to there: it is another mount */

/* In a directory of its own, wN; those below are about the last one. */
struct remote_batch new_world(unsigned n, struct remote_change v[WORLD]);
/* As a local directory is after the same operations; no name more or less. */
void expect_new_world(void);
void world_enter(const char *dir); /* another directory takes its place; made if it is not there */

char *in_world(const char *name);
const char *file_in_world(const char *name); /* NULL: there is none */
void put_in_world(const char *name, const char *text);
struct remote_object version_in_world(const char *name);
void expect_text(const char *name, const char *want);

/* What was not done, as the next batch: what it was to stand on is told by its version. */
size_t what_is_left(const struct remote_change *v, const struct remote_applied *a,
                    struct remote_change *ret);
void expect_all_done(const struct remote_applied *a);
void expect_tidy(void); /* nothing but the record, the lock and the spare in the client's folder */

/* Asks once, and it is killed at that step. False: it came to the end before. */
bool dies_at(const struct remote_batch *b, long step, struct remote_applied *ret);
/*
 * Begins anew and asks, killed at the first step, the second … until it comes to its end before
 * that. Each time `then` looks at it: a is empty if it died. Returns the number of steps.
 */
long killed_at_each_step(struct remote_batch (*begin)(unsigned n, struct remote_change v[WORLD]),
                         void (*then)(struct remote_batch *b, struct remote_applied *a, bool died));
void in_client(const char *command); /* run in the client's folder; ends well */

#endif
