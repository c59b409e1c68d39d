/* file.c - handles: opened, also by making the file, and let go. */
#include "fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <utlist.h>

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
    const int64_t start_ns = clock_mono_ns();
    struct node *n = NULL;
    struct change_call c;
    bool created = false;
    int r = change_enter(fs, &c, parent, NULL);

    if (r < 0)
        return r;
    r = names_create(fs, c.node, name, mode, (flags & O_EXCL) != 0, &n, &created);
    if (r == 0)
        r = open_created(fs, n, flags, created, ret, ret_file, ret_hints);
    if (r == 0 && !created)
        look_opened_locked(*ret_file, start_ns);
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
