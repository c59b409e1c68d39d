#include "helper/emit.h"

#include "helper/mounts.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    RAW_FLUSH = 48 << 10,     /* a multiple of 3 */
    ENTRIES_FLUSH = 48 << 10, /* with one more entry still below PROTO_BODY_MAX */
    RAW_HELD = 3 << 20,
    RAW_MAX = 4 << 20,
};

/* Encodes and writes the first n raw bytes. */
static void flush(struct emit *e, size_t n)
{
    struct buf text = BUF_INIT(2 * RAW_MAX);
    int r = base64_encode(&text, buf_str(&e->raw), n);

    if (r == 0)
        r = io_write(STDOUT_FILENO, buf_str(&text), text.len);
    buf_done(&text);
    buf_consume(&e->raw, n);
    e->err = r;
}

int emit_open(struct emit *e, const char *token)
{
    *e = (struct emit){.token = token, .raw = BUF_INIT(RAW_MAX), .entries = BUF_INIT(RAW_MAX)};
    e->err = io_write(STDOUT_FILENO, token, strlen(token));
    if (e->err == 0)
        e->err = io_write(STDOUT_FILENO, ":", 1);
    return e->err;
}

/* Before another kind follows. */
static void end_entries(struct emit *e)
{
    if (e->entries.len == 0)
        return;
    emit_raw(e, proto_put_frame(&e->raw, PROTO_ENTRIES, &e->entries));
    buf_truncate(&e->entries, 0);
}

struct buf *emit_room(struct emit *e)
{
    end_entries(e);
    return &e->raw;
}

void emit_raw(struct emit *e, int r)
{
    if (e->err == 0)
        e->err = r;
    if (e->err == 0 && e->raw.len >= (e->held ? RAW_HELD : RAW_FLUSH)) {
        const size_t n = e->raw.len - e->raw.len % 3;

        e->held = false;
        e->sent += n;
        flush(e, n);
    }
}

void emit_frame(struct emit *e, enum proto_kind kind, const struct buf *body)
{
    emit_raw(e, proto_put_frame(emit_room(e), kind, body));
}

void emit_entry(struct emit *e, const struct proto_entry *entry)
{
    const int r = proto_put_entry(&e->entries, entry);

    if (e->err == 0)
        e->err = r;
    e->count++;
    if (e->entries.len >= ENTRIES_FLUSH)
        end_entries(e);
}

void emit_hold(struct emit *e)
{
    emit_raw(e, 0);
    e->held = true;
    e->held_at = emit_room(e)->len;
    e->held_count = e->count;
}

bool emit_take_back(struct emit *e)
{
    if (!e->held || e->err < 0)
        return false;
    buf_truncate(&e->raw, e->held_at);
    buf_truncate(&e->entries, 0);
    e->count = e->held_count;
    return true;
}

void emit_release(struct emit *e)
{
    e->held = false;
    emit_raw(e, 0);
}

int emit_close(struct emit *e, int err, bool more)
{
    const struct proto_end end = {.err = (uint64_t)-err, .more = more, .entries = e->count};

    EMIT(e, proto_put_end, &end);
    if (e->err == 0)
        flush(e, e->raw.len);
    if (e->err == 0)
        e->err = io_write(STDOUT_FILENO, ":", 1);
    if (e->err == 0)
        e->err = io_write(STDOUT_FILENO, e->token, strlen(e->token));
    if (e->err == 0)
        e->err = io_write(STDOUT_FILENO, "\n", 1);
    buf_done(&e->raw);
    buf_done(&e->entries);
    return e->err;
}

struct proto_entry emit_entry_of(const struct look *attr, const char *name, const char *target)
{
    const struct stat *st = &attr->st;

    return (struct proto_entry){
        .name = name,
        .name_len = strlen(name),
        .target = target,
        .target_len = target ? strlen(target) : 0,
        .dev = mounts_device(st->st_dev, S_ISDIR(st->st_mode) ? attr->mount : 0),
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .blocks = (uint64_t)st->st_blocks,
        .rdev = st->st_rdev,
        .mode = st->st_mode,
        .nlink = (uint32_t)st->st_nlink,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .mtime_ns = timespec_to_ns(st->st_mtim),
        .ctime_ns = timespec_to_ns(st->st_ctim),
        .has_birth = attr->birth_ns != INT64_MIN,
        .birth_ns = attr->birth_ns,
    };
}
