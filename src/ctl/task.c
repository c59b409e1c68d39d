#include "ctl/ctl_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <utlist.h>

/* Enough for what lies below fs, with room for a sanitizer's frames; 256 of them stay cheap. */
enum { STACK_BYTES = 512 * 1024 };

struct task {
    struct task *prev, *next;
    struct ctl *ctl;
    pthread_t thread;
    void (*fn)(struct ctl *ctl, void *arg);
    void *arg;
    struct cancel *cancel;
    bool finished; /* ctl.lock; the thread takes no lock after it */
};

static void *task_main(void *arg)
{
    struct task *t = arg;
    struct ctl *ctl = t->ctl;

    cancel_bind(t->cancel);
    t->fn(ctl, t->arg);
    cancel_bind(NULL);
    lock_take(&ctl->lock);
    t->finished = true;
    ctl->running--;
    lock_drop(&ctl->lock);
    return NULL;
}

static void join(struct task *t)
{
    pthread_join(t->thread, NULL);
    cancel_unref(t->cancel);
    free(t);
}

/* All that finished are at most a few instructions from their end. */
static void reap_locked(struct ctl *ctl)
{
    struct task *t, *tmp;

    DL_FOREACH_SAFE(ctl->tasks, t, tmp) {
        if (t->finished) {
            DL_DELETE(ctl->tasks, t);
            join(t);
        }
    }
}

static int create(struct task *t)
{
    sigset_t all, before;
    pthread_attr_t attr;
    int r;

    if (pthread_attr_init(&attr) != 0)
        return -ENOMEM;
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES); /* refused: the default does, too */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the thread that expects them */
    r = pthread_create(&t->thread, &attr, task_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -r;
}

int task_start_locked(struct ctl *ctl, void (*fn)(struct ctl *ctl, void *arg), void *arg,
                      struct cancel *cancel)
{
    struct task *t;
    int r;

    lock_assert_held(&ctl->lock);
    reap_locked(ctl);
    if (ctl->closing)
        return -EINTR;
    if (ctl->running >= RUNNING_MAX)
        return -EAGAIN;
    t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->ctl = ctl;
    t->fn = fn;
    t->arg = arg;
    t->cancel = cancel_ref(cancel);
    r = create(t);
    if (r < 0) {
        cancel_unref(t->cancel);
        free(t);
        return r;
    }
    ctl->running++;
    DL_APPEND(ctl->tasks, t);
    return 0;
}

void task_end_all(struct ctl *ctl)
{
    struct task *t;

    lock_take(&ctl->lock);
    DL_FOREACH(ctl->tasks, t)
        cancel_fire(t->cancel);
    while ((t = ctl->tasks)) { /* closing is set: no new ones */
        DL_DELETE(ctl->tasks, t);
        lock_drop(&ctl->lock);
        join(t);
        lock_take(&ctl->lock);
    }
    lock_drop(&ctl->lock);
}
