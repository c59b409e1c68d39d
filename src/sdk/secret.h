/* secret.h - a string that stays out of core dumps and of the memory that is used again. */
#ifndef SDK_SECRET_H
#define SDK_SECRET_H

#include <stddef.h>

/* text is NULL until set. curl keeps copies of a header while a request runs: those are its own. */
struct secret {
    char *text;
    size_t mapped; /* bytes */
};

/* The strings one behind the other. What it held before is wiped. -ENOMEM. */
int secret_set(struct secret *s, const char *first, const char *second);
void secret_done(struct secret *s); /* wipes */

#endif
