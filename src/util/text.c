#include "util/text.h"

#include <string.h>

int text_plain(struct buf *out, const char *s)
{
    int r = 0;

    while (r == 0 && *s) {
        const size_t n = text_control(s);

        r = buf_putc(out, n ? '?' : *s);
        s += n ? n : 1;
    }
    return r;
}

int text_escape(struct buf *out, const char *s, const char *also)
{
    int r = 0;

    for (size_t odd = 0; r == 0 && *s; s++, odd -= odd > 0) {
        odd = odd ? odd : strchr(also, *s) ? 1 : text_control(s);
        r = odd ? buf_printf(out, "\\x%02x", (unsigned char)*s) : buf_putc(out, *s);
    }
    return r;
}
