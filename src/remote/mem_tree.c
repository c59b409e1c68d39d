/* tree and changes of remote_mem, as the helper answers them. */
#include "remote/mem_internal.h"

#include "remote/tree.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t slack_ns = 20 * NS_PER_MS;
static const int64_t look_again_ns = 2 * NS_PER_MS;

/* The directory at path below root, readable; else -errno. */
static int find_dir(struct mem *m, const char *root, const char *path, struct mem_node **ret)
{
    char *full = *path ? path_join(root, path) : strdup(root);
    int r = full ? mem_walk(m, full, ret) : -ENOMEM;

    free(full);
    if (r == 0 && !S_ISDIR((*ret)->attr.mode))
        r = S_ISLNK((*ret)->attr.mode) ? -ELOOP : -ENOTDIR;
    if (r == 0 && !mem_may(m, *ret, R_OK | X_OK))
        r = -EACCES;
    return r;
}

static int add_dir(struct remote_tree *t, const char *path, const struct mem_node *n, bool whole)
{
    struct remote_dir *d;
    const int r = tree_add_dir(t, path, strlen(path), &d);

    if (r == 0) {
        d->whole = whole;
        d->self = n->attr;
    }
    return r;
}

static int add_failed(struct remote_tree *t, const char *path, int err)
{
    struct remote_dir *d;
    const int r = tree_add_dir(t, path, strlen(path), &d);

    if (r == 0)
        d->err = err;
    return r;
}

static int add_entry(struct remote_tree *t, const struct mem_name *e)
{
    const char *target = e->node->target;

    return tree_add_entry(t, e->name, strlen(e->name), target, target ? strlen(target) : 0,
                          &e->node->attr);
}

static int add_names(struct remote_tree *t, const struct mem_node *n)
{
    int r = 0;

    for (const struct mem_name *e = n->names; e && r == 0; e = e->hh.next)
        r = add_entry(t, e);
    return r;
}

/* Between two directories. */
static void on_look(struct mem *m)
{
    void (*fn)(void *arg) = m->on_look;

    m->on_look = NULL;
    lock_drop(&m->lock);
    if (fn)
        fn(m->on_look_arg);
    lock_take(&m->lock);
}

/* ---- tree ---- */

/* Owned paths, first in first out. */
struct queue {
    char **v;
    size_t head, count, cap;
};

static int push(struct queue *q, char *path)
{
    if (!path)
        return -ENOMEM;
    if (q->count == q->cap) {
        const size_t cap = q->cap ? 2 * q->cap : 64;
        char **v = realloc(q->v, cap * sizeof(*v));

        if (!v) {
            free(path);
            return -ENOMEM;
        }
        q->v = v;
        q->cap = cap;
    }
    q->v[q->count++] = path;
    return 0;
}

static int push_dirs(struct queue *q, const char *path, const struct mem_node *n)
{
    int r = 0;

    for (const struct mem_name *e = n->names; e && r == 0; e = e->hh.next) {
        if (S_ISDIR(e->node->attr.mode))
            r = push(q, *path ? path_join(path, e->name) : strdup(e->name));
    }
    return r;
}

static int list_one(struct mem *m, const char *root, const char *path, struct queue *q,
                    struct remote_tree *t)
{
    struct mem_node *n;
    int r = find_dir(m, root, path, &n);

    if (r < 0)
        return r == -ENOMEM ? r : add_failed(t, path, r);
    r = add_dir(t, path, n, true);
    if (r == 0)
        r = add_names(t, n);
    return r < 0 ? r : push_dirs(q, path, n);
}

/* As many bytes as an entry takes on the way, about. */
enum { ENTRY_BYTES = 64 };

static bool enough(const struct remote_tree *t, const struct remote_ask *ask)
{
    return t->count > 0 && ((ask->max_entries > 0 && t->count >= ask->max_entries) ||
                            (ask->max_bytes > 0 && t->count * ENTRY_BYTES >= ask->max_bytes));
}

static int walk_tree(struct mem *m, const struct remote_ask *ask, struct remote_tree *t)
{
    struct queue q = {0};
    int r = 0;

    for (size_t i = 0; i < ask->path_count && r == 0; i++)
        r = push(&q, strdup(ask->paths[i]));
    for (; r == 0 && q.head < q.count && !t->more; q.head++) {
        if (enough(t, ask)) {
            t->more = true;
            break;
        }
        r = list_one(m, ask->root, q.v[q.head], &q, t);
        free(q.v[q.head]);
        if (q.head > 0)
            on_look(m);
    }
    while (q.head < q.count)
        free(q.v[q.head++]);
    free(q.v);
    return r;
}

/* ---- changes ---- */

static int scan_dir(struct mem *m, const struct remote_ask *ask, const char *path, int64_t since_ns,
                    struct remote_tree *t)
{
    struct mem_node *n;
    bool announced = false;
    int r = find_dir(m, ask->root, path, &n);

    if (r < 0)
        return r == -ENOMEM ? r : add_failed(t, path, r);
    if (n->attr.ctime_ns >= since_ns) {
        r = add_dir(t, path, n, true);
        return r < 0 ? r : add_names(t, n);
    }
    for (const struct mem_name *e = n->names; e && r == 0; e = e->hh.next) {
        if (e->node->attr.ctime_ns < since_ns)
            continue;
        if (!announced)
            r = add_dir(t, path, n, false);
        announced = true;
        if (r == 0)
            r = add_entry(t, e);
    }
    return r;
}

static int scan(struct mem *m, const struct remote_ask *ask, struct remote_tree *t)
{
    const int64_t since_ns =
        ask->since_ns < INT64_MIN + slack_ns ? INT64_MIN : ask->since_ns - slack_ns;
    int r = 0;

    for (size_t i = 0; i < ask->path_count && r == 0; i++) {
        if (i > 0)
            on_look(m);
        r = scan_dir(m, ask, ask->paths[i], since_ns, t);
    }
    return r;
}

/* ---- both ---- */

static int look(struct remote *r, const struct remote_ask *ask,
                int (*fill)(struct mem *m, const struct remote_ask *ask, struct remote_tree *t),
                struct remote_tree *ret)
{
    struct mem *m = mem_of(r);
    struct remote_tree t = {.uptime_ns = clock_mono_ns()};
    struct mem_node *root;
    int err;

    lock_take(&m->lock);
    t.now_ns = mem_now(m);
    t.space = mem_space(m);
    t.has_space = true;
    t.boot = tree_string(&t, "mem", 3);
    err = t.boot ? find_dir(m, ask->root, "", &root) : -ENOMEM;
    if (err == 0)
        err = fill(m, ask, &t);
    lock_drop(&m->lock);
    if (err == 0)
        err = tree_settle(&t);
    if (err < 0)
        remote_tree_done(&t);
    else
        *ret = t;
    return err;
}

int mem_tree(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    return look(r, ask, walk_tree, ret);
}

int mem_changes(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    const int64_t end_ns = clock_mono_ns() + ask->wait_ns;
    int err;

    for (;;) {
        struct remote_tree t;

        err = look(r, ask, scan, &t);
        if (err < 0)
            return err;
        if (t.dir_count > 0 || clock_mono_ns() >= end_ns) {
            *ret = t;
            return 0;
        }
        remote_tree_done(&t);
        err = cancel_sleep(look_again_ns);
        if (err < 0)
            return err;
    }
}
