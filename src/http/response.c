/* An answer: its headers, and what its status means. */
#include "http/http_internal.h"

#include "util/array.h"
#include "util/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void http_response_done(struct http_response *r)
{
    buf_done(&r->headers);
    buf_done(&r->body);
}

int response_add_header(struct http_response *r, const char *line, size_t len)
{
    const char *colon;
    size_t name, i, start = r->headers.len;
    int err;

    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* what came before was a 1xx */
        buf_truncate(&r->headers, 0);
        return 0;
    }
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    colon = memchr(line, ':', len);
    if (!colon || colon == line || line[0] == ' ' || line[0] == '\t')
        return 0; /* the blank line, or a fold: obsolete, and no header we read is ever folded */
    name = (size_t)(colon - line);
    i = name + 1;
    while (i < len && (line[i] == ' ' || line[i] == '\t'))
        i++;

    err = buf_reserve(&r->headers, len + 3);
    if (err < 0)
        return err;
    (void)buf_append(&r->headers, line, name); /* reserved above, and what follows */
    (void)buf_puts(&r->headers, ": ");
    (void)buf_append(&r->headers, line + i, len - i);
    for (i = start; i < r->headers.len; i++) { /* one line of text, whatever was sent */
        char *c = &r->headers.data[i];

        if (i - start < name)
            *c = (char)tolower((unsigned char)*c);
        if ((unsigned char)*c < ' ')
            *c = ' ';
    }
    (void)buf_putc(&r->headers, '\n');
    return 0;
}

/* The line at p as name and value; returns the next, or NULL when there is none at p. */
static const char *next_header(const char *p, size_t *ret_name, const char **ret_value,
                               size_t *ret_len)
{
    const char *end = strchr(p, '\n');
    const char *colon;

    if (!end)
        return NULL;
    colon = strchr(p, ':');
    *ret_name = (size_t)(colon - p);
    *ret_value = colon + 2;
    *ret_len = (size_t)(end - *ret_value);
    return end + 1;
}

bool http_response_header(const struct http_response *r, const char *name, char *out, size_t size)
{
    const char *p = buf_str(&r->headers), *value, *next;
    size_t name_len, len;

    for (; (next = next_header(p, &name_len, &value, &len)); p = next) {
        if (name_len != strlen(name) || memcmp(p, name, name_len) != 0)
            continue;
        if (len >= size)
            return false; /* half a value would be another value */
        memcpy(out, value, len);
        out[len] = '\0';
        return true;
    }
    return false;
}

static int64_t parse_retry_after(const char *value)
{
    char *end;
    time_t date;
    long long s;

    errno = 0;
    s = strtoll(value, &end, 10);
    if (end != value && *end == '\0') {
        if (s < 0)
            return 0;
        return errno || s > INT64_MAX / NS_PER_S ? INT64_MAX : s * NS_PER_S;
    }
    date = curl_getdate(value, NULL);
    if (date == (time_t)-1)
        return -1;
    s = (long long)date - (long long)(clock_real_ns() / NS_PER_S);
    return s < 0 ? 0 : s * NS_PER_S;
}

int64_t response_retry_after_ns(const struct http_response *r)
{
    static const char prefix[] = "retry-after";
    const char *p = buf_str(&r->headers), *value, *next;
    size_t name_len, len;
    int64_t longest = -1;

    for (; (next = next_header(p, &name_len, &value, &len)); p = next) {
        char text[64];
        int64_t ns;

        if (strncmp(p, prefix, strlen(prefix)) != 0 || len >= sizeof(text) ||
            (p[strlen(prefix)] != ':' && p[strlen(prefix)] != '-'))
            continue;
        memcpy(text, value, len);
        text[len] = '\0';
        ns = parse_retry_after(text);
        if (ns > longest)
            longest = ns;
    }
    return longest;
}

int http_status_errno(int status)
{
    static const struct {
        int status, err;
    } rows[] = {
        {400, -EINVAL},     {401, -EACCES},    {403, -EACCES},       {404, -ENOENT},
        {405, -EOPNOTSUPP}, {408, -ETIMEDOUT}, {409, -EEXIST},       {410, -ENOENT},
        {412, -ESTALE},     {413, -EFBIG},     {414, -ENAMETOOLONG}, {416, -EINVAL},
        {422, -EOPNOTSUPP}, {423, -EBUSY},     {429, -EAGAIN},       {501, -EOPNOTSUPP},
        {502, -EHOSTDOWN},  {503, -EHOSTDOWN}, {504, -ETIMEDOUT},    {507, -ENOSPC},
    };

    if (status >= 200 && status <= 299)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].status == status)
            return rows[i].err;
    }
    if (status >= 400 && status <= 499)
        return -EINVAL;
    return status >= 500 && status <= 599 ? -EIO : -EPROTO;
}
