/*
 * proto.h - what the helper in the sandbox and its client say to each other. Plain C and POSIX;
 * shared by both sides. Decoders are pure functions of bytes and trust nothing.
 *
 * A message is a row of frames; the last is PROTO_END. A frame, little-endian:
 *    0  4  magic "dth1"              8  4  length of the body
 *    4  1  PROTO_VERSION            12  4  crc32c of bytes 0 to 11 and the body
 *    5  1  enum proto_kind          16  -  body
 *    6  2  zero
 * In bodies a number is a varint (7 bits a byte, the lowest first, at most 10 bytes; signed ones
 * zigzag), a string a number and so many bytes. What a body holds is said at the struct it encodes.
 *
 * On the way a request is one base64 word, an answer TOKEN ":" base64 ":" TOKEN, so that nothing a
 * shell prints around it matters.
 */
#ifndef PROTO_PROTO_H
#define PROTO_PROTO_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    PROTO_VERSION = 1,
    PROTO_HEADER = 16,
    PROTO_BODY_MAX = 1 << 20,
    PROTO_PATH_MAX = 1 << 16, /* deeper than PATH_MAX is legal: paths are walked by component */
    PROTO_NAME_MAX = 255,
    PROTO_DIRS_MAX = 200000, /* directories in one request */
};

enum proto_kind { /* on the wire: append, never renumber */
                  PROTO_REQUEST = 1,
                  PROTO_START = 2,   /* struct proto_start */
                  PROTO_DIR = 3,     /* struct proto_dir: what follows is in it, up to the next */
                  PROTO_ENTRIES = 4, /* any number of struct proto_entry */
                  PROTO_DATA = 5,    /* offset, string */
                  PROTO_STATFS = 6,  /* struct proto_statfs */
                  PROTO_INFO = 7,    /* struct proto_info */
                  PROTO_FILE = 8,    /* struct proto_entry: DATA frames follow, unless STAT asked */
                  PROTO_FILE_END =
                      9,          /* struct proto_entry: the same file afterwards; errno in err */
                  PROTO_END = 10, /* struct proto_end */
};

struct proto_frame {
    enum proto_kind kind;
    const uint8_t *body; /* points into what was decoded */
    size_t len;
};

int proto_put_frame(struct buf *out, enum proto_kind kind, const struct buf *body);
/* The same at the end of what put body together, which r says the result of; frees body. */
int proto_end_frame(struct buf *out, int kind, struct buf *body, int r);
/* Returns the bytes taken, 0 if the frame is not all there yet, -EBADMSG if it is none. */
ssize_t proto_get_frame(const uint8_t *p, size_t n, struct proto_frame *ret);

/* Reading a body. Once something does not fit, bad is set and everything reads as 0 or "". */
struct proto_in {
    const uint8_t *p, *end;
    bool bad;
};

struct proto_in proto_in_frame(const struct proto_frame *frame);
uint64_t proto_get_uint(struct proto_in *in);
uint32_t proto_get_uint32(struct proto_in *in); /* a larger one is bad */
int64_t proto_get_int(struct proto_in *in);
void proto_get_times(struct proto_in *in, int64_t *ret_mtime_ns, int64_t *ret_ctime_ns);
const char *proto_get_string(struct proto_in *in, size_t max, size_t *ret_len); /* not terminated */
bool proto_in_done(const struct proto_in *in); /* all was read and nothing was bad */

/* Writing one: errors of the buffer, nothing else. */
int proto_put_uint(struct buf *out, uint64_t v);
int proto_put_uints(struct buf *out, const uint64_t *v, size_t count);
#define PROTO_PUT_UINTS(out, ...)                                                                  \
    proto_put_uints((out), (const uint64_t[]){__VA_ARGS__},                                        \
                    sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))
int proto_put_int(struct buf *out, int64_t v);
int proto_put_times(struct buf *out, int64_t mtime_ns, int64_t ctime_ns);
int proto_put_string(struct buf *out, const void *p, size_t len);

/* What a question is about, in PROTO_REQUEST. Numbers that a verb does not use are 0. */
enum proto_verb {
    PROTO_VERB_INFO = 1,
    PROTO_VERB_TREE = 2,    /* dirs and what is below them, breadth first; then STATFS of root */
    PROTO_VERB_CHANGES = 3, /* dirs, one level each: what changed since since_ns; the same */
    PROTO_VERB_READ = 4,    /* dirs[0]: a file */
    PROTO_VERB_STATFS = 6,  /* dirs[0] */
    PROTO_VERB_STAT = 7,    /* anything: a PROTO_FILE each, or a PROTO_DIR with its errno */
};

/*
 * PROTO_REQUEST: verb, root, max_entries, max_bytes, since_ns (signed), wait_ms, off, len, number
 * of paths, and each path as the number of bytes it shares with the one before and the rest.
 * Paths are relative to root ("" is root itself), without "." and "..".
 */
struct proto_request {
    enum proto_verb verb;
    char *root;           /* absolute; owned */
    uint64_t max_entries; /* stop between directories once there are so many; 0: PROTO's limit */
    uint64_t max_bytes;   /* the same for bytes of the answer before base64; data: never more;
                             CHANGES: one that is longer ends with E2BIG */
    int64_t since_ns;     /* sandbox's clock; INT64_MIN: everything counts as changed */
    uint64_t wait_ms;     /* CHANGES: answer at the first change, or after so long */
    uint64_t off, len;    /* READ */
    char **paths;         /* owned */
    size_t path_count;
};

int proto_put_request(struct buf *out, const struct proto_request *req); /* a whole frame */
int proto_get_request(const struct proto_frame *frame, struct proto_request *ret); /* -EBADMSG */
void proto_request_done(struct proto_request *req);

/* PROTO_START opens every answer: now_ns (signed), uptime_ns, boot. */
struct proto_start {
    int64_t now_ns;    /* the sandbox's clock before anything was looked at */
    int64_t uptime_ns; /* since boot: a clock that was set shows as a step between the two */
    const char *boot;  /* names this start of the sandbox */
    size_t boot_len;
};
int proto_put_start(struct buf *out, const struct proto_start *s);
int proto_get_start(const struct proto_frame *f, struct proto_start *ret);

/*
 * One name: flags, name, [target], dev, ino, mode, nlink, uid, gid, size, blocks, rdev, mtime_ns
 * (signed), ctime_ns minus mtime_ns (signed), [ctime_ns minus birth_ns (signed)].
 *
 * dev, here and elsewhere: what tells the file system from others. If it is odd, its bits from
 * PROTO_DEVICE_BITS on tell the mount by which a directory was reached from others; 0: not known.
 */
enum { PROTO_DEVICE_BITS = 21 };
enum proto_entry_flags { PROTO_ENTRY_TARGET = 1 << 0, PROTO_ENTRY_BIRTH = 1 << 1 };
struct proto_entry {
    const char *name, *target; /* not terminated */
    size_t name_len, target_len;
    uint64_t dev, ino, size, blocks, rdev;
    uint32_t mode, nlink, uid, gid;
    int64_t mtime_ns, ctime_ns;
    bool has_birth;
    int64_t birth_ns;
};
/* A birth in short, for comparing; never 0. */
uint32_t proto_birth(int64_t birth_ns);
int proto_put_entry(struct buf *out, const struct proto_entry *e);
/* Refuses names that are not one component (an empty one is allowed: the thing itself). */
bool proto_get_entry(struct proto_in *in, struct proto_entry *ret);

/*
 * PROTO_DIR: flags, err, path, and unless err, the directory's own entry with an empty name. With
 * PROTO_DIR_WHOLE every entry follows, else only those that changed.
 */
enum proto_dir_flags { PROTO_DIR_WHOLE = 1 << 0 };
struct proto_dir {
    unsigned flags;
    int err;          /* 0, or the errno (positive) why it could not be read */
    const char *path; /* relative to the request's root; not terminated */
    size_t path_len;
    struct proto_entry self;
};
int proto_put_dir(struct buf *out, const struct proto_dir *d);
int proto_get_dir(const struct proto_frame *f, struct proto_dir *ret);

struct proto_statfs {
    uint64_t block_size, blocks, blocks_free, blocks_avail, files, files_free, type;
};
int proto_put_statfs(struct buf *out, const struct proto_statfs *s);
int proto_get_statfs(const struct proto_frame *f, struct proto_statfs *ret);

enum { PROTO_GROUPS_MAX = 64 };
/* uid, gid, number of groups and they, capabilities (effective), umask, device of the helper's
 * folder. */
struct proto_info {
    uint64_t uid, gid, groups[PROTO_GROUPS_MAX], capabilities, umask, folder_dev;
    size_t group_count;
};
int proto_put_info(struct buf *out, const struct proto_info *i);
int proto_get_info(const struct proto_frame *f, struct proto_info *ret);

/* PROTO_END: err (positive errno; 0: all went well), more (a limit was reached), number of
 * entries. */
struct proto_end {
    uint64_t err, more, entries;
};
int proto_put_end(struct buf *out, const struct proto_end *e);
int proto_get_end(const struct proto_frame *f, struct proto_end *ret);

#endif
