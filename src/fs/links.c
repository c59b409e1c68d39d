/*
 * Files with several names. For the kernel, and so here, each name is an inode of its own. What
 * they share, the link count, the rights and the times, is moved for all of them at once when a
 * change of it waits; so each must show what is there, or what waits, before it is. Content is not
 * shared but by what nobody writes to: of what is written through one name the others show size and
 * times, and it is sent before something is read, or written, through them.
 */
#include "fs/fs_internal.h"

#include "util/clock.h"

#include <errno.h>

/* With more names a change of one of them is sent before the next: each would be about all of them,
 * and a sandbox can make as many as it likes. */
enum { WAITING_NAMES_MAX = 500 };

enum { SETTLE_TRIES = 1000 };

struct node *links_next_locked(const struct fs *fs, const struct node *n, const struct node *before)
{
    return n->dir ? NULL : index_find_file(&fs->by_file, n, before);
}

static struct node *next_to_refresh_locked(const struct fs *fs, const struct node *n, int64_t since)
{
    struct node *other = NULL;

    do
        other = links_next_locked(fs, n, other);
    while (other && tree_fresh_locked(other, since));
    return other;
}

int links_refresh(struct fs *fs, struct node *n, int64_t since)
{
    enum { TRIES = 64 }; /* an answer is about many of them */
    struct node *other;

    for (unsigned i = 0; i < TRIES && (other = next_to_refresh_locked(fs, n, since)); i++) {
        int r;

        node_ref_locked(other);
        r = tree_refresh(fs, other, since, false);
        node_unref_locked(fs, other);
        if (r < 0 && r != -ESTALE)
            return r == -EINTR ? r : 0; /* the sandbox is asked then */
    }
    return 0;
}

static bool same_content(const struct node *a, const struct node *b)
{
    return node_local(a) == node_local(b) && (!node_local(a) || a->file->blob == b->file->blob);
}

bool links_quiet_locked(const struct fs *fs, const struct node *n, int64_t since)
{
    struct node *other = NULL;

    while ((other = links_next_locked(fs, n, other)))
        if (!tree_fresh_locked(other, since) || !same_content(n, other))
            return false;
    return !links_many_locked(fs, n);
}

bool links_many_locked(const struct fs *fs, const struct node *n)
{
    struct node *other = NULL;
    unsigned names = 1;

    while (names <= WAITING_NAMES_MAX && (other = links_next_locked(fs, n, other)))
        names++;
    return names > WAITING_NAMES_MAX;
}

struct node *links_find_locked(const struct fs *fs, const struct node *n,
                               bool (*is)(const struct node *other))
{
    struct node *other = NULL;

    do
        other = links_next_locked(fs, n, other);
    while (other && !is(other));
    return other;
}

static bool has_ours(const struct node *n)
{
    return n->ours != NULL;
}

static bool has_content(const struct node *n)
{
    return n->ours && n->ours->content > 0;
}

/* Asked for each stat: of very many names, as a sandbox can make them, not all are looked at. */
const struct node *links_waiting_locked(const struct fs *fs, const struct node *n)
{
    struct node *other = NULL;
    unsigned names = 0;

    if (!fs->changes || n->attr.nlink <= 1)
        return NULL;
    do
        other = links_next_locked(fs, n, other);
    while (other && !has_content(other) && ++names < WAITING_NAMES_MAX);
    return other && has_content(other) ? other : NULL;
}

const struct node *links_writer_locked(const struct fs *fs, const struct node *n)
{
    const struct node *other = has_content(n) ? NULL : links_waiting_locked(fs, n);

    return other ? other : n;
}

bool links_hidden_locked(const struct fs *fs, const struct node *n)
{
    const struct node *other = links_waiting_locked(fs, n);

    return other && !(same_content(n, other) && node_size(n) == node_size(other));
}

bool links_turn_locked(const struct fs *fs, const struct node *n)
{
    const bool old = node_suspect(n) && !node_local(n) && !node_gone_locked(n);

    return !fs->flush || n->deleted || n->attr.nlink <= 1 || !(old || links_waiting_locked(fs, n));
}

int links_settle(struct fs *fs, struct node *n)
{
    int r = change_settle(fs, n);
    struct node *other;

    for (unsigned i = 0; r == 0 && (other = links_find_locked(fs, n, has_ours)); i++) {
        node_ref_locked(other);
        r = i < SETTLE_TRIES ? change_settle(fs, other) : -EBUSY;
        node_unref_locked(fs, other);
    }
    return r;
}

int links_ready(struct fs *fs, struct node *n)
{
    int r = links_settle(fs, n);

    if (r == 0 && node_suspect(n))
        r = tree_refresh(fs, n, fs_since(fs), false);
    return r;
}

void links_written_locked(struct fs *fs, const struct node *n)
{
    struct node *other = NULL;

    while ((other = links_next_locked(fs, n, other))) {
        if (other->ours ||
            (other->attr.size == n->attr.size && other->attr.mtime_ns == n->attr.mtime_ns))
            continue;
        node_stale_locked(other);
        fs_tell_inode_locked(fs, other);
        other->told = true;
    }
}

bool links_may_share_locked(const struct fs *fs, struct node *n)
{
    const struct node_file *nf = n->file;
    struct node *other = NULL;

    while ((other = links_next_locked(fs, n, other)))
        if (other->file && other->file->wopens > 0)
            return false;
    if (!nf)
        return true;
    if (nf->wopens > 0 || nf->writing)
        return false;
    /* Where the end is that something was added to is known once it is there. */
    return !nf->local || (n->ours && data_whole_locked(n) && !n->ours->blind &&
                          (!n->ours->appended || n->ours->unborn));
}

int links_share_locked(struct node *n, struct node *to)
{
    const struct node_file *nf = n->file;
    struct node_file *copy;

    if (!nf || !nf->blob || !data_whole_locked(n))
        return 0;
    copy = node_file_locked(to);
    if (!copy)
        return -ENOMEM;
    data_set_blob_locked(copy, blob_ref(nf->blob));
    copy->version = nf->version;
    copy->verified = nf->verified;
    copy->kept_id = nf->kept_id;
    copy->local = nf->local;
    copy->size = nf->size;
    copy->mtime_ns = nf->mtime_ns;
    copy->ctime_ns = nf->ctime_ns;
    copy->when_ns = nf->when_ns;
    data_rehold_locked(copy);
    return 0;
}

void links_unshare_locked(struct fs *fs, struct node *n)
{
    struct node *other = NULL;

    if (n->attr.nlink < 2 || !n->file->blob)
        return;
    while ((other = links_next_locked(fs, n, other)))
        if (other->file && other->file->blob == n->file->blob && !other->file->local)
            data_drop_locked(fs, other);
}

void links_moved_locked(struct fs *fs, const struct node *n, int names)
{
    const int64_t now_ns = fs_sandbox_now(fs);
    struct node *other = NULL;
    struct stat shown;

    while ((other = links_next_locked(fs, n, other))) {
        show_stat_locked(fs, other, &shown);
        other->attr.nlink = (uint32_t)((int)other->attr.nlink + names);
        if (node_local(other))
            other->file->ctime_ns = now_ns;
        change_shown_locked(other, timespec_to_ns(shown.st_mtim), now_ns);
        fs_tell_inode_locked(fs, other);
    }
}
