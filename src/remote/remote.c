#include "remote/remote.h"

#include "util/array.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool same_or_unknown(uint64_t a, uint64_t b)
{
    return a == 0 || b == 0 || a == b;
}

bool remote_attr_same(const struct remote_attr *a, const struct remote_attr *b)
{
    return (a->mode & S_IFMT) == (b->mode & S_IFMT) && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && same_or_unknown(a->dev, b->dev) &&
           same_or_unknown(a->ino, b->ino) && !remote_attr_reborn(a, b) &&
           same_or_unknown((uint64_t)a->ctime_ns, (uint64_t)b->ctime_ns);
}

bool remote_attr_same_object(const struct remote_attr *a, const struct remote_attr *b)
{
    return a->ino == b->ino && same_or_unknown(a->dev, b->dev) &&
           (a->mode & S_IFMT) == (b->mode & S_IFMT) && !remote_attr_reborn(a, b);
}

void remote_list_done(struct remote_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->v[i].name);
        free(list->v[i].target);
    }
    free(list->v);
    memset(list, 0, sizeof(*list));
}

void remote_info_done(struct remote_info *info)
{
    free(info->work_dir);
    free(info->home_dir);
    free(info->daemon_version);
    free(info->shell);
    free(info->kept_dir);
    memset(info, 0, sizeof(*info));
}

int remote_caps_text(unsigned caps, struct buf *out)
{
    /* clang-format off */
    static const struct {
        enum remote_cap cap;
        const char *name, *without;
    } rows[] = {
        {REMOTE_CAP_EXEC,     "exec",     "no command can be run in the sandbox"},
        {REMOTE_CAP_LSTAT,    "lstat",    "links look like their targets; dangling ones and names "
                                          "that are not UTF-8 are not seen"},
        {REMOTE_CAP_LINKS,    "links",    "no symbolic or hard link can be made"},
        {REMOTE_CAP_REPLACE,  "replace",  "files are rewritten in place: a reader in the sandbox "
                                          "may see half of one"},
        {REMOTE_CAP_RMDIR,    "rmdir",    "directories cannot be removed"},
        {REMOTE_CAP_TOUCH,    "touch",    "times cannot be set"},
        {REMOTE_CAP_TIMES,    "times",    "times are set in whole seconds, if at all"},
        {REMOTE_CAP_TRUNCATE, "truncate", "a size is set by sending the whole file"},
        {REMOTE_CAP_STATFS,   "statfs",   "free space is not known"},
        {REMOTE_CAP_EXCHANGE, "exchange", "two names cannot be swapped in one step"},
        {REMOTE_CAP_TREE,     "tree",     "a tree is listed one directory at a time"},
        {REMOTE_CAP_JOBS,     "jobs",     "commands end with whoever runs them: there are no jobs"},
        {REMOTE_CAP_APPLY,    "apply",    "changes are made one by one, while their caller waits"},
        {REMOTE_CAP_CHANGES,  "changes",  "what has changed is found by asking for everything"},
    };
    /* clang-format on */
    int r;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (caps & rows[i].cap)
            r = buf_printf(out, "%s yes\n", rows[i].name);
        else
            r = buf_printf(out, "%s no: %s\n", rows[i].name, rows[i].without);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A backend may build commands from a path: what is not absolute and resolved ends here. */
static int check_path(const char *path)
{
    size_t len;

    if (!path || path[0] != '/')
        return -EINVAL;
    if (strlen(path) > PATH_LEN_MAX)
        return -ENAMETOOLONG;
    if (path[1] == '\0')
        return 0;
    for (const char *p = path; *p == '/'; p += len) {
        p++;
        len = strcspn(p, "/");
        if (len > PATH_NAME_MAX)
            return -ENAMETOOLONG;
        if (!path_name_valid(p, len))
            return -EINVAL;
    }
    return 0;
}

static int check_two(const char *a, const char *b)
{
    int r = check_path(a);

    return r < 0 ? r : check_path(b);
}

static bool is_root(const char *path)
{
    return path[1] == '\0';
}

const char *remote_name(const struct remote *r)
{
    return r->ops->name;
}

int remote_info(struct remote *r, struct remote_info *ret)
{
    return r->ops->info ? r->ops->info(r, ret) : -EOPNOTSUPP;
}

int remote_stat(struct remote *r, const char *path, struct remote_attr *ret, char **ret_target)
{
    struct remote_attr attr;
    char *target = NULL;
    int err = check_path(path);

    if (err < 0)
        return err;
    if (!r->ops->stat)
        return -EOPNOTSUPP;
    err = r->ops->stat(r, path, &attr, ret_target ? &target : NULL);
    if (err < 0)
        return err;
    if (ret)
        *ret = attr;
    if (ret_target)
        *ret_target = target;
    return 0;
}

int remote_list(struct remote *r, const char *path, unsigned depth, size_t max,
                struct remote_list *ret)
{
    int err = check_path(path);

    if (err < 0)
        return err;
    if (depth == 0)
        return -EINVAL;
    return r->ops->list ? r->ops->list(r, path, depth, max, ret) : -EOPNOTSUPP;
}

/* Relative and resolved, so that it stays below the root by its form alone. */
static int check_below(const char *path)
{
    size_t len;

    if (path[0] == '\0')
        return 0;
    for (;; path += len + 1) {
        len = strcspn(path, "/");
        if (len > PATH_NAME_MAX)
            return -ENAMETOOLONG;
        if (!path_name_valid(path, len))
            return -EINVAL;
        if (path[len] == '\0')
            return 0;
    }
}

static int check_ask(const struct remote_ask *ask)
{
    int r = check_path(ask->root);

    if (r == 0 && ask->path_count > REMOTE_PATHS_MAX)
        r = -E2BIG;
    for (size_t i = 0; i < ask->path_count && r == 0; i++)
        r = check_below(ask->paths[i]);
    return r;
}

int remote_tree(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    const int err = check_ask(ask);

    if (err < 0)
        return err;
    return r->ops->tree ? r->ops->tree(r, ask, ret) : -EOPNOTSUPP;
}

int remote_changes(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    const int err = check_ask(ask);

    if (err < 0)
        return err;
    return r->ops->changes ? r->ops->changes(r, ask, ret) : -EOPNOTSUPP;
}

int remote_fetch(struct remote *r, const char *path, const struct remote_attr *expect, uint64_t off,
                 uint64_t len, int fd, uint64_t *ret_len)
{
    uint64_t got;
    int err = check_path(path);

    if (err < 0)
        return err;
    if (off > INT64_MAX)
        return -EINVAL;
    if (expect && S_ISDIR(expect->mode))
        return -EISDIR;
    if (expect && !S_ISREG(expect->mode))
        return -EINVAL; /* a FIFO would hang the service, a device may never end */
    if (!r->ops->fetch)
        return -EOPNOTSUPP;
    if (len > INT64_MAX - off)
        len = INT64_MAX - off;
    err = r->ops->fetch(r, path, expect, off, len, fd, &got);
    if (err == 0 && ret_len)
        *ret_len = got;
    return err;
}

static int check_want(const struct remote_want *w)
{
    const int err = check_path(w->path);

    if (err < 0)
        return err;
    if (S_ISDIR(w->expect->mode))
        return -EISDIR;
    return S_ISREG(w->expect->mode) ? 0 : -EINVAL;
}

int remote_fetch_many(struct remote *r, const struct remote_many *many)
{
    if (!r->ops->fetch_many)
        return -EOPNOTSUPP;
    for (size_t i = 0; i < many->count; i++) {
        const int err = check_want(&many->v[i]);

        if (err < 0)
            return err;
        many->v[i].err = -EAGAIN;
    }
    return many->count > 0 ? r->ops->fetch_many(r, many) : 0;
}

int remote_snapshot(struct remote *r, const char *path, size_t max, struct buf *out,
                    struct remote_attr *ret)
{
    const size_t start = out->len;
    struct remote_attr attr;
    int err = check_path(path);

    if (err == 0)
        err = r->ops->snapshot ? r->ops->snapshot(r, path, max, out, &attr) : -EOPNOTSUPP;
    if (err < 0)
        buf_truncate(out, start);
    else
        *ret = attr;
    return err;
}

/* Backends always get somewhere to put the attributes; the caller only gets them on success. */
static int give_attr(int err, const struct remote_attr *attr, struct remote_attr *ret)
{
    if (err == 0 && ret)
        *ret = *attr;
    return err;
}

int remote_create(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    struct remote_attr attr;
    int err = check_path(path);

    if (err < 0)
        return err;
    if (is_root(path))
        return -EEXIST;
    if (!r->ops->create)
        return -EOPNOTSUPP;
    return give_attr(r->ops->create(r, path, mode & 07777, &attr), &attr, ret);
}

int remote_put(struct remote *r, const char *path, const struct remote_put *put,
               struct remote_attr *ret)
{
    struct remote_attr attr;
    int err = check_path(path);

    if (err < 0)
        return err;
    if (is_root(path) || (put->replace && S_ISDIR(put->replace->mode)))
        return -EISDIR;
    if (put->replace && !S_ISREG(put->replace->mode))
        return -EINVAL;
    if (put->size > INT64_MAX)
        return -EFBIG;
    if (!r->ops->put)
        return -EOPNOTSUPP;
    return give_attr(r->ops->put(r, path, put, &attr), &attr, ret);
}

int remote_mkdir(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    struct remote_attr attr;
    int err = check_path(path);

    if (err < 0)
        return err;
    if (is_root(path))
        return -EEXIST;
    if (!r->ops->mkdir)
        return -EOPNOTSUPP;
    return give_attr(r->ops->mkdir(r, path, mode & 07777, &attr), &attr, ret);
}

int remote_symlink(struct remote *r, const char *target, const char *path, struct remote_attr *ret)
{
    struct remote_attr attr;
    int err = check_path(path);

    if (err < 0)
        return err;
    if (target[0] == '\0')
        return -ENOENT;
    if (strlen(target) > PATH_LEN_MAX)
        return -ENAMETOOLONG;
    if (is_root(path))
        return -EEXIST;
    if (!r->ops->symlink)
        return -EOPNOTSUPP;
    return give_attr(r->ops->symlink(r, target, path, &attr), &attr, ret);
}

int remote_link(struct remote *r, const char *from, const char *to, struct remote_attr *ret)
{
    struct remote_attr attr;
    int err = check_two(from, to);

    if (err < 0)
        return err;
    if (is_root(to))
        return -EEXIST;
    if (is_root(from))
        return -EPERM;
    if (!r->ops->link)
        return -EOPNOTSUPP;
    return give_attr(r->ops->link(r, from, to, &attr), &attr, ret);
}

int remote_unlink(struct remote *r, const char *path)
{
    int err = check_path(path);

    if (err < 0)
        return err;
    if (is_root(path))
        return -EISDIR;
    return r->ops->unlink ? r->ops->unlink(r, path) : -EOPNOTSUPP;
}

int remote_rmdir(struct remote *r, const char *path)
{
    int err = check_path(path);

    if (err < 0)
        return err;
    if (is_root(path))
        return -EBUSY;
    return r->ops->rmdir ? r->ops->rmdir(r, path) : -EOPNOTSUPP;
}

int remote_rename(struct remote *r, const char *from, const char *to, unsigned flags,
                  struct remote_attr *ret)
{
    struct remote_attr attr;
    int err = check_two(from, to);

    if (err < 0)
        return err;
    if (flags & ~(unsigned)REMOTE_RENAME_NOREPLACE)
        return -EINVAL;
    if (is_root(from) || is_root(to))
        return -EBUSY;
    /* The service would destroy what is moved below itself: no backend ever gets to ask. */
    if (strcmp(from, to) != 0 && path_is_below(to, from))
        return -EINVAL;
    if (!r->ops->rename)
        return -EOPNOTSUPP;
    return give_attr(r->ops->rename(r, from, to, flags, &attr), &attr, ret);
}

int remote_exchange(struct remote *r, const char *from, const char *to, const uint64_t ino[2],
                    struct remote_attr ret[2])
{
    struct remote_attr attr[2];
    int err = check_two(from, to);

    if (err < 0)
        return err;
    if (is_root(from) || is_root(to))
        return -EBUSY;
    if (path_is_below(to, from) || path_is_below(from, to) || ino[0] == 0 || ino[1] == 0)
        return -EINVAL;
    if (!r->ops->exchange)
        return -EOPNOTSUPP;
    err = r->ops->exchange(r, from, to, ino, attr);
    if (err == 0)
        memcpy(ret, attr, sizeof(attr));
    return err;
}

int remote_setattr(struct remote *r, const char *path, const struct remote_setattr *set,
                   struct remote_attr *ret)
{
    struct remote_attr attr;
    int err = check_path(path);

    if (err < 0)
        return err;
    if ((set->mask & REMOTE_SET_SIZE) && set->attr.size > INT64_MAX)
        return -EFBIG;
    if (!r->ops->setattr)
        return -EOPNOTSUPP;
    return give_attr(r->ops->setattr(r, path, set, &attr), &attr, ret);
}

int remote_statfs(struct remote *r, const char *path, struct remote_statfs *ret)
{
    int err = check_path(path);

    if (err < 0)
        return err;
    return r->ops->statfs ? r->ops->statfs(r, path, ret) : -EOPNOTSUPP;
}

int remote_exec(struct remote *r, const struct remote_exec *exec, struct buf *out, int *ret_exit)
{
    int err = check_path(exec->cwd);

    if (err < 0)
        return err;
    if (exec->after)
        exec->after->answered = false;
    return r->ops->exec ? r->ops->exec(r, exec, out, ret_exit) : -EOPNOTSUPP;
}

struct remote *remote_free(struct remote *r)
{
    if (r)
        r->ops->free(r);
    return NULL;
}

static __thread bool in_background;

bool remote_bind_background(bool background)
{
    const bool before = in_background;

    in_background = background;
    return before;
}

bool remote_in_background(void)
{
    return in_background;
}

static __thread bool optional_now;

bool remote_bind_optional(bool optional)
{
    const bool before = optional_now;

    optional_now = optional;
    return before;
}

bool remote_is_optional(void)
{
    return optional_now;
}
