#include "proto/batch.h"

#include "util/path.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Added to what an object means: what is optional behind it is there. */
enum { OBJECT_MEANS = 16, OBJECT_HASH = 16, OBJECT_BIRTH = 32 };

static const uint8_t *get_bytes(struct proto_in *in, size_t n)
{
    const uint8_t *p = in->p;

    if (in->bad || (size_t)(in->end - in->p) < n) {
        in->bad = true;
        return NULL;
    }
    in->p += n;
    return p;
}

/* ---- head ---- */

static bool blob_name_valid(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && name[i] != '-')
            return false;
    }
    return len > 0 && len <= BATCH_BLOB_NAME;
}

static bool client_valid(const char *client, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isxdigit((unsigned char)client[i]))
            return false;
    }
    return len == BATCH_CLIENT_LEN;
}

int batch_put_head(struct buf *out, const struct batch_head *h, const struct batch_blob *blobs)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = proto_put_string(&body, h->client, strlen(h->client));

    if (r == 0)
        r = PROTO_PUT_UINTS(&body, h->number, h->mode, h->flags);
    if (r == 0)
        r = buf_append(&body, h->digest, sizeof(h->digest));
    if (r == 0)
        r = PROTO_PUT_UINTS(&body, h->count, h->data_len, h->kept_count);
    for (size_t i = 0; i < h->kept_count && r == 0; i++)
        r = proto_put_uint(&body, h->kept[i]);
    if (r == 0)
        r = proto_put_uint(&body, h->blob_count);
    for (size_t i = 0; i < h->blob_count && r == 0; i++) {
        r = proto_put_string(&body, blobs[i].name, strlen(blobs[i].name));
        if (r == 0)
            r = PROTO_PUT_UINTS(&body, blobs[i].len, blobs[i].crc);
    }
    if (r == 0 && h->joined_count > 0)
        r = proto_put_uint(&body, h->joined_count);
    for (size_t i = 0; i < h->joined_count && r == 0; i++)
        r = PROTO_PUT_UINTS(&body, h->joined[i].change, h->joined[i].blob, h->joined[i].seal);
    return proto_end_frame(out, PROTO_BATCH, &body, r);
}

bool batch_get_blob(struct proto_in *in, struct batch_blob *ret)
{
    size_t len;
    const char *name = proto_get_string(in, BATCH_BLOB_NAME, &len);

    ret->len = proto_get_uint(in);
    ret->crc = proto_get_uint32(in);
    if (in->bad || ret->len > BATCH_BLOB_MAX || !blob_name_valid(name, len)) {
        in->bad = true;
        return false;
    }
    memcpy(ret->name, name, len);
    ret->name[len] = '\0';
    return true;
}

/* What stands at the end, if anything does. */
static void get_joined(struct proto_in *in, struct batch_head *h)
{
    const uint64_t count = in->bad || in->p == in->end ? 0 : proto_get_uint(in);

    in->bad = in->bad || count > BATCH_JOINED_MAX;
    while (!in->bad && h->joined_count < count) {
        struct batch_joined *j = &h->joined[h->joined_count++];

        j->change = proto_get_uint(in);
        j->blob = proto_get_uint(in);
        j->seal = proto_get_uint(in);
        in->bad = in->bad || j->change >= h->count || j->blob - 1 >= h->blob_count;
    }
}

int batch_get_head(const struct proto_frame *f, struct batch_head *ret)
{
    struct proto_in in = proto_in_frame(f);
    struct batch_head h = {0};
    struct batch_blob blob;
    size_t len;
    const char *client = proto_get_string(&in, BATCH_CLIENT_LEN, &len);
    const uint8_t *digest;
    uint64_t mode, flags, kept, blobs;

    h.number = proto_get_uint(&in);
    mode = proto_get_uint(&in);
    flags = proto_get_uint(&in);
    digest = get_bytes(&in, sizeof(h.digest));
    h.count = proto_get_uint(&in);
    h.data_len = proto_get_uint(&in);
    kept = proto_get_uint(&in);
    if (kept > BATCH_KEPT_MAX)
        return -EBADMSG;
    h.kept_count = (size_t)kept;
    for (size_t i = 0; i < h.kept_count; i++)
        h.kept[i] = proto_get_uint(&in);
    blobs = proto_get_uint(&in);
    if ((int)f->kind != PROTO_BATCH || in.bad || !client_valid(client, len) || h.number == 0 ||
        mode > BATCH_JOIN || flags > BATCH_WHOLE || h.count == 0 || h.count > BATCH_CHANGES_MAX ||
        h.data_len > BATCH_DATA_MAX || blobs > BATCH_BLOBS_MAX)
        return -EBADMSG;
    memcpy(h.client, client, len);
    memcpy(h.digest, digest, sizeof(h.digest));
    h.mode = (enum batch_mode)mode;
    h.flags = (unsigned)flags;
    h.blob_count = (size_t)blobs;
    h.blobs = in;
    for (size_t i = 0; i < h.blob_count; i++) {
        if (!batch_get_blob(&in, &blob))
            return -EBADMSG;
    }
    get_joined(&in, &h);
    if (!proto_in_done(&in))
        return -EBADMSG;
    *ret = h;
    return 0;
}

int batch_put_file(struct buf *out, const char *name)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    int r = proto_put_string(&body, name, strlen(name));

    return proto_end_frame(out, PROTO_BATCH_FILE, &body, r);
}

int batch_get_file(const struct proto_frame *f, char ret[BATCH_BLOB_NAME + 1])
{
    struct proto_in in = proto_in_frame(f);
    size_t len;
    const char *name = proto_get_string(&in, BATCH_BLOB_NAME, &len);

    if ((int)f->kind != PROTO_BATCH_FILE || !proto_in_done(&in) || !blob_name_valid(name, len))
        return -EBADMSG;
    memcpy(ret, name, len);
    ret[len] = '\0';
    return 0;
}

/* ---- changes ---- */

static int put_object(struct buf *out, const struct batch_object *o)
{
    const bool known = o->means == BATCH_SAME || o->means == BATCH_VERSION;
    const bool hash = o->means == BATCH_VERSION && o->hash, birth = known && o->birth != 0;
    int r = proto_put_uint(out, (uint64_t)o->means + (hash ? OBJECT_HASH : 0) +
                                    (birth ? OBJECT_BIRTH : 0));

    if (r == 0 && o->means == BATCH_LEFT_BY)
        r = proto_put_uint(out, o->change);
    if (r == 0 && known)
        r = PROTO_PUT_UINTS(out, o->dev, o->ino);
    if (r == 0 && birth)
        r = proto_put_uint(out, o->birth);
    if (r == 0 && o->means == BATCH_VERSION)
        r = proto_put_uint(out, o->size);
    if (r == 0 && o->means == BATCH_VERSION)
        r = proto_put_times(out, o->mtime_ns, o->ctime_ns);
    if (r == 0 && hash)
        r = buf_append(out, o->hash, BATCH_HASH);
    return r;
}

static void get_object(struct proto_in *in, size_t index, struct batch_object *ret)
{
    const uint64_t means = proto_get_uint(in);
    unsigned may = 0;

    *ret = (struct batch_object){.means = (enum batch_means)(means % OBJECT_MEANS)};
    switch (ret->means) {
    case BATCH_ANY:
    case BATCH_ABSENT:
        break;
    case BATCH_LEFT_BY:
        ret->change = proto_get_uint(in);
        in->bad = in->bad || ret->change >= index;
        break;
    case BATCH_SAME:
    case BATCH_VERSION:
        ret->dev = proto_get_uint(in);
        ret->ino = proto_get_uint(in);
        if (means & OBJECT_BIRTH)
            ret->birth = proto_get_uint32(in);
        may = OBJECT_BIRTH;
        if (ret->means == BATCH_SAME)
            break;
        may |= OBJECT_HASH;
        ret->size = proto_get_uint(in);
        proto_get_times(in, &ret->mtime_ns, &ret->ctime_ns);
        if (means & OBJECT_HASH)
            ret->hash = get_bytes(in, BATCH_HASH);
        break;
    default:
        in->bad = true;
    }
    in->bad = in->bad || (means - means % OBJECT_MEANS) & ~(uint64_t)may ||
              ((means & OBJECT_BIRTH) && ret->birth == 0);
}

static int put_path(struct buf *out, const char *path, const char **before)
{
    size_t shared = 0;
    int r;

    while (path[shared] && path[shared] == (*before)[shared])
        shared++;
    r = proto_put_uint(out, shared);
    if (r == 0)
        r = proto_put_string(out, path + shared, strlen(path + shared));
    *before = path;
    return r;
}

/* Absolute, and every component valid: what it names is said by its form alone. */
static bool path_valid(const char *path)
{
    const char *part = path + 1;

    if (path[0] != '/')
        return false;
    while (path[1]) {
        const char *end = strchrnul(part, '/');

        if (!path_name_valid(part, (size_t)(end - part)))
            return false;
        if (*end == '\0')
            break;
        part = end + 1;
    }
    return true;
}

/* Into the place that does not hold the last one. NULL: bad. */
static const char *get_path(struct batch_changes *c, int *ret_err)
{
    const char *before = c->paths[c->last] ? c->paths[c->last] : "";
    const uint64_t shared = proto_get_uint(&c->in);
    const unsigned place = !c->last;
    size_t len;
    const char *rest = proto_get_string(&c->in, PROTO_PATH_MAX, &len);

    *ret_err = -EBADMSG;
    if (c->in.bad || shared > strlen(before) || shared + len > PROTO_PATH_MAX ||
        memchr(rest, '\0', len))
        return NULL;
    if (c->path_lens[place] < shared + len + 1) {
        char *p = realloc(c->paths[place], shared + len + 1);

        *ret_err = -ENOMEM;
        if (!p)
            return NULL;
        c->paths[place] = p;
        c->path_lens[place] = shared + len + 1;
    }
    memcpy(c->paths[place], before, shared);
    memcpy(c->paths[place] + shared, rest, len);
    c->paths[place][shared + len] = '\0';
    c->last = place;
    *ret_err = path_valid(c->paths[place]) ? 0 : -EBADMSG;
    return c->paths[place];
}

static bool has_set(enum batch_kind kind)
{
    return kind == BATCH_WRITE || kind == BATCH_MKDIR || kind == BATCH_SETATTR;
}

static bool has_two(enum batch_kind kind)
{
    return kind == BATCH_LINK || kind == BATCH_RENAME;
}

static int put_set(struct buf *out, const struct batch_change *c)
{
    int r = proto_put_uint(out, c->set);

    if (r == 0 && (c->set & BATCH_SET_MODE))
        r = proto_put_uint(out, c->mode);
    if (r == 0 && (c->set & BATCH_SET_UID))
        r = proto_put_uint(out, c->uid);
    if (r == 0 && (c->set & BATCH_SET_GID))
        r = proto_put_uint(out, c->gid);
    if (r == 0 && (c->set & BATCH_SET_ATIME))
        r = proto_put_int(out, c->atime_ns);
    if (r == 0 && (c->set & BATCH_SET_MTIME))
        r = proto_put_int(out, c->mtime_ns);
    return r;
}

static void get_set(struct proto_in *in, struct batch_change *c)
{
    const uint64_t set = proto_get_uint(in);

    if (set & ~(uint64_t)BATCH_SET_ALL) {
        in->bad = true;
        return;
    }
    c->set = (unsigned)set;
    if (set & BATCH_SET_MODE)
        c->mode = proto_get_uint32(in);
    if (set & BATCH_SET_UID)
        c->uid = proto_get_uint32(in);
    if (set & BATCH_SET_GID)
        c->gid = proto_get_uint32(in);
    if (set & BATCH_SET_ATIME)
        c->atime_ns = proto_get_int(in);
    if (set & BATCH_SET_MTIME)
        c->mtime_ns = proto_get_int(in);
    in->bad = in->bad || (c->mode & ~07777u);
}

static int put_pieces(struct buf *out, const struct batch_change *c)
{
    uint64_t end = 0;
    int r = PROTO_PUT_UINTS(out, c->keep + 1, c->size + 1, c->piece_count);

    for (size_t i = 0; i < c->piece_count && r == 0; i++) {
        const struct batch_piece *p = &c->pieces[i];

        r = PROTO_PUT_UINTS(out, p->off - end, p->len, p->blob, p->at);
        end = p->off + p->len;
    }
    return r;
}

static int get_pieces(struct batch_changes *cs, struct batch_change *c)
{
    struct proto_in *in = &cs->in;
    uint64_t count, end = 0;

    c->keep = proto_get_uint(in) - 1;
    c->size = proto_get_uint(in) - 1;
    count = proto_get_uint(in);
    /* Each takes four bytes at least, so a short body cannot ask for much memory. */
    if (in->bad || count > BATCH_PIECES_MAX || count > (uint64_t)(in->end - in->p) / 4 ||
        (c->size != BATCH_ALL && c->size > INT64_MAX) ||
        (cs->piece_sum += count) > BATCH_PIECES_MAX)
        return -EBADMSG;
    if (count > cs->piece_room) {
        struct batch_piece *v = realloc(cs->pieces, count * sizeof(*v));

        if (!v)
            return -ENOMEM;
        cs->pieces = v;
        cs->piece_room = (size_t)count;
    }
    for (size_t i = 0; i < count; i++) {
        struct batch_piece *p = &cs->pieces[i];

        p->off = proto_get_uint(in);
        p->len = proto_get_uint(in);
        p->blob = proto_get_uint(in);
        p->at = proto_get_uint(in);
        if (in->bad || p->off > INT64_MAX - end || p->len > INT64_MAX - end - p->off)
            return -EBADMSG;
        p->off += end;
        end = p->off + p->len;
    }
    if (c->size != BATCH_ALL && end > c->size && !(c->flags & BATCH_APPEND))
        return -EBADMSG;
    c->pieces = cs->pieces;
    c->piece_count = (size_t)count;
    return 0;
}

int batch_put_change(struct buf *out, const struct batch_change *c, const char **before)
{
    int r = PROTO_PUT_UINTS(out, c->kind, c->flags);

    if (r == 0 && (c->flags & BATCH_KEEP))
        r = proto_put_uint(out, c->key);
    if (r == 0)
        r = put_path(out, c->path, before);
    if (r == 0)
        r = put_object(out, &c->at);
    if (r == 0 && c->kind == BATCH_SYMLINK)
        r = proto_put_string(out, c->path2, strlen(c->path2));
    if (r == 0 && has_two(c->kind))
        r = put_path(out, c->path2, before);
    if (r == 0 && has_two(c->kind))
        r = put_object(out, &c->at2);
    if (r == 0 && has_set(c->kind))
        r = put_set(out, c);
    if (r == 0 && c->kind == BATCH_WRITE)
        r = put_pieces(out, c);
    return r;
}

/* The second string, which of a link is any bytes. It goes where the next path will go. */
static const char *get_target(struct batch_changes *c, int *ret_err)
{
    const unsigned place = !c->last;
    size_t len;
    const char *p = proto_get_string(&c->in, PATH_LEN_MAX, &len);

    *ret_err = -EBADMSG;
    if (c->in.bad || len == 0 || memchr(p, '\0', len))
        return NULL;
    if (c->path_lens[place] < len + 1) {
        char *room = realloc(c->paths[place], len + 1);

        *ret_err = -ENOMEM;
        if (!room)
            return NULL;
        c->paths[place] = room;
        c->path_lens[place] = len + 1;
    }
    memcpy(c->paths[place], p, len);
    c->paths[place][len] = '\0';
    *ret_err = 0;
    return c->paths[place];
}

int batch_get_change(struct batch_changes *cs, struct batch_change *ret)
{
    struct proto_in *in = &cs->in;
    struct batch_change c = {0};
    uint64_t kind, flags;
    int r = 0;

    if (in->p == in->end)
        return 0;
    kind = proto_get_uint(in);
    flags = proto_get_uint(in);
    if (in->bad || kind < BATCH_WRITE || kind > BATCH_FSYNC || (flags & ~BATCH_CHANGE_FLAGS_ALL) ||
        cs->next >= BATCH_CHANGES_MAX ||
        ((flags & BATCH_KEEP) && kind != BATCH_UNLINK && kind != BATCH_RENAME))
        return -EBADMSG;
    c.kind = (enum batch_kind)kind;
    c.flags = (unsigned)flags;
    if (flags & BATCH_KEEP)
        c.key = proto_get_uint(in);
    c.path = get_path(cs, &r);
    if (r == 0)
        get_object(in, cs->next, &c.at);
    if (r == 0 && c.kind == BATCH_SYMLINK)
        c.path2 = get_target(cs, &r);
    if (r == 0 && has_two(c.kind))
        c.path2 = get_path(cs, &r);
    if (r == 0 && has_two(c.kind))
        get_object(in, cs->next, &c.at2);
    if (r == 0 && has_set(c.kind))
        get_set(in, &c);
    if (r == 0 && c.kind == BATCH_WRITE)
        r = get_pieces(cs, &c);
    if (r == 0 && in->bad)
        r = -EBADMSG;
    if (r < 0)
        return r;
    cs->next++;
    *ret = c;
    return 1;
}

void batch_changes_done(struct batch_changes *c)
{
    free(c->paths[0]);
    free(c->paths[1]);
    free(c->pieces);
    *c = (struct batch_changes){0};
}
