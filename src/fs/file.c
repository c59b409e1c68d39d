#include "fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <utlist.h>

static bool flags_write(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY;
}

/* What it is to take the place of is not read through it. */
static bool writes_blind(int flags)
{
    return (flags & O_ACCMODE) == O_WRONLY || (flags & O_TRUNC);
}

static int kind_error(const struct remote_attr *attr)
{
    switch (attr->mode & S_IFMT) {
    case S_IFREG:
        return 0;
    case S_IFDIR:
        return -EISDIR;
    case S_IFLNK:
        return -ELOOP;
    case S_IFIFO:
    case S_IFSOCK:
        return -ENXIO;
    default:
        return -EACCES; /* device nodes are shown, and that is all */
    }
}

static int open_mask(int flags)
{
    static const int masks[] = {
        [O_RDONLY] = PERM_R, [O_WRONLY] = PERM_W, [O_RDWR] = PERM_R | PERM_W};
    const int access = flags & O_ACCMODE;
    const int mask = access <= O_RDWR ? masks[access] : PERM_R | PERM_W;

    return flags & O_TRUNC ? mask | PERM_W : mask;
}

/* Up to here nothing was fetched: what the flags and the modes say. */
static int may_open(struct fs *fs, struct node *n, int flags, bool created)
{
    int r = kind_error(&n->attr);

    if (r < 0)
        return r;
    if (fs->config.read_only && (flags_write(flags) || (flags & O_TRUNC)))
        return -EROFS;
    return created ? 0 : perm_check(fs, &n->attr, open_mask(flags));
}

static struct fs_file *new_file_locked(struct fs *fs, struct node *n, int flags)
{
    struct fs_file *file = calloc(1, sizeof(*file));

    if (!file)
        return NULL;
    file->fs = fs;
    file->node = node_ref_locked(n);
    file->flags = flags;
    if (flags_write(flags))
        file->group = ++fs->groups;
    file->late_open = file->late_seen = n->file->late_gen;
    file->opened_ns = clock_mono_ns();
    file->look_ns = writes_blind(flags) ? look_last_locked(fs, n) : FS_NEVER;
    if ((flags & O_ACCMODE) == O_RDWR)
        DL_APPEND(fs->mappable, file);
    if ((flags & O_ACCMODE) != O_WRONLY && !(flags & O_TRUNC))
        unseen_look_locked(fs, n);
    data_open_locked(n);
    n->file->wopens += flags_write(flags);
    fs->files_open++;
    fs->files_written += flags_write(flags);
    return file;
}

static void free_file_locked(struct fs_file *file)
{
    struct node *n = file->node;

    window_close_locked(file);
    if ((file->flags & O_ACCMODE) == O_RDWR)
        DL_DELETE(file->fs->mappable, file);
    n->file->wopens -= flags_write(file->flags);
    if (n->file->opens == 1)
        data_keep_locked(file->fs, n);
    data_close_locked(n);
    if (n->file->opens == 0)
        keep_drop_locked(file->fs, n);
    file->fs->files_open--;
    file->fs->files_written -= flags_write(file->flags);
    if (file->fs->flush && file->group)
        flush_ready(file->fs->flush, file->group);
    else if (node_unsent(n) && n->file->wopens == 0)
        send_retry_later_locked(file->fs);
    node_unref_locked(file->fs, n);
    free(file);
}

static void set_hints_locked(struct node *n, struct fs_open_hints *ret)
{
    struct node_file *nf = n->file;

    /* With another size than this content has, the page cache would cut it, or add zeros to it. */
    *ret = (struct fs_open_hints){.direct_io = !data_whole_locked(n) || n->resized};
    if (ret->direct_io)
        return;
    ret->keep_cache = nf->opened_id == blob_id(nf->blob);
    nf->opened_id = blob_id(nf->blob);
}

/* All of it. What changes while it is fetched is followed: there is something at every moment. */
static int small_content(struct fs *fs, struct node *n)
{
    int r = -EAGAIN;

    scan_open(fs, n);
    if (!n->file->blob && (node_gone_locked(n) || data_young_locked(fs, n)))
        r = data_fetch_now(fs, n, true);
    if (r == -EAGAIN) {
        r = data_fetch_all(fs, n);
        if (r == -ESTALE)
            r = data_fetch_now(fs, n, true);
    }
    return r == -EAGAIN ? -ESTALE : r;
}

/* Replaced since its name was looked up, and nobody else has it open: what it was, on this machine,
 * too, is not what is meant. */
static bool is_history(const struct node *n)
{
    return node_gone_locked(n) && !n->deleted && n->file->opens == 1 && !n->file->local;
}

/* Content as open(2) wants it there. May wait. */
static int open_content(struct fs *fs, struct node *n, int flags, const struct fs_file *file)
{
    struct writing w;
    int r;

    if (flags & O_TRUNC) {
        r = write_enter(fs, n, &w);
        if (r < 0)
            return r;
        r = write_truncate(fs, n, 0, file);
        /* The file's other names are nodes of their own: they see it once it is in the sandbox. */
        return (int)write_leave(fs, n, NULL, &w, r, n->attr.nlink > 1);
    }
    if (is_history(n))
        data_drop_locked(fs, n);
    else
        data_recall(fs, n);
    if (write_in_parts(fs, n) && (flags & O_ACCMODE) == O_WRONLY)
        return data_blob_locked(fs, n);
    if (node_size(n) <= FS_SMALL)
        return small_content(fs, n);
    return node_gone_locked(n) && !n->file->blob ? -ESTALE : data_blob_locked(fs, n);
}

/* The name may be another file's since it was looked up; to be read, that one is as good. */
static bool may_follow(const struct node *n, int flags)
{
    return S_ISREG(n->attr.mode) && !n->deleted && !flags_write(flags) && !(flags & O_TRUNC);
}

/* n is fresh, or may_follow. May wait. */
static int open_node(struct fs *fs, struct node *n, int flags, bool created, struct fs_file **ret,
                     struct fs_open_hints *ret_hints)
{
    struct fs_file *file;
    int r;

    r = may_open(fs, n, flags, created);
    if (r < 0)
        return r;
    if (!node_file_locked(n))
        return -ENOMEM;
    if (fs->flush && (flags_write(flags) || (flags & O_TRUNC)) && links_next_locked(fs, n, NULL)) {
        r = links_ready(fs, n); /* from then on what is written shows here first */
        if (r < 0)
            return r;
    }
    file = new_file_locked(fs, n, flags);
    if (!file)
        return -ENOMEM;
    r = open_content(fs, n, flags, file);
    if (r < 0) {
        free_file_locked(file);
        return r;
    }
    set_hints_locked(n, ret_hints);
    *ret = file;
    return 0;
}

/* n is history, and others have it open. May wait. */
static int open_other(struct fs *fs, struct node *n, int flags, struct fs_file **ret,
                      struct fs_open_hints *ret_hints)
{
    struct node *next;
    int r = -ESTALE;

    for (unsigned i = 0; r == -ESTALE && i < FS_STALE_TRIES; i++) {
        next = follow_other(fs, n);
        if (!next)
            break;
        r = open_node(fs, next, flags, false, ret, ret_hints);
        node_unref_locked(fs, next);
    }
    if (r == 0)
        ret_hints->direct_io = true;
    return r;
}

int fs_open(struct fs *fs, uint64_t ino, int flags, struct fs_file **ret,
            struct fs_open_hints *ret_hints)
{
    const int64_t start_ns = clock_mono_ns(), since = fs_since(fs);
    struct node *n;
    int r = flags & O_TRUNC ? change_room(fs, 0) : 0;

    if (r < 0)
        return r;
    r = -ESTALE;
    fs_lock(fs);
    n = node_find_locked(fs, ino);
    if (n)
        r = tree_refresh(fs, n, since, false);
    if (r == 0 && node_gone_locked(n) && !n->deleted && !may_follow(n, flags))
        r = -ESTALE; /* others have it open */
    if (r == 0 || (n && r == -ESTALE && may_follow(n, flags)))
        r = open_node(fs, n, flags, false, ret, ret_hints);
    for (unsigned i = 0; n && r == -ESTALE && i < FS_STALE_TRIES && follow_name(fs, n); i++)
        r = open_node(fs, n, flags, false, ret, ret_hints);
    if (n && r == -ESTALE)
        r = open_other(fs, n, flags, ret, ret_hints);
    if (r == 0)
        look_opened_locked(*ret, start_ns);
    node_unref_locked(fs, n);
    fs_unlock(fs);
    return r;
}

/* As fs_open, as far as it goes without waiting. */
static int open_cached_locked(struct fs *fs, struct node *n, int flags, struct fs_file **ret,
                              struct fs_open_hints *ret_hints)
{
    struct fs_file *file;
    int r;

    if (!tree_fresh_locked(n, fs_since(fs)) || node_gone_locked(n) || (flags & O_TRUNC))
        return -EAGAIN;
    r = may_open(fs, n, flags, false);
    if (r < 0)
        return r;
    if (!n->file || !n->file->blob)
        return -EAGAIN;
    file = new_file_locked(fs, n, flags);
    if (!file)
        return -ENOMEM;
    if (!data_whole_locked(n)) {
        free_file_locked(file);
        return -EAGAIN;
    }
    if (n->file->ahead)
        scan_open(fs, n);
    set_hints_locked(n, ret_hints);
    *ret = file;
    return 0;
}

int fs_open_cached(struct fs *fs, uint64_t ino, int flags, struct fs_file **ret,
                   struct fs_open_hints *ret_hints)
{
    const int64_t start_ns = clock_mono_ns();
    struct node *n;
    int r = -ESTALE;

    fs_lock(fs);
    n = node_find_locked(fs, ino);
    if (n)
        r = open_cached_locked(fs, n, flags, ret, ret_hints);
    if (r == 0)
        look_opened_locked(*ret, start_ns);
    node_unref_locked(fs, n);
    fs_unlock(fs);
    return r;
}

static int open_created(struct fs *fs, struct node *n, int flags, bool created,
                        struct fs_entry *ret, struct fs_file **ret_file,
                        struct fs_open_hints *ret_hints)
{
    /* What was just made is empty already: truncating it would only cost a put. */
    int r = open_node(fs, n, created ? flags & ~O_TRUNC : flags, created, ret_file, ret_hints);

    if (r < 0)
        return r;
    n->nlookup++;
    show_told_locked(fs, n, ret);
    return 0;
}

int fs_create(struct fs *fs, uint64_t parent, const char *name, mode_t mode, int flags,
              struct fs_entry *ret, struct fs_file **ret_file, struct fs_open_hints *ret_hints)
{
    struct node *n = NULL;
    struct change_call c;
    bool created = false;
    int r = change_enter(fs, &c, parent, NULL);

    if (r < 0)
        return r;
    r = names_create(fs, c.node, name, mode, (flags & O_EXCL) != 0, &n, &created);
    if (r == 0)
        r = open_created(fs, n, flags, created, ret, ret_file, ret_hints);
    node_unref_locked(fs, n);
    change_leave(fs, &c);
    return r;
}

uint64_t fs_file_ino(const struct fs_file *file)
{
    return file->node->id;
}

void fs_release(struct fs_file *file)
{
    struct fs *fs = file->fs;

    fs_lock(fs);
    free_file_locked(file);
    fs_unlock(fs);
}

/* ---- reading ---- */

/* Nothing but the local disk is waited for. Drops the lock meanwhile. */
static ssize_t read_blob(struct fs *fs, struct node *n, uint64_t off, void *p, size_t n_bytes)
{
    struct blob *b = blob_ref(n->file->blob);
    ssize_t got;

    if (!blob_hold(b)) {
        blob_unref(b);
        return -EAGAIN;
    }
    fs_unlock(fs);
    got = blob_read(b, off, p, n_bytes);
    blob_release(b);
    blob_unref(b);
    fs_lock(fs);
    return got;
}

/* 0: the content that n->file->blob has may be used. */
static int content_valid(struct fs *fs, struct node *n, bool wait)
{
    int r;

    if (links_hidden_locked(fs, n)) {
        if (!wait)
            return -EAGAIN;
        r = links_ready(fs, n);
        if (r < 0)
            return r;
    }
    if (node_suspect(n) && !node_local(n) && !node_gone_locked(n)) {
        if (!wait)
            return -EAGAIN;
        r = tree_refresh(fs, n, fs_since(fs), false);
        if (r < 0)
            return r;
    }
    if (!n->file->blob && !wait)
        return -EAGAIN;
    return data_blob_locked(fs, n);
}

static ssize_t read_locked(struct fs_file *file, uint64_t off, void *p, size_t n_bytes, bool wait)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    unsigned stale = FS_STALE_TRIES;
    bool followed = false;

    if ((file->flags & O_ACCMODE) == O_WRONLY)
        return -EBADF;
    for (;;) {
        uint64_t size, len, missing;
        ssize_t r = content_valid(fs, n, wait);

        if (r < 0)
            return r;
        size = node_local(n) ? n->file->size : blob_size(n->file->blob);
        if (off >= size || n_bytes == 0)
            return 0;
        len = n_bytes < size - off ? n_bytes : size - off;
        if (blob_has(n->file->blob, off, len)) {
            r = read_blob(fs, n, off, p, (size_t)len);
            if (r >= 0)
                window_read_locked(file, off, (uint64_t)r);
            return r;
        }
        if (!wait)
            return -EAGAIN;
        missing = blob_local_to(n->file->blob, off, len);
        r = data_fetch(fs, n, missing, window_of_locked(file, off, len, missing), &stale);
        /* It had changed in place, and then another took its name; or its inode number was used
         * again at once, and all of it was the second. */
        if (r == -ESTALE && size <= FS_SMALL && !followed) {
            followed = true;
            r = data_fetch_now(fs, n, false);
        }
        if (r < 0)
            return r == -EAGAIN ? -ESTALE : r;
    }
}

ssize_t fs_read(struct fs_file *file, uint64_t off, void *p, size_t n)
{
    ssize_t r;

    fs_lock(file->fs);
    r = read_locked(file, off, p, n, true);
    fs_unlock(file->fs);
    return r;
}

ssize_t fs_read_cached(struct fs_file *file, uint64_t off, void *p, size_t n)
{
    ssize_t r;

    fs_lock(file->fs);
    r = read_locked(file, off, p, n, false);
    fs_unlock(file->fs);
    return r;
}

/* ---- writing ---- */

/* It is our turn. */
static ssize_t write_blob(struct fs *fs, struct node *n, uint64_t off, const void *p, size_t bytes)
{
    const bool journaled = write_in_parts(fs, n);
    struct blob *b = blob_ref(n->file->blob);
    int r;

    /* Marked before, so that no refresh takes the blob away. */
    write_mark_locked(fs, n);
    if (journaled && off + bytes > n->file->size)
        n->file->size = off + bytes;
    fs_unlock(fs);
    r = blob_write(b, off, p, bytes);
    blob_unref(b);
    fs_lock(fs);
    if (journaled) { /* it is written, whatever has become of it here */
        write_hidden_locked(fs, n, r);
        return (ssize_t)bytes;
    }
    /* And after, so that a put that began meanwhile does not count as having sent this. */
    write_mark_locked(fs, n);
    if (r == 0 && off + bytes > n->file->size)
        n->file->size = off + bytes;
    return r < 0 ? r : (ssize_t)bytes;
}

/*
 * A program whose output is redirected to a file writes like one that copies a file there; but who
 * takes seconds for a few bytes is no copy, and those who follow the file in the sandbox wait for
 * them: they go as they come, as what is appended does.
 */
static bool trickles(struct fs_file *file, uint64_t off, size_t bytes)
{
    const struct fs *fs = file->fs;

    file->grown = off == file->grown && off == node_size(file->node) ? off + bytes : NOT_GROWN;
    return file->grown != NOT_GROWN && fs->flush && fs->config.durability != FS_DURABILITY_SYNC &&
           flush_is_slow(fs->flush, file->grown, clock_mono_ns() - file->opened_ns);
}

static int write_journaled(struct fs_file *file, uint64_t off, const void *p, size_t bytes)
{
    const bool append = trickles(file, off, bytes) || (file->flags & O_APPEND);
    struct journal_record rec = {.kind = append ? JOURNAL_APPEND : JOURNAL_PATCH,
                                 .off = append ? 0 : off,
                                 .flags = file->grown != NOT_GROWN ? JOURNAL_GROWS : 0,
                                 .data = p,
                                 .data_len = bytes};

    file->wrote = true;
    return write_journal_locked(file->fs, file->node, &rec, file);
}

static ssize_t write_file(struct fs_file *file, uint64_t off, const void *p, size_t bytes)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    ssize_t r;

    if (!flags_write(file->flags))
        return -EBADF;
    if (bytes == 0)
        return 0;
    r = write_begin(fs, n, file->flags & O_APPEND ? UINT64_MAX : off, bytes);
    if (r < 0)
        return r;
    if (file->flags & O_APPEND)
        off = node_size(n);
    r = change_lost_locked(file);
    if (r == 0)
        r = off > CACHE_BLOB_MAX - bytes ? -EFBIG : write_journaled(file, off, p, bytes);
    if (r == 0)
        r = write_blob(fs, n, off, p, bytes);
    write_end_locked(fs, n);
    return r;
}

ssize_t fs_write(struct fs_file *file, uint64_t off, const void *p, size_t n)
{
    struct fs *fs = file->fs;
    ssize_t r = change_room(fs, n);
    struct writing w;

    if (r < 0)
        return r;
    fs_lock(fs);
    r = write_enter(fs, file->node, &w);
    if (r == 0)
        r = write_leave(fs, file->node, file, &w, write_file(file, off, p, n), false);
    fs_unlock(fs);
    return r;
}

ssize_t fs_write_cached(struct fs_file *file, uint64_t off, const void *p, size_t n)
{
    struct fs *fs = file->fs;
    ssize_t r = -EAGAIN;

    if (fs->config.durability == FS_DURABILITY_SYNC ||
        (fs->flush && flush_room_now(fs->flush, n) < 0))
        return -EAGAIN;
    fs_lock(fs);
    if (data_whole_locked(file->node) && !file->node->file->writing &&
        links_turn_locked(fs, file->node))
        r = write_file(file, off, p, n);
    fs_unlock(fs);
    return r;
}

int fs_fallocate(struct fs_file *file, int mode, uint64_t off, uint64_t len)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    struct writing w;
    int r = 0;

    if (mode & ~FALLOC_FL_KEEP_SIZE)
        return -EOPNOTSUPP;
    if (!flags_write(file->flags))
        return -EBADF;
    if (len == 0)
        return -EINVAL;
    if (len > CACHE_BLOB_MAX || off > CACHE_BLOB_MAX - len)
        return -EFBIG;
    r = change_room(fs, 0);
    if (r < 0)
        return r;
    fs_lock(fs);
    r = write_enter(fs, n, &w);
    if (r == 0) {
        r = change_lost_locked(file);
        if (r == 0 && !(mode & FALLOC_FL_KEEP_SIZE) && off + len > node_size(n))
            r = write_truncate(fs, n, off + len, file);
        r = (int)write_leave(fs, n, file, &w, r, false);
    }
    fs_unlock(fs);
    return r;
}

/* ---- sending ---- */

/* A close must wait: for content that goes as a whole, or that shows through other names, too. */
static bool close_waits_locked(const struct fs_file *file)
{
    const struct node *n = file->node;
    const struct fs *fs = file->fs;

    if (!flags_write(file->flags))
        return false;
    if (!fs->flush)
        return node_unsent(n);
    return n->ours && n->ours->content > 0 && !n->deleted &&
           (fs->config.durability != FS_DURABILITY_FSYNC || n->attr.nlink > 1);
}

/* A shell that redirects closes its first descriptor before anything is written to the second: the
 * truncated file alone is not what it wants to be seen. */
static void may_go_locked(struct fs_file *file)
{
    if (file->fs->flush && file->group && file->wrote)
        flush_ready(file->fs->flush, file->group);
}

static int close_file(struct fs_file *file)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    int r = 0, late;

    if (close_waits_locked(file)) {
        if (!fs->flush)
            return send_node(fs, n);
        if (fs->config.durability != FS_DURABILITY_FSYNC)
            r = change_wait(fs, n, false);
        if (r == 0)
            r = change_links(fs, n);
    }
    late = change_late_locked(file); /* told once, one way or the other */
    return r < 0 ? r : late;
}

int fs_flush(struct fs_file *file)
{
    int r;

    fs_lock(file->fs);
    may_go_locked(file);
    r = close_file(file);
    fs_unlock(file->fs);
    return r;
}

int fs_flush_cached(struct fs_file *file)
{
    int r;

    fs_lock(file->fs);
    may_go_locked(file);
    r = close_waits_locked(file) ? -EAGAIN : change_late_locked(file);
    fs_unlock(file->fs);
    return r;
}

/* Applied, but perhaps not on the sandbox's disk. */
static int fsync_applied(struct fs *fs, struct node *n)
{
    char *path = NULL;
    int r;

    if (!n->file->unsynced || n->deleted || node_gone_locked(n))
        return 0;
    r = change_settle_path(fs, n);
    if (r == 0)
        r = node_path_locked(fs, n, &path);
    if (r < 0)
        return r;
    n->file->unsynced = false;
    fs_unlock(fs);
    r = flush_fsync(fs->flush, path);
    fs_lock(fs);
    if (r < 0)
        n->file->unsynced = true;
    free(path);
    return r;
}

/* The sandbox has taken its name: as of any file that is open and has none, nothing is left that
 * could be missing. */
static bool has_no_name(int r)
{
    return r == -ENOENT || r == -ENOTDIR;
}

static int fsync_waiting(struct fs_file *file)
{
    struct fs *fs = file->fs;
    struct node *n = file->node;
    const unsigned late_gen = n->file->late_gen;
    int r, late;

    may_go_locked(file);
    if (n->ours && n->ours->seq != 0 && !n->deleted) {
        r = change_wait(fs, n, true);
        if (r == 0)
            n->file->unsynced = false;
    } else {
        r = fsync_applied(fs, n);
    }
    late = change_late_locked(file);
    if (has_no_name(late)) /* what was written is set aside */
        late = -EIO;
    if (has_no_name(r))
        r = n->file->late_gen != late_gen ? -EIO : 0;
    return r < 0 ? r : late;
}

int fs_fsync(struct fs_file *file)
{
    int r;

    fs_lock(file->fs);
    r = file->fs->flush ? fsync_waiting(file) : send_node(file->fs, file->node);
    fs_unlock(file->fs);
    return r;
}
