/*
 * closer.c - closes the files of blobs that are gone, in a thread of its own.
 *
 * The last descriptor of an unlinked file takes its blocks with it: a millisecond each on a slow
 * disk, much more for a large file. Who drops a blob holds locks, or is asked to unlink a thousand
 * files, and need not wait for that.
 */
#include "cache/cache_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than these are closed by who brings them. */
enum { WAITING_MAX = 1024 };

struct closer {
    struct lock lock;
    pthread_cond_t work;
    pthread_t thread;
    bool runs, stopping;
    int fds[WAITING_MAX];
    size_t count, max;
};

static void *closer_run(void *arg)
{
    struct closer *s = arg;
    int fds[WAITING_MAX];

    lock_take(&s->lock);
    while (s->count > 0 || !s->stopping) {
        const size_t count = s->count;

        if (count == 0) {
            lock_wait(&s->lock, &s->work);
            continue;
        }
        memcpy(fds, s->fds, count * sizeof(*fds));
        s->count = 0;
        lock_drop(&s->lock);
        for (size_t i = 0; i < count; i++)
            close(fds[i]);
        lock_take(&s->lock);
    }
    lock_drop(&s->lock);
    return NULL;
}

struct closer *closer_new(size_t max)
{
    struct closer *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    lock_init(&s->lock);
    lock_cond_init(&s->work);
    s->max = max < WAITING_MAX ? max : WAITING_MAX;
    return s;
}

void closer_close(struct closer *s, int fd)
{
    bool taken;

    lock_take(&s->lock);
    if (!s->runs)
        s->runs = pthread_create(&s->thread, NULL, closer_run, s) == 0;
    taken = s->runs && s->count < s->max;
    if (taken) {
        s->fds[s->count++] = fd;
        pthread_cond_signal(&s->work);
    }
    lock_drop(&s->lock);
    if (!taken)
        close(fd);
}

struct closer *closer_free(struct closer *s)
{
    if (!s)
        return NULL;
    if (s->runs) {
        lock_take(&s->lock);
        s->stopping = true;
        pthread_cond_signal(&s->work);
        lock_drop(&s->lock);
        pthread_join(s->thread, NULL);
    }
    pthread_cond_destroy(&s->work);
    lock_done(&s->lock);
    free(s);
    return NULL;
}
