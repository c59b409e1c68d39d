/* batch_wire.h - remote/batch.h's batches as proto/batch.h has them. */
#ifndef REMOTE_BATCH_WIRE_H
#define REMOTE_BATCH_WIRE_H

#include "proto/batch.h"
#include "remote/batch.h"

/* Appends the frames of the request. whole: with changes and data. -E2BIG, -ENOMEM. */
int batch_wire_put(const struct remote_batch *b, bool whole, struct buf *out);
/* The same of a request to join; to has a name. */
int batch_wire_put_join(const struct remote_join *join, const struct remote_joined *to,
                        struct buf *out);

/* With c's pieces in place of pieces, which must have room for them. */
struct batch_change batch_wire_change(const struct remote_change *c, struct batch_piece *pieces);

#endif
