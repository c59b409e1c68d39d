/* kept.h - one file of the cache that outlives the process: how it looks on disk. */
#ifndef CACHE_KEPT_H
#define CACHE_KEPT_H

#include "cache/cache.h"

/*
 * Little-endian:
 *    0  8  magic "dtcache2"                32  8  size of the file, bytes
 *    8  4  crc32c of bytes 12 to the data  40  8  its mtime, ns since the epoch
 *   12  4  n, blocks: size / 4 KiB, up     48  8  its ctime
 *   16  8  device                          56 8n  for each block: 4  1, it is here, or 0
 *   24  8  inode number                           4  crc32c of its bytes, or 0
 * Then the blocks that are here, one after the other; the last of the file may be short. A file
 * whose length, head or table is wrong counts as missing, and so does a block whose crc is.
 */
enum { KEPT_HEAD = 56, KEPT_ROW = 8, KEPT_BLOCKS_MAX = 1 << 16 }; /* of files up to 256 MiB */

struct kept {
    struct cache_key key;
    uint32_t blocks;
    const uint8_t *rows; /* into the bytes that were decoded */
};

size_t kept_head_bytes(uint32_t blocks); /* before the data */
uint32_t kept_blocks(uint64_t size);
uint64_t kept_block_bytes(uint64_t size, uint32_t block);
bool kept_row(const struct kept *k, uint32_t block, uint32_t *ret_crc); /* false: not here */

void kept_put_key(uint8_t p[KEPT_HEAD], const struct cache_key *key); /* all but the crc */

/* p has room for kept_head_bytes. First _begin, then a row for each block that is here, then _end.
 */
void kept_begin(uint8_t *p, const struct cache_key *key);
void kept_put_row(uint8_t *p, uint32_t block, uint32_t crc);
void kept_end(uint8_t *p);

/* What the first n bytes of a file of file_bytes say. -EBADMSG: nothing to rely on; -EAGAIN: more
 * bytes are needed, *ret_need from the start. */
int kept_decode(const uint8_t *p, size_t n, uint64_t file_bytes, struct kept *ret,
                size_t *ret_need);

/* ---- kept_copy.c ---- */

/* What is local of b goes to an empty file; *ret_bytes: the length that it has then. */
int kept_save(int fd, const struct cache_key *key, struct blob *b, uint64_t *ret_bytes);
/* What b lacks and the file has, checked. -ENOENT: the file is of another version; -EBADMSG: of it,
 * or of a block, nothing is to be relied on, but what b has by then is good. */
int kept_load(int fd, const struct cache_key *key, struct blob *b);

#endif
