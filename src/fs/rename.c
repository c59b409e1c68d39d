/* rename.c - rename and exchange. */
#include "fs/fs_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RENAME_AGAIN = 1 }; /* not an errno: the names moved while we prepared */

struct renaming {
    struct node *dir, *new_dir; /* counted by the caller */
    const char *name, *new_name;
    unsigned flags;
    struct node *n, *target; /* counted; target NULL: the new name is free */
    int64_t since;           /* what is known must be from then */
    bool keep;               /* target, which is open and not all here, stays readable there */
    bool waits;              /* in the journal; else it is made in the sandbox at once */
};

/* In the order in which Linux looks at them. */
static int check_names(const struct renaming *r)
{
    const bool exchange = r->flags & RENAME_EXCHANGE;

    if (remote_attr_apart(&r->dir->attr, &r->new_dir->attr))
        return -EXDEV;
    if (!r->n)
        return -ENOENT;
    if (r->target && (r->flags & RENAME_NOREPLACE))
        return -EEXIST;
    if (!r->target && exchange)
        return -ENOENT;
    /* The kernel looks at names again before a rename, but not before an exchange, and gives each
     * name the other's inode: one that it has never heard of it cannot mean. It asks again. */
    if (exchange && (r->n->nlookup == 0 || r->target->nlookup == 0))
        return -ESTALE;
    if (node_is_below_locked(r->new_dir, r->n))
        return -EINVAL;
    if (r->target && node_is_below_locked(r->dir, r->target))
        return exchange ? -EINVAL : -ENOTEMPTY;
    return 0;
}

static int check_kinds(const struct renaming *r)
{
    if (!r->target || (r->flags & RENAME_EXCHANGE))
        return 0;
    if (r->n->dir && !r->target->dir)
        return -ENOTDIR;
    return !r->n->dir && r->target->dir ? -EISDIR : 0;
}

static bool is_mounted(const struct node *dir, const struct node *n)
{
    return n && n->dir && remote_attr_apart(&dir->attr, &n->attr);
}

static int check_rights(struct fs *fs, const struct renaming *r, int64_t since)
{
    const bool moves = r->dir != r->new_dir;
    int err;

    if (fs->config.read_only)
        return -EROFS;
    err = perm_names(fs, r->dir, r->n, since);
    if (err == 0)
        err = perm_names(fs, r->new_dir, r->target, since);
    if (err == 0)
        err = check_kinds(r);
    if (err == 0 && r->n->dir && moves) /* its ".." changes */
        err = perm_node(fs, r->n, PERM_W, since);
    if (err == 0 && (r->flags & RENAME_EXCHANGE) && r->target->dir && moves)
        err = perm_node(fs, r->target, PERM_W, since);
    if (err == 0 && (is_mounted(r->dir, r->n) || is_mounted(r->new_dir, r->target)))
        err = -EBUSY;
    return err;
}

/* A file with one name is no other one: of two that show the same inode one has been replaced in
 * the sandbox, where the other then got its number. */
static bool same_file(const struct node *a, const struct node *b)
{
    return b && !a->dir && index_same_file(a, b) && a->attr.nlink > 1 && b->attr.nlink > 1;
}

/* What is saved here must be there before its name is: then a rename over a file is atomic there,
 * too. */
static int send_first(struct fs *fs, struct renaming *r)
{
    const bool exchange = r->flags & RENAME_EXCHANGE;
    int err = r->waits ? 0 : send_node(fs, r->n);

    if (r->waits && r->n->file)
        flush_ready(fs->flush, r->n->file->group);
    /* What stays, or stays under other names, must be there whole. */
    if (err == 0 && r->target && (exchange || (!r->waits && r->target->attr.nlink > 1)))
        err = send_node(fs, r->target);
    if (err == 0 && r->target && !exchange)
        err = keep_for_handles(fs, r->target, r->waits, &r->keep);
    return err;
}

/* Where the sandbox may have another answer than we (another device, something in the directory
 * that we do not see) it is asked at once. */
static bool can_wait(const struct fs *fs, const struct renaming *r)
{
    const struct node *n = r->n, *target = r->target;

    if (!change_names_wait(fs) || (r->flags & RENAME_EXCHANGE) ||
        (r->dir != r->new_dir && r->dir->attr.dev != r->new_dir->attr.dev))
        return false;
    if (n->dir)
        return !target && n->ours && n->ours->unborn;
    return links_quiet_locked(fs, n, r->since) &&
           (!target || (!target->dir && links_quiet_locked(fs, target, r->since)));
}

/* What is known of the other names of both. May wait. */
static int look_at_links(struct fs *fs, const struct renaming *r)
{
    int err = fs->flush ? links_refresh(fs, r->n, r->since) : 0;

    return err == 0 && fs->flush && r->target ? links_refresh(fs, r->target, r->since) : err;
}

/* All that is on its way to what is moved, and its names, goes first. May wait. */
static int settle(struct fs *fs, const struct renaming *r)
{
    int err;

    if (!fs->flush || r->waits)
        return 0;
    err = links_settle(fs, r->n);
    if (err == 0 && r->target)
        err = links_settle(fs, r->target);
    if (err == 0)
        err = change_settle_name(fs, r->dir, r->name);
    if (err == 0)
        err = change_settle_name(fs, r->new_dir, r->new_name);
    return err;
}

static bool settled_locked(const struct fs *fs, const struct renaming *r)
{
    return change_settled_locked(fs, r->n, r->dir, r->name) &&
           change_settled_locked(fs, r->target ? r->target : r->n, r->new_dir, r->new_name);
}

static int remote_rename_sure(struct fs *fs, const char *from, const char *to, unsigned flags,
                              const struct remote_attr *source, struct remote_attr *ret)
{
    struct remote_attr now;
    const unsigned keep = flags & RENAME_NOREPLACE ? REMOTE_RENAME_NOREPLACE : 0;
    int r = remote_rename(fs->remote, from, to, keep, ret);

    if (!op_lost(r))
        return r;
    if (remote_stat(fs->remote, from, &now, NULL) != -ENOENT ||
        remote_stat(fs->remote, to, &now, NULL) < 0)
        return r;
    if (!remote_attr_same_object(&now, source) ||
        (!S_ISDIR(now.mode) && (now.size != source->size || now.mtime_ns != source->mtime_ns)))
        return r;
    *ret = now;
    return 0;
}

/* attr NULL: as it was. */
static int moved_locked(struct fs *fs, const struct renaming *r, const struct remote_attr *attr,
                        int64_t start_ns)
{
    struct node *n = r->n, *target = r->target;
    struct node *other = node_child_locked(r->new_dir, r->new_name);
    int err;

    if (other && other == target)
        names_deleted_locked(fs, target, r->waits);
    else if (other) /* unknown to us until now */
        node_detach_locked(fs, other);
    err = node_move_locked(fs, n, r->new_dir, r->new_name);
    if (!attr)
        return err;
    tree_own_attr_locked(fs, n, attr, start_ns, false);
    r->dir->times_stale = r->new_dir->times_stale = true;
    if (n->attr.nlink > 1)
        node_stale_links_locked(fs, n);
    return err;
}

static void failed_locked(struct fs *fs, const struct renaming *r, int err)
{
    if (err != -ENOENT && err != -ESTALE && err != -EEXIST && err != -ENOTEMPTY && err != -EISDIR &&
        err != -ENOTDIR && !op_unknown(err))
        return;
    node_stale_locked(r->n);
    tree_dir_stale_locked(r->dir);
    tree_dir_stale_locked(r->new_dir);
    if (r->target)
        node_stale_locked(r->target);
    if (r->target && r->target->dir)
        tree_dir_stale_locked(r->target);
    if (op_maybe(err)) {
        node_unsure_locked(r->n);
        if (r->target)
            node_unsure_locked(r->target);
        else
            tree_dir_unsure_locked(r->new_dir);
    }
    if (op_unknown(err)) {
        fs_tell_entry_locked(fs, r->dir, r->name);
        fs_tell_entry_locked(fs, r->new_dir, r->new_name);
    }
}

/* In the journal. */
static int rename_waiting_locked(struct fs *fs, const struct renaming *r)
{
    struct journal_record rec = {.kind = JOURNAL_RENAME, .flags = r->flags};
    struct stat shown;
    int err;

    if (!can_wait(fs, r))
        return RENAME_AGAIN;
    show_stat_locked(fs, r->n, &shown);
    err = change_append_locked(fs, &rec,
                               &(struct change_about){.node = r->n,
                                                      .dir = r->dir,
                                                      .name = r->name,
                                                      .new_dir = r->new_dir,
                                                      .new_name = r->new_name,
                                                      .target = r->target,
                                                      .keep = r->keep});
    if (err < 0)
        return err;
    if (node_local(r->n))
        r->n->file->ctime_ns = fs_sandbox_now(fs);
    else
        change_shown_locked(r->n, timespec_to_ns(shown.st_mtim), fs_sandbox_now(fs));
    links_moved_locked(fs, r->n, 0);
    err = moved_locked(fs, r, NULL, 0);
    change_dir_locked(fs, r->dir, r->n->dir ? -1 : 0);
    change_dir_locked(fs, r->new_dir, r->n->dir ? 1 : 0);
    return err;
}

/* One name after an exchange: n should have it, and attr does. */
static void swapped_locked(struct fs *fs, struct node *n, const struct remote_attr *attr,
                           int64_t start_ns)
{
    const struct remote_attr meant = n->attr;

    if (meant.ino != attr->ino || (meant.mode & S_IFMT) != (attr->mode & S_IFMT)) {
        flight_vanish_locked(fs, n); /* somebody saved over it just then: that is looked up */
        return;
    }
    tree_own_attr_locked(fs, n, attr, start_ns, false);
    if (meant.size != attr->size || meant.mtime_ns != attr->mtime_ns)
        fs_tell_inode_locked(fs, n);
    if (n->attr.nlink > 1)
        node_stale_links_locked(fs, n);
}

/* attr: of what the first name, and the second, have now. */
static int exchanged_locked(struct fs *fs, const struct renaming *r,
                            const struct remote_attr attr[2], int64_t start_ns)
{
    int err;

    node_detach_locked(fs, r->target);
    err = node_move_locked(fs, r->n, r->new_dir, r->new_name);
    if (err == 0)
        err = node_move_locked(fs, r->target, r->dir, r->name);
    r->dir->times_stale = r->new_dir->times_stale = true;
    if (err < 0)
        return err;
    swapped_locked(fs, r->target, &attr[0], start_ns);
    swapped_locked(fs, r->n, &attr[1], start_ns);
    return 0;
}

static int rename_in_op(struct fs *fs, const struct renaming *r)
{
    const struct remote_attr source = r->n->attr;
    const uint64_t ino[2] = {source.ino, r->target ? r->target->attr.ino : 0};
    const bool exchange = r->flags & RENAME_EXCHANGE;
    const int64_t start_ns = clock_mono_ns();
    char *from = NULL, *to = NULL;
    struct remote_attr attr[2];
    int err;

    if (node_child_locked(r->dir, r->name) != r->n ||
        node_child_locked(r->new_dir, r->new_name) != r->target)
        return RENAME_AGAIN;
    if (!r->waits && (node_unsent(r->n) || !settled_locked(fs, r)))
        return RENAME_AGAIN;
    if (node_gone_locked(r->dir) || node_gone_locked(r->new_dir))
        return -ENOENT;
    if (r->waits)
        return rename_waiting_locked(fs, r);
    err = node_path_in_locked(fs, r->dir, r->name, &from);
    if (err == 0)
        err = node_path_in_locked(fs, r->new_dir, r->new_name, &to);
    if (err == 0) {
        fs_unlock(fs);
        err = exchange ? remote_exchange(fs->remote, from, to, ino, attr)
                       : remote_rename_sure(fs, from, to, r->flags, &source, &attr[1]);
        fs_lock(fs);
        if (err == 0)
            err = exchange ? exchanged_locked(fs, r, attr, start_ns)
                           : moved_locked(fs, r, &attr[1], start_ns);
        else
            failed_locked(fs, r, err);
    }
    free(from);
    free(to);
    return err;
}

static int rename_prepared(struct fs *fs, struct renaming *r, int64_t since)
{
    struct op op;
    int err;

    err = check_names(r);
    if (err == 0 && r->n == r->target)
        return 0;
    if (err == 0)
        err = check_rights(fs, r, since);
    if (err < 0)
        return err;
    if (same_file(r->n, r->target))
        return 0; /* two names of one file: POSIX says that both stay */
    r->since = since;
    err = look_at_links(fs, r);
    r->waits = err == 0 && can_wait(fs, r);
    if (err == 0)
        err = send_first(fs, r);
    if (err == 0)
        err = settle(fs, r);
    if (err < 0)
        return err;
    err = op_begin_rename(fs, &op, r->dir, r->name, r->new_dir, r->new_name);
    if (err < 0)
        return err;
    err = rename_in_op(fs, r);
    op_end_locked(fs, &op);
    return err;
}

static int rename_once(struct fs *fs, struct renaming *r)
{
    const int64_t since = fs_since(fs);
    int64_t known_ns;
    int err;

    r->n = r->target = NULL;
    r->keep = false;
    /* Both paths are walked before a name is missed. */
    err = r->dir->dir && r->new_dir->dir ? 0 : -ENOTDIR;
    if (err == 0)
        err = perm_node(fs, r->dir, PERM_X, since);
    if (err == 0)
        err = perm_node(fs, r->new_dir, PERM_X, since);
    if (err == 0)
        err = tree_lookup(fs, r->dir, r->name, since, &r->n, &known_ns);
    if (err == 0 && r->n)
        err = tree_lookup(fs, r->new_dir, r->new_name, since, &r->target, &known_ns);
    if (err == 0)
        err = rename_prepared(fs, r, since);
    node_unref_locked(fs, r->n);
    node_unref_locked(fs, r->target);
    return err;
}

int fs_rename(struct fs *fs, uint64_t parent, const char *name, uint64_t new_parent,
              const char *new_name, unsigned flags)
{
    struct renaming r = {.name = name, .new_name = new_name, .flags = flags};
    struct change_call c;
    int err;

    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
        flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    err = change_enter(fs, &c, parent, &new_parent);
    if (err < 0)
        return err;
    r.dir = c.node;
    r.new_dir = c.other;
    err = RENAME_AGAIN;
    for (unsigned i = 0; i < FS_TRIES && err == RENAME_AGAIN; i++)
        err = rename_once(fs, &r);
    change_leave(fs, &c);
    return err == RENAME_AGAIN ? -EBUSY : err; /* somebody writes it without a pause */
}
