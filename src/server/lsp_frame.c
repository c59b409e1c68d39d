/* lsp_frame.c - where a message of a language server begins and ends. */
#include "server/lsp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 4096 };

int lsp_frame(const char *p, size_t n, size_t *ret_start, size_t *ret_len)
{
    static const char key[] = "Content-Length:";
    const size_t key_len = sizeof(key) - 1;
    const char *end = memmem(p, n < HEAD_MAX ? n : HEAD_MAX, "\r\n\r\n", 4);
    size_t len = SIZE_MAX;

    if (!end)
        return n >= HEAD_MAX ? -EPROTO : 1;
    for (const char *line = p; line < end; line++) {
        const char *stop = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);

        if ((size_t)(stop - line) > key_len && strncasecmp(line, key, key_len) == 0) {
            len = 0;
            for (const char *d = line + key_len; d < stop; d++) {
                if (*d == ' ')
                    continue;
                if (*d < '0' || *d > '9' || len > LSP_MESSAGE_MAX)
                    return -EPROTO;
                len = len * 10 + (size_t)(*d - '0');
            }
        }
        line = stop + 1;
    }
    if (len > LSP_MESSAGE_MAX)
        return -EPROTO;
    *ret_start = (size_t)(end + 4 - p);
    *ret_len = len;
    return n - *ret_start >= len ? 0 : 1;
}
