/* A batch whose record was lost: what its names have, as proto/renew.h asks, and what that means.
 */
#include "helper/apply_data.h"

#include "proto/renew.h"
#include "util/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct renewing {
    struct batch_change *v; /* owned, with all it points to */
    size_t count;
    struct renewal *found; /* owned; NULL: it cannot be known */
};

/* ---- does it have it? ---- */

static bool attr_fits(const struct stat *st, const struct renew_wants *w)
{
    return (!(w->set & BATCH_SET_MODE) || (st->st_mode & 07777) == w->mode) &&
           (!(w->set & BATCH_SET_UID) || st->st_uid == w->uid) &&
           (!(w->set & BATCH_SET_GID) || st->st_gid == w->gid) &&
           (!(w->set & BATCH_SET_MTIME) || timespec_to_ns(st->st_mtim) == w->mtime_ns);
}

/* It was killed before it got its mode. */
static bool is_unfinished(const struct stat *st)
{
    return S_ISDIR(st->st_mode) && (st->st_mode & 0777) == 0700;
}

static bool content_fits(struct apply *a, const struct place *p, const struct renew_wants *w)
{
    const struct shape s = {.size = w->size};
    bool fits = false;
    int fd;

    if (!S_ISREG(p->st.st_mode))
        return false;
    fd = openat(p->dir, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && w->made->flags & BATCH_APPEND)
        fits = append_is_there(a, w->made, fd, s.size);
    else if (fd >= 0)
        fits = data_is_there(a, w->made, &s, fd);
    if (fd >= 0)
        close(fd);
    return fits;
}

static bool object_fits(const struct place *p, const struct renew_wants *w)
{
    const struct batch_object *o = w->object;
    const struct stat *st = &p->st;

    if (place_is(p, o->ino, o->birth) &&
        (o->means == BATCH_SAME || S_ISDIR(st->st_mode) ||
         ((uint64_t)st->st_size == o->size &&
          (!w->times || timespec_to_ns(st->st_mtim) == o->mtime_ns))))
        return true;
    return o->hash && S_ISREG(st->st_mode) && (uint64_t)st->st_size == o->size &&
           file_has_hash(p->dir, p->name, st, o->hash);
}

static bool place_fits(struct apply *a, const struct place *p, const struct renew_wants *w)
{
    if (!p->there || w->what <= RENEW_SOMETHING)
        return p->there == (w->what != RENEW_NOTHING);
    if (w->what == RENEW_MADE && w->made->kind == BATCH_MKDIR && w->as_made &&
        is_unfinished(&p->st))
        return true;
    if (!attr_fits(&p->st, w))
        return false;
    if (w->what == RENEW_OBJECT)
        return object_fits(p, w);
    if (w->made->kind == BATCH_MKDIR)
        return S_ISDIR(p->st.st_mode);
    return w->made->kind == BATCH_SYMLINK ? place_has_target(p, w->made->path2)
                                          : content_fits(a, p, w);
}

static bool fits(void *arg, const char *path, const struct renew_wants *w, void *ret_attr)
{
    struct stat *ret = ret_attr;
    struct place p;
    bool fit;

    if (place_open(arg, path, &p) < 0)
        return w->what == RENEW_NOTHING; /* there is no way to it */
    fit = place_fits(arg, &p, w);
    *ret = p.st;
    place_done(&p);
    return fit;
}

static void drop_first(void *arg, const char *from, const char *to)
{
    struct place p, q;

    if (place_open(arg, from, &p) < 0)
        return;
    if (place_open(arg, to, &q) == 0) {
        if (p.there && q.there && p.st.st_ino == q.st.st_ino && !S_ISDIR(p.st.st_mode))
            (void)unlinkat(p.dir, p.name, 0);
        place_done(&q);
    }
    place_done(&p);
}

/* There must be time left to do something. */
static bool is_late(void *arg)
{
    const struct apply *a = arg;

    return clock_mono_ns() >= a->until_ns - apply_limit_ns() / 2;
}

static const struct renew_ops ops = {
    .attr_size = sizeof(struct stat), .fits = fits, .drop_first = drop_first, .late = is_late};

/* ---- all of them ---- */

static char *copy_of(const void *p, size_t len)
{
    char *copy = malloc(len + 1);

    if (copy && len > 0)
        memcpy(copy, p, len);
    return copy;
}

static bool copy_change(struct batch_change *c)
{
    c->path = copy_of(c->path, strlen(c->path) + 1);
    if (c->path2)
        c->path2 = copy_of(c->path2, strlen(c->path2) + 1);
    c->pieces =
        (struct batch_piece *)(void *)copy_of(c->pieces, c->piece_count * sizeof(*c->pieces));
    return c->path && c->pieces;
}

static int take_changes(struct apply *a, struct renewing *n)
{
    const struct proto_in start = a->message.changes.in;
    int r = 0;

    while (r == 0 && n->count < a->record.count &&
           (r = message_next(&a->message, &n->v[n->count])) > 0)
        r = copy_change(&n->v[n->count++]) ? 0 : -1;
    batch_changes_done(&a->message.changes);
    a->message.changes.in = start;
    return r;
}

struct renewing *renewing_free(struct renewing *n)
{
    for (size_t i = 0; n && i < n->count; i++) {
        free((char *)n->v[i].path);
        free((char *)n->v[i].path2);
        free((struct batch_piece *)n->v[i].pieces);
    }
    if (n) {
        free(n->v);
        (void)renewal_free(n->found);
    }
    free(n);
    return NULL;
}

struct renewing *renewing_new(struct apply *a)
{
    struct renewing *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->v = calloc(a->record.count, sizeof(*n->v));
    if (n->v && take_changes(a, n) >= 0)
        n->found = renewal_new(&ops, a, n->v, n->count);
    return n->found ? n : renewing_free(n);
}

bool renewing_tell(struct apply *a, uint64_t change, struct batch_result *ret)
{
    static const struct stat gone = {.st_ino = 1, .st_mode = S_IFREG};
    const struct batch_change *c;
    const void *attr = NULL;
    const struct stat *st;
    enum renewal_left left;
    struct place p;

    left = a->renewing ? renewal_left(a->renewing->found, change, &attr) : RENEWAL_OPEN;
    if (left == RENEWAL_OPEN)
        return false;
    c = &a->renewing->v[change];
    st = left == RENEWAL_IT ? attr : &gone;
    (void)result_done(ret, left == RENEWAL_NOTHING ? NULL : st);
    keep_tell(a, c, ret);
    if (place_open(a, c->kind == BATCH_RENAME ? c->path2 : c->path, &p) < 0)
        return true;
    if (p.there)
        result_born(ret, p.dir, p.name);
    if (c->kind == BATCH_MKDIR && p.there && p.st.st_ino == st->st_ino && is_unfinished(st))
        (void)names_finish_dir(c, &p, ret);
    else if (c->flags & BATCH_FSYNC_TOO)
        (void)place_sync(&p);
    place_done(&p);
    return true;
}
