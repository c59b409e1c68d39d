/*
 * head.h - what the files of a journal begin with, and its bytes. Pure, as record.h.
 */
#ifndef JOURNAL_HEAD_H
#define JOURNAL_HEAD_H

#include "util/buf.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    JOURNAL_VERSION = 3,
    JOURNAL_VERSION_OLDEST = 1, /* is read, and rewritten as this one when it is opened */
};

/* What a log begins with, and says of itself. Strings as in struct journal_record: of a decoded one
 * they point into its bytes. */
struct journal_head {
    uint32_t version; /* when read */
    uint32_t salt;
    int64_t made_ns; /* real time */
    uint8_t client[16];
    const char *api_url, *sandbox_id, *slot;
};

enum { JOURNAL_HEAD_MIN = 48, JOURNAL_HEAD_MAX = 16384 };

int journal_head_put(struct buf *out, const struct journal_head *head);
/* Returns the bytes taken; -EBADMSG, or -EPROTONOSUPPORT for a version that is not read here. */
ssize_t journal_head_get(const void *p, size_t n, struct journal_head *ret);
/* What a damaged one, of JOURNAL_HEAD_MIN bytes at least, has in the salt's place. */
uint32_t journal_head_salt(const void *p);

/* What a segment begins with. */
enum { JOURNAL_SEGMENT_HEADER = 32 };
void journal_segment_put(uint8_t out[JOURNAL_SEGMENT_HEADER], uint32_t salt, uint64_t number);
int journal_segment_get(const void *p, size_t n, uint32_t salt, uint64_t number);
/* The salt of a whole one; -EBADMSG. */
int journal_segment_salt(const void *p, size_t n, uint32_t *ret);

#endif
