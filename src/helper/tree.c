/*
 * tree and changes: directories, breadth first and one level at a time.
 *
 * The directory's own attributes are taken before its entries are read, so that whatever changes
 * meanwhile has a ctime that the next question finds.
 */
#include "helper/verbs.h"

#include "helper/text.h"
#include "helper/walk.h"
#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

enum {
    ENTRIES_MAX = 2000000,
    QUEUE_MAX = 1000000,
    LOOKS_MAX = 4,      /* at a directory that changes while it is listed */
    WATCHES_MAX = 8192, /* directories watched while waiting; with more, they are polled */
};

static const uint64_t bytes_max = UINT64_C(256) << 20;
static const int64_t ctime_slack_ns = 20 * NS_PER_MS; /* clocks of file systems are coarse */
/* Changes come in bursts; and one older than the slack is not told again by the next answer. */
static const int settle_ms = 25;

/* Directories still to be listed, first in first out. */
struct queue {
    char **paths; /* owned, and so are the strings from head to count */
    size_t head, count, cap;
};

static int queue_push(struct queue *q, const char *dir, const char *name)
{
    char *path;

    if (q->count - q->head >= QUEUE_MAX)
        return -E2BIG;
    if (q->count == q->cap) {
        const size_t cap = q->cap ? 2 * q->cap : 64;
        char **paths = realloc(q->paths, cap * sizeof(*paths));

        if (!paths)
            return -ENOMEM;
        q->paths = paths;
        q->cap = cap;
    }
    path = malloc(strlen(dir) + strlen(name) + 2);
    if (!path)
        return -ENOMEM;
    strcpy(path, dir);
    if (*dir && *name)
        strcat(path, "/");
    strcat(path, name);
    q->paths[q->count++] = path;
    return 0;
}

static void queue_done(struct queue *q)
{
    while (q->head < q->count)
        free(q->paths[q->head++]);
    free(q->paths);
}

static void emit_failed_dir(struct emit *e, const char *path, int r)
{
    const struct proto_dir d = {.err = -r, .path = path, .path_len = strlen(path)};

    EMIT(e, proto_put_dir, &d);
}

/* A descriptor and its attributes; or -errno, and then the answer says so. */
static int open_dir(struct emit *e, int root, const char *path, struct look *ret)
{
    int dir = walk_dir(root, path);
    const int r = dir < 0 ? dir : look_at(dir, "", ret);

    if (dir >= 0 && r < 0) {
        close(dir);
        dir = r;
    }
    if (dir < 0)
        emit_failed_dir(e, path, dir);
    return dir;
}

static void emit_dir(struct emit *e, const char *path, unsigned flags, const struct look *self)
{
    const struct proto_dir d = {.flags = flags,
                                .path = path,
                                .path_len = strlen(path),
                                .self = emit_entry_of(self, "", NULL)};

    EMIT(e, proto_put_dir, &d);
}

static uint64_t limit(uint64_t asked, uint64_t most)
{
    return asked == 0 || asked > most ? most : asked;
}

static uint64_t answer_len(const struct emit *e)
{
    return e->sent + e->raw.len + e->entries.len;
}

struct listing {
    struct emit *e;
    struct queue *queue; /* gets the directories found; NULL: one level */
    const char *path;
    uint64_t max_len; /* of the answer: too long is -E2BIG */
};

static int list_entry(void *arg, const char *name, const struct look *attr, const char *target)
{
    struct listing *l = arg;
    const struct proto_entry entry = emit_entry_of(attr, name, target);

    emit_entry(l->e, &entry);
    if (l->e->err < 0)
        return l->e->err;
    if (answer_len(l->e) > l->max_len)
        return -E2BIG;
    return l->queue && S_ISDIR(attr->st.st_mode) ? queue_push(l->queue, l->path, name) : 0;
}

struct difference {
    struct emit *e;
    const char *path;
    const struct look *self;
    int64_t since_ns;
    uint64_t max_len;
    bool any; /* the directory has been announced */
};

static int list_changed(void *arg, const char *name, const struct look *attr, const char *target)
{
    struct difference *d = arg;
    const struct proto_entry entry = emit_entry_of(attr, name, target);

    if (entry.ctime_ns < d->since_ns)
        return 0;
    if (!d->any)
        emit_dir(d->e, d->path, 0, d->self);
    d->any = true;
    emit_entry(d->e, &entry);
    return d->e->err < 0 ? d->e->err : answer_len(d->e) > d->max_len ? -E2BIG : 0;
}

/*
 * Entries of a directory that changed since then, or all of them where its own ctime says so or
 * cannot tell. The directories among all of them are put into the queue, if there is one.
 */
static int scan_once(struct emit *e, int root, const char *path, int64_t since_ns, uint64_t max_len,
                     struct queue *queue, bool *ret_went)
{
    struct difference d = {.e = e, .path = path, .since_ns = since_ns, .max_len = max_len};
    struct listing whole = {.e = e, .queue = queue, .path = path, .max_len = max_len};
    struct look self;
    const int dir = open_dir(e, root, path, &self);
    int r;

    *ret_went = false;
    if (dir < 0)
        return 0;
    d.self = &self;
    if (timespec_to_ns(self.st.st_ctim) >= since_ns || !walk_ctime_tells(dir)) {
        emit_dir(e, path, PROTO_DIR_WHOLE, &self);
        r = walk_list(dir, list_entry, &whole, ret_went);
    } else {
        r = walk_list(dir, list_changed, &d, ret_went);
    }
    if (r == 0 || r == -ENOMEM || r == -E2BIG || e->err < 0)
        return r;
    emit_failed_dir(e, path, r); /* the latter word counts; the others go on */
    return 0;
}

/* As it was at one moment, if it lets us: what was renamed meanwhile could be missing altogether.
 */
static int scan_dir(struct emit *e, int root, const char *path, int64_t since_ns, uint64_t max_len,
                    struct queue *queue)
{
    const size_t queued = queue ? queue->count : 0;
    bool went;
    int r;

    for (int looks = 1;; looks++) {
        emit_hold(e);
        r = scan_once(e, root, path, since_ns, max_len, queue, &went);
        if (r != 0 || !went || looks == LOOKS_MAX || !emit_take_back(e))
            break;
        while (queue && queue->count > queued)
            free(queue->paths[--queue->count]);
    }
    emit_release(e);
    return r;
}

int verb_tree(struct emit *e, const struct proto_request *req, bool *ret_more)
{
    const uint64_t entries = limit(req->max_entries, ENTRIES_MAX);
    const uint64_t bytes = limit(req->max_bytes, bytes_max);
    struct queue queue = {0};
    int root = walk_root(req->root), r = root < 0 ? root : 0;

    if (r == 0)
        start_emit(e, root);
    for (size_t i = 0; r == 0 && i < req->path_count; i++)
        r = queue_push(&queue, req->paths[i], "");
    while (r == 0 && queue.head < queue.count) {
        char *path = queue.paths[queue.head];

        if (e->count > 0 && (e->count >= entries || answer_len(e) >= bytes)) {
            *ret_more = true; /* a directory listed is listed whole: the asker knows what is left */
            break;
        }
        queue.head++;
        r = scan_dir(e, root, path, INT64_MIN, UINT64_MAX, &queue);
        free(path);
    }
    queue_done(&queue);
    if (r == 0)
        (void)emit_space(e, root); /* an extra: find and grep ask for it whenever they begin */
    if (root >= 0)
        close(root);
    return r;
}

/* ---- changes ---- */

/* One look at everything. What it emits is what changed. */
static int scan(struct emit *e, int root, const struct proto_request *req)
{
    const uint64_t max_len = req->max_bytes > 0 ? answer_len(e) + req->max_bytes : UINT64_MAX;
    const int64_t since_ns =
        req->since_ns < INT64_MIN + ctime_slack_ns ? INT64_MIN : req->since_ns - ctime_slack_ns;
    int r = 0;

    for (size_t i = 0; r == 0 && i < req->path_count; i++)
        r = scan_dir(e, root, req->paths[i], since_ns, max_len, NULL);
    return r;
}

/* A descriptor that becomes readable when one of the directories changes, or -1. */
static int watch(int root, const struct proto_request *req)
{
    const uint32_t mask = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVE | IN_DELETE_SELF |
                          IN_MOVE_SELF | IN_CLOSE_WRITE | IN_ONLYDIR;
    const int fd = req->path_count > WATCHES_MAX ? -1 : inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char proc[64];

    for (size_t i = 0; fd >= 0 && i < req->path_count; i++) {
        const int dir = walk_dir(root, req->paths[i]);
        int r = 0;

        if (dir < 0)
            continue; /* a missing one: its parent, or the next look, tells */
        text_make(proc, sizeof(proc), "/proc/self/fd/%d", dir);
        r = inotify_add_watch(fd, proc, mask);
        close(dir);
        if (r < 0) {
            close(fd);
            return -1;
        }
    }
    return fd;
}

/* Until something may have changed, or end_ns. took_ns: what a look costs. -EPIPE: nobody waits for
 * the answer any more. */
static int wait_for_change(int watch_fd, int64_t end_ns, int64_t took_ns)
{
    const int64_t left_ns = end_ns - clock_mono_ns();
    int64_t pause_ns = 20 * took_ns; /* polling shall cost a twentieth of a processor at most */
    struct pollfd p[] = {{.fd = watch_fd, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    char events[4096];

    if (pause_ns < 100 * NS_PER_MS)
        pause_ns = 100 * NS_PER_MS;
    if (watch_fd >= 0 || pause_ns > left_ns)
        pause_ns = left_ns;
    if (pause_ns <= 0 || poll(p, ARRAY_LEN(p), (int)(pause_ns / NS_PER_MS) + 1) <= 0)
        return 0;
    if (p[1].revents)
        return -EPIPE;
    (void)poll(NULL, 0, settle_ms);
    while (read(watch_fd, events, sizeof(events)) > 0)
        ;
    return 0;
}

/* The clock's distance to one that nobody sets. */
static int64_t clock_base_ns(void)
{
    struct timespec uptime;

    clock_gettime(CLOCK_BOOTTIME, &uptime);
    return clock_real_ns() - timespec_to_ns(uptime);
}

int verb_changes(struct emit *e, const struct proto_request *req, bool *ret_more)
{
    enum { WAIT_MS_MAX = 60000 };
    const int64_t end_ns =
        clock_mono_ns() +
        (int64_t)(req->wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX : req->wait_ms) * NS_PER_MS;
    const int64_t base_ns = clock_base_ns();
    int root = walk_root(req->root), watch_fd = -1, r;

    if (root < 0)
        return root;
    if (req->wait_ms > 0)
        watch_fd = watch(root, req);
    for (;;) {
        const int64_t before_ns = clock_mono_ns();
        uint64_t len;

        start_emit(e, root); /* what the asker goes on from is the last look, not the first */
        len = answer_len(e);
        r = scan(e, root, req);
        if (r < 0 || answer_len(e) > len || clock_mono_ns() >= end_ns)
            break;
        if (clock_base_ns() < base_ns - ctime_slack_ns / 2)
            break; /* it was set back: what changes now is older than since_ns */
        r = wait_for_change(watch_fd, end_ns, clock_mono_ns() - before_ns);
        if (r < 0)
            break;
    }
    if (r == 0)
        (void)emit_space(e, root);
    if (watch_fd >= 0)
        close(watch_fd);
    close(root);
    *ret_more = false;
    return r;
}
