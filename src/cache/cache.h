/*
 * cache.h - file data on local disk.
 *
 * A blob is the content of one version of one file, whole or in blocks, in an unlinked sparse file
 * below the cache directory, so that nothing is left when the process dies. Blobs are counted.
 * Clean blobs that nobody holds are dropped, oldest use first, when the cache is over its size;
 * dirty or held ones never are.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "remote/remote.h"

#include <stdbool.h>
#include <stdint.h>

struct cache;
struct blob;

/* dir is made with mode 0700; -EACCES if it is another user's or open to others. */
int cache_new(const char *dir, uint64_t max_bytes, struct cache **ret);
struct cache *cache_free(struct cache *c); /* every blob must be unreferenced before */
uint64_t cache_used(struct cache *c);      /* bytes on disk, about */

#endif
