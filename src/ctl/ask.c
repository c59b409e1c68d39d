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

void answer_unref_locked(struct answer *a)
{
    if (!a || --a->refs > 0)
        return;
    cancel_unref(a->cancel);
    buf_done(&a->out);
    free(a->text);
    free(a);
}

static void answer_work(struct ctl *ctl, void *arg)
{
    struct answer *a = arg;
    struct buf out = BUF_INIT(ctl->output_max);
    struct later later = {0};
    int r;

    r = a->file->ask(ctl, a->text, a->len, a->pid, &out);
    lock_take(&ctl->lock);
    a->out = out;
    a->err = r;
    a->done = true;
    ctl_settle_locked(ctl, &later);
    answer_unref_locked(a);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
}

struct answer *answer_ask_locked(struct ctl *ctl, const struct ctl_file *file, const char *text,
                                 size_t len, pid_t pid, bool shared, struct later *later)
{
    struct answer *a = calloc(1, sizeof(*a));
    int r;

    if (!a)
        return NULL;
    a->refs = 1;
    a->file = file;
    a->pid = pid;
    a->shared = shared;
    a->len = len;
    a->text = malloc(len + 1);
    a->cancel = cancel_new();
    if (!a->text || !a->cancel) {
        answer_unref_locked(a);
        return NULL;
    }
    memcpy(a->text, text, len);
    a->text[len] = '\0';
    answer_ref_locked(a); /* the thread's */
    r = task_start_locked(ctl, answer_work, a, a->cancel);
    if (r < 0) {
        answer_unref_locked(a);
        a->done = true;
        a->err = r;
        later->report.err = r;
        later->report.file = file;
        later->report.pid = pid;
        later->report.sentence = "not asked: too many questions and watches are running already";
        if (strcmp(file->name, "run") == 0)
            ctl->exit_code = EXIT_NOT_RUN;
    }
    return a;
}

int ask_run(struct ctl *ctl, const char *text, size_t len, pid_t pid, struct buf *out)
{
    const struct ctl_file *file = ctl_file_named("run");
    int code = EXIT_NOT_RUN, r;

    if (memchr(text, '\0', len)) {
        r = -EINVAL;
        ctl_report(ctl, file, pid, r, "not run: a script cannot hold a NUL byte");
    } else {
        r = fs_exec(ctl->fs, text, NULL, ctl->output_max, out, &code);
        if (r == -EINTR)
            ctl_report(ctl, file, pid, r,
                       "nobody waited for the command any more: how it ended is "
                       "not known");
        else if (r == -EFBIG)
            ctl_report(ctl, file, pid, r, "the command's output is longer than %zu bytes",
                       ctl->output_max);
        else if (r < 0)
            ctl_report(ctl, file, pid, r,
                       "the command was not run, or how it ended is not known: %s",
                       errtext_sentence(r));
    }
    lock_take(&ctl->lock);
    ctl->exit_code = r == 0 ? code : r == -EINTR ? EXIT_INTERRUPTED : EXIT_NOT_RUN;
    lock_drop(&ctl->lock);
    return r;
}

int ask_exists(struct ctl *ctl, const char *text, size_t len, pid_t pid, struct buf *out)
{
    const struct ctl_file *file = ctl_file_named("exists");
    char *given = NULL, *path = NULL;
    int r;

    r = ctltext_path(text, len, &given);
    if (r < 0) {
        ctl_report(ctl, file, pid, r,
                   "a question is one path; end it with NUL if it holds a newline");
        goto out;
    }
    path = fs_sandbox_path(ctl->fs, given);
    r = path ? fs_exists(ctl->fs, path) : -ENOMEM;
    if (r < 0)
        ctl_report(ctl, file, pid, r, "not known: %s", errtext_sentence(r));
    else
        r = buf_puts(out, r ? "yes\n" : "no\n");
out:
    free(path);
    free(given);
    return r;
}
