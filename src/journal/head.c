#include "journal/head.h"

#include "journal/bytes.h"

#include "util/crc32c.h"

#include <errno.h>
#include <string.h>

/*
 * Numbers and strings are as bytes.h has them. The log's head:
 *    0  8  "dtfs-log"                24  8  when it was made, ns since the epoch
 *    8  4  the version               32 16  client: the name under which batches are numbered
 *   12  4  length, all included      48  -  strings: API url, sandbox id, slot; zeros to 8 bytes
 *   16  4  crc32c of 0-15, 20-end
 *   20  4  salt
 *
 * Versions: 1 had no JOURNAL_SYNCED, and 0 for forced; 1 and 2 had no births. All else was the
 * same, so that what they wrote is read here as it is.
 *
 * A segment's head: 0 8 "dtfs-seg", 8 4 version (1), 12 4 salt, 16 8 its number, 24 4 crc32c of
 * 0-23, 28 4 zero. Then blobs without any frame: extents say where they are.
 */
enum { SEGMENT_VERSION = 1 };

static const char log_magic[8] = "dtfs-log", segment_magic[8] = "dtfs-seg";

static uint32_t head_crc(const uint8_t *p, size_t len)
{
    return crc32c(crc32c(0, p, 16), p + 20, len - 20);
}

int journal_head_put(struct buf *out, const struct journal_head *head)
{
    struct bytes_out w = {.out = out};
    const size_t start = out->len;
    uint8_t *p;

    bytes_put(&w, log_magic, sizeof(log_magic));
    bytes_put32(&w, JOURNAL_VERSION);
    bytes_put64(&w, 0); /* length and checksum, below */
    bytes_put32(&w, head->salt);
    bytes_put64(&w, (uint64_t)head->made_ns);
    bytes_put(&w, head->client, sizeof(head->client));
    bytes_put_string(&w, head->api_url, JOURNAL_HEAD_MAX);
    bytes_put_string(&w, head->sandbox_id, JOURNAL_HEAD_MAX);
    bytes_put_string(&w, head->slot, JOURNAL_HEAD_MAX);
    bytes_pad(&w, start);
    if (w.err == 0 && out->len - start > JOURNAL_HEAD_MAX)
        w.err = -E2BIG;
    if (w.err < 0) {
        buf_truncate(out, start);
        return w.err;
    }
    p = (uint8_t *)out->data + start;
    bytes_set_le(p + 12, out->len - start, 4);
    bytes_set_le(p + 16, head_crc(p, out->len - start), 4);
    return 0;
}

ssize_t journal_head_get(const void *bytes, size_t n, struct journal_head *ret)
{
    struct journal_head head = {0};
    const uint8_t *p = bytes;
    struct bytes_in r;
    size_t len;

    if (n < JOURNAL_HEAD_MIN || memcmp(p, log_magic, sizeof(log_magic)) != 0)
        return -EBADMSG;
    len = bytes_get_le(p + 12, 4);
    head.version = (uint32_t)bytes_get_le(p + 8, 4);
    /* Before the checksum: another version may have another one. */
    if (head.version < JOURNAL_VERSION_OLDEST || head.version > JOURNAL_VERSION)
        return -EPROTONOSUPPORT;
    if (len < JOURNAL_HEAD_MIN || len > n || len > JOURNAL_HEAD_MAX || len % 8 != 0 ||
        bytes_get_le(p + 16, 4) != head_crc(p, len))
        return -EBADMSG;
    head.salt = (uint32_t)bytes_get_le(p + 20, 4);
    head.made_ns = (int64_t)bytes_get_le(p + 24, 8);
    memcpy(head.client, p + 32, sizeof(head.client));
    r = (struct bytes_in){.p = p + JOURNAL_HEAD_MIN, .end = p + len};
    head.api_url = bytes_take_string(&r, JOURNAL_HEAD_MAX);
    head.sandbox_id = bytes_take_string(&r, JOURNAL_HEAD_MAX);
    head.slot = bytes_take_string(&r, JOURNAL_HEAD_MAX);
    if (r.bad || !bytes_at_end(&r))
        return -EBADMSG;
    *ret = head;
    return (ssize_t)len;
}

uint32_t journal_head_salt(const void *p)
{
    return (uint32_t)bytes_get_le((const uint8_t *)p + 20, 4);
}

void journal_segment_put(uint8_t out[JOURNAL_SEGMENT_HEADER], uint32_t salt, uint64_t number)
{
    memset(out, 0, JOURNAL_SEGMENT_HEADER);
    memcpy(out, segment_magic, sizeof(segment_magic));
    bytes_set_le(out + 8, SEGMENT_VERSION, 4);
    bytes_set_le(out + 12, salt, 4);
    bytes_set_le(out + 16, number, 8);
    bytes_set_le(out + 24, crc32c(0, out, 24), 4);
}

int journal_segment_get(const void *bytes, size_t n, uint32_t salt, uint64_t number)
{
    uint8_t want[JOURNAL_SEGMENT_HEADER];

    journal_segment_put(want, salt, number);
    return n >= sizeof(want) && memcmp(bytes, want, sizeof(want)) == 0 ? 0 : -EBADMSG;
}

int journal_segment_salt(const void *bytes, size_t n, uint32_t *ret)
{
    const uint8_t *p = bytes;
    int r;

    if (n < JOURNAL_SEGMENT_HEADER)
        return -EBADMSG;
    r = journal_segment_get(p, n, (uint32_t)bytes_get_le(p + 12, 4), bytes_get_le(p + 16, 8));
    if (r == 0)
        *ret = (uint32_t)bytes_get_le(p + 12, 4);
    return r;
}
