#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"
#include "util/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct answer *answer_ref_locked(struct answer *a)
{
    if (a)
        a->refs++;
    return a;
}

void answer_unref_locked(struct ctl *ctl, struct answer *a)
{
    if (!a || --a->refs > 0)
        return;
    ctl_node_unref_locked(ctl, a->node);
    cancel_unref(a->cancel);
    buf_done(&a->out);
    free(a->text);
    free(a);
}

static void answer_work(struct ctl *ctl, void *arg)
{
    struct answer *a = arg;
    struct buf out = BUF_INIT(ctl->output_max), why = BUF_INIT(WHY_MAX);
    struct later later = {0};
    int r;

    r = a->node->row->ask(ctl, a->node->obj, a->text, a->len, &out, &why);
    if (r < 0)
        ctl_report_why(ctl, a->node, a->pid, r, &why);
    buf_done(&why);
    lock_take(&ctl->lock);
    a->out = out;
    a->err = r;
    a->done = true;
    ctl_settle_locked(ctl, &later);
    answer_unref_locked(ctl, a);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
}

struct answer *answer_ask_locked(struct ctl *ctl, struct ctl_node *node, const char *text,
                                 size_t len, pid_t pid, bool shared, struct later *later)
{
    struct answer *a = calloc(1, sizeof(*a));
    int r;

    if (!a)
        return NULL;
    a->refs = 1;
    a->node = ctl_node_ref_locked(node);
    a->pid = pid;
    a->shared = shared;
    a->len = len;
    a->text = malloc(len + 1);
    a->cancel = cancel_new();
    if (!a->text || !a->cancel) {
        answer_unref_locked(ctl, a);
        return NULL;
    }
    memcpy(a->text, text, len);
    a->text[len] = '\0';
    answer_ref_locked(a); /* the thread's */
    r = task_start_locked(ctl, answer_work, a, a->cancel);
    if (r < 0) {
        answer_unref_locked(ctl, a);
        a->done = true;
        a->err = r;
        later->report.err = r;
        later->report.node = node;
        later->report.pid = pid;
        later->report.sentence = "not asked: too many questions and watches are running already";
        if (node->row->ask == ask_run)
            ctl->exit_code = EXIT_NOT_RUN;
    }
    return a;
}

int ask_run(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
            struct buf *why)
{
    struct buf left = BUF_INIT(why->max / 2);
    int code = EXIT_NOT_RUN, r;

    if (memchr(text, '\0', len)) {
        r = -EINVAL;
        (void)buf_puts(why, "not run: a script cannot hold a NUL byte");
    } else {
        r = fs_exec(ctl->fs, text, NULL, ctl->output_max, out, &code, &left);
        if (r < 0 && left.len > 0)
            ctl_barrier_why(why, r, &left);
        else if (r == -EINTR)
            (void)buf_puts(why, "nobody waited for the command any more: how it ended is not "
                                "known");
        else if (r == -EFBIG)
            (void)buf_printf(why, "the command's output is longer than %zu bytes", ctl->output_max);
        else if (r < 0)
            (void)buf_printf(why, "the command was not run, or how it ended is not known: %s",
                             errtext_sentence(r));
    }
    buf_done(&left);
    lock_take(&ctl->lock);
    ctl->exit_code = r == 0 ? code : r == -EINTR ? EXIT_INTERRUPTED : EXIT_NOT_RUN;
    lock_drop(&ctl->lock);
    return r;
}

int ask_exists(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
               struct buf *why)
{
    char *path = NULL;
    int r = ctl_path_asked(ctl, text, len, &path, why);

    if (r < 0)
        return r;
    r = fs_exists(ctl->fs, path);
    if (r < 0)
        (void)buf_printf(why, "not known: %s", errtext_sentence(r));
    else
        r = buf_puts(out, r ? "yes\n" : "no\n");
    free(path);
    return r;
}

int ctl_path_asked(struct ctl *ctl, const char *text, size_t len, char **ret, struct buf *why)
{
    char *given = NULL;
    int r = ctltext_path(text, len, &given);

    if (r < 0) {
        (void)buf_puts(why, "a question is one path; end it with NUL if it holds a newline");
        return r;
    }
    *ret = fs_sandbox_path(ctl->fs, given);
    free(given);
    return *ret ? 0 : -ENOMEM;
}
