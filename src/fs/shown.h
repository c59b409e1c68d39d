/*
 * shown.h - what this user was shown of files, where that is not what the sandbox says: the inode
 * number and times that a change made here first had, and links that were made here. It counts as
 * long as the sandbox has not touched the file since, for this mount and for those that come after
 * it: to git, make and an editor nothing has moved. A table; not locked.
 */
#ifndef FS_SHOWN_H
#define FS_SHOWN_H

#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SHOWN_MAX = 500000, /* more are forgotten, the oldest first */
    SHOWN_DIGEST = 16,  /* bytes: nobody finds another target that has the same */
};

struct shown {
    uint64_t dev, ino; /* the sandbox's, and its times: another version is not meant */
    int64_t mtime_ns, ctime_ns;
    uint64_t show_ino; /* 0: the sandbox's */
    bool show_times;
    int64_t show_mtime_ns, show_ctime_ns;
    bool own_link;
    uint8_t target[SHOWN_DIGEST]; /* of such a link: the start of its target's sha256 */
};

struct shown_table;

struct shown_table *shown_new(void); /* NULL without memory */
struct shown_table *shown_free(struct shown_table *t);

/* Takes the place of what was there of dev and ino. Without memory nothing is remembered. */
void shown_put(struct shown_table *t, const struct shown *s);
/* NULL: nothing is known of that version. Valid until the next change of the table. */
const struct shown *shown_find(const struct shown_table *t, uint64_t dev, uint64_t ino,
                               int64_t mtime_ns, int64_t ctime_ns);
size_t shown_count(const struct shown_table *t);

int shown_encode(const struct shown_table *t, struct buf *out);
/* -EBADMSG: these are not the bytes of a table; those before the bad ones are taken. */
int shown_decode(struct shown_table *t, const void *p, size_t n);

#endif
