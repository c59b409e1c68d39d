/*
 * record.h - what lstat saw, as GNU find prints it with RECORD_FORMAT. Decoders trust nothing and
 * are pure functions of (bytes, length).
 */
#ifndef REMOTE_RECORD_H
#define REMOTE_RECORD_H

#include "remote/remote.h"

/*
 * Eleven fields, a NUL, the name below where find started ("" for that itself), a NUL, the link's
 * target, a NUL. For -printf, inside "…" of a shell.
 */
#define RECORD_FORMAT "%D %i %m %n %U %G %s %y %T@ %C@ %A@\\0%P\\0%l\\0"
enum { RECORD_FIELDS = 3 /* NULs in one record */ };

/*
 * A script for sh that tells the same of its arguments where there is no such find, by stat -c of
 * busybox, for record_from_stat. What vanishes meanwhile is left out.
 */
extern const char record_stat_script[];
/*
 * Appends the records as RECORD_FORMAT has them; the first name is where it started, and the others
 * must be below it. -EBADMSG.
 */
int record_from_stat(const char *p, size_t n, struct buf *out);

enum { RECORD_ENTRIES_MAX = 1000 * 1000 };

/* Exactly one record, of the start itself. *ret_target (may be NULL) is the caller's. -EBADMSG. */
int record_decode_one(const char *p, size_t n, struct remote_attr *ret, char **ret_target);

/*
 * The start, which must be a directory (else -ENOTDIR), and what is below it. Refused (-EBADMSG):
 * names that are not such, twice the same, deeper than depth, or without their parent before them.
 * More than max entries, or a record that is cut after max: the first max, and cut is set. Names
 * whose last component starts with hidden (may be NULL) are left out.
 */
int record_decode_list(const char *p, size_t n, unsigned depth, size_t max, const char *hidden,
                       struct remote_list *ret);

/* -EBADMSG unless no name comes twice and what is in a directory comes after it. */
int record_check_list(const struct remote_list *list, unsigned depth);

#endif
