/*
 * spool.h - the lines of an endless answer: the unread ones, and of those that were read as many as
 * fit, so that a reader may go back. Pure: no locks, no clock.
 */
#ifndef CTL_SPOOL_H
#define CTL_SPOOL_H

#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { SPOOL_MAX = 64 * 1024 };

struct spool {
    struct buf kept;
    uint64_t first;  /* position of the first byte kept */
    uint64_t cursor; /* where the last read ended */
    bool lost;       /* the last line says so; nothing is taken until it is read */
};

void spool_init(struct spool *s);
void spool_done(struct spool *s);

uint64_t spool_end(const struct spool *s); /* position after the last byte kept */
bool spool_unread(const struct spool *s);

/*
 * Takes one line, whole, with its newline. -ENOBUFS: the reader is too slow; then the caller adds
 * one line that says so with spool_lose. While that one is unread, lines are dropped and 0 is
 * returned. A line longer than SPOOL_MAX never fits.
 */
int spool_add(struct spool *s, const char *line, size_t n);
int spool_lose(struct spool *s, const char *line, size_t n);

/* Copies what there is from position on; moves the cursor. Bytes; 0: nothing there yet. */
size_t spool_read(struct spool *s, uint64_t position, void *p, size_t n);

#endif
