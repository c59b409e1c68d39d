/* words.h - words and quoting as POSIX sh has them. The only place that quotes for a shell. */
#ifndef UTIL_WORDS_H
#define UTIL_WORDS_H

#include "util/buf.h"

/*
 * Appends s as one sh word in single quotes. It comes through sh, bash, dash, zsh and busybox ash
 * byte for byte. s must not be NULL.
 */
int words_quote(struct buf *out, const char *s);

/*
 * Splits line as sh does: blanks part words, '..', "..", and backslash quote, nothing expands. A
 * # that starts a word starts a comment. *ret is a NULL-ended array in one allocation: free(*ret).
 * -EINVAL for a quote that is not closed or more than WORDS_MAX words.
 */
enum { WORDS_MAX = 256 };
int words_split(const char *line, char ***ret, int *ret_count);

/* The candidate nearest to word by edit distance, or NULL when none is near enough to suggest. */
const char *words_nearest(const char *word, const char *const *candidates, size_t count);

#endif
