#include "util/random.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

enum { BYTES_MAX = 256 };

int random_bytes(void *p, size_t n)
{
    ssize_t got;

    if (n > BYTES_MAX)
        return -EINVAL;
    do {
        got = getrandom(p, n, 0);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got == (ssize_t)n ? 0 : -EIO;
}

int random_hex(char *ret, size_t digits)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t bytes[BYTES_MAX];
    const int r = random_bytes(bytes, digits / 2);

    if (r < 0)
        return r;
    for (size_t i = 0; i < digits; i++)
        ret[i] = hex[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
    ret[digits] = '\0';
    return 0;
}
