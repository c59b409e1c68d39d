/*
 * multipart.h - takes a multipart/form-data answer apart as it arrives.
 *
 * A part that says Content-Length is read by that length, so content that looks like a boundary
 * does no harm; it is -EPROTO when no boundary follows. One without a length, or with length 0 and
 * something else than a boundary behind it (files of /proc), is read to the boundary. A boundary
 * line ends right after the boundary: there is no padding. Memory is bounded: 16 KiB for the
 * headers of a part, and nothing of its content.
 */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct multipart_part {
    unsigned index;         /* 0 for the first */
    const char *name;       /* of Content-Disposition, "" if absent */
    const char *filename;   /* filename*, else filename, decoded; "" if absent */
    const char *type;       /* Content-Type, "" if absent */
    int64_t content_length; /* -1 if absent */
};

struct multipart_ops {
    /* Each may return -errno, which ends the parse and is returned by multipart_feed. */
    int (*begin)(void *arg, const struct multipart_part *part); /* strings: during the call only */
    int (*data)(void *arg, uint64_t off, const void *p, size_t n); /* n > 0 */
    int (*end)(void *arg);
};

struct multipart;

/*
 * content_type is the answer's header. -EPROTO if it is not multipart with a usable boundary.
 * *ops is copied.
 */
int multipart_new(const char *content_type, const struct multipart_ops *ops, void *arg,
                  struct multipart **ret);
struct multipart *multipart_free(struct multipart *m);

/* Takes the next n bytes, in pieces of any size. -EPROTO when malformed. An error is final: the
 * same is returned ever after. What follows the closing boundary is ignored. */
int multipart_feed(struct multipart *m, const void *p, size_t n);

/* -EPROTO when the closing boundary never came: the part that had no end() is then cut. */
int multipart_finish(const struct multipart *m);

#endif
