/*
 * What the script prints, any number of times: the number of names, a newline; each name and a NUL;
 * the target of each, if it is a link, and a NUL; a line for each: device, inode, mode, links,
 * owner, group, size, raw mode, and the times of modification, change and access, first in seconds,
 * then with the fraction, as "2026-01-31 12:34:56.123456789 +0000".
 */
#include "remote/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char record_stat_script[] =
    "e(){ echo $#;for f;do printf '%s\\0' \"$f\";done;"
    "for f;do [ -L \"$f\" ]&&readlink -n -- \"$f\";printf '\\0';done;echo \"$s\"; };"
    "export TZ=UTC0;F='%d %i %a %h %u %g %s %f %Y %Z %X %y %z %x';"
    "if s=$(stat -c \"$F\" -- \"$@\" 2>/dev/null);then e \"$@\";"
    "else for g;do s=$(stat -c \"$F\" -- \"$g\")&&e \"$g\";done;fi";

enum {
    WORDS = 20, /* of a line: the last nine are three times of three words */
    WORD_MAX = 40,
    W_RAW = 7,
    W_SECONDS = 8,
    W_TIMES = 11,
    NUMBERS = 7, /* words that are there as find has them */
    DIGITS = 9,
};

struct text {
    const char *p, *end;
};

/* What is before the next stop, which is passed over. NULL: there is none. */
static const char *take(struct text *t, char stop, size_t *ret_len)
{
    const char *from = t->p, *at = memchr(t->p, stop, (size_t)(t->end - t->p));

    if (!at)
        return NULL;
    *ret_len = (size_t)(at - from);
    t->p = at + 1;
    return from;
}

static bool take_words(struct text *t, char words[WORDS][WORD_MAX + 1])
{
    for (int i = 0; i < WORDS; i++) {
        size_t len;
        const char *word = take(t, i + 1 < WORDS ? ' ' : '\n', &len);

        if (!word || len == 0 || len > WORD_MAX || memchr(word, '\0', len) ||
            memchr(word, '\n', len))
            return false;
        memcpy(words[i], word, len);
        words[i][len] = '\0';
    }
    return true;
}

static char type_of(const char *raw)
{
    char *end;
    const unsigned long mode = strtoul(raw, &end, 16);

    if (*end)
        return '?';
    switch (mode & S_IFMT) {
    case S_IFREG:
        return 'f';
    case S_IFDIR:
        return 'd';
    case S_IFLNK:
        return 'l';
    case S_IFIFO:
        return 'p';
    case S_IFSOCK:
        return 's';
    case S_IFCHR:
        return 'c';
    case S_IFBLK:
        return 'b';
    default:
        return '?';
    }
}

static int put_time(struct buf *out, const char *seconds, const char *clock, char end)
{
    const char *fraction = strchr(clock, '.');

    if (!fraction || strlen(fraction + 1) != DIGITS)
        return -EBADMSG;
    return buf_printf(out, "%s%s%c", seconds, fraction, end);
}

static int put_record(struct buf *out, char words[WORDS][WORD_MAX + 1], const char *name,
                      size_t name_len, const char *target)
{
    const char type = type_of(words[W_RAW]);
    int r = 0;

    if (type == 'l' && !*target)
        return 0; /* it went in between */
    for (int i = 0; i < NUMBERS && r == 0; i++)
        r = buf_printf(out, "%s ", words[i]);
    if (r == 0)
        r = buf_printf(out, "%c ", type);
    for (int i = 0; i < 3 && r == 0; i++)
        r = put_time(out, words[W_SECONDS + i], words[W_TIMES + 3 * i + 1], i < 2 ? ' ' : '\0');
    if (r == 0)
        r = buf_append(out, name, name_len);
    if (r == 0)
        r = buf_putc(out, '\0');
    if (r == 0 && type == 'l')
        r = buf_puts(out, target);
    return r < 0 ? r : buf_putc(out, '\0');
}

/* name is at or below base; what it is called there. NULL: it is not. */
static const char *below(const char *name, const char *base)
{
    const size_t len = strlen(base);

    if (strncmp(name, base, len) != 0)
        return NULL;
    name += len;
    if (*name == '\0' || (len > 0 && base[len - 1] == '/'))
        return name;
    return *name == '/' && name[1] ? name + 1 : NULL;
}

static int take_group(struct text *t, const char **base, struct buf *out)
{
    char words[WORDS][WORD_MAX + 1], *end;
    struct text names, targets;
    size_t len;
    const char *number = take(t, '\n', &len);
    unsigned long count;

    if (!number || len == 0 || len > 7)
        return -EBADMSG;
    count = strtoul(number, &end, 10);
    if (end != number + len || count == 0)
        return -EBADMSG;
    names = *t;
    for (unsigned long i = 0; i < count; i++)
        if (!take(t, '\0', &len))
            return -EBADMSG;
    targets = *t;
    for (unsigned long i = 0; i < count; i++)
        if (!take(t, '\0', &len))
            return -EBADMSG;
    for (unsigned long i = 0; i < count; i++) {
        const char *name = take(&names, '\0', &len), *target = take(&targets, '\0', &len);
        int r;

        if (!*base)
            *base = name;
        name = below(name, *base);
        if (!name || !take_words(t, words))
            return -EBADMSG;
        r = put_record(out, words, name, strlen(name), target);
        if (r < 0)
            return r;
    }
    return 0;
}

int record_from_stat(const char *p, size_t n, struct buf *out)
{
    struct text t = {p, p + n};
    const char *base = NULL;
    int r = 0;

    while (r == 0 && t.p < t.end)
        r = take_group(&t, &base, out);
    return r;
}
