#include "gate.h"

#include "util/lock.h"

#include <stdlib.h>

struct gate {
    struct remote remote;
    struct remote *inner;
    struct lock lock;
    pthread_cond_t cond;
    enum gate_call closed;
    unsigned waiting, count[GATE_PUT + 1];
};

static void pass(struct remote *r, enum gate_call call)
{
    struct gate *g = (struct gate *)r;

    lock_take(&g->lock);
    g->count[call]++;
    g->waiting++;
    pthread_cond_broadcast(&g->cond);
    while (g->closed == call)
        lock_wait(&g->lock, &g->cond);
    g->waiting--;
    lock_drop(&g->lock);
}

static struct remote *inner(struct remote *r)
{
    return ((struct gate *)r)->inner;
}

static int gate_info(struct remote *r, struct remote_info *ret)
{
    return remote_info(inner(r), ret);
}

static int gate_stat(struct remote *r, const char *path, struct remote_attr *ret, char **target)
{
    const int err = remote_stat(inner(r), path, ret, target);

    pass(r, GATE_STAT);
    return err;
}

static int gate_list(struct remote *r, const char *path, unsigned depth, size_t max,
                     struct remote_list *ret)
{
    const int err = remote_list(inner(r), path, depth, max, ret);

    pass(r, GATE_LIST);
    return err;
}

static int gate_fetch(struct remote *r, const char *path, const struct remote_attr *expect,
                      uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    const int err = remote_fetch(inner(r), path, expect, off, len, fd, ret_len);

    pass(r, GATE_FETCH);
    return err;
}

static int gate_create(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    return remote_create(inner(r), path, mode, ret);
}

static int gate_put(struct remote *r, const char *path, const struct remote_put *put,
                    struct remote_attr *ret)
{
    const int err = remote_put(inner(r), path, put, ret);

    pass(r, GATE_PUT);
    return err;
}

static int gate_mkdir(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    return remote_mkdir(inner(r), path, mode, ret);
}

static int gate_unlink(struct remote *r, const char *path)
{
    return remote_unlink(inner(r), path);
}

static int gate_rename(struct remote *r, const char *from, const char *to, unsigned flags,
                       struct remote_attr *ret)
{
    return remote_rename(inner(r), from, to, flags, ret);
}

static int gate_setattr(struct remote *r, const char *path, const struct remote_setattr *set,
                        struct remote_attr *ret)
{
    return remote_setattr(inner(r), path, set, ret);
}

static void gate_free(struct remote *r)
{
    struct gate *g = (struct gate *)r;

    remote_free(g->inner);
    pthread_cond_destroy(&g->cond);
    lock_done(&g->lock);
    free(g);
}

static const struct remote_ops ops = {.name = "gate",
                                      .info = gate_info,
                                      .stat = gate_stat,
                                      .list = gate_list,
                                      .fetch = gate_fetch,
                                      .create = gate_create,
                                      .put = gate_put,
                                      .mkdir = gate_mkdir,
                                      .unlink = gate_unlink,
                                      .rename = gate_rename,
                                      .setattr = gate_setattr,
                                      .free = gate_free};

struct remote *gate_new(struct remote *under, struct gate **ret)
{
    struct gate *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    g->remote.ops = &ops;
    g->inner = under;
    lock_init(&g->lock);
    lock_cond_init(&g->cond);
    *ret = g;
    return &g->remote;
}

void gate_close(struct gate *g, enum gate_call call)
{
    lock_take(&g->lock);
    g->closed = call;
    pthread_cond_broadcast(&g->cond);
    lock_drop(&g->lock);
}

void gate_await(struct gate *g, unsigned waiting)
{
    lock_take(&g->lock);
    while (g->waiting < waiting)
        lock_wait(&g->lock, &g->cond);
    lock_drop(&g->lock);
}

unsigned gate_count(struct gate *g, enum gate_call call)
{
    unsigned count;

    lock_take(&g->lock);
    count = g->count[call];
    lock_drop(&g->lock);
    return count;
}
