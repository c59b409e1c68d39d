/* op_ctl.c - control files. Their reads and writes wait without a thread. */
#include "fuse/session_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Programs that walk over the whole mount must not walk into the control files. So these are not
 * listed; where they are to be seen, what is listed is a link, which such programs copy or pass by.
 */
static bool is_link(const struct session *s, const char *name)
{
    return s->ctl_link && strcmp(name, s->ctl_link) == 0;
}

bool ctl_owns(const struct session *s, uint64_t parent, const char *name)
{
    return s->ctl && parent == FS_ROOT && (strcmp(name, s->ctl_name) == 0 || is_link(s, name));
}

static int stat_cached(struct session *s, uint64_t ino, struct stat *ret)
{
    int r = ctl_getattr_cached(s->ctl, ino == CTL_LINK ? CTL_ROOT : ino, ret);

    if (r == 0 && ino == CTL_LINK) {
        ret->st_ino = CTL_LINK;
        ret->st_mode = S_IFLNK | 0777;
        ret->st_size = (off_t)strlen(s->ctl_name);
    }
    return r;
}

/* Attributes are made up at each look, so the kernel keeps none. */
static void ctl_entry_of(const struct stat *st, struct fs_entry *ret)
{
    *ret = (struct fs_entry){.ino = st->st_ino, .ttl_ns = 0, .st = *st};
}

int ctl_link_entry(struct session *s, struct fs_entry *ret)
{
    struct stat st;
    int r = stat_cached(s, CTL_LINK, &st);

    if (r == 0)
        ctl_entry_of(&st, ret);
    return r;
}

/* allow_other does not reach here: owner only. */
static int check_caller(fuse_req_t req, const struct stat *st)
{
    const uid_t uid = fuse_req_ctx(req)->uid;

    return uid == st->st_uid || uid == 0 ? 0 : -EACCES;
}

static void reply_ctl_entry(fuse_req_t req, struct session *s, int r, const struct stat *st)
{
    struct fs_entry e;

    if (r == 0)
        ctl_entry_of(st, &e);
    reply_entry(req, s, r, &e);
}

static void slow_lookup(struct call *c)
{
    struct stat st;
    int r = ctl_lookup(c->session->ctl, c->ino, c->name, &st);

    reply_ctl_entry(c->req, c->session, r, &st);
}

void ctl_op_lookup(fuse_req_t req, struct session *s, uint64_t parent, const char *name)
{
    struct stat st;
    int r;

    if (parent == FS_ROOT)
        r = stat_cached(s, is_link(s, name) ? CTL_LINK : CTL_ROOT, &st);
    else
        r = ctl_lookup_cached(s->ctl, parent, name, &st);
    if (r == -EAGAIN)
        call_slow(req, SLOW_META, slow_lookup, &(struct call){.ino = parent, .name = name});
    else
        reply_ctl_entry(req, s, r, &st);
}

static void reply_ctl_attr(fuse_req_t req, int r, const struct stat *st)
{
    struct fs_entry e;

    if (r == 0)
        ctl_entry_of(st, &e);
    reply_attr(req, r, &e);
}

static void slow_getattr(struct call *c)
{
    struct stat st;
    int r = ctl_getattr(c->session->ctl, c->ino, &st);

    reply_ctl_attr(c->req, r, &st);
}

void ctl_op_getattr(fuse_req_t req, struct session *s, uint64_t ino)
{
    struct stat st;
    int r = stat_cached(s, ino, &st);

    if (r == -EAGAIN)
        call_slow(req, SLOW_META, slow_getattr, &(struct call){.ino = ino});
    else
        reply_ctl_attr(req, r, &st);
}

void ctl_op_readlink(fuse_req_t req, const struct session *s, uint64_t ino)
{
    if (ino != CTL_LINK) {
        reply_err(req, -EINVAL);
        return;
    }
    req_settle(req);
    fuse_reply_readlink(req, s->ctl_name);
}

static void reply_access(fuse_req_t req, int r, int mask, const struct stat *st)
{
    const struct fuse_ctx *ctx = fuse_req_ctx(req);

    if (r == 0 && ctx->uid != 0) {
        const unsigned bits = ctx->uid == st->st_uid ? st->st_mode >> 6 : st->st_mode;

        if ((bits & (unsigned)mask) != (unsigned)mask)
            r = -EACCES;
    } else if (r == 0 && (mask & X_OK) && !S_ISDIR(st->st_mode)) {
        r = -EACCES;
    }
    reply_err(req, r);
}

static void slow_access(struct call *c)
{
    struct stat st;
    int r = ctl_getattr(c->session->ctl, c->ino, &st);

    reply_access(c->req, r, c->flags, &st);
}

void ctl_op_access(fuse_req_t req, struct session *s, uint64_t ino, int mask)
{
    struct stat st;
    int r = stat_cached(s, ino, &st);

    if (r == -EAGAIN)
        call_slow(req, SLOW_META, slow_access, &(struct call){.ino = ino, .flags = mask});
    else
        reply_access(req, r, mask, &st);
}

/* ---- making and removing ---- */

static int check_root_caller(fuse_req_t req, struct session *s)
{
    struct stat st;
    int r = ctl_getattr_cached(s->ctl, CTL_ROOT, &st);

    return r < 0 ? r : check_caller(req, &st); /* all of it belongs to one */
}

static void slow_mkdir(struct call *c)
{
    struct stat st;
    int r = ctl_mkdir(c->session->ctl, c->ino, c->name, fuse_req_ctx(c->req)->pid, &st);

    reply_ctl_entry(c->req, c->session, r, &st);
}

static void slow_rmdir(struct call *c)
{
    reply_err(c->req, ctl_rmdir(c->session->ctl, c->ino, c->name, fuse_req_ctx(c->req)->pid));
}

static void slow_unlink(struct call *c)
{
    reply_err(c->req, ctl_unlink(c->session->ctl, c->ino, c->name, fuse_req_ctx(c->req)->pid));
}

static void change(fuse_req_t req, uint64_t parent, const char *name, void (*fn)(struct call *c))
{
    int r = check_root_caller(req, fuse_req_userdata(req));

    if (r < 0)
        reply_err(req, r);
    else
        call_slow(req, SLOW_META, fn, &(struct call){.ino = parent, .name = name});
}

void ctl_op_mkdir(fuse_req_t req, uint64_t parent, const char *name)
{
    change(req, parent, name, slow_mkdir);
}

void ctl_op_rmdir(fuse_req_t req, uint64_t parent, const char *name)
{
    change(req, parent, name, slow_rmdir);
}

void ctl_op_unlink(fuse_req_t req, uint64_t parent, const char *name)
{
    change(req, parent, name, slow_unlink);
}

/* ---- opening and closing ---- */

typedef int (*open_fn)(struct ctl *ctl, uint64_t ino, int flags, pid_t pid,
                       struct ctl_handle **ret);

static int open_handle(fuse_req_t req, struct session *s, open_fn fn, uint64_t ino, int flags,
                       struct handle **ret)
{
    struct handle *h;
    int r = check_root_caller(req, s);

    if (r < 0)
        return r;
    h = handle_new(s, HANDLE_CTL);
    r = h ? fn(s->ctl, ino, flags, fuse_req_ctx(req)->pid, &h->ctl) : -ENOMEM;
    if (r < 0)
        handle_unref(h);
    else
        *ret = h;
    return r;
}

static void reply_ctl_open(fuse_req_t req, int r, struct handle *h, struct fuse_file_info *fi)
{
    if (r < 0) {
        reply_err(req, r);
        return;
    }
    fi->direct_io = 1; /* st_size says nothing, and what is read changes */
    reply_open(req, h, fi);
}

static void slow_open(struct call *c)
{
    struct handle *h = NULL;
    int r = open_handle(c->req, c->session, ctl_open, c->ino, c->flags, &h);

    reply_ctl_open(c->req, r, h, &c->fi);
}

void ctl_op_open(fuse_req_t req, struct session *s, uint64_t ino, struct fuse_file_info *fi)
{
    struct handle *h = NULL;
    int r = open_handle(req, s, ctl_open_cached, ino, fi->flags, &h);

    if (r == -EAGAIN)
        call_slow(req, SLOW_DATA, slow_open,
                  &(struct call){.ino = ino, .flags = fi->flags, .fi = *fi});
    else
        reply_ctl_open(req, r, h, fi);
}

static void slow_flush(struct call *c)
{
    reply_err(c->req, ctl_flush(c->handle->ctl));
}

void ctl_op_flush(fuse_req_t req, struct handle *h)
{
    int r = ctl_flush_cached(h->ctl);

    if (r == -EAGAIN)
        call_slow(req, SLOW_DATA, slow_flush, &(struct call){.handle = h});
    else
        reply_err(req, r);
}

/* ---- parked reads and writes ---- */

struct parked {
    struct waiter waiter;
    struct handle *handle; /* counted */
    fuse_req_t req;
    bool write;
    struct parked *prev, *next; /* session.lock */
};

static struct parked *parked_of(struct waiter *w)
{
    return (struct parked *)((char *)w - offsetof(struct parked, waiter));
}

static void parked_free(struct waiter *w)
{
    struct parked *p = parked_of(w);
    struct session *s = p->handle->session;

    lock_take(&s->lock);
    if (p->prev)
        p->prev->next = p->next;
    else
        s->parked = p->next;
    if (p->next)
        p->next->prev = p->prev;
    lock_drop(&s->lock);
    handle_unref(p->handle);
    free(p);
    lock_take(&s->lock);
    s->parked_count--; /* at 0 the session may go: the last that is touched of it */
    lock_drop(&s->lock);
}

static void parked_fire(struct waiter *w)
{
    struct parked *p = parked_of(w);

    ctl_interrupt(p->handle->ctl, p);
}

static void parked_interrupted(fuse_req_t req, void *data)
{
    struct parked *p = data;

    (void)req;
    interrupts_add(p->handle->session->interrupts, &p->waiter);
}

static void parked_done(void *arg, ssize_t r, const void *data)
{
    struct parked *p = arg;

    if (p->write)
        reply_count(p->req, r);
    else
        reply_data(p->req, r, data);
    interrupts_settle(p->handle->session->interrupts, &p->waiter);
    waiter_unref(&p->waiter);
}

/* The interrupt function is there before ctl may finish with the request, and thus free it; one
 * that comes before ctl knows of the wait is simply fired again (interrupt.h). */
static struct parked *park(fuse_req_t req, struct handle *h, bool is_write)
{
    struct session *s = h->session;
    struct parked *p = calloc(1, sizeof(*p));

    if (!p || session_closing(s)) {
        reply_err(req, p ? -ENOTCONN : -ENOMEM);
        free(p);
        return NULL;
    }
    p->waiter = (struct waiter){.tid = fuse_req_ctx(req)->pid,
                                .kind = INTERRUPT_STREAM,
                                .fire = parked_fire,
                                .free = parked_free};
    atomic_init(&p->waiter.refs, 1);
    p->handle = handle_ref(h);
    p->req = req;
    p->write = is_write;
    lock_take(&s->lock);
    p->next = s->parked;
    if (s->parked)
        s->parked->prev = p;
    s->parked = p;
    s->parked_count++;
    lock_drop(&s->lock);
    fuse_req_interrupt_func(req, parked_interrupted, p);
    return p;
}

void ctl_op_end_parked(struct session *s)
{
    lock_take(&s->lock);
    while (s->parked_count > 0) {
        struct parked *p = s->parked;

        while (p && !waiter_tryref(&p->waiter))
            p = p->next;
        lock_drop(&s->lock);
        if (p) {
            parked_fire(&p->waiter);
            waiter_unref(&p->waiter);
        }
        (void)cancel_sleep(NS_PER_MS); /* the answer may come on another thread */
        lock_take(&s->lock);
    }
    lock_drop(&s->lock);
}

void ctl_op_read(fuse_req_t req, struct handle *h, size_t size, off_t off)
{
    struct parked *p = park(req, h, false);

    if (p)
        ctl_read(h->ctl, (uint64_t)off, size, parked_done, p);
}

void ctl_op_write(fuse_req_t req, struct handle *h, const char *data, size_t size, off_t off)
{
    struct parked *p = park(req, h, true);

    if (p)
        ctl_write(h->ctl, (uint64_t)off, data, size, parked_done, p);
}

static void poll_ready(void *arg, bool changed)
{
    struct fuse_pollhandle *ph = arg;

    if (changed)
        (void)fuse_lowlevel_notify_poll(ph); /* nobody waits any more: fine */
    fuse_pollhandle_destroy(ph);
}

void ctl_op_poll(fuse_req_t req, struct handle *h, struct fuse_pollhandle *ph)
{
    unsigned events = 0;

    ctl_poll(h->ctl, &events, ph ? poll_ready : NULL, ph);
    fuse_reply_poll(req, events);
}

/* ---- listing: offset 0 is before ".", 1 before "..", i + 2 before the i-th entry ---- */

void ctl_op_opendir(fuse_req_t req, struct session *s, uint64_t ino, struct fuse_file_info *fi)
{
    struct handle *h = NULL;
    int r = check_root_caller(req, s);

    if (r == 0) {
        h = handle_new(s, HANDLE_CTL_DIR);
        r = h ? ctl_opendir(s->ctl, ino, &h->list) : -ENOMEM;
    }
    if (r < 0) {
        handle_unref(h);
        reply_err(req, r);
        return;
    }
    reply_open(req, h, fi);
}

static int list_entry(struct handle *h, uint64_t ino, size_t i, const char **ret_name,
                      struct stat *ret)
{
    const uint64_t parent = ctl_list_parent(h->list);

    if (i >= 2)
        return ctl_entry(h->list, i - 2, ret_name, ret);
    *ret_name = i == 0 ? "." : "..";
    *ret = (struct stat){.st_ino = i == 0 ? ino : parent ? parent : FS_ROOT, .st_mode = S_IFDIR};
    return 0;
}

/* With plus, entries are not looked up: that might ask the network once for each. */
static size_t add_entry(fuse_req_t req, char *p, size_t room, const char *name,
                        const struct stat *st, off_t next, bool plus)
{
    if (!plus)
        return fuse_add_direntry(req, p, room, name, st, next);
    return fuse_add_direntry_plus(req, p, room, name, &(struct fuse_entry_param){.attr = *st},
                                  next);
}

static void reply_list(fuse_req_t req, struct handle *h, uint64_t ino, size_t size, size_t from,
                       bool plus)
{
    char *p = malloc(size);
    const char *name;
    size_t used = 0;
    struct stat st;
    int r = p ? 0 : -ENOMEM;

    for (size_t i = from; r == 0; i++) {
        size_t need;

        r = list_entry(h, ino, i, &name, &st);
        if (r < 0)
            break;
        need = add_entry(req, p + used, size - used, name, &st, (off_t)(i + 1), plus);
        if (need > size - used)
            break;
        used += need;
    }
    if (r == -ENOENT)
        r = 0; /* the end */
    reply_data(req, r < 0 ? r : (ssize_t)used, p);
    free(p);
}

static void slow_readdir(struct call *c)
{
    int r = ctl_list(c->handle->list);

    if (r < 0)
        reply_err(c->req, r);
    else
        reply_list(c->req, c->handle, c->ino, c->size, 0, c->flags != 0);
}

void ctl_op_readdir(fuse_req_t req, struct handle *h, uint64_t ino, size_t size, off_t off,
                    bool plus)
{
    int r = off == 0 ? ctl_list_cached(h->list) : 0; /* rewinddir looks again */

    if (r == -EAGAIN)
        call_slow(req, SLOW_META, slow_readdir,
                  &(struct call){.handle = h, .ino = ino, .size = size, .flags = plus});
    else if (r < 0)
        reply_err(req, r);
    else
        reply_list(req, h, ino, size, (size_t)off, plus);
}
