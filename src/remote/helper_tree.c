/* tree, changes and list: many paths in few requests. */
#include "remote/helper_internal.h"

#include "remote/tree.h"
#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    ANSWER_MAX = 128 << 20,  /* bytes of text */
    BYTES_MAX = 64 << 20,    /* asked for, before base64 */
    REQUEST_MAX = 512 << 10, /* bytes of paths in one request */
    ENTRIES_PER_S = 10000,   /* a slow disk's */
    WAIT_S_MAX = 60,
    WAIT_IN_TURN_S = 2, /* where not all directories can be watched at once */
};

/* How many of the paths from first on go into one request; each shares the start of the one before.
 */
static size_t piece(const struct remote_ask *ask, size_t first)
{
    enum { NUMBERS = 6 };
    const char *before = "";
    size_t bytes = 0, i;

    for (i = first; i < ask->path_count && i - first < PROTO_DIRS_MAX; i++) {
        const char *path = ask->paths[i];
        size_t shared = 0;

        while (path[shared] && path[shared] == before[shared])
            shared++;
        bytes += strlen(path + shared) + NUMBERS;
        if (bytes > REQUEST_MAX && i > first)
            break;
        before = path;
    }
    return i - first;
}

int helper_tree_take(struct helper *h, const struct buf *raw, const struct proto_request *req,
                     struct remote_tree *ret)
{
    char dir[HELPER_DIR_MAX];
    const struct answer_hide hide = {.temps = true, .dir = dir};
    int r;

    lock_take(&h->lock);
    memcpy(dir, h->dir, sizeof(dir));
    lock_drop(&h->lock);
    r = answer_tree(raw, req, &hide, ret);
    return r == -EPROTO ? -EIO : r;
}

static int ask_piece(struct helper *h, struct proto_request *req, const struct helper_way *way,
                     struct remote_tree *ret)
{
    const int64_t start_ns = clock_real_ns(), before_ns = atomic_load(&h->clock_offset_ns);
    struct buf raw = BUF_INIT(ANSWER_MAX);
    int r = helper_ask(h, req, way, &raw);

    if (r == 0)
        r = helper_tree_take(h, &raw, req, ret);
    if (r == 0)
        atomic_store(&h->clock_offset_ns,
                     clock_offset_ns(before_ns, ret->now_ns, start_ns, clock_real_ns()));
    buf_done(&raw);
    return r == -EPROTO ? -EIO : r;
}

/* Of all pieces the earliest look counts: what changed since then is asked for again. */
static int add_piece(struct remote_tree *all, struct remote_tree *more)
{
    const bool first = !all->boot;
    const int64_t now_ns = more->now_ns, uptime_ns = more->uptime_ns;
    const char *boot = more->boot;
    const bool is_more = more->more, has_space = more->has_space;
    const struct remote_statfs space = more->space;
    const int r = tree_join(all, more);

    if (r < 0) {
        remote_tree_done(more);
        return r;
    }
    if (first) {
        all->now_ns = now_ns;
        all->uptime_ns = uptime_ns;
        all->boot = boot;
        all->has_space = has_space;
        all->space = space;
    }
    all->more = all->more || is_more;
    return 0;
}

static int ask_pieces(struct helper *h, const struct remote_ask *ask, struct proto_request *req,
                      struct helper_way *way, struct remote_tree *ret)
{
    const uint64_t wait_ms = req->wait_ms, max_entries = req->max_entries;
    size_t at = 0, pieces = 0;
    int r = 0;

    do {
        struct remote_tree more;
        const size_t n = piece(ask, at);
        const bool last = at + n == ask->path_count;

        req->paths = (char **)ask->paths + at; /* encoding does not write */
        req->path_count = n;
        req->wait_ms = last && ret->dir_count == 0 ? wait_ms : 0;
        if (pieces > 0 && req->wait_ms > WAIT_IN_TURN_S * 1000)
            req->wait_ms = WAIT_IN_TURN_S * 1000;
        if (max_entries > 0)
            req->max_entries = max_entries - ret->count;
        r = ask_piece(h, req, way, &more);
        if (r == 0)
            r = add_piece(ret, &more);
        at += n;
        pieces++;
        if (r == 0 && at < ask->path_count && max_entries > 0 && ret->count >= max_entries)
            ret->more = true;
    } while (r == 0 && at < ask->path_count && !ret->more);
    return r == 0 && pieces > 1 ? tree_settle(ret) : r;
}

static int ask_tree(struct helper *h, const struct remote_ask *ask, struct proto_request *req,
                    struct helper_way *way, struct remote_tree *ret)
{
    struct remote_tree all = {0};
    int r = ask_pieces(h, ask, req, way, &all);

    if (r < 0)
        remote_tree_done(&all);
    else
        *ret = all;
    return r == -EPROTO ? -EIO : r;
}

int helper_tree(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    const size_t entries = ask->max_entries > 0 && ask->max_entries < TREE_ENTRIES_MAX
                               ? ask->max_entries
                               : TREE_ENTRIES_MAX;
    struct proto_request req = {
        .verb = PROTO_VERB_TREE,
        .root = (char *)ask->root,
        .max_entries = entries,
        .max_bytes = ask->max_bytes > 0 && ask->max_bytes < BYTES_MAX ? ask->max_bytes : BYTES_MAX,
    };
    struct helper_way way = {.background = ask->background,
                             .answer_max = ANSWER_MAX,
                             .more_s = (uint32_t)(entries / ENTRIES_PER_S)};

    return ask_tree(helper_of(r), ask, &req, &way, ret);
}

int helper_changes(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    const int64_t wait_ns =
        ask->wait_ns < WAIT_S_MAX * NS_PER_S ? ask->wait_ns : WAIT_S_MAX * NS_PER_S;
    struct proto_request req = {
        .verb = PROTO_VERB_CHANGES,
        .root = (char *)ask->root,
        .since_ns = ask->since_ns,
        .wait_ms = wait_ns > 0 ? (uint64_t)(wait_ns / NS_PER_MS) : 0,
    };
    struct helper_way way = {
        .background = ask->background || wait_ns > 0, /* a look that lasts is nobody's activity */
        .answer_max = ANSWER_MAX,
        .more_s = (uint32_t)(ask->path_count / (ENTRIES_PER_S / 10) + req.wait_ms / 1000),
    };

    return ask_tree(helper_of(r), ask, &req, &way, ret);
}

/* ---- list ---- */

static int copy_entries(const struct remote_tree *t, size_t max, struct remote_list *list)
{
    const size_t count = t->count < max ? t->count : max;

    list->v = calloc(count + 1, sizeof(*list->v));
    if (!list->v)
        return -ENOMEM;
    list->cut = count < t->count;
    list->self = t->dirs[0].self;
    for (; list->count < count; list->count++) {
        const struct remote_entry *from = &t->v[list->count];
        struct remote_entry *e = &list->v[list->count];

        e->attr = from->attr;
        e->name = strdup(from->name);
        e->target = from->target ? strdup(from->target) : NULL;
        if (!e->name || (from->target && !e->target)) {
            free(e->name);
            return -ENOMEM;
        }
    }
    return 0;
}

static int to_list(const struct remote_tree *t, size_t max, struct remote_list *ret)
{
    struct remote_list list = {0};
    int r;

    if (t->dir_count != 1)
        return -EIO;
    if (t->dirs[0].err) /* a link is no directory, whatever it leads to */
        return t->dirs[0].err == -ELOOP ? -ENOTDIR : t->dirs[0].err;
    r = copy_entries(t, max, &list);
    if (r < 0)
        remote_list_done(&list);
    else
        *ret = list;
    return r;
}

int helper_list(struct remote *r, const char *path, unsigned depth, size_t max,
                struct remote_list *ret)
{
    struct helper *h = helper_of(r);
    char *dir = path_dir(path);
    const char *const paths[] = {strcmp(path, "/") == 0 ? "" : path_base(path)};
    const struct remote_ask ask = {
        .root = dir, .paths = paths, .path_count = 1, .since_ns = INT64_MIN};
    struct remote_tree t;
    int err;

    if (depth > 1) {
        free(dir);
        return remote_list(h->plain, path, depth, max, ret);
    }
    err = dir ? helper_changes(r, &ask, &t) : -ENOMEM;
    free(dir);
    if (err < 0)
        return err;
    err = to_list(&t, max, ret);
    remote_tree_done(&t);
    return err;
}
