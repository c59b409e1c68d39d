/*
 * Files whose bytes come once: a thread makes them, and waits when the reader is slow. What was
 * read is kept until the next read begins behind it, so that an interrupted one loses nothing.
 */
#include "ctl/ctl_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 256 * 1024 };

static void unref_locked(struct ctl_flow *f)
{
    if (--f->refs > 0)
        return;
    ctl_node_unref_locked(f->ctl, f->node);
    cancel_unref(f->cancel);
    pthread_cond_destroy(&f->room);
    buf_done(&f->kept);
    free(f);
}

static void flow_work(struct ctl *ctl, void *arg)
{
    struct ctl_flow *f = arg;
    struct buf why = BUF_INIT(WHY_MAX);
    struct later later = {0};
    int r = f->node->row->flow(ctl, f->node->obj, f, &why);

    if (r < 0 && r != -EINTR)
        ctl_report_why(ctl, f->node, f->pid, r, &why);
    buf_done(&why);
    lock_take(&ctl->lock);
    f->ended = true;
    f->err = r < 0 ? r : 0;
    ctl_settle_locked(ctl, &later);
    unref_locked(f);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
}

struct ctl_flow *flow_new_locked(struct ctl *ctl, struct ctl_node *node, pid_t pid)
{
    struct ctl_flow *f = calloc(1, sizeof(*f));
    int r;

    if (!f)
        return NULL;
    f->refs = 2;
    f->ctl = ctl;
    f->node = ctl_node_ref_locked(node);
    f->pid = pid;
    f->cancel = cancel_new();
    lock_cond_init(&f->room);
    buf_init(&f->kept, KEPT_MAX);
    r = f->cancel ? task_start_locked(ctl, flow_work, f, f->cancel) : -ENOMEM;
    if (r < 0) {
        f->refs--;
        f->ended = true;
        f->err = r;
    }
    return f;
}

void flow_leave_locked(struct ctl_flow *f)
{
    if (!f)
        return;
    f->gone = true;
    pthread_cond_broadcast(&f->room);
    cancel_fire(f->cancel);
    unref_locked(f);
}

ssize_t flow_read_locked(struct ctl_flow *f, uint64_t off, size_t size, char **ret)
{
    size_t at;

    if (off > f->first) {
        at = off - f->first < f->kept.len ? (size_t)(off - f->first) : f->kept.len;
        buf_consume(&f->kept, at);
        f->first = off; /* beyond the end: whoever jumps there gets what comes next */
        pthread_cond_broadcast(&f->room);
    }
    if (size > f->kept.len)
        size = f->kept.len;
    if (size == 0)
        return 0;
    *ret = malloc(size);
    if (!*ret)
        return -ENOMEM;
    memcpy(*ret, f->kept.data, size);
    return (ssize_t)size;
}

int ctl_flow_put(struct ctl_flow *f, const void *p, size_t n)
{
    struct ctl *ctl = f->ctl;
    const char *from = p;
    int r = 0;

    while (n > 0 && r == 0) {
        struct later later = {0};
        size_t room, part;

        lock_take(&ctl->lock);
        while (f->kept.len == f->kept.max && !f->gone && !ctl->closing)
            lock_wait(&ctl->lock, &f->room);
        room = f->kept.max - f->kept.len;
        part = n < room ? n : room;
        r = f->gone || ctl->closing ? -EINTR : buf_append(&f->kept, from, part);
        from += part;
        n -= part;
        ctl_settle_locked(ctl, &later);
        lock_drop(&ctl->lock);
        ctl_later_run(ctl, &later);
    }
    return r;
}
