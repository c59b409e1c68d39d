/* burst.h - directories that are asked about together; for burst.c and after.c. */
#ifndef FS_BURST_H
#define FS_BURST_H

#include "fs/fs_internal.h"

struct asked {
    struct node *dir; /* counted; its flight is ours, unless late */
    char *path;
    struct flight flight;
};

struct burst {
    struct asked *v; /* in the order of strcmp: parents before what is in them */
    size_t count, cap;
    int64_t since_ns; /* INT64_MAX to begin with */
    bool late;        /* the answer may take long, and nobody waits for it */
};

/* What was used since the last request, as far as one question about what changed since covered_ns
 * can be about it. Those of a late one stay used. */
void burst_pick_used_locked(struct fs *fs, struct burst *b, int64_t covered_ns);
void burst_begin_locked(struct fs *fs, struct burst *b); /* all is picked */
/* Its paths are ret's, which lives no longer than b; the caller frees ret->paths. */
int burst_question(const struct fs *fs, const struct burst *b, struct remote_ask *ret);
/* Of a late one only what nothing overtook. */
int burst_apply_locked(struct fs *fs, struct burst *b, const struct remote_tree *t);
void burst_done_locked(struct fs *fs, struct burst *b);

#endif
