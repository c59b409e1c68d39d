#include "wire/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at p, 0 if there is none (Unicode, table 3-7). */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    static const struct {
        unsigned char first, last; /* of the first byte */
        unsigned char low, high;   /* of the second */
        size_t len;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const size_t len = forms[i].len;

        if (p[0] < forms[i].first || p[0] > forms[i].last)
            continue;
        if (len > n || (len > 1 && (p[1] < forms[i].low || p[1] > forms[i].high)))
            return 0;
        for (size_t k = 2; k < len; k++) {
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        }
        return len;
    }
    return 0;
}

bool json_utf8_valid(const void *p, size_t n)
{
    const unsigned char *s = p;

    for (size_t i = 0; i < n;) {
        const size_t len = utf8_len(s + i, n - i);

        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

int json_to_utf8(struct buf *out, const void *p, size_t n)
{
    const unsigned char *s = p;
    const size_t start = out->len;
    int r = 0;

    for (size_t i = 0; i < n && r == 0;) {
        const size_t len = utf8_len(s + i, n - i);

        r = len ? buf_append(out, s + i, len) : buf_puts(out, "\xef\xbf\xbd");
        i += len ? len : 1;
    }
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

static void put(struct json_out *o, const void *p, size_t n)
{
    if (o->err == 0)
        o->err = buf_append(o->buf, p, n);
}

static void put_text(struct json_out *o, const char *s)
{
    put(o, s, strlen(s));
}

/* Before each key and each value that has no key. */
static void separate(struct json_out *o)
{
    if (o->comma)
        put(o, ",", 1);
    o->comma = true;
}

void json_open(struct json_out *o, char bracket)
{
    separate(o);
    put(o, &bracket, 1);
    o->comma = false;
}

void json_close(struct json_out *o, char bracket)
{
    put(o, &bracket, 1);
    o->comma = true;
}

/* What Go's encoder escapes in ASCII; NULL: as it is. */
static const char *escape_of(unsigned char c, char tmp[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        break;
    }
    if (c >= 0x20 && c != '<' && c != '>' && c != '&')
        return NULL;
    snprintf(tmp, 8, "\\u%04x", c);
    return tmp;
}

static void put_quoted(struct json_out *o, const unsigned char *s, size_t n)
{
    size_t start = 0, i = 0; /* from start to i nothing needs a change */
    char tmp[8];

    put(o, "\"", 1);
    while (i < n) {
        const size_t len = utf8_len(s + i, n - i);
        const char *instead = len == 0 ? "\\ufffd" : len == 1 ? escape_of(s[i], tmp) : NULL;

        if (instead) {
            put(o, s + start, i - start);
            put_text(o, instead);
            start = i + 1;
        }
        i += len ? len : 1;
    }
    if (i > start)
        put(o, s + start, i - start);
    put(o, "\"", 1);
}

void json_key(struct json_out *o, const char *key)
{
    separate(o);
    put_quoted(o, (const unsigned char *)key, strlen(key));
    put(o, ":", 1);
    o->comma = false;
}

void json_bytes(struct json_out *o, const void *p, size_t n)
{
    separate(o);
    put_quoted(o, p, n);
}

void json_string(struct json_out *o, const char *s)
{
    json_bytes(o, s ? s : "", s ? strlen(s) : 0);
}

void json_int(struct json_out *o, int64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)v);
    separate(o);
    put_text(o, text);
}

void json_double(struct json_out *o, double v)
{
    char text[40];

    if (!isfinite(v)) {
        json_null(o);
        return;
    }
    /* The shortest of these that reads back as v; the locale may have put a comma in. */
    for (int digits = 6; digits <= 17; digits++) {
        double back;

        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (sscanf(text, "%lf", &back) == 1 && back == v)
            break;
    }
    for (char *c = text; *c; c++) {
        if (*c == ',')
            *c = '.';
    }
    separate(o);
    put_text(o, text);
}

void json_bool(struct json_out *o, bool v)
{
    separate(o);
    put_text(o, v ? "true" : "false");
}

void json_null(struct json_out *o)
{
    separate(o);
    put_text(o, "null");
}

void json_pairs(struct json_out *o, const struct json_pairs *p)
{
    json_open(o, '{');
    for (size_t i = 0; i < p->count; i++) {
        json_key(o, p->list[i].key);
        json_string(o, p->list[i].value);
    }
    json_close(o, '}');
}

void json_strings(struct json_out *o, const struct json_strings *s)
{
    json_open(o, '[');
    for (size_t i = 0; i < s->count; i++)
        json_string(o, s->list[i]);
    json_close(o, ']');
}

static bool is_empty(const struct json_field *f, const void *at)
{
    switch (f->type) {
    case JSON_STRING:
        return !*(char *const *)at || !**(char *const *)at;
    case JSON_BOOL:
        return !*(const bool *)at;
    case JSON_INT:
        return *(const int64_t *)at == JSON_ABSENT;
    case JSON_SIZE:
        return *(const uint64_t *)at == 0;
    case JSON_DOUBLE:
        return *(const double *)at == 0;
    case JSON_PAIRS:
        return ((const struct json_pairs *)at)->count == 0;
    case JSON_STRINGS:
        return ((const struct json_strings *)at)->count == 0;
    }
    return true;
}

static void put_field(struct json_out *o, const struct json_field *f, const void *at)
{
    switch (f->type) {
    case JSON_STRING:
        json_string(o, *(char *const *)at);
        break;
    case JSON_BOOL:
        json_bool(o, *(const bool *)at);
        break;
    case JSON_INT:
        json_int(o, *(const int64_t *)at);
        break;
    case JSON_SIZE:
        json_int(o, (int64_t) * (const uint64_t *)at);
        break;
    case JSON_DOUBLE:
        json_double(o, *(const double *)at);
        break;
    case JSON_PAIRS:
        json_pairs(o, at);
        break;
    case JSON_STRINGS:
        json_strings(o, at);
        break;
    }
}

void json_fields(struct json_out *o, const struct json_field *fields, size_t count, const void *p)
{
    for (size_t i = 0; i < count; i++) {
        const void *at = (const char *)p + fields[i].offset;

        if ((fields[i].flags & JSON_OMIT) && is_empty(&fields[i], at))
            continue;
        json_key(o, fields[i].key);
        put_field(o, &fields[i], at);
    }
}
