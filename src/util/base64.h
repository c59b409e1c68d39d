/* base64.h - RFC 4648, with padding. */
#ifndef UTIL_BASE64_H
#define UTIL_BASE64_H

#include "util/buf.h"

int base64_encode(struct buf *out, const void *p, size_t n);
/* As it stands in URLs: two letters differ, and no padding. */
int base64url_encode(struct buf *out, const void *p, size_t n);

/*
 * Appends what text stands for. White space is skipped, as base64(1) folds lines. -EBADMSG for
 * anything else that is not base64, and then out is as it was.
 */
int base64_decode(struct buf *out, const char *text, size_t len);

#endif
