#include "cache/cache.h"

#include "cache/cache_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

/* A size that a hostile listing claims costs a byte of map per block at most, and pages of it that
 * are used. */

static size_t blocks_of(uint64_t size)
{
    return (size_t)((size + BLOB_BLOCK - 1) / BLOB_BLOCK);
}

static uint64_t block_bytes(const struct blob *b, size_t block)
{
    const uint64_t off = (uint64_t)block * BLOB_BLOCK;

    return b->size - off < BLOB_BLOCK ? b->size - off : BLOB_BLOCK;
}

static void charge_locked(struct blob *b, uint64_t bytes)
{
    b->cache->used += bytes - b->charged;
    b->charged = bytes;
}

int blob_new(struct cache *c, uint64_t size, struct blob **ret)
{
    struct blob *b;
    int r;

    if (size > CACHE_BLOB_MAX)
        return -EFBIG;
    b = calloc(1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->cache = c;
    b->size = size;
    b->refs = b->holds = 1;
    b->blocks = blocks_of(size);
    b->fd = -1;
    if (size > 0) {
        b->map = calloc(b->blocks, 1);
        if (!b->map) {
            r = -ENOMEM;
            goto fail;
        }
    }
    cache_trim(c); /* makes room for one descriptor before one more is opened */
    r = cache_file(c);
    if (r < 0)
        goto fail;
    b->fd = r;
    if (ftruncate(b->fd, (off_t)size) < 0) {
        r = -errno;
        goto fail;
    }
    lock_take(&c->lock);
    b->id = c->next_id++;
    c->blobs++;
    lock_drop(&c->lock);
    *ret = b;
    return 0;
fail:
    if (b->fd >= 0)
        close(b->fd);
    free(b->map);
    free(b);
    return r;
}

struct blob *blob_ref(struct blob *b)
{
    lock_take(&b->cache->lock);
    b->refs++;
    lock_drop(&b->cache->lock);
    return b;
}

struct blob *blob_unref(struct blob *b)
{
    struct cache *c;
    bool last;

    if (!b)
        return NULL;
    c = b->cache;
    lock_take(&c->lock);
    last = --b->refs == 0;
    if (last && b->fd >= 0) {
        if (b->holds == 0)
            DL_DELETE(c->idle, b);
        c->blobs--;
        charge_locked(b, 0);
    }
    lock_drop(&c->lock);
    if (last) {
        if (b->fd >= 0)
            closer_close(c->closer, b->fd);
        free(b->map);
        free(b);
    }
    return NULL;
}

uint64_t blob_id(const struct blob *b)
{
    return b->id;
}

bool blob_hold(struct blob *b)
{
    bool there;

    lock_take(&b->cache->lock);
    there = b->fd >= 0;
    if (there && b->holds++ == 0)
        DL_DELETE(b->cache->idle, b);
    lock_drop(&b->cache->lock);
    return there;
}

void blob_release(struct blob *b)
{
    struct cache *c = b->cache;
    bool idle;

    lock_take(&c->lock);
    idle = --b->holds == 0;
    if (idle)
        DL_APPEND(c->idle, b); /* the newest use */
    lock_drop(&c->lock);
    if (idle)
        cache_trim(c);
}

int blob_fd(const struct blob *b)
{
    return b->fd;
}

uint64_t blob_size(struct blob *b)
{
    uint64_t size;

    lock_take(&b->cache->lock);
    size = b->size;
    lock_drop(&b->cache->lock);
    return size;
}

bool blob_whole(struct blob *b)
{
    bool whole;

    lock_take(&b->cache->lock);
    whole = !b->map;
    lock_drop(&b->cache->lock);
    return whole;
}

uint64_t blob_local_to(struct blob *b, uint64_t off, uint64_t bytes)
{
    uint64_t end = off;

    lock_take(&b->cache->lock);
    if (off < b->size) {
        const uint64_t most = bytes < b->size - off ? off + bytes : b->size;

        while (end < most && b->map && b->map[end / BLOB_BLOCK] == BLOCK_LOCAL)
            end = (end / BLOB_BLOCK + 1) * BLOB_BLOCK;
        if (!b->map || end > most)
            end = most;
    }
    lock_drop(&b->cache->lock);
    return end;
}

bool blob_has(struct blob *b, uint64_t off, uint64_t bytes)
{
    const uint64_t size = blob_size(b);

    return off >= size || blob_local_to(b, off, bytes) == (bytes < size - off ? off + bytes : size);
}

int blob_take(struct blob *b, uint64_t off, uint64_t max, uint64_t *ret_off, uint64_t *ret_bytes)
{
    size_t first = (size_t)(off / BLOB_BLOCK), last;
    uint64_t bytes = 0;
    int r;

    lock_take(&b->cache->lock);
    if (!b->map || first >= b->blocks) {
        r = 0;
    } else if (b->map[first] != BLOCK_MISSING) {
        r = b->map[first] == BLOCK_LOCAL ? 0 : -EBUSY;
    } else {
        for (last = first; last < b->blocks && b->map[last] == BLOCK_MISSING; last++) {
            if (bytes > 0 && bytes + block_bytes(b, last) > max)
                break;
            b->map[last] = BLOCK_TAKEN;
            bytes += block_bytes(b, last);
        }
        *ret_off = (uint64_t)first * BLOB_BLOCK;
        *ret_bytes = bytes;
        r = 1;
    }
    lock_drop(&b->cache->lock);
    return r;
}

void blob_settle(struct blob *b, uint64_t off, uint64_t bytes, bool local)
{
    lock_take(&b->cache->lock);
    for (size_t i = (size_t)(off / BLOB_BLOCK); b->map && i < blocks_of(off + bytes); i++) {
        b->map[i] = local ? BLOCK_LOCAL : BLOCK_MISSING;
        b->local += local;
    }
    if (local)
        charge_locked(b, b->charged + bytes);
    if (b->map && b->local == b->blocks) {
        free(b->map);
        b->map = NULL;
    }
    lock_drop(&b->cache->lock);
    cache_trim(b->cache);
}

ssize_t blob_read(struct blob *b, uint64_t off, void *p, size_t n)
{
    size_t done = 0;

    while (done < n) {
        const ssize_t got = pread(b->fd, (char *)p + done, n - done, (off_t)(off + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Before the first byte moves: whoever reads it to keep it looks at this afterwards. */
static void note_change(struct blob *b)
{
    lock_take(&b->cache->lock);
    b->changes++;
    lock_drop(&b->cache->lock);
}

uint64_t blob_changes(struct blob *b)
{
    uint64_t changes;

    lock_take(&b->cache->lock);
    changes = b->changes;
    lock_drop(&b->cache->lock);
    return changes;
}

/* ---- writing ---- */

/* More of a blob that is not whole: what comes new is zeros, until it is written to. */
static int grow_locked(struct blob *b, uint64_t size)
{
    const size_t blocks = blocks_of(size);

    if (b->map && blocks > b->blocks) {
        uint8_t *map = realloc(b->map, blocks);

        if (!map)
            return -ENOMEM;
        memset(map + b->blocks, BLOCK_LOCAL, blocks - b->blocks);
        b->map = map;
        b->local += blocks - b->blocks;
        b->blocks = blocks;
    }
    b->size = size;
    return 0;
}

/* Those that are covered up to their end are local now. False: some block of the range is not. */
static bool cover_locked(struct blob *b, uint64_t off, uint64_t end)
{
    bool all = true;

    if (!b->map)
        return true;
    for (size_t i = (size_t)(off / BLOB_BLOCK); i < blocks_of(end); i++) {
        const uint64_t start = (uint64_t)i * BLOB_BLOCK;

        if (b->map[i] != BLOCK_LOCAL && off <= start && start + block_bytes(b, i) <= end) {
            b->map[i] = BLOCK_LOCAL;
            b->local++;
            charge_locked(b, b->charged + block_bytes(b, i));
        }
        all = all && b->map[i] == BLOCK_LOCAL;
    }
    return all;
}

static void settle_map_locked(struct blob *b)
{
    if (b->map && b->local == b->blocks) {
        free(b->map);
        b->map = NULL;
    }
}

/* Is what was the last block still the same, although the blob ends elsewhere now? */
static bool tail_local_locked(const struct blob *b, uint64_t size)
{
    return !b->map || size % BLOB_BLOCK == 0 || b->map[size / BLOB_BLOCK] == BLOCK_LOCAL;
}

bool blob_taken(struct blob *b, uint64_t off, uint64_t bytes)
{
    bool taken = false;

    lock_take(&b->cache->lock);
    if (b->map && bytes > 0 && off < b->size) {
        const uint64_t end = bytes < b->size - off ? off + bytes : b->size;

        for (size_t i = (size_t)(off / BLOB_BLOCK); !taken && i < blocks_of(end); i++)
            taken = b->map[i] == BLOCK_TAKEN;
    }
    lock_drop(&b->cache->lock);
    return taken;
}

static int write_fd(struct blob *b, uint64_t off, const char *p, size_t n)
{
    size_t done = 0;

    while (done < n) {
        const ssize_t put = pwrite(b->fd, p + done, n - done, (off_t)(off + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            const int r = -errno;

            /* What lies beyond the end must read as zeros when the blob grows. */
            if (off + done > blob_size(b))
                (void)ftruncate(b->fd, (off_t)blob_size(b));
            return r;
        }
        done += (size_t)put;
    }
    return 0;
}

int blob_write(struct blob *b, uint64_t off, const void *p, size_t n)
{
    const uint64_t end = off + n;
    bool all = true;
    int r;

    if (off > CACHE_BLOB_MAX || n > CACHE_BLOB_MAX - off)
        return -EFBIG;
    if (n == 0)
        return 0;
    note_change(b);
    r = write_fd(b, off, p, n);
    if (r < 0)
        return r;
    lock_take(&b->cache->lock);
    if (end > b->size) {
        all = tail_local_locked(b, b->size);
        r = grow_locked(b, end);
    }
    if (r == 0) {
        all = cover_locked(b, off, end) && all;
        settle_map_locked(b);
        if (!b->map && b->size > b->charged)
            charge_locked(b, b->size);
    }
    lock_drop(&b->cache->lock);
    if (r < 0) /* as after a write that failed */
        (void)ftruncate(b->fd, (off_t)blob_size(b));
    cache_trim(b->cache);
    return r < 0 ? r : !all;
}

int blob_resize(struct blob *b, uint64_t size)
{
    bool all;
    int r = 0;

    if (size > CACHE_BLOB_MAX)
        return -EFBIG;
    note_change(b);
    if (ftruncate(b->fd, (off_t)size) < 0)
        return -errno;
    lock_take(&b->cache->lock);
    all = tail_local_locked(b, size < b->size ? size : b->size);
    if (size > b->size)
        r = grow_locked(b, size);
    for (; size < b->size && b->map && b->blocks > blocks_of(size); b->blocks--)
        b->local -= b->map[b->blocks - 1] == BLOCK_LOCAL;
    if (r == 0)
        b->size = size;
    if (b->charged > size)
        charge_locked(b, size);
    settle_map_locked(b);
    lock_drop(&b->cache->lock);
    return r < 0 ? r : !all;
}
