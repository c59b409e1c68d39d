/* perm.c - permissions, as the sandbox's kernel would check them. */
#include "fs/fs_internal.h"

#include <errno.h>

static bool in_groups(const struct fs *fs, uint32_t gid)
{
    if (gid == fs->info.gid)
        return true;
    for (size_t i = 0; i < fs->info.group_count; i++)
        if (fs->info.groups[i] == gid)
            return true;
    return false;
}

int perm_check(const struct fs *fs, const struct remote_attr *attr, int mask)
{
    unsigned shift;

    if (fs->info.privileged) {
        const bool run = (mask & PERM_X) && !S_ISDIR(attr->mode);

        return run && !(attr->mode & 0111) ? -EACCES : 0;
    }
    if (attr->uid == fs->info.uid)
        shift = 6;
    else
        shift = in_groups(fs, attr->gid) ? 3 : 0;
    return ((attr->mode >> shift) & (unsigned)mask) == (unsigned)mask ? 0 : -EACCES;
}

bool perm_owner(const struct fs *fs, const struct remote_attr *attr)
{
    return fs->info.privileged || attr->uid == fs->info.uid;
}

int perm_node(struct fs *fs, struct node *n, int mask, int64_t since)
{
    int r = perm_check(fs, &n->attr, mask);

    if (r == 0 || tree_fresh_locked(n, since))
        return r;
    r = tree_refresh(fs, n, since, false);
    return r < 0 ? r : perm_check(fs, &n->attr, mask);
}

int perm_names(struct fs *fs, struct node *dir, const struct node *victim, int64_t since)
{
    int r;

    r = perm_node(fs, dir, PERM_W | PERM_X, since);
    if (r < 0)
        return r;
    if (!victim || !(dir->attr.mode & S_ISVTX) || perm_owner(fs, &dir->attr))
        return 0;
    return perm_owner(fs, &victim->attr) ? 0 : -EPERM;
}

bool perm_link(const struct fs *fs, const struct remote_attr *attr)
{
    const mode_t runs_as_group = S_ISGID | S_IXGRP;

    if (perm_owner(fs, attr))
        return true;
    return S_ISREG(attr->mode) && !(attr->mode & S_ISUID) &&
           (attr->mode & runs_as_group) != runs_as_group &&
           perm_check(fs, attr, PERM_R | PERM_W) == 0;
}
