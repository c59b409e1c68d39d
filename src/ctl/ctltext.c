#include "ctl/ctltext.h"

#include "util/path.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of the UTF-8 character at p (strict: shortest form, no surrogates), 0 if it is none. */
static size_t utf8_len(const char *p, size_t n, uint32_t *ret_c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *u = (const unsigned char *)p;
    const size_t len = u[0] < 0x80 ? 1 : u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    uint32_t c = len == 1 ? u[0] : len == 2 ? u[0] & 0x1f : len == 3 ? u[0] & 0x0f : u[0] & 0x07;

    if (len == 0 || len > n || u[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (u[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *ret_c = c;
    return len;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

int ctltext_escape(struct buf *out, const char *p, size_t n)
{
    static const char special[] = "\t\n\\", letter[] = "tn\\";
    const size_t start = out->len;
    int r = 0;

    for (size_t i = 0; i < n && r == 0;) {
        uint32_t c = 0;
        size_t len = utf8_len(p + i, n - i, &c);
        const char *s = p[i] ? strchr(special, p[i]) : NULL;

        if (s) {
            r = buf_printf(out, "\\%c", letter[s - special]);
        } else if (len > 0 && !is_control(c)) {
            r = buf_append(out, p + i, len);
        } else {
            len = len > 0 ? len : 1;
            for (size_t k = 0; k < len && r == 0; k++)
                r = buf_printf(out, "\\x%02x", (unsigned char)p[i + k]);
        }
        i += len;
    }
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

int ctltext_json_string(struct buf *out, const char *p, size_t n)
{
    int r = buf_putc(out, '"');

    for (size_t i = 0; i < n && r == 0;) {
        uint32_t c = 0;
        size_t len = utf8_len(p + i, n - i, &c);

        if (len == 0) {
            r = buf_puts(out, "\\ufffd");
            len = 1;
        } else if (is_control(c)) {
            r = buf_printf(out, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\')
                r = buf_putc(out, '\\');
            if (r == 0)
                r = buf_append(out, p + i, len);
        }
        i += len;
    }
    return r < 0 ? r : buf_putc(out, '"');
}

/* -?(0|[1-9][0-9]*)(.[0-9]+)?, short enough to be exact. */
static bool is_number(const char *p, size_t n)
{
    size_t i = n > 0 && p[0] == '-';
    const size_t first = i;

    while (i < n && isdigit((unsigned char)p[i]))
        i++;
    if (i == first || i - first > 18 || (p[first] == '0' && i - first > 1))
        return false;
    if (i < n && p[i] == '.') {
        const size_t point = i++;

        while (i < n && isdigit((unsigned char)p[i]))
            i++;
        if (i == point + 1 || i - point > 18)
            return false;
    }
    return i == n;
}

/* True if a later line starts with the same key. */
static bool repeats(const char *rest, const char *key, size_t key_len)
{
    for (; *rest; rest += strcspn(rest, "\n"), rest += *rest == '\n')
        if (strcspn(rest, " \n") == key_len && memcmp(rest, key, key_len) == 0)
            return true;
    return false;
}

int ctltext_json(struct buf *out, const char *lines)
{
    const size_t start = out->len;
    const char *comma = "\n  ";
    int r = buf_putc(out, '{');

    while (*lines && r == 0) {
        const size_t len = strcspn(lines, "\n"), key_len = strcspn(lines, " \n");
        const char *key = lines, *value = lines + key_len + (key_len < len);
        const size_t value_len = (size_t)(key + len - value);

        lines += len + (lines[len] == '\n');
        if (key_len == 0 || repeats(lines, key, key_len))
            continue;
        r = buf_puts(out, comma);
        comma = ",\n  ";
        if (r == 0)
            r = ctltext_json_string(out, key, key_len);
        if (r == 0)
            r = buf_puts(out, ": ");
        if (r == 0)
            r = is_number(value, value_len) ? buf_append(out, value, value_len)
                                            : ctltext_json_string(out, value, value_len);
    }
    if (r == 0)
        r = buf_puts(out, "\n}\n");
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

int ctltext_path(const char *p, size_t n, char **ret)
{
    const char *nul = memchr(p, '\0', n);
    size_t len = nul ? (size_t)(nul - p) : n;
    char *path;

    if (nul && !(len + 1 == n || (len + 2 == n && p[len + 1] == '\n')))
        return -EINVAL;
    if (!nul && len > 0 && p[len - 1] == '\n')
        len--;
    if (len == 0 || (!nul && memchr(p, '\n', len)))
        return -EINVAL;
    if (len > PATH_LEN_MAX)
        return -ENAMETOOLONG;
    path = strndup(p, len);
    if (!path)
        return -ENOMEM;
    *ret = path;
    return 0;
}

size_t ctltext_line(const char *p, size_t n)
{
    char quote = '\0';
    bool comment = false, blank = true; /* blank: the byte before could not be part of a word */

    for (size_t i = 0; i < n; i++) {
        const char c = p[i];

        if (c == '\n' && !quote)
            return i + 1;
        if (comment)
            continue;
        if (c == '\\' && quote != '\'' && i + 1 < n)
            i++;
        else if (quote)
            quote = c == quote ? '\0' : quote;
        else if (c == '\'' || c == '"')
            quote = c;
        else if (c == '#' && blank)
            comment = true;
        blank = !quote && strchr(" \t\r", c) && c;
    }
    return n;
}
