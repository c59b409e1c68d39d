/* park.c - what did not succeed, kept with its data until somebody says what to do with it. */
#include "flush/flush_internal.h"

#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- versions ---- */

static bool is_content(enum journal_kind kind)
{
    return kind <= JOURNAL_CREATE;
}

/* Made without what was parked before: of the whole file, or of what the sandbox had. */
static bool stands_alone(const struct journal_record *rec)
{
    return rec->kind == JOURNAL_PUT || rec->kind == JOURNAL_CREATE ||
           (rec->kind == JOURNAL_TRUNCATE && rec->size == 0) ||
           rec->object[JOURNAL_AT].means != JOURNAL_MADE;
}

static struct parked_name *name_of(struct flush *f, const char *path)
{
    struct parked_name *name = NULL;

    HASH_FIND_STR(f->parked_names, path, name);
    if (name)
        return name;
    name = calloc(1, sizeof(*name));
    if (!name)
        return NULL;
    name->version = 1;
    name->path = strdup(path);
    if (!name->path) {
        free(name);
        return NULL;
    }
    HASH_ADD_KEYPTR(hh, f->parked_names, name->path, strlen(name->path), name);
    return name;
}

static void name_release(struct flush *f, struct parked_name *name)
{
    if (--name->count > 0)
        return;
    HASH_DEL(f->parked_names, name);
    free(name->path);
    free(name);
}

static int set_version(struct flush *f, struct parked *p, const struct journal_record *rec,
                       bool known)
{
    struct buf shown = BUF_INIT(JOURNAL_PATH_MAX + 32);
    struct parked_name *name = name_of(f, rec->path);
    int r;

    if (!name)
        return -ENOMEM;
    p->name = name;
    name->count++;
    if (name->filled && stands_alone(rec) &&
        (rec->group == 0 || rec->group != name->group || known != name->known)) {
        name->version++;
        name->filled = false;
    }
    name->filled = name->filled || p->bytes > 0 || rec->size > 0;
    name->group = rec->group;
    name->known = known;
    r = buf_puts(&shown, rec->path);
    if (r == 0 && name->version > 1)
        r = buf_printf(&shown, ".~%u~", name->version);
    p->shown = r == 0 ? buf_take(&shown) : NULL;
    buf_done(&shown);
    return p->shown ? 0 : -ENOMEM;
}

/* ---- the list ---- */

static void parked_free(struct flush *f, struct parked *p)
{
    if (p->name)
        name_release(f, p->name);
    free(p->path);
    free(p->path2);
    free(p->shown);
    free(p);
}

static void unlink_parked(struct flush *f, struct parked *p)
{
    *(p->prev ? &p->prev->next : &f->parked) = p->next;
    *(p->next ? &p->next->prev : &f->parked_tail) = p->prev;
    HASH_DEL(f->parked_by_seq, p);
    f->parked_count--;
}

static void link_parked(struct flush *f, struct parked *p)
{
    struct parked *after = f->parked_tail;

    while (after && after->seq > p->seq)
        after = after->prev;
    p->prev = after;
    p->next = after ? after->next : f->parked;
    *(after ? &after->next : &f->parked) = p;
    *(p->next ? &p->next->prev : &f->parked_tail) = p;
    HASH_ADD(hh, f->parked_by_seq, seq, sizeof(p->seq), p);
    f->parked_count++;
}

static uint64_t bytes_of(const struct journal_record *rec)
{
    uint64_t bytes = rec->data_len;

    for (size_t i = 0; i < rec->extent_count; i++)
        bytes += journal_record_extent(rec, i).len;
    return bytes;
}

int park_add(struct flush *f, const struct journal_record *rec, enum journal_outcome outcome,
             int err, bool known)
{
    struct parked *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return -ENOMEM;
    *p = (struct parked){.seq = rec->seq,
                         .outcome = outcome,
                         .kind = rec->kind,
                         .err = err,
                         .when_ns = rec->when_ns,
                         .bytes = bytes_of(rec),
                         .nth = known ? 0 : ++f->parked_ever,
                         .path = strdup(rec->path),
                         .path2 = rec->path2 ? strdup(rec->path2) : NULL};
    r = !p->path || (rec->path2 && !p->path2) ? -ENOMEM : 0;
    if (r == 0 && is_content(rec->kind))
        r = set_version(f, p, rec, known);
    if (r < 0) {
        parked_free(f, p);
        return r;
    }
    link_parked(f, p);
    return 0;
}

struct parked *park_find(struct flush *f, uint64_t seq)
{
    struct parked *p;

    HASH_FIND(hh, f->parked_by_seq, &seq, sizeof(seq), p);
    return p;
}

/* The one after that, which may have gone. */
static const struct parked *next_after(struct flush *f, uint64_t seq)
{
    const struct parked *p = park_find(f, seq);

    if (p)
        return p->next;
    p = f->parked;
    while (p && p->seq <= seq)
        p = p->next;
    return p;
}

void park_done(struct flush *f)
{
    while (f->parked) {
        struct parked *p = f->parked;

        unlink_parked(f, p);
        parked_free(f, p);
    }
}

/* ---- what others ask ---- */

static bool two_names(const struct parked *p)
{
    return p->kind == JOURNAL_LINK || p->kind == JOURNAL_RENAME;
}

static bool is_at(const struct parked *p, const char *path)
{
    return strcmp(p->path, path) == 0 || (two_names(p) && strcmp(p->path2, path) == 0);
}

static bool is_below(const struct parked *p, const char *path)
{
    return path_is_below(p->path, path) || (two_names(p) && path_is_below(p->path2, path));
}

/* One version of several is meant by the name that it is shown at. */
static bool is_shown_below(const struct parked *p, const char *path)
{
    return p->shown ? path_is_below(p->shown, path) : is_below(p, path);
}

/* It has been told, and is about to be parked. */
static bool is_ending_at(const struct change *c, const char *path)
{
    char *at = c->ended && c->bad ? node_path(c->at) : NULL;
    char *at2 = at && c->at2 ? node_path(c->at2) : NULL;
    const bool is = at && (strcmp(at, path) == 0 || (at2 && strcmp(at2, path) == 0));

    free(at);
    free(at2);
    return is;
}

bool flush_in_conflict(struct flush *f, const char *path)
{
    bool is = false;

    lock_take(&f->lock);
    for (const struct parked *p = f->parked; p && !is; p = p->next)
        is = p->outcome == JOURNAL_CONFLICT && is_at(p, path);
    for (const struct change *c = f->head; c && !is; c = c->next)
        is = is_ending_at(c, path);
    lock_drop(&f->lock);
    return is;
}

/* A copy of the list, so that nobody is called with the lock held. */
int flush_parked(struct flush *f, int (*fn)(void *arg, const struct flush_parked *p), void *arg)
{
    uint64_t after = 0;
    int r = 0;

    for (;;) {
        struct flush_parked told = {0};
        const struct parked *p;
        char *path = NULL, *path2 = NULL, *shown = NULL;

        lock_take(&f->lock);
        p = next_after(f, after);
        if (p) {
            told = (struct flush_parked){.seq = p->seq,
                                         .outcome = p->outcome,
                                         .err = p->err,
                                         .kind = p->kind,
                                         .when_ns = p->when_ns,
                                         .bytes = p->bytes};
            path = strdup(p->path);
            path2 = p->path2 ? strdup(p->path2) : NULL;
            shown = p->shown ? strdup(p->shown) : NULL;
            if (!path || (p->path2 && !path2) || (p->shown && !shown))
                r = -ENOMEM;
        }
        lock_drop(&f->lock);
        told.path = path;
        told.path2 = path2;
        told.shown = shown;
        if (p && r == 0)
            r = fn(arg, &told);
        free(path);
        free(path2);
        free(shown);
        if (!p || r != 0)
            return r;
        after = told.seq;
    }
}

/* The parked writes that are shown at that path, by seq, in a list that the caller frees. */
static int list_writes(struct flush *f, const char *path, uint64_t **ret, size_t *ret_count)
{
    size_t count = 0;
    uint64_t *list;

    lock_take(&f->lock);
    list = malloc((f->parked_count + 1) * sizeof(*list));
    for (const struct parked *p = f->parked; list && p; p = p->next)
        if (p->shown && strcmp(p->shown, path) == 0)
            list[count++] = p->seq;
    lock_drop(&f->lock);
    if (!list)
        return -ENOMEM;
    if (count == 0) {
        free(list);
        return -ENOENT;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

static int fill(struct flush *f, const uint64_t *list, size_t count, struct content *x)
{
    struct buf mem = BUF_INIT(JOURNAL_RECORD_MAX);
    int r = 0;

    for (size_t i = 0; i < count && r == 0; i++) {
        struct journal_item item;

        r = journal_get(f->journal, list[i], &mem, &item);
        if (r == 0)
            r = batch_add_content(x, &item.rec);
        else if (r == -ENOENT) /* settled meanwhile */
            r = 0;
    }
    buf_done(&mem);
    return r;
}

static int read_pieces(struct flush *f, const struct content *x, uint64_t off, char *p, size_t n)
{
    int r = 0;

    if (n > 0) /* p may be NULL then */
        memset(p, 0, n);
    for (size_t i = 0; i < x->count && r == 0; i++) {
        const struct piece *v = &x->v[i];
        const uint64_t end = v->off + v->len < off + n ? v->off + v->len : off + n;
        uint64_t at = v->off > off ? v->off : off;

        while (r == 0 && at < end) {
            const size_t want =
                end - at < JOURNAL_EXTENT_MAX ? (size_t)(end - at) : JOURNAL_EXTENT_MAX;
            struct buf part = BUF_INIT(2 * JOURNAL_EXTENT_MAX);

            r = journal_read(f->journal, v->seq, v->at + (at - v->off), want, true, &part);
            if (r == 0 && part.len != want)
                r = -EBADMSG;
            if (r == 0)
                memcpy(p + (at - off), part.data, part.len);
            at += want;
            buf_done(&part);
        }
    }
    return r;
}

/* What is parked at path, as one content. -ENOENT: nothing is. On error ret is empty. */
static int content_at(struct flush *f, const char *path, struct content *ret)
{
    uint64_t *list;
    size_t count;
    int r = list_writes(f, path, &list, &count);

    if (r < 0)
        return r;
    r = fill(f, list, count, ret);
    free(list);
    if (r < 0)
        content_done(ret);
    return r;
}

ssize_t flush_parked_read(struct flush *f, const char *path, uint64_t off, void *p, size_t n,
                          uint64_t *ret_size)
{
    struct content x = CONTENT_INIT;
    int r = content_at(f, path, &x);
    uint64_t size;

    if (r < 0)
        return r;
    size = x.size;
    if (size == CONTENT_UNKNOWN)
        size = x.count ? x.v[x.count - 1].off + x.v[x.count - 1].len : 0;
    if (off >= size)
        n = 0;
    else if (n > size - off)
        n = (size_t)(size - off);
    r = read_pieces(f, &x, off, p, n);
    content_done(&x);
    if (r < 0)
        return r;
    if (ret_size)
        *ret_size = size;
    return (ssize_t)n;
}

/* Up to `end` each byte was written. */
static bool covers(const struct content *x, uint64_t end)
{
    uint64_t at = 0;

    for (size_t i = 0; i < x->count && at < end && x->v[i].off <= at; i++)
        at = x->v[i].off + x->v[i].len;
    return at >= end;
}

int flush_parked_whole(struct flush *f, const char *path)
{
    struct content x = CONTENT_INIT;
    int r = content_at(f, path, &x);

    if (r == 0)
        r = !x.append && x.size != CONTENT_UNKNOWN && covers(&x, x.keep);
    content_done(&x);
    return r;
}

/* ---- what becomes of it: with the lock held, so that who looks sees all of it or nothing ---- */

/* What is to be said of those that are meant by path: as it is shown, or, of a conflict, as it was
 * written down. NULL: no memory. */
static struct journal_result *choose(struct flush *f, const char *path, bool conflicts_only,
                                     const struct journal_result *what, size_t *ret_count)
{
    struct journal_result *v = calloc(f->parked_count + 1, sizeof(*v));
    size_t count = 0;

    for (const struct parked *p = f->parked; v && p; p = p->next) {
        if (conflicts_only ? p->outcome != JOURNAL_CONFLICT || !is_below(p, path)
                           : path && !is_shown_below(p, path))
            continue;
        v[count] = *what;
        v[count++].seq = p->seq;
    }
    *ret_count = count;
    return v;
}

static void forget(struct flush *f, uint64_t seq)
{
    struct parked *p = park_find(f, seq);

    if (!p)
        return;
    unlink_parked(f, p);
    parked_free(f, p);
}

static int give_up(struct flush *f, const char *path, bool conflicts_only, bool *ret_any)
{
    const struct journal_result dropped = {.settled = JOURNAL_DROPPED};
    size_t count = 0;
    struct journal_result *v = choose(f, path, conflicts_only, &dropped, &count);
    int r = v ? journal_settle(f->journal, v, count) : -ENOMEM;

    for (size_t i = 0; r == 0 && i < count; i++)
        forget(f, v[i].seq);
    free(v);
    *ret_any = count > 0;
    return r;
}

int flush_discard(struct flush *f, const char *path)
{
    bool any;
    int r;

    lock_take(&f->lock);
    r = give_up(f, path, false, &any);
    lock_drop(&f->lock);
    return r == 0 && !any && path ? -ENOENT : r;
}

static int queue_again(struct flush *f, uint64_t seq, struct buf *mem)
{
    struct journal_item item;
    struct change *c;
    int r = journal_get(f->journal, seq, mem, &item);

    item.rec.group = 0;
    if (r == 0)
        r = change_add(f, &item.rec, seq, &c);
    if (r < 0)
        return r; /* it is parked still, and goes from the next mount */
    c->forced = true;
    wait_again(f, c);
    forget(f, seq);
    return 0;
}

/* The journal has it before anything goes: whoever comes after this process does the same. */
static int force(struct flush *f, const char *path, uint64_t *ret_last)
{
    const struct journal_result forced = {.settled = JOURNAL_OPEN, .forced = true};
    struct buf mem = BUF_INIT(JOURNAL_RECORD_MAX);
    size_t count;
    struct journal_result *v = choose(f, path, true, &forced, &count);
    int r = v ? journal_settle(f->journal, v, count) : -ENOMEM;

    for (size_t i = 0; r == 0 && i < count; i++) {
        *ret_last = v[i].seq;
        r = queue_again(f, v[i].seq, &mem);
    }
    send_wake(f);
    free(v);
    buf_done(&mem);
    return r;
}

int flush_keep(struct flush *f, const char *path, bool mine)
{
    bool any = false;
    uint64_t last = 0;
    int r;

    lock_take(&f->lock);
    for (const struct parked *p = f->parked; p && !any; p = p->next)
        any = p->outcome == JOURNAL_CONFLICT && is_at(p, path);
    if (!any)
        r = -ENOENT;
    else
        r = mine ? force(f, path, &last) : give_up(f, path, true, &any);
    lock_drop(&f->lock);
    return r == 0 && mine ? flush_wait(f, last, false) : r;
}
