/* batch.c - from chosen changes to the bytes that are sent. The sender's, without the lock but
 * where it says so. */
#include "flush/flush_internal.h"

#include "util/array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sending *batch_free(struct sending *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->count; i++) {
        content_done(&s->ops[i].content);
        free(s->ops[i].path);
        free(s->ops[i].path2);
    }
    for (size_t i = 0; i < s->change_count; i++)
        s->changes[i]->sending = NULL;
    free(s->ops);
    free(s->changes);
    free(s->v);
    free(s->pieces);
    free(s->kept);
    free(s->blobs);
    buf_done(&s->data);
    staging_free(s->staging);
    free(s);
    return NULL;
}

/* ---- which object is meant ---- */

/* How sure it must be that it is the one: what loses nothing needs no version. What is only added
 * to is never compared, but its size says where to look for what may have been added already. */
static enum remote_means strength(const struct op *op, enum journal_role role)
{
    if (role == JOURNAL_AT2)
        return REMOTE_VERSION;
    if (op->writes)
        return REMOTE_VERSION;
    switch (op->first->kind) {
    case JOURNAL_SETATTR:
    case JOURNAL_LINK:
    case JOURNAL_RMDIR:
        return REMOTE_SAME;
    default:
        return REMOTE_VERSION;
    }
}

static void from_identity(struct remote_object *o, const struct journal_identity *id,
                          enum remote_means means)
{
    if (id->ino == 0) /* it was never seen: nothing can be compared */
        return;
    /* What is not known of it is not compared. */
    o->means =
        means == REMOTE_VERSION && id->mtime_ns == 0 && id->ctime_ns == 0 ? REMOTE_SAME : means;
    o->dev = id->dev;
    o->ino = id->ino;
    o->size = id->size;
    o->mtime_ns = id->mtime_ns;
    o->ctime_ns = id->ctime_ns;
    o->birth = id->birth;
}

/* What its maker left; of what a removal left there is no identity. */
static int from_maker(struct flush *f, const struct sending *s, uint64_t seq,
                      enum remote_means means, size_t op, struct remote_object *o)
{
    struct journal_result result;
    const struct change *maker;
    int r;

    lock_take(&f->lock);
    maker = change_find(f, seq);
    lock_drop(&f->lock);
    if (maker && maker->sending == s && maker->op != op) {
        if (maker->kind == JOURNAL_UNLINK || maker->kind == JOURNAL_RMDIR || maker->exchange)
            return 0;
        o->means = REMOTE_LEFT_BY;
        o->change = (uint32_t)maker->op;
        return 0;
    }
    r = journal_result(f->journal, seq, &result);
    if (r == 0)
        from_identity(o, &result.now, means);
    return r;
}

static int resolve(struct flush *f, const struct sending *s, const struct op *op,
                   enum journal_role role, const struct journal_object *from, uint8_t *hash,
                   struct remote_object *ret)
{
    const enum remote_means means = strength(op, role);
    const struct change *c = op->first;

    *ret = (struct remote_object){.means = REMOTE_ANY};
    if (c->forced)
        return 0;
    switch (from->means) {
    case JOURNAL_ANY:
        return 0;
    case JOURNAL_ABSENT:
        ret->means = REMOTE_ABSENT;
        return 0;
    case JOURNAL_MADE:
        return from_maker(f, s, from->made_by, means, c->op, ret);
    case JOURNAL_IS:
        from_identity(ret, &from->identity, means);
        if (from->has_hash && ret->means == REMOTE_VERSION) {
            memcpy(hash, from->hash, JOURNAL_DIGEST);
            ret->hash = hash;
        }
        return 0;
    }
    return -EINVAL;
}

/* ---- one op ---- */

static void set_attr(struct remote_setattr *set, const struct journal_attr *attr)
{
    if (attr->mask & JOURNAL_ATTR_MODE)
        set->attr.mode = attr->mode;
    if (attr->mask & JOURNAL_ATTR_UID)
        set->attr.uid = attr->uid;
    if (attr->mask & JOURNAL_ATTR_GID)
        set->attr.gid = attr->gid;
    if (attr->mask & JOURNAL_ATTR_ATIME)
        set->attr.atime_ns = attr->atime_ns;
    if (attr->mask & JOURNAL_ATTR_MTIME)
        set->attr.mtime_ns = attr->mtime_ns;
    set->mask |= (attr->mask & JOURNAL_ATTR_MODE ? REMOTE_SET_MODE : 0u) |
                 (attr->mask & JOURNAL_ATTR_UID ? REMOTE_SET_UID : 0u) |
                 (attr->mask & JOURNAL_ATTR_GID ? REMOTE_SET_GID : 0u) |
                 (attr->mask & JOURNAL_ATTR_ATIME ? REMOTE_SET_ATIME : 0u) |
                 (attr->mask & JOURNAL_ATTR_MTIME ? REMOTE_SET_MTIME : 0u);
}

/* What is written has the time when it was written, not when it was sent. */
static void set_time(struct remote_setattr *set, int64_t when_ns)
{
    if (when_ns == 0)
        return;
    set->mask |= REMOTE_SET_MTIME;
    set->attr.mtime_ns = when_ns;
}

static int add_data(struct content *x, const struct journal_record *rec, uint64_t base)
{
    uint64_t at = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < rec->extent_count; i++) {
        const struct journal_extent e = journal_record_extent(rec, i);
        const bool append = rec->kind == JOURNAL_APPEND;
        const struct piece p = {append ? base + at : e.off, e.len, rec->seq, at};

        r = content_write(x, &p);
        at += e.len;
    }
    if (r == 0 && rec->data_len) {
        const struct piece p = {rec->kind == JOURNAL_APPEND ? base : rec->off, rec->data_len,
                                rec->seq, 0};

        r = content_write(x, &p);
    }
    return r;
}

static uint64_t end_of(const struct content *x)
{
    if (x->size != CONTENT_UNKNOWN)
        return x->size;
    return x->count ? x->v[x->count - 1].off + x->v[x->count - 1].len : 0;
}

int batch_add_content(struct content *x, const struct journal_record *rec)
{
    int r;

    switch (rec->kind) {
    case JOURNAL_CREATE:
        content_replace(x);
        return 0;
    case JOURNAL_PUT:
        content_replace(x);
        r = add_data(x, rec, 0);
        if (r == 0)
            content_resize(x, rec->size);
        return r;
    case JOURNAL_PATCH:
        return add_data(x, rec, 0);
    case JOURNAL_APPEND:
        if (x->size == CONTENT_UNKNOWN)
            x->append = true;
        return add_data(x, rec, end_of(x));
    case JOURNAL_TRUNCATE:
        content_resize(x, rec->size);
        return 0;
    default:
        return 0;
    }
}

static void add_attr(struct op *op, const struct journal_record *rec)
{
    struct remote_setattr *set = &op->change.set;

    switch (rec->kind) {
    case JOURNAL_CREATE:
    case JOURNAL_PUT:
        set_time(set, rec->when_ns);
        set_attr(set, &rec->attr);
        break;
    case JOURNAL_PATCH:
    case JOURNAL_TRUNCATE:
        set_time(set, rec->when_ns);
        break;
    case JOURNAL_APPEND:
        if (op->sized) /* else it has that of the moment when it is made */
            set_time(set, rec->when_ns);
        break;
    case JOURNAL_MKDIR:
    case JOURNAL_SETATTR:
        set_attr(set, &rec->attr);
        break;
    default:
        break;
    }
}

static const struct {
    enum journal_kind kind;
    enum remote_change_kind change;
} kinds[] = {
    {JOURNAL_PUT, REMOTE_CHANGE_WRITE},       {JOURNAL_PATCH, REMOTE_CHANGE_WRITE},
    {JOURNAL_APPEND, REMOTE_CHANGE_WRITE},    {JOURNAL_TRUNCATE, REMOTE_CHANGE_WRITE},
    {JOURNAL_CREATE, REMOTE_CHANGE_WRITE},    {JOURNAL_MKDIR, REMOTE_CHANGE_MKDIR},
    {JOURNAL_SYMLINK, REMOTE_CHANGE_SYMLINK}, {JOURNAL_LINK, REMOTE_CHANGE_LINK},
    {JOURNAL_RENAME, REMOTE_CHANGE_RENAME},   {JOURNAL_UNLINK, REMOTE_CHANGE_UNLINK},
    {JOURNAL_RMDIR, REMOTE_CHANGE_RMDIR},     {JOURNAL_SETATTR, REMOTE_CHANGE_SETATTR},
};

static enum remote_change_kind kind_of(enum journal_kind kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].kind == kind)
            return kinds[i].change;
    return 0;
}

/* Does somebody here read on what loses its name by it? */
static bool is_kept(struct flush *f, uint64_t seq)
{
    struct kept *keep = NULL;

    lock_take(&f->lock);
    HASH_FIND(hh, f->kept, &seq, sizeof(seq), keep);
    lock_drop(&f->lock);
    return keep != NULL;
}

static int begin_op(struct flush *f, const struct sending *s, struct op *op,
                    const struct journal_record *rec)
{
    struct remote_change *v = &op->change;
    int r = 0;

    op->path = strdup(rec->path);
    op->path2 = rec->path2 ? strdup(rec->path2) : NULL;
    if (!op->path || (rec->path2 && !op->path2))
        return -ENOMEM;
    v->kind = kind_of(rec->kind);
    v->path = op->path;
    v->path2 = op->path2;
    if (rec->kind == JOURNAL_RENAME)
        v->flags = (rec->flags & RENAME_NOREPLACE ? REMOTE_CHANGE_NOREPLACE : 0u) |
                   (rec->flags & RENAME_EXCHANGE ? REMOTE_CHANGE_EXCHANGE : 0u);
    if ((rec->kind == JOURNAL_UNLINK || rec->kind == JOURNAL_RENAME) && is_kept(f, rec->seq)) {
        v->flags |= REMOTE_CHANGE_KEEP;
        v->key = rec->seq;
    }
    r = resolve(f, s, op, JOURNAL_AT, &rec->object[JOURNAL_AT], op->hash[0], &v->at);
    if (r == 0 && op->first->at2)
        r = resolve(f, s, op, JOURNAL_AT2, &rec->object[JOURNAL_AT2], op->hash[1], &v->at2);
    return r;
}

static int fill_op(struct flush *f, const struct sending *s, struct op *op, struct buf *mem)
{
    int r = 0;

    for (struct change *c = op->first; c && r == 0; c = c->op_next) {
        struct journal_item item;

        r = journal_get(f->journal, c->seq, mem, &item);
        if (r == 0 && c == op->first)
            r = begin_op(f, s, op, &item.rec);
        if (r < 0)
            break;
        if (op_removes(op)) {
            op->change.kind = REMOTE_CHANGE_UNLINK;
            return 0; /* on what the first one stands on */
        }
        if (op->writes)
            op->change.kind = REMOTE_CHANGE_WRITE;
        add_attr(op, &item.rec);
        r = batch_add_content(&op->content, &item.rec);
    }
    if (r == 0 && op->writes) {
        op->change.keep = op->content.keep;
        op->change.size = op->content.append ? REMOTE_ALL : op->content.size;
        op->change.piece_count = op->content.count;
        if (op->content.append)
            op->change.flags |= REMOTE_CHANGE_APPEND;
    }
    return r;
}

/* ---- the data ---- */

static uint64_t total(const struct sending *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->ops[i].content.count; k++)
            n += s->ops[i].content.v[k].len;
    return n;
}

static int carry(struct flush *f, struct sending *s)
{
    struct remote_piece *next = s->pieces;

    for (size_t i = 0; i < s->count; i++) {
        struct op *op = &s->ops[i];
        size_t count = 0;

        op->change.pieces = next;
        for (size_t k = 0; k < op->content.count; k++) {
            const struct piece *p = &op->content.v[k];
            const struct remote_piece piece = {p->off, p->len, 0, s->data.len};
            const int r = staging_read(f, p->seq, p->at, p->len, &s->data);

            if (r < 0) {
                op->err = r;
                return r;
            }
            piece_add(next, &count, &piece);
        }
        op->change.piece_count = count;
        next += count;
    }
    s->batch.data = s->data.data;
    s->batch.data_len = s->data.len;
    return 0;
}

/* Where the staging has it: one piece may lie in several slices. */
static int refer(struct sending *s)
{
    struct remote_piece *next = s->pieces;

    for (size_t i = 0; i < s->count; i++) {
        struct remote_change *c = &s->ops[i].change;
        size_t count = 0;
        const int r = staging_refer(s->staging, &s->ops[i].content, next, &count);

        if (r < 0)
            return r;
        c->pieces = next;
        c->piece_count = count;
        if (c->kind == REMOTE_CHANGE_WRITE)
            c->joined = join_of(s->staging, c);
        next += count;
    }
    s->batch.blobs = s->staging->blobs;
    s->batch.blob_count = s->staging->count;
    return 0;
}

/* ---- all of it ---- */

static int fill(struct flush *f, struct sending *s)
{
    struct buf mem = BUF_INIT(JOURNAL_RECORD_MAX);
    size_t pieces = 0;
    uint64_t bytes;
    int r = 0;

    for (size_t i = 0; r == 0 && i < s->count; i++) {
        r = fill_op(f, s, &s->ops[i], &mem);
        s->ops[i].err = r;
        pieces += s->ops[i].content.count;
    }
    buf_done(&mem);
    if (r < 0)
        return r;
    bytes = total(s);
    if (s->staging)
        pieces += s->staging->slice_count;
    s->pieces = malloc((pieces + 1) * sizeof(*s->pieces));
    s->v = malloc((s->count + 1) * sizeof(*s->v));
    if (!s->pieces || !s->v)
        return -ENOMEM;
    s->too_large = !s->staging && bytes > f->config.inline_bytes;
    if (s->staging)
        r = refer(s);
    else if (!s->too_large)
        r = carry(f, s);
    for (size_t i = 0; i < s->count; i++)
        s->v[i] = s->ops[i].change;
    s->batch.v = s->v;
    s->batch.count = s->count;
    s->batch.client = journal_client(f->journal);
    return r;
}

int batch_build(struct flush *f, struct change **list, size_t count, struct staging *staging,
                struct sending **ret)
{
    struct sending *s = calloc(1, sizeof(*s));
    struct end *dropped;
    size_t dropped_count;
    int r;

    *ret = s;
    if (!s) {
        free(list);
        staging_free(staging);
        return -ENOMEM;
    }
    s->staging = staging;
    s->staged = staging != NULL;
    buf_init(&s->data, REMOTE_BATCH_DATA);
    s->changes = list;
    s->change_count = count;
    lock_take(&f->lock);
    r = plan_batch(f, s, &dropped, &dropped_count);
    lock_drop(&f->lock);
    /* Before the batch begins: what it says of its records must not count them. */
    if (dropped)
        r = end_changes(f, dropped, dropped_count);
    return r == 0 && s->count > 0 ? fill(f, s) : r;
}
