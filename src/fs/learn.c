/* What somebody saw in the sandbox meets the tree: whatever differs is doubted. */
#include "fs/fs_internal.h"

#include "util/path.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Answers that are under way may be older than this. */
static void doubt_node_locked(struct fs *fs, struct node *n)
{
    node_doubt_locked(n);
    n->changed_seq = ++fs->seq;
    fs_tell_inode_locked(fs, n);
}

static void doubt_names_locked(struct fs *fs, struct node *dir)
{
    if (dir->dir->listed)
        tree_dir_stale_locked(dir);
    dir->dir->names_seq = ++fs->seq;
    if (dir->dir->flight)
        dir->dir->flight->lost = true;
}

/* A change of ours that is under way is no news, and what is not sent yet is known best here. */
static bool is_ours_locked(const struct node *n)
{
    return n->changing > 0 || n->ours || node_local(n);
}

static void learn_whole_locked(struct fs *fs, struct node *dir)
{
    struct node *n, *tmp;

    DL_FOREACH_SAFE(dir->dir->children, n, tmp)
        if (n->mark != fs->marks && !is_ours_locked(n) && !op_touches_locked(fs, dir, n->name)) {
            doubt_node_locked(fs, n);
            doubt_names_locked(fs, dir);
            fs_tell_entry_locked(fs, dir, n->name);
        }
}

/* What is not as we know it is asked for at the next access, and the kernel asks us. That does no
 * harm where a change of ours is the reason. */
static void learn_dir_locked(struct fs *fs, const char *path, const struct remote_tree *t,
                             const struct remote_dir *d)
{
    struct node *dir = node_at_locked(fs, path), *n;

    if (!dir || !dir->dir)
        return;
    if (d->err || (dir->changing == 0 && !dir->ours && !remote_attr_same(&dir->attr, &d->self)))
        doubt_node_locked(fs, dir);
    if (d->err)
        return;
    fs->marks++;
    for (size_t i = 0; i < d->count; i++) {
        const struct remote_entry *e = &t->v[d->first + i];

        n = node_child_locked(dir, e->name);
        if (n) {
            n->mark = fs->marks;
            if (!is_ours_locked(n) && !remote_attr_same(&n->attr, &e->attr)) {
                doubt_node_locked(fs, n);
                dir->dir->list_ns = FS_NEVER; /* one question for all of them */
            }
        } else if (!op_touches_locked(fs, dir, e->name)) {
            doubt_names_locked(fs, dir);
            negative_wrong_locked(fs, dir, e->name);
        }
    }
    if (d->whole)
        learn_whole_locked(fs, dir);
}

void learn_tree(struct fs *fs, const char *root, const struct remote_tree *t)
{
    fs_lock(fs);
    for (size_t i = 0; i < t->dir_count; i++) {
        char *path = *t->dirs[i].path ? path_join(root, t->dirs[i].path) : strdup(root);

        if (path && path_is_below(path, fs->root_path))
            learn_dir_locked(fs, path, t, &t->dirs[i]);
        free(path);
    }
    fs_unlock(fs);
    fs_drain_notify(fs);
}
