/* Open files: what reads, writes, polls and closes of each kind do. */
#include "ctl/ctl.h"
#include "ctl/ctl_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    WOULD_WAIT = -4096, /* no errno: the answer is not there yet */
    READ_MAX = 16 * 1024 * 1024,
    WRITE_MAX = 16 * 1024 * 1024,
};

static bool asks(const struct ctl_handle *h)
{
    return h->row->kind == CTL_QUERY || h->row->kind == CTL_STREAM;
}

/* What was asked by a handle that could not read: this one may. */
static int attach_locked(struct ctl_handle *h)
{
    struct ctl *ctl = h->ctl;
    int r = 0;

    if (h->row->kind == CTL_QUERY && h->node->last) {
        h->answer = answer_ref_locked(h->node->last);
        h->talk.state = TALK_ASKED;
    } else if (h->row->kind == CTL_STREAM && ctl->watch_text) {
        r = talk_write(&h->talk, 0, ctl->watch_text, ctl->watch_len);
        h->talk.origin = 0; /* this handle wrote nothing: its answer starts at the start */
    }
    return r;
}

static void handle_free(struct ctl_handle *h)
{
    ctl_node_unref(h->ctl, h->node);
    buf_done(&h->text);
    talk_done(&h->talk);
    free(h);
}

/* n is what was opened, or gives what is. */
static int open_other(struct ctl *ctl, struct ctl_node **n, int how, struct buf *why)
{
    struct ctl_entry entry = {0};
    struct ctl_node *other;
    int r;

    if (!(*n)->row->open || how != O_RDWR)
        return 0;
    r = (*n)->row->open(ctl, (*n)->obj, &entry, why);
    if (r < 0)
        return r;
    other = ctl_node_nameless(ctl, *n, &entry);
    if (!other)
        return -ENOMEM;
    ctl_node_unref(ctl, *n);
    *n = other;
    return 0;
}

static int open_node(struct ctl *ctl, struct ctl_node **n, int flags, pid_t pid, struct buf *why,
                     struct ctl_handle **ret)
{
    const int how = flags & O_ACCMODE;
    struct ctl_handle *h;
    int r = open_other(ctl, n, how, why);

    if (r < 0)
        return r;
    h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->ctl = ctl;
    h->node = *n;
    h->row = h->node->row;
    h->reads = how != O_WRONLY;
    h->writes = how != O_RDONLY;
    h->pid = pid;
    buf_init(&h->text, h->row->waits ? ctl->output_max : SNAPSHOT_MAX);
    talk_init(&h->talk, h->row->question_max ? h->row->question_max : TEXT_MAX);
    if (h->reads && h->row->show)
        r = h->row->show(ctl, h->node->obj, &h->text, why);
    lock_take(&ctl->lock);
    if (r == 0 && !h->writes)
        r = attach_locked(h);
    if (r == 0)
        DL_APPEND(ctl->handles, h);
    lock_drop(&ctl->lock);
    if (r == 0) {
        *ret = h;
        *n = NULL; /* the handle's now */
    } else {
        h->node = NULL;
        handle_free(h);
    }
    return r;
}

static int open_ino(struct ctl *ctl, uint64_t ino, int flags, pid_t pid, bool may_wait,
                    struct ctl_handle **ret)
{
    const int how = flags & O_ACCMODE;
    struct buf why = BUF_INIT(WHY_MAX);
    struct ctl_node *n;
    int r = ctl_node_of(ctl, ino, &n);

    if (r < 0)
        return r;
    if (n->row->kind == CTL_DIR)
        r = -EISDIR;
    else if ((how != O_WRONLY && !(n->row->mode & 0400)) ||
             (how != O_RDONLY && !(n->row->mode & 0200)))
        r = -EACCES;
    else if (!may_wait && (n->row->open || (n->row->show && n->row->waits && how != O_WRONLY)))
        r = -EAGAIN;
    else
        r = open_node(ctl, &n, flags, pid, &why, ret);
    if (r < 0 && r != -EAGAIN && why.len > 0)
        ctl_report_why(ctl, n, pid, r, &why);
    ctl_node_unref(ctl, n);
    buf_done(&why);
    return r;
}

int ctl_open(struct ctl *ctl, uint64_t ino, int flags, pid_t pid, struct ctl_handle **ret)
{
    return open_ino(ctl, ino, flags, pid, true, ret);
}

int ctl_open_cached(struct ctl *ctl, uint64_t ino, int flags, pid_t pid, struct ctl_handle **ret)
{
    return open_ino(ctl, ino, flags, pid, false, ret);
}

/* ---- questions ---- */

/* A write-only handle asks for whoever opens the file for reading next. */
static void publish_locked(struct ctl_handle *h)
{
    struct ctl *ctl = h->ctl;
    char *text;

    if (h->row->kind == CTL_QUERY) {
        ctl_node_set_last_locked(ctl, h->node, h->answer);
        return;
    }
    /* Nothing is watched while nobody has the file open: the reader will ask. */
    text = malloc(h->talk.text.len + 1);
    if (text)
        memcpy(text, h->talk.text.data, h->talk.text.len);
    free(ctl->watch_text);
    ctl->watch_text = text;
    ctl->watch_len = h->talk.text.len;
}

static void ask_locked(struct ctl_handle *h, struct later *later)
{
    struct ctl *ctl = h->ctl;
    const struct buf *text = &h->talk.text;

    if (!asks(h) || !talk_ask(&h->talk))
        return;
    if (h->row->kind == CTL_QUERY) {
        answer_unref_locked(ctl, h->answer);
        h->answer =
            answer_ask_locked(ctl, h->node, text->data, text->len, h->pid, !h->reads, later);
    } else if (h->reads) {
        watcher_free_locked(ctl, h->watcher);
        h->watcher = watcher_new_locked(ctl, h->node, text->data, text->len, h->pid, later);
    }
    if (!h->reads)
        publish_locked(h);
    buf_done(&h->talk.text);
}

static bool running_locked(const struct ctl_handle *h)
{
    return h->row->kind == CTL_QUERY && h->talk.state == TALK_ASKED && h->answer &&
           !h->answer->done;
}

/* ---- reading ---- */

static ssize_t copy(const struct buf *from, uint64_t at, size_t size, char **ret)
{
    if (at >= from->len)
        return 0;
    if (size > from->len - at)
        size = (size_t)(from->len - at);
    *ret = malloc(size);
    if (!*ret)
        return -ENOMEM;
    memcpy(*ret, from->data + at, size);
    return (ssize_t)size;
}

static ssize_t read_query_locked(struct ctl_handle *h, uint64_t off, size_t size, char **ret)
{
    struct answer *a = h->answer;
    ssize_t r;

    if (!a)
        return -ENOMEM;
    a->waited = true;
    if (!a->done)
        return WOULD_WAIT;
    r = copy(&a->out, talk_position(&h->talk, off, 0), size, ret);
    return r == 0 ? a->err : r;
}

static ssize_t read_stream_locked(struct ctl_handle *h, uint64_t off, size_t size, char **ret)
{
    struct watcher *w = h->watcher;
    uint64_t at;
    char *p;

    if (!w)
        return -ENOMEM;
    if (w->err)
        return w->err;
    at = talk_position(&h->talk, off, w->spool.first);
    if (at >= spool_end(&w->spool))
        return WOULD_WAIT;
    if (size > spool_end(&w->spool) - at)
        size = (size_t)(spool_end(&w->spool) - at);
    p = malloc(size);
    if (!p)
        return -ENOMEM;
    *ret = p;
    return (ssize_t)spool_read(&w->spool, at, p, size);
}

static ssize_t read_flow_locked(struct ctl_handle *h, uint64_t off, size_t size, char **ret)
{
    ssize_t r;

    if (!h->flow)
        h->flow = flow_new_locked(h->ctl, h->node, h->pid);
    if (!h->flow)
        return -ENOMEM;
    r = flow_read_locked(h->flow, off, size, ret);
    if (r == 0)
        r = h->flow->ended ? h->flow->err : WOULD_WAIT;
    return r;
}

/* Bytes in *ret, 0 at the end, -errno, WOULD_WAIT. */
static ssize_t read_locked(struct ctl_handle *h, uint64_t off, size_t size, char **ret)
{
    if (!h->reads)
        return -EBADF;
    if (size == 0)
        return 0;
    if (h->row->kind == CTL_FLOW)
        return read_flow_locked(h, off, size, ret);
    if (!asks(h))
        return copy(&h->text, off, size, ret);
    switch (h->talk.state) {
    case TALK_IDLE:
    case TALK_PENDING: /* only for the moment between a write and its question */
        return 0;
    case TALK_REFUSED:
        return -EFBIG;
    case TALK_ASKED:
        break;
    }
    return h->row->kind == CTL_QUERY ? read_query_locked(h, off, size, ret)
                                     : read_stream_locked(h, off, size, ret);
}

/* ---- waiting ---- */

static unsigned events_locked(const struct ctl_handle *h)
{
    bool in = h->reads, out = h->writes;

    if (running_locked(h))
        in = out = false;
    else if (h->row->kind == CTL_STREAM && h->talk.state == TALK_ASKED && h->watcher)
        in = in && (h->watcher->err || spool_unread(&h->watcher->spool));
    else if (h->row->kind == CTL_FLOW && h->flow)
        in = in && (h->flow->ended || h->flow->kept.len > 0);
    return (in ? POLLIN | POLLRDNORM : 0) | (out ? POLLOUT | POLLWRNORM : 0);
}

void ctl_wait_finish_locked(struct ctl_handle *h, struct wait *w, ssize_t r, struct later *later)
{
    DL_DELETE(h->waits, w);
    w->r = r;
    LL_APPEND(later->finished, w);
}

/* Takes what was written as (part of) a question. WOULD_WAIT: until the watch has begun. */
static ssize_t write_question_locked(struct ctl_handle *h, uint64_t off, const char *data, size_t n,
                                     struct later *later)
{
    int r = talk_write(&h->talk, off, data, n);

    if (r < 0)
        return r;
    if (h->row->kind != CTL_STREAM || !h->reads || n == 0)
        return (ssize_t)n;
    /* The end of a path is known. To ask now, and to answer this write when watching has begun, is
     * what lets a script change something next and be sure to be told. */
    if (data[n - 1] == '\n' || data[n - 1] == '\0') {
        ask_locked(h, later);
        return WOULD_WAIT;
    }
    return (ssize_t)n;
}

static void settle_wait_locked(struct ctl_handle *h, struct wait *w, struct later *later)
{
    ssize_t r = WOULD_WAIT;

    switch (w->kind) {
    case WAIT_READ:
        r = read_locked(h, w->off, w->size, &w->data);
        break;
    case WAIT_WRITE:
        if (!running_locked(h))
            r = write_question_locked(h, w->off, w->data, w->size, later);
        break;
    case WAIT_ARMED:
        if (!h->watcher)
            r = -ENOMEM;
        else if (h->watcher->err)
            r = h->watcher->err;
        else if (h->watcher->armed)
            r = (ssize_t)w->size;
        break;
    case WAIT_POLL:
        if (events_locked(h) != w->events)
            r = 0;
        break;
    case WAIT_WORK: /* ended by its thread */
        break;
    }
    if (h->ctl->closing && r == WOULD_WAIT) {
        if (w->kind == WAIT_WORK)
            work_abandon_locked(w->work);
        r = -EINTR;
    }
    if (r != WOULD_WAIT)
        ctl_wait_finish_locked(h, w, r, later);
}

static void settle_handle_locked(struct ctl_handle *h, struct later *later)
{
    struct wait *w, *tmp;

    DL_FOREACH_SAFE(h->waits, w, tmp)
        settle_wait_locked(h, w, later);
}

void ctl_settle_locked(struct ctl *ctl, struct later *later)
{
    struct ctl_handle *h;

    lock_assert_held(&ctl->lock);
    DL_FOREACH(ctl->handles, h)
        settle_handle_locked(h, later);
}

/* A wait in h's list, or NULL without memory. */
static struct wait *wait_new_locked(struct ctl_handle *h, enum wait_kind kind, uint64_t off,
                                    size_t size, ctl_done done, void *arg)
{
    struct wait *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->kind = kind;
    w->off = off;
    w->size = size;
    w->done = done;
    w->arg = arg;
    DL_APPEND(h->waits, w);
    return w;
}

/* ---- the calls ---- */

void ctl_read(struct ctl_handle *h, uint64_t off, size_t size, ctl_done done, void *arg)
{
    struct ctl *ctl = h->ctl;
    struct later later = {0};
    struct wait *w;
    int err = 0;

    if (off > INT64_MAX) {
        done(arg, -EINVAL, NULL);
        return;
    }
    lock_take(&ctl->lock);
    if (h->reads)
        ask_locked(h, &later);
    if (h->reads && !h->writes && off == 0 && asks(h) && h->talk.state == TALK_IDLE) {
        later.report.err = -ENODATA;
        later.report.node = h->node;
        later.report.pid = h->pid;
        later.report.sentence = "nothing was asked: write a question to it first, see help";
    }
    w = wait_new_locked(h, WAIT_READ, off, size < READ_MAX ? size : READ_MAX, done, arg);
    if (!w)
        err = -ENOMEM;
    else if (h->reads && h->row->kind == CTL_LIVE && size > 0)
        work_start_locked(h, w, NULL, size, &later);
    else
        settle_handle_locked(h, &later);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    if (err)
        done(arg, err, NULL);
}

/* What n bytes from data do to h; w is finished, or waits. */
static void write_locked(struct ctl_handle *h, struct wait *w, const void *data, size_t n,
                         struct later *later)
{
    ssize_t r = WOULD_WAIT;
    char *own;

    if (!h->writes) {
        ctl_wait_finish_locked(h, w, -EBADF, later);
        return;
    }
    if (n > WRITE_MAX || n == 0) {
        ctl_wait_finish_locked(h, w, n ? -EFBIG : 0, later);
        return;
    }
    if (h->row->kind == CTL_TEXT) {
        r = talk_write(&h->talk, w->off, data, n);
        ctl_wait_finish_locked(h, w, r < 0 ? r : (ssize_t)n, later);
        return;
    }
    if (asks(h) && !running_locked(h)) {
        r = write_question_locked(h, w->off, data, n, later);
        if (r == WOULD_WAIT) {
            w->kind = WAIT_ARMED;
            settle_wait_locked(h, w, later);
        } else {
            ctl_wait_finish_locked(h, w, r, later);
        }
        return;
    }
    own = malloc(n);
    if (!own) {
        ctl_wait_finish_locked(h, w, -ENOMEM, later);
        return;
    }
    memcpy(own, data, n);
    if (asks(h))
        w->data = own; /* the question before comes first */
    else
        work_start_locked(h, w, own, n, later);
}

void ctl_write(struct ctl_handle *h, uint64_t off, const void *data, size_t n, ctl_done done,
               void *arg)
{
    struct ctl *ctl = h->ctl;
    struct later later = {0};
    struct wait *w;

    lock_take(&ctl->lock);
    w = wait_new_locked(h, WAIT_WRITE, off, n, done, arg);
    if (w) {
        write_locked(h, w, data, n, &later);
        settle_handle_locked(h, &later);
    }
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    if (!w)
        done(arg, -ENOMEM, NULL);
}

void ctl_interrupt(struct ctl_handle *h, void *arg)
{
    struct ctl *ctl = h->ctl;
    struct later later = {0};
    struct wait *w, *tmp;

    lock_take(&ctl->lock);
    DL_FOREACH_SAFE(h->waits, w, tmp) {
        if (w->kind == WAIT_POLL || w->arg != arg)
            continue;
        if (w->kind == WAIT_WORK)
            work_abandon_locked(w->work);
        ctl_wait_finish_locked(h, w, -EINTR, &later);
    }
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
}

void ctl_poll(struct ctl_handle *h, unsigned *ret_events, void (*ready)(void *arg, bool changed),
              void *arg)
{
    struct ctl *ctl = h->ctl;
    struct later later = {0};
    struct wait *w, *tmp;

    lock_take(&ctl->lock);
    if (h->reads) {
        ask_locked(h, &later);
        if (h->answer)
            h->answer->waited = true;
    }
    *ret_events = events_locked(h);
    if (ready) {
        DL_FOREACH_SAFE(h->waits, w, tmp)
            if (w->kind == WAIT_POLL)
                ctl_wait_finish_locked(h, w, -ECANCELED, &later);
        w = wait_new_locked(h, WAIT_POLL, 0, 0, NULL, arg);
        if (w) {
            w->ready = ready;
            w->events = *ret_events;
            ready = NULL;
        }
    }
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    if (ready)
        ready(arg, true); /* without memory: let it ask again */
}

/* A text is taken whole by whoever closes a descriptor of it. */
static int flush_text(struct ctl_handle *h, bool may_wait)
{
    struct buf text = BUF_INIT(h->talk.text.max), why = BUF_INIT(WHY_MAX);
    struct ctl *ctl = h->ctl;
    bool pending;
    int r = 0;

    lock_take(&ctl->lock);
    pending = h->talk.state == TALK_PENDING;
    if (pending && !may_wait)
        r = -EAGAIN;
    if (pending && may_wait && talk_ask(&h->talk)) {
        text = h->talk.text;
        buf_init(&h->talk.text, text.max);
    }
    lock_drop(&ctl->lock);
    if (text.len > 0)
        r = h->row->store(ctl, h->node->obj, text.data, text.len, &why);
    if (r < 0 && r != -EAGAIN)
        ctl_report_why(ctl, h->node, h->pid, r, &why);
    buf_done(&text);
    buf_done(&why);
    return r;
}

static int flush(struct ctl_handle *h, bool may_wait)
{
    struct ctl *ctl = h->ctl;
    struct later later = {0};

    if (h->row->kind == CTL_TEXT)
        return flush_text(h, may_wait);
    lock_take(&ctl->lock);
    ask_locked(h, &later);
    settle_handle_locked(h, &later);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    return 0;
}

int ctl_flush(struct ctl_handle *h)
{
    return flush(h, true);
}

int ctl_flush_cached(struct ctl_handle *h)
{
    return flush(h, false);
}

void ctl_release(struct ctl_handle *h)
{
    struct ctl *ctl = h->ctl;
    struct later later = {0};
    struct wait *w, *tmp;

    lock_take(&ctl->lock);
    DL_FOREACH_SAFE(h->waits, w, tmp) {
        if (w->kind == WAIT_WORK)
            work_abandon_locked(w->work);
        ctl_wait_finish_locked(h, w, -EINTR, &later);
    }
    /* A command that somebody waited for ends with its reader, as one in a terminal does. One that
     * nobody ever waited for was started to run. */
    if (h->answer && !h->answer->shared && h->answer->waited)
        cancel_fire(h->answer->cancel);
    answer_unref_locked(ctl, h->answer);
    watcher_free_locked(ctl, h->watcher);
    flow_leave_locked(h->flow);
    DL_DELETE(ctl->handles, h);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    handle_free(h);
}
