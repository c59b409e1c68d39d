/*
 * Our version of a file in conflict, next to it as NAME.conflict-1~, for who edits there and knows
 * nothing of .ctl. It is a copy of what is parked, made by changes like any other, through the
 * journal. What is parked stays, and settling it leaves the copy.
 *
 * Made by a thread of its own, once the conflict is parked: a crash meanwhile leaves it out, or cut
 * short. Not made of what is no whole file: parts of one, with zeros between them, would mislead.
 */
#include "fs/fs_internal.h"

#include "util/clock.h"
#include "util/errtext.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

enum { NAMES_MAX = 99, JOBS_MAX = 1000, VERSIONS_MAX = 100, STEP = 1 << 20 };

#define SUFFIX ".conflict-"

struct beside {
    struct job job;
    char *path;     /* in the sandbox; owned */
    uint64_t first; /* of what is in conflict there, and is not copied yet */
    mode_t mode;
    struct timespec mtime; /* tv_nsec UTIME_OMIT: not known */
    bool taken;            /* what comes to be in conflict from now on needs another */
    struct beside *prev, *next;
};

/* One file that is being made. */
struct copy {
    struct fs *fs;
    const struct beside *b;
    const char *shown; /* of what is parked */
    uint64_t dir;
    char name[PATH_NAME_MAX + 1];
    struct timespec mtime;
};

static const char *name_of(const char *path)
{
    return strrchr(path, '/') + 1; /* it is absolute */
}

/* A copy of a copy helps nobody. */
static bool is_beside(const char *name)
{
    const char *s = strstr(name, SUFFIX), *next;
    size_t digits;

    while (s && (next = strstr(s + 1, SUFFIX)))
        s = next;
    if (!s)
        return false;
    s += strlen(SUFFIX);
    digits = strspn(s, "0123456789");
    return digits > 0 && strcmp(s + digits, "~") == 0;
}

/* Cut where a character ends. */
static void make_name(const char *name, unsigned nth, char ret[PATH_NAME_MAX + 1])
{
    char suffix[sizeof(SUFFIX) + 16];
    const int len = snprintf(suffix, sizeof(suffix), SUFFIX "%u~", nth);
    size_t keep = strlen(name);

    if (keep > PATH_NAME_MAX - (size_t)len) {
        keep = PATH_NAME_MAX - (size_t)len;
        while (keep > 1 && ((unsigned char)name[keep] & 0xc0) == 0x80)
            keep--;
    }
    memcpy(ret, name, keep);
    memcpy(ret + keep, suffix, (size_t)len + 1);
}

/* ---- one copy ---- */

static int copy_content(const struct copy *c, struct fs_file *file)
{
    struct stat st = {.st_mtim = c->mtime};
    struct fs_entry e;
    uint64_t off = 0;
    char *step = malloc(STEP);
    ssize_t n = step ? 1 : -ENOMEM;
    int r;

    while (n > 0) {
        n = flush_parked_read(c->fs->flush, c->shown, off, step, STEP, NULL);
        if (n > 0)
            n = fs_write(file, off, step, (size_t)n);
        if (n > 0)
            off += (uint64_t)n;
    }
    free(step);
    r = (int)n;
    if (r == 0)
        r = fs_setattr(c->fs, fs_file_ino(file), file, FS_SET_MTIME, &st, &e);
    return r < 0 ? r : fs_flush(file);
}

/* The kernel did not ask for it, and may know that there is no such name. */
static void tell_name(const struct copy *c)
{
    struct node *dir;

    fs_lock(c->fs);
    dir = node_find_locked(c->fs, c->dir);
    if (dir) {
        negative_wrong_locked(c->fs, dir, c->name);
        fs_tell_entry_locked(c->fs, dir, c->name);
        fs_tell_inode_locked(c->fs, dir);
    }
    node_unref_locked(c->fs, dir);
    fs_unlock(c->fs);
}

/* The first name that is free. */
static int create(struct copy *c, struct fs_file **ret, uint64_t *ret_ino)
{
    struct fs_open_hints hints;
    struct fs_entry e;
    int r = -EEXIST;

    for (unsigned nth = 1; r == -EEXIST && nth <= NAMES_MAX; nth++) {
        make_name(name_of(c->b->path), nth, c->name);
        r = fs_create(c->fs, c->dir, c->name, c->b->mode, O_WRONLY | O_CREAT | O_EXCL, &e, ret,
                      &hints);
    }
    if (r == 0)
        *ret_ino = e.ino;
    return r;
}

static int make_copy(struct copy *c)
{
    struct fs_file *file;
    uint64_t ino;
    int r = create(c, &file, &ino);

    if (r < 0)
        return r;
    r = copy_content(c, file);
    fs_release(file);
    find_done(c->fs, ino);
    if (r < 0 && r != -EINTR)
        (void)fs_unlink(c->fs, c->dir, c->name); /* half of it would be taken for ours */
    tell_name(c);
    return r;
}

/* ---- what there is to copy ---- */

struct versions {
    const struct beside *b;
    struct copy v[VERSIONS_MAX];
    size_t count;
};

static int add_version(void *arg, const struct flush_parked *p)
{
    struct versions *x = arg;
    struct copy *last = x->count ? &x->v[x->count - 1] : NULL;
    char *shown;

    if (p->outcome != JOURNAL_CONFLICT || !p->shown || p->seq < x->b->first ||
        strcmp(p->path, x->b->path) != 0)
        return 0;
    if (!last || strcmp(last->shown, p->shown) != 0) {
        if (x->count == VERSIONS_MAX)
            return 0; /* .ctl has the rest */
        shown = strdup(p->shown);
        if (!shown)
            return -ENOMEM;
        last = &x->v[x->count++];
        *last = (struct copy){.b = x->b, .shown = shown, .mtime = x->b->mtime};
    }
    if (x->b->mtime.tv_nsec == UTIME_OMIT)
        last->mtime = ns_to_timespec(p->when_ns);
    return 0;
}

static void copy_version(struct fs *fs, struct copy *c, uint64_t dir)
{
    char *at = fs_mount_path(fs, c->b->path);
    const char *const file = at ? at : c->b->path;
    uint64_t size = 0;
    int r = flush_parked_whole(fs->flush, c->shown);

    c->fs = fs;
    c->dir = dir;
    if (r > 0 && flush_parked_read(fs->flush, c->shown, 0, NULL, 0, &size) < 0)
        r = -ENOENT; /* settled meanwhile */
    if (r > 0 && size > 0) {
        r = make_copy(c);
        if (r == 0)
            fs_report(fs, 0, file, 0, "ours is beside it, too, as %s", c->name);
    } else if (r == 0) {
        fs_report(fs, 0, file, 0,
                  "only parts of it were written here, which are not put beside it: "
                  "conflicts/ has them");
    }
    if (r < 0 && r != -ENOENT && r != -EINTR)
        fs_report(fs, 0, file, r, "ours could not be put beside it (%s): conflicts/ has it",
                  errtext_sentence(r));
    free(at);
}

static void copy_all(struct fs *fs, struct versions *x)
{
    char *above = strndup(x->b->path, (size_t)(name_of(x->b->path) - x->b->path));
    struct fs_entry dir;
    int r = above ? flush_parked(fs->flush, add_version, x) : -ENOMEM;

    if (r == 0 && x->count > 0)
        r = find_path(fs, above, &dir);
    if (r == 0 && x->count > 0) {
        for (size_t i = 0; i < x->count; i++)
            copy_version(fs, &x->v[i], dir.ino);
        find_done(fs, dir.ino);
    }
    if (r < 0 && r != -EINTR)
        fs_report(fs, 0, x->b->path, r, "ours could not be put beside it (%s): conflicts/ has it",
                  errtext_sentence(r));
    free(above);
}

/* ---- jobs ---- */

static void run_job(struct fs *fs, struct job *job, bool drop)
{
    struct beside *b = (struct beside *)job;
    struct versions *x = drop ? NULL : calloc(1, sizeof(*x));

    if (x) {
        x->b = b;
        fs_unlock(fs);
        /* How it ends does not matter: what is parked by then is copied. */
        (void)flush_barrier(fs->flush, b->path, NULL, NULL);
        fs_lock(fs);
        b->taken = true;
        fs_unlock(fs);
        copy_all(fs, x);
        for (size_t i = 0; i < x->count; i++)
            free((char *)x->v[i].shown);
        free(x);
        fs_lock(fs);
    }
    DL_DELETE(fs->besides, b);
    fs_wake(fs);
    free(b->path);
    free(b);
}

static void look_of_locked(struct fs *fs, const struct node *n, struct beside *b)
{
    struct stat st;

    b->mode = 0600;
    b->mtime.tv_nsec = UTIME_OMIT;
    if (!n)
        return;
    show_stat_locked(fs, n, &st);
    b->mode = n->attr.mode & 0777;
    b->mtime = st.st_mtim;
}

void beside_add_locked(struct fs *fs, const char *path, uint64_t seq, const struct node *n)
{
    struct beside *b;

    lock_assert_held(&fs->lock);
    if (!fs->config.beside || is_beside(name_of(path)))
        return;
    DL_FOREACH(fs->besides, b)
        if (strcmp(b->path, path) == 0 && !b->taken)
            return;
    b = calloc(1, sizeof(*b));
    if (b)
        b->path = strdup(path);
    if (!b || !b->path) {
        free(b);
        return; /* conflicts/ has it */
    }
    b->job.run = run_job;
    b->first = seq;
    look_of_locked(fs, n, b);
    DL_APPEND(fs->besides, b);
    if (ahead_queue_locked(fs, &b->job, JOBS_MAX))
        return;
    DL_DELETE(fs->besides, b);
    free(b->path);
    free(b);
}

int beside_settle(struct fs *fs, bool *ret_any)
{
    int r = 0;

    fs_lock(fs);
    *ret_any = fs->besides != NULL;
    while (fs->besides && r == 0)
        r = fs_wait(fs);
    fs_unlock(fs);
    return r;
}
