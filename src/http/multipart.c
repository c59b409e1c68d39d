/*
 * A machine that looks at each byte once. Its states:
 *
 *   PREAMBLE   before the first boundary; content is dropped, up to a limit
 *   HEADERS    of a part, to the blank line
 *   COUNTED    content of known length: left bytes are to come
 *   AFTER      behind it: a delimiter, or the part lied (see multipart.h about length 0)
 *   SCANNED    content up to the delimiter
 *   CLOSED     the closing boundary came
 *   FAILED     err says why
 *
 * A delimiter is CRLF "--" boundary, then CRLF (another part) or "--" (the last). As CR occurs
 * nowhere else in it (and what follows a CR that did not fit is no LF), a mismatch means that all
 * that had matched was content, and that a new match can begin no sooner than at the byte that did
 * not fit. So how much has matched is all there is to remember.
 */
#include "http/multipart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BOUNDARY_MAX = 70, HEADERS_MAX = 16 << 10, PREAMBLE_MAX = 16 << 10 };

enum state { PREAMBLE, HEADERS, COUNTED, AFTER, SCANNED, CLOSED, FAILED };

struct multipart {
    struct multipart_ops ops;
    void *arg;
    enum state state;
    int err;
    char delimiter[BOUNDARY_MAX + 4]; /* CRLF "--" boundary */
    size_t delimiter_len;
    size_t matched; /* bytes of the delimiter; one more: tail is the byte behind it */
    char tail;
    size_t preamble;    /* bytes dropped */
    unsigned parts;     /* begun so far */
    int64_t length;     /* this part's, -1: not said */
    uint64_t left;      /* COUNTED */
    uint64_t off;       /* content given to data() */
    struct buf headers; /* of this part */
};

/* Looks for key among the ;-separated parameters of a header value; appends its value to out. */
static int find_param(const char *p, const char *key, struct buf *out)
{
    const size_t key_len = strlen(key);

    p += strcspn(p, ";");
    while (*p == ';') {
        bool found, quoted;

        p += 1 + strspn(p + 1, " \t");
        found = strncasecmp(p, key, key_len) == 0 && p[key_len] == '=';
        p += strcspn(p, ";=");
        if (*p != '=')
            continue;
        quoted = p[1] == '"';
        p += quoted ? 2 : 1;
        for (; *p && (quoted ? *p != '"' : *p != ';'); p++) {
            if (quoted && *p == '\\' && p[1])
                p++;
            if (found && buf_putc(out, *p) < 0)
                return -EPROTO;
        }
        if (found)
            return 0;
        p += strcspn(p, ";");
    }
    return -ENOENT;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 5987: utf-8'language'%XX…, in place. -EINVAL: not that, or it holds a NUL. */
static int decode_extended(struct buf *b)
{
    static const char charset[] = "utf-8'";
    char *in, *out = b->data;

    if (!b->data || strncasecmp(b->data, charset, strlen(charset)) != 0)
        return -EINVAL;
    in = strchr(b->data + strlen(charset), '\'');
    if (!in)
        return -EINVAL;
    for (in++; *in; in++) {
        char c = *in;

        if (c == '%') {
            const int high = hex_value(in[1]), low = high < 0 ? -1 : hex_value(in[2]);

            if (low < 0 || high + low == 0)
                return -EINVAL;
            c = (char)(high * 16 + low);
            in += 2;
        }
        *out++ = c;
    }
    buf_truncate(b, (size_t)(out - b->data));
    return 0;
}

static int parse_length(const char *value, int64_t *ret)
{
    int64_t n = 0;

    if (*ret >= 0 || *value == '\0')
        return -EPROTO; /* said twice, or not at all */
    for (; *value >= '0' && *value <= '9'; value++) {
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *value - '0', &n))
            return -EPROTO;
    }
    if (*value != '\0')
        return -EPROTO;
    *ret = n;
    return 0;
}

struct fields {
    struct buf name, filename, extended, type;
};

static int parse_header(struct multipart *m, const char *line, struct fields *f)
{
    const char *value = strchr(line, ':');
    const size_t len = value ? (size_t)(value - line) : 0;
    int r = 0;

    if (!value)
        return -EPROTO;
    value += 1 + strspn(value + 1, " \t");
    if (len == 14 && strncasecmp(line, "Content-Length", len) == 0)
        return parse_length(value, &m->length);
    if (len == 12 && strncasecmp(line, "Content-Type", len) == 0)
        return buf_puts(&f->type, value);
    if (len != 19 || strncasecmp(line, "Content-Disposition", len) != 0)
        return 0;
    r = find_param(value, "name", &f->name);
    if (r == 0 || r == -ENOENT)
        r = find_param(value, "filename", &f->filename);
    if (r == 0 || r == -ENOENT)
        r = find_param(value, "filename*", &f->extended);
    return r == -ENOENT ? 0 : r;
}

static int begin_part(struct multipart *m, struct fields *f)
{
    const bool extended = f->extended.len > 0 && decode_extended(&f->extended) == 0;
    const struct multipart_part part = {
        .index = m->parts++,
        .name = buf_str(&f->name),
        .filename = buf_str(extended ? &f->extended : &f->filename),
        .type = buf_str(&f->type),
        .content_length = m->length,
    };

    m->off = 0;
    m->matched = 0;
    m->left = m->length > 0 ? (uint64_t)m->length : 0;
    m->state = m->length < 0 ? SCANNED : m->length == 0 ? AFTER : COUNTED;
    return m->ops.begin(m->arg, &part);
}

/* m->headers holds all lines, the blank one included. */
static int end_headers(struct multipart *m)
{
    struct fields f = {BUF_INIT(HEADERS_MAX), BUF_INIT(HEADERS_MAX), BUF_INIT(HEADERS_MAX),
                       BUF_INIT(HEADERS_MAX)};
    char *line = m->headers.data, *end;
    int r = memchr(line, '\0', m->headers.len) ? -EPROTO : 0;

    m->length = -1;
    for (; r == 0 && (end = strstr(line, "\r\n")) && end != line; line = end + 2) {
        *end = '\0';
        r = parse_header(m, line, &f);
    }
    if (r == 0)
        r = begin_part(m, &f);
    buf_truncate(&m->headers, 0);
    buf_done(&f.name);
    buf_done(&f.filename);
    buf_done(&f.extended);
    buf_done(&f.type);
    return r;
}

/* Takes header bytes up to the end of a line; that is how far *ret_taken goes. */
static int take_headers(struct multipart *m, const char *p, size_t n, size_t *ret_taken)
{
    const char *newline = memchr(p, '\n', n);
    const size_t take = newline ? (size_t)(newline - p) + 1 : n;
    const char *h;
    size_t len;

    if (buf_append(&m->headers, p, take) < 0)
        return -EPROTO;
    *ret_taken = take;
    if (!newline)
        return 0;
    h = m->headers.data;
    len = m->headers.len;
    if (len < 2 || h[len - 2] != '\r')
        return -EPROTO;
    if (len == 2 || h[len - 3] == '\n')
        return end_headers(m);
    return 0;
}

static int content(struct multipart *m, const char *p, size_t n)
{
    int r;

    if (n == 0)
        return 0;
    if (m->state == PREAMBLE) {
        m->preamble += n;
        return m->preamble > PREAMBLE_MAX ? -EPROTO : 0;
    }
    if (m->state == AFTER) {
        if (m->length != 0)
            return -EPROTO;
        m->state = SCANNED;
    }
    r = m->ops.data(m->arg, m->off, p, n);
    m->off += n;
    return r;
}

static int found_delimiter(struct multipart *m, bool last)
{
    const bool in_part = m->state != PREAMBLE;

    m->matched = 0;
    m->state = last ? CLOSED : HEADERS;
    return in_part ? m->ops.end(m->arg) : 0;
}

/* What had matched was content after all. */
static int mismatch(struct multipart *m)
{
    const size_t matched = m->matched;
    const size_t whole = matched > m->delimiter_len ? m->delimiter_len : matched;
    int r;

    m->matched = 0;
    r = content(m, m->delimiter, whole);
    if (r < 0 || matched == whole)
        return r;
    return content(m, &m->tail, 1);
}

/* One step of the match; *ret_taken is 0 when the byte has to be looked at again. */
static int match(struct multipart *m, const char *p, size_t *ret_taken)
{
    *ret_taken = 1;
    if (m->matched < m->delimiter_len) {
        if (*p == m->delimiter[m->matched]) {
            m->matched++;
            return 0;
        }
    } else if (m->matched == m->delimiter_len) {
        if (*p == '\r' || *p == '-') {
            m->tail = *p;
            m->matched++;
            return 0;
        }
    } else if (*p == (m->tail == '-' ? '-' : '\n')) {
        return found_delimiter(m, *p == '-');
    }
    *ret_taken = 0;
    return mismatch(m);
}

static int take_until_delimiter(struct multipart *m, const char *p, size_t n, size_t *ret_taken)
{
    const char *cr;

    if (m->matched > 0)
        return match(m, p, ret_taken);
    cr = memchr(p, '\r', n);
    *ret_taken = cr ? (size_t)(cr - p) : n;
    if (*ret_taken > 0)
        return content(m, p, *ret_taken);
    return match(m, p, ret_taken);
}

static int take_counted(struct multipart *m, const char *p, size_t n, size_t *ret_taken)
{
    *ret_taken = n < m->left ? n : (size_t)m->left;
    m->left -= *ret_taken;
    if (m->left == 0)
        m->state = AFTER;
    m->off += *ret_taken;
    return m->ops.data(m->arg, m->off - *ret_taken, p, *ret_taken);
}

int multipart_feed(struct multipart *m, const void *data, size_t n)
{
    const char *p = data;
    size_t taken = 0;
    int r = 0;

    if (m->state == FAILED)
        return m->err;
    for (; r == 0 && n > 0 && m->state != CLOSED; p += taken, n -= taken) {
        switch (m->state) {
        case HEADERS:
            r = take_headers(m, p, n, &taken);
            break;
        case COUNTED:
            r = take_counted(m, p, n, &taken);
            break;
        default:
            r = take_until_delimiter(m, p, n, &taken);
        }
    }
    if (r < 0) {
        m->state = FAILED;
        m->err = r;
    }
    return r;
}

int multipart_finish(const struct multipart *m)
{
    if (m->state == FAILED)
        return m->err;
    return m->state == CLOSED ? 0 : -EPROTO;
}

int multipart_new(const char *content_type, const struct multipart_ops *ops, void *arg,
                  struct multipart **ret)
{
    struct buf boundary = BUF_INIT(BOUNDARY_MAX);
    struct multipart *m = NULL;
    int r = -EPROTO;

    if (strncasecmp(content_type, "multipart/", 10) != 0)
        goto out;
    if (find_param(content_type, "boundary", &boundary) < 0 || boundary.len == 0 ||
        strpbrk(boundary.data, "\r\n"))
        goto out;
    m = calloc(1, sizeof(*m));
    r = m ? 0 : -ENOMEM;
    if (!m)
        goto out;
    m->ops = *ops;
    m->arg = arg;
    m->delimiter_len = 4 + boundary.len;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.data, boundary.len);
    m->matched = 2; /* the first boundary needs no CRLF before it */
    buf_init(&m->headers, HEADERS_MAX);
    *ret = m;
out:
    buf_done(&boundary);
    return r;
}

struct multipart *multipart_free(struct multipart *m)
{
    if (m)
        buf_done(&m->headers);
    free(m);
    return NULL;
}
