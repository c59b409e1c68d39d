#include "remote/mem_data.h"
#include "util/keyedhash.h"

#include "util/io.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct mem_chunk {
    uint64_t index;
    UT_hash_handle hh;
    unsigned char bytes[MEM_CHUNK];
};

static const unsigned char zeros[MEM_CHUNK];

void mem_data_done(struct mem_data *d)
{
    for (struct mem_chunk *c = d->chunks, *next; c; c = next) {
        next = c->hh.next;
        HASH_DEL(d->chunks, c);
        free(c);
    }
    memset(d, 0, sizeof(*d));
}

void mem_data_resize(struct mem_data *d, uint64_t size)
{
    for (struct mem_chunk *c = d->chunks, *next; c; c = next) {
        const uint64_t start = c->index * MEM_CHUNK;

        next = c->hh.next;
        if (start >= size) {
            HASH_DEL(d->chunks, c);
            free(c);
            d->chunk_count--;
        } else if (size - start < MEM_CHUNK) {
            memset(c->bytes + (size - start), 0, MEM_CHUNK - (size - start));
        }
    }
    d->size = size;
}

static int add_chunk(struct mem_data *d, uint64_t index, const unsigned char *p, size_t n)
{
    struct mem_chunk *c;

    if (memcmp(p, zeros, n) == 0)
        return 0;
    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->index = index;
    memcpy(c->bytes, p, n);
    HASH_ADD(hh, d->chunks, index, sizeof(c->index), c);
    d->chunk_count++;
    return 0;
}

int mem_data_load(struct mem_data *d, int fd, uint64_t size)
{
    struct mem_data fresh = {.size = size};
    unsigned char *p = malloc(MEM_CHUNK);
    int r = p ? 0 : -ENOMEM;

    for (uint64_t off = 0; r == 0 && off < size; off += MEM_CHUNK) {
        const size_t n = size - off < MEM_CHUNK ? (size_t)(size - off) : MEM_CHUNK;

        r = io_pread(fd, p, n, off);
        if (r == 0)
            r = add_chunk(&fresh, off / MEM_CHUNK, p, n);
    }
    free(p);
    if (r < 0) {
        mem_data_done(&fresh);
        return r;
    }
    mem_data_done(d);
    *d = fresh;
    return 0;
}

int mem_data_store(const struct mem_data *d, uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    const uint64_t start = off;
    int r;

    if (off >= d->size)
        len = 0;
    else if (len > d->size - off)
        len = d->size - off;
    while (off < start + len) {
        const uint64_t index = off / MEM_CHUNK;
        const size_t skip = (size_t)(off % MEM_CHUNK);
        const uint64_t left = start + len - off;
        const size_t n = left < MEM_CHUNK - skip ? (size_t)left : MEM_CHUNK - skip;
        struct mem_chunk *c;

        HASH_FIND(hh, d->chunks, &index, sizeof(index), c);
        r = io_pwrite(fd, (c ? c->bytes : zeros) + skip, n, off);
        if (r < 0)
            return r;
        off += n;
    }
    *ret_len = len;
    return 0;
}

int mem_data_copy(struct mem_data *d, const struct mem_data *from, uint64_t size)
{
    for (const struct mem_chunk *c = from->chunks; c; c = c->hh.next) {
        const int r = c->index * MEM_CHUNK < size ? add_chunk(d, c->index, c->bytes, MEM_CHUNK) : 0;

        if (r < 0) {
            mem_data_done(d);
            return r;
        }
    }
    mem_data_resize(d, size);
    return 0;
}

int mem_data_write(struct mem_data *d, const void *p, uint64_t n, uint64_t off)
{
    const unsigned char *from = p;

    if (d->size < off + n)
        d->size = off + n;
    while (n > 0) {
        const uint64_t index = off / MEM_CHUNK;
        const size_t skip = (size_t)(off % MEM_CHUNK);
        const size_t part = n < MEM_CHUNK - skip ? (size_t)n : MEM_CHUNK - skip;
        struct mem_chunk *c;

        HASH_FIND(hh, d->chunks, &index, sizeof(index), c);
        if (!c) {
            c = calloc(1, sizeof(*c));
            if (!c)
                return -ENOMEM;
            c->index = index;
            HASH_ADD(hh, d->chunks, index, sizeof(c->index), c);
            d->chunk_count++;
        }
        memcpy(c->bytes + skip, from, part);
        from += part;
        off += part;
        n -= part;
    }
    return 0;
}

void mem_data_read(const struct mem_data *d, void *p, uint64_t n, uint64_t off)
{
    unsigned char *to = p;

    while (n > 0) {
        const uint64_t index = off / MEM_CHUNK;
        const size_t skip = (size_t)(off % MEM_CHUNK);
        const size_t part = n < MEM_CHUNK - skip ? (size_t)n : MEM_CHUNK - skip;
        struct mem_chunk *c;

        HASH_FIND(hh, d->chunks, &index, sizeof(index), c);
        memcpy(to, (c ? c->bytes : zeros) + skip, part);
        to += part;
        off += part;
        n -= part;
    }
}
