#include "journal/record.h"

#include "util/array.h"
#include "util/crc32c.h"

#include <errno.h>
#include <string.h>

/*
 * All numbers are little-endian; "string" is a 4 byte length, so many bytes, none of them NUL, and
 * a NUL that is not counted. salt is a random number that the log's head holds: checksums start
 * from it, so that a journal copied into a file of the mount never looks like a part of this one.
 *
 * The log's head:
 *    0  8  "dtfs-log"                24  8  when it was made, ns since the epoch
 *    8  4  the version               32 16  client: the name under which batches are numbered
 *   12  4  length, all included      48  -  strings: API url, sandbox id, slot; zeros to 8 bytes
 *   16  4  crc32c of 0-15, 20-end
 *   20  4  salt
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
 * A segment's head: 0 8 "dtfs-seg", 8 4 version (1), 12 4 salt, 16 8 its number, 24 4 crc32c of
 * 0-23, 28 4 zero. Then blobs without any frame: extents say where they are.
 *
 * Versions: 1 had no JOURNAL_SYNCED, and 0 for forced; 1 and 2 had no births. All else was the
 * same, so that what they wrote is read here as it is.
 */
enum { RECORD_MAGIC = 0x316a7464 };
enum { SEGMENT_END = 1 << 30 }; /* none is longer */
enum { SEGMENT_VERSION = 1 };
enum { OBJECT_HASH = 1, OBJECT_BIRTH = 2 };
#define RESULTS_BIRTHS UINT32_C(0x80000000)
enum {
    IDENTITY = 40,
    EXTENT = 32,
    RANGE = 16,
    RESULT = 16 + IDENTITY,
    HEAD_FIXED = JOURNAL_HEAD_MIN
};

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

/* ---- numbers ---- */

static void le(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* ---- writing: the first error sticks ---- */

struct writer {
    struct buf *out;
    int err;
};

static void put_bytes(struct writer *w, const void *p, size_t n)
{
    if (w->err == 0)
        w->err = p ? buf_append(w->out, p, n) : -EINVAL;
}

static void put32(struct writer *w, uint32_t v)
{
    uint8_t b[4];

    le(b, v, 4);
    put_bytes(w, b, sizeof(b));
}

static void put64(struct writer *w, uint64_t v)
{
    uint8_t b[8];

    le(b, v, 8);
    put_bytes(w, b, sizeof(b));
}

static void put_string(struct writer *w, const char *s)
{
    const size_t n = s ? strlen(s) : 0;

    if (!s || n > JOURNAL_PATH_MAX) {
        w->err = -EINVAL;
        return;
    }
    put32(w, (uint32_t)n);
    put_bytes(w, s, n + 1);
}

static void put_identity(struct writer *w, const struct journal_identity *id)
{
    put64(w, id->dev);
    put64(w, id->ino);
    put64(w, id->size);
    put64(w, (uint64_t)id->mtime_ns);
    put64(w, (uint64_t)id->ctime_ns);
}

static void put_object(struct writer *w, const struct journal_object *o)
{
    const bool hash = o->means == JOURNAL_IS && o->has_hash;
    const bool birth = o->means == JOURNAL_IS && o->identity.birth != 0;

    if (o->means > JOURNAL_MADE)
        w->err = -EINVAL;
    put32(w, o->means);
    put32(w, (hash ? OBJECT_HASH : 0) | (birth ? OBJECT_BIRTH : 0));
    if (o->means == JOURNAL_MADE)
        put64(w, o->made_by);
    if (o->means == JOURNAL_IS)
        put_identity(w, &o->identity);
    if (birth)
        put32(w, o->identity.birth);
    if (hash)
        put_bytes(w, o->hash, sizeof(o->hash));
}

static void put_attr(struct writer *w, const struct journal_attr *a)
{
    put32(w, a->mask);
    put32(w, a->mode);
    put32(w, a->uid);
    put32(w, a->gid);
    put64(w, (uint64_t)a->atime_ns);
    put64(w, (uint64_t)a->mtime_ns);
}

static void put_data(struct writer *w, const struct journal_record *rec)
{
    if (rec->extent_count > JOURNAL_EXTENTS_MAX || rec->data_len > JOURNAL_INLINE_MAX)
        w->err = -E2BIG;
    else if (rec->extent_count && rec->data_len)
        w->err = -EINVAL;
    put32(w, (uint32_t)rec->extent_count);
    put32(w, (uint32_t)rec->data_len);
    put_bytes(w, rec->data_len ? rec->data : "", rec->data_len);
    for (size_t i = 0; w->err == 0 && i < rec->extent_count; i++) {
        const struct journal_extent *e = &rec->extents[i];

        put64(w, e->off);
        put64(w, e->segment);
        put64(w, e->at);
        put32(w, e->len);
        put32(w, e->crc);
    }
}

static void put_ranges(struct writer *w, const struct journal_record *rec)
{
    if (rec->range_count > JOURNAL_RANGES_MAX)
        w->err = -E2BIG;
    put32(w, (uint32_t)rec->range_count);
    for (size_t i = 0; w->err == 0 && i < rec->range_count; i++) {
        put64(w, rec->ranges[i].first);
        put64(w, rec->ranges[i].last);
    }
}

static void put_results(struct writer *w, const struct journal_record *rec)
{
    bool births = false;

    if (rec->result_count > JOURNAL_RESULTS_MAX)
        w->err = -E2BIG;
    for (size_t i = 0; i < rec->result_count; i++)
        births = births || rec->results[i].now.birth != 0;
    put32(w, (uint32_t)rec->result_count | (births ? RESULTS_BIRTHS : 0));
    for (size_t i = 0; w->err == 0 && i < rec->result_count; i++) {
        const struct journal_result *r = &rec->results[i];

        put64(w, r->seq);
        put32(w, (uint32_t)r->said | (uint32_t)r->settled << 8 | (uint32_t)r->forced << 16);
        put32(w, (uint32_t)r->err);
        put_identity(w, &r->now);
        if (births)
            put32(w, r->now.birth);
    }
}

static void put_parts(struct writer *w, unsigned parts, const struct journal_record *rec)
{
    if (parts & WHEN) {
        put64(w, (uint64_t)rec->when_ns);
        put64(w, rec->group);
    }
    for (int i = 0; i < JOURNAL_ROLES; i++)
        if (parts & (AT << i))
            put_object(w, &rec->object[i]);
    if (parts & PATH)
        put_string(w, rec->path);
    if (parts & PATH2)
        put_string(w, rec->path2);
    if (parts & OFF)
        put64(w, rec->off);
    if (parts & SIZE)
        put64(w, rec->size);
    if (parts & FLAGS)
        put32(w, rec->flags);
    if (parts & ATTR)
        put_attr(w, &rec->attr);
    if (parts & BATCH)
        put64(w, rec->batch);
    if (parts & DIGEST)
        put_bytes(w, rec->digest, JOURNAL_DIGEST);
    if (parts & DATA)
        put_data(w, rec);
    if (parts & RANGES)
        put_ranges(w, rec);
    if (parts & RESULTS)
        put_results(w, rec);
    if (parts & SYNCED)
        put64(w, rec->synced);
}

static void put_padding(struct writer *w, size_t start)
{
    static const uint8_t zeros[8];

    put_bytes(w, zeros, (8 - (w->out->len - start) % 8) % 8);
}

int journal_record_put(struct buf *out, uint32_t salt, const struct journal_record *rec)
{
    struct writer w = {.out = out};
    const int parts = parts_of(rec->kind);
    const size_t start = out->len;
    uint8_t *p;
    size_t len;

    if (parts < 0)
        return parts;
    put32(&w, RECORD_MAGIC);
    put64(&w, 0); /* checksum and length, below */
    put32(&w, rec->kind);
    put64(&w, rec->seq);
    put_parts(&w, (unsigned)parts, rec);
    put_padding(&w, start);
    len = out->len - start;
    if (w.err == 0 && len > JOURNAL_RECORD_MAX)
        w.err = -E2BIG;
    if (w.err < 0) {
        buf_truncate(out, start);
        return w.err;
    }
    p = (uint8_t *)out->data + start;
    le(p + 8, len, 4);
    le(p + 4, crc32c(salt, p + 8, len - 8), 4);
    return 0;
}

/* ---- reading: once something does not fit, all is bad ---- */

struct reader {
    const uint8_t *p, *end;
    bool bad;
};

static const uint8_t *take(struct reader *r, size_t n)
{
    static const uint8_t zeros[IDENTITY];
    const uint8_t *p = r->p;

    if (r->bad || n > (size_t)(r->end - r->p)) {
        r->bad = true;
        return n <= sizeof(zeros) ? zeros : NULL;
    }
    r->p += n;
    return p;
}

static uint32_t take32(struct reader *r)
{
    return (uint32_t)get_le(take(r, 4), 4);
}

static uint64_t take64(struct reader *r)
{
    return get_le(take(r, 8), 8);
}

static const char *take_string(struct reader *r, size_t max)
{
    const size_t n = take32(r);
    const uint8_t *p;

    if (n > max)
        r->bad = true;
    p = r->bad ? NULL : take(r, n + 1);
    if (r->bad || memchr(p, 0, n + 1) != p + n) {
        r->bad = true;
        return "";
    }
    return (const char *)p;
}

static struct journal_identity take_identity(struct reader *r)
{
    const uint8_t *p = take(r, IDENTITY);

    return (struct journal_identity){
        .dev = get_le(p, 8),
        .ino = get_le(p + 8, 8),
        .size = get_le(p + 16, 8),
        .mtime_ns = (int64_t)get_le(p + 24, 8),
        .ctime_ns = (int64_t)get_le(p + 32, 8),
    };
}

static void take_object(struct reader *r, struct journal_object *ret)
{
    const uint32_t means = take32(r), with = take32(r);

    if (means > JOURNAL_MADE || with > (means == JOURNAL_IS ? OBJECT_HASH | OBJECT_BIRTH : 0u))
        r->bad = true;
    if (r->bad)
        return;
    ret->means = (enum journal_means)means;
    ret->has_hash = with & OBJECT_HASH;
    if (means == JOURNAL_MADE)
        ret->made_by = take64(r);
    if (means == JOURNAL_IS)
        ret->identity = take_identity(r);
    if (with & OBJECT_BIRTH) {
        ret->identity.birth = take32(r);
        r->bad = r->bad || ret->identity.birth == 0;
    }
    if (ret->has_hash)
        memcpy(ret->hash, take(r, JOURNAL_DIGEST), JOURNAL_DIGEST);
}

static void take_attr(struct reader *r, struct journal_attr *ret)
{
    ret->mask = take32(r);
    ret->mode = take32(r);
    ret->uid = take32(r);
    ret->gid = take32(r);
    ret->atime_ns = (int64_t)take64(r);
    ret->mtime_ns = (int64_t)take64(r);
}

static const uint8_t *take_list(struct reader *r, size_t count, size_t max, size_t each)
{
    if (count > max)
        r->bad = true;
    return r->bad ? NULL : take(r, count * each);
}

static void take_data(struct reader *r, struct journal_record *ret)
{
    ret->extent_count = take32(r);
    ret->data_len = take32(r);
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

static void take_results(struct reader *r, struct journal_record *ret)
{
    const uint32_t count = take32(r);

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

static void take_parts(struct reader *r, unsigned parts, struct journal_record *ret)
{
    if (parts & WHEN) {
        ret->when_ns = (int64_t)take64(r);
        ret->group = take64(r);
    }
    for (int i = 0; i < JOURNAL_ROLES; i++)
        if (parts & (AT << i))
            take_object(r, &ret->object[i]);
    if (parts & PATH)
        ret->path = take_string(r, JOURNAL_PATH_MAX);
    if (parts & PATH2)
        ret->path2 = take_string(r, JOURNAL_PATH_MAX);
    if (parts & OFF)
        ret->off = take64(r);
    if (parts & SIZE)
        ret->size = take64(r);
    if (parts & FLAGS)
        ret->flags = take32(r);
    if (parts & ATTR)
        take_attr(r, &ret->attr);
    if (parts & BATCH)
        ret->batch = take64(r);
    if (parts & DIGEST)
        ret->digest = take(r, JOURNAL_DIGEST);
    if (parts & DATA)
        take_data(r, ret);
    if (parts & RANGES) {
        ret->range_count = take32(r);
        ret->raw_ranges = take_list(r, ret->range_count, JOURNAL_RANGES_MAX, RANGE);
    }
    if (parts & RESULTS)
        take_results(r, ret);
    if (parts & SYNCED)
        ret->synced = take64(r);
    if (ret->synced > ret->seq)
        r->bad = true;
}

static bool only_padding(const struct reader *r)
{
    for (const uint8_t *p = r->p; p < r->end; p++)
        if (*p)
            return false;
    return r->end - r->p < 8;
}

ssize_t journal_record_get(uint32_t salt, const void *bytes, size_t n, struct journal_record *ret)
{
    struct journal_record rec = {0};
    const uint8_t *p = bytes;
    struct reader r;
    size_t len;
    int parts;

    if (n == 0)
        return 0;
    if (n < JOURNAL_RECORD_HEADER || get_le(p, 4) != RECORD_MAGIC)
        return -EBADMSG;
    len = get_le(p + 8, 4);
    if (len < JOURNAL_RECORD_HEADER || len > n || len > JOURNAL_RECORD_MAX || len % 8 != 0)
        return -EBADMSG;
    if (get_le(p + 4, 4) != crc32c(salt, p + 8, len - 8))
        return -EBADMSG;
    rec.kind = (enum journal_kind)get_le(p + 12, 4);
    rec.seq = get_le(p + 16, 8);
    parts = parts_of(rec.kind);
    if (parts < 0 || rec.seq == 0 || rec.seq == UINT64_MAX)
        return -EBADMSG;
    r = (struct reader){.p = p + JOURNAL_RECORD_HEADER, .end = p + len};
    take_parts(&r, (unsigned)parts, &rec);
    if (r.bad || !only_padding(&r))
        return -EBADMSG;
    *ret = rec;
    return (ssize_t)len;
}

struct journal_extent journal_record_extent(const struct journal_record *rec, size_t i)
{
    const uint8_t *p = rec->raw_extents + i * EXTENT;

    return (struct journal_extent){
        .off = get_le(p, 8),
        .segment = get_le(p + 8, 8),
        .at = get_le(p + 16, 8),
        .len = (uint32_t)get_le(p + 24, 4),
        .crc = (uint32_t)get_le(p + 28, 4),
    };
}

struct journal_range journal_record_range(const struct journal_record *rec, size_t i)
{
    const uint8_t *p = rec->raw_ranges + i * RANGE;

    return (struct journal_range){.first = get_le(p, 8), .last = get_le(p + 8, 8)};
}

struct journal_result journal_record_result(const struct journal_record *rec, size_t i)
{
    const uint8_t *p = rec->raw_results + i * result_size(rec);
    struct reader r = {.p = p + 16, .end = p + RESULT};
    struct journal_identity now = take_identity(&r);

    if (rec->result_births)
        now.birth = (uint32_t)get_le(p + RESULT, 4);
    return (struct journal_result){
        .seq = get_le(p, 8),
        .said = (enum journal_outcome)p[8],
        .settled = (enum journal_outcome)p[9],
        .forced = p[10] != 0,
        .err = (int32_t)get_le(p + 12, 4),
        .now = now,
    };
}

/* ---- heads ---- */

static const char log_magic[8] = "dtfs-log", segment_magic[8] = "dtfs-seg";

static uint32_t head_crc(const uint8_t *p, size_t len)
{
    return crc32c(crc32c(0, p, 16), p + 20, len - 20);
}

int journal_head_put(struct buf *out, const struct journal_head *head)
{
    struct writer w = {.out = out};
    const size_t start = out->len;
    uint8_t *p;

    put_bytes(&w, log_magic, sizeof(log_magic));
    put32(&w, JOURNAL_VERSION);
    put64(&w, 0); /* length and checksum, below */
    put32(&w, head->salt);
    put64(&w, (uint64_t)head->made_ns);
    put_bytes(&w, head->client, sizeof(head->client));
    put_string(&w, head->api_url);
    put_string(&w, head->sandbox_id);
    put_string(&w, head->slot);
    put_padding(&w, start);
    if (w.err == 0 && out->len - start > JOURNAL_HEAD_MAX)
        w.err = -E2BIG;
    if (w.err < 0) {
        buf_truncate(out, start);
        return w.err;
    }
    p = (uint8_t *)out->data + start;
    le(p + 12, out->len - start, 4);
    le(p + 16, head_crc(p, out->len - start), 4);
    return 0;
}

ssize_t journal_head_get(const void *bytes, size_t n, struct journal_head *ret)
{
    struct journal_head head = {0};
    const uint8_t *p = bytes;
    struct reader r;
    size_t len;

    if (n < HEAD_FIXED || memcmp(p, log_magic, sizeof(log_magic)) != 0)
        return -EBADMSG;
    len = get_le(p + 12, 4);
    head.version = (uint32_t)get_le(p + 8, 4);
    /* Before the checksum: another version may have another one. */
    if (head.version < JOURNAL_VERSION_OLDEST || head.version > JOURNAL_VERSION)
        return -EPROTONOSUPPORT;
    if (len < HEAD_FIXED || len > n || len > JOURNAL_HEAD_MAX || len % 8 != 0 ||
        get_le(p + 16, 4) != head_crc(p, len))
        return -EBADMSG;
    head.salt = (uint32_t)get_le(p + 20, 4);
    head.made_ns = (int64_t)get_le(p + 24, 8);
    memcpy(head.client, p + 32, sizeof(head.client));
    r = (struct reader){.p = p + HEAD_FIXED, .end = p + len};
    head.api_url = take_string(&r, JOURNAL_HEAD_MAX);
    head.sandbox_id = take_string(&r, JOURNAL_HEAD_MAX);
    head.slot = take_string(&r, JOURNAL_HEAD_MAX);
    if (r.bad || !only_padding(&r))
        return -EBADMSG;
    *ret = head;
    return (ssize_t)len;
}

uint32_t journal_head_salt(const void *p)
{
    return (uint32_t)get_le((const uint8_t *)p + 20, 4);
}

void journal_segment_put(uint8_t out[JOURNAL_SEGMENT_HEADER], uint32_t salt, uint64_t number)
{
    memset(out, 0, JOURNAL_SEGMENT_HEADER);
    memcpy(out, segment_magic, sizeof(segment_magic));
    le(out + 8, SEGMENT_VERSION, 4);
    le(out + 12, salt, 4);
    le(out + 16, number, 8);
    le(out + 24, crc32c(0, out, 24), 4);
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
    r = journal_segment_get(p, n, (uint32_t)get_le(p + 12, 4), get_le(p + 16, 8));
    if (r == 0)
        *ret = (uint32_t)get_le(p + 12, 4);
    return r;
}
