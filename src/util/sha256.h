/* sha256.h - FIPS 180-4 and RFC 2104, to name content and to sign links. */
#ifndef UTIL_SHA256_H
#define UTIL_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_HEX = 64 };

void sha256(const void *p, size_t n, uint8_t ret[SHA256_BYTES]);
/* Of the first n bytes of a file. -EIO: it has fewer. */
int sha256_fd(int fd, uint64_t n, uint8_t ret[SHA256_BYTES]);
/* In lower-case hexadecimal, with a NUL. */
void sha256_hex(const void *p, size_t n, char ret[SHA256_HEX + 1]);
void hmac_sha256(const void *key, size_t key_len, const void *p, size_t n,
                 uint8_t ret[SHA256_BYTES]);

#endif
