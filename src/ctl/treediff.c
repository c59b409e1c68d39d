#include "ctl/treediff.h"

#include "util/buf.h"
#include "util/path.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* No entry. DELETED: and it must not be found to be one, as its place is taken by something else.
 */
enum { NONE = -1, DELETED = -2 };

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tree_entry *)a)->name, ((const struct tree_entry *)b)->name);
}

void tree_sort(struct tree *t)
{
    size_t kept = 0;

    if (t->count == 0)
        return;
    qsort(t->v, t->count, sizeof(t->v[0]), by_name);
    for (size_t i = 1; i < t->count; i++)
        if (strcmp(t->v[i].name, t->v[kept].name) != 0)
            t->v[++kept] = t->v[i];
    t->count = kept + 1;
}

static ssize_t find_n(const struct tree *t, const char *name, size_t len)
{
    size_t low = 0, high = t->count;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        int c = strncmp(t->v[mid].name, name, len);

        if (c == 0)
            c = t->v[mid].name[len] ? 1 : 0;
        if (c == 0)
            return (ssize_t)mid;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NONE;
}

/* The differences while they are being sorted out. Indexes into the two trees; NONE: none. */
struct diff {
    const struct tree *before, *after;
    ssize_t *old_of; /* for each entry of after: what it was before */
    ssize_t *new_of; /* for each entry of before: what became of it */
    bool *along;     /* for each entry of after: renamed only because its directory was */
    size_t *gone;    /* names that are no longer there, by identity */
    size_t gone_count;
};

static bool same_object(const struct remote_attr *a, const struct remote_attr *b)
{
    return a->ino != 0 && remote_attr_same_object(a, b);
}

/* Inode numbers are soon used again, so a number alone does not tell a rename from a deletion and
 * a creation. */
static bool moved(const struct remote_attr *a, const struct remote_attr *b)
{
    return same_object(a, b) && a->mtime_ns == b->mtime_ns &&
           (S_ISDIR(a->mode) || a->size == b->size);
}

/* A directory's times change with its entries, which have lines of their own. */
static bool modified(const struct tree_entry *old, const struct tree_entry *now)
{
    const struct remote_attr *a = old->attr, *b = now->attr;

    if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid)
        return true;
    if (S_ISDIR(a->mode))
        return false;
    if (a->size != b->size || a->mtime_ns != b->mtime_ns || a->rdev != b->rdev)
        return true;
    /* A new name is a new ctime, and says nothing more. */
    return strcmp(old->name, now->name) == 0 &&
           (a->ctime_ns != b->ctime_ns || a->ino != b->ino || a->dev != b->dev);
}

static int by_identity(const void *a, const void *b, void *arg)
{
    const struct tree *before = arg;
    const struct remote_attr *x = before->v[*(const size_t *)a].attr;
    const struct remote_attr *y = before->v[*(const size_t *)b].attr;

    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Entry i of after came by the renaming of its directory: it had the same name there before. */
static bool moved_along(struct diff *d, size_t i)
{
    const struct tree_entry *e = &d->after->v[i];
    const char *base = path_base(e->name);
    const struct tree_entry *old_dir;
    struct buf name = BUF_INIT(2 * PATH_MAX);
    ssize_t dir, old;

    if (base == e->name)
        return false;
    dir = find_n(d->after, e->name, (size_t)(base - 1 - e->name));
    if (dir < 0 || d->old_of[dir] < 0)
        return false;
    old_dir = &d->before->v[d->old_of[dir]];
    if (strcmp(old_dir->name, d->after->v[dir].name) == 0)
        return false;
    if (buf_printf(&name, "%s/%s", old_dir->name, base) < 0) {
        buf_done(&name);
        return false; /* then it is a deletion and a creation */
    }
    old = find_n(d->before, name.data, name.len);
    buf_done(&name);
    if (old < 0 || d->new_of[old] != NONE)
        return false;
    if ((d->before->v[old].attr->mode & S_IFMT) != (e->attr->mode & S_IFMT)) {
        d->new_of[old] = DELETED;
        return false;
    }
    d->old_of[i] = old;
    d->new_of[old] = (ssize_t)i;
    d->along[i] = true;
    return true;
}

/* Entry i of after is new: finds the name that it had. */
static void find_rename(struct diff *d, size_t i)
{
    const struct remote_attr *a = d->after->v[i].attr;
    size_t low = 0, high = d->gone_count;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const struct remote_attr *b = d->before->v[d->gone[mid]].attr;

        if (b->dev < a->dev || (b->dev == a->dev && b->ino < a->ino))
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < d->gone_count; low++) {
        const size_t old = d->gone[low];

        if (!same_object(d->before->v[old].attr, a))
            return;
        if (d->new_of[old] == NONE && moved(d->before->v[old].attr, a)) {
            d->old_of[i] = (ssize_t)old;
            d->new_of[old] = (ssize_t)i;
            return;
        }
    }
}

/* Same name, same kind of thing: one continues the other, even where it was replaced. */
static void match_names(struct diff *d)
{
    for (size_t i = 0; i < d->after->count; i++)
        d->old_of[i] = NONE;
    for (size_t i = 0, k = 0; i < d->before->count; i++) {
        const struct tree_entry *e = &d->before->v[i];

        d->new_of[i] = NONE;
        while (k < d->after->count && strcmp(d->after->v[k].name, e->name) < 0)
            k++;
        if (k == d->after->count || strcmp(d->after->v[k].name, e->name) != 0) {
            d->gone[d->gone_count++] = i;
        } else if ((d->after->v[k].attr->mode & S_IFMT) == (e->attr->mode & S_IFMT)) {
            d->new_of[i] = (ssize_t)k;
            d->old_of[k] = (ssize_t)i;
        } /* else a deletion and a creation: never a rename, whose old name would be taken again */
    }
    qsort_r(d->gone, d->gone_count, sizeof(d->gone[0]), by_identity, (void *)d->before);
}

/* A file that was renamed over another one: the name stayed, the object is one that had a name
 * that is gone. Directories are left alone: what is in them is told name by name. */
static void find_replacement(struct diff *d, size_t i)
{
    const ssize_t old = d->old_of[i];
    const struct remote_attr *a = d->after->v[i].attr;

    if (S_ISDIR(a->mode) || same_object(d->before->v[old].attr, a))
        return;
    d->old_of[i] = NONE;
    find_rename(d, i);
    if (d->old_of[i] < 0)
        d->old_of[i] = old;
    /* else: what was there before is gone without a line of its own; new_of[old] still says i */
}

static int report(const struct diff *d, tree_fn fn, void *arg)
{
    const bool cut = d->before->cut || d->after->cut;
    int r = 0;

    for (size_t i = cut ? 0 : d->before->count; i-- > 0 && r >= 0;)
        if (d->new_of[i] < 0)
            r = fn(arg, TREE_DELETE, d->before->v[i].name, NULL);
    for (size_t i = 0; i < d->after->count && r >= 0 && !cut; i++) {
        const char *name = d->after->v[i].name;
        const char *old = d->old_of[i] < 0 ? NULL : d->before->v[d->old_of[i]].name;

        if (!old)
            r = fn(arg, TREE_CREATE, name, NULL);
        else if (strcmp(old, name) != 0 && !d->along[i])
            r = fn(arg, TREE_RENAME, old, name);
    }
    for (size_t i = 0; i < d->after->count && r >= 0; i++)
        if (d->old_of[i] >= 0 && modified(&d->before->v[d->old_of[i]], &d->after->v[i]))
            r = fn(arg, TREE_MODIFY, d->after->v[i].name, NULL);
    return r;
}

int tree_diff(const struct tree *before, const struct tree *after, tree_fn fn, void *arg)
{
    struct diff d = {.before = before, .after = after};
    int r = -ENOMEM;

    d.old_of = calloc(after->count + 1, sizeof(d.old_of[0]));
    d.along = calloc(after->count + 1, sizeof(d.along[0]));
    d.new_of = calloc(before->count + 1, sizeof(d.new_of[0]));
    d.gone = calloc(before->count + 1, sizeof(d.gone[0]));
    if (!d.old_of || !d.along || !d.new_of || !d.gone)
        goto out;
    match_names(&d);
    if (!before->cut && !after->cut) {
        for (size_t i = 0; i < after->count; i++) /* parents come first: moved_along needs that */
            if (d.old_of[i] >= 0)
                find_replacement(&d, i);
            else if (!moved_along(&d, i))
                find_rename(&d, i);
    }
    r = report(&d, fn, arg);
out:
    free(d.old_of);
    free(d.along);
    free(d.new_of);
    free(d.gone);
    return r;
}
