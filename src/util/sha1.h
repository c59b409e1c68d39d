/* sha1.h - FIPS 180-4, for the handshake of WebSocket (RFC 6455), which asks for it. */
#ifndef UTIL_SHA1_H
#define UTIL_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { SHA1_BYTES = 20 };

void sha1(const void *p, size_t n, uint8_t ret[SHA1_BYTES]);

#endif
