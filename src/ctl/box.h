/* box.h - sandbox/, and the verbs that change the sandbox itself. Stand on ctl_host.sandbox. */
#ifndef CTL_BOX_H
#define CTL_BOX_H

#include "ctl/row.h"

extern const struct ctl_row box_rows[];

/* "what: " and what the SDK, or else errno, says of its call that just returned r. */
void ctl_sdk_why(struct buf *why, int r, const char *what);

/* As ctl_verb.run. */
int verb_start(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_stop(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_archive(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_recover(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_delete(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_ttl(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_autostop(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_autoarchive(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_autodelete(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_labels(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);
int verb_keepalive(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why);

#endif
