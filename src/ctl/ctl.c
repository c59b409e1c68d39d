#include "ctl/ctl.h"

#include "ctl/ctl_internal.h"
#include "ctl/job.h"
#include "ctl/session.h"
#include "util/clock.h"
#include "util/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ctl_new(const struct ctl_config *config, struct fs *fs, struct ctl **ret)
{
    struct ctl *ctl = calloc(1, sizeof(*ctl));

    if (!ctl)
        return -ENOMEM;
    lock_init(&ctl->lock);
    ctl->name = strdup(config->name);
    ctl->root = config->root ? config->root : &ctl_root_row;
    ctl->uid = config->uid;
    ctl->gid = config->gid;
    if (config->host)
        ctl->host = *config->host;
    ctl->host_arg = config->host_arg;
    ctl->output_max = config->output_max ? config->output_max : OUTPUT_MAX;
    ctl->watch_wait_ns = config->watch_wait_ns ? config->watch_wait_ns : WATCH_WAIT_NS;
    ctl->fs = fs;
    ctl->born = ns_to_timespec(clock_real_ns());
    ctl->exit_code = -1;
    if (!ctl->name || ctl_nodes_init(ctl) < 0 || jobs_new(ctl, fs, &ctl->jobs) < 0 ||
        sessions_new(&ctl->sessions) < 0) {
        ctl_free(ctl);
        return -ENOMEM;
    }
    *ret = ctl;
    return 0;
}

struct ctl *ctl_free(struct ctl *ctl)
{
    struct ctl_handle *h, *tmp;
    struct later later = {0};

    if (!ctl)
        return NULL;
    lock_take(&ctl->lock);
    ctl->closing = true;
    ctl_settle_locked(ctl, &later);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    DL_FOREACH_SAFE(ctl->handles, h, tmp)
        ctl_release(h);
    task_end_all(ctl);
    feeds_free(ctl);
    ctl_nodes_free(ctl);
    jobs_free(ctl->jobs);
    sessions_free(ctl->sessions);
    free(ctl->watch_text);
    free(ctl->name);
    lock_done(&ctl->lock);
    free(ctl);
    return NULL;
}

bool ctl_busy(struct ctl *ctl)
{
    return jobs_busy(ctl->jobs, 20 * NS_PER_S);
}

void ctl_report(struct ctl *ctl, const struct ctl_node *node, pid_t pid, int err, const char *fmt,
                ...)
{
    enum { SENTENCE_MAX = 900 }; /* what errors shows of one */
    struct buf name = BUF_INIT(8192), sentence = BUF_INIT(128 * 1024);
    va_list ap;

    va_start(ap, fmt);
    (void)buf_vprintf(&sentence, fmt, ap); /* without memory: the errno must do */
    va_end(ap);
    if (sentence.len > SENTENCE_MAX) {
        buf_truncate(&sentence, SENTENCE_MAX);
        (void)buf_puts(&sentence, "...");
    }
    if (buf_puts(&name, ctl->name) == 0)
        (void)ctl_node_path(node, &name);
    fs_report(ctl->fs, pid, buf_str(&name), err, "%s", buf_str(&sentence));
    buf_done(&name);
    buf_done(&sentence);
}

void ctl_report_why(struct ctl *ctl, const struct ctl_node *node, pid_t pid, int err,
                    const struct buf *why)
{
    ctl_report(ctl, node, pid, err, "%s", why->len > 0 ? buf_str(why) : errtext_sentence(err));
}

void ctl_later_run(struct ctl *ctl, struct later *later)
{
    if (later->report.err)
        ctl_report(ctl, later->report.node, later->report.pid, later->report.err, "%s",
                   later->report.sentence);
    while (later->finished) {
        struct wait *w = later->finished;

        later->finished = w->next;
        if (w->kind == WAIT_POLL)
            w->ready(w->arg, w->r != -ECANCELED);
        else
            w->done(w->arg, w->r, w->data);
        free(w->data);
        free(w);
    }
}
