/* control.c - what .ctl asks of the file system: paths, sync, refresh, commands, status. */
#include "fs/fs_internal.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define DRAIN_NS (1 * NS_PER_S)
#define MAPPED_NS (30 * NS_PER_S)

char *fs_sandbox_path(struct fs *fs, const char *text)
{
    return path_resolve(fs->root_path, text);
}

char *fs_mount_path(struct fs *fs, const char *path)
{
    char *clean = path_resolve("/", path), *shown;
    const char *below;

    if (!clean || !path_is_below(clean, fs->root_path))
        return clean;
    below = path_below(clean, fs->root_path);
    shown = strdup(below[0] ? below : ".");
    free(clean);
    return shown;
}

/* ---- sync ---- */

/*
 * What was stored through a shared mapping is in the kernel, which writes it when it is to forget
 * what it has of the file. It has no dirty pages of others: it never caches a write.
 */
static int take_mapped(struct fs *fs, struct buf *left)
{
    const struct fs_notify *notify = fs->config.notify;
    const struct fs_file *file;
    bool any = false;
    int r;

    fs_lock(fs);
    DL_FOREACH(fs->mappable, file) {
        fs_tell_inode_locked(fs, file->node);
        any = true;
    }
    fs_unlock(fs);
    if (!any || !notify || !notify->drain)
        return 0;
    r = notify->drain(fs->config.notify_arg, MAPPED_NS);
    if (r < 0 && left)
        (void)buf_puts(left, "what programs changed through mappings is not written back yet\n");
    return r;
}

/* What did not succeed may have to be put beside what is there, which is a change, too. */
static int sync_flush(struct fs *fs, const char *path, struct buf *left)
{
    const int r = flush_barrier(fs->flush, path, NULL, left);
    int more;

    if (!fs->config.beside || (r < 0 && r != -EIO))
        return r;
    more = beside_settle(fs);
    if (more == 0) /* with what was put there meanwhile */
        more = flush_barrier(fs->flush, path, NULL, NULL);
    return r < 0 ? r : more;
}

int fs_sync(struct fs *fs, const char *path, struct buf *left)
{
    int first = take_mapped(fs, left), r;

    if (first == -EINTR)
        return first;
    if (fs->flush) {
        r = sync_flush(fs, path, left);
        if (r == 0 && !path && flush_lets_go(fs->flush)) /* nothing goes that would take it along */
            (void)flush_fsync(fs->flush, fs->root_path);
        return first < 0 ? first : r;
    }
    r = unsent_send(fs, path, left);
    return first < 0 && r != -EINTR ? first : r;
}

/* ---- refresh ---- */

void fs_drain_notify(struct fs *fs)
{
    const struct fs_notify *notify = fs->config.notify;

    if (notify && notify->drain)
        (void)notify->drain(fs->config.notify_arg, DRAIN_NS); /* what is late ends by itself */
}

struct node *node_at_locked(struct fs *fs, const char *path)
{
    struct node *n = fs->root;
    char *copy, *part, *save;

    if (!path_is_below(path, fs->root_path))
        return NULL;
    copy = strdup(path_below(path, fs->root_path));
    if (!copy)
        return NULL;
    for (part = strtok_r(copy, "/", &save); part && n; part = strtok_r(NULL, "/", &save))
        n = node_child_locked(n, part);
    free(copy);
    return n;
}

/* What is known of it, or of its names, from before ns. */
static void forget_node_locked(struct fs *fs, struct node *n, int64_t ns)
{
    const bool known = node_known_ns(n) >= ns && !node_suspect(n);
    const bool listed = n->dir && n->dir->listed && n->dir->list_ns >= ns;

    if (n->dir && !listed) {
        n->dir->list_ns = FS_NEVER;
        n->dir->by_stat = n->dir->by_stat && n->dir->listed; /* refused before: ask again */
    }
    if (n->dir && n->dir->flight && n->dir->flight->start_ns < ns)
        n->dir->flight->lost = true;
    if (!known)
        node_doubt_locked(n);
    if (!known || (n->dir && !listed))
        fs_tell_inode_locked(fs, n);
    if (!known && n->parent && n->nlookup > 0 && n->attached)
        fs_tell_entry_locked(fs, n->parent, n->name);
}

void doubt_since_locked(struct fs *fs, struct node *top, int64_t ns)
{
    struct node *n;

    fs->doubt_ns = ns;
    fs->seq++; /* what is being fetched now may be old */
    for (n = index_next(&fs->by_id, NULL); n; n = index_next(&fs->by_id, n))
        if (top == fs->root || node_is_below_locked(n, top)) {
            n->changed_seq = fs->seq;
            forget_node_locked(fs, n, ns);
        }
    negative_drop_locked(fs, top);
}

void fs_refresh(struct fs *fs, const char *path)
{
    struct node *top;

    fs_lock(fs);
    top = path ? node_at_locked(fs, path) : fs->root;
    if (path && !top && path_is_below(fs->root_path, path))
        top = fs->root; /* the mount lies below it */
    if (top)
        doubt_since_locked(fs, top, clock_mono_ns());
    fs_unlock(fs);
    fs_drain_notify(fs);
}

/* ---- commands and questions ---- */

/* What a command was refused for once is known: the next may start all the same. */
int fs_barrier(struct fs *fs, struct buf *left)
{
    uint64_t since;
    int r;

    if (!fs->flush)
        return fs_sync(fs, NULL, left);
    r = take_mapped(fs, left);
    if (r < 0)
        return r;
    fs_lock(fs);
    since = fs->commands_told;
    fs_unlock(fs);
    r = flush_barrier(fs->flush, NULL, &since, left);
    fs_lock(fs);
    if (since > fs->commands_told)
        fs->commands_told = since;
    fs_unlock(fs);
    return r;
}

struct remote *fs_remote(struct fs *fs)
{
    return fs->remote;
}

int fs_exec(struct fs *fs, const char *script, const char *cwd, size_t output_max, struct buf *out,
            int *ret_exit, struct buf *left)
{
    struct remote_exec exec = {
        .script = script, .cwd = cwd ? cwd : fs->root_path, .output_max = output_max};
    struct fs_after *after;
    int r;

    r = fs_barrier(fs, left);
    if (r < 0)
        return r;
    after = fs_after_new(fs);
    exec.after = fs_after_ask(after);
    r = remote_exec(fs->remote, &exec, out, ret_exit);
    fs_after_end(fs, after);
    fs_after_free(after);
    return r;
}

int fs_exists(struct fs *fs, const char *path)
{
    struct remote_attr attr;
    int r;

    if (fs->flush) /* what was parked before is no reason not to look */
        (void)flush_barrier(fs->flush, path, NULL, NULL);
    r = remote_stat(fs->remote, path, &attr, NULL);
    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    return r < 0 ? r : 1;
}

/* Something below a scanned directory is not as we know it: it is asked about at the next access.
 */
static void compare_entry_locked(struct fs *fs, struct node *top, const struct remote_entry *e)
{
    char *copy = strdup(e->name), *part, *save;
    struct node *n = top, *dir = NULL;
    const char *last = e->name;

    for (part = copy ? strtok_r(copy, "/", &save) : NULL; part && n;
         part = strtok_r(NULL, "/", &save)) {
        dir = n;
        last = part;
        n = node_child_locked(n, part);
    }
    if (!part && n && n != top) {
        n->mark = fs->marks;
        if (!node_local(n) && !remote_attr_same(&n->attr, &e->attr)) {
            node_stale_locked(n);
            fs_tell_inode_locked(fs, n);
        }
    } else if (dir && dir->dir && !part) {
        tree_dir_stale_locked(dir);
        negative_wrong_locked(fs, dir, last);
    }
    free(copy);
}

static void stale_unmarked_locked(struct fs *fs, struct node *dir, unsigned depth)
{
    struct node *n, *tmp;

    if (!dir->dir || depth == 0)
        return;
    DL_FOREACH_SAFE(dir->dir->children, n, tmp) {
        if (n->mark != fs->marks) {
            node_stale_locked(n);
            tree_dir_stale_locked(dir);
            if (n->nlookup > 0)
                fs_tell_entry_locked(fs, dir, n->name);
        } else {
            stale_unmarked_locked(fs, n, depth - 1);
        }
    }
}

int fs_scan(struct fs *fs, const char *path, unsigned depth, size_t max, struct remote_list *ret)
{
    struct node *dir;
    uint64_t seq;
    int r;

    fs_lock(fs);
    seq = fs->seq;
    fs_unlock(fs);
    r = remote_list(fs->remote, path, depth, max, ret);
    if (r < 0)
        return r;
    fs_lock(fs);
    dir = node_at_locked(fs, path);
    if (dir && dir->dir && fs->seq == seq) { /* else a change of ours may look like one of theirs */
        fs->marks++;
        for (size_t i = 0; i < ret->count; i++)
            compare_entry_locked(fs, dir, &ret->v[i]);
        if (!ret->cut)
            stale_unmarked_locked(fs, dir, depth);
    }
    fs_unlock(fs);
    fs_drain_notify(fs);
    return 0;
}

/* ---- status ---- */

bool fs_busy(struct fs *fs)
{
    bool busy;

    fs_lock(fs);
    busy = fs->files_written > 0 || fs->unsent_count > 0 || fs->changes || fs->besides;
    fs_unlock(fs);
    return busy;
}

int fs_status(struct fs *fs, struct buf *out)
{
    uint64_t bytes;
    const size_t unsent = fs_unsent(fs, &bytes);
    struct flush_usage usage;
    size_t nodes, meta_bytes;
    unsigned files, dirs;
    int r;
    const long long window_ms = fs_window_ns(fs) / NS_PER_MS; /* more than asked for, when a look
                                                               * at everything takes long */

    fs_lock(fs);
    nodes = fs->by_id.count;
    meta_bytes = fs->meta_bytes;
    files = fs->files_open;
    dirs = fs->dirs_open;
    fs_unlock(fs);
    r = buf_printf(out,
                   "unsent_files %zu\nunsent_bytes %llu\nnodes %zu\nmeta_bytes %zu\n"
                   "coherence_ms %lld\n"
                   "open_files %u\nopen_dirs %u\ncache_bytes %llu\ncache_files %zu\n",
                   unsent, (unsigned long long)bytes, nodes, meta_bytes, window_ms, files, dirs,
                   (unsigned long long)cache_used(fs->cache), cache_blobs(fs->cache));
    if (r < 0 || fs_usage(fs, &usage) < 0)
        return r;
    r = buf_printf(out, "set_aside %zu\n", usage.parked);
    if (r == 0 && usage.stuck)
        r = buf_printf(out, "not_sending %s\n", usage.stuck);
    return r;
}
