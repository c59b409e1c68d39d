/* reach.h - ways into the sandbox, and questions that are answered where its files are: ports/,
 * url, find, grep, replace. Stand on ctl_host.sandbox. */
#ifndef CTL_REACH_H
#define CTL_REACH_H

#include "ctl/row.h"

extern const struct ctl_dir ports_dir;

/* As ctl_row.ask. */
int ask_url(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
            struct buf *why);
int ask_find(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
             struct buf *why);
int ask_grep(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
             struct buf *why);
int ask_replace(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
                struct buf *why);

#endif
