/*
 * Files that are open here, not all of them local, when their last name goes: unlinked, or replaced
 * by a rename. The change that takes the name keeps the file in the helper's folder, in the
 * sandbox, where its content is read on until the last handle is closed or all of it is here. Where
 * that cannot be (another mount, another's file, plain mode, a change that does not wait) all of
 * it is fetched before the name goes.
 */
#include "fs/fs_internal.h"

#include <errno.h>

static bool can_keep_locked(const struct fs *fs, const struct node *n)
{
    const struct remote_attr *at = &fs->info.kept_at;

    return fs->flush && S_ISREG(n->attr.mode) && n->attr.nlink <= 1 && !node_gone_locked(n) &&
           !(n->ours && n->ours->unborn) && at->dev != 0 && n->parent->attr.dev == at->dev &&
           !remote_attr_apart(&n->parent->attr, at) && perm_link(fs, &n->attr) &&
           flush_may_keep(fs->flush);
}

int keep_for_handles(struct fs *fs, struct node *n, bool waits, bool *ret_keep)
{
    int r;

    *ret_keep = false;
    if (!n->file || n->file->opens == 0 || (n->file->blob && data_whole_locked(n)))
        return 0;
    *ret_keep = waits && can_keep_locked(fs, n);
    if (*ret_keep)
        return 0;
    data_open_locked(n);
    r = data_fetch_all(fs, n);
    data_close_locked(n);
    if (r == -EINTR)
        return r;
    if (r < 0) /* the handles get ESTALE for what is missing; the name goes all the same */
        fs_report_locked(fs, n->name, r, "could not be read before its name went");
    return 0;
}

void keep_begun_locked(struct node *n, uint64_t seq)
{
    n->file->kept_by = seq;
    n->file->kept = false;
}

void keep_ended_locked(struct fs *fs, struct node *n, uint64_t seq, const struct remote_attr *other)
{
    struct node_file *nf = n->file;
    struct remote_attr attr;

    if (nf->kept_by != seq)
        return; /* it is not needed any more */
    /* Somebody may have added to what we have added to. */
    if (!other || !S_ISREG(other->mode) || other->size < node_size(n) ||
        (!node_local(n) && other->size != node_size(n))) {
        fs_report_locked(fs, n->name, -ESTALE, "could not be kept for those who have it open");
        keep_drop_locked(fs, n);
        return;
    }
    attr = *other;
    attr.nlink = 0;
    node_set_attr_locked(n, &attr);
    nf->version = attr;
    nf->kept = true;
}

void keep_drop_locked(struct fs *fs, struct node *n)
{
    if (n->file->kept_by != 0)
        flush_unkeep(fs->flush, n->file->kept_by);
    n->file->kept_by = 0;
    n->file->kept = false;
}

int keep_settle(struct fs *fs, struct node *n)
{
    int r = 0;

    if (n->file->kept_by != 0 && !n->file->kept)
        r = change_settle_one(fs, n->file->kept_by);
    return r < 0 || n->file->kept ? r : -ESTALE;
}

int keep_path_locked(struct fs *fs, const struct node *n, char **ret)
{
    *ret = flush_kept_path(fs->flush, &fs->info, n->file->kept_by);
    return *ret ? 0 : -ENOMEM;
}
