#include "util/base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct buf *out, const void *p, size_t n)
{
    const uint8_t *in = p;
    int r;

    if (n > SIZE_MAX / 2)
        return -EFBIG;
    r = buf_reserve(out, (n + 2) / 3 * 4);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i += 3) {
        const size_t left = n - i;
        const uint32_t v = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                           (left > 2 ? in[i + 2] : 0);
        const char quad[4] = {digits[v >> 18], digits[v >> 12 & 63],
                              left > 1 ? digits[v >> 6 & 63] : '=',
                              left > 2 ? digits[v & 63] : '='};

        (void)buf_append(out, quad, 4); /* reserved above */
    }
    return 0;
}

int base64url_encode(struct buf *out, const void *p, size_t n)
{
    const size_t start = out->len;
    int r;

    r = base64_encode(out, p, n);
    if (r < 0)
        return r;
    while (out->len > start && out->data[out->len - 1] == '=')
        buf_truncate(out, out->len - 1);
    for (size_t i = start; i < out->len; i++) {
        if (out->data[i] == '+')
            out->data[i] = '-';
        else if (out->data[i] == '/')
            out->data[i] = '_';
    }
    return 0;
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct buf *out, const char *text, size_t len)
{
    const size_t start = out->len;
    uint32_t v = 0;
    unsigned have = 0, pad = 0;
    int r = buf_reserve(out, len / 4 * 3);

    if (r == -EFBIG) /* white space may make up the difference: let the appends decide */
        r = 0;
    for (size_t i = 0; i < len && r == 0; i++) {
        const char c = text[i];
        const int d = digit_value(c);

        if (c == '\n' || c == '\r' || c == ' ' || c == '\t')
            continue;
        if (c == '=' && have >= 2)
            pad++;
        else if (d < 0 || pad > 0)
            r = -EBADMSG;
        v = v << 6 | (d < 0 ? 0 : (uint32_t)d);
        if (r == 0 && ++have == 4) {
            const char three[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};

            r = buf_append(out, three, 3 - pad);
            v = 0;
            have = 0;
            if (pad > 0)
                pad = 3; /* nothing may follow */
        }
    }
    if (r == 0 && have != 0)
        r = -EBADMSG;
    if (r < 0)
        buf_truncate(out, start);
    return r;
}
