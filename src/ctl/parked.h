/* parked.h - what waits to be sent, and what the sandbox did not take: rows for table.c. */
#ifndef CTL_PARKED_H
#define CTL_PARKED_H

#include "ctl/row.h"

extern const struct ctl_dir ctl_conflicts, ctl_rejected;

int ctl_show_queue(struct ctl *ctl, void *obj, struct buf *out, struct buf *why);

int ctl_verb_pause(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int ctl_verb_resume(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int ctl_verb_keep(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int ctl_verb_discard(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);

#endif
