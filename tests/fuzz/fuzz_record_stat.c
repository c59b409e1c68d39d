/* What stat told of files, turned into what find would have: that is then decoded as such. */
#include "remote/record.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = BUF_INIT(1 << 20);
    char *p = malloc(size ? size : 1), *target = NULL; /* exactly that size, for a sanitizer */
    struct remote_list list;
    struct remote_attr attr;

    if (p && size > 0)
        memcpy(p, data, size);
    if (p && record_from_stat(p, size, &out) == 0 && out.len > 0) {
        if (out.data[out.len - 1] != '\0')
            abort();
        if (record_decode_list(out.data, out.len, 1, 100, NULL, &list) == 0)
            remote_list_done(&list);
        if (record_decode_one(out.data, out.len, &attr, &target) == 0)
            free(target);
    }
    buf_done(&out);
    free(p);
    return 0;
}
