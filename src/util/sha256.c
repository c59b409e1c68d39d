#include "util/sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 64, ROUNDS = 64 };

/* The first 32 bits of the fractions of the cube roots of the first 64 primes. */
static const uint32_t k[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t ror(uint32_t v, unsigned n)
{
    return v >> n | v << (32 - n);
}

static void take_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[ROUNDS], s[8];

    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < ROUNDS; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) +
               (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
    }
    memcpy(s, h, sizeof(s));
    for (int i = 0; i < ROUNDS; i++) {
        const uint32_t e = s[4], a = s[0];
        const uint32_t t1 =
            s[7] + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
        const uint32_t t2 =
            (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

        memmove(s + 1, s, 7 * sizeof(*s));
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

/* What has been taken in so far; only whole blocks until the end. */
struct sha256 {
    uint32_t h[8];
    uint64_t len;
};

static void sha256_begin(struct sha256 *s)
{
    *s = (struct sha256){{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                          0x1f83d9ab, 0x5be0cd19},
                         0};
}

static void sha256_block(struct sha256 *s, const uint8_t *p)
{
    take_block(s->h, p);
    s->len += BLOCK;
}

/* The last bytes, any number of them. */
static void sha256_end(struct sha256 *s, const uint8_t *bytes, size_t n, uint8_t ret[SHA256_BYTES])
{
    uint8_t tail[2 * BLOCK] = {0};
    const size_t rest = n % BLOCK, tail_len = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    const uint64_t bits = (s->len + n) * 8;

    for (size_t at = 0; at + BLOCK <= n; at += BLOCK)
        take_block(s->h, bytes + at);
    if (rest > 0)
        memcpy(tail, bytes + n - rest, rest);
    tail[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        tail[tail_len - 1 - (size_t)i] = (uint8_t)(bits >> 8 * i);
    for (size_t at = 0; at < tail_len; at += BLOCK)
        take_block(s->h, tail + at);
    for (int i = 0; i < SHA256_BYTES; i++)
        ret[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256(const void *p, size_t n, uint8_t ret[SHA256_BYTES])
{
    struct sha256 s;

    sha256_begin(&s);
    sha256_end(&s, p, n, ret);
}

int sha256_fd(int fd, uint64_t n, uint8_t ret[SHA256_BYTES])
{
    uint8_t chunk[128 * BLOCK];
    struct sha256 s;
    uint64_t done = 0;
    size_t have = 0;

    sha256_begin(&s);
    while (done + have < n) {
        const uint64_t left = n - done - have, room = sizeof(chunk) - have;
        const ssize_t got =
            pread(fd, chunk + have, (size_t)(left < room ? left : room), (off_t)(done + have));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        have += (size_t)got;
        if (have < sizeof(chunk))
            continue;
        for (size_t at = 0; at < have; at += BLOCK)
            sha256_block(&s, chunk + at);
        done += have;
        have = 0;
    }
    sha256_end(&s, chunk, have, ret);
    return 0;
}

void sha256_hex(const void *p, size_t n, char ret[SHA256_HEX + 1])
{
    uint8_t sum[SHA256_BYTES];

    sha256(p, n, sum);
    for (int i = 0; i < SHA256_BYTES; i++)
        snprintf(ret + 2 * i, 3, "%02x", sum[i]);
}

void hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
                 uint8_t ret[SHA256_BYTES])
{
    uint8_t pad[BLOCK] = {0}, inner[SHA256_BYTES];
    struct sha256 s;

    if (key_len > BLOCK)
        sha256(key, key_len, pad);
    else if (key_len > 0)
        memcpy(pad, key, key_len);
    for (int i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36;
    sha256_begin(&s);
    sha256_block(&s, pad);
    sha256_end(&s, p, n, inner);
    for (int i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    sha256_begin(&s);
    sha256_block(&s, pad);
    sha256_end(&s, inner, sizeof(inner), ret);
    explicit_bzero(pad, sizeof(pad));
}
