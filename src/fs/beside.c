/*
 * Our version of a file in conflict, next to it as NAME.conflict-1~, for who edits there and knows
 * nothing of .ctl. It is a copy of what is parked, made by changes like any other, through the
 * journal. What is parked stays, and settling it leaves the copy.
 *
 * Made by a thread of its own, once the conflict is parked; what a crash leaves out the next mount
 * makes, though what was begun may stay cut short. Where only parts of the file are parked it is
 * made of what was shown here, if all of that is on this machine's disk; else not at all: parts of
 * a file, with zeros between them, would mislead.
 */
#include "fs/fs_internal.h"

#include "util/cancel.h"
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

enum { NAMES_MAX = 99, JOBS_MAX = 1000, VERSIONS_MAX = 100, MARKS_MAX = 4096, STEP = 1 << 20 };

#define SUFFIX ".conflict-"

struct beside {
    struct job job;
    char *path;            /* in the sandbox; owned */
    struct blob *blob;     /* counted and held: what was shown last, whole; or NULL */
    mode_t mode;           /* 0: not known */
    struct timespec mtime; /* tv_nsec UTIME_OMIT: not known */
    bool taken;            /* what comes to be in conflict from now on needs another */
    struct beside *prev, *next;
};

/* One file that is being made. */
struct copy {
    struct fs *fs;
    const struct beside *b;
    char *shown;       /* of what is parked; owned */
    struct blob *blob; /* borrowed: the content; NULL: what is parked */
    uint64_t dir;
    unsigned nth;
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

static ssize_t read_ours(const struct copy *c, uint64_t off, char *p)
{
    return c->blob ? blob_read(c->blob, off, p, STEP)
                   : flush_parked_read(c->fs->flush, c->shown, off, p, STEP, NULL);
}

static int copy_content(const struct copy *c, struct fs_file *file)
{
    struct stat st = {.st_mtim = c->mtime};
    struct fs_entry e;
    uint64_t off = 0;
    char *step = malloc(STEP);
    ssize_t n = step ? 1 : -ENOMEM;
    int r;

    while (n > 0) {
        n = read_ours(c, off, step);
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

/* The next name that is free. */
static int create(struct copy *c, struct fs_file **ret, uint64_t *ret_ino)
{
    struct fs_open_hints hints;
    struct fs_entry e;
    int r = -EEXIST;

    while (r == -EEXIST && c->nth < NAMES_MAX) {
        make_name(name_of(c->b->path), ++c->nth, c->name);
        r = fs_create(c->fs, c->dir, c->name, c->b->mode, O_WRONLY | O_CREAT | O_EXCL, &e, ret,
                      &hints);
    }
    if (r == 0)
        *ret_ino = e.ino;
    return r;
}

static int write_copy(struct copy *c)
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

/* The sandbox may have taken the name meanwhile, or the directory away: that is known once it has
 * the copy. Over a line that is down it goes later, as any file. */
static int make_copy(struct copy *c)
{
    enum { TRIES = 3 };
    const int above = (int)(name_of(c->b->path) - c->b->path);
    int r = -EIO;

    for (int i = 0; r == -EIO && i < TRIES; i++) {
        uint64_t since = 0;
        char *path;

        (void)flush_barrier(c->fs->flush, c->b->path, &since, NULL);
        r = write_copy(c);
        if (r < 0)
            return r;
        if (asprintf(&path, "%.*s%s", above, c->b->path, c->name) < 0)
            return 0;
        r = flush_barrier(c->fs->flush, path, &since, NULL);
        free(path);
    }
    return r == -EIO || r == -EINTR ? r : 0;
}

/* ---- what there is to copy ---- */

struct versions {
    struct fs *fs;
    const struct beside *b;
    struct copy v[VERSIONS_MAX];
    size_t count;
    struct beside_mark marks[MARKS_MAX]; /* of what they are made of */
    size_t mark_count;
};

static int add_version(void *arg, const struct flush_parked *p)
{
    const struct beside_mark m = {p->seq, p->when_ns};
    struct versions *x = arg;
    struct copy *last = x->count ? &x->v[x->count - 1] : NULL;
    bool done;

    if (p->outcome != JOURNAL_CONFLICT || !p->shown || strcmp(p->path, x->b->path) != 0)
        return 0;
    fs_lock(x->fs);
    done = beside_is_done_locked(x->fs, &m);
    fs_unlock(x->fs);
    if (done)
        return 0;
    if (!last || strcmp(last->shown, p->shown) != 0) {
        char *shown = x->count < VERSIONS_MAX ? strdup(p->shown) : NULL;

        if (!shown)
            return x->count < VERSIONS_MAX ? -ENOMEM : 0; /* .ctl has the rest */
        last = &x->v[x->count++];
        *last = (struct copy){.fs = x->fs, .b = x->b, .shown = shown, .mtime = x->b->mtime};
    }
    if (x->b->mtime.tv_nsec == UTIME_OMIT)
        last->mtime = ns_to_timespec(p->when_ns);
    if (x->mark_count < MARKS_MAX)
        x->marks[x->mark_count++] = m;
    return 0;
}

/* How much there is to copy: 0 if that is nothing. -ENODATA: it is not known as a whole. */
static int64_t look_at(struct copy *c, bool is_last)
{
    const int whole = flush_parked_whole(c->fs->flush, c->shown);
    uint64_t size = 0;

    if (whole < 0)
        return whole;
    if (whole == 0 && (!is_last || !c->b->blob))
        return -ENODATA;
    if (whole == 0) {
        c->blob = c->b->blob;
        return (int64_t)blob_size(c->blob);
    }
    if (flush_parked_read(c->fs->flush, c->shown, 0, NULL, 0, &size) < 0)
        return -ENOENT;
    return (int64_t)size;
}

static void copy_version(struct copy *c, uint64_t dir, bool is_last)
{
    char *at = fs_mount_path(c->fs, c->b->path);
    const char *const file = at ? at : c->b->path;
    const int64_t size = look_at(c, is_last);
    int r = size < 0 ? (int)size : 0;

    c->dir = dir;
    if (size > 0) {
        r = make_copy(c);
        if (r == 0)
            fs_report(c->fs, 0, file, 0, "ours is beside it, too, as %s", c->name);
    }
    if (r == -ENODATA)
        fs_report(c->fs, 0, file, 0,
                  "only parts of it were written here, and the rest is not known here: nothing is "
                  "put beside it, conflicts/ alone has them");
    else if (r < 0 && r != -EINTR && size != -ENOENT) /* that is settled meanwhile */
        fs_report(c->fs, 0, file, r,
                  "ours could not be put beside it (%s): conflicts/ alone has it",
                  errtext_sentence(r));
    free(at);
}

/* -EINTR: not all was done. */
static int copy_all(struct fs *fs, struct versions *x)
{
    char *above = strndup(x->b->path, (size_t)(name_of(x->b->path) - x->b->path));
    struct fs_entry dir;
    int r = above ? flush_parked(fs->flush, add_version, x) : -ENOMEM;

    if (r == 0 && x->count > 0)
        r = find_path(fs, above, &dir);
    if (r == 0 && x->count > 0) {
        for (size_t i = 0; i < x->count; i++)
            copy_version(&x->v[i], dir.ino, i + 1 == x->count);
        find_done(fs, dir.ino);
    }
    if (r < 0 && r != -EINTR)
        fs_report(fs, 0, x->b->path, r,
                  "ours could not be put beside it (%s): conflicts/ alone has it",
                  errtext_sentence(r));
    free(above);
    return cancel_fired(cancel_bound()) ? -EINTR : 0;
}

/* ---- jobs ---- */

static void beside_free_locked(struct fs *fs, struct beside *b)
{
    DL_DELETE(fs->besides, b);
    if (b->blob)
        blob_release(b->blob);
    blob_unref(b->blob);
    free(b->path);
    free(b);
}

/* As theirs has it, if it is not known what ours had. */
static void find_mode(struct fs *fs, struct beside *b)
{
    struct fs_entry e;

    if (b->mode != 0)
        return;
    b->mode = 0600;
    if (find_path(fs, b->path, &e) < 0)
        return;
    if (S_ISREG(e.st.st_mode))
        b->mode = e.st.st_mode & 0777;
    find_done(fs, e.ino);
}

static void make_copies(struct fs *fs, struct beside *b)
{
    struct versions *x = calloc(1, sizeof(*x));

    if (!x)
        return; /* conflicts/ has it */
    x->fs = fs;
    x->b = b;
    /* How it ends does not matter: what is parked by then is copied. */
    (void)flush_barrier(fs->flush, b->path, NULL, NULL);
    fs_lock(fs);
    b->taken = true;
    fs_unlock(fs);
    find_mode(fs, b);
    if (copy_all(fs, x) == 0)
        beside_done(fs, x->marks, x->mark_count);
    for (size_t i = 0; i < x->count; i++)
        free(x->v[i].shown);
    free(x);
}

static void run_job(struct fs *fs, struct job *job, bool drop)
{
    struct beside *b = (struct beside *)job;

    if (!drop) {
        fs_unlock(fs);
        make_copies(fs, b);
        fs_lock(fs);
    }
    beside_free_locked(fs, b);
    fs_wake(fs);
}

static void look_of_locked(struct fs *fs, const struct node *n, struct beside *b)
{
    struct stat st;

    b->mtime.tv_nsec = UTIME_OMIT;
    if (!n)
        return;
    show_stat_locked(fs, n, &st);
    b->mode = n->attr.mode & 0777;
    b->mtime = st.st_mtim;
    if (n->file && n->file->local && n->file->blob && blob_whole(n->file->blob) &&
        blob_hold(n->file->blob))
        b->blob = blob_ref(n->file->blob);
}

void beside_add_locked(struct fs *fs, const char *path, const struct node *n)
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
    look_of_locked(fs, n, b);
    DL_APPEND(fs->besides, b);
    if (!ahead_queue_locked(fs, &b->job, JOBS_MAX))
        beside_free_locked(fs, b); /* the next mount makes it */
}

int beside_settle(struct fs *fs)
{
    int r = 0;

    fs_lock(fs);
    while (fs->besides && r == 0)
        r = fs_wait(fs);
    fs_unlock(fs);
    return r;
}
