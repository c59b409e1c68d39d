/* content.h - the content of a file as pieces of records over what was there. Not locked. */
#ifndef FLUSH_CONTENT_H
#define FLUSH_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTENT_UNKNOWN UINT64_MAX

struct piece {
    uint64_t off, len;
    uint64_t seq, at; /* whose data, and where in it */
};

struct content {
    struct piece *v; /* owned; by off, without overlap */
    size_t count, cap;
    uint64_t keep; /* so much of what was there stays; CONTENT_UNKNOWN: all */
    uint64_t size; /* CONTENT_UNKNOWN: as it was, or to the end of the pieces */
    bool append;   /* offsets count from the end as it is found */
};

#define CONTENT_INIT                                                                               \
    {                                                                                              \
        .keep = CONTENT_UNKNOWN, .size = CONTENT_UNKNOWN                                           \
    }

void content_done(struct content *x);
int content_write(struct content *x, const struct piece *p); /* over what there is. -ENOMEM */
void content_resize(struct content *x, uint64_t size);
void content_replace(struct content *x); /* nothing is left of what was */

#endif
