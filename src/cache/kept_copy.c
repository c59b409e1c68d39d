/* kept_copy.c - blocks, from a blob to the file that keeps them and back. */
#include "cache/kept.h"

#include "util/crc32c.h"
#include "util/io.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUN_BYTES = 64 * BLOB_BLOCK }; /* copied at a time, at most */

/* Blocks of len bytes at off, which are there: appended to the file's data, and their rows made. */
static int copy_run(int fd, uint8_t *head, struct blob *b, uint64_t off, size_t len, uint8_t *data,
                    uint64_t to)
{
    const ssize_t got = blob_read(b, off, data, len);

    if (got != (ssize_t)len)
        return got < 0 ? (int)got : -EIO;
    for (size_t done = 0; done < len; done += BLOB_BLOCK) {
        const size_t n = len - done < BLOB_BLOCK ? len - done : BLOB_BLOCK;

        kept_put_row(head, (uint32_t)((off + done) / BLOB_BLOCK), crc32c(0, data + done, n));
    }
    return io_pwrite(fd, data, len, to);
}

int kept_save(int fd, const struct cache_key *key, struct blob *b, uint64_t *ret_bytes)
{
    const uint32_t blocks = kept_blocks(key->size);
    uint8_t *head = malloc(kept_head_bytes(blocks)), *data = malloc(RUN_BYTES);
    uint64_t off = kept_head_bytes(blocks), at = 0;
    int r = head && data ? 0 : -ENOMEM;

    if (r == 0)
        kept_begin(head, key);
    while (r == 0 && at < key->size) {
        /* It may grow meanwhile, and is of no use then. */
        const uint64_t left = key->size - at, most = left < RUN_BYTES ? left : RUN_BYTES;
        const size_t len = (size_t)(blob_local_to(b, at, most) - at);

        if (len > 0)
            r = copy_run(fd, head, b, at, len, data, off);
        off += len;
        at += len > 0 ? len : BLOB_BLOCK;
    }
    if (r == 0) {
        kept_end(head);
        r = io_pwrite(fd, head, kept_head_bytes(blocks), 0);
    }
    *ret_bytes = off;
    free(head);
    free(data);
    return r;
}

static bool same_key(const struct cache_key *a, const struct cache_key *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* *ret_head is the caller's to free, and ret points into it. */
static int read_head(int fd, struct kept *ret, uint8_t **ret_head)
{
    size_t need = KEPT_HEAD;
    struct stat st;
    int r = -EAGAIN;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return -EBADMSG;
    for (unsigned i = 0; r == -EAGAIN && i < 2; i++) {
        uint8_t *more;

        if ((uint64_t)st.st_size < need)
            return -EBADMSG;
        more = realloc(*ret_head, need);
        if (!more)
            return -ENOMEM;
        *ret_head = more;
        r = io_pread(fd, more, need, 0);
        if (r == 0)
            r = kept_decode(more, need, (uint64_t)st.st_size, ret, &need);
    }
    return r == -EAGAIN ? -EBADMSG : r;
}

/* The bytes of blocks that follow each other in the file, from the i-th on; 0: that is not here. */
static size_t kept_run(const struct kept *k, uint32_t i)
{
    size_t len = 0;
    uint32_t crc;

    while (i < k->blocks && len < RUN_BYTES && kept_row(k, i, &crc))
        len += (size_t)kept_block_bytes(k->key.size, i++);
    return len;
}

/* How many of the first bytes are what was written. */
static size_t good_bytes(const struct kept *k, uint32_t i, const uint8_t *data, size_t len)
{
    size_t done = 0, n;
    uint32_t crc;

    for (; done < len && kept_row(k, i, &crc); done += n, i++) {
        n = len - done < BLOB_BLOCK ? len - done : BLOB_BLOCK;
        if (crc32c(0, data + done, n) != crc)
            break;
    }
    return done;
}

/* -EBADMSG: a block is not what was written. Those before it are good, and stay. */
static int fill_run(int fd, const struct kept *k, struct blob *b, uint32_t i, size_t len,
                    uint8_t *data, uint64_t from)
{
    const int r = io_pread(fd, data, len, from);
    const size_t good = r == 0 ? good_bytes(k, i, data, len) : 0;
    uint64_t at = (uint64_t)i * BLOB_BLOCK, bytes;
    const uint64_t start = at, end = at + good;
    int err = 0;

    while (err == 0 && at < end) {
        if (blob_take(b, at, end - at, &at, &bytes) != 1) {
            at += BLOB_BLOCK; /* it is here, or somebody fetches it */
            continue;
        }
        err = io_pwrite(blob_fd(b), data + (at - start), bytes, at);
        blob_settle(b, at, bytes, err == 0);
        at += bytes;
    }
    if (err == 0 && r == 0 && good < len)
        err = -EBADMSG;
    return err < 0 ? err : r;
}

static int fill(int fd, const struct kept *k, struct blob *b)
{
    uint8_t *data = malloc(RUN_BYTES);
    uint64_t off = kept_head_bytes(k->blocks);
    int r = data ? 0 : -ENOMEM;

    for (uint32_t i = 0; r == 0 && i < k->blocks;) {
        const size_t len = kept_run(k, i);

        if (len > 0)
            r = fill_run(fd, k, b, i, len, data, off);
        off += len;
        i += len > 0 ? kept_blocks(len) : 1;
    }
    free(data);
    return r;
}

int kept_load(int fd, const struct cache_key *key, struct blob *b)
{
    uint8_t *head = NULL;
    struct kept k;
    int r = read_head(fd, &k, &head);

    if (r == 0 && !same_key(&k.key, key))
        r = -ENOENT;
    if (r == 0)
        r = fill(fd, &k, b);
    free(head);
    return r;
}
