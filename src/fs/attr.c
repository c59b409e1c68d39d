/* attr.c - what stat, access and readlink answer, and setattr. */
#include "fs/fs_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A handle outlives the name, and then shows no link. */
static void show_node_locked(struct fs *fs, struct node *n, struct fs_entry *ret)
{
    show_told_locked(fs, n, ret);
    if (node_gone_locked(n) && (n->dir || !n->deleted))
        ret->st.st_nlink = 0;
}

/* What the handle is of, if there is one: not always the node it was opened through, see follow.c.
 */
static struct node *node_of_locked(struct fs *fs, uint64_t ino, const struct fs_file *file)
{
    return file ? node_ref_locked(file->node) : node_find_locked(fs, ino);
}

/* Of another node than the kernel asks about: true of this handle, and only now. */
static void show_through_locked(struct fs *fs, struct node *n, uint64_t ino, struct fs_entry *ret)
{
    show_node_locked(fs, n, ret);
    if (n->id != ino)
        ret->ttl_ns = 0;
}

int fs_getattr(struct fs *fs, uint64_t ino, struct fs_file *file, struct fs_entry *ret)
{
    const int64_t since = fs_since(fs);
    struct node *n;
    int r = -ESTALE;

    fs_lock(fs);
    n = node_of_locked(fs, ino, file);
    if (n)
        r = tree_refresh(fs, n, since, true);
    if (r == 0)
        show_through_locked(fs, n, ino, ret);
    /* A handle may be of what had the name once; else the kernel asks again what has it now. */
    if (n && (r == 0 || r == -ESTALE))
        look_at_locked(fs, n, file, r == 0 && !node_gone_locked(n));
    node_unref_locked(fs, n);
    fs_unlock(fs);
    return r;
}

int fs_getattr_cached(struct fs *fs, uint64_t ino, struct fs_file *file, struct fs_entry *ret)
{
    const int64_t since = fs_since(fs);
    struct node *n;
    int r = -ESTALE;

    fs_lock(fs);
    n = node_of_locked(fs, ino, file);
    if (n)
        r = tree_fresh_locked(n, since) && !n->times_stale && !node_gone_locked(n) ? 0 : -EAGAIN;
    if (r == 0) {
        show_through_locked(fs, n, ino, ret);
        look_at_locked(fs, n, file, true);
    }
    node_unref_locked(fs, n);
    fs_unlock(fs);
    return r;
}

static int access_node(struct fs *fs, struct node *n, int mask)
{
    if ((mask & W_OK) && fs->config.read_only &&
        (S_ISREG(n->attr.mode) || S_ISDIR(n->attr.mode) || S_ISLNK(n->attr.mode)))
        return -EROFS;
    return mask == F_OK ? 0 : perm_check(fs, &n->attr, mask); /* R_OK … are the PERM_ bits */
}

int fs_access(struct fs *fs, uint64_t ino, int mask)
{
    const int64_t since = fs_since(fs);
    struct node *n;
    int r = -ESTALE;

    fs_lock(fs);
    n = node_find_locked(fs, ino);
    if (n)
        r = tree_refresh(fs, n, since, false);
    if (r == 0)
        r = access_node(fs, n, mask);
    node_unref_locked(fs, n);
    fs_unlock(fs);
    return r;
}

int fs_access_cached(struct fs *fs, uint64_t ino, int mask)
{
    struct node *n;
    int r = -ESTALE;

    fs_lock(fs);
    n = node_find_locked(fs, ino);
    if (n)
        r = tree_fresh_locked(n, fs_since(fs)) ? access_node(fs, n, mask) : -EAGAIN;
    node_unref_locked(fs, n);
    fs_unlock(fs);
    return r;
}

static int readlink_ino(struct fs *fs, uint64_t ino, bool wait, char **ret)
{
    const int64_t since = fs_since(fs);
    struct node *n;
    int r = -ESTALE;

    fs_lock(fs);
    n = node_find_locked(fs, ino);
    if (n && wait)
        r = tree_refresh(fs, n, since, false);
    else if (n)
        r = tree_fresh_locked(n, since) ? 0 : -EAGAIN;
    if (r == 0)
        r = S_ISLNK(n->attr.mode) ? show_target_locked(fs, n, ret) : -EINVAL;
    node_unref_locked(fs, n);
    fs_unlock(fs);
    return r;
}

int fs_readlink(struct fs *fs, uint64_t ino, char **ret)
{
    return readlink_ino(fs, ino, true, ret);
}

int fs_readlink_cached(struct fs *fs, uint64_t ino, char **ret)
{
    return readlink_ino(fs, ino, false, ret);
}

/* ---- setattr ---- */

static bool may_chown(const struct fs *fs, const struct node *n, unsigned set, uint32_t uid,
                      uint32_t gid)
{
    bool own_group = gid == fs->info.gid;

    if (fs->info.privileged)
        return true;
    if ((set & FS_SET_UID) && (n->attr.uid != fs->info.uid || uid != n->attr.uid))
        return false;
    for (size_t i = 0; i < fs->info.group_count; i++)
        own_group = own_group || fs->info.groups[i] == gid;
    return !(set & FS_SET_GID) ||
           (n->attr.uid == fs->info.uid && (own_group || gid == n->attr.gid));
}

static int may_set(struct fs *fs, struct node *n, const struct fs_file *file, unsigned set,
                   uint32_t uid, uint32_t gid)
{
    const unsigned given = FS_SET_ATIME | FS_SET_MTIME;
    const unsigned now = FS_SET_ATIME_NOW | FS_SET_MTIME_NOW;
    const bool owner = perm_owner(fs, &n->attr);

    if (fs->config.read_only)
        return -EROFS;
    if ((set & FS_SET_MODE) && !owner)
        return -EPERM;
    if ((set & (FS_SET_UID | FS_SET_GID)) && !may_chown(fs, n, set, uid, gid))
        return -EPERM;
    if (set & FS_SET_SIZE) {
        if (n->dir)
            return -EISDIR;
        if (!S_ISREG(n->attr.mode))
            return -EINVAL;
        if (file && (file->flags & O_ACCMODE) == O_RDONLY)
            return -EINVAL;
        if (!file && perm_check(fs, &n->attr, PERM_W) < 0)
            return -EACCES;
    }
    if ((set & given) && !(set & FS_SET_SIZE) && !owner)
        return -EPERM;
    if ((set & now) && !(set & FS_SET_SIZE) && !owner && perm_check(fs, &n->attr, PERM_W) < 0)
        return -EACCES;
    return 0;
}

/* What setattr asks, in the sandbox's terms. */
static void translate(struct fs *fs, unsigned set, const struct stat *st,
                      struct remote_setattr *ret)
{
    const int64_t now_ns = fs_sandbox_now(fs);

    *ret = (struct remote_setattr){0};
    if (set & FS_SET_MODE)
        ret->mask |= REMOTE_SET_MODE;
    if (set & FS_SET_UID)
        ret->mask |= REMOTE_SET_UID;
    if (set & FS_SET_GID)
        ret->mask |= REMOTE_SET_GID;
    if (set & (FS_SET_ATIME | FS_SET_ATIME_NOW))
        ret->mask |= REMOTE_SET_ATIME;
    if (set & (FS_SET_MTIME | FS_SET_MTIME_NOW))
        ret->mask |= REMOTE_SET_MTIME;
    ret->attr.mode = st->st_mode & 07777;
    ret->attr.uid = show_uid_back(fs, st->st_uid);
    ret->attr.gid = show_gid_back(fs, st->st_gid);
    ret->attr.atime_ns = set & FS_SET_ATIME_NOW ? now_ns : timespec_to_ns(st->st_atim);
    ret->attr.mtime_ns = set & FS_SET_MTIME_NOW ? now_ns : timespec_to_ns(st->st_mtim);
}

static bool attr_is(const struct remote_attr *a, const struct remote_setattr *set)
{
    const struct remote_attr *want = &set->attr;

    return (!(set->mask & REMOTE_SET_MODE) || (a->mode & 07777) == want->mode) &&
           (!(set->mask & REMOTE_SET_UID) || a->uid == want->uid) &&
           (!(set->mask & REMOTE_SET_GID) || a->gid == want->gid) &&
           (!(set->mask & REMOTE_SET_SIZE) || a->size == want->size) &&
           (!(set->mask & REMOTE_SET_ATIME) || a->atime_ns == want->atime_ns) &&
           (!(set->mask & REMOTE_SET_MTIME) || a->mtime_ns == want->mtime_ns);
}

static int remote_set(struct fs *fs, const char *path, const struct remote_setattr *set,
                      const struct remote_attr *before, struct remote_attr *ret)
{
    int r = remote_setattr(fs->remote, path, set, ret);

    if (op_lost(r) && !attr_is(before, set) && remote_stat(fs->remote, path, ret, NULL) == 0 &&
        attr_is(ret, set))
        return 0;
    return r;
}

/* As the sandbox will do it; it has the last word when it is done. */
static void predict_locked(struct fs *fs, struct node *n, const struct remote_setattr *set,
                           int64_t now_ns)
{
    struct remote_attr *a = &n->attr;
    struct stat shown;

    show_stat_locked(fs, n, &shown);
    if (set->mask & REMOTE_SET_MODE)
        a->mode = (a->mode & S_IFMT) | set->attr.mode;
    if (set->mask & REMOTE_SET_UID)
        a->uid = set->attr.uid;
    if (set->mask & REMOTE_SET_GID)
        a->gid = set->attr.gid;
    if ((set->mask & (REMOTE_SET_UID | REMOTE_SET_GID)) && S_ISREG(a->mode))
        a->mode &= ~(mode_t)(S_ISUID | S_ISGID);
    if (set->mask & REMOTE_SET_ATIME)
        a->atime_ns = set->attr.atime_ns;
    change_shown_locked(
        n, set->mask & REMOTE_SET_MTIME ? set->attr.mtime_ns : timespec_to_ns(shown.st_mtim),
        now_ns);
    if (node_local(n) && (set->mask & REMOTE_SET_MTIME))
        n->file->mtime_ns = set->attr.mtime_ns;
    if (node_local(n))
        n->file->ctime_ns = n->shown_ctime_ns;
}

/* In the journal. */
static int set_waiting(struct fs *fs, struct node *n, const struct remote_setattr *set)
{
    /* The same bits in both. */
    const unsigned same = REMOTE_SET_MODE | REMOTE_SET_UID | REMOTE_SET_GID;
    struct journal_record rec = {
        .kind = JOURNAL_SETATTR,
        .group = n->file && n->file->wopens > 0 ? n->file->group : 0,
        .attr = {.mask = (set->mask & same) |
                         (set->mask & REMOTE_SET_ATIME ? JOURNAL_ATTR_ATIME : 0) |
                         (set->mask & REMOTE_SET_MTIME ? JOURNAL_ATTR_MTIME : 0),
                 .mode = set->attr.mode,
                 .uid = set->attr.uid,
                 .gid = set->attr.gid,
                 .atime_ns = set->attr.atime_ns,
                 .mtime_ns = set->attr.mtime_ns},
    };
    struct node *other = NULL;
    int r;

    _Static_assert((unsigned)REMOTE_SET_MODE == (unsigned)JOURNAL_ATTR_MODE &&
                       (unsigned)REMOTE_SET_UID == (unsigned)JOURNAL_ATTR_UID &&
                       (unsigned)REMOTE_SET_GID == (unsigned)JOURNAL_ATTR_GID,
                   "the same bits in both");
    r = change_append_locked(fs, &rec, &(struct change_about){.node = n});
    if (r < 0)
        return r;
    predict_locked(fs, n, set, rec.when_ns);
    while ((other = links_next_locked(fs, n, other)))
        predict_locked(fs, other, set, rec.when_ns);
    return 0;
}

/* At once, in the sandbox. May wait. */
static int set_there(struct fs *fs, struct node *n, const struct remote_setattr *set)
{
    const int64_t start_ns = clock_mono_ns();
    struct remote_attr attr, before;
    char *path = NULL;
    struct op op;
    int r;

    if (node_gone_locked(n))
        return n->deleted ? 0 : -ESTALE;
    if (fs->flush) {
        const bool waits = change_names_wait(fs);

        r = links_refresh(fs, n, fs_since(fs));
        if (r == 0 && (!waits || links_many_locked(fs, n)))
            r = links_settle(fs, n);
        if (r == 0 && waits)
            r = op_await_path(fs, n);
        if (r == 0 && node_gone_locked(n))
            r = n->deleted ? 0 : -ESTALE;
        if (r < 0 || node_gone_locked(n) || waits)
            return r < 0 || node_gone_locked(n) ? r : set_waiting(fs, n, set);
    }
    r = op_begin_node(fs, &op, n);
    if (r < 0)
        return r;
    before = n->attr;
    r = n->ours ? -EBUSY : node_path_locked(fs, n, &path); /* somebody writes it without a pause */
    if (r == 0) {
        fs_unlock(fs);
        r = remote_set(fs, path, set, &before, &attr);
        fs_lock(fs);
    }
    if (r == 0) {
        if (set->mask & REMOTE_SET_SIZE)
            data_drop_locked(fs, n);
        if (n->attr.nlink > 1)
            node_stale_links_locked(fs, n);
        tree_own_attr_locked(fs, n, &attr, start_ns, (set->mask & REMOTE_SET_MTIME) != 0);
    } else {
        node_stale_locked(n);
    }
    op_end_locked(fs, &op);
    free(path);
    return r;
}

/* Content that is here, or will be sent from here, is cut here. May wait. */
static int truncate_here(struct fs *fs, struct node *n, struct fs_file *file, uint64_t size,
                         bool send)
{
    struct writing w;
    int r;

    if (!node_file_locked(n))
        return -ENOMEM;
    data_open_locked(n);
    r = write_enter(fs, n, &w);
    if (r == 0) {
        r = write_truncate(fs, n, size, file);
        r = (int)write_leave(fs, n, file, &w, r, send || fs->flush);
    }
    if (r < 0 && node_unsent(n))
        send_retry_later_locked(fs);
    data_close_locked(n);
    return r;
}

static int set_size(struct fs *fs, struct node *n, struct fs_file *file, uint64_t size)
{
    const struct remote_setattr set = {.mask = REMOTE_SET_SIZE, .attr.size = size};
    const bool open = n->file && n->file->wopens > 0;
    int r = file ? change_lost_locked(file) : 0;

    if (r < 0)
        return r;
    if (size > CACHE_BLOB_MAX) /* else it would be found out when the journal has it */
        return -EFBIG;
    if (fs->flush && !open && links_next_locked(fs, n, NULL)) {
        r = links_ready(fs, n);
        if (r < 0)
            return r;
    }
    if (file || node_local(n) || open || fs->flush)
        return truncate_here(fs, n, file, size, !open || n->attr.nlink > 1);
    r = set_there(fs, n, &set);
    /* Where only whole files can be put, that is done. */
    return r == -EOPNOTSUPP ? truncate_here(fs, n, NULL, size, true) : r;
}

/* cp -a and tar set what is so already: that needs no request. A chown that clears set-id bits
 * does.
 */
static void skip_what_is_so_locked(const struct node *n, struct remote_setattr *set)
{
    if (node_suspect(n) || (n->attr.mode & 06000))
        return;
    if ((set->mask & REMOTE_SET_MODE) && set->attr.mode == (n->attr.mode & 07777))
        set->mask &= ~(unsigned)REMOTE_SET_MODE;
    if ((set->mask & REMOTE_SET_UID) && set->attr.uid == n->attr.uid)
        set->mask &= ~(unsigned)REMOTE_SET_UID;
    if ((set->mask & REMOTE_SET_GID) && set->attr.gid == n->attr.gid)
        set->mask &= ~(unsigned)REMOTE_SET_GID;
}

/* What unsent content will be put with, and what is remembered of a file nobody will send. */
static void set_times_here_locked(struct fs *fs, struct node *n, struct remote_setattr *set)
{
    if (!node_local(n) || !(set->mask & REMOTE_SET_MTIME) || (fs->flush && !n->deleted))
        return;
    n->file->gen++; /* a put under way has the old one */
    n->file->mtime_ns = set->attr.mtime_ns;
    n->file->ctime_ns = fs_sandbox_now(fs);
    set->mask &= ~(unsigned)(REMOTE_SET_MTIME | REMOTE_SET_ATIME);
}

static void set_private_locked(struct fs *fs, struct node *n, const struct remote_setattr *set)
{
    if (set->mask & REMOTE_SET_MODE)
        n->attr.mode = (n->attr.mode & S_IFMT) | set->attr.mode;
    if (set->mask & REMOTE_SET_UID)
        n->attr.uid = set->attr.uid;
    if (set->mask & REMOTE_SET_GID)
        n->attr.gid = set->attr.gid;
    if (set->mask & REMOTE_SET_MTIME)
        n->attr.mtime_ns = set->attr.mtime_ns;
    n->attr.ctime_ns = fs_sandbox_now(fs);
}

static int set_node(struct fs *fs, struct node *n, struct fs_file *file, unsigned set,
                    const struct stat *st)
{
    struct remote_setattr want;
    int r;

    translate(fs, set, st, &want);
    r = may_set(fs, n, file, set, want.attr.uid, want.attr.gid);
    if (r == 0 && (set & FS_SET_SIZE))
        r = set_size(fs, n, file, (uint64_t)st->st_size);
    if (r < 0)
        return r;
    /* truncate(2) comes with the new times, which the change of size made already. */
    if ((set & FS_SET_SIZE) && !(set & (FS_SET_MTIME | FS_SET_ATIME)))
        want.mask &= ~(unsigned)(REMOTE_SET_ATIME | REMOTE_SET_MTIME);
    set_times_here_locked(fs, n, &want);
    skip_what_is_so_locked(n, &want);
    if (want.mask == 0)
        return 0;
    if (n->deleted) {
        set_private_locked(fs, n, &want);
        return 0;
    }
    r = set_there(fs, n, &want);
    if (r == 0 && node_local(n))
        n->file->ctime_ns = fs_sandbox_now(fs);
    return r;
}

int fs_setattr(struct fs *fs, uint64_t ino, struct fs_file *file, unsigned set,
               const struct stat *st, struct fs_entry *ret)
{
    const int64_t since = fs_since(fs);
    bool several = false;
    struct node *n;
    int r = change_room(fs, 0);

    if (r < 0)
        return r;
    r = -ESTALE;
    fs_lock(fs);
    n = node_of_locked(fs, ino, file);
    if (n)
        r = tree_refresh(fs, n, since, false);
    if (r == 0)
        r = set_node(fs, n, file, set, st);
    if (r == 0)
        show_through_locked(fs, n, ino, ret);
    if (n) /* the others, which are other inodes for the kernel, have another size, too */
        several = (set & FS_SET_SIZE) && n->attr.nlink > 1;
    node_unref_locked(fs, n);
    fs_unlock(fs);
    if (several)
        fs_drain_notify(fs);
    return r;
}
