/* ahead.c - threads that fetch what nobody has asked for yet. */
#include "fs/fs_internal.h"

#include "util/array.h"
#include "util/cancel.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

/* Two for small files, the others for what readers of large ones will want. */
enum { THREADS = 6 };

struct worker {
    struct fs *fs;
    pthread_t thread;
    struct cancel *cancel; /* owned; of the job under way */
};

/* All of it is guarded by fs.lock. */
struct ahead {
    pthread_cond_t work;
    struct worker workers[THREADS]; /* the first `started` of them run */
    unsigned started, idle, waiting;
    struct job *jobs; /* in the order they came */
    bool stopping;
};

int ahead_new(struct fs *fs)
{
    fs->ahead = calloc(1, sizeof(*fs->ahead));
    if (!fs->ahead)
        return -ENOMEM;
    lock_cond_init(&fs->ahead->work);
    return 0;
}

static struct job *next_job_locked(struct ahead *a)
{
    struct job *job = a->jobs;

    if (job) {
        DL_DELETE(a->jobs, job);
        a->waiting--;
    }
    return job;
}

/* A cancel fires once: each job gets its own, made and dropped without the lock. */
static void renew_cancel(struct worker *w)
{
    struct cancel *old, *new;

    fs_unlock(w->fs);
    new = cancel_new(); /* without memory the job cannot be stopped early, and ends all the same */
    fs_lock(w->fs);
    old = w->cancel;
    if (w->fs->ahead->stopping)
        old = new; /* who stops us looks at the other one, without the lock */
    else
        w->cancel = new;
    fs_unlock(w->fs);
    cancel_bind(w->cancel);
    cancel_unref(old);
    fs_lock(w->fs);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct fs *fs = w->fs;
    struct ahead *a = fs->ahead;
    struct job *job;

    (void)remote_bind_background(true);
    fs_lock(fs);
    while (!a->stopping) {
        if (!a->jobs) {
            a->idle++;
            lock_wait(&fs->lock, &a->work);
            a->idle--;
            continue;
        }
        renew_cancel(w);
        job = a->stopping ? NULL : next_job_locked(a);
        if (job)
            job->run(fs, job, false);
    }
    fs_unlock(fs);
    return NULL;
}

static bool start_worker_locked(struct fs *fs)
{
    struct ahead *a = fs->ahead;
    struct worker *w = &a->workers[a->started];

    if (a->started == ARRAY_LEN(a->workers))
        return false;
    w->fs = fs;
    if (pthread_create(&w->thread, NULL, work, w) != 0)
        return false;
    a->started++;
    return true;
}

bool ahead_queue_locked(struct fs *fs, struct job *job, unsigned waiting_max)
{
    struct ahead *a = fs->ahead;

    lock_assert_held(&fs->lock);
    if (a->stopping)
        return false;
    if (a->idle <= a->waiting && !start_worker_locked(fs) &&
        (a->started == 0 || a->waiting >= waiting_max))
        return false;
    DL_APPEND(a->jobs, job);
    a->waiting++;
    pthread_cond_signal(&a->work);
    return true;
}

bool ahead_unqueue_locked(struct fs *fs, struct job *job)
{
    struct job *j;

    lock_assert_held(&fs->lock);
    DL_FOREACH(fs->ahead->jobs, j)
        if (j == job) {
            DL_DELETE(fs->ahead->jobs, job);
            fs->ahead->waiting--;
            return true;
        }
    return false;
}

void ahead_stop(struct fs *fs)
{
    struct ahead *a = fs->ahead;
    struct job *job;
    unsigned count;

    if (!a)
        return;
    fs_lock(fs);
    a->stopping = true;
    count = a->started;
    pthread_cond_broadcast(&a->work);
    fs_unlock(fs);
    /* From here on none of them changes its cancel. */
    for (unsigned i = 0; i < count; i++)
        cancel_fire(a->workers[i].cancel);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(a->workers[i].thread, NULL);
        a->workers[i].cancel = cancel_unref(a->workers[i].cancel);
    }
    fs_lock(fs);
    while ((job = next_job_locked(a)))
        job->run(fs, job, true);
    fs_unlock(fs);
}

void ahead_free(struct fs *fs)
{
    if (!fs->ahead)
        return;
    pthread_cond_destroy(&fs->ahead->work);
    free(fs->ahead);
    fs->ahead = NULL;
}
