/* error.h - the calling thread's last error, in one place. */
#ifndef SDK_ERROR_H
#define SDK_ERROR_H

#include <daytona/error.h>

/* Every public function that can fail begins with this. call: a literal, "listFiles". */
void error_begin(const char *call);

/* Sets err and, if fmt is not NULL, the message; the rest stays. Returns err. */
int error_set(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As above, but keeps the message that a deeper layer has already given. */
int error_default(int err);

/* The thread's own, to fill in what error_set does not. */
struct daytona_error *error_now(void);

/* Replaces every occurrence of secret in what the service said. */
void error_scrub(const char *secret);

#endif
