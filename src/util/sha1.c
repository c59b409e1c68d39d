#include "util/sha1.h"

#include <string.h>

enum { BLOCK = 64, ROUNDS = 80 };

static uint32_t rol(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}

/* What is added in a round: a constant and a mix of three words. */
static uint32_t mix(int round, uint32_t b, uint32_t c, uint32_t d)
{
    switch (round / 20) {
    case 0:
        return 0x5a827999 + ((b & c) | (~b & d));
    case 1:
        return 0x6ed9eba1 + (b ^ c ^ d);
    case 2:
        return 0x8f1bbcdc + ((b & c) | (b & d) | (c & d));
    default:
        return 0xca62c1d6 + (b ^ c ^ d);
    }
}

static void take_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[ROUNDS], s[5];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < ROUNDS; i++)
        w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(s, h, sizeof(s));
    for (int i = 0; i < ROUNDS; i++) {
        const uint32_t t = rol(s[0], 5) + mix(i, s[1], s[2], s[3]) + s[4] + w[i];

        memmove(s + 1, s, 4 * sizeof(*s));
        s[2] = rol(s[2], 30);
        s[0] = t;
    }
    for (int i = 0; i < 5; i++)
        h[i] += s[i];
}

void sha1(const void *p, size_t n, uint8_t ret[SHA1_BYTES])
{
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const uint8_t *bytes = p;
    uint8_t tail[2 * BLOCK] = {0};
    const size_t rest = n % BLOCK, tail_len = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;

    for (size_t at = 0; at + BLOCK <= n; at += BLOCK)
        take_block(h, bytes + at);
    if (rest > 0)
        memcpy(tail, bytes + n - rest, rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        tail[tail_len - 1 - (size_t)i] = (uint8_t)((uint64_t)n * 8 >> 8 * i);
    for (size_t at = 0; at < tail_len; at += BLOCK)
        take_block(h, tail + at);
    for (int i = 0; i < SHA1_BYTES; i++)
        ret[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}
