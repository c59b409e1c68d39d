#include "remote/shcmd.h"

#include "util/base64.h"
#include "util/errtext.h"
#include "util/random.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void shcmd_init(struct shcmd *s)
{
    memset(s, 0, sizeof(*s));
    buf_init(&s->body, SHCMD_MAX);
    s->err = random_hex(s->token, SHCMD_TOKEN_LEN);
}

void shcmd_done(struct shcmd *s)
{
    buf_done(&s->body);
}

static void stick(struct shcmd *s, int r)
{
    if (s->err == 0)
        s->err = r;
}

void shcmd_add(struct shcmd *s, const char *fmt, ...)
{
    const size_t start = s->body.len;
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = buf_vprintf(&s->body, fmt, ap);
    va_end(ap);
    if (r < 0)
        stick(s, r);
    else if (strpbrk(buf_str(&s->body) + start, "'\n"))
        stick(s, -EINVAL);
}

/* These mean nothing inside "…" of any sh. */
static bool is_plain(unsigned char c)
{
    return isascii(c) && (isalnum(c) || strchr("/._-+,:=@%^~ #*?[](){}<>|&;", c));
}

void shcmd_set(struct shcmd *s, const char *name, const char *value)
{
    const unsigned char *p = (const unsigned char *)value;
    size_t plain = 0;

    while (p[plain] && is_plain(p[plain]))
        plain++;
    if (!p[plain]) {
        shcmd_add(s, "%s=\"%s\";", name, value);
        return;
    }
    /* A substitution drops newlines at its end: the x keeps them. */
    shcmd_add(s, "%s=$(printf \"", name);
    for (; *p; p++) {
        if (*p == '%')
            shcmd_add(s, "%%%%");
        else if (is_plain(*p))
            shcmd_add(s, "%c", *p);
        else
            shcmd_add(s, "\\%03o", *p);
    }
    shcmd_add(s, "x\");%s=${%s%%x};", name, name);
}

int shcmd_command(struct shcmd *s, char **ret)
{
    struct buf line = BUF_INIT(SHCMD_MAX + 1024);
    char *p;
    int r;

    if (s->err < 0)
        return s->err;
    r = buf_printf(&line,
                   "sh -c 'LC_ALL=C;export LC_ALL;exec 3>&1;printf \"\\n%s:1\\n\";"
                   "fail(){ echo \": $*\" >&2;exit 1; };"
                   "e=$({ %s } 2>&1);s=$?;"
                   "printf \"\\n%s:2 %%s\\n%%s\\n%s:3\\n\" \"$s\" \"$e\"' </dev/null",
                   s->token, buf_str(&s->body), s->token, s->token);
    p = r < 0 ? NULL : buf_take(&line);
    buf_done(&line);
    if (!p)
        return r < 0 ? r : -ENOMEM;
    *ret = p;
    return 0;
}

void shcmd_answer_done(struct shcmd_answer *a)
{
    for (size_t i = 0; i < SHCMD_PARTS_MAX; i++)
        buf_done(&a->part[i]);
    free(a->text);
    memset(a, 0, sizeof(*a));
}

/* The place behind "\nTOKEN:which", *ret_start before it; NULL if it is not there. */
static const char *find_mark(const char *p, const char *end, const char *token, char which,
                             const char **ret_start)
{
    char mark[SHCMD_TOKEN_LEN + 3];
    const size_t n = sizeof(mark);
    const char *at;

    mark[0] = '\n';
    memcpy(mark + 1, token, SHCMD_TOKEN_LEN);
    mark[n - 2] = ':';
    mark[n - 1] = which;
    at = memmem(p, (size_t)(end - p), mark, n);
    if (!at)
        return NULL;
    *ret_start = at;
    return at + n;
}

static int decode_parts(const char *p, const char *end, struct shcmd_answer *a)
{
    int r;

    for (;;) {
        const char *dash = memchr(p, '-', (size_t)(end - p));
        const char *stop = dash ? dash : end;
        struct buf *part = &a->part[a->part_count];

        if (a->part_count == SHCMD_PARTS_MAX)
            return -EBADMSG;
        buf_init(part, (size_t)(stop - p) + 1);
        r = base64_decode(part, p, (size_t)(stop - p));
        if (r < 0)
            return r;
        a->part_count++;
        if (!dash)
            return 0;
        p = dash + 1;
    }
}

/* " 0\n": one to three digits, at most 255. Returns what follows, NULL if it is not that. */
static const char *decode_status(const char *p, const char *end, int *ret)
{
    int status = 0, digits = 0;

    if (p == end || *p++ != ' ')
        return NULL;
    for (; p < end && *p >= '0' && *p <= '9' && digits < 3; p++, digits++)
        status = status * 10 + (*p - '0');
    if (digits == 0 || status > 255 || p == end || *p != '\n')
        return NULL;
    *ret = status;
    return p + 1;
}

int shcmd_decode(const char *token, const char *out, size_t len, struct shcmd_answer *ret)
{
    const char *end = out + len;
    struct shcmd_answer a = {0};
    const char *p, *parts, *text, *stop;
    int r;

    if (len == 0)
        return -EBADMSG;
    parts = find_mark(out, end, token, '1', &stop);
    if (!parts)
        return -EBADMSG;
    p = find_mark(parts, end, token, '2', &stop);
    if (!p)
        return -EBADMSG;
    r = decode_parts(parts, stop, &a);
    if (r == 0) {
        text = decode_status(p, end, &a.status);
        /* An empty text leaves the newline before it to the last mark. */
        if (!text || !find_mark(text - 1, end, token, '3', &stop))
            r = -EBADMSG;
    }
    if (r == 0) {
        a.text = strndup(text, stop < text ? 0 : (size_t)(stop - text));
        if (!a.text)
            r = -ENOMEM;
    }
    if (r < 0)
        shcmd_answer_done(&a);
    else
        *ret = a;
    return r;
}

int shcmd_errno(const struct shcmd_answer *a)
{
    /* mv knows some things before it asks the kernel, and then there is no errno to print. */
    static const struct {
        const char *part;
        int err;
    } phrases[] = {
        {"cannot overwrite directory", -EISDIR},
        {"cannot overwrite non-directory", -ENOTDIR},
        {"to a subdirectory of itself", -EINVAL},
        {"cannot overwrite existing file", -EEXIST}, /* bash's noclobber */
        {"nonexistent directory", -ENOENT},          /* busybox ash and dash */
        {"Directory nonexistent", -ENOENT},
    };
    char *copy, *save = NULL;
    int r = 0;

    if (a->status == 0)
        return 0;
    copy = strdup(a->text);
    if (!copy)
        return -ENOMEM;
    for (char *line = strtok_r(copy, "\n", &save); line && r == 0;
         line = strtok_r(NULL, "\n", &save)) {
        r = errtext_parse(line);
        for (size_t i = 0; r == 0 && i < sizeof(phrases) / sizeof(phrases[0]); i++)
            if (strstr(line, phrases[i].part))
                r = phrases[i].err;
    }
    free(copy);
    return r ? r : -EIO;
}
