/* What changes below a directory: two looks at it, compared. */
#include "sdk/client.h"
#include "sdk/error.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/path.h"

#include <daytona/files.h>
#include <daytona/watch.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INTERVAL_MS = 1000, INTERVAL_MIN_MS = 100, ENTRIES_MAX = 100 * 1000, DEPTH_MAX = 64 };

struct seen {
    char *path; /* owned; below the root */
    mode_t mode;
    uint64_t size;
    int64_t mtime_ns;
    unsigned depth;
};

/* One look, by path when it is complete. */
struct look {
    struct seen *v;
    size_t count, cap;
};

struct daytona_watch {
    struct daytona_sandbox *sandbox;
    char *root;
    bool recursive;
    int64_t interval_ns, next_ns; /* next_ns: monotonic, when to look again */
    size_t entries_max;
    struct look last, gone; /* gone: what events that are not told yet name */
    struct daytona_watch_event *events;
    size_t event_count, told;
};

static void look_done(struct look *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->v[i].path);
    free(l->v);
    *l = (struct look){0};
}

static int add(struct look *l, size_t max, const struct daytona_file_info *info, const char *dir,
               unsigned depth)
{
    struct seen s = {
        .mode = info->mode, .size = info->size, .mtime_ns = info->mtime_ns, .depth = depth};

    if (!path_name_valid(info->name, strlen(info->name)))
        return 0; /* it cannot be asked for */
    if (l->count == max)
        return error_set(-E2BIG, "more than %zu files are below it", max);
    if (l->count == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 64;
        struct seen *v = realloc(l->v, cap * sizeof(*v));

        if (!v)
            return error_default(-ENOMEM);
        l->v = v;
        l->cap = cap;
    }
    s.path = *dir ? path_join(dir, info->name) : strdup(info->name);
    if (!s.path)
        return error_default(-ENOMEM);
    l->v[l->count++] = s;
    return 0;
}

/* dir: below the root, "" for it. */
static int list_dir(const struct daytona_watch *w, const char *dir, unsigned depth, struct look *l)
{
    char *path = *dir ? path_join(w->root, dir) : strdup(w->root);
    struct daytona_file_info *list = NULL;
    size_t count = 0;
    int r;

    if (!path)
        return error_default(-ENOMEM);
    r = daytona_files_list(w->sandbox, path, 0, &list, &count);
    free(path);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add(l, w->entries_max, &list[i], dir, depth);
    daytona_files_list_free(list, count);
    return r;
}

/* One below the root that is gone by now, or may not be read: nothing is seen in it. */
static bool may_skip(int err)
{
    return err == -ENOENT || err == -ENOTDIR || err == -EINVAL || err == -EACCES || err == -EPERM;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct seen *)a)->path, ((const struct seen *)b)->path);
}

static int look(const struct daytona_watch *w, struct look *ret)
{
    struct look l = {0};
    int r = list_dir(w, "", 1, &l);

    for (size_t i = 0; r == 0 && w->recursive && i < l.count; i++) {
        if (!S_ISDIR(l.v[i].mode) || l.v[i].depth >= DEPTH_MAX)
            continue;
        r = list_dir(w, l.v[i].path, l.v[i].depth + 1, &l);
        r = may_skip(r) ? 0 : r;
    }
    if (r < 0) {
        look_done(&l);
        return r;
    }
    if (l.count > 0)
        qsort(l.v, l.count, sizeof(*l.v), by_path);
    *ret = l;
    return 0;
}

static bool is_changed(const struct seen *a, const struct seen *b)
{
    return a->mode != b->mode ||
           (!S_ISDIR(a->mode) && (a->size != b->size || a->mtime_ns != b->mtime_ns));
}

static void tell(struct daytona_watch *w, enum daytona_watch_kind kind, const struct seen *s)
{
    w->events[w->event_count++] = (struct daytona_watch_event){kind, s->path};
}

/* There is room for two events of each path. */
static void compare(struct daytona_watch *w, const struct look *old, const struct look *new)
{
    size_t i = 0, k = 0;

    while (i < old->count || k < new->count) {
        const struct seen *a = i < old->count ? &old->v[i] : NULL;
        const struct seen *b = k < new->count ? &new->v[k] : NULL;
        const int order = !a ? 1 : !b ? -1 : strcmp(a->path, b->path);
        const bool other = order == 0 && (a->mode & S_IFMT) != (b->mode & S_IFMT);

        if (order < 0 || other)
            tell(w, DAYTONA_WATCH_DELETE, a);
        if (order > 0 || other)
            tell(w, DAYTONA_WATCH_CREATE, b);
        if (order == 0 && !other && is_changed(a, b))
            tell(w, DAYTONA_WATCH_MODIFY, b);
        i += order <= 0;
        k += order >= 0;
    }
}

static int look_again(struct daytona_watch *w)
{
    struct look now;
    int r = look(w, &now);

    w->next_ns = clock_mono_ns() + w->interval_ns;
    if (r < 0)
        return r;
    free(w->events);
    look_done(&w->gone);
    w->event_count = w->told = 0;
    w->events = calloc(w->last.count + now.count + 1, sizeof(*w->events));
    if (!w->events) {
        look_done(&now);
        return error_default(-ENOMEM);
    }
    w->gone = w->last;
    w->last = now;
    compare(w, &w->gone, &w->last);
    return 0;
}

int daytona_watch_start(struct daytona_sandbox *sandbox, const char *path,
                        const struct daytona_watch_options *options, struct daytona_watch **ret)
{
    static const struct daytona_watch_options defaults;
    const struct daytona_watch_options *o = options ? options : &defaults;
    uint32_t ms = o->interval_ms ? o->interval_ms : INTERVAL_MS;
    struct daytona_watch *w = calloc(1, sizeof(*w));
    int r;

    error_begin("listFiles");
    if (!w)
        return error_default(-ENOMEM);
    if (ms < INTERVAL_MIN_MS)
        ms = INTERVAL_MIN_MS;
    w->interval_ns = (int64_t)ms * NS_PER_MS;
    w->recursive = o->recursive;
    w->entries_max = o->entries_max ? o->entries_max : ENTRIES_MAX;
    w->sandbox = daytona_sandbox_ref(sandbox);
    w->root = strdup(path);
    r = w->root ? look(w, &w->last) : error_default(-ENOMEM);
    w->next_ns = clock_mono_ns() + w->interval_ns;
    if (r < 0)
        daytona_watch_free(w);
    else
        *ret = w;
    return r;
}

int daytona_watch_next(struct daytona_watch *w, int64_t timeout_ms, struct daytona_watch_event *ret)
{
    const int64_t start_ns = clock_mono_ns();
    const bool ends = timeout_ms >= 0 && timeout_ms < (INT64_MAX - start_ns) / NS_PER_MS;
    const int64_t until_ns = ends ? start_ns + timeout_ms * NS_PER_MS : INT64_MAX;

    error_begin("listFiles");
    while (w->told == w->event_count) {
        const int64_t wake_ns = w->next_ns < until_ns ? w->next_ns : until_ns;
        const int64_t now_ns = clock_mono_ns();
        int r = wake_ns > now_ns ? cancel_sleep(wake_ns - now_ns) : 0;

        if (r < 0)
            return error_set(r, "cancelled");
        if (clock_mono_ns() < w->next_ns)
            return 0;
        r = look_again(w);
        if (r < 0)
            return r;
    }
    *ret = w->events[w->told++];
    return 1;
}

void daytona_watch_free(struct daytona_watch *w)
{
    if (!w)
        return;
    look_done(&w->last);
    look_done(&w->gone);
    free(w->events);
    free(w->root);
    daytona_sandbox_unref(w->sandbox);
    free(w);
}
