/*
 * Messages of a language server: whatever comes, a message lies within what has come, and more
 * bytes behind it change nothing.
 */
#include "server/lsp.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1); /* its end is a border for sanitizers */
    size_t at = 0;

    if (!text)
        return 0;
    memcpy(text, data, size);
    for (;;) {
        size_t start = 0, len = 0, start2 = 0, len2 = 0;
        const int r = lsp_frame(text + at, size - at, &start, &len);

        must(r == 0 || r == 1 || r == -EPROTO);
        if (r != 0)
            break;
        must(start > 0 && start <= size - at && len <= size - at - start);
        must(len <= LSP_MESSAGE_MAX);
        must(lsp_frame(text + at, start + len, &start2, &len2) == 0 && start2 == start &&
             len2 == len);
        at += start + len;
    }
    free(text);
    return 0;
}
