/* call.c - requests on their way: handles, slow calls, answers. */
#include "fuse/session_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- handles ---- */

struct handle *handle_new(struct session *s, enum handle_kind kind)
{
    struct handle *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    h->session = s;
    h->kind = kind;
    atomic_init(&h->refs, 1);
    lock_take(&s->lock);
    h->next = s->handles;
    if (s->handles)
        s->handles->prev = h;
    s->handles = h;
    lock_drop(&s->lock);
    return h;
}

struct handle *handle_ref(struct handle *h)
{
    if (h)
        atomic_fetch_add(&h->refs, 1);
    return h;
}

static void handle_release(struct handle *h)
{
    if (h->kind == HANDLE_FILE && h->file)
        fs_release(h->file);
    else if (h->kind == HANDLE_DIR && h->dir)
        fs_releasedir(h->dir);
    else if (h->kind == HANDLE_CTL && h->ctl)
        ctl_release(h->ctl);
    else if (h->kind == HANDLE_CTL_DIR && h->list)
        ctl_closedir(h->list);
}

struct handle *handle_unref(struct handle *h)
{
    struct session *s;

    if (!h || atomic_fetch_sub(&h->refs, 1) != 1)
        return NULL;
    s = h->session;
    lock_take(&s->lock);
    if (h->prev)
        h->prev->next = h->next;
    else
        s->handles = h->next;
    if (h->next)
        h->next->prev = h->prev;
    lock_drop(&s->lock);
    handle_release(h);
    free(h);
    return NULL;
}

struct handle *handle_of(const struct fuse_file_info *fi)
{
    return fi ? (struct handle *)(uintptr_t)fi->fh : NULL;
}

struct fs_file *handle_file(const struct handle *h)
{
    return h && h->kind == HANDLE_FILE ? h->file : NULL;
}

/* ---- calls ---- */

static struct call *call_of(struct waiter *w)
{
    return (struct call *)((char *)w - offsetof(struct call, waiter));
}

static void call_free(struct waiter *w)
{
    struct call *c = call_of(w);

    handle_unref(c->handle);
    cancel_unref(c->job.cancel);
    free(c);
}

static void call_fire(struct waiter *w)
{
    struct call *c = call_of(w);

    slow_cancel(c->session->slow, &c->job);
}

/* libfuse's: the request's lock is held, so nothing may be answered here. */
static void call_interrupted(fuse_req_t req, void *data)
{
    struct call *c = data;

    (void)req;
    interrupts_add(c->session->interrupts, &c->waiter);
}

static void call_run(struct slow_job *job)
{
    struct call *c = (struct call *)job;

    fs_caller(c->waiter.tid);
    c->fn(c);
    interrupts_settle(c->session->interrupts, &c->waiter);
    waiter_unref(&c->waiter);
}

static struct call *call_new(fuse_req_t req, const struct call *args)
{
    const size_t len = args->name ? strlen(args->name) + 1 : 0;
    const size_t len2 = args->name2 ? strlen(args->name2) + 1 : 0;
    const size_t data_len = args->data ? args->size : 0;
    struct call *c = malloc(sizeof(*c) + len + len2 + data_len);
    char *tail;

    if (!c)
        return NULL;
    *c = *args;
    c->req = req;
    c->session = fuse_req_userdata(req);
    c->job = (struct slow_job){.run = call_run, .cancel = cancel_new()};
    c->waiter = (struct waiter){.tid = fuse_req_ctx(req)->pid,
                                .kind = INTERRUPT_FILE,
                                .fire = call_fire,
                                .free = call_free};
    atomic_init(&c->waiter.refs, 1);
    if (!c->job.cancel) {
        free(c);
        return NULL;
    }
    handle_ref(c->handle);
    tail = (char *)(c + 1);
    if (len)
        c->name = memcpy(tail, args->name, len);
    if (len2)
        c->name2 = memcpy(tail + len, args->name2, len2);
    if (data_len)
        c->data = memcpy(tail + len + len2, args->data, data_len);
    return c;
}

void call_slow(fuse_req_t req, enum slow_lane lane, void (*fn)(struct call *c),
               const struct call *args)
{
    struct session *s = fuse_req_userdata(req);
    struct call *c = NULL;
    int r = -ENOMEM;

    if (session_closing(s))
        r = -ENOTCONN;
    else
        c = call_new(req, args);
    if (c) {
        c->fn = fn;
        fuse_req_interrupt_func(req, call_interrupted, c);
        r = slow_run(s->slow, lane, &c->job);
    }
    if (r < 0) {
        reply_err(req, r);
        if (c) {
            interrupts_settle(s->interrupts, &c->waiter);
            waiter_unref(&c->waiter);
        }
    }
}

/* ---- answers ---- */

void req_settle(fuse_req_t req)
{
    fuse_req_interrupt_func(req, NULL, NULL);
}

double seconds(int64_t ns)
{
    return ns > 0 ? (double)ns / (double)NS_PER_S : 0;
}

void reply_err(fuse_req_t req, int r)
{
    req_settle(req);
    /* ENOSYS would switch the operation off for the whole mount. */
    fuse_reply_err(req, r == -ENOSYS ? EOPNOTSUPP : -r);
}

void entry_to_param(const struct session *s, const struct fs_entry *e, struct fuse_entry_param *ret)
{
    *ret = (struct fuse_entry_param){
        .ino = e->ino,
        .generation = 1, /* an ino is never reused */
        .attr = e->st,
        .attr_timeout = seconds(e->ttl_ns),
        .entry_timeout = s->expire ? seconds(e->ttl_ns) : 0,
    };
}

void session_forget(struct session *s, uint64_t ino, uint64_t count)
{
    if (ino_is_ctl(ino))
        ctl_forget(s->ctl, ino, count);
    else
        fs_forget(s->fs, ino, count);
}

void reply_entry(fuse_req_t req, struct session *s, int r, const struct fs_entry *e)
{
    struct fuse_entry_param param;

    if (r < 0) {
        reply_err(req, r);
        return;
    }
    req_settle(req);
    entry_to_param(s, e, &param);
    /* The caller is gone, and so is the reference that the kernel would have counted. */
    if (fuse_reply_entry(req, &param) == -ENOENT && e->ino != 0)
        session_forget(s, e->ino, 1);
}

void reply_attr(fuse_req_t req, int r, const struct fs_entry *e)
{
    if (r < 0) {
        reply_err(req, r);
        return;
    }
    req_settle(req);
    fuse_reply_attr(req, &e->st, seconds(e->ttl_ns));
}

void reply_data(fuse_req_t req, ssize_t r, const void *data)
{
    if (r < 0) {
        reply_err(req, (int)r);
        return;
    }
    req_settle(req);
    fuse_reply_buf(req, data, (size_t)r);
}

void reply_count(fuse_req_t req, ssize_t r)
{
    if (r < 0) {
        reply_err(req, (int)r);
        return;
    }
    req_settle(req);
    fuse_reply_write(req, (size_t)r);
}

void reply_open(fuse_req_t req, struct handle *h, struct fuse_file_info *fi)
{
    req_settle(req);
    fi->fh = (uintptr_t)h;
    if (fuse_reply_open(req, fi) == -ENOENT)
        handle_unref(h);
}

void reply_create(fuse_req_t req, const struct fs_entry *e, struct handle *h,
                  struct fuse_file_info *fi)
{
    struct session *s = h->session;
    struct fuse_entry_param param;
    const uint64_t ino = e->ino;

    req_settle(req);
    fi->fh = (uintptr_t)h;
    entry_to_param(s, e, &param);
    if (fuse_reply_create(req, &param, fi) == -ENOENT) {
        handle_unref(h);
        fs_forget(s->fs, ino, 1);
    }
}
