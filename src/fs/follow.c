/* follow.c - a name that is another file's by now, for handles and nodes of the one before. */
#include "fs/fs_internal.h"

/*
 * A file may be replaced in the sandbox between the lookup of its name and the open that follows.
 * Who opens it to write means what has the name by then. If nobody has the old one open, and the
 * kernel has not heard of the new one, the node that the kernel looked up becomes that: it is as if
 * the lookup had been a moment later. Otherwise the open fails with ESTALE, and the kernel looks
 * the name up again by itself, once. If that is in vain, too, the handle gets the file that has the
 * name, and whoever has the old one open keeps that: two files behind one inode of the kernel,
 * which must keep no pages for the new handle.
 */

static bool is_idle(const struct node *n, unsigned opens)
{
    return !n->ours && n->changing == 0 && !node_local(n) && (!n->file || n->file->opens <= opens);
}

static bool may_become(const struct node *n, unsigned opens)
{
    return n->parent && !n->attached && !n->deleted && S_ISREG(n->attr.mode) && is_idle(n, opens);
}

static bool may_give_way(const struct node *n)
{
    return S_ISREG(n->attr.mode) && n->nlookup == 0 && n->refs == 0 && is_idle(n, 0);
}

static void become_locked(struct fs *fs, struct node *n, struct node *next)
{
    const struct remote_attr attr = next->attr;

    n->attr_ns = next->attr_ns;
    n->suspect_ns = next->suspect_ns;
    n->apart = next->apart;
    n->mark = next->mark;
    n->shown_times = next->shown_times;
    n->shown_mtime_ns = next->shown_mtime_ns;
    n->shown_ctime_ns = next->shown_ctime_ns;
    node_show_ino_locked(fs, n, next->shown_ino);
    node_detach_locked(fs, next);
    node_set_attr_locked(n, &attr);
    node_attach_again_locked(n);
    data_drop_locked(fs, n);
    n->resized = true;
    fs_tell_inode_locked(fs, n);
}

bool follow_known_locked(struct fs *fs, struct node *n, bool opening)
{
    struct node *next;

    lock_assert_held(&fs->lock);
    if (!may_become(n, opening))
        return false;
    next = node_child_locked(n->parent, n->name);
    if (!next || !may_give_way(next))
        return false;
    become_locked(fs, n, next);
    return true;
}

bool follow_name(struct fs *fs, struct node *n)
{
    struct node *next;
    int64_t known_ns;

    if (!may_become(n, 0) ||
        tree_lookup(fs, n->parent, n->name, clock_mono_ns(), &next, &known_ns) < 0)
        return false;
    node_unref_locked(fs, next);
    return follow_known_locked(fs, n, false);
}

static bool refused_lately(const struct fs *fs, const struct node *n)
{
    static const int64_t lately_ns = NS_PER_S;

    return fs->refused.dir == n->parent->id && fs->refused.name_hash == n->name_hash &&
           fs->refused.when_ns > clock_mono_ns() - lately_ns;
}

struct node *follow_other(struct fs *fs, struct node *n)
{
    struct node *next;
    int64_t known_ns;

    if (!n->parent || n->attached || n->deleted || !S_ISREG(n->attr.mode) ||
        node_gone_locked(n->parent))
        return NULL;
    if (!refused_lately(fs, n)) {
        fs->refused = (struct refused){
            .dir = n->parent->id, .name_hash = n->name_hash, .when_ns = clock_mono_ns()};
        return NULL;
    }
    if (tree_lookup(fs, n->parent, n->name, clock_mono_ns(), &next, &known_ns) < 0 || !next)
        return NULL;
    return S_ISREG(next->attr.mode) ? next : node_unref_locked(fs, next);
}
