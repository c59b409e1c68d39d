/* mem_data.h - the bytes of a file in memory, holes included. For remote_mem; not locked. */
#ifndef REMOTE_MEM_DATA_H
#define REMOTE_MEM_DATA_H

#include <stdint.h>

struct mem_chunk;

struct mem_data {
    struct mem_chunk *chunks; /* by index; a missing one is a hole */
    uint64_t size, chunk_count;
};

void mem_data_done(struct mem_data *d);
void mem_data_resize(struct mem_data *d, uint64_t size); /* what appears reads as zeros */
/* The whole content from fd, 0 to size. On failure d is as it was. -EIO: fd is shorter. */
int mem_data_load(struct mem_data *d, int fd, uint64_t size);
/* Writes off to off+len into fd at the same offsets, not beyond the end. */
int mem_data_store(const struct mem_data *d, uint64_t off, uint64_t len, int fd, uint64_t *ret_len);

/* d is empty before: the first bytes of from. */
int mem_data_copy(struct mem_data *d, const struct mem_data *from, uint64_t size);
/* Grows d as needed; on failure some of it is written. */
int mem_data_write(struct mem_data *d, const void *p, uint64_t n, uint64_t off);
void mem_data_read(const struct mem_data *d, void *p, uint64_t n, uint64_t off); /* within size */

enum { MEM_CHUNK = 64 * 1024 };

#endif
