#include "util/siphash.h"

#include "util/clock.h"

#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t left(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void stir(struct state *s)
{
    s->v0 += s->v1;
    s->v1 = left(s->v1, 13) ^ s->v0;
    s->v0 = left(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = left(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = left(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = left(s->v1, 17) ^ s->v2;
    s->v2 = left(s->v2, 32);
}

static void take(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    stir(s);
    s->v0 ^= word;
}

/* Little-endian, of at most 8 bytes. */
static uint64_t word_of(const uint8_t *p, size_t n)
{
    uint64_t word = 0;

    while (n-- > 0)
        word = word << 8 | p[n];
    return word;
}

uint64_t siphash(const struct siphash_key *key, const void *p, size_t n)
{
    struct state s = {
        key->k0 ^ 0x736f6d6570736575,
        key->k1 ^ 0x646f72616e646f6d,
        key->k0 ^ 0x6c7967656e657261,
        key->k1 ^ 0x7465646279746573,
    };
    const uint8_t *b = p;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        take(&s, word_of(b + i, 8));
    take(&s, word_of(b + i, n - i) | (uint64_t)n << 56);
    s.v2 ^= 0xff;
    stir(&s);
    stir(&s);
    stir(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void siphash_key_random(struct siphash_key *ret)
{
    if (getrandom(ret, sizeof(*ret), GRND_NONBLOCK) == (ssize_t)sizeof(*ret))
        return;
    /* Early at boot: what is hard to guess from inside a sandbox. */
    ret->k0 = (uint64_t)clock_mono_ns() ^ (uint64_t)getpid() << 48;
    ret->k1 = (uint64_t)(uintptr_t)ret ^ (uint64_t)clock_real_ns();
}

static struct siphash_key process_key;

static void make_process_key(void)
{
    siphash_key_random(&process_key);
}

const struct siphash_key *siphash_key_process(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_process_key);
    return &process_key;
}
