/*
 * record.h - what one entry of a journal says, and its bytes. Pure: no files, no locks, no memory
 * of its own. Decoders trust nothing.
 */
#ifndef JOURNAL_RECORD_H
#define JOURNAL_RECORD_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    JOURNAL_RECORD_HEADER = 24,
    JOURNAL_RECORD_MAX = 1 << 20,
    JOURNAL_PATH_MAX = 1 << 16,
    JOURNAL_INLINE_MAX = 4096,    /* longer data goes to a segment */
    JOURNAL_EXTENT_MAX = 1 << 20, /* so that checking one stays cheap */
    JOURNAL_EXTENTS_MAX = 16384,
    JOURNAL_RANGES_MAX = 32768,
    JOURNAL_RESULTS_MAX = 8192, /* in one record; journal_* split longer lists */
    JOURNAL_DIGEST = 32,
};

enum journal_kind { /* on disk: append, never renumber */
                    /* Changes. Paths are absolute in the sandbox. */
                    JOURNAL_PUT = 1,   /* path gets size bytes: data, and zeros between */
                    JOURNAL_PATCH = 2, /* data at its offsets */
                    JOURNAL_APPEND = 3,
                    JOURNAL_TRUNCATE = 4, /* to size */
                    JOURNAL_CREATE = 5,   /* a file without content, attr */
                    JOURNAL_MKDIR = 6,    /* attr */
                    JOURNAL_SYMLINK = 7,  /* path2 is what it holds, as given */
                    JOURNAL_LINK = 8,     /* path2 is the new name */
                    JOURNAL_RENAME = 9,   /* to path2; flags as for renameat2 */
                    JOURNAL_UNLINK = 10,
                    JOURNAL_RMDIR = 11,
                    JOURNAL_SETATTR = 12, /* what attr.mask says */
                    /* Bookkeeping. */
                    JOURNAL_BATCH = 32,   /* begun: its number, records and digest */
                    JOURNAL_APPLIED = 33, /* what the sandbox said of records of a batch */
                    JOURNAL_SETTLED = 34,
                    JOURNAL_CHECKPOINT = 35, /* what is known of all records before it */
                    JOURNAL_SYNCED = 36,     /* what was on the disk when it was written */
};

/* One object at one moment. A number that is not known is 0. */
struct journal_identity {
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns; /* sandbox's clock */
    uint32_t birth;             /* another for a later object with the same dev and ino */
};

enum journal_means {                     /* on disk */
                     JOURNAL_ANY = 0,    /* whatever is there */
                     JOURNAL_ABSENT = 1, /* nothing must be there */
                     JOURNAL_IS = 2,     /* identity; hash if has_hash */
                     JOURNAL_MADE = 3,   /* what the change made_by (its sequence number) made */
};

struct journal_object {
    enum journal_means means;
    uint64_t made_by;
    struct journal_identity identity;
    bool has_hash;
    uint8_t hash[JOURNAL_DIGEST]; /* sha256 of the content: tells a restored sandbox from a
                                     change */
};

/* Whom a change speaks of: what path names, and what that is in; the same for path2. A PARENT is
 * never compared: if it was MADE, that goes first, however it ends. */
enum journal_role { JOURNAL_AT, JOURNAL_PARENT, JOURNAL_AT2, JOURNAL_PARENT2, JOURNAL_ROLES };

enum journal_attr_mask { /* on disk */
                         JOURNAL_ATTR_MODE = 1 << 0,
                         JOURNAL_ATTR_UID = 1 << 1,
                         JOURNAL_ATTR_GID = 1 << 2,
                         JOURNAL_ATTR_ATIME = 1 << 3,
                         JOURNAL_ATTR_MTIME = 1 << 4,
};

struct journal_attr {
    uint32_t mask, mode, uid, gid;
    int64_t atime_ns, mtime_ns;
};

/*
 * Flags that are not written down.
 * GROWS: of a PATCH or a TRUNCATE; its handle found the file empty, or made it so, and has done
 * nothing since but add at its end.
 * ONLY: of an UNLINK; the file has no other name.
 */
enum { JOURNAL_GROWS = 1 << 0, JOURNAL_ONLY = 1 << 1 };

/* Bytes in a segment. crc is that of all of them: only a whole extent can be checked. */
struct journal_extent {
    uint64_t off; /* in the file; in an append: from its start */
    uint64_t segment, at;
    uint32_t len, crc;
};

struct journal_range {
    uint64_t first, last; /* sequence numbers, both included */
};

enum journal_outcome {                       /* on disk */
                       JOURNAL_OPEN = 0,     /* nothing is known yet */
                       JOURNAL_DONE = 1,     /* applied */
                       JOURNAL_REJECTED = 2, /* err says why */
                       JOURNAL_CONFLICT = 3, /* the sandbox has another object there */
                       JOURNAL_DROPPED = 4,  /* given up here: cancelled out, or the user said so */
};

struct journal_result {
    uint64_t seq;
    enum journal_outcome said;    /* by the sandbox */
    enum journal_outcome settled; /* by us; see journal_settle */
    int err;                      /* 0 or negative errno */
    struct journal_identity now;  /* of what the change made or left at its path */
    bool forced;                  /* by us: it goes whatever is there; see journal_settle */
};

/*
 * Fields that a kind does not have are ignored when written and zero when read. Pointers are the
 * caller's when written; when read they point into the bytes that were decoded, and the lists are
 * reached by the functions below only.
 */
struct journal_record {
    enum journal_kind kind;
    uint64_t seq;    /* given by the journal */
    int64_t when_ns; /* changes: when it was made, sandbox's clock */
    uint64_t group;  /* changes: those of one open file have one number, 0: alone. The caller's */
    struct journal_object object[JOURNAL_ROLES];
    const char *path, *path2; /* NUL-terminated */
    uint64_t off;             /* where data begins, if it is not in extents */
    uint64_t size;
    struct journal_attr attr;
    uint32_t flags;
    const void *data;
    size_t data_len;
    const struct journal_extent *extents;
    size_t extent_count;
    uint64_t batch;
    uint64_t synced;       /* all records below that number, and their data */
    const uint8_t *digest; /* JOURNAL_DIGEST bytes */
    const struct journal_range *ranges;
    size_t range_count;
    const struct journal_result *results;
    size_t result_count;
    const uint8_t *raw_extents, *raw_ranges, *raw_results; /* set by the decoder */
    bool result_births;                                    /* the same */
};

bool journal_is_change(enum journal_kind kind);
const char *journal_kind_name(enum journal_kind kind); /* "put"; "?" if there is none such */

/* Appends the record's bytes. -EINVAL: a field of its kind is missing or out of bounds; -E2BIG.
 * salt is the journal's own: bytes of another one, within a file's content, are no record. */
int journal_record_put(struct buf *out, uint32_t salt, const struct journal_record *rec);
/* Returns the bytes taken, 0 at a clean end (n is 0), -EBADMSG if this is no good record. */
ssize_t journal_record_get(uint32_t salt, const void *p, size_t n, struct journal_record *ret);

/* The i-th of a decoded record; i must be below its count. */
struct journal_extent journal_record_extent(const struct journal_record *rec, size_t i);
struct journal_range journal_record_range(const struct journal_record *rec, size_t i);
struct journal_result journal_record_result(const struct journal_record *rec, size_t i);

#endif
