#include "fuse/interrupt.h"

#include "util/clock.h"
#include "util/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How soon a signal that the kernel does not report (it is not the first) is seen. */
#define PASS_NS (100 * NS_PER_MS)

struct interrupts {
    struct lock lock; /* guards what follows, and each waiter's listed, settled, pass, prev, next */
    struct waiter *first, *last;
    uint64_t pass;
    bool ending;
    pthread_cond_t work;
    pthread_t thread; /* set once */
};

#define BIT(sig) (UINT64_C(1) << ((sig)-1))

static const uint64_t stops = BIT(SIGSTOP) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU);
static const uint64_t asked = BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGTERM) | BIT(SIGHUP);
static const uint64_t harmless = BIT(SIGCHLD) | BIT(SIGURG) | BIT(SIGWINCH) | BIT(SIGCONT);
static const uint64_t timers = BIT(SIGPROF) | BIT(SIGVTALRM) | BIT(SIGIO);

bool interrupt_wanted(enum interrupt_kind kind, uint64_t pending, uint64_t blocked,
                      uint64_t ignored, uint64_t caught)
{
    const uint64_t due = pending & (~(blocked | ignored) | BIT(SIGKILL));
    const uint64_t fatal = due & ~caught & ~stops & ~harmless;
    const uint64_t handled = due & caught;

    if (fatal)
        return true;
    return handled & (kind == INTERRUPT_FILE ? asked : ~(harmless | timers | stops));
}

static uint64_t field(const char *status, const char *name)
{
    const char *p = strstr(status, name);

    return p ? strtoull(p + strlen(name), NULL, 16) : 0;
}

static bool caller_wants_out(const struct waiter *w)
{
    char path[64], text[4096];
    ssize_t n;
    int fd;

    if (w->tid <= 0)
        return true;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)w->tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true; /* nothing can be known of it */
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return true;
    text[n] = '\0';
    return interrupt_wanted(w->kind, field(text, "\nSigPnd:") | field(text, "\nShdPnd:"),
                            field(text, "\nSigBlk:"), field(text, "\nSigIgn:"),
                            field(text, "\nSigCgt:"));
}

static void waiter_ref(struct waiter *w)
{
    atomic_fetch_add(&w->refs, 1);
}

bool waiter_tryref(struct waiter *w)
{
    unsigned refs = atomic_load(&w->refs);

    while (refs > 0)
        if (atomic_compare_exchange_weak(&w->refs, &refs, refs + 1))
            return true;
    return false;
}

void waiter_unref(struct waiter *w)
{
    if (atomic_fetch_sub(&w->refs, 1) == 1)
        w->free(w);
}

static void unlist_locked(struct interrupts *in, struct waiter *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        in->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        in->last = w->prev;
    w->listed = false;
}

static void list_locked(struct interrupts *in, struct waiter *w)
{
    w->prev = in->last;
    w->next = NULL;
    if (in->last)
        in->last->next = w;
    else
        in->first = w;
    in->last = w;
    w->listed = true;
}

/* Looks at each once. The list turns while the lock is dropped, so that it cannot lose its place.
 */
static void pass_locked(struct interrupts *in)
{
    in->pass++;
    while (in->first && in->first->pass != in->pass) {
        struct waiter *w = in->first;

        unlist_locked(in, w);
        list_locked(in, w);
        w->pass = in->pass;
        waiter_ref(w);
        lock_drop(&in->lock);
        if (caller_wants_out(w))
            w->fire(w); /* it stays listed, and is fired again, until it is settled */
        waiter_unref(w);
        lock_take(&in->lock);
    }
}

static void *interrupts_thread(void *arg)
{
    struct interrupts *in = arg;

    lock_take(&in->lock);
    while (!in->ending) {
        pass_locked(in);
        if (in->first && in->last->pass == in->pass)
            (void)lock_wait_until(&in->lock, &in->work, clock_mono_ns() + PASS_NS);
        else if (!in->first && !in->ending)
            lock_wait(&in->lock, &in->work);
    }
    lock_drop(&in->lock);
    return NULL;
}

void interrupts_add(struct interrupts *in, struct waiter *w)
{
    lock_take(&in->lock);
    if (!w->settled && !w->listed) {
        waiter_ref(w);
        w->pass = 0;
        list_locked(in, w);
        pthread_cond_signal(&in->work);
    }
    lock_drop(&in->lock);
}

void interrupts_settle(struct interrupts *in, struct waiter *w)
{
    bool listed;

    lock_take(&in->lock);
    listed = w->listed;
    if (listed)
        unlist_locked(in, w);
    w->settled = true;
    lock_drop(&in->lock);
    if (listed)
        waiter_unref(w);
}

int interrupts_new(struct interrupts **ret)
{
    struct interrupts *in = calloc(1, sizeof(*in));
    int r;

    if (!in)
        return -ENOMEM;
    lock_init(&in->lock);
    lock_cond_init(&in->work);
    r = -pthread_create(&in->thread, NULL, interrupts_thread, in);
    if (r < 0) {
        pthread_cond_destroy(&in->work);
        lock_done(&in->lock);
        free(in);
        return r;
    }
    *ret = in;
    return 0;
}

struct interrupts *interrupts_free(struct interrupts *in)
{
    if (!in)
        return NULL;
    lock_take(&in->lock);
    in->ending = true;
    pthread_cond_signal(&in->work);
    lock_drop(&in->lock);
    pthread_join(in->thread, NULL);
    pthread_cond_destroy(&in->work);
    lock_done(&in->lock);
    free(in);
    return NULL;
}
