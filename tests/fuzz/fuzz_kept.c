/* The decoder of what an earlier mount left on disk, on any bytes. */
#include "cache/kept.h"

#include "util/crc32c.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void decode(const uint8_t *p, size_t n, uint64_t file_bytes)
{
    size_t need = 0;
    struct kept k;
    uint32_t crc;

    if (kept_decode(p, n, file_bytes, &k, &need) < 0)
        return;
    for (uint32_t i = 0; i < k.blocks; i++)
        (void)kept_row(&k, i, &crc);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint8_t *copy;

    decode(p, n, n);
    decode(p, n, UINT64_MAX);
    /* The checksum would keep a fuzzer out. */
    if (n < KEPT_HEAD)
        return 0;
    copy = malloc(n);
    if (!copy)
        return 0;
    memcpy(copy, p, n);
    memcpy(copy, "dtcache2", 8);
    for (size_t head = KEPT_HEAD; head <= n && head <= KEPT_HEAD + 8 * KEPT_ROW; head += KEPT_ROW) {
        const uint32_t crc = crc32c(0, copy + 12, head - 12);

        for (size_t i = 0; i < 4; i++)
            copy[8 + i] = (uint8_t)(crc >> 8 * i);
        decode(copy, n, n);
    }
    free(copy);
    return 0;
}
