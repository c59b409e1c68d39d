/*
 * What the sandbox has put in the place of what a change from here meant, and nobody here has read
 * since. A program that is told of the conflict, or not yet, may write again without a look: vim,
 * for one, moves the file to its backup, and makes it anew, or puts its backup copy back; either
 * would go over theirs. So what is written, or renamed over it, then stands on the version that was
 * known before, and conflicts again; until the file is opened to be read, or the conflict is
 * settled. So does a removal, by the same program: others may mean what is there.
 */
#include "fs/fs_internal.h"

#include <stdlib.h>
#include <string.h>

enum { UNSEEN_MAX = 4096 }; /* then the oldest is forgotten */

struct unseen {
    struct journal_identity base;
    pid_t tid; /* whose change it was */
    UT_hash_handle hh;
    char path[];
};

static struct unseen *find_locked(const struct fs *fs, const char *path)
{
    struct unseen *u = NULL;

    lock_assert_held(&fs->lock);
    if (fs->unseen)
        HASH_FIND_STR(fs->unseen, path, u);
    return u;
}

static void drop_locked(struct fs *fs, struct unseen *u)
{
    HASH_DEL(fs->unseen, u);
    free(u);
}

void unseen_add_locked(struct fs *fs, const char *path, const struct journal_identity *base,
                       pid_t tid)
{
    const size_t size = strlen(path) + 1;
    struct unseen *u = find_locked(fs, path);

    if (u && flush_in_conflict(fs->flush, path)) /* what it stood on then still counts */
        return;
    if (u)
        drop_locked(fs, u);
    u = base->ino ? calloc(1, sizeof(*u) + size) : NULL;
    if (!u)
        return; /* then the next write goes over it, as any other would */
    u->base = *base;
    u->tid = tid;
    memcpy(u->path, path, size);
    HASH_ADD_STR(fs->unseen, path, u);
    if (HASH_COUNT(fs->unseen) > UNSEEN_MAX)
        drop_locked(fs, fs->unseen); /* uthash keeps the order */
}

void unseen_stand_on_locked(const struct fs *fs, struct journal_record *rec)
{
    const bool over = rec->kind == JOURNAL_RENAME;
    const char *path = over ? rec->path2 : rec->path;
    struct journal_object *o = &rec->object[over ? JOURNAL_AT2 : JOURNAL_AT];
    const struct unseen *u = o->means == JOURNAL_IS ? find_locked(fs, path) : NULL;

    if (u && flush_in_conflict(fs->flush, path) &&
        (rec->kind != JOURNAL_UNLINK || caller_is(u->tid)))
        o->identity = u->base;
}

void unseen_forget_locked(struct fs *fs, const char *path)
{
    struct unseen *u = find_locked(fs, path);

    if (u)
        drop_locked(fs, u);
}

void unseen_look_locked(struct fs *fs, const struct node *n)
{
    char *path;

    if (!fs->unseen || node_gone_locked(n) || node_path_locked(fs, n, &path) < 0)
        return;
    unseen_forget_locked(fs, path);
    free(path);
}

void unseen_free_all_locked(struct fs *fs)
{
    while (fs->unseen)
        drop_locked(fs, fs->unseen);
}
