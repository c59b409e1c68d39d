#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"
#include "util/errtext.h"
#include "util/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WHY_MAX = 64 * 1024 };

/* One write to ctl while its lines are carried out. */
struct verb_call {
    struct ctl_handle *handle; /* valid while wait is set; ctl.lock */
    struct wait *wait;         /* who is told; NULL once it was interrupted; ctl.lock */
    struct cancel *cancel;
    const struct ctl_file *file;
    pid_t pid;
    char *data; /* owned */
    size_t n;
};

/* Says which verbs there are, and which one was perhaps meant. */
static void explain_unknown(struct ctl *ctl, const char *word, struct buf *why)
{
    const char *names[16], *near;
    size_t count = 0;

    for (size_t i = 0; i < ctl_verb_count && count < 16; i++)
        if (ctl_has(ctl, ctl_verbs[i].needs))
            names[count++] = ctl_verbs[i].name;
    near = words_nearest(word, names, count);
    (void)buf_puts(why, "no verb is called \""); /* cut short without memory: it is only a hint */
    (void)ctltext_escape(why, word, strnlen(word, 80));
    if (near)
        (void)buf_printf(why, "\"; did you mean \"%s\"?", near);
    else
        (void)buf_printf(why, "\"; %s/help lists them", ctl->name);
}

static int run_words(struct ctl *ctl, int argc, char **argv, struct buf *why)
{
    const struct ctl_verb *verb = NULL;
    char *path = NULL;
    int r;

    for (size_t i = 0; i < ctl_verb_count && !verb; i++)
        if (strcmp(ctl_verbs[i].name, argv[0]) == 0 && ctl_has(ctl, ctl_verbs[i].needs))
            verb = &ctl_verbs[i];
    if (!verb) {
        explain_unknown(ctl, argv[0], why);
        return -EINVAL;
    }
    if (argc > (verb->takes[0] ? 2 : 1)) {
        (void)buf_printf(why, "\"%s\" takes %s", verb->name,
                         verb->takes[0] ? "one path; quote it if it holds blanks" : "no argument");
        return -EINVAL;
    }
    if (argc == 2) {
        path = fs_sandbox_path(ctl->fs, argv[1]);
        if (!path)
            return -ENOMEM;
    }
    r = verb->run(ctl, path, why);
    free(path);
    return r;
}

static int run_line(struct ctl *ctl, const char *line, size_t len, struct buf *why)
{
    char *text, **argv = NULL;
    int argc = 0, r;

    if (memchr(line, '\0', len)) {
        (void)buf_puts(why, "a line cannot hold a NUL byte");
        return -EINVAL;
    }
    text = strndup(line, len);
    if (!text)
        return -ENOMEM;
    r = words_split(text, &argv, &argc);
    if (r == -EINVAL)
        (void)buf_puts(why, "a quote is not closed, or there are too many words");
    if (r == 0 && argc > 0)
        r = run_words(ctl, argc, argv, why);
    free(argv);
    free(text);
    return r;
}

static void verbs_work(struct ctl *ctl, void *arg)
{
    struct verb_call *call = arg;
    struct buf why = BUF_INIT(WHY_MAX);
    struct later later = {0};
    int r = 0;

    for (size_t i = 0, len; i < call->n && r == 0; i += len) {
        len = ctltext_line(call->data + i, call->n - i);
        r = run_line(ctl, call->data + i, len, &why);
        if (r == 0 && cancel_fired(call->cancel))
            r = -EINTR;
    }
    if (r < 0)
        ctl_report(ctl, call->file, call->pid, r, "%s",
                   why.len > 0 ? buf_str(&why) : errtext_sentence(r));
    buf_done(&why);

    lock_take(&ctl->lock);
    if (call->wait)
        ctl_wait_finish_locked(call->handle, call->wait, r < 0 ? r : (ssize_t)call->n, &later);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    cancel_unref(call->cancel);
    free(call->data);
    free(call);
}

void verbs_start_locked(struct ctl_handle *h, struct wait *w, char *data, size_t n,
                        struct later *later)
{
    struct verb_call *call = calloc(1, sizeof(*call));
    int r = -ENOMEM;

    if (call)
        call->cancel = cancel_new();
    if (call && call->cancel) {
        call->handle = h;
        call->wait = w;
        call->file = h->file;
        call->pid = h->pid;
        call->data = data;
        call->n = n;
        w->verbs = call;
        r = task_start_locked(h->ctl, verbs_work, call, call->cancel);
        if (r == 0)
            return;
        cancel_unref(call->cancel);
    }
    free(call);
    free(data);
    w->verbs = NULL;
    ctl_wait_finish_locked(h, w, r, later);
}

void verbs_abandon_locked(struct verb_call *call)
{
    call->wait = NULL;
    cancel_fire(call->cancel);
}
