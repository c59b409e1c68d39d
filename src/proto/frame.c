#include "proto/proto.h"

#include "util/crc32c.h"

#include <errno.h>
#include <string.h>

static const char magic[4] = {'d', 't', 'h', '1'};

static void put_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t checksum(const uint8_t *header, const void *body, size_t len)
{
    return crc32c(crc32c(0, header, 12), body, len);
}

int proto_put_frame(struct buf *out, enum proto_kind kind, const struct buf *body)
{
    uint8_t header[PROTO_HEADER] = {0};
    int r;

    if (body->len > PROTO_BODY_MAX)
        return -EFBIG;
    memcpy(header, magic, sizeof(magic));
    header[4] = PROTO_VERSION;
    header[5] = (uint8_t)kind;
    put_le32(header + 8, (uint32_t)body->len);
    put_le32(header + 12, checksum(header, buf_str(body), body->len));
    r = buf_reserve(out, PROTO_HEADER + body->len);
    if (r < 0)
        return r;
    (void)buf_append(out, header, sizeof(header)); /* both reserved */
    (void)buf_append(out, buf_str(body), body->len);
    return 0;
}

int proto_end_frame(struct buf *out, int kind, struct buf *body, int r)
{
    if (r == 0)
        r = proto_put_frame(out, (enum proto_kind)kind, body);
    buf_done(body);
    return r;
}

ssize_t proto_get_frame(const uint8_t *p, size_t n, struct proto_frame *ret)
{
    uint32_t len;

    if (memcmp(p, magic, n < sizeof(magic) ? n : sizeof(magic)) != 0)
        return -EBADMSG;
    if (n < PROTO_HEADER)
        return 0;
    len = get_le32(p + 8);
    if (p[4] != PROTO_VERSION || p[6] != 0 || p[7] != 0 || len > PROTO_BODY_MAX)
        return -EBADMSG;
    if (n - PROTO_HEADER < len)
        return 0;
    if (get_le32(p + 12) != checksum(p, p + PROTO_HEADER, len))
        return -EBADMSG;
    *ret =
        (struct proto_frame){.kind = (enum proto_kind)p[5], .body = p + PROTO_HEADER, .len = len};
    return (ssize_t)(PROTO_HEADER + len);
}

struct proto_in proto_in_frame(const struct proto_frame *frame)
{
    return (struct proto_in){.p = frame->body, .end = frame->body + frame->len};
}

uint64_t proto_get_uint(struct proto_in *in)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && in->p < in->end && !in->bad; shift += 7) {
        const uint8_t byte = *in->p++;

        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    in->bad = true;
    return 0;
}

uint32_t proto_get_uint32(struct proto_in *in)
{
    const uint64_t v = proto_get_uint(in);

    in->bad = in->bad || v > UINT32_MAX;
    return (uint32_t)v;
}

int64_t proto_get_int(struct proto_in *in)
{
    const uint64_t v = proto_get_uint(in);

    return (int64_t)(v >> 1 ^ -(v & 1));
}

/* The second is mostly close to the first. */
void proto_get_times(struct proto_in *in, int64_t *ret_mtime_ns, int64_t *ret_ctime_ns)
{
    *ret_mtime_ns = proto_get_int(in);
    *ret_ctime_ns = (int64_t)((uint64_t)*ret_mtime_ns + (uint64_t)proto_get_int(in));
}

const char *proto_get_string(struct proto_in *in, size_t max, size_t *ret_len)
{
    const uint64_t len = proto_get_uint(in);
    const char *p = (const char *)in->p;

    if (in->bad || len > max || len > (uint64_t)(in->end - in->p)) {
        in->bad = true;
        *ret_len = 0;
        return "";
    }
    in->p += len;
    *ret_len = (size_t)len;
    return p;
}

bool proto_in_done(const struct proto_in *in)
{
    return !in->bad && in->p == in->end;
}

int proto_put_uint(struct buf *out, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    return buf_append(out, bytes, n);
}

int proto_put_uints(struct buf *out, const uint64_t *v, size_t count)
{
    int r = 0;

    for (size_t i = 0; i < count && r == 0; i++)
        r = proto_put_uint(out, v[i]);
    return r;
}

int proto_put_int(struct buf *out, int64_t v)
{
    return proto_put_uint(out, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

int proto_put_times(struct buf *out, int64_t mtime_ns, int64_t ctime_ns)
{
    const int r = proto_put_int(out, mtime_ns);

    return r < 0 ? r : proto_put_int(out, (int64_t)((uint64_t)ctime_ns - (uint64_t)mtime_ns));
}

int proto_put_string(struct buf *out, const void *p, size_t len)
{
    const int r = proto_put_uint(out, len);

    return r < 0 ? r : buf_append(out, p, len);
}
