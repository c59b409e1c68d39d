/*
 * renew.h - a batch whose record was lost, and perhaps its answer, too: how far did it come? Its
 * changes are gone through without making any, to know what each name must have after each of them;
 * and what the names have tells which of them were made. Names that changes have in common make a
 * part: a part is known to be made up to the last change after which all of its names, as far as
 * they were touched by then, have what they must. What somebody else changed since fits nowhere: of
 * that part nothing is taken for done, and it ends as the conflict that it is.
 */
#ifndef PROTO_RENEW_H
#define PROTO_RENEW_H

#include "proto/batch.h"

/* What a name must have. */
struct renew_wants {
    enum renew_what {
        RENEW_NOTHING,
        RENEW_SOMETHING, /* of which no more is known */
        RENEW_OBJECT,    /* object; times: of a version with its mtime, which was not set since */
        RENEW_MADE,      /* what made left, a WRITE, MKDIR or SYMLINK; size: of a file.
                            as_made: no SETATTR came after it */
    } what;
    const struct batch_object *object;
    const struct batch_change *made;
    uint64_t size; /* BATCH_ALL: not known */
    bool times, as_made;
    unsigned set; /* OBJECT, MADE: enum batch_set, and these: */
    uint32_t mode, uid, gid;
    int64_t mtime_ns;
};

struct renew_ops {
    size_t attr_size; /* of what fits tells of what is there */
    bool (*fits)(void *arg, const char *path, const struct renew_wants *wants, void *ret_attr);
    /* May be NULL. If to is another name of what from has, from goes: a rename was cut off. */
    void (*drop_first)(void *arg, const char *from, const char *to);
    bool (*late)(void *arg); /* may be NULL */
};

/* arg and v are borrowed. NULL: it cannot be known. */
struct renewal *renewal_new(const struct renew_ops *ops, void *arg, const struct batch_change *v,
                            size_t count);
struct renewal *renewal_free(struct renewal *n); /* NULL; takes NULL */

enum renewal_left {
    RENEWAL_OPEN,    /* the change was not made */
    RENEWAL_NOTHING, /* it was, and left nothing */
    RENEWAL_GONE,    /* what it left has been replaced since */
    RENEWAL_IT,      /* *ret_attr, which is n's: as fits told it */
};
enum renewal_left renewal_left(const struct renewal *n, size_t change, const void **ret_attr);

#endif
