/* text.h - text from elsewhere that a terminal may get to see. */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include "util/buf.h"

#include <stddef.h>

/* How many bytes the control character has that s begins with: 1; 2 if it is one of those above
 * 0x7f, which steer a terminal as ESC does. 0: it is none, or the end. */
static inline size_t text_control(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    if (p[0] == 0xc2)
        return p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
    return p[0] && (p[0] < 0x20 || p[0] == 0x7f) ? 1 : 0;
}

/* Appends s as one line that cannot steer a terminal: control characters become '?'. 0, -EFBIG,
 * -ENOMEM, as of buf.h. */
int text_plain(struct buf *out, const char *s);
/* The same, but their bytes, and the characters of also, become \xHH. */
int text_escape(struct buf *out, const char *s, const char *also);

#endif
