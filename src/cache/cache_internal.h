/* cache_internal.h - what cache.c and blob.c share. */
#ifndef CACHE_CACHE_INTERNAL_H
#define CACHE_CACHE_INTERNAL_H

#include "cache/cache.h"

#include "util/lock.h"

enum block { BLOCK_MISSING, BLOCK_TAKEN, BLOCK_LOCAL };

struct cache {
    int dir_fd;
    uint64_t max_bytes;
    size_t max_blobs;
    struct closer *closer; /* owned */

    struct lock lock; /* guards what follows, and every blob's fields */
    uint64_t used;    /* bytes, all blobs */
    size_t blobs;     /* with content */
    uint64_t next_id;
    struct blob *idle;     /* with content and not held, oldest use first */
    struct keeper *keeper; /* owned; NULL: nothing is kept. Set once, before there is a blob */
};

struct blob {
    struct cache *cache; /* borrowed */
    uint64_t id;         /* never changes */
    int fd;              /* -1 once dropped; stays while held */
    unsigned refs, holds;
    uint64_t size;
    uint64_t changes;         /* +1 before its content is changed here */
    uint64_t charged;         /* what it adds to cache.used */
    uint8_t *map;             /* enum block, one per BLOB_BLOCK; NULL: whole */
    size_t blocks, local;     /* of map: how many there are, and how many are BLOCK_LOCAL */
    struct blob *prev, *next; /* in cache.idle */
};

uint64_t blob_changes(struct blob *b);

/* Closes fd soon; at once if max wait, so without the cache's lock. NULL: no memory. closer_free:
 * after all are closed. */
struct closer *closer_new(size_t max);
void closer_close(struct closer *s, int fd);
struct closer *closer_free(struct closer *s);

struct keeper *keeper_free(struct keeper *s);
bool keeper_wrote(const char *name);    /* a file of that name in such a folder is from here */
int keeper_dir(const struct keeper *s); /* its folder, locked; the keeper's own */

/* A descriptor of a folder of ours: nobody else may plant links or read what is there. -EACCES. */
int cache_open_folder(int parent, const char *name);
/* An owner's folder: the same, locked as long as it is open. -EBUSY; -ENOENT: there is none. */
int cache_lock_folder(int parent, const char *name);
/* Removes folders that nobody has and nobody used lately, or that are too much with our own. */
void cache_sweep(int parent, const char *own, uint64_t own_bytes, uint64_t max_bytes);

/* All n bytes, or -errno; _read: -EBADMSG if the file ends before. */

/* An unlinked file in the cache's folder: a descriptor, or -errno. */
int cache_file(struct cache *c);

/* Drops the content of idle blobs until the cache is within its limits. */
void cache_trim(struct cache *c);

#endif
