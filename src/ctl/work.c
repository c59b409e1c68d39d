/* Reads and writes that a thread answers: lines of verbs, bytes passed on, bytes fetched. */
#include "ctl/ctl_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { READ_MAX = 1024 * 1024 };

static ssize_t run_put(struct ctl *ctl, struct work *w, struct buf *out, struct buf *why)
{
    const int r = w->node->row->put(ctl, w->node->obj, w->data, w->n, why);

    return r < 0 ? r : (ssize_t)w->n;
}

static ssize_t run_pread(struct ctl *ctl, struct work *w, struct buf *out, struct buf *why)
{
    const int r = w->node->row->pread(ctl, w->node->obj, w->off, w->n, out, why);

    return r < 0 ? r : (ssize_t)out->len;
}

static void free_locked(struct ctl *ctl, struct work *w)
{
    ctl_node_unref_locked(ctl, w->node);
    cancel_unref(w->cancel);
    free(w->data);
    free(w);
}

static void work_main(struct ctl *ctl, void *arg)
{
    struct work *w = arg;
    struct buf out = BUF_INIT(w->data ? 0 : w->n), why = BUF_INIT(WHY_MAX);
    struct later later = {0};
    ssize_t r = w->run(ctl, w, &out, &why);

    if (r < 0)
        ctl_report_why(ctl, w->node, w->pid, (int)r, &why);
    buf_done(&why);
    lock_take(&ctl->lock);
    if (w->wait) {
        if (r > 0 && !w->data)
            w->wait->data = buf_take(&out);
        ctl_wait_finish_locked(w->handle, w->wait, r, &later);
    }
    free_locked(ctl, w);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    buf_done(&out);
}

void work_start_locked(struct ctl_handle *h, struct wait *wait, char *data, size_t n,
                       struct later *later)
{
    struct ctl *ctl = h->ctl;
    struct work *w = calloc(1, sizeof(*w));
    int r;

    if (!w) {
        free(data);
        ctl_wait_finish_locked(h, wait, -ENOMEM, later);
        return;
    }
    *w = (struct work){.handle = h,
                       .wait = wait,
                       .cancel = cancel_new(),
                       .node = ctl_node_ref_locked(h->node),
                       .pid = h->pid,
                       .data = data,
                       .n = data || n < READ_MAX ? n : READ_MAX,
                       .off = wait->off};
    w->run = !data ? run_pread : h->row->kind == CTL_VERBS ? verbs_run : run_put;
    wait->kind = WAIT_WORK;
    wait->work = w;
    r = w->cancel ? task_start_locked(ctl, work_main, w, w->cancel) : -ENOMEM;
    if (r < 0) {
        free_locked(ctl, w);
        ctl_wait_finish_locked(h, wait, r, later);
    }
}

void work_abandon_locked(struct work *w)
{
    w->wait = NULL;
    cancel_fire(w->cancel);
}
