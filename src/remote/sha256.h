/* sha256.h - FIPS 180-4, to name content and to compare with what sha256sum says. */
#ifndef REMOTE_SHA256_H
#define REMOTE_SHA256_H

#include <stddef.h>

enum { SHA256_HEX = 64 };

/* In lower-case hexadecimal, with a NUL. */
void sha256_hex(const void *p, size_t n, char ret[SHA256_HEX + 1]);

#endif
