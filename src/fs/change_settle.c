/* For those who need a change to be in the sandbox. */
#include "fs/change_internal.h"

#include <errno.h>

enum { SETTLE_TRIES = 100000 };

bool change_moving_locked(const struct node *n)
{
    for (; n; n = n->parent)
        if (n->ours && n->ours->moving > 0)
            return true;
    return false;
}

bool change_hidden_locked(const struct node *n)
{
    return (n->ours && (n->ours->blind || n->ours->unborn)) || change_moving_locked(n);
}

bool change_unborn_locked(const struct node *dir)
{
    return dir->ours && dir->ours->unborn && dir->dir && dir->dir->listed;
}

/* That it did not succeed is all the same here: it has ended. */
static int wait_for(struct fs *fs, uint64_t seq)
{
    struct change *c;
    int r;

    fs_unlock(fs);
    r = flush_wait(fs->flush, seq, false);
    fs_lock(fs);
    HASH_FIND(hh, fs->changes, &seq, sizeof(seq), c);
    return c ? (r < 0 ? r : -EIO) : 0;
}

int change_settle_one(struct fs *fs, uint64_t seq)
{
    return wait_for(fs, seq);
}

int change_settle_path(struct fs *fs, struct node *n)
{
    for (unsigned i = 0; i < SETTLE_TRIES; i++) {
        const struct node *at = n;
        int r;

        while (at && !(at->ours && at->ours->moving > 0))
            at = at->parent;
        if (!at)
            return 0;
        r = wait_for(fs, at->ours->seq);
        if (r < 0)
            return r;
    }
    return -EBUSY;
}

/* Does it move what n shares with other names? */
static bool is_beside(const struct change *c, const struct node *n)
{
    for (size_t i = 0; i < c->other_count; i++)
        if (c->others[i] == n)
            return true;
    return false;
}

/* The last change of n or of what is below it, or of the name. */
static uint64_t last_locked(const struct fs *fs, const struct node *n, const struct waiting_name *w)
{
    uint64_t seq = n && n->ours ? n->ours->seq : 0;

    if (!w && !(n && (n->dir || (n->ours && n->ours->beside > 0))))
        return seq;
    for (const struct change *c = fs->changes; c; c = c->hh.next) {
        bool is = n && (node_is_below_locked(c->node, n) || is_beside(c, n) ||
                        (c->from && node_is_below_locked(c->from, n)));

        for (unsigned i = 0; i < 2; i++)
            is = is || (c->names[i] &&
                        (c->names[i] == w || (n && node_is_below_locked(c->names[i]->dir, n))));
        if (is && c->seq > seq)
            seq = c->seq;
    }
    return seq;
}

int change_settle(struct fs *fs, struct node *n)
{
    int r = 0;

    if (!fs->changes)
        return 0;
    for (unsigned i = 0; r == 0 && i < SETTLE_TRIES; i++) {
        const uint64_t seq = last_locked(fs, n, NULL);

        if (seq == 0)
            return change_settle_path(fs, n);
        r = wait_for(fs, seq);
    }
    return r < 0 ? r : -EBUSY;
}

int change_settle_name(struct fs *fs, struct node *dir, const char *name)
{
    int r = 0;

    for (unsigned i = 0; r == 0 && i < SETTLE_TRIES; i++) {
        const struct waiting_name *w = change_find_name_locked(fs, dir, name);

        if (!w)
            return change_settle_path(fs, dir);
        r = wait_for(fs, last_locked(fs, NULL, w));
    }
    return r < 0 ? r : -EBUSY;
}

bool change_settled_locked(const struct fs *fs, const struct node *n, const struct node *dir,
                           const char *name)
{
    return !fs->changes || (!n->ours && last_locked(fs, n, NULL) == 0 && !change_moving_locked(n) &&
                            !change_moving_locked(dir) && !change_names_locked(fs, dir, name));
}

int change_wait(struct fs *fs, struct node *n, bool fsync)
{
    const uint64_t seq = n->ours ? n->ours->seq : 0;
    int r;

    if (seq == 0)
        return 0;
    fs_unlock(fs);
    r = flush_wait(fs->flush, seq, fsync);
    fs_lock(fs);
    return r == -ECANCELED ? -EIO : r;
}

/* The change is in the journal: a line that is down is no reason to fail. */
int change_links(struct fs *fs, struct node *n)
{
    int r;

    if (!fs->flush || n->dir || n->attr.nlink <= 1)
        return 0;
    r = change_wait(fs, n, false);
    if (r == 0)
        r = links_settle(fs, n);
    node_stale_links_locked(fs, n);
    return r == -EHOSTDOWN || r == -ETIMEDOUT || r == -EINTR ? 0 : r;
}

int change_lost_locked(const struct fs_file *file)
{
    const struct node_file *nf = file->node->file;

    return file->late_open == nf->late_gen ? 0 : nf->late_err;
}

int change_late_locked(struct fs_file *file)
{
    const struct node_file *nf = file->node->file;

    if (file->late_seen == nf->late_gen)
        return 0;
    file->late_seen = nf->late_gen;
    return nf->late_err;
}
