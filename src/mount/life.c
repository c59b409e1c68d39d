#include "mount/life.h"

#include "mount/exitcode.h"
#include "util/lock.h"
#include "util/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct life {
    struct lock lock; /* guards what follows */
    bool signalled, ended, leaving, journaled;
    pthread_cond_t changed;
    struct cancel *cancel; /* these are set once */
    sigset_t signals;
    pthread_t thread;
};

void life_stop(struct life *l)
{
    lock_take(&l->lock);
    l->signalled = true;
    pthread_cond_broadcast(&l->changed);
    lock_drop(&l->lock);
    cancel_fire(l->cancel);
}

static bool is_leaving(struct life *l)
{
    bool leaving;

    lock_take(&l->lock);
    leaving = l->leaving;
    lock_drop(&l->lock);
    return leaving;
}

static bool is_journaled(struct life *l)
{
    bool journaled;

    lock_take(&l->lock);
    journaled = l->journaled;
    lock_drop(&l->lock);
    return journaled;
}

void life_journaled(struct life *l)
{
    lock_take(&l->lock);
    l->journaled = true;
    lock_drop(&l->lock);
}

static void *signals_thread(void *arg)
{
    struct life *l = arg;
    int sig;

    while (sigwait(&l->signals, &sig) == 0) {
        if (is_leaving(l))
            break;
        if (life_stopping(l)) {
            log_msg(LOG_WARN, "stopped by a second signal: what was not sent is %s",
                    is_journaled(l) ? "in the journal" : "lost");
            _exit(EXITCODE_QUEUED);
        }
        life_stop(l);
    }
    return NULL;
}

bool life_stopping(struct life *l)
{
    bool signalled;

    lock_take(&l->lock);
    signalled = l->signalled;
    lock_drop(&l->lock);
    return signalled;
}

struct cancel *life_cancel(struct life *l)
{
    return l->cancel;
}

void life_end(struct life *l)
{
    lock_take(&l->lock);
    l->ended = true;
    pthread_cond_broadcast(&l->changed);
    lock_drop(&l->lock);
}

void life_wait(struct life *l)
{
    lock_take(&l->lock);
    while (!l->signalled && !l->ended)
        lock_wait(&l->lock, &l->changed);
    lock_drop(&l->lock);
}

int life_new(struct life **ret)
{
    struct life *l = calloc(1, sizeof(*l));
    int r;

    if (!l)
        return -ENOMEM;
    lock_init(&l->lock);
    lock_cond_init(&l->changed);
    sigemptyset(&l->signals);
    sigaddset(&l->signals, SIGINT);
    sigaddset(&l->signals, SIGTERM);
    sigaddset(&l->signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &l->signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    l->cancel = cancel_new();
    r = l->cancel ? -pthread_create(&l->thread, NULL, signals_thread, l) : -ENOMEM;
    if (r < 0) {
        cancel_unref(l->cancel);
        pthread_cond_destroy(&l->changed);
        lock_done(&l->lock);
        free(l);
        return r;
    }
    *ret = l;
    return 0;
}

struct life *life_free(struct life *l)
{
    if (!l)
        return NULL;
    lock_take(&l->lock);
    l->leaving = true;
    lock_drop(&l->lock);
    pthread_kill(l->thread, SIGTERM);
    pthread_join(l->thread, NULL);
    cancel_unref(l->cancel);
    pthread_cond_destroy(&l->changed);
    lock_done(&l->lock);
    free(l);
    return NULL;
}
