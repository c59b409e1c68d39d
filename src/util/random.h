/* random.h - what nobody can guess. */
#ifndef UTIL_RANDOM_H
#define UTIL_RANDOM_H

#include <stddef.h>

/* Up to 256 bytes, which the kernel gives all at once. 0, or negative errno: then none is set. */
int random_bytes(void *p, size_t n);
/* The same as digits hexadecimal ones, an even number, and a NUL. */
int random_hex(char *ret, size_t digits);

#endif
