#include "journal/bytes.h"

#include <errno.h>
#include <string.h>

void bytes_set_le(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

uint64_t bytes_get_le(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* ---- writing ---- */

void bytes_put(struct bytes_out *w, const void *p, size_t n)
{
    if (w->err == 0)
        w->err = p ? buf_append(w->out, p, n) : -EINVAL;
}

void bytes_put32(struct bytes_out *w, uint32_t v)
{
    uint8_t b[4];

    bytes_set_le(b, v, 4);
    bytes_put(w, b, sizeof(b));
}

void bytes_put64(struct bytes_out *w, uint64_t v)
{
    uint8_t b[8];

    bytes_set_le(b, v, 8);
    bytes_put(w, b, sizeof(b));
}

void bytes_put_string(struct bytes_out *w, const char *s, size_t max)
{
    const size_t n = s ? strlen(s) : 0;

    if (!s || n > max) {
        w->err = -EINVAL;
        return;
    }
    bytes_put32(w, (uint32_t)n);
    bytes_put(w, s, n + 1);
}

void bytes_pad(struct bytes_out *w, size_t start)
{
    static const uint8_t zeros[8];

    bytes_put(w, zeros, (8 - (w->out->len - start) % 8) % 8);
}

/* ---- reading ---- */

const uint8_t *bytes_take(struct bytes_in *r, size_t n)
{
    static const uint8_t zeros[BYTES_TAKE_MAX];
    const uint8_t *p = r->p;

    if (r->bad || n > (size_t)(r->end - r->p)) {
        r->bad = true;
        return n <= sizeof(zeros) ? zeros : NULL;
    }
    r->p += n;
    return p;
}

uint32_t bytes_take32(struct bytes_in *r)
{
    return (uint32_t)bytes_get_le(bytes_take(r, 4), 4);
}

uint64_t bytes_take64(struct bytes_in *r)
{
    return bytes_get_le(bytes_take(r, 8), 8);
}

const char *bytes_take_string(struct bytes_in *r, size_t max)
{
    const size_t n = bytes_take32(r);
    const uint8_t *p;

    if (n > max)
        r->bad = true;
    p = r->bad ? NULL : bytes_take(r, n + 1);
    if (r->bad || memchr(p, 0, n + 1) != p + n) {
        r->bad = true;
        return "";
    }
    return (const char *)p;
}

bool bytes_at_end(const struct bytes_in *r)
{
    for (const uint8_t *p = r->p; p < r->end; p++)
        if (*p)
            return false;
    return r->end - r->p < 8;
}
