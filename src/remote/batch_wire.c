#include "remote/batch_wire.h"

#include "util/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SAME(a, b) _Static_assert((int)(a) == (int)(b), #a)
SAME(REMOTE_BATCH_CHANGES, BATCH_CHANGES_MAX);
SAME(REMOTE_BATCH_PIECES, BATCH_PIECES_MAX);
SAME(REMOTE_BATCH_BLOBS, BATCH_BLOBS_MAX);
SAME(REMOTE_BATCH_DATA, BATCH_DATA_MAX);
SAME(REMOTE_BATCH_BYTES, BATCH_BYTES_MAX);
SAME(REMOTE_BLOB_MAX, BATCH_BLOB_MAX);
SAME(REMOTE_BLOB_NAME, BATCH_BLOB_NAME);
SAME(REMOTE_CLIENT_LEN, BATCH_CLIENT_LEN);
SAME(REMOTE_DIGEST, BATCH_DIGEST);
SAME(REMOTE_ANY, BATCH_ANY);
SAME(REMOTE_ABSENT, BATCH_ABSENT);
SAME(REMOTE_SAME, BATCH_SAME);
SAME(REMOTE_VERSION, BATCH_VERSION);
SAME(REMOTE_LEFT_BY, BATCH_LEFT_BY);
SAME(REMOTE_CHANGE_WRITE, BATCH_WRITE);
SAME(REMOTE_CHANGE_MKDIR, BATCH_MKDIR);
SAME(REMOTE_CHANGE_SYMLINK, BATCH_SYMLINK);
SAME(REMOTE_CHANGE_LINK, BATCH_LINK);
SAME(REMOTE_CHANGE_RENAME, BATCH_RENAME);
SAME(REMOTE_CHANGE_UNLINK, BATCH_UNLINK);
SAME(REMOTE_CHANGE_RMDIR, BATCH_RMDIR);
SAME(REMOTE_CHANGE_SETATTR, BATCH_SETATTR);
SAME(REMOTE_CHANGE_FSYNC, BATCH_FSYNC);
SAME(REMOTE_CHANGE_APPEND, BATCH_APPEND);
SAME(REMOTE_CHANGE_IN_PLACE, BATCH_IN_PLACE);
SAME(REMOTE_CHANGE_NOREPLACE, BATCH_NOREPLACE);
SAME(REMOTE_CHANGE_EXCHANGE, BATCH_EXCHANGE);
SAME(REMOTE_CHANGE_FSYNC_TOO, BATCH_FSYNC_TOO);
SAME(REMOTE_CHANGE_KEEP, BATCH_KEEP);
SAME(REMOTE_KEPT, BATCH_KEPT_MAX);
SAME(REMOTE_SET_MODE, BATCH_SET_MODE);
SAME(REMOTE_SET_UID, BATCH_SET_UID);
SAME(REMOTE_SET_GID, BATCH_SET_GID);
SAME(REMOTE_SET_ATIME, BATCH_SET_ATIME);
SAME(REMOTE_SET_MTIME, BATCH_SET_MTIME);
SAME(REMOTE_BATCH_RUN, BATCH_RUN);
SAME(REMOTE_BATCH_RENEW, BATCH_RENEW);
SAME(REMOTE_BATCH_CLOSE, BATCH_CLOSE);
SAME(REMOTE_JOINED, BATCH_JOINED_MAX);
SAME(REMOTE_OPEN, BATCH_OPEN);
SAME(REMOTE_DONE, BATCH_DONE);
SAME(REMOTE_FAILED, BATCH_FAILED);
SAME(REMOTE_CONFLICT, BATCH_CONFLICT);
SAME(REMOTE_POISONED, BATCH_POISONED);
SAME(REMOTE_BATCH_FINISHED, BATCH_FINISHED);
SAME(REMOTE_BATCH_UNKNOWN, BATCH_UNKNOWN);
SAME(REMOTE_BATCH_BEHIND, BATCH_BEHIND);
SAME(REMOTE_BATCH_AHEAD, BATCH_AHEAD);
SAME(REMOTE_BATCH_OTHER, BATCH_OTHER);

static struct batch_object object(const struct remote_object *o)
{
    return (struct batch_object){
        .means = (enum batch_means)o->means,
        .change = o->change,
        .dev = o->dev,
        .ino = o->ino,
        .size = o->size,
        .mtime_ns = o->mtime_ns,
        .ctime_ns = o->ctime_ns,
        .birth = o->birth,
        .hash = o->hash,
    };
}

struct batch_change batch_wire_change(const struct remote_change *c, struct batch_piece *pieces)
{
    for (size_t i = 0; i < c->piece_count; i++) {
        const struct remote_piece *p = &c->pieces[i];

        pieces[i] =
            (struct batch_piece){.off = p->off, .len = p->len, .blob = p->blob, .at = p->at};
    }
    return (struct batch_change){
        .kind = (enum batch_kind)c->kind,
        .flags = c->flags,
        .key = c->key,
        .path = c->path,
        .path2 = c->path2,
        .at = object(&c->at),
        .at2 = object(&c->at2),
        .set = c->set.mask & BATCH_SET_ALL,
        .mode = c->set.attr.mode & 07777,
        .uid = c->set.attr.uid,
        .gid = c->set.attr.gid,
        .atime_ns = c->set.attr.atime_ns,
        .mtime_ns = c->set.attr.mtime_ns,
        .keep = c->keep,
        .size = c->size,
        .pieces = pieces,
        .piece_count = c->piece_count,
    };
}

static int too_big(int r)
{
    return r == -EFBIG ? -E2BIG : r;
}

static int put_changes(const struct remote_batch *b, struct buf *out)
{
    const char *before = "";
    struct batch_piece *pieces;
    size_t most = 0;
    int r = 0;

    for (size_t i = 0; i < b->count; i++)
        most = b->v[i].piece_count > most ? b->v[i].piece_count : most;
    pieces = calloc(most + 1, sizeof(*pieces));
    if (!pieces)
        return -ENOMEM;
    for (size_t i = 0; i < b->count && r == 0; i++) {
        const struct batch_change c = batch_wire_change(&b->v[i], pieces);

        r = batch_put_change(out, &c, &before);
    }
    free(pieces);
    return r;
}

/* Each goes with the batch, as a blob of which nothing is used. */
static void add_joined(const struct remote_batch *b, struct batch_head *head,
                       struct batch_blob *blobs)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct remote_joined *j = b->v[i].joined;

        if (!j || head->joined_count == BATCH_JOINED_MAX || head->blob_count == BATCH_BLOBS_MAX)
            continue;
        memcpy(blobs[head->blob_count++].name, j->name, sizeof(j->name));
        head->joined[head->joined_count++] =
            (struct batch_joined){.change = i, .blob = head->blob_count, .seal = j->seal};
    }
}

static int put_head(const struct remote_batch *b, bool whole, struct buf *out)
{
    struct batch_head head = {
        .number = b->number,
        .mode = (enum batch_mode)b->mode,
        .flags = whole ? BATCH_WHOLE : 0,
        .count = b->count,
        .data_len = whole ? b->data_len : 0,
        .kept_count = b->kept_count,
        .blob_count = whole ? b->blob_count : 0,
    };
    struct batch_blob *blobs = calloc(head.blob_count + BATCH_JOINED_MAX + 1, sizeof(*blobs));
    int r;

    if (!blobs)
        return -ENOMEM;
    if (b->kept_count > 0)
        memcpy(head.kept, b->kept, b->kept_count * sizeof(*b->kept));
    memcpy(head.client, b->client, sizeof(head.client));
    memcpy(head.digest, b->digest, sizeof(head.digest));
    for (size_t i = 0; i < head.blob_count; i++) {
        memcpy(blobs[i].name, b->blobs[i].name, sizeof(blobs[i].name));
        blobs[i].len = b->blobs[i].len;
        blobs[i].crc = b->blobs[i].crc;
    }
    if (whole)
        add_joined(b, &head, blobs);
    r = batch_put_head(out, &head, blobs);
    free(blobs);
    return r;
}

static int put_framed(struct buf *out, int kind, const void *p, size_t n)
{
    const struct buf body = {.data = (char *)p, .len = n};

    return n == 0 ? 0 : proto_put_frame(out, (enum proto_kind)kind, &body);
}

int batch_wire_put(const struct remote_batch *b, bool whole, struct buf *out)
{
    struct buf changes = BUF_INIT(BATCH_BYTES_MAX);
    const struct proto_end end = {.entries = whole ? b->count : 0};
    const size_t start = out->len;
    int r = put_head(b, whole, out);

    if (r == 0 && whole)
        r = put_changes(b, &changes);
    if (r == 0 && out->len - start + changes.len > BATCH_BYTES_MAX)
        r = -E2BIG;
    if (r == 0)
        r = put_framed(out, PROTO_BATCH_CHANGES, changes.data, changes.len);
    if (r == 0 && whole)
        r = put_framed(out, PROTO_BATCH_DATA, b->data, b->data_len);
    if (r == 0)
        r = proto_put_end(out, &end);
    buf_done(&changes);
    return too_big(r);
}

int batch_wire_put_join(const struct remote_join *join, const struct remote_joined *to,
                        struct buf *out)
{
    const struct remote_change c = {.kind = REMOTE_CHANGE_WRITE,
                                    .flags = join->fsync ? REMOTE_CHANGE_FSYNC_TOO : 0,
                                    .path = join->path,
                                    .size = join->size,
                                    .pieces = join->pieces,
                                    .piece_count = join->piece_count,
                                    .joined = to};
    const struct remote_batch b = {.client = "00000000000000000000000000000000",
                                   .number = 1,
                                   .mode = (enum remote_batch_mode)BATCH_JOIN,
                                   .v = &c,
                                   .count = 1,
                                   .blobs = join->blobs,
                                   .blob_count = join->blob_count};

    return batch_wire_put(&b, true, out);
}

/*
 * sha256 of: "batch 1", number of changes, of blobs and of bytes of data; of each blob its length
 * and crc32c; the changes as they are sent; the data. Blobs of no length do not count.
 */
int remote_batch_digest(const struct remote_batch *b, uint8_t ret[REMOTE_DIGEST])
{
    struct buf all = BUF_INIT(BATCH_MESSAGE_MAX);
    int r = buf_puts(&all, "batch 1");
    uint64_t blobs = 0;

    for (size_t i = 0; i < b->blob_count; i++)
        blobs += b->blobs[i].len > 0;
    if (r == 0)
        r = proto_put_uint(&all, b->count);
    if (r == 0)
        r = proto_put_uint(&all, blobs);
    if (r == 0)
        r = proto_put_uint(&all, b->data_len);
    for (size_t i = 0; i < b->blob_count && r == 0; i++) {
        if (b->blobs[i].len == 0)
            continue;
        r = proto_put_uint(&all, b->blobs[i].len);
        if (r == 0)
            r = proto_put_uint(&all, b->blobs[i].crc);
    }
    if (r == 0)
        r = put_changes(b, &all);
    if (r == 0 && b->data_len > 0)
        r = buf_append(&all, b->data, b->data_len);
    if (r == 0)
        sha256(all.data, all.len, ret);
    buf_done(&all);
    return too_big(r);
}
