/* mem_node.c - the file system that remote_mem is: nodes, names, permissions, changes. */
#include "remote/mem_internal.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- nodes ---- */

int64_t mem_now(const struct mem *m)
{
    const int64_t real_ns = clock_real_ns() + m->set_ns;

    return real_ns > m->now_ns ? real_ns : m->now_ns;
}

/* Two changes never have the same time, so that a test cannot miss one. */
int64_t mem_tick(struct mem *m)
{
    const int64_t now_ns = mem_now(m);

    m->now_ns = now_ns > m->now_ns ? now_ns : now_ns + 1;
    return m->now_ns;
}

struct mem_node *mem_node_new(struct mem *m, mode_t mode)
{
    struct mem_node *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->attr = (struct remote_attr){.dev = 1,
                                   .ino = m->next_ino ? m->next_ino : ++m->last_ino,
                                   .mode = mode,
                                   .nlink = S_ISDIR(mode) ? 2 : 1,
                                   .uid = m->uid,
                                   .gid = m->gid,
                                   .birth = S_ISDIR(mode) ? 0 : ++m->births};
    m->next_ino = 0;
    n->attr.mtime_ns = n->attr.ctime_ns = n->attr.atime_ns = mem_tick(m);
    m->nodes++;
    return n;
}

void mem_node_free(struct mem *m, struct mem_node *n)
{
    mem_data_done(&n->data);
    free(n->target);
    free(n);
    m->nodes--;
}

void mem_mount_node(struct mem_node *n, uint32_t mount)
{
    n->attr.mount = mount;
    for (struct mem_name *e = n->names; e; e = e->hh.next)
        mem_mount_node(e->node, mount);
}

static struct mem_name *find_name(struct mem_node *dir, const char *name)
{
    struct mem_name *e;

    HASH_FIND_STR(dir->names, name, e);
    return e;
}

static void dir_changed(struct mem *m, struct mem_node *dir)
{
    dir->attr.mtime_ns = dir->attr.ctime_ns = mem_tick(m);
    dir->attr.size = HASH_COUNT(dir->names);
}

static int add_name(struct mem *m, struct mem_node *dir, const char *name, struct mem_node *n)
{
    struct mem_name *e = calloc(1, sizeof(*e));

    if (!e)
        return -ENOMEM;
    e->name = strdup(name);
    if (!e->name) {
        free(e);
        return -ENOMEM;
    }
    e->node = n;
    if (n->attr.mount == 0)
        n->attr.mount = dir->attr.mount;
    HASH_ADD_KEYPTR(hh, dir->names, e->name, strlen(e->name), e);
    if (S_ISDIR(n->attr.mode))
        dir->attr.nlink++;
    dir_changed(m, dir);
    return 0;
}

/* The node stays, with the link count it had. */
static struct mem_node *take_name(struct mem *m, struct mem_node *dir, struct mem_name *e)
{
    struct mem_node *n = e->node;

    HASH_DEL(dir->names, e);
    free(e->name);
    free(e);
    if (S_ISDIR(n->attr.mode))
        dir->attr.nlink--;
    dir_changed(m, dir);
    return n;
}

/* One name less. */
void mem_release(struct mem *m, struct mem_node *n)
{
    n->attr.ctime_ns = mem_tick(m);
    if (S_ISDIR(n->attr.mode) || --n->attr.nlink == 0)
        mem_node_free(m, n);
}

static void drop_name(struct mem *m, struct mem_node *dir, struct mem_name *e)
{
    mem_release(m, take_name(m, dir, e));
}

void mem_free_tree(struct mem *m, struct mem_node *dir)
{
    for (struct mem_name *e = dir->names, *next; e; e = next) {
        next = e->hh.next;
        if (S_ISDIR(e->node->attr.mode))
            mem_free_tree(m, e->node);
        drop_name(m, dir, e);
    }
}

int mem_dup(const char *s, char **ret)
{
    *ret = s ? strdup(s) : NULL;
    return s && !*ret ? -ENOMEM : 0;
}

/* ---- permissions, as the kernel checks them ---- */

bool mem_may(const struct mem *m, const struct mem_node *n, unsigned want)
{
    mode_t bits = n->attr.mode;

    if (m->uid == 0)
        return true;
    if (n->attr.uid == m->uid)
        bits >>= 6;
    else if (n->attr.gid == m->gid)
        bits >>= 3;
    return (bits & want) == want;
}

static bool owns(const struct mem *m, const struct mem_node *n)
{
    return m->uid == 0 || n->attr.uid == m->uid;
}

static int may_add(const struct mem *m, const struct mem_node *dir)
{
    return mem_may(m, dir, W_OK | X_OK) ? 0 : -EACCES;
}

static int may_remove(const struct mem *m, const struct mem_node *dir, const struct mem_node *n)
{
    if (!mem_may(m, dir, W_OK | X_OK))
        return -EACCES;
    if ((dir->attr.mode & S_ISVTX) && !owns(m, dir) && !owns(m, n))
        return -EPERM;
    return 0;
}

/* ---- paths ---- */

/* The directory that holds the last component, which is left in name. path is not "/". */
static int walk_dir(struct mem *m, const char *path, struct mem_node **ret, const char **ret_name)
{
    struct mem_node *dir = m->root;
    const char *p = path + 1;
    char name[PATH_NAME_MAX + 1];

    for (;;) {
        const size_t len = strcspn(p, "/");
        struct mem_name *e;

        if (!mem_may(m, dir, X_OK))
            return -EACCES;
        if (p[len] == '\0')
            break;
        memcpy(name, p, len); /* remote.c let no longer one through */
        name[len] = '\0';
        e = find_name(dir, name);
        if (!e)
            return -ENOENT;
        if (!S_ISDIR(e->node->attr.mode))
            return -ENOTDIR;
        dir = e->node;
        p += len + 1;
    }
    *ret = dir;
    *ret_name = p;
    return 0;
}

/* Name and directory; *ret_e is NULL if there is no such name. */
static int walk_name(struct mem *m, const char *path, struct mem_node **ret_dir,
                     const char **ret_name, struct mem_name **ret_e)
{
    int r = walk_dir(m, path, ret_dir, ret_name);

    if (r == 0)
        *ret_e = find_name(*ret_dir, *ret_name);
    return r;
}

int mem_walk(struct mem *m, const char *path, struct mem_node **ret)
{
    struct mem_node *dir;
    struct mem_name *e;
    const char *name;
    int r;

    if (path[1] == '\0') {
        *ret = m->root;
        return 0;
    }
    *ret = mem_kept_at(m, path);
    if (*ret)
        return 0;
    r = walk_name(m, path, &dir, &name, &e);
    if (r < 0)
        return r;
    if (!e)
        return -ENOENT;
    *ret = e->node;
    return 0;
}

/* ---- changing ---- */

/* Under a name that must be free. *ret may get data before the lock is dropped. */
int mem_make_node(struct mem *m, const char *path, mode_t mode, const char *target,
                  struct mem_node **ret)
{
    struct mem_node *dir, *n;
    struct mem_name *e;
    const char *name;
    int r;

    r = walk_name(m, path, &dir, &name, &e);
    if (r < 0)
        return r;
    if (e)
        return -EEXIST;
    r = may_add(m, dir);
    if (r < 0)
        return r;
    n = mem_node_new(m, mode);
    r = n ? mem_dup(target, &n->target) : -ENOMEM;
    if (r < 0) {
        if (n)
            mem_node_free(m, n);
        return r;
    }
    if (target)
        n->attr.size = strlen(target);
    if (dir->attr.mode & S_ISGID) {
        n->attr.gid = dir->attr.gid;
        if (S_ISDIR(mode))
            n->attr.mode |= S_ISGID;
    }
    r = add_name(m, dir, name, n);
    if (r < 0) {
        mem_node_free(m, n);
        return r;
    }
    *ret = n;
    return 0;
}

int mem_link_node(struct mem *m, const char *from, const char *to, struct remote_attr *ret)
{
    struct mem_node *dir, *n;
    struct mem_name *e;
    const char *name;
    int r;

    r = mem_walk(m, from, &n);
    if (r == 0)
        r = walk_name(m, to, &dir, &name, &e);
    if (r == 0 && e)
        r = -EEXIST;
    if (r == 0)
        r = may_add(m, dir);
    if (r == 0 && S_ISDIR(n->attr.mode))
        r = -EPERM;
    if (r == 0 && remote_attr_apart(&n->attr, &dir->attr))
        r = -EXDEV;
    if (r == 0)
        r = add_name(m, dir, name, n);
    if (r < 0)
        return r;
    n->attr.nlink++;
    n->attr.ctime_ns = mem_tick(m);
    *ret = n->attr;
    return 0;
}

int mem_remove_name(struct mem *m, const char *path, bool is_dir)
{
    struct mem_node *dir;
    struct mem_name *e;
    const char *name;
    int r;

    r = walk_name(m, path, &dir, &name, &e);
    if (r == 0 && !e)
        r = -ENOENT;
    if (r == 0)
        r = may_remove(m, dir, e->node);
    if (r == 0 && S_ISDIR(e->node->attr.mode) != is_dir)
        r = is_dir ? -ENOTDIR : -EISDIR;
    if (r == 0 && e->node->names)
        r = -ENOTEMPTY;
    if (r == 0)
        drop_name(m, dir, e);
    return r;
}

/* The two names of a rename; to is NULL when the new name is free. */
struct ends {
    struct mem_node *from_dir, *to_dir;
    struct mem_name *from, *to;
    const char *from_name, *to_name;
};

static int walk_ends(struct mem *m, const char *from, const char *to, struct ends *ret)
{
    int r = walk_name(m, from, &ret->from_dir, &ret->from_name, &ret->from);

    return r < 0 ? r : walk_name(m, to, &ret->to_dir, &ret->to_name, &ret->to);
}

/* A directory that gets another parent has its ".." rewritten. */
static int may_move(const struct mem *m, const struct mem_node *from_dir,
                    const struct mem_node *to_dir, const struct mem_node *n)
{
    int r = may_remove(m, from_dir, n);

    if (r == 0 && from_dir != to_dir && S_ISDIR(n->attr.mode) && !mem_may(m, n, W_OK))
        r = -EACCES;
    return r;
}

static int check_rename(const struct mem *m, const struct ends *x)
{
    const struct mem_node *from = x->from->node;
    const struct mem_node *to = x->to ? x->to->node : NULL;
    int r;

    r = may_move(m, x->from_dir, x->to_dir, from);
    if (r < 0)
        return r;
    r = to ? may_remove(m, x->to_dir, to) : may_add(m, x->to_dir);
    if (r < 0 || !to)
        return r;
    if (S_ISDIR(from->attr.mode) && !S_ISDIR(to->attr.mode))
        return -ENOTDIR;
    if (!S_ISDIR(from->attr.mode) && S_ISDIR(to->attr.mode))
        return -EISDIR;
    return to->names ? -ENOTEMPTY : 0;
}

static void exchange(struct mem *m, const struct ends *x)
{
    struct mem_node *a = x->from->node, *b = x->to->node;
    const uint32_t a_dir = S_ISDIR(a->attr.mode), b_dir = S_ISDIR(b->attr.mode);

    x->from->node = b;
    x->to->node = a;
    x->from_dir->attr.nlink += b_dir - a_dir;
    x->to_dir->attr.nlink += a_dir - b_dir;
    dir_changed(m, x->from_dir);
    dir_changed(m, x->to_dir);
    a->attr.ctime_ns = b->attr.ctime_ns = mem_tick(m);
}

static int move(struct mem *m, const struct ends *x)
{
    struct mem_node *n = x->from->node;
    int r;

    if (x->to) { /* both are directories or neither is: the link count of to_dir is right */
        mem_release(m, x->to->node);
        x->to->node = n;
        dir_changed(m, x->to_dir);
    } else {
        r = add_name(m, x->to_dir, x->to_name, n);
        if (r < 0)
            return r;
    }
    take_name(m, x->from_dir, x->from);
    n->attr.ctime_ns = mem_tick(m);
    return 0;
}

int mem_rename_node(struct mem *m, const char *from, const char *to, unsigned flags,
                    struct remote_attr *ret)
{
    struct mem_node *n;
    struct ends x;
    int r;

    r = walk_ends(m, from, to, &x);
    if (r < 0)
        return r;
    if (remote_attr_apart(&x.from_dir->attr, &x.to_dir->attr))
        return -EXDEV;
    if (!x.from)
        return -ENOENT;
    if (x.to && (flags & REMOTE_RENAME_NOREPLACE))
        return -EEXIST;
    if (strcmp(from, to) != 0 && path_is_below(from, to))
        return -ENOTEMPTY;                    /* over one of its own parents */
    if (x.to && x.to->node == x.from->node) { /* two names of one file: POSIX does nothing */
        *ret = x.from->node->attr;
        return 0;
    }
    r = check_rename(m, &x);
    if (r < 0)
        return r;
    n = x.from->node;
    r = move(m, &x);
    if (r == 0)
        *ret = n->attr;
    return r;
}

int mem_exchange_nodes(struct mem *m, const char *from, const char *to, const uint64_t ino[2],
                       struct remote_attr ret[2])
{
    struct ends x;
    int r;

    r = walk_ends(m, from, to, &x);
    if (r < 0)
        return r;
    if (!x.from || !x.to)
        return -ENOENT;
    if (ino && (x.from->node->attr.ino != ino[0] || x.to->node->attr.ino != ino[1]))
        return -ESTALE;
    r = may_move(m, x.from_dir, x.to_dir, x.from->node);
    if (r == 0)
        r = may_move(m, x.to_dir, x.from_dir, x.to->node);
    if (r < 0)
        return r;
    exchange(m, &x);
    ret[0] = x.from->node->attr;
    ret[1] = x.to->node->attr;
    return 0;
}

/* A file in place of n, under the same name, as an upload and a rename over it would leave it. */
static int replace_node(struct mem *m, struct mem_node *dir, struct mem_name *e,
                        struct mem_data *data, struct mem_node **ret)
{
    struct mem_node *old = e->node, *n = mem_node_new(m, old->attr.mode);

    if (!n)
        return -ENOMEM;
    n->attr.uid = old->attr.uid;
    n->attr.gid = old->attr.gid;
    n->attr.mount = old->attr.mount;
    e->node = n;
    mem_release(m, old);
    dir_changed(m, dir);
    n->data = *data;
    *ret = n;
    return 0;
}

int mem_put_node(struct mem *m, const char *path, const struct remote_put *put,
                 struct mem_data *data, struct mem_node **ret)
{
    struct mem_node *dir, *n;
    struct mem_name *e;
    const char *name;
    int r;

    r = walk_name(m, path, &dir, &name, &e);
    if (r < 0)
        return r;
    if (!e) {
        r = mem_make_node(m, path, S_IFREG | (put->replace ? put->replace->mode & 07777 : 0644),
                          NULL, &n);
        if (r < 0)
            return r;
        n->data = *data;
        *ret = n;
        return 0;
    }
    n = e->node;
    if (!S_ISREG(n->attr.mode))
        return S_ISDIR(n->attr.mode) ? -EISDIR : -EINVAL;
    /* As remote_plain: several names, or an owner that a new file would not have, go in place. */
    if (n->attr.nlink == 1 && (m->uid == 0 || (n->attr.uid == m->uid && n->attr.gid == m->gid)) &&
        may_remove(m, dir, n) == 0)
        return replace_node(m, dir, e, data, ret);
    if (!mem_may(m, n, W_OK))
        return -EACCES;
    mem_data_done(&n->data);
    n->data = *data;
    *ret = n;
    return 0;
}

static int check_setattr(const struct mem *m, const struct mem_node *n,
                         const struct remote_setattr *set)
{
    const mode_t mode = n->attr.mode;

    if ((set->mask & REMOTE_SET_MODE) && S_ISLNK(mode))
        return -EOPNOTSUPP;
    if ((set->mask & REMOTE_SET_SIZE) && !S_ISREG(mode))
        return S_ISDIR(mode) ? -EISDIR : -EINVAL;
    if ((set->mask & REMOTE_SET_SIZE) && !mem_may(m, n, W_OK))
        return -EACCES;
    if ((set->mask & ~REMOTE_SET_SIZE) && !owns(m, n))
        return -EPERM;
    if (m->uid == 0)
        return 0;
    if ((set->mask & REMOTE_SET_UID) && set->attr.uid != n->attr.uid)
        return -EPERM;
    if ((set->mask & REMOTE_SET_GID) && set->attr.gid != n->attr.gid && set->attr.gid != m->gid)
        return -EPERM;
    return 0;
}

static void change_owner(struct mem_node *n, const struct remote_setattr *set)
{
    if (set->mask & REMOTE_SET_UID)
        n->attr.uid = set->attr.uid;
    if (set->mask & REMOTE_SET_GID)
        n->attr.gid = set->attr.gid;
    if (!S_ISREG(n->attr.mode))
        return;
    n->attr.mode &= ~(mode_t)S_ISUID;
    if (n->attr.mode & S_IXGRP)
        n->attr.mode &= ~(mode_t)S_ISGID;
}

static void apply_setattr(struct mem *m, struct mem_node *n, const struct remote_setattr *set)
{
    n->attr.ctime_ns = mem_tick(m);
    if (set->mask & (REMOTE_SET_UID | REMOTE_SET_GID))
        change_owner(n, set);
    if (set->mask & REMOTE_SET_MODE) {
        n->attr.mode = (n->attr.mode & S_IFMT) | (set->attr.mode & 07777);
        if (m->uid != 0 && n->attr.gid != m->gid)
            n->attr.mode &= ~(mode_t)S_ISGID;
    }
    if (set->mask & REMOTE_SET_SIZE) {
        mem_data_resize(&n->data, set->attr.size);
        n->attr.size = set->attr.size;
        n->attr.mtime_ns = n->attr.ctime_ns;
    }
    if (set->mask & REMOTE_SET_ATIME)
        n->attr.atime_ns = set->attr.atime_ns;
    if (set->mask & REMOTE_SET_MTIME)
        n->attr.mtime_ns = set->attr.mtime_ns;
}

int mem_set_node(struct mem *m, struct mem_node *n, const struct remote_setattr *set)
{
    int r = check_setattr(m, n, set);

    if (r == 0 && set->mask)
        apply_setattr(m, n, set);
    return r;
}
