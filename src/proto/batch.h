/*
 * batch.h - changes that are made together: what is asked, and what became of each.
 *
 * A request is a row of frames: PROTO_BATCH, and unless that says otherwise the changes in any
 * number of PROTO_BATCH_CHANGES, the data in PROTO_BATCH_DATA, and PROTO_END with the number of
 * changes. It takes the place of PROTO_REQUEST; or that place has one PROTO_BATCH_FILE: a string,
 * the name of a file in the helper's folder that holds it. The answer has one PROTO_BATCH_STATE
 * and, when all is done, PROTO_BATCH_RESULTS; PROTO_END with `more` asks to be asked again.
 *
 * What each part means is said in remote/batch.h, whose numbers these are.
 */
#ifndef PROTO_BATCH_H
#define PROTO_BATCH_H

#include "proto/proto.h"

enum { /* of enum proto_kind; on the wire: never renumber */
       PROTO_BATCH = 64,
       PROTO_BATCH_CHANGES = 65, /* any number of struct batch_change */
       PROTO_BATCH_DATA = 66,    /* bytes, in their order */
       PROTO_BATCH_FILE = 67,
       PROTO_BATCH_STATE = 68,   /* struct batch_state */
       PROTO_BATCH_RESULTS = 69, /* any number of struct batch_result */
};

enum {
    BATCH_CLIENT_LEN = 32, /* hexadecimal digits */
    BATCH_DIGEST = 32,
    BATCH_HASH = 32,
    BATCH_BLOB_NAME = 40,
    BATCH_CHANGES_MAX = 8192,
    BATCH_PIECES_MAX = 65536,
    BATCH_BLOBS_MAX = 4096,
    BATCH_BLOB_MAX = 16 << 20,
    BATCH_DATA_MAX = 256 << 10,
    BATCH_BYTES_MAX = 1 << 20, /* of changes and blobs */
    BATCH_KEPT_MAX = 256,
    BATCH_JOINED_MAX = 16,
    BATCH_MESSAGE_MAX = BATCH_BYTES_MAX + BATCH_DATA_MAX + (64 << 10),
};

#define BATCH_ALL UINT64_MAX

enum batch_mode {
    BATCH_RUN = 0,
    BATCH_RENEW = 1,
    BATCH_CLOSE = 2,
    /*
     * No batch of any client: the pieces of its one WRITE go into the file joined[0] in the
     * helper's folder, behind what is there. seal 0: it is made, else it is to be as the last
     * answer left it. The answer is a PROTO_BATCH_STATE: settled is its size, number its seal.
     */
    BATCH_JOIN = 3,
};

enum batch_flags {
    BATCH_WHOLE = 1 << 0, /* changes and data follow; else the helper has them already */
};

/* PROTO_BATCH: client, number, mode, flags, digest, count, bytes of data, number of what is kept
 * and the key of each, number of blobs and of each its name, length and crc32c; if there are some,
 * number of files that are put together already, and of each its change, blob and seal. */
struct batch_blob {
    char name[BATCH_BLOB_NAME + 1]; /* letters, digits and '-' */
    uint64_t len;
    uint32_t crc;
};
struct batch_joined {
    uint64_t change; /* whose content it is */
    uint64_t blob;   /* 1 based: what its name is */
    uint64_t seal;   /* it is used only if it is still what this was told of */
};
struct batch_head {
    char client[BATCH_CLIENT_LEN + 1];
    uint64_t number;
    enum batch_mode mode;
    unsigned flags;
    uint8_t digest[BATCH_DIGEST];
    uint64_t count, data_len;
    uint64_t kept[BATCH_KEPT_MAX];
    size_t kept_count, blob_count;
    struct batch_joined joined[BATCH_JOINED_MAX];
    size_t joined_count;
    struct proto_in blobs; /* batch_get_blob, blob_count times */
};
int batch_put_head(struct buf *out, const struct batch_head *h,
                   const struct batch_blob *blobs); /* a whole frame; h->blobs is not looked at */
int batch_get_head(const struct proto_frame *f, struct batch_head *ret); /* all blobs are checked */
bool batch_get_blob(struct proto_in *in, struct batch_blob *ret);

int batch_put_file(struct buf *out, const char *name); /* a whole frame */
int batch_get_file(const struct proto_frame *f, char ret[BATCH_BLOB_NAME + 1]);

enum batch_means {
    BATCH_ANY = 0,
    BATCH_ABSENT = 1,
    BATCH_SAME = 2,
    BATCH_VERSION = 3,
    BATCH_LEFT_BY = 4,
};

/*
 * means, with 16 added for a hash and 32 for a birth; then LEFT_BY: change; SAME: dev, ino,
 * [birth]; VERSION: dev, ino, [birth], size, mtime_ns (signed), ctime_ns minus mtime_ns (signed),
 * [hash].
 */
struct batch_object {
    enum batch_means means;
    uint64_t change, dev, ino, size;
    int64_t mtime_ns, ctime_ns;
    uint32_t birth;      /* proto_birth; 0: not known */
    const uint8_t *hash; /* or NULL */
};

struct batch_piece {
    uint64_t off, len, blob, at;
};

enum batch_kind {
    BATCH_WRITE = 1,
    BATCH_MKDIR = 2,
    BATCH_SYMLINK = 3,
    BATCH_LINK = 4,
    BATCH_RENAME = 5,
    BATCH_UNLINK = 6,
    BATCH_RMDIR = 7,
    BATCH_SETATTR = 8,
    BATCH_FSYNC = 9,
};

enum batch_change_flags {
    BATCH_APPEND = 1 << 0,
    BATCH_IN_PLACE = 1 << 1,
    BATCH_NOREPLACE = 1 << 2,
    BATCH_EXCHANGE = 1 << 3,
    BATCH_FSYNC_TOO = 1 << 4,
    BATCH_KEEP = 1 << 5, /* of UNLINK and RENAME only */
    BATCH_CHANGE_FLAGS_ALL = (1 << 6) - 1,
};

enum batch_set { /* as enum remote_set; SIZE is never there */
                 BATCH_SET_MODE = 1 << 0,
                 BATCH_SET_UID = 1 << 1,
                 BATCH_SET_GID = 1 << 2,
                 BATCH_SET_ATIME = 1 << 4,
                 BATCH_SET_MTIME = 1 << 5,
                 BATCH_SET_ALL = 0x37,
};

/*
 * kind, flags, [KEEP: key], path, object; SYMLINK: target; LINK, RENAME: path2, object; WRITE,
 * MKDIR, SETATTR:
 * mask and of what it has mode, uid, gid, atime_ns, mtime_ns (signed); WRITE: keep plus 1, size
 * plus 1 (0: BATCH_ALL), number of pieces and of each: off minus the end of the one before, len,
 * blob, at.
 * A path is the number of bytes that it shares with the last path before it, and the rest.
 */
struct batch_change {
    enum batch_kind kind;
    unsigned flags;
    uint64_t key;
    const char *path, *path2; /* absolute, by its form alone resolved; else NULL */
    struct batch_object at, at2;
    unsigned set; /* enum batch_set */
    uint32_t mode, uid, gid;
    int64_t atime_ns, mtime_ns;
    uint64_t keep, size;
    const struct batch_piece *pieces;
    size_t piece_count;
};

/* Putting them: before is the last path that was put, "" at first; it is kept up to date. */
int batch_put_change(struct buf *out, const struct batch_change *c, const char **before);

/* Getting them, one after the other; what a change points to lives until the next one is got. */
struct batch_changes {
    struct proto_in in; /* of the frame at hand */
    size_t next;        /* index of the next change */
    char *paths[2];     /* owned */
    unsigned last;      /* which of them was got last */
    size_t path_lens[2];
    struct batch_piece *pieces; /* owned */
    size_t piece_room, piece_sum;
};
void batch_changes_done(struct batch_changes *c);
/* 1: ret is the next of the frame; 0: there is none left in it; -EBADMSG, -ENOMEM. */
int batch_get_change(struct batch_changes *c, struct batch_change *ret);

enum batch_outcome {
    BATCH_OPEN = 0,
    BATCH_DONE = 1,
    BATCH_FAILED = 2,
    BATCH_CONFLICT = 3,
    BATCH_POISONED = 4,
};

/* dev, ino, mode, nlink, uid, gid, size, rdev, mtime_ns (signed), ctime_ns minus mtime_ns
 * (signed). All 0: nothing is there. */
struct batch_attr {
    uint64_t dev, ino, size, rdev;
    uint32_t mode, nlink, uid, gid;
    int64_t mtime_ns, ctime_ns;
    bool has_birth; /* of now only */
    int64_t birth_ns;
};

/*
 * outcome, with 16 added for now, 32 for other and 64 for the birth of now, [now], [other], err
 * unless DONE or OPEN, [ctime_ns of now minus its birth_ns (signed)].
 */
struct batch_result {
    enum batch_outcome outcome;
    int err; /* 0 or negative */
    struct batch_attr now, other;
};
int batch_put_result(struct buf *out, const struct batch_result *r);
bool batch_get_result(struct proto_in *in, struct batch_result *ret);

enum batch_state_kind {
    BATCH_FINISHED = 0,
    BATCH_UNKNOWN = 1,
    BATCH_BEHIND = 2,
    BATCH_AHEAD = 3,
    BATCH_OTHER = 4,
};

/* PROTO_BATCH_STATE: state, how many changes are settled, number that the record is of, now_ns
 * (signed). */
struct batch_state {
    enum batch_state_kind state;
    uint64_t settled, number;
    int64_t now_ns; /* sandbox's clock when the answer was made */
};
int batch_put_state(struct buf *out, const struct batch_state *s); /* a whole frame */
int batch_get_state(const struct proto_frame *f, struct batch_state *ret);

#endif
