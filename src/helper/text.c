#include "helper/text.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

struct out {
    char *p;
    size_t len, size;
};

static void put(struct out *o, char c)
{
    if (o->len + 1 < o->size)
        o->p[o->len++] = c;
}

static void put_number(struct out *o, uint64_t v, unsigned base)
{
    char digits[24];
    size_t n = 0;

    do
        digits[n++] = "0123456789abcdef"[v % base];
    while ((v /= base) > 0);
    while (n > 0)
        put(o, digits[--n]);
}

size_t text_make(char *p, size_t size, const char *format, ...)
{
    struct out o = {.p = p, .size = size};
    va_list ap;

    va_start(ap, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(&o, *format);
            continue;
        }
        format++;
        if (*format == 'c') {
            put(&o, (char)va_arg(ap, int));
        } else if (*format == 's') {
            for (const char *s = va_arg(ap, const char *); *s; s++)
                put(&o, *s);
        } else if (*format == 'l') {
            format += 2;
            put_number(&o, va_arg(ap, unsigned long long), 10);
        } else {
            put_number(&o, va_arg(ap, unsigned), *format == 'x' ? 16 : 10);
        }
    }
    va_end(ap);
    o.p[o.len] = '\0';
    return o.len;
}

void text_read(const char *path, char *out, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1); /* /proc gives it in one */

    out[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

unsigned long long text_number(const char **p, unsigned base)
{
    static const char digits[] = "0123456789abcdef";
    unsigned long long v = 0;
    const char *digit;

    *p += strspn(*p, " \t");
    for (; **p && (digit = strchr(digits, **p)) && (unsigned)(digit - digits) < base; (*p)++)
        v = v * base + (unsigned)(digit - digits);
    return v;
}
