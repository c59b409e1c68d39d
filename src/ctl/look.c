/* Two ways to see differences: the sandbox tells them, or its tree is listed again and compared. */
#include "ctl/look.h"

#include "ctl/ctl_internal.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 100000, DEPTH_MAX = 1000 };

/* One listing, in the form that can be compared. */
struct scan {
    struct remote_list list;
    struct tree tree; /* points into list */
};

struct look {
    struct fs *fs;
    char *path;
    struct fs_watch *watch; /* NULL: listed again and again */
    unsigned depth;
    struct scan *before; /* NULL at first */
    bool cut;
};

/* ---- listing ---- */

static struct scan *scan_free(struct scan *s)
{
    if (s) {
        remote_list_done(&s->list);
        free(s->tree.v);
        free(s);
    }
    return NULL;
}

static int tree_of_dir(struct scan *s)
{
    s->tree.v = calloc(s->list.count + 1, sizeof(s->tree.v[0]));
    if (!s->tree.v)
        return -ENOMEM;
    s->tree.v[s->tree.count++] = (struct tree_entry){.name = "", .attr = &s->list.self};
    for (size_t i = 0; i < s->list.count; i++)
        s->tree.v[s->tree.count++] =
            (struct tree_entry){.name = s->list.v[i].name, .attr = &s->list.v[i].attr};
    s->tree.cut = s->list.cut;
    tree_sort(&s->tree);
    return 0;
}

/* What is no directory is looked at through its parent. */
static int tree_of_file(struct look *l, struct scan *s)
{
    char *parent = path_dir(l->path);
    int r;

    if (!parent)
        return -ENOMEM;
    r = fs_scan(l->fs, parent, 1, ENTRIES_MAX, &s->list);
    free(parent);
    if (r < 0)
        return r;
    s->tree.v = calloc(1, sizeof(s->tree.v[0]));
    if (!s->tree.v)
        return -ENOMEM;
    for (size_t i = 0; i < s->list.count && s->tree.count == 0; i++)
        if (strcmp(s->list.v[i].name, path_base(l->path)) == 0)
            s->tree.v[s->tree.count++] =
                (struct tree_entry){.name = "", .attr = &s->list.v[i].attr};
    s->tree.cut = s->list.cut && s->tree.count == 0;
    return 0;
}

static int list(struct look *l, struct scan **ret)
{
    struct scan *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    r = fs_scan(l->fs, l->path, l->depth, ENTRIES_MAX, &s->list);
    if (r == -EOPNOTSUPP && l->depth > 1) {
        l->depth = 1; /* this sandbox cannot list a tree at once */
        r = fs_scan(l->fs, l->path, l->depth, ENTRIES_MAX, &s->list);
    }
    if (r == 0)
        r = tree_of_dir(s);
    else if (r == -ENOTDIR)
        r = tree_of_file(l, s);
    if (r == -ENOENT || r == -ENOTDIR)
        r = 0; /* it is not there: an empty tree */
    if (r < 0)
        scan_free(s);
    else
        *ret = s;
    return r;
}

static int list_and_compare(struct look *l, tree_fn fn, void *arg, bool *ret_overflow)
{
    struct scan *now = NULL;
    int r = list(l, &now);

    if (r < 0)
        return r;
    if (l->before) {
        r = tree_diff(&l->before->tree, &now->tree, fn, arg);
        /* Of a cut listing only what it shows is known, so this is said once. */
        *ret_overflow = r < 0 || (now->tree.cut && !l->before->tree.cut);
    }
    l->cut = now->tree.cut;
    scan_free(l->before);
    l->before = now;
    return r;
}

/* ---- being told ---- */

static int tree_of_news(const struct fs_watch_entry *v, size_t count, struct tree *ret)
{
    *ret = (struct tree){.v = calloc(count + 1, sizeof(ret->v[0])), .count = count};
    if (!ret->v)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        ret->v[i] = (struct tree_entry){.name = v[i].name, .attr = v[i].attr};
    tree_sort(ret);
    return 0;
}

static int await_news(struct look *l, int64_t wait_ns, tree_fn fn, void *arg, bool *ret_overflow)
{
    struct tree before = {0}, after = {0};
    struct fs_watch_news news;
    int r = fs_watch_next(l->watch, wait_ns, &news);

    if (r < 0)
        return r;
    r = tree_of_news(news.before, news.before_count, &before);
    if (r == 0)
        r = tree_of_news(news.after, news.after_count, &after);
    if (r == 0)
        r = tree_diff(&before, &after, fn, arg);
    free(before.v);
    free(after.v);
    l->cut = news.cut;
    *ret_overflow = r < 0 || news.overflow;
    return r;
}

/* ---- both ---- */

int look_new(struct ctl *ctl, const char *path, struct look **ret)
{
    struct look *l = calloc(1, sizeof(*l));
    int r;

    if (!l)
        return -ENOMEM;
    l->fs = ctl->fs;
    l->path = strdup(path);
    l->depth = DEPTH_MAX;
    r = l->path ? fs_watch_new(l->fs, path, ENTRIES_MAX, &l->watch) : -ENOMEM;
    if (r == -EOPNOTSUPP)
        r = 0;
    if (r < 0)
        look_free(l);
    else
        *ret = l;
    return r;
}

struct look *look_free(struct look *l)
{
    if (l) {
        fs_watch_free(l->watch);
        scan_free(l->before);
        free(l->path);
        free(l);
    }
    return NULL;
}

bool look_waits(const struct look *l)
{
    return l->watch != NULL;
}

bool look_cut(const struct look *l)
{
    return l->cut;
}

bool look_is_flat(const struct look *l)
{
    return l->depth == 1;
}

int look_next(struct look *l, int64_t wait_ns, tree_fn fn, void *arg, bool *ret_overflow)
{
    *ret_overflow = false;
    return l->watch ? await_news(l, wait_ns, fn, arg, ret_overflow)
                    : list_and_compare(l, fn, arg, ret_overflow);
}
