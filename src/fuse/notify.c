#include "fuse/notify.h"

#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_MAX = 65536 };

struct item {
    struct item *next;
    uint64_t ino; /* of the entry's parent, when there is a name */
    bool forget;  /* it is only to be given back */
    char name[];  /* "": the inode itself */
};

struct notify {
    struct lock lock; /* guards what follows */
    struct item *first, **last;
    size_t queued;
    uint64_t told, delivered; /* items since the beginning */
    bool full_said;
    const struct notify_target *target;
    void *target_arg;
    bool delivering, ending;
    pthread_cond_t work, done;
    pthread_t thread; /* set once */
};

static void add(struct notify *n, uint64_t ino, const char *name, bool forget)
{
    const size_t len = strlen(name);
    struct item *item;

    lock_take(&n->lock);
    /*
     * What does not fit is dropped: kernel entries end by themselves after the coherence window,
     * and pages are dropped when an open or stat finds other times.
     */
    if (!n->target || n->queued >= QUEUE_MAX || !(item = malloc(sizeof(*item) + len + 1))) {
        if (n->target && !n->full_said)
            log_msg(LOG_WARN, "too many changes at once: the kernel is told of some only later");
        n->full_said = n->full_said || n->target;
        lock_drop(&n->lock);
        return;
    }
    item->next = NULL;
    item->ino = ino;
    item->forget = forget;
    memcpy(item->name, name, len + 1);
    *n->last = item;
    n->last = &item->next;
    n->queued++;
    n->told++;
    pthread_cond_signal(&n->work);
    lock_drop(&n->lock);
}

static void add_inode(void *arg, uint64_t ino)
{
    add(arg, ino, "", false);
}

static void add_entry(void *arg, uint64_t parent, const char *name)
{
    if (*name)
        add(arg, parent, name, false);
}

static void add_forget(void *arg, uint64_t parent, const char *name)
{
    struct notify *n = arg;
    bool room;

    lock_take(&n->lock);
    room = n->queued < QUEUE_MAX / 2; /* what is true matters more than what is large */
    lock_drop(&n->lock);
    if (room && *name)
        add(n, parent, name, true);
}

static int drain(void *arg, int64_t wait_ns)
{
    return notify_drain(arg, wait_ns);
}

const struct fs_notify notify_for_fs = {
    .inode = add_inode, .entry = add_entry, .forget = add_forget, .drain = drain};

static struct item *take_locked(struct notify *n)
{
    struct item *item = n->first;

    n->first = item->next;
    if (!n->first)
        n->last = &n->first;
    n->queued--;
    return item;
}

static void *notify_thread(void *arg)
{
    struct notify *n = arg;

    lock_take(&n->lock);
    while (!n->ending) {
        const struct notify_target *target = n->target;
        void *target_arg = n->target_arg;
        struct item *item;

        if (!n->first) {
            lock_wait(&n->lock, &n->work);
            continue;
        }
        item = take_locked(n);
        n->delivering = true;
        lock_drop(&n->lock);

        if (target && item->forget)
            target->forget(target_arg, item->ino, item->name);
        else if (target && item->name[0])
            target->entry(target_arg, item->ino, item->name);
        else if (target)
            target->inode(target_arg, item->ino);
        free(item);

        lock_take(&n->lock);
        n->delivering = false;
        n->delivered++;
        pthread_cond_broadcast(&n->done);
    }
    lock_drop(&n->lock);
    return NULL;
}

int notify_drain(struct notify *n, int64_t wait_ns)
{
    const int64_t until_ns = clock_mono_ns() + wait_ns;
    uint64_t told;
    bool done;

    lock_take(&n->lock);
    told = n->told;
    while (n->delivered < told && n->target &&
           lock_wait_until(&n->lock, &n->done, until_ns) != -ETIMEDOUT)
        ;
    done = n->delivered >= told || !n->target;
    lock_drop(&n->lock);
    return done ? 0 : -ETIMEDOUT;
}

void notify_start(struct notify *n, const struct notify_target *target, void *arg)
{
    lock_take(&n->lock);
    n->target = target;
    n->target_arg = arg;
    lock_drop(&n->lock);
}

void notify_stop(struct notify *n)
{
    lock_take(&n->lock);
    n->target = NULL;
    while (n->delivering)
        lock_wait(&n->lock, &n->done);
    pthread_cond_broadcast(&n->done);
    lock_drop(&n->lock);
}

int notify_new(struct notify **ret)
{
    struct notify *n = calloc(1, sizeof(*n));
    int r;

    if (!n)
        return -ENOMEM;
    lock_init(&n->lock);
    lock_cond_init(&n->work);
    lock_cond_init(&n->done);
    n->last = &n->first;
    r = -pthread_create(&n->thread, NULL, notify_thread, n);
    if (r < 0) {
        pthread_cond_destroy(&n->work);
        pthread_cond_destroy(&n->done);
        lock_done(&n->lock);
        free(n);
        return r;
    }
    *ret = n;
    return 0;
}

struct notify *notify_free(struct notify *n)
{
    if (!n)
        return NULL;
    lock_take(&n->lock);
    n->target = NULL;
    n->ending = true;
    pthread_cond_signal(&n->work);
    lock_drop(&n->lock);
    pthread_join(n->thread, NULL);
    while (n->first)
        free(take_locked(n));
    pthread_cond_destroy(&n->work);
    pthread_cond_destroy(&n->done);
    lock_done(&n->lock);
    free(n);
    return NULL;
}
