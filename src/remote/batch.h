/*
 * batch.h - changes that are sent together, and made in the sandbox exactly once.
 *
 * A client (a journal) numbers its batches 1, 2, 3 … and has one under way at a time. The sandbox
 * keeps, for each client, what became of the changes of its last batch, written down while it is
 * worked on; so a batch whose answer was lost is sent again with the same bytes, and what was done
 * is not done a second time. Each change names the object it means: where another one is found,
 * nothing is touched, and the change ends as a conflict.
 */
#ifndef REMOTE_BATCH_H
#define REMOTE_BATCH_H

#include "remote/remote.h"

enum {
    REMOTE_BATCH_CHANGES = 8192,   /* in one batch */
    REMOTE_BATCH_PIECES = 65536,   /* in one batch */
    REMOTE_BATCH_BLOBS = 4096,     /* in one batch */
    REMOTE_BATCH_DATA = 256 << 10, /* bytes that it carries itself */
    REMOTE_BATCH_BYTES = 1 << 20,  /* of all of it but that data, encoded; else -E2BIG */
    REMOTE_BLOB_MAX = 16 << 20,    /* bytes of one blob */
    REMOTE_BLOB_NAME = 40,
    REMOTE_KEPT = 256,      /* at a time */
    REMOTE_JOINED = 16,     /* in one batch */
    REMOTE_CLIENT_LEN = 32, /* hexadecimal digits */
    REMOTE_DIGEST = 32,
};

#define REMOTE_ALL UINT64_MAX

enum remote_means {                     /* on the wire: append, never renumber */
                    REMOTE_ANY = 0,     /* whatever is there, or nothing */
                    REMOTE_ABSENT = 1,  /* nothing */
                    REMOTE_SAME = 2,    /* the object, by its inode; times may have moved */
                    REMOTE_VERSION = 3, /* that, and size, mtime and ctime (0: not known): nobody
                                           changed it */
                    REMOTE_LEFT_BY = 4, /* what an earlier change of this batch left, unchanged */
};
/* Of a directory VERSION and LEFT_BY say no more than SAME: names that come and go in it do not
 * make it another one. */

struct remote_object {
    enum remote_means means;
    uint32_t change; /* LEFT_BY: its index */
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
    uint32_t birth; /* as in remote_attr; where both are known, another one is another object */
    /* VERSION of a regular file: sha256 of its content. One with that content and size is the same,
     * whatever the rest says: a sandbox that was restored has new inodes. NULL: not known. */
    const uint8_t *hash;
};

/* Where bytes of a file come from. */
struct remote_piece {
    uint64_t off, len; /* in the file; with APPEND counted from its end as it is found */
    uint32_t blob;     /* 0: the batch's own data, else blobs[blob - 1] */
    uint64_t at;       /* in it */
};

enum remote_change_kind {                            /* on the wire: append, never renumber */
                          REMOTE_CHANGE_WRITE = 1,   /* content and attr; makes the file if at is
                                                        ABSENT */
                          REMOTE_CHANGE_MKDIR = 2,   /* attr.mode is exact, no umask */
                          REMOTE_CHANGE_SYMLINK = 3, /* path2 is what it holds */
                          REMOTE_CHANGE_LINK = 4,    /* path2 is the new name */
                          REMOTE_CHANGE_RENAME = 5,  /* to path2 */
                          REMOTE_CHANGE_UNLINK = 6,
                          REMOTE_CHANGE_RMDIR = 7,
                          REMOTE_CHANGE_SETATTR = 8, /* not SIZE: that is a WRITE */
                          REMOTE_CHANGE_FSYNC = 9,   /* the object and its directory to the disk */
};

enum remote_change_flags {                                  /* on the wire */
                           REMOTE_CHANGE_APPEND = 1 << 0,   /* WRITE: at the end; no conflict. The
                                                               VERSION's size serves RENEW */
                           REMOTE_CHANGE_IN_PLACE = 1 << 1, /* WRITE: never by a new inode */
                           REMOTE_CHANGE_NOREPLACE = 1 << 2,
                           REMOTE_CHANGE_EXCHANGE = 1 << 3,
                           REMOTE_CHANGE_FSYNC_TOO = 1 << 4, /* and FSYNC it afterwards */
                           REMOTE_CHANGE_KEEP = 1 << 5,      /* UNLINK, RENAME: see key */
};

/* A file in the helper's folder that grows by remote_join. */
struct remote_joined {
    char name[REMOTE_BLOB_NAME + 1]; /* "": not begun */
    uint64_t size;                   /* so far */
    uint64_t seal;                   /* by which the sandbox knows if it is still what it left */
};

/*
 * WRITE leaves a file of `size` bytes: the first `keep` of what was there, with the pieces over
 * them, zeros between. It is replaced by a new inode with the old one's mode, owner and, unless
 * set, times, so that readers see the old content or the new. In place instead: with APPEND or
 * IN_PLACE; a file with several links, of another owner, in a directory that cannot be written, or
 * that is too large to be copied for what changes; and where the file system has no rename.
 */
struct remote_change {
    enum remote_change_kind kind;
    unsigned flags;
    const char *path, *path2;     /* absolute; resolved without following links */
    struct remote_object at, at2; /* what path, and path2, must name */
    struct remote_setattr set;    /* WRITE, MKDIR, SETATTR; no SIZE. Times of links are theirs */
    uint64_t keep;                /* WRITE; REMOTE_ALL */
    uint64_t size;                /* WRITE; REMOTE_ALL: as it was, or to the end of the pieces */
    const struct remote_piece *pieces; /* in the order of off, without overlap */
    size_t piece_count;
    /* WRITE, or NULL: all that it leaves, if it keeps nothing of what was there. It becomes the
     * file if it is still as it was left; else the pieces do. It goes with the batch. Not part of
     * the digest. */
    const struct remote_joined *joined;
    /* KEEP: the regular file that loses its name by it stays readable at remote_kept_path, if that
     * can be, until a batch no longer names this key: then it is what the result says in other. */
    uint64_t key;
};

/* Bytes that were staged in the helper's folder. */
struct remote_blob {
    char name[REMOTE_BLOB_NAME + 1]; /* new for each attempt: not part of the digest */
    uint64_t len; /* 0: nothing of it is used, it only goes; not part of the digest either */
    uint32_t crc; /* crc32c; checked before anything of it is used */
};

enum remote_batch_mode {
    REMOTE_BATCH_RUN,
    /* The record is gone, or older than it should be: begins a new one at this number. It is looked
     * first how far the batch had come, by what its names have now; so much of it is DONE. */
    REMOTE_BATCH_RENEW,
    /* Nothing more of it is to be done: what was begun is decided, and it is told how far it came.
     * Of the batch only client, number, digest and count are read. */
    REMOTE_BATCH_CLOSE,
};

struct remote_batch {
    const char *client; /* REMOTE_CLIENT_LEN hexadecimal digits */
    uint64_t number;
    enum remote_batch_mode mode;
    uint8_t digest[REMOTE_DIGEST]; /* by remote_batch_digest */
    const struct remote_change *v;
    size_t count;
    const void *data;
    size_t data_len;
    const struct remote_blob *blobs; /* gone from the sandbox once the batch is finished */
    size_t blob_count;
    const uint64_t *kept; /* keys of earlier changes, or of its own, of which what was kept stays */
    size_t kept_count;
    bool background;
};

enum remote_outcome {                  /* on the wire */
                      REMOTE_OPEN = 0, /* not tried */
                      REMOTE_DONE = 1,
                      REMOTE_FAILED = 2,   /* err */
                      REMOTE_CONFLICT = 3, /* another object is there: now, if there is one */
                      REMOTE_POISONED = 4, /* a change that it stands on did not succeed */
};

struct remote_result {
    enum remote_outcome outcome;
    int err;                /* 0 or negative errno; CONFLICT -EBUSY, POISONED -ECANCELED */
    struct remote_attr now; /* DONE: of the object at path (LINK, RENAME: path2). All 0: nothing */
    /* DONE: of what lost this name and has others, or is kept; APPEND: of what it was added to.
     * All 0: nothing, or not known any more. */
    struct remote_attr other;
};

enum remote_batch_state { /* on the wire */
                          REMOTE_BATCH_FINISHED = 0,
                          REMOTE_BATCH_UNKNOWN = 1, /* no record of this client, and number > 1 */
                          REMOTE_BATCH_BEHIND = 2,  /* the record is of a batch before number - 1:
                                                       the sandbox was restored */
                          REMOTE_BATCH_AHEAD = 3,   /* a later batch was there: a copy that came
                                                       late, or a journal that was restored */
                          REMOTE_BATCH_OTHER = 4,   /* this number was used with another digest */
};

struct remote_applied {
    enum remote_batch_state state;
    struct remote_result *v; /* owned; FINISHED: one for each change */
    size_t count;
    int64_t now_ns; /* sandbox's clock when the answer was made */
};

void remote_applied_done(struct remote_applied *a);

/* sha256 over all that is to be done: changes, data, and length and crc of the blobs. -E2BIG. */
int remote_batch_digest(const struct remote_batch *b, uint8_t ret[REMOTE_DIGEST]);

/*
 * Makes the changes in their order. One that failed does not stop the others, but those whose path
 * or path2 is one of its paths or below it end POISONED. 0 once the sandbox has said what became of
 * the batch; on error ask again with the same batch, or CLOSE. -EINVAL: makes no sense; -E2BIG;
 * -ENODATA: a blob is not there, or damaged, and of what needs it nothing was done: stage it again.
 */
int remote_apply(struct remote *r, const struct remote_batch *batch, struct remote_applied *ret);

struct remote_info;
/* Where that client's batches keep what has this key; NULL without memory, or if nothing is kept.
 */
char *remote_kept_path(const struct remote_info *info, const char *client, uint64_t key);

/* Puts bytes into the helper's folder, where nobody else sees them. len at most REMOTE_BLOB_MAX. On
 * error ret has the name of what may be there of them, for a batch to drop, or "". */
struct remote_stage {
    ssize_t (*read)(void *arg, uint64_t off, void *p, size_t n); /* n bytes, or -errno */
    void *arg;
    uint64_t len;
    bool background;
};
int remote_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret);

/*
 * Puts a large file together of what was staged, ahead of its batch, so that the batch takes no
 * longer than a small one: while a client's batch is made its next one waits.
 */
struct remote_join {
    const char *path;                  /* of the file that it will be: as in a change */
    const struct remote_piece *pieces; /* of blobs; none begins before to->size */
    size_t piece_count;
    const struct remote_blob *blobs;
    size_t blob_count;
    uint64_t size; /* of the file when it is complete; REMOTE_ALL: more is to come */
    bool fsync;    /* it, too, is to be on the disk */
    bool background;
};
/* The pieces have each of the first len bytes. */
bool remote_covers(const struct remote_piece *v, size_t count, uint64_t len);
/*
 * Adds the pieces. Not to be repeated: on error, however it went, what to->name names is to be
 * dropped, and to be begun anew if at all. -EXDEV: there it can only be made of all pieces at once;
 * -ENODATA: a blob is not there, or damaged; -ESTALE: the
 * file is not what it was; -EOPNOTSUPP: it is not needed there.
 */
int remote_join(struct remote *r, const struct remote_join *join, struct remote_joined *to);

#endif
