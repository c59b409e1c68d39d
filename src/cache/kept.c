#include "cache/kept.h"

#include "util/crc32c.h"

#include <errno.h>
#include <string.h>

static const char magic[8] = {'d', 't', 'c', 'a', 'c', 'h', 'e', '2'};

static void put_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    while (n-- > 0)
        v = v << 8 | p[n];
    return v;
}

size_t kept_head_bytes(uint32_t blocks)
{
    return KEPT_HEAD + (size_t)blocks * KEPT_ROW;
}

uint32_t kept_blocks(uint64_t size)
{
    return (uint32_t)((size + BLOB_BLOCK - 1) / BLOB_BLOCK);
}

uint64_t kept_block_bytes(uint64_t size, uint32_t block)
{
    const uint64_t left = size - (uint64_t)block * BLOB_BLOCK;

    return left < BLOB_BLOCK ? left : BLOB_BLOCK;
}

bool kept_row(const struct kept *k, uint32_t block, uint32_t *ret_crc)
{
    const uint8_t *row = k->rows + (size_t)block * KEPT_ROW;

    *ret_crc = (uint32_t)get_le(row + 4, 4);
    return get_le(row, 4) == 1;
}

void kept_put_key(uint8_t p[KEPT_HEAD], const struct cache_key *key)
{
    memset(p, 0, KEPT_HEAD);
    memcpy(p, magic, sizeof(magic));
    put_le(p + 12, kept_blocks(key->size), 4);
    put_le(p + 16, key->dev, 8);
    put_le(p + 24, key->ino, 8);
    put_le(p + 32, key->size, 8);
    put_le(p + 40, (uint64_t)key->mtime_ns, 8);
    put_le(p + 48, (uint64_t)key->ctime_ns, 8);
}

void kept_begin(uint8_t *p, const struct cache_key *key)
{
    memset(p, 0, kept_head_bytes(kept_blocks(key->size)));
    kept_put_key(p, key);
}

void kept_put_row(uint8_t *p, uint32_t block, uint32_t crc)
{
    put_le(p + kept_head_bytes(block), 1, 4);
    put_le(p + kept_head_bytes(block) + 4, crc, 4);
}

void kept_end(uint8_t *p)
{
    const uint32_t blocks = (uint32_t)get_le(p + 12, 4);

    put_le(p + 8, crc32c(0, p + 12, kept_head_bytes(blocks) - 12), 4);
}

static int check_rows(const struct kept *k, uint64_t data_bytes)
{
    uint64_t bytes = 0;
    uint32_t crc;

    for (uint32_t i = 0; i < k->blocks; i++) {
        if (get_le(k->rows + (size_t)i * KEPT_ROW, 4) > 1)
            return -EBADMSG;
        if (kept_row(k, i, &crc))
            bytes += kept_block_bytes(k->key.size, i);
    }
    return bytes == data_bytes ? 0 : -EBADMSG;
}

int kept_decode(const uint8_t *p, size_t n, uint64_t file_bytes, struct kept *ret, size_t *ret_need)
{
    struct kept k;
    size_t head;

    if (file_bytes < KEPT_HEAD)
        return -EBADMSG;
    if (n < KEPT_HEAD) {
        *ret_need = KEPT_HEAD;
        return -EAGAIN;
    }
    if (memcmp(p, magic, sizeof(magic)) != 0)
        return -EBADMSG;
    k.blocks = (uint32_t)get_le(p + 12, 4);
    k.key = (struct cache_key){.dev = get_le(p + 16, 8),
                               .ino = get_le(p + 24, 8),
                               .size = get_le(p + 32, 8),
                               .mtime_ns = (int64_t)get_le(p + 40, 8),
                               .ctime_ns = (int64_t)get_le(p + 48, 8)};
    if (k.key.size > (uint64_t)KEPT_BLOCKS_MAX * BLOB_BLOCK || k.blocks != kept_blocks(k.key.size))
        return -EBADMSG;
    head = kept_head_bytes(k.blocks);
    if (file_bytes < head)
        return -EBADMSG;
    if (n < head) {
        *ret_need = head;
        return -EAGAIN;
    }
    if (get_le(p + 8, 4) != crc32c(0, p + 12, head - 12))
        return -EBADMSG;
    k.rows = p + KEPT_HEAD;
    *ret = k;
    return check_rows(&k, file_bytes - head);
}
