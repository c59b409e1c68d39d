#include "fs/seen.h"

#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- directories ---- */

static struct seen_dir *seen_free(struct seen_dir *d)
{
    if (d) {
        free(d->path);
        free(d->names);
        free(d->v);
        free(d);
    }
    return NULL;
}

struct seen_dir *seen_find(const struct seen *s, const char *path)
{
    struct seen_dir *d;

    HASH_FIND(hh, s->dirs, path, strlen(path), d);
    return d;
}

void seen_add(struct seen *s, struct seen_dir *d)
{
    HASH_ADD_KEYPTR(hh, s->dirs, d->path, strlen(d->path), d);
    s->count += d->count;
    s->changed = true;
}

/* Not forgotten before the news that still speak of it. */
void seen_retire(struct seen *s, struct seen_dir *d)
{
    HASH_DELETE(hh, s->dirs, d);
    s->count -= d->count;
    s->changed = true;
    d->next = s->old;
    s->old = d;
}

char *seen_below(const char *dir, const char *name)
{
    return *dir && *name ? path_join(dir, name) : strdup(*dir ? dir : name);
}

/* Of entries borrowed from a tree, or from an older look, in order. */
static struct seen_dir *seen_new(const char *path, const struct remote_attr *self,
                                 const struct seen_entry *v, size_t count)
{
    struct seen_dir *d = calloc(1, sizeof(*d));
    size_t bytes = 1;
    char *p;

    if (!d)
        return NULL;
    for (size_t i = 0; i < count; i++)
        bytes += strlen(v[i].name) + 1;
    d->path = strdup(path);
    d->self = *self;
    d->v = calloc(count + 1, sizeof(*d->v));
    d->names = p = malloc(bytes);
    if (!d->path || !d->v || !d->names)
        return seen_free(d);
    for (; d->count < count; d->count++) {
        d->v[d->count] = (struct seen_entry){.name = p, .attr = v[d->count].attr};
        p = stpcpy(p, v[d->count].name) + 1;
    }
    return d;
}

/* d of t as it is now; was (may be NULL) is what it was. */
struct seen_dir *seen_next(const char *path, const struct seen_dir *was,
                           const struct remote_tree *t, const struct remote_dir *d)
{
    const size_t was_count = d->whole || !was ? 0 : was->count;
    struct seen_entry *v = calloc(was_count + d->count + 1, sizeof(*v));
    struct seen_dir *ret = NULL;
    size_t n = 0, i = 0, k = 0;

    if (!v)
        return NULL;
    while (i < was_count || k < d->count) {
        const struct remote_entry *e = k < d->count ? &t->v[d->first + k] : NULL;
        const int c = i == was_count ? 1 : !e ? -1 : strcmp(was->v[i].name, e->name);

        if (c < 0)
            v[n++] = was->v[i];
        else
            v[n++] = (struct seen_entry){.name = e->name, .attr = e->attr};
        i += c <= 0;
        k += c >= 0;
    }
    ret = seen_new(path, &d->self, v, n);
    free(v);
    return ret;
}

/* ---- news ---- */

void seen_drop_news(struct seen *s)
{
    struct seen_dir *d;

    while ((d = s->old) != NULL) {
        s->old = d->next;
        seen_free(d);
    }
    while (s->name_count > 0)
        free(s->names[--s->name_count]);
    s->before_count = s->after_count = 0;
}

int seen_tell(struct seen *s, bool after, const char *dir, const char *name,
              const struct remote_attr *attr)
{
    struct fs_watch_entry **v = after ? &s->after : &s->before;
    size_t *count = after ? &s->after_count : &s->before_count;
    size_t *cap = after ? &s->after_cap : &s->before_cap;
    char *full;

    if (*count == *cap) {
        const size_t n = *cap ? 2 * *cap : 64;
        struct fs_watch_entry *p = realloc(*v, n * sizeof(*p));

        if (!p)
            return -ENOMEM;
        *v = p;
        *cap = n;
    }
    if (s->name_count == s->name_cap) {
        const size_t n = s->name_cap ? 2 * s->name_cap : 64;
        char **p = realloc(s->names, n * sizeof(*p));

        if (!p)
            return -ENOMEM;
        s->names = p;
        s->name_cap = n;
    }
    full = seen_below(dir, name);
    if (!full)
        return -ENOMEM;
    s->names[s->name_count++] = full;
    (*v)[(*count)++] = (struct fs_watch_entry){.name = full, .attr = attr};
    return 0;
}

int seen_tell_all(struct seen *s, bool after, const struct seen_dir *d)
{
    int r = *d->path ? 0 : seen_tell(s, after, "", "", &d->self);

    for (size_t i = 0; i < d->count && r == 0; i++)
        r = seen_tell(s, after, d->path, d->v[i].name, &d->v[i].attr);
    return r;
}

bool seen_same(const struct remote_attr *a, const struct remote_attr *b)
{
    return remote_attr_same(a, b) && remote_attr_same_object(a, b) && a->mode == b->mode &&
           a->uid == b->uid && a->gid == b->gid && a->rdev == b->rdev &&
           a->ctime_ns == b->ctime_ns && a->mtime_ns == b->mtime_ns && a->size == b->size;
}

/* ---- what goes, what comes ---- */

/* Every directory at and below path goes from what is known, as something that was there. */
int seen_forget(struct seen *s, const char *path)
{
    struct seen_dir *d = seen_find(s, path);
    int r = 0;

    if (!d)
        return 0;
    for (size_t i = 0; i < d->count && r == 0; i++) {
        char *child;

        if (!S_ISDIR(d->v[i].attr.mode))
            continue;
        child = seen_below(path, d->v[i].name);
        r = child ? seen_forget(s, child) : -ENOMEM;
        free(child);
    }
    if (r == 0)
        r = seen_tell_all(s, false, d);
    seen_retire(s, d);
    return r;
}

static int want(struct wanted *q, const char *dir, const char *name)
{
    if (q->count == q->cap) {
        const size_t cap = q->cap ? 2 * q->cap : 16;
        char **v = realloc(q->v, cap * sizeof(*v));

        if (!v)
            return -ENOMEM;
        q->v = v;
        q->cap = cap;
    }
    q->v[q->count] = seen_below(dir, name);
    return q->v[q->count++] ? 0 : -ENOMEM;
}

void wanted_done(struct wanted *q)
{
    while (q->count > 0)
        free(q->v[--q->count]);
    free(q->v);
}

/* An entry that was, one that is: either may be NULL. */
static int meet(struct seen *s, const char *dir, const struct seen_entry *was,
                const struct seen_entry *now, struct wanted *q)
{
    const bool was_dir = was && S_ISDIR(was->attr.mode), is_dir = now && S_ISDIR(now->attr.mode);
    const bool same = was && now && seen_same(&was->attr, &now->attr);
    bool goes = was_dir && !(is_dir && remote_attr_same_object(&was->attr, &now->attr));
    bool comes = is_dir && (goes || !was_dir);
    int r = 0;

    if (!same && was)
        r = seen_tell(s, false, dir, was->name, &was->attr);
    if (!same && now && r == 0)
        r = seen_tell(s, true, dir, now->name, &now->attr);
    if (is_dir && was_dir && !goes && r == 0) {
        char *path = seen_below(dir, now->name);
        const struct seen_dir *d = path ? seen_find(s, path) : NULL;

        if (!path)
            return -ENOMEM;
        free(path);
        if (d ? d->silent && !same : !s->cut) /* it may be readable, or there again */
            goes = comes = true;
    }
    if (goes && r == 0) {
        char *path = seen_below(dir, was->name);

        r = path ? seen_forget(s, path) : -ENOMEM;
        free(path);
    }
    return comes && r == 0 ? want(q, dir, now->name) : r;
}

/* Both in order. */
int seen_meet(struct seen *s, const struct seen_dir *was, const struct seen_dir *now,
              struct wanted *q)
{
    size_t i = 0, k = 0;
    int r = 0;

    if (!*now->path && !seen_same(&was->self, &now->self)) {
        r = seen_tell(s, false, "", "", &was->self);
        if (r == 0)
            r = seen_tell(s, true, "", "", &now->self);
    }
    while (r == 0 && (i < was->count || k < now->count)) {
        const int c = i == was->count   ? 1
                      : k == now->count ? -1
                                        : strcmp(was->v[i].name, now->v[k].name);

        r = meet(s, now->path, c <= 0 ? &was->v[i] : NULL, c >= 0 ? &now->v[k] : NULL, q);
        i += c <= 0;
        k += c >= 0;
    }
    return r;
}

void seen_done(struct seen *s)
{
    struct seen_dir *d, *tmp;

    HASH_ITER(hh, s->dirs, d, tmp)
        seen_retire(s, d);
    seen_drop_news(s);
    free(s->names);
    free(s->before);
    free(s->after);
}
