/*
 * cache.h - file data on local disk.
 *
 * A blob is the content of one version of one file, whole or in blocks, in an unlinked sparse file
 * below the cache directory. What is to outlive the process is copied to files of its own (see
 * cache_keep), which only ever hold clean content. Blobs are counted. One
 * that is held keeps its content; when the cache is over its size (in bytes, or in descriptors, of
 * which each blob has one), the content of others is dropped, oldest use first. Data that exists
 * nowhere else must therefore be held.
 *
 * Any thread may call anything; nothing here waits for the network. The cache has one lock, taken
 * inside of whatever the caller holds, and never while the disk is used. Which thread writes what
 * and when is the caller's to order.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct cache;
struct blob;

/* Bytes: what is local is known, and fetched, in these steps. A database reads pages of this size
 * here and there: whatever is fetched beside one is waited for. */
enum { BLOB_BLOCK = 1 << 12 };

/*
 * dir is made with mode 0700; -EACCES if it is another user's or open to others, -ENOTDIR if it is
 * a link. Raises the process's soft limit of descriptors to the hard one: each blob has one.
 */
int cache_new(const char *dir, uint64_t max_bytes, struct cache **ret);
struct cache *
cache_free(struct cache *c);          /* every blob must be unreferenced before; NULL is fine */
uint64_t cache_used(struct cache *c); /* bytes on disk, about */
size_t cache_blobs(struct cache *c);  /* that have content */
/* What may be fetched before it is needed without pushing out what is. */
void cache_spare(struct cache *c, size_t *ret_blobs, uint64_t *ret_bytes);

/* ---- what outlives the process ---- */

/* A version of a file, wherever it lies. What cannot be told apart by it is not kept. */
struct cache_key {
    uint64_t dev, ino, size;
    int64_t mtime_ns, ctime_ns;
};

/*
 * From now on content is kept for those who come after us, and found, in a folder named after owner
 * (which says whose files they are). -EBUSY: another process has it; then nothing is kept or found.
 * At most max_bytes of cache_new, the oldest use goes first; so do the folders of other owners that
 * no process has, when all together are more, and after 30 days without use. cache_free ends what
 * is being kept.
 */
int cache_keep(struct cache *c, const char *owner);
bool cache_has(struct cache *c, const struct cache_key *key); /* perhaps: it is not read */
/*
 * Keeps what is local of b, which is that version of the file now, in a thread of its own. If b is
 * written to before that is done, nothing is kept.
 */
void cache_put(struct cache *c, const struct cache_key *key, struct blob *b);
/* Fills b, which is held, with what is kept; -ENOENT if that is nothing. Uses the disk. */
int cache_get(struct cache *c, const struct cache_key *key, struct blob *b);
/* What is kept, or is being kept, of these files (whichever version) goes. Uses the disk. */
void cache_drop(struct cache *c, const struct cache_key *keys, size_t count);

/*
 * A note to those who come after us, up to CACHE_NOTE_MAX bytes: it takes the place of the one of
 * that name (letters), or leaves it as it was. -ENOENT: nothing is kept (see cache_keep). _get
 * appends; -ENOENT: there is none, or not as it was written.
 */
enum { CACHE_NOTE_MAX = 64 << 20 };
int cache_note_put(struct cache *c, const char *name, const void *p, size_t n);
int cache_note_get(struct cache *c, const char *name, struct buf *out);

/* ---- blobs ---- */

#define CACHE_BLOB_MAX (UINT64_C(1) << 42) /* bytes: what has more is -EFBIG */

/* size bytes of which nothing is local (size 0: all of it). One reference, held once. */
int blob_new(struct cache *c, uint64_t size, struct blob **ret);
struct blob *blob_ref(struct blob *b);
struct blob *blob_unref(struct blob *b); /* returns NULL; takes NULL */
uint64_t blob_id(const struct blob *b);  /* never reused */

/* False: the content was dropped, for good. Else it stays until as many blob_release. */
bool blob_hold(struct blob *b);
void blob_release(struct blob *b);

/* What follows needs the blob held. */
int blob_fd(const struct blob *b); /* the blob's own: do not close */
uint64_t blob_size(struct blob *b);
bool blob_whole(struct blob *b);                             /* all of it is local */
bool blob_has(struct blob *b, uint64_t off, uint64_t bytes); /* up to the end of the blob */
/* Where that of what begins at off ends which is local, at most bytes further on. */
uint64_t blob_local_to(struct blob *b, uint64_t off, uint64_t bytes);

/*
 * Takes the blocks from off on, at most max bytes and up to the next block that is local or taken:
 * whoever took them fetches them and calls blob_settle with the same range. 1: taken, the range is
 * in ret; 0: the block at off is local; -EBUSY: another one has it.
 */
int blob_take(struct blob *b, uint64_t off, uint64_t max, uint64_t *ret_off, uint64_t *ret_bytes);
void blob_settle(struct blob *b, uint64_t off, uint64_t bytes, bool local);
bool blob_taken(struct blob *b, uint64_t off, uint64_t bytes); /* by anybody, some of it */

/* Bytes, or -errno; short only at the end. */
ssize_t blob_read(struct blob *b, uint64_t off, void *p, size_t n);
/*
 * Nobody may have taken what these two touch. All of it or -errno; writing beyond the end leaves
 * zeros between. A block that is not local becomes so when it is covered up to its end; else what
 * it should hold is not all here: then they return 1.
 */
int blob_write(struct blob *b, uint64_t off, const void *p, size_t n);
int blob_resize(struct blob *b, uint64_t size);

#endif
