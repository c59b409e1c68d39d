/*
 * siphash.h - SipHash-1-3: for tables whose keys others choose. Without the key nobody can find
 * names that meet in one place.
 */
#ifndef UTIL_SIPHASH_H
#define UTIL_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1;
};

void siphash_key_random(struct siphash_key *ret);
/* The same one each time, in this process. */
const struct siphash_key *siphash_key_process(void);
uint64_t siphash(const struct siphash_key *key, const void *p, size_t n);

#endif
