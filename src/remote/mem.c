#include "remote/backends.h"
#include "remote/mem_internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEM_BLOCK = 4096, MEM_BLOCKS = 1 << 20, MEM_FILES = 1 << 20, MEM_EXIT_NOT_FOUND = 127 };

void remote_mem_set_clock(struct remote *mem, int64_t step_ns)
{
    struct mem *m = mem_of(mem);

    lock_take(&m->lock);
    m->set_ns += step_ns;
    m->now_ns = INT64_MIN;
    lock_drop(&m->lock);
}

void remote_mem_mount(struct remote *mem, const char *path)
{
    struct mem *m = mem_of(mem);
    struct mem_node *n;

    lock_take(&m->lock);
    if (mem_walk(m, path, &n) == 0)
        mem_mount_node(n, ++m->mounts);
    lock_drop(&m->lock);
}

void remote_mem_reuse_ino(struct remote *mem, uint64_t ino)
{
    struct mem *m = mem_of(mem);

    lock_take(&m->lock);
    m->next_ino = ino;
    lock_drop(&m->lock);
}

void remote_mem_on_look(struct remote *mem, void (*fn)(void *arg), void *arg)
{
    struct mem *m = mem_of(mem);

    lock_take(&m->lock);
    m->on_look = fn;
    m->on_look_arg = arg;
    lock_drop(&m->lock);
}

/* ---- reading ---- */

static int mem_info(struct remote *r, struct remote_info *ret)
{
    struct mem *m = mem_of(r);
    struct remote_info info = {.uid = m->uid,
                               .gid = m->gid,
                               .groups = {m->gid},
                               .group_count = 1,
                               .privileged = m->uid == 0,
                               .caps = ((REMOTE_CAP_APPLY << 1) - 1) | REMOTE_CAP_JOBS |
                                       REMOTE_CAP_TOUCH};

    info.work_dir = strdup("/");
    info.home_dir = strdup("/");
    info.daemon_version = strdup("mem");
    info.shell = strdup("");
    info.kept_dir = strdup(MEM_KEPT_DIR);
    info.kept_at = (struct remote_attr){.dev = 1, .mount = 1};
    if (!info.kept_dir || !info.work_dir || !info.home_dir || !info.daemon_version || !info.shell) {
        remote_info_done(&info);
        return -ENOMEM;
    }
    *ret = info;
    return 0;
}

static int mem_stat(struct remote *r, const char *path, struct remote_attr *ret, char **ret_target)
{
    struct mem *m = mem_of(r);
    struct mem_node *n;
    int err;

    lock_take(&m->lock);
    err = mem_walk(m, path, &n);
    if (err == 0 && ret_target)
        err = mem_dup(n->target, ret_target);
    if (err == 0)
        *ret = n->attr;
    lock_drop(&m->lock);
    return err;
}

static int list_add(struct remote_list *list, const char *prefix, const struct mem_name *e)
{
    const size_t cap = list->count;
    struct remote_entry *entry;

    if ((cap & (cap - 1)) == 0) { /* full at each power of two */
        struct remote_entry *v = realloc(list->v, (cap ? 2 * cap : 1) * sizeof(*v));

        if (!v)
            return -ENOMEM;
        list->v = v;
    }
    entry = &list->v[list->count];
    memset(entry, 0, sizeof(*entry));
    entry->attr = e->node->attr;
    entry->name = prefix[0] ? path_join(prefix, e->name) : strdup(e->name);
    if (!entry->name)
        return -ENOMEM;
    list->count++;
    return mem_dup(e->node->target, &entry->target);
}

static int list_dir(struct mem *m, struct mem_node *dir, const char *prefix, unsigned depth,
                    size_t max, struct remote_list *list)
{
    char *below;
    int r;

    for (struct mem_name *e = dir->names, *next; e; e = next) {
        next = e->hh.next;
        if (list->count == max) {
            list->cut = true;
            return 0;
        }
        r = list_add(list, prefix, e);
        if (r < 0)
            return r;
        /* One that may not be read is listed as an entry, and its content is not known. */
        if (depth == 1 || !S_ISDIR(e->node->attr.mode) || !mem_may(m, e->node, R_OK | X_OK))
            continue;
        below = prefix[0] ? path_join(prefix, e->name) : strdup(e->name);
        r = below ? list_dir(m, e->node, below, depth - 1, max, list) : -ENOMEM;
        free(below);
        if (r < 0 || list->cut)
            return r;
    }
    return 0;
}

static int mem_list(struct remote *r, const char *path, unsigned depth, size_t max,
                    struct remote_list *ret)
{
    struct mem *m = mem_of(r);
    struct remote_list list = {0};
    struct mem_node *dir;
    int err;

    lock_take(&m->lock);
    err = mem_walk(m, path, &dir);
    if (err == 0 && !S_ISDIR(dir->attr.mode))
        err = -ENOTDIR;
    if (err == 0 && !mem_may(m, dir, R_OK | X_OK))
        err = -EACCES;
    if (err == 0) {
        list.self = dir->attr;
        err = list_dir(m, dir, "", depth, max, &list);
    }
    lock_drop(&m->lock);
    if (err < 0)
        remote_list_done(&list);
    else
        *ret = list;
    return err;
}

static int mem_fetch(struct remote *r, const char *path, const struct remote_attr *expect,
                     uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    struct mem *m = mem_of(r);
    struct mem_node *n;
    int err;

    lock_take(&m->lock);
    err = mem_walk(m, path, &n);
    if (err == 0 && expect && !remote_attr_same(expect, &n->attr))
        err = -ESTALE;
    if (err == 0 && !S_ISREG(n->attr.mode))
        err = S_ISDIR(n->attr.mode) ? -EISDIR : -EINVAL;
    if (err == 0 && !mem_may(m, n, R_OK))
        err = -EACCES;
    if (err == 0)
        err = mem_data_store(&n->data, off, len, fd, ret_len);
    lock_drop(&m->lock);
    return err;
}

static int mem_fetch_many(struct remote *r, const struct remote_many *many)
{
    for (size_t i = 0; i < many->count; i++) {
        struct remote_want *w = &many->v[i];
        uint64_t got = 0;

        if (cancel_fired(cancel_bound()))
            return -EINTR;
        /* As blind as the service's download of many: it shows sizes only. */
        w->err = mem_fetch(r, w->path, NULL, 0, w->expect->size + 1, w->fd, &got);
        if (w->err == 0 && got != w->expect->size)
            w->err = -ESTALE;
        if (many->done)
            many->done(many->arg, i);
    }
    return 0;
}

static int mem_snapshot(struct remote *r, const char *path, size_t max, struct buf *out,
                        struct remote_attr *ret)
{
    struct mem *m = mem_of(r);
    struct mem_node *n;
    int err;

    lock_take(&m->lock);
    err = mem_walk(m, path, &n);
    if (err == 0 && !S_ISREG(n->attr.mode))
        err = S_ISDIR(n->attr.mode) ? -EISDIR : S_ISLNK(n->attr.mode) ? -ELOOP : -EINVAL;
    if (err == 0 && !mem_may(m, n, R_OK))
        err = -EACCES;
    if (err == 0 && n->attr.size > max)
        err = -EFBIG;
    if (err == 0)
        err = buf_reserve(out, n->attr.size);
    if (err == 0) {
        mem_data_read(&n->data, out->data + out->len, n->attr.size, 0);
        out->len += n->attr.size;
        out->data[out->len] = '\0';
        *ret = n->attr;
    }
    lock_drop(&m->lock);
    return err;
}

struct remote_statfs mem_space(const struct mem *m)
{
    return (struct remote_statfs){.block_size = MEM_BLOCK,
                                  .blocks = MEM_BLOCKS,
                                  .blocks_free = MEM_BLOCKS / 2,
                                  .blocks_avail = MEM_BLOCKS / 2,
                                  .files = MEM_FILES,
                                  .files_free = m->nodes < MEM_FILES ? MEM_FILES - m->nodes : 0};
}

static int mem_statfs(struct remote *r, const char *path, struct remote_statfs *ret)
{
    struct mem *m = mem_of(r);
    struct mem_node *n;
    int err;

    lock_take(&m->lock);
    err = mem_walk(m, path, &n);
    if (err == 0)
        *ret = mem_space(m);
    lock_drop(&m->lock);
    return err;
}

/* ---- changing ---- */

static int make(struct remote *r, const char *path, mode_t mode, const char *target,
                struct remote_attr *ret)
{
    struct mem *m = mem_of(r);
    struct mem_node *n;
    int err;

    lock_take(&m->lock);
    err = mem_make_node(m, path, mode, target, &n);
    if (err == 0)
        *ret = n->attr;
    lock_drop(&m->lock);
    return err;
}

static int mem_create(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    return make(r, path, S_IFREG | mode, NULL, ret);
}

static int mem_mkdir(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    return make(r, path, S_IFDIR | mode, NULL, ret);
}

static int mem_symlink(struct remote *r, const char *target, const char *path,
                       struct remote_attr *ret)
{
    return make(r, path, S_IFLNK | 0777, target, ret);
}

static int mem_link(struct remote *r, const char *from, const char *to, struct remote_attr *ret)
{
    struct mem *m = mem_of(r);
    int err;

    lock_take(&m->lock);
    err = mem_link_node(m, from, to, ret);
    lock_drop(&m->lock);
    return err;
}

static int mem_remove(struct remote *r, const char *path, bool is_dir)
{
    struct mem *m = mem_of(r);
    int err;

    lock_take(&m->lock);
    err = mem_remove_name(m, path, is_dir);
    lock_drop(&m->lock);
    return err;
}

static int mem_unlink(struct remote *r, const char *path)
{
    return mem_remove(r, path, false);
}

static int mem_rmdir(struct remote *r, const char *path)
{
    return mem_remove(r, path, true);
}

static int mem_rename(struct remote *r, const char *from, const char *to, unsigned flags,
                      struct remote_attr *ret)
{
    struct mem *m = mem_of(r);
    int err;

    lock_take(&m->lock);
    err = mem_rename_node(m, from, to, flags, ret);
    lock_drop(&m->lock);
    return err;
}

static int mem_exchange(struct remote *r, const char *from, const char *to, const uint64_t ino[2],
                        struct remote_attr ret[2])
{
    struct mem *m = mem_of(r);
    int err;

    lock_take(&m->lock);
    err = mem_exchange_nodes(m, from, to, ino, ret);
    lock_drop(&m->lock);
    return err;
}

static int mem_put(struct remote *r, const char *path, const struct remote_put *put,
                   struct remote_attr *ret)
{
    struct mem *m = mem_of(r);
    struct mem_data data = {0};
    struct mem_node *n;
    int err = mem_data_load(&data, put->fd, put->size);

    if (err < 0)
        return err;
    lock_take(&m->lock);
    err = mem_put_node(m, path, put, &data, &n);
    if (err == 0) {
        n->attr.size = put->size;
        n->attr.ctime_ns = mem_tick(m);
        n->attr.mtime_ns = put->mtime_ns == INT64_MIN ? n->attr.ctime_ns : put->mtime_ns;
        *ret = n->attr;
    }
    lock_drop(&m->lock);
    if (err < 0)
        mem_data_done(&data);
    return err;
}

static int mem_setattr(struct remote *r, const char *path, const struct remote_setattr *set,
                       struct remote_attr *ret)
{
    struct mem *m = mem_of(r);
    struct mem_node *n;
    int err;

    lock_take(&m->lock);
    err = mem_walk(m, path, &n);
    if (err == 0)
        err = mem_set_node(m, n, set);
    if (err == 0)
        *ret = n->attr;
    lock_drop(&m->lock);
    return err;
}

static int mem_exec(struct remote *r, const struct remote_exec *exec, struct buf *out,
                    int *ret_exit)
{
    *ret_exit = MEM_EXIT_NOT_FOUND;
    if (exec->after)
        exec->after->answered = mem_changes(r, exec->after->ask, &exec->after->tree) == 0;
    return 0;
}

static void mem_free(struct remote *r)
{
    struct mem *m = mem_of(r);

    mem_jobs_free(m);
    mem_free_tree(m, m->root);
    mem_node_free(m, m->root);
    mem_apply_done(m);
    lock_done(&m->lock);
    free(m);
}

static const struct remote_ops mem_ops = {
    .name = "mem",
    .info = mem_info,
    .stat = mem_stat,
    .list = mem_list,
    .tree = mem_tree,
    .changes = mem_changes,
    .fetch = mem_fetch,
    .fetch_many = mem_fetch_many,
    .snapshot = mem_snapshot,
    .create = mem_create,
    .put = mem_put,
    .mkdir = mem_mkdir,
    .symlink = mem_symlink,
    .link = mem_link,
    .unlink = mem_unlink,
    .rmdir = mem_rmdir,
    .rename = mem_rename,
    .exchange = mem_exchange,
    .setattr = mem_setattr,
    .statfs = mem_statfs,
    .exec = mem_exec,
    .job = mem_job,
    .apply = mem_apply,
    .stage = mem_stage,
    .join = mem_join,
    .free = mem_free,
};

struct remote *remote_mem_new(uint32_t uid, uint32_t gid)
{
    struct mem *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->remote.ops = &mem_ops;
    m->uid = uid;
    m->gid = gid;
    m->stop_after = SIZE_MAX;
    m->root = mem_node_new(m, S_IFDIR | 0755);
    if (!m->root) {
        free(m);
        return NULL;
    }
    m->root->attr.mount = ++m->mounts;
    lock_init(&m->lock);
    return &m->remote;
}
