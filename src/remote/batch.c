#include "remote/batch.h"

#include "proto/proto.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void remote_applied_done(struct remote_applied *a)
{
    free(a->v);
    memset(a, 0, sizeof(*a));
}

static bool client_valid(const char *client)
{
    size_t n = 0;

    while (isxdigit((unsigned char)client[n]))
        n++;
    return n == REMOTE_CLIENT_LEN && client[n] == '\0';
}

static bool object_valid(const struct remote_object *o, size_t index)
{
    return o->means != REMOTE_LEFT_BY || o->change < index;
}

static bool pieces_valid(const struct remote_batch *b, const struct remote_change *c)
{
    uint64_t end = 0;

    for (size_t i = 0; i < c->piece_count; i++) {
        const struct remote_piece *p = &c->pieces[i];
        uint64_t have;

        if (p->blob > b->blob_count || p->off < end || p->len > INT64_MAX ||
            p->off > INT64_MAX - p->len)
            return false;
        have = p->blob == 0 ? b->data_len : b->blobs[p->blob - 1].len;
        if (p->len > have || p->at > have - p->len)
            return false;
        end = p->off + p->len;
    }
    return c->size == REMOTE_ALL || end <= c->size;
}

static bool path_good(const char *path)
{
    return path && path[0] == '/' && path[1] != '\0' && strlen(path) <= PROTO_PATH_MAX;
}

static bool joined_valid(const struct remote_change *c)
{
    return !c->joined || (c->kind == REMOTE_CHANGE_WRITE && !(c->flags & REMOTE_CHANGE_APPEND) &&
                          (c->size == REMOTE_ALL || c->size == c->joined->size));
}

static bool change_valid(const struct remote_batch *b, size_t i)
{
    const struct remote_change *c = &b->v[i];
    const bool two = c->kind == REMOTE_CHANGE_LINK || c->kind == REMOTE_CHANGE_RENAME;

    if (c->kind < REMOTE_CHANGE_WRITE || c->kind > REMOTE_CHANGE_FSYNC ||
        (c->set.mask & REMOTE_SET_SIZE))
        return false;
    if (!path_good(c->path) && !(c->path && strcmp(c->path, "/") == 0))
        return false;
    if ((two && !path_good(c->path2)) || (c->kind == REMOTE_CHANGE_SYMLINK && !c->path2))
        return false;
    return object_valid(&c->at, i) && object_valid(&c->at2, i) && pieces_valid(b, c) &&
           joined_valid(c);
}

int remote_apply(struct remote *r, const struct remote_batch *batch, struct remote_applied *ret)
{
    size_t pieces = 0;

    if (!client_valid(batch->client) || batch->number == 0 || batch->count == 0)
        return -EINVAL;
    if (batch->mode != REMOTE_BATCH_CLOSE) {
        for (size_t i = 0; i < batch->count; i++) {
            if (!change_valid(batch, i))
                return -EINVAL;
            pieces += batch->v[i].piece_count;
        }
        if (batch->data_len > REMOTE_BATCH_DATA || batch->blob_count > REMOTE_BATCH_BLOBS ||
            pieces > REMOTE_BATCH_PIECES)
            return -E2BIG;
    }
    if (batch->count > REMOTE_BATCH_CHANGES || batch->kept_count > REMOTE_KEPT)
        return -E2BIG;
    return r->ops->apply ? r->ops->apply(r, batch, ret) : -EOPNOTSUPP;
}

char *remote_kept_path(const struct remote_info *info, const char *client, uint64_t key)
{
    char *path;

    if (!info->kept_dir || asprintf(&path, "%s/%s/k-%" PRIu64, info->kept_dir, client, key) < 0)
        return NULL;
    return path;
}

int remote_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret)
{
    ret->name[0] = '\0';
    if (stage->len == 0 || stage->len > REMOTE_BLOB_MAX)
        return -EINVAL;
    return r->ops->stage ? r->ops->stage(r, stage, ret) : -EOPNOTSUPP;
}

bool remote_covers(const struct remote_piece *v, size_t count, uint64_t len)
{
    uint64_t end = 0;

    for (size_t i = 0; i < count && v[i].off <= end; i++)
        end = v[i].off + v[i].len;
    return end >= len;
}

int remote_join(struct remote *r, const struct remote_join *join, struct remote_joined *to)
{
    const struct remote_batch b = {.blobs = join->blobs, .blob_count = join->blob_count};
    const struct remote_change c = {
        .size = join->size, .pieces = join->pieces, .piece_count = join->piece_count};

    if (!path_good(join->path) || !pieces_valid(&b, &c) || join->blob_count >= REMOTE_BATCH_BLOBS ||
        join->piece_count > REMOTE_BATCH_PIECES ||
        (join->piece_count > 0 && (join->pieces[0].off < to->size || join->pieces[0].blob == 0)))
        return -EINVAL;
    return r->ops->join ? r->ops->join(r, join, to) : -EOPNOTSUPP;
}
