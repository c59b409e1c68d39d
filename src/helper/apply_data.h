/* apply_data.h - where the bytes of a written file come from, and how they get there. */
#ifndef HELPER_APPLY_DATA_H
#define HELPER_APPLY_DATA_H

#include "helper/apply.h"

/* What a WRITE makes of a file of old_size bytes. */
struct shape {
    uint64_t keep, size; /* both known now */
    uint64_t bytes;      /* of the pieces */
    uint64_t copied;     /* of the old file that no piece covers */
};
struct shape shape_of(const struct batch_change *c, uint64_t old_size);

/*
 * Both write into fd from *off on and move it as far as they came: -EAGAIN when it is late.
 * -EBADMSG and -ENODATA speak of the batch, everything else of the file.
 */
int data_build(struct apply *a, const struct batch_change *c, const struct shape *s, int old,
               int fd, uint64_t *off);
int data_patch(struct apply *a, const struct batch_change *c, int fd, uint64_t *off);
/* So that it does not fail half way. Where that cannot be known it is not. */
int data_reserve(const struct batch_change *c, int fd, uint64_t base);
/* Bytes off to off + n of what the pieces are together; zeros where none is. */
int data_gather(struct apply *a, const struct batch_change *c, uint64_t off, char *p, size_t n);
/* True if the file has the pieces, and is as large. */
bool data_is_there(struct apply *a, const struct batch_change *c, const struct shape *s, int fd);
/* How much of them is there, with the gaps. */
uint64_t data_total(const struct batch_change *c);
/* Of an APPEND: they stand behind where the file ended; it had `size` bytes then, with them. */
bool append_is_there(struct apply *a, const struct batch_change *c, int fd, uint64_t size);
bool is_about_the_batch(int r); /* not about the file */
/*
 * Opens it for writing. A file of ours whose mode does not allow that was opened by who wrote to it
 * before the mode came: it is written down in the intent and lifted for a moment. O_RDWR takes
 * O_WRONLY, too. The descriptor, or -errno; -EAGAIN: `stopped` is set.
 */
int data_open(struct apply *a, const struct place *p, int flags, mode_t made,
              struct intent *intent);

#endif
