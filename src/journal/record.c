#include "journal/record.h"

#include "journal/bytes.h"
#include "journal/head.h"

#include "util/array.h"
#include "util/crc32c.h"

#include <errno.h>
#include <string.h>

/*
 * Numbers and strings are as bytes.h has them. salt is a random number that the log's head holds:
 * checksums start from it, so that a journal copied into a file of the mount never looks like a
 * part of this one.
 *
 * A record, zeros to a multiple of 8 bytes:
 *    0  4  "dtj1"                    12  4  enum journal_kind
 *    4  4  crc32c of 8 to end        16  8  sequence number, strictly increasing
 *    8  4  length, all included      24  -  the kind's parts, in the order of enum part
 * It counts only if all of it is there, the checksum fits, and all its data is in the segments, if
 * that is still needed. A loss of power leaves files shorter than they were, or with zeros or older
 * bytes in what was not synced, here and there. So one that does not count is where the log ends,
 * and all behind it is dropped, good or not; unless a good JOURNAL_SYNCED or JOURNAL_CHECKPOINT
 * behind it says that it had been on the disk: then the log is damaged.
 *
 * Parts:
 *    WHEN      8 when_ns, 8 group
 *    object    4 enum journal_means, 4 what else there is: 1 hash, 2 birth; JOURNAL_MADE: 8
 *              made_by; JOURNAL_IS: identity, birth, 32 hash
 *    identity  8 dev, 8 ino, 8 size, 8 mtime_ns, 8 ctime_ns
 *    birth     4, not zero
 *    PATH, PATH2  string
 *    OFF, SIZE, BATCH, SYNCED  8
 *    FLAGS     4
 *    ATTR      4 mask, 4 mode, 4 uid, 4 gid, 8 atime_ns, 8 mtime_ns
 *    DIGEST    32
 *    DATA      4 number of extents, 4 length of what is inline (one of them is 0), the inline
 *              bytes; an extent: 8 off, 8 segment, 8 at, 4 len, 4 crc32c of its bytes
 *    RANGES    4 number; each 8 first, 8 last
 *    RESULTS   4 number, plus 1 << 31 if each has a birth, which is zero where it is not known;
 *              each 8 seq, 1 said, 1 settled, 1 forced (0, 1), 1 zero, 4 err (signed), identity,
 *              birth
 *
 * All in a log before a JOURNAL_CHECKPOINT was on the disk before the log had its name.
 *
 * Versions: 1 had no JOURNAL_SYNCED, and 0 for forced; 1 and 2 had no births. All else was the
 * same, so that what they wrote is read here as it is.
 */
enum { RECORD_MAGIC = 0x316a7464 };
enum { SEGMENT_END = 1 << 30 }; /* none is longer */
enum { OBJECT_HASH = 1, OBJECT_BIRTH = 2 };
#define RESULTS_BIRTHS UINT32_C(0x80000000)
enum {
    IDENTITY = 40,
    EXTENT = 32,
    RANGE = 16,
    RESULT = 16 + IDENTITY,
};
_Static_assert((int)IDENTITY <= (int)BYTES_TAKE_MAX, "an identity is taken without a check");

enum part {
    WHEN = 1 << 0,
    AT = 1 << 1, /* the objects: AT << enum journal_role */
    PARENT = 1 << 2,
    AT2 = 1 << 3,
    PARENT2 = 1 << 4,
    PATH = 1 << 5,
    PATH2 = 1 << 6,
    OFF = 1 << 7,
    SIZE = 1 << 8,
    FLAGS = 1 << 9,
    ATTR = 1 << 10,
    BATCH = 1 << 11,
    DIGEST = 1 << 12,
    DATA = 1 << 13,
    RANGES = 1 << 14,
    RESULTS = 1 << 15,
    SYNCED = 1 << 16,
};

enum { CHANGE = WHEN | AT | PARENT | PATH, CHANGE2 = CHANGE | AT2 | PARENT2 | PATH2 };

/* clang-format off */
static const struct {
    enum journal_kind kind;
    const char *name;
    unsigned parts;
} kinds[] = {
    {JOURNAL_PUT,        "put",        CHANGE | OFF | SIZE | ATTR | DATA},
    {JOURNAL_PATCH,      "patch",      CHANGE | OFF | DATA},
    {JOURNAL_APPEND,     "append",     CHANGE | OFF | DATA},
    {JOURNAL_TRUNCATE,   "truncate",   CHANGE | SIZE},
    {JOURNAL_CREATE,     "create",     CHANGE | ATTR},
    {JOURNAL_MKDIR,      "mkdir",      CHANGE | ATTR},
    {JOURNAL_SYMLINK,    "symlink",    CHANGE | PATH2},
    {JOURNAL_LINK,       "link",       CHANGE2},
    {JOURNAL_RENAME,     "rename",     CHANGE2 | FLAGS},
    {JOURNAL_UNLINK,     "unlink",     CHANGE},
    {JOURNAL_RMDIR,      "rmdir",      CHANGE},
    {JOURNAL_SETATTR,    "setattr",    CHANGE | ATTR},
    {JOURNAL_BATCH,      "batch",      BATCH | DIGEST | RANGES},
    {JOURNAL_APPLIED,    "applied",    BATCH | RESULTS},
    {JOURNAL_SETTLED,    "settled",    RESULTS},
    {JOURNAL_CHECKPOINT, "checkpoint", BATCH | RESULTS},
    {JOURNAL_SYNCED,     "synced",     SYNCED},
};
/* clang-format on */

static int parts_of(enum journal_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].kind == kind)
            return (int)kinds[i].parts;
    return -EINVAL;
}

bool journal_is_change(enum journal_kind kind)
{
    const int parts = parts_of(kind);

    return parts > 0 && (parts & WHEN);
}

const char *journal_kind_name(enum journal_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return "?";
}

/* ---- writing ---- */

static void put_identity(struct bytes_out *w, const struct journal_identity *id)
{
    bytes_put64(w, id->dev);
    bytes_put64(w, id->ino);
    bytes_put64(w, id->size);
    bytes_put64(w, (uint64_t)id->mtime_ns);
    bytes_put64(w, (uint64_t)id->ctime_ns);
}

static void put_object(struct bytes_out *w, const struct journal_object *o)
{
    const bool hash = o->means == JOURNAL_IS && o->has_hash;
    const bool birth = o->means == JOURNAL_IS && o->identity.birth != 0;

    if (o->means > JOURNAL_MADE)
        w->err = -EINVAL;
    bytes_put32(w, o->means);
    bytes_put32(w, (hash ? OBJECT_HASH : 0) | (birth ? OBJECT_BIRTH : 0));
    if (o->means == JOURNAL_MADE)
        bytes_put64(w, o->made_by);
    if (o->means == JOURNAL_IS)
        put_identity(w, &o->identity);
    if (birth)
        bytes_put32(w, o->identity.birth);
    if (hash)
        bytes_put(w, o->hash, sizeof(o->hash));
}

static void put_attr(struct bytes_out *w, const struct journal_attr *a)
{
    bytes_put32(w, a->mask);
    bytes_put32(w, a->mode);
    bytes_put32(w, a->uid);
    bytes_put32(w, a->gid);
    bytes_put64(w, (uint64_t)a->atime_ns);
    bytes_put64(w, (uint64_t)a->mtime_ns);
}

static void put_data(struct bytes_out *w, const struct journal_record *rec)
{
    if (rec->extent_count > JOURNAL_EXTENTS_MAX || rec->data_len > JOURNAL_INLINE_MAX)
        w->err = -E2BIG;
    else if (rec->extent_count && rec->data_len)
        w->err = -EINVAL;
    bytes_put32(w, (uint32_t)rec->extent_count);
    bytes_put32(w, (uint32_t)rec->data_len);
    bytes_put(w, rec->data_len ? rec->data : "", rec->data_len);
    for (size_t i = 0; w->err == 0 && i < rec->extent_count; i++) {
        const struct journal_extent *e = &rec->extents[i];

        bytes_put64(w, e->off);
        bytes_put64(w, e->segment);
        bytes_put64(w, e->at);
        bytes_put32(w, e->len);
        bytes_put32(w, e->crc);
    }
}

static void put_ranges(struct bytes_out *w, const struct journal_record *rec)
{
    if (rec->range_count > JOURNAL_RANGES_MAX)
        w->err = -E2BIG;
    bytes_put32(w, (uint32_t)rec->range_count);
    for (size_t i = 0; w->err == 0 && i < rec->range_count; i++) {
        bytes_put64(w, rec->ranges[i].first);
        bytes_put64(w, rec->ranges[i].last);
    }
}

static void put_results(struct bytes_out *w, const struct journal_record *rec)
{
    bool births = false;

    if (rec->result_count > JOURNAL_RESULTS_MAX)
        w->err = -E2BIG;
    for (size_t i = 0; i < rec->result_count; i++)
        births = births || rec->results[i].now.birth != 0;
    bytes_put32(w, (uint32_t)rec->result_count | (births ? RESULTS_BIRTHS : 0));
    for (size_t i = 0; w->err == 0 && i < rec->result_count; i++) {
        const struct journal_result *r = &rec->results[i];

        bytes_put64(w, r->seq);
        bytes_put32(w, (uint32_t)r->said | (uint32_t)r->settled << 8 | (uint32_t)r->forced << 16);
        bytes_put32(w, (uint32_t)r->err);
        put_identity(w, &r->now);
        if (births)
            bytes_put32(w, r->now.birth);
    }
}

static void put_parts(struct bytes_out *w, unsigned parts, const struct journal_record *rec)
{
    if (parts & WHEN) {
        bytes_put64(w, (uint64_t)rec->when_ns);
        bytes_put64(w, rec->group);
    }
    for (int i = 0; i < JOURNAL_ROLES; i++)
        if (parts & (AT << i))
            put_object(w, &rec->object[i]);
    if (parts & PATH)
        bytes_put_string(w, rec->path, JOURNAL_PATH_MAX);
    if (parts & PATH2)
        bytes_put_string(w, rec->path2, JOURNAL_PATH_MAX);
    if (parts & OFF)
        bytes_put64(w, rec->off);
    if (parts & SIZE)
        bytes_put64(w, rec->size);
    if (parts & FLAGS)
        bytes_put32(w, rec->flags);
    if (parts & ATTR)
        put_attr(w, &rec->attr);
    if (parts & BATCH)
        bytes_put64(w, rec->batch);
    if (parts & DIGEST)
        bytes_put(w, rec->digest, JOURNAL_DIGEST);
    if (parts & DATA)
        put_data(w, rec);
    if (parts & RANGES)
        put_ranges(w, rec);
    if (parts & RESULTS)
        put_results(w, rec);
    if (parts & SYNCED)
        bytes_put64(w, rec->synced);
}

int journal_record_put(struct buf *out, uint32_t salt, const struct journal_record *rec)
{
    struct bytes_out w = {.out = out};
    const int parts = parts_of(rec->kind);
    const size_t start = out->len;
    uint8_t *p;
    size_t len;

    if (parts < 0)
        return parts;
    bytes_put32(&w, RECORD_MAGIC);
    bytes_put64(&w, 0); /* checksum and length, below */
    bytes_put32(&w, rec->kind);
    bytes_put64(&w, rec->seq);
    put_parts(&w, (unsigned)parts, rec);
    bytes_pad(&w, start);
    len = out->len - start;
    if (w.err == 0 && len > JOURNAL_RECORD_MAX)
        w.err = -E2BIG;
    if (w.err < 0) {
        buf_truncate(out, start);
        return w.err;
    }
    p = (uint8_t *)out->data + start;
    bytes_set_le(p + 8, len, 4);
    bytes_set_le(p + 4, crc32c(salt, p + 8, len - 8), 4);
    return 0;
}

/* ---- reading ---- */

static struct journal_identity take_identity(struct bytes_in *r)
{
    const uint8_t *p = bytes_take(r, IDENTITY);

    return (struct journal_identity){
        .dev = bytes_get_le(p, 8),
        .ino = bytes_get_le(p + 8, 8),
        .size = bytes_get_le(p + 16, 8),
        .mtime_ns = (int64_t)bytes_get_le(p + 24, 8),
        .ctime_ns = (int64_t)bytes_get_le(p + 32, 8),
    };
}

static void take_object(struct bytes_in *r, struct journal_object *ret)
{
    const uint32_t means = bytes_take32(r), with = bytes_take32(r);

    if (means > JOURNAL_MADE || with > (means == JOURNAL_IS ? OBJECT_HASH | OBJECT_BIRTH : 0u))
        r->bad = true;
    if (r->bad)
        return;
    ret->means = (enum journal_means)means;
    ret->has_hash = with & OBJECT_HASH;
    if (means == JOURNAL_MADE)
        ret->made_by = bytes_take64(r);
    if (means == JOURNAL_IS)
        ret->identity = take_identity(r);
    if (with & OBJECT_BIRTH) {
        ret->identity.birth = bytes_take32(r);
        r->bad = r->bad || ret->identity.birth == 0;
    }
    if (ret->has_hash)
        memcpy(ret->hash, bytes_take(r, JOURNAL_DIGEST), JOURNAL_DIGEST);
}

static void take_attr(struct bytes_in *r, struct journal_attr *ret)
{
    ret->mask = bytes_take32(r);
    ret->mode = bytes_take32(r);
    ret->uid = bytes_take32(r);
    ret->gid = bytes_take32(r);
    ret->atime_ns = (int64_t)bytes_take64(r);
    ret->mtime_ns = (int64_t)bytes_take64(r);
}

static const uint8_t *take_list(struct bytes_in *r, size_t count, size_t max, size_t each)
{
    if (count > max)
        r->bad = true;
    return r->bad ? NULL : bytes_take(r, count * each);
}

static void take_data(struct bytes_in *r, struct journal_record *ret)
{
    ret->extent_count = bytes_take32(r);
    ret->data_len = bytes_take32(r);
    if (ret->extent_count && ret->data_len)
        r->bad = true;
    ret->data = take_list(r, ret->data_len, JOURNAL_INLINE_MAX, 1);
    ret->raw_extents = take_list(r, ret->extent_count, JOURNAL_EXTENTS_MAX, EXTENT);
    for (size_t i = 0; !r->bad && i < ret->extent_count; i++) {
        const struct journal_extent e = journal_record_extent(ret, i);

        if (e.len == 0 || e.len > JOURNAL_EXTENT_MAX || e.segment == 0 ||
            e.at < JOURNAL_SEGMENT_HEADER || e.at > SEGMENT_END || e.off > INT64_MAX)
            r->bad = true;
    }
}

static size_t result_size(const struct journal_record *rec)
{
    return rec->result_births ? RESULT + 4 : RESULT;
}

static void take_results(struct bytes_in *r, struct journal_record *ret)
{
    const uint32_t count = bytes_take32(r);

    ret->result_births = count & RESULTS_BIRTHS;
    ret->result_count = count & ~(uint32_t)RESULTS_BIRTHS;
    r->bad = r->bad || (ret->result_births && ret->result_count == 0);
    ret->raw_results = take_list(r, ret->result_count, JOURNAL_RESULTS_MAX, result_size(ret));
    for (size_t i = 0; !r->bad && i < ret->result_count; i++) {
        const uint8_t *p = ret->raw_results + i * result_size(ret);

        if (p[8] > JOURNAL_DROPPED || p[9] > JOURNAL_DROPPED || p[10] > 1 || p[11])
            r->bad = true;
    }
}

static void take_parts(struct bytes_in *r, unsigned parts, struct journal_record *ret)
{
    if (parts & WHEN) {
        ret->when_ns = (int64_t)bytes_take64(r);
        ret->group = bytes_take64(r);
    }
    for (int i = 0; i < JOURNAL_ROLES; i++)
        if (parts & (AT << i))
            take_object(r, &ret->object[i]);
    if (parts & PATH)
        ret->path = bytes_take_string(r, JOURNAL_PATH_MAX);
    if (parts & PATH2)
        ret->path2 = bytes_take_string(r, JOURNAL_PATH_MAX);
    if (parts & OFF)
        ret->off = bytes_take64(r);
    if (parts & SIZE)
        ret->size = bytes_take64(r);
    if (parts & FLAGS)
        ret->flags = bytes_take32(r);
    if (parts & ATTR)
        take_attr(r, &ret->attr);
    if (parts & BATCH)
        ret->batch = bytes_take64(r);
    if (parts & DIGEST)
        ret->digest = bytes_take(r, JOURNAL_DIGEST);
    if (parts & DATA)
        take_data(r, ret);
    if (parts & RANGES) {
        ret->range_count = bytes_take32(r);
        ret->raw_ranges = take_list(r, ret->range_count, JOURNAL_RANGES_MAX, RANGE);
    }
    if (parts & RESULTS)
        take_results(r, ret);
    if (parts & SYNCED)
        ret->synced = bytes_take64(r);
    if (ret->synced > ret->seq)
        r->bad = true;
}

ssize_t journal_record_get(uint32_t salt, const void *bytes, size_t n, struct journal_record *ret)
{
    struct journal_record rec = {0};
    const uint8_t *p = bytes;
    struct bytes_in r;
    size_t len;
    int parts;

    if (n == 0)
        return 0;
    if (n < JOURNAL_RECORD_HEADER || bytes_get_le(p, 4) != RECORD_MAGIC)
        return -EBADMSG;
    len = bytes_get_le(p + 8, 4);
    if (len < JOURNAL_RECORD_HEADER || len > n || len > JOURNAL_RECORD_MAX || len % 8 != 0)
        return -EBADMSG;
    if (bytes_get_le(p + 4, 4) != crc32c(salt, p + 8, len - 8))
        return -EBADMSG;
    rec.kind = (enum journal_kind)bytes_get_le(p + 12, 4);
    rec.seq = bytes_get_le(p + 16, 8);
    parts = parts_of(rec.kind);
    if (parts < 0 || rec.seq == 0 || rec.seq == UINT64_MAX)
        return -EBADMSG;
    r = (struct bytes_in){.p = p + JOURNAL_RECORD_HEADER, .end = p + len};
    take_parts(&r, (unsigned)parts, &rec);
    if (r.bad || !bytes_at_end(&r))
        return -EBADMSG;
    *ret = rec;
    return (ssize_t)len;
}

struct journal_extent journal_record_extent(const struct journal_record *rec, size_t i)
{
    const uint8_t *p = rec->raw_extents + i * EXTENT;

    return (struct journal_extent){
        .off = bytes_get_le(p, 8),
        .segment = bytes_get_le(p + 8, 8),
        .at = bytes_get_le(p + 16, 8),
        .len = (uint32_t)bytes_get_le(p + 24, 4),
        .crc = (uint32_t)bytes_get_le(p + 28, 4),
    };
}

struct journal_range journal_record_range(const struct journal_record *rec, size_t i)
{
    const uint8_t *p = rec->raw_ranges + i * RANGE;

    return (struct journal_range){.first = bytes_get_le(p, 8), .last = bytes_get_le(p + 8, 8)};
}

struct journal_result journal_record_result(const struct journal_record *rec, size_t i)
{
    const uint8_t *p = rec->raw_results + i * result_size(rec);
    struct bytes_in r = {.p = p + 16, .end = p + RESULT};
    struct journal_identity now = take_identity(&r);

    if (rec->result_births)
        now.birth = (uint32_t)bytes_get_le(p + RESULT, 4);
    return (struct journal_result){
        .seq = bytes_get_le(p, 8),
        .said = (enum journal_outcome)p[8],
        .settled = (enum journal_outcome)p[9],
        .forced = p[10] != 0,
        .err = (int32_t)bytes_get_le(p + 12, 4),
        .now = now,
    };
}
