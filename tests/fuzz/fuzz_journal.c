/* Every decoder of a journal, on any bytes; what decodes must encode to the same bytes. */
#include "journal/head.h"
#include "journal/record.h"

#include "util/crc32c.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { SALT = 0 };

static void look(const struct journal_record *rec)
{
    for (size_t i = 0; i < rec->extent_count; i++)
        (void)journal_record_extent(rec, i);
    for (size_t i = 0; i < rec->range_count; i++)
        (void)journal_record_range(rec, i);
    for (size_t i = 0; i < rec->result_count; i++)
        (void)journal_record_result(rec, i);
}

static void again(const struct journal_record *rec, const uint8_t *p, size_t n)
{
    struct buf out = BUF_INIT(JOURNAL_RECORD_MAX);

    if (rec->extent_count || rec->range_count || rec->result_count)
        return; /* written from lists that a decoder does not make */
    if (journal_record_put(&out, SALT, rec) < 0 || out.len != n || memcmp(out.data, p, n) != 0)
        abort();
    buf_done(&out);
}

static void decode(const uint8_t *p, size_t n)
{
    struct journal_record rec;
    const ssize_t len = journal_record_get(SALT, p, n, &rec);

    if (len > 0) {
        look(&rec);
        again(&rec, p, (size_t)len);
    }
}

/* The checksum would keep a fuzzer out: it is made right, as are magic, length and kind. */
static void decode_body(const uint8_t *p, size_t n)
{
    const size_t len = (n + 7) / 8 * 8;
    uint8_t *copy = calloc(1, len);
    uint32_t crc;

    if (!copy)
        abort();
    memcpy(copy, p, n);
    for (uint32_t kind = 0; kind <= JOURNAL_SYNCED; kind++) {
        memcpy(copy, "dtj1", 4);
        for (int i = 0; i < 4; i++) {
            copy[8 + i] = (uint8_t)(len >> (8 * i));
            copy[12 + i] = (uint8_t)(kind >> (8 * i));
        }
        crc = crc32c(SALT, copy + 8, len - 8);
        for (int i = 0; i < 4; i++)
            copy[4 + i] = (uint8_t)(crc >> (8 * i));
        decode(copy, len);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct journal_head head;

    (void)journal_head_get(p, n, &head);
    (void)journal_segment_get(p, n, SALT, 1);
    decode(p, n);
    if (n >= JOURNAL_RECORD_HEADER && n <= 65536)
        decode_body(p, n);
    return 0;
}
