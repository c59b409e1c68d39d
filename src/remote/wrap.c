#include "remote/wrap.h"

#include "remote/batch.h"
#include "remote/job.h"

#include "util/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct wrap *wrap_of(struct remote *r)
{
    return (struct wrap *)r;
}

static int enter(struct remote *r, const struct wrap_call *call)
{
    struct wrap *w = wrap_of(r);

    return w->around(w, call);
}

static int wrap_info(struct remote *r, struct remote_info *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_INFO, .ret = ret});
}

static int wrap_stat(struct remote *r, const char *path, struct remote_attr *ret, char **ret_target)
{
    return enter(r, &(struct wrap_call){
                        .op = WRAP_STAT, .path = path, .ret = ret, .ret_target = ret_target});
}

static int wrap_list(struct remote *r, const char *path, unsigned depth, size_t max,
                     struct remote_list *ret)
{
    return enter(r, &(struct wrap_call){
                        .op = WRAP_LIST, .path = path, .depth = depth, .max = max, .ret = ret});
}

static int wrap_tree(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    return enter(r,
                 &(struct wrap_call){.op = WRAP_TREE, .path = ask->root, .ask = ask, .ret = ret});
}

static int wrap_changes(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    return enter(
        r, &(struct wrap_call){.op = WRAP_CHANGES, .path = ask->root, .ask = ask, .ret = ret});
}

static int wrap_fetch(struct remote *r, const char *path, const struct remote_attr *expect,
                      uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    return enter(r, &(struct wrap_call){.op = WRAP_FETCH,
                                        .path = path,
                                        .expect = expect,
                                        .off = off,
                                        .len = len,
                                        .fd = fd,
                                        .ret_len = ret_len});
}

static int wrap_fetch_many(struct remote *r, const struct remote_many *many)
{
    return enter(r, &(struct wrap_call){.op = WRAP_FETCH_MANY,
                                        .path = many->count ? many->v[0].path : NULL,
                                        .many = many});
}

static int wrap_snapshot(struct remote *r, const char *path, size_t max, struct buf *out,
                         struct remote_attr *ret)
{
    return enter(r, &(struct wrap_call){
                        .op = WRAP_SNAPSHOT, .path = path, .max = max, .out = out, .ret = ret});
}

static int wrap_create(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_CREATE, .path = path, .mode = mode, .ret = ret});
}

static int wrap_put(struct remote *r, const char *path, const struct remote_put *put,
                    struct remote_attr *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_PUT, .path = path, .put = put, .ret = ret});
}

static int wrap_mkdir(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_MKDIR, .path = path, .mode = mode, .ret = ret});
}

static int wrap_symlink(struct remote *r, const char *target, const char *path,
                        struct remote_attr *ret)
{
    return enter(r,
                 &(struct wrap_call){.op = WRAP_SYMLINK, .path = path, .from = target, .ret = ret});
}

static int wrap_link(struct remote *r, const char *from, const char *to, struct remote_attr *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_LINK, .path = to, .from = from, .ret = ret});
}

static int wrap_unlink(struct remote *r, const char *path)
{
    return enter(r, &(struct wrap_call){.op = WRAP_UNLINK, .path = path});
}

static int wrap_rmdir(struct remote *r, const char *path)
{
    return enter(r, &(struct wrap_call){.op = WRAP_RMDIR, .path = path});
}

static int wrap_rename(struct remote *r, const char *from, const char *to, unsigned flags,
                       struct remote_attr *ret)
{
    return enter(r, &(struct wrap_call){
                        .op = WRAP_RENAME, .path = to, .from = from, .flags = flags, .ret = ret});
}

static int wrap_exchange(struct remote *r, const char *from, const char *to, const uint64_t ino[2],
                         struct remote_attr ret[2])
{
    return enter(r, &(struct wrap_call){
                        .op = WRAP_EXCHANGE, .path = to, .from = from, .ino = ino, .ret = ret});
}

static int wrap_setattr(struct remote *r, const char *path, const struct remote_setattr *set,
                        struct remote_attr *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_SETATTR, .path = path, .set = set, .ret = ret});
}

static int wrap_statfs(struct remote *r, const char *path, struct remote_statfs *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_STATFS, .path = path, .ret = ret});
}

static int wrap_exec(struct remote *r, const struct remote_exec *exec, struct buf *out,
                     int *ret_exit)
{
    return enter(
        r, &(struct wrap_call){
               .op = WRAP_EXEC, .path = exec->cwd, .exec = exec, .out = out, .ret_exit = ret_exit});
}

static int wrap_apply(struct remote *r, const struct remote_batch *batch,
                      struct remote_applied *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_APPLY, .batch = batch, .ret = ret});
}

static int wrap_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_STAGE, .stage = stage, .ret = ret});
}

static int wrap_join(struct remote *r, const struct remote_join *join, struct remote_joined *to)
{
    return enter(r, &(struct wrap_call){.op = WRAP_JOIN, .join = join, .ret = to});
}

static int wrap_job(struct remote *r, const struct remote_job_call *job,
                    struct remote_job_answer *ret)
{
    return enter(r, &(struct wrap_call){.op = WRAP_JOB, .job = job, .ret = ret});
}

static void wrap_free(struct remote *r)
{
    struct wrap *w = wrap_of(r);

    if (w->done)
        w->done(w);
    remote_free(w->inner);
    free(w);
}

int wrap_forward(struct wrap *w, const struct wrap_call *c)
{
    struct remote *r = w->inner;

    switch (c->op) {
    case WRAP_INFO:
        return remote_info(r, c->ret);
    case WRAP_STAT:
        return remote_stat(r, c->path, c->ret, c->ret_target);
    case WRAP_LIST:
        return remote_list(r, c->path, c->depth, c->max, c->ret);
    case WRAP_TREE:
        return remote_tree(r, c->ask, c->ret);
    case WRAP_CHANGES:
        return remote_changes(r, c->ask, c->ret);
    case WRAP_FETCH:
        return remote_fetch(r, c->path, c->expect, c->off, c->len, c->fd, c->ret_len);
    case WRAP_FETCH_MANY:
        return remote_fetch_many(r, c->many);
    case WRAP_SNAPSHOT:
        return remote_snapshot(r, c->path, c->max, c->out, c->ret);
    case WRAP_CREATE:
        return remote_create(r, c->path, c->mode, c->ret);
    case WRAP_PUT:
        return remote_put(r, c->path, c->put, c->ret);
    case WRAP_MKDIR:
        return remote_mkdir(r, c->path, c->mode, c->ret);
    case WRAP_SYMLINK:
        return remote_symlink(r, c->from, c->path, c->ret);
    case WRAP_LINK:
        return remote_link(r, c->from, c->path, c->ret);
    case WRAP_UNLINK:
        return remote_unlink(r, c->path);
    case WRAP_RMDIR:
        return remote_rmdir(r, c->path);
    case WRAP_RENAME:
        return remote_rename(r, c->from, c->path, c->flags, c->ret);
    case WRAP_EXCHANGE:
        return remote_exchange(r, c->from, c->path, c->ino, c->ret);
    case WRAP_SETATTR:
        return remote_setattr(r, c->path, c->set, c->ret);
    case WRAP_STATFS:
        return remote_statfs(r, c->path, c->ret);
    case WRAP_EXEC:
        return remote_exec(r, c->exec, c->out, c->ret_exit);
    case WRAP_JOB:
        return r->ops->job ? r->ops->job(r, c->job, c->ret) : -EOPNOTSUPP;
    case WRAP_APPLY:
        return remote_apply(r, c->batch, c->ret);
    case WRAP_STAGE:
        return remote_stage(r, c->stage, c->ret);
    case WRAP_JOIN:
        return remote_join(r, c->join, c->ret);
    }
    return -EOPNOTSUPP;
}

static int forward_lost_job(struct wrap *w, const struct wrap_call *call)
{
    const struct remote_job_read *read = call->job->read;
    const size_t out_len = read && read->out ? read->out->len : 0;
    const size_t err_len = read && read->err ? read->err->len : 0;
    struct remote_job_answer answer = {0};
    struct remote_job_call job = *call->job;
    struct wrap_call c = *call;
    int r;

    job.after = NULL;
    c.job = &job;
    c.ret = &answer;
    r = wrap_forward(w, &c);
    remote_job_list_free(answer.v, answer.count);
    if (read && read->out)
        buf_truncate(read->out, out_len);
    if (read && read->err)
        buf_truncate(read->err, err_len);
    return r;
}

int wrap_forward_lost(struct wrap *w, const struct wrap_call *call)
{
    struct wrap_call c = *call;
    const size_t out_len = c.out ? c.out->len : 0;
    struct remote_info info = {0};
    struct remote_list list = {0};
    struct remote_tree tree = {0};
    struct remote_many many = {0};
    struct remote_statfs statfs;
    struct remote_applied applied = {0};
    struct remote_joined joined;
    struct remote_blob blob;
    struct remote_attr attr[2];
    char *target = NULL;
    uint64_t len;
    int r, status;

    if (call->op == WRAP_JOB)
        return forward_lost_job(w, call);
    c.ret = attr;
    if (c.op == WRAP_INFO)
        c.ret = &info;
    else if (c.op == WRAP_LIST)
        c.ret = &list;
    else if (c.op == WRAP_TREE || c.op == WRAP_CHANGES)
        c.ret = &tree;
    else if (c.op == WRAP_STATFS)
        c.ret = &statfs;
    else if (c.op == WRAP_APPLY)
        c.ret = &applied;
    else if (c.op == WRAP_STAGE)
        c.ret = &blob;
    else if (c.op == WRAP_JOIN)
        c.ret = memcpy(&joined, call->ret, sizeof(joined));
    if (c.many) {
        many = *c.many;
        many.done = NULL;
        c.many = &many;
    }
    c.ret_target = &target;
    c.ret_len = &len;
    c.ret_exit = &status;
    r = wrap_forward(w, &c);
    for (size_t i = 0; i < many.count; i++)
        many.v[i].err = -EAGAIN;
    remote_info_done(&info);
    remote_list_done(&list);
    remote_tree_done(&tree);
    remote_applied_done(&applied);
    free(target);
    if (c.out)
        buf_truncate(c.out, out_len);
    return r;
}

static const struct remote_ops wrap_ops = {
    .name = "wrap",
    .info = wrap_info,
    .stat = wrap_stat,
    .list = wrap_list,
    .tree = wrap_tree,
    .changes = wrap_changes,
    .fetch = wrap_fetch,
    .fetch_many = wrap_fetch_many,
    .snapshot = wrap_snapshot,
    .create = wrap_create,
    .put = wrap_put,
    .mkdir = wrap_mkdir,
    .symlink = wrap_symlink,
    .link = wrap_link,
    .unlink = wrap_unlink,
    .rmdir = wrap_rmdir,
    .rename = wrap_rename,
    .exchange = wrap_exchange,
    .setattr = wrap_setattr,
    .statfs = wrap_statfs,
    .exec = wrap_exec,
    .job = wrap_job,
    .apply = wrap_apply,
    .stage = wrap_stage,
    .join = wrap_join,
    .free = wrap_free,
};

void wrap_init(struct wrap *w, struct remote *inner,
               int (*around)(struct wrap *w, const struct wrap_call *call),
               void (*done)(struct wrap *w))
{
    w->ops = wrap_ops;
    w->ops.name = remote_name(inner); /* people want to know the backend, not its wrappers */
    w->remote.ops = &w->ops;
    w->inner = inner;
    w->around = around;
    w->done = done;
}

const char *wrap_op_name(enum wrap_op op)
{
    static const char *const names[] = {
        [WRAP_INFO] = "info",         [WRAP_STAT] = "stat",
        [WRAP_LIST] = "list",         [WRAP_TREE] = "tree",
        [WRAP_CHANGES] = "changes",   [WRAP_FETCH] = "fetch",
        [WRAP_CREATE] = "create",     [WRAP_PUT] = "put",
        [WRAP_MKDIR] = "mkdir",       [WRAP_SYMLINK] = "symlink",
        [WRAP_LINK] = "link",         [WRAP_UNLINK] = "unlink",
        [WRAP_RMDIR] = "rmdir",       [WRAP_RENAME] = "rename",
        [WRAP_SETATTR] = "setattr",   [WRAP_STATFS] = "statfs",
        [WRAP_EXEC] = "exec",         [WRAP_FETCH_MANY] = "fetch_many",
        [WRAP_APPLY] = "apply",       [WRAP_STAGE] = "stage",
        [WRAP_JOB] = "job",           [WRAP_SNAPSHOT] = "snapshot",
        [WRAP_EXCHANGE] = "exchange", [WRAP_JOIN] = "join",
    };

    return (size_t)op < ARRAY_LEN(names) ? names[op] : "?";
}
