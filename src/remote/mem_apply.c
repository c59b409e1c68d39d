/* Batches of remote_mem: what batch.h says, with the records of clients in memory. */
#include "remote/mem_internal.h"

#include "remote/backends.h"
#include "util/crc32c.h"
#include "util/path.h"
#include "util/sha256.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct mem_client {
    char client[REMOTE_CLIENT_LEN + 1];
    uint64_t number;
    uint8_t digest[REMOTE_DIGEST];
    struct remote_result *v;
    size_t count, done; /* v[done] is the next to be made */
    bool finished, renew;
    UT_hash_handle hh;
};

struct mem_blob {
    char name[REMOTE_BLOB_NAME + 1];
    uint8_t *p;
    uint64_t len;
    uint64_t seal; /* of one that was joined, else 0 */
    UT_hash_handle hh;
};

/* What lost its last name. */
struct mem_kept {
    char *path;            /* owned */
    struct mem_node *node; /* counted as a name */
    UT_hash_handle hh;
};

/* ---- what is kept ---- */

static char *kept_path(const char *client, uint64_t key)
{
    const struct remote_info info = {.kept_dir = (char *)MEM_KEPT_DIR};

    return remote_kept_path(&info, client, key);
}

struct mem_node *mem_kept_at(struct mem *m, const char *path)
{
    struct mem_kept *k = NULL;

    if (m->kept)
        HASH_FIND_STR(m->kept, path, k);
    return k ? k->node : NULL;
}

static bool keep(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                 struct mem_node *n)
{
    struct mem_kept *k = calloc(1, sizeof(*k));

    if (k)
        k->path = kept_path(b->client, c->key);
    if (!k || !k->path) {
        free(k);
        return false;
    }
    k->node = n;
    n->attr.nlink++;
    HASH_ADD_KEYPTR(hh, m->kept, k->path, strlen(k->path), k);
    return true;
}

static bool is_named(const struct remote_batch *b, const char *path)
{
    bool named = false;

    for (size_t i = 0; i < b->kept_count && !named; i++) {
        char *other = kept_path(b->client, b->kept[i]);

        named = other && strcmp(other, path) == 0;
        free(other);
    }
    return named;
}

/* b NULL: all of it. */
static void drop_kept(struct mem *m, const struct remote_batch *b)
{
    for (struct mem_kept *k = m->kept, *next; k; k = next) {
        next = k->hh.next;
        if (b && (!strstr(k->path, b->client) || is_named(b, k->path)))
            continue;
        HASH_DEL(m->kept, k);
        mem_release(m, k->node);
        free(k->path);
        free(k);
    }
}

/* ---- blobs ---- */

static void blob_free(struct mem *m, struct mem_blob *b)
{
    HASH_DEL(m->blobs, b);
    free(b->p);
    free(b);
}

static int read_all(const struct remote_stage *stage, uint8_t *p)
{
    for (uint64_t done = 0; done < stage->len;) {
        const ssize_t n = stage->read(stage->arg, done, p + done, (size_t)(stage->len - done));

        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        done += (uint64_t)n;
    }
    return 0;
}

int mem_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret)
{
    struct mem *m = mem_of(r);
    struct mem_blob *b = calloc(1, sizeof(*b));
    int err;

    if (!b)
        return -ENOMEM;
    b->len = stage->len;
    b->p = malloc(stage->len);
    err = b->p ? read_all(stage, b->p) : -ENOMEM;
    if (err < 0) {
        free(b->p);
        free(b);
        return err;
    }
    lock_take(&m->lock);
    snprintf(b->name, sizeof(b->name), "blob%" PRIu64, ++m->last_blob);
    HASH_ADD_STR(m->blobs, name, b);
    *ret = (struct remote_blob){.len = b->len, .crc = crc32c(0, b->p, b->len)};
    memcpy(ret->name, b->name, sizeof(ret->name));
    lock_drop(&m->lock);
    return 0;
}

static struct mem_blob *blob_named(struct mem *m, const char *name)
{
    struct mem_blob *b;

    HASH_FIND_STR(m->blobs, name, b);
    return b;
}

/* NULL if it is gone, or not what it was. */
static struct mem_blob *find_blob(struct mem *m, const struct remote_blob *blob)
{
    struct mem_blob *b = blob_named(m, blob->name);

    return b && b->len == blob->len && crc32c(0, b->p, b->len) == blob->crc ? b : NULL;
}

static void drop_blob(struct mem *m, const char *name)
{
    struct mem_blob *b = blob_named(m, name);

    if (b)
        blob_free(m, b);
}

static void drop_blobs(struct mem *m, const struct remote_batch *batch)
{
    for (size_t i = 0; i < batch->blob_count; i++)
        drop_blob(m, batch->blobs[i].name);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->v[i].joined)
            drop_blob(m, batch->v[i].joined->name);
}

/* ---- joining ---- */

static int join_begin(struct mem *m, struct remote_joined *to, struct mem_blob **ret)
{
    struct mem_blob *b = to->seal ? blob_named(m, to->name) : calloc(1, sizeof(*b));

    if (!b)
        return to->seal ? -ESTALE : -ENOMEM;
    if (to->seal && (b->seal != to->seal || b->len != to->size))
        return -ESTALE;
    if (!to->seal) {
        snprintf(b->name, sizeof(b->name), "joined%" PRIu64, ++m->last_blob);
        HASH_ADD_STR(m->blobs, name, b);
        memcpy(to->name, b->name, sizeof(to->name));
    }
    *ret = b;
    return 0;
}

static int join_grow(struct mem_blob *b, uint64_t len)
{
    uint8_t *p = realloc(b->p, len + 1);

    if (!p)
        return -ENOMEM;
    b->p = p;
    memset(p + b->len, 0, len - b->len);
    b->len = len;
    return 0;
}

static int join_locked(struct mem *m, const struct remote_join *join, struct remote_joined *to)
{
    struct mem_blob *b;
    int r = join_begin(m, to, &b);

    for (size_t i = 0; i < join->piece_count && r == 0; i++) {
        const struct remote_piece *p = &join->pieces[i];
        const struct mem_blob *from = find_blob(m, &join->blobs[p->blob - 1]);

        r = from ? join_grow(b, p->off + p->len) : -ENODATA;
        if (r == 0)
            memcpy(b->p + p->off, from->p + p->at, p->len);
    }
    if (r == 0 && join->size != REMOTE_ALL)
        r = join_grow(b, join->size);
    if (r < 0)
        return r;
    to->size = b->len;
    to->seal = b->seal = ++m->last_blob;
    return 0;
}

int mem_join(struct remote *r, const struct remote_join *join, struct remote_joined *to)
{
    struct mem *m = mem_of(r);
    int err;

    lock_take(&m->lock);
    err = join_locked(m, join, to);
    lock_drop(&m->lock);
    return err;
}

/* ---- is it the object that is meant? ---- */

struct mem_node *mem_node_at(struct mem *m, const char *path, int *ret_err)
{
    struct mem_node *n = NULL;
    const int r = mem_walk(m, path, &n);

    *ret_err = r == -ENOENT || r == -ENOTDIR ? 0 : r;
    return r == 0 ? n : NULL;
}

bool mem_has_hash(const struct mem_node *n, const uint8_t *hash, uint64_t size)
{
    uint8_t got[SHA256_BYTES];
    uint8_t *p;

    if (!hash || !S_ISREG(n->attr.mode) || n->attr.size != size)
        return false;
    p = malloc(n->data.size + 1);
    if (!p)
        return false;
    mem_data_read(&n->data, p, n->data.size, 0);
    sha256(p, n->data.size, got);
    free(p);
    return memcmp(got, hash, sizeof(got)) == 0;
}

static bool is_object(const struct mem_node *n, const struct remote_attr *a)
{
    return (a->dev == 0 || n->attr.dev == a->dev) && n->attr.ino == a->ino &&
           !remote_attr_reborn(&n->attr, a);
}

static bool is_version(const struct mem_node *n, const struct remote_attr *a)
{
    return is_object(n, a) &&
           (S_ISDIR(n->attr.mode) || (n->attr.size == a->size && n->attr.mtime_ns == a->mtime_ns &&
                                      (a->ctime_ns == 0 || n->attr.ctime_ns == a->ctime_ns)));
}

/* name: only a name is given or taken, and with it nothing of a file that has others. */
static bool is_meant(const struct mem_node *n, const struct remote_object *o, bool name,
                     const struct mem_client *c)
{
    const bool several = name && n && !S_ISDIR(n->attr.mode) && n->attr.nlink > 1;
    const struct remote_attr a = {.dev = o->dev,
                                  .ino = o->ino,
                                  .size = o->size,
                                  .mtime_ns = o->mtime_ns,
                                  .ctime_ns = o->ctime_ns,
                                  .birth = o->birth};
    struct remote_result left;

    switch (o->means) {
    case REMOTE_ANY:
        return true;
    case REMOTE_ABSENT:
        return !n;
    case REMOTE_SAME:
        return n && is_object(n, &a);
    case REMOTE_VERSION:
        return n && (is_version(n, &a) || (several && is_object(n, &a)) ||
                     mem_has_hash(n, o->hash, o->size));
    case REMOTE_LEFT_BY:
        left = c->v[o->change];
        if (left.outcome != REMOTE_DONE)
            return false;
        if (left.now.ino == 0)
            return !n;
        left.now.ctime_ns = 0; /* other names of it may have come or gone since */
        return n && (is_version(n, &left.now) || (several && is_object(n, &left.now)));
    }
    return false;
}

static bool two_paths(const struct remote_change *c)
{
    return c->kind == REMOTE_CHANGE_LINK || c->kind == REMOTE_CHANGE_RENAME;
}

static bool stands_on(const struct remote_change *c, const char *path)
{
    return path_is_below(c->path, path) || (two_paths(c) && path_is_below(c->path2, path));
}

static bool poisoned(const struct remote_batch *b, const struct mem_client *c, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        const struct remote_change *bad = &b->v[k];

        if (c->v[k].outcome != REMOTE_DONE &&
            (stands_on(&b->v[i], bad->path) || (two_paths(bad) && stands_on(&b->v[i], bad->path2))))
            return true;
    }
    return false;
}

/* ---- making one change ---- */

const uint8_t *mem_piece(struct mem *m, const struct remote_batch *b, const struct remote_piece *p)
{
    const uint8_t *from = p->blob > 0 ? blob_named(m, b->blobs[p->blob - 1].name)->p : b->data;

    return from + p->at;
}

static int add_pieces(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                      uint64_t base, struct mem_data *d)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->piece_count; i++) {
        const struct remote_piece *p = &c->pieces[i];

        r = mem_data_write(d, mem_piece(m, b, p), p->len, base + p->off);
    }
    return r;
}

/* NULL: the pieces are needed. */
static const struct mem_blob *joined_of(struct mem *m, const struct remote_change *c, uint64_t had)
{
    const struct mem_blob *b = c->joined ? blob_named(m, c->joined->name) : NULL;

    return b && b->seal == c->joined->seal && b->len == c->joined->size &&
                   remote_covers(c->pieces, c->piece_count, c->keep < had ? c->keep : had)
               ? b
               : NULL;
}

static int fill(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                const struct mem_node *old, struct mem_data *d)
{
    const uint64_t had = old ? old->data.size : 0;
    const struct mem_blob *joined = joined_of(m, c, had);
    const bool append = c->flags & REMOTE_CHANGE_APPEND;
    int r = old ? mem_data_copy(d, &old->data, c->keep < had ? c->keep : had) : 0;

    if (r == 0 && c->size == REMOTE_ALL && c->keep == REMOTE_ALL)
        mem_data_resize(d, had);
    if (joined)
        return r < 0 ? r : mem_data_write(d, joined->p, joined->len, 0);
    if (r == 0)
        r = add_pieces(m, b, c, append ? had : 0, d);
    if (r == 0 && c->size != REMOTE_ALL)
        mem_data_resize(d, c->size);
    return r;
}

static int make_write(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                      struct mem_node *old, struct mem_node **ret)
{
    const bool in_place = c->flags & (REMOTE_CHANGE_APPEND | REMOTE_CHANGE_IN_PLACE);
    const struct remote_attr made = {.mode =
                                         c->set.mask & REMOTE_SET_MODE ? c->set.attr.mode : 0644};
    const int64_t old_mtime_ns = old ? old->attr.mtime_ns : 0;
    struct mem_data d = {0};
    struct mem_node *n = old;
    int r = 0;

    if (old && !S_ISREG(old->attr.mode))
        return S_ISDIR(old->attr.mode) ? -EISDIR : -EINVAL;
    /* Its owner may replace it, whatever its mode: who wrote had it open for that. */
    if (old && !mem_may(m, old, W_OK) && old->attr.uid != m->uid)
        return -EACCES;
    r = fill(m, b, c, old, &d);
    if (r == 0 && !(in_place && old))
        r = mem_put_node(m, c->path, &(struct remote_put){.replace = &made}, &d, &n);
    if (old && ((r == 0 && in_place) || r == -EACCES)) {
        mem_data_done(&old->data);
        old->data = d;
        r = 0;
    }
    if (r < 0) {
        mem_data_done(&d);
        return r;
    }
    n->attr.size = n->data.size;
    n->attr.ctime_ns = mem_tick(m);
    n->attr.mtime_ns = old && n != old ? old_mtime_ns : n->attr.ctime_ns;
    *ret = n;
    return mem_set_node(m, n, &c->set);
}

/* What has lost a name, and lives on: gone is what had it, if it had others. */
static int take_name(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                     struct mem_node *gone, struct remote_result *res)
{
    const unsigned flags = c->flags & REMOTE_CHANGE_NOREPLACE ? REMOTE_RENAME_NOREPLACE : 0u;
    struct remote_attr both[2];
    int r;

    if (c->flags & REMOTE_CHANGE_EXCHANGE) {
        r = mem_exchange_nodes(m, c->path, c->path2, NULL, both);
        res->now = r == 0 ? both[1] : res->now;
        return r;
    }

    if (gone && ((c->flags & REMOTE_CHANGE_KEEP) && S_ISREG(gone->attr.mode)))
        (void)keep(m, b, c, gone);
    if (gone && (S_ISDIR(gone->attr.mode) || gone->attr.nlink < 2))
        gone = NULL;
    r = c->kind == REMOTE_CHANGE_RENAME
            ? mem_rename_node(m, c->path, c->path2, flags, &res->now)
            : mem_remove_name(m, c->path, c->kind == REMOTE_CHANGE_RMDIR);
    if (r == 0 && gone)
        res->other = gone->attr;
    return r;
}

static int make(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                struct mem_node *n, struct mem_node *n2, struct remote_result *res)
{
    int r = 0;

    switch (c->kind) {
    case REMOTE_CHANGE_WRITE:
        if (n && (c->flags & REMOTE_CHANGE_APPEND))
            res->other = n->attr;
        r = make_write(m, b, c, n, &n);
        break;
    case REMOTE_CHANGE_MKDIR:
        r = mem_make_node(m, c->path, S_IFDIR | (c->set.attr.mode & 07777), NULL, &n);
        if (r == 0)
            r = mem_set_node(m, n, &c->set);
        break;
    case REMOTE_CHANGE_SYMLINK:
        r = mem_make_node(m, c->path, S_IFLNK | 0777, c->path2, &n);
        break;
    case REMOTE_CHANGE_LINK:
        return mem_link_node(m, c->path, c->path2, &res->now);
    case REMOTE_CHANGE_RENAME:
        return take_name(m, b, c, n2, res);
    case REMOTE_CHANGE_UNLINK:
    case REMOTE_CHANGE_RMDIR:
        return take_name(m, b, c, n, res);
    case REMOTE_CHANGE_SETATTR:
        r = n ? mem_set_node(m, n, &c->set) : -ENOENT;
        break;
    case REMOTE_CHANGE_FSYNC:
        r = n ? 0 : -ENOENT;
        break;
    }
    if (r == 0)
        res->now = n->attr;
    return r;
}

/* What it kept when it was made. */
static void tell_kept(struct mem *m, const struct remote_batch *b, const struct remote_change *c,
                      struct remote_result *res)
{
    char *path = c->flags & REMOTE_CHANGE_KEEP ? kept_path(b->client, c->key) : NULL;
    const struct mem_node *n = path ? mem_kept_at(m, path) : NULL;

    if (n)
        res->other = n->attr;
    free(path);
}

static void make_one(struct mem *m, const struct remote_batch *b, struct mem_client *client,
                     const struct mem_renew *renew, size_t i)
{
    const struct remote_change *c = &b->v[i];
    struct remote_result *res = &client->v[i];
    struct mem_node *n, *n2 = NULL;
    bool meant, name;
    int r, r2 = 0;

    n = mem_node_at(m, c->path, &r);
    if (two_paths(c))
        n2 = mem_node_at(m, c->path2, &r2);
    if (poisoned(b, client, i)) {
        *res = (struct remote_result){.outcome = REMOTE_POISONED, .err = -ECANCELED};
        return;
    }
    if (mem_renew_tell(renew, i, res)) {
        tell_kept(m, b, c, res);
        return;
    }
    r = r < 0 ? r : r2;
    /* What is only added goes to whatever is there, but not to nothing. */
    name = c->kind == REMOTE_CHANGE_UNLINK || c->kind == REMOTE_CHANGE_RENAME;
    meant = c->flags & REMOTE_CHANGE_APPEND ? n || c->at.means <= REMOTE_ABSENT
                                            : is_meant(n, &c->at, name, client);
    if (r == 0 && !meant) {
        *res = (struct remote_result){.outcome = REMOTE_CONFLICT, .err = -EBUSY};
        if (n)
            res->now = n->attr;
        return;
    }
    if (r == 0 && two_paths(c) && !is_meant(n2, &c->at2, name, client)) {
        *res = (struct remote_result){.outcome = REMOTE_CONFLICT, .err = -EBUSY};
        if (n2)
            res->now = n2->attr;
        return;
    }
    if (r == 0)
        r = make(m, b, c, n, n2, res);
    res->outcome = r < 0 ? REMOTE_FAILED : REMOTE_DONE;
    res->err = r;
    if (r < 0)
        *res = (struct remote_result){.outcome = REMOTE_FAILED, .err = r};
}

/* ---- the client's record ---- */

static void client_free(struct mem *m, struct mem_client *c)
{
    HASH_DEL(m->clients, c);
    free(c->v);
    free(c);
}

/* What the record says of a batch before anything is done; RUN: it may go on. */
enum verdict { RUN, REPEAT, BEGIN, STATE };

static enum verdict judge(const struct mem_client *c, const struct remote_batch *b,
                          enum remote_batch_state *state)
{
    *state = REMOTE_BATCH_FINISHED;
    if (c && b->number == c->number) {
        if (memcmp(c->digest, b->digest, sizeof(c->digest)) != 0 || c->count != b->count) {
            *state = REMOTE_BATCH_OTHER;
            return STATE;
        }
        return c->finished ? REPEAT : RUN;
    }
    if (c && b->number < c->number)
        *state = REMOTE_BATCH_AHEAD;
    else if (b->mode == REMOTE_BATCH_RENEW || b->number == (c ? c->number : 0) + 1)
        return BEGIN;
    else
        *state = c ? REMOTE_BATCH_BEHIND : REMOTE_BATCH_UNKNOWN;
    return STATE;
}

static int begin(struct mem *m, const struct remote_batch *b, struct mem_client **ret)
{
    struct mem_client *c = *ret, *fresh = calloc(1, sizeof(*fresh));

    if (fresh)
        fresh->v = calloc(b->count, sizeof(*fresh->v));
    if (!fresh || !fresh->v) {
        free(fresh);
        return -ENOMEM;
    }
    memcpy(fresh->client, b->client, sizeof(fresh->client));
    memcpy(fresh->digest, b->digest, sizeof(fresh->digest));
    fresh->number = b->number;
    fresh->count = b->count;
    fresh->renew = b->mode == REMOTE_BATCH_RENEW;
    if (c)
        client_free(m, c);
    HASH_ADD_STR(m->clients, client, fresh);
    *ret = fresh;
    return 0;
}

static int run(struct mem *m, const struct remote_batch *b, struct mem_client *c)
{
    struct mem_renew *renew =
        c->renew && b->mode != REMOTE_BATCH_CLOSE ? mem_renew_new(m, b) : NULL;
    int r = 0;

    while (c->done < b->count && b->mode != REMOTE_BATCH_CLOSE) {
        if (m->stop_after == 0) {
            m->stop_after = SIZE_MAX;
            r = m->stop_err;
            break;
        }
        if (m->stop_after != SIZE_MAX)
            m->stop_after--;
        make_one(m, b, c, renew, c->done++);
    }
    (void)mem_renew_free(renew);
    if (r < 0)
        return r;
    c->finished = true;
    drop_kept(m, b);
    if (b->mode != REMOTE_BATCH_CLOSE)
        drop_blobs(m, b);
    return 0;
}

static int answer(struct mem *m, const struct mem_client *c, enum remote_batch_state state,
                  struct remote_applied *ret)
{
    struct remote_applied a = {.state = state, .now_ns = m->now_ns};

    if (state == REMOTE_BATCH_FINISHED) {
        a.v = malloc(c->count * sizeof(*a.v));
        if (!a.v)
            return -ENOMEM;
        memcpy(a.v, c->v, c->count * sizeof(*a.v));
        a.count = c->count;
    }
    *ret = a;
    return 0;
}

static int apply_locked(struct mem *m, const struct remote_batch *b, struct remote_applied *ret)
{
    enum remote_batch_state state;
    struct mem_client *c;
    enum verdict verdict;
    int r = 0;

    HASH_FIND_STR(m->clients, b->client, c);
    verdict = judge(c, b, &state);
    if (verdict == RUN || verdict == BEGIN) {
        for (size_t i = 0; b->mode != REMOTE_BATCH_CLOSE && i < b->blob_count; i++)
            if (b->blobs[i].len > 0 && !find_blob(m, &b->blobs[i]))
                return -ENODATA;
        if (verdict == BEGIN)
            r = begin(m, b, &c);
        if (r == 0)
            r = run(m, b, c);
    }
    return r < 0 ? r : answer(m, c, state, ret);
}

int mem_apply(struct remote *r, const struct remote_batch *batch, struct remote_applied *ret)
{
    struct mem *m = mem_of(r);
    int err;

    lock_take(&m->lock);
    err = apply_locked(m, batch, ret);
    lock_drop(&m->lock);
    return err;
}

void mem_apply_done(struct mem *m)
{
    drop_kept(m, NULL);
    for (struct mem_client *c = m->clients, *next; c; c = next) {
        next = c->hh.next;
        client_free(m, c);
    }
    for (struct mem_blob *b = m->blobs, *next; b; b = next) {
        next = b->hh.next;
        blob_free(m, b);
    }
}

/* ---- for tests ---- */

void remote_mem_stop_after(struct remote *r, size_t changes, int err)
{
    struct mem *m = mem_of(r);

    lock_take(&m->lock);
    m->stop_after = changes;
    m->stop_err = err;
    lock_drop(&m->lock);
}

void remote_mem_rewind(struct remote *r, uint64_t number)
{
    struct mem *m = mem_of(r);

    lock_take(&m->lock);
    for (struct mem_client *c = m->clients, *next; c; c = next) {
        next = c->hh.next;
        if (number == 0)
            client_free(m, c);
        else
            c->number = number;
    }
    lock_drop(&m->lock);
}

size_t remote_mem_blobs(struct remote *r, bool drop)
{
    struct mem *m = mem_of(r);
    size_t count;

    lock_take(&m->lock);
    count = HASH_COUNT(m->blobs);
    for (struct mem_blob *b = m->blobs, *next; b && drop; b = next) {
        next = b->hh.next;
        blob_free(m, b);
    }
    lock_drop(&m->lock);
    return count;
}
