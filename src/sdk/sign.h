/* sign.h - the signature in a link to a file. */
#ifndef SDK_SIGN_H
#define SDK_SIGN_H

#include "util/buf.h"

#include <stdint.h>

/* Appends "v1_…". method "GET" or "POST"; path as it is, not escaped; expires_s since the epoch,
 * 0: never. */
int sign_file_url(const char *key, const char *method, const char *path, int64_t expires_s,
                  struct buf *out);

#endif
