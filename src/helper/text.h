/*
 * text.h - the little of stdio and strtol that is needed here: all of it would be an eighth of the
 * program.
 */
#ifndef HELPER_TEXT_H
#define HELPER_TEXT_H

#include <stddef.h>

/* As snprintf, cut at size, of %c %s %d (not negative) %u %x %llu alone. The length. */
size_t text_make(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The number at *p, behind blanks and tabs; 0 without one. Moves *p behind it. */
unsigned long long text_number(const char **p, unsigned base);
/* The first size - 1 bytes of a file, ended by NUL; "" if it cannot be read. */
void text_read(const char *path, char *out, size_t size);

#endif
