/* emit.h - the answer, on its way out: frames in base64 between tokens. Memory is bounded. */
#ifndef HELPER_EMIT_H
#define HELPER_EMIT_H

#include "helper/walk.h"
#include "proto/proto.h"

#include <stdbool.h>

struct emit {
    const char *token;
    struct buf raw;     /* frames not yet encoded */
    struct buf entries; /* entries not yet in a frame */
    uint64_t sent;      /* bytes of frames so far, raw included */
    uint64_t count;     /* entries so far */
    int err;            /* the first failure, -errno: nothing more is written after it */
    bool held;          /* what came since then is still in raw and entries */
    size_t held_at;     /* in raw */
    uint64_t held_count;
    bool unfinished; /* a job that was asked about still runs: what follows is not run */
};

int emit_open(struct emit *e, const char *token); /* writes the first token */
void emit_frame(struct emit *e, enum proto_kind kind, const struct buf *body);
/* Encodes with put, e.g. proto_put_end, which appends a whole frame. */
#define EMIT(e, put, message) emit_raw((e), (put)(emit_room(e), (message)))
struct buf *emit_room(struct emit *e); /* where a proto_put_… may append a frame */
void emit_raw(struct emit *e, int r);  /* says how that went */

void emit_entry(struct emit *e, const struct proto_entry *entry); /* gathered into frames */
int emit_close(struct emit *e, int err, bool more); /* PROTO_END, the last token; 0 or -errno */

/*
 * What follows is kept back until emit_release, or until it is more than memory is there for; and
 * emit_take_back forgets it: false if some of it has gone out.
 */
void emit_hold(struct emit *e);
bool emit_take_back(struct emit *e);
void emit_release(struct emit *e);

/* attr as an entry; the name and target stay borrowed. */
struct proto_entry emit_entry_of(const struct look *attr, const char *name, const char *target);

#endif
