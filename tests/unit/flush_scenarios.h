/* flush_scenarios.h - everyday work, as the changes that it is made of. */
#ifndef TESTS_FLUSH_SCENARIOS_H
#define TESTS_FLUSH_SCENARIOS_H

#include "flush_model.h"

enum { FLUSH_SCENARIOS = 7 };
typedef void (*flush_scenario)(struct flush_model *m);

/* An editor's save, a tree that is copied, commits, transactions, directories that move with what
 * is in them, a large file, one that stays open while its data goes ahead. They wait now and then;
 * after m->err they do nothing more. */
extern const flush_scenario flush_scenarios[FLUSH_SCENARIOS];
void flush_steps(struct flush_model *m); /* that last one */

/* The sandbox is what a plain directory would be after the first `taken` operations, no more and no
 * less. Else *ret_what says what differs: the caller's. */
bool flush_scenario_is(struct flush_rig *g, flush_scenario scenario, unsigned taken,
                       char **ret_what);

#endif
