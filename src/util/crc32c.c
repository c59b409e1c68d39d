#include "util/crc32c.h"

#include <pthread.h>

/* table[k][b]: byte b followed by k zero bytes. Eight bytes are taken at a time. */
static uint32_t table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        table[0][b] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (uint32_t b = 0; b < 256; b++)
            table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
    }
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *in = p;

    pthread_once(&once, make_table);
    crc = ~crc;
    for (; n >= 8; n -= 8, in += 8) {
        const uint32_t low = crc ^ ((uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 |
                                    (uint32_t)in[3] << 24);

        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
              table[4][low >> 24] ^ table[3][in[4]] ^ table[2][in[5]] ^ table[1][in[6]] ^
              table[0][in[7]];
    }
    for (; n > 0; n--, in++)
        crc = crc >> 8 ^ table[0][(crc ^ *in) & 0xff];
    return ~crc;
}
