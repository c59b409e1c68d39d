#include "util/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int words_quote(struct buf *out, const char *s)
{
    const size_t start = out->len;
    int r = buf_putc(out, '\'');

    for (; r == 0 && *s; s++)
        r = *s == '\'' ? buf_puts(out, "'\\''") : buf_putc(out, *s);
    if (r == 0)
        r = buf_putc(out, '\'');
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

/* Copies one word to *to and moves both past it. -EINVAL: a quote is not closed. */
static int take_word(const char **from, char **to)
{
    const char *p = *from;
    char *out = *to;
    char quote = '\0';

    for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
        if (quote == '\0' && (*p == '\'' || *p == '"'))
            quote = *p;
        else if (quote && *p == quote)
            quote = '\0';
        else if (*p == '\\' && quote != '\'' && p[1] && (quote == '\0' || strchr("\"\\$`\n", p[1])))
            *out++ = *++p;
        else
            *out++ = *p;
    }
    if (quote)
        return -EINVAL;
    *out++ = '\0';
    *from = p;
    *to = out;
    return 0;
}

int words_split(const char *line, char ***ret, int *ret_count)
{
    const size_t pointers = (WORDS_MAX + 1) * sizeof(char *);
    char **argv = malloc(pointers + strlen(line) + 2);
    int argc = 0, r = 0;
    char *text;

    if (!argv)
        return -ENOMEM;
    text = (char *)argv + pointers;
    for (;;) {
        line += strspn(line, " \t\r\n");
        if (*line == '\0' || *line == '#')
            break;
        if (argc == WORDS_MAX) {
            r = -EINVAL;
            break;
        }
        argv[argc++] = text;
        r = take_word(&line, &text);
        if (r < 0)
            break;
    }
    if (r < 0) {
        free(argv);
        return r;
    }
    argv[argc] = NULL;
    *ret = argv;
    *ret_count = argc;
    return 0;
}

enum { NEAREST_LEN_MAX = 64 };

static size_t distance(const char *a, const char *b)
{
    const size_t alen = strlen(a), blen = strlen(b);
    size_t row[NEAREST_LEN_MAX + 1];

    if (alen > NEAREST_LEN_MAX || blen > NEAREST_LEN_MAX)
        return NEAREST_LEN_MAX;
    for (size_t j = 0; j <= blen; j++)
        row[j] = j;
    for (size_t i = 1; i <= alen; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= blen; j++) {
            const size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            const size_t less = row[j] < row[j - 1] ? row[j] : row[j - 1];

            diagonal = row[j];
            row[j] = replace < less + 1 ? replace : less + 1;
        }
    }
    return row[blen];
}

const char *words_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t best = strlen(word) / 3 + 2; /* further away is another word, not a slip */
    const char *nearest = NULL;

    for (size_t i = 0; i < count; i++) {
        const size_t d = distance(word, candidates[i]);

        if (d < best) {
            best = d;
            nearest = candidates[i];
        }
    }
    return nearest;
}
