/*
 * Names that are given and taken so that nobody's work is lost: what was checked could be another
 * file a moment later. Where the kernel can exchange two names, the old file comes out under a
 * temporary name, is looked at once more, and only then deleted; if it is another one, it goes
 * back.
 */
#include "helper/apply.h"

#include "helper/text.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int rename_at(int from, const char *name, int to, const char *name2, unsigned flags)
{
    return syscall(SYS_renameat2, from, name, to, name2, flags) < 0 ? -errno : 0;
}

bool rename_is_unknown(int err)
{
    return err == -EINVAL || err == -ENOSYS || err == -EOPNOTSUPP;
}

void temp_name(const struct apply *a, const struct place *p, bool beside, struct temp *ret)
{
    char client[9];

    memcpy(client, a->message.head.client, sizeof(client) - 1);
    client[sizeof(client) - 1] = '\0';
    ret->beside = beside;
    ret->dir = beside ? p->dir : a->record.dir;
    if (beside) /* so short that it fits wherever names do; clients hide what begins so */
        text_make(ret->name, sizeof(ret->name), ".daytonafs-%s-%x", client,
                  (unsigned)a->record.settled);
    else
        text_make(ret->name, sizeof(ret->name), "t-%x", (unsigned)a->record.settled);
}

void temp_drop(const struct apply *a, const struct place *p)
{
    for (int beside = 0; beside < 2; beside++) {
        struct temp t;

        temp_name(a, p, beside, &t);
        (void)unlinkat(t.dir, t.name, 0);
    }
}

bool temp_goes_beside(const struct apply *a, const struct place *p)
{
    struct stat st;

    if (a->folder_is_apart || fstat(p->dir, &st) < 0 || st.st_dev != a->folder_dev)
        return true;
    /* Two mounts of one device: that is said before it is seen that there is no such file. */
    return renameat(a->folder, "none", p->dir, "none") < 0 && errno == EXDEV;
}

/*
 * What comes from a lower layer of an overlay is copied when it is renamed. It has not changed
 * since there is a helper here.
 */
bool swap_is_cheap(const struct apply *a, const struct place *p)
{
    enum { OVERLAY = 0x794c7630 };
    struct statfs fs;

    return fstatfs(p->dir, &fs) == 0 &&
           ((uint32_t)fs.f_type != OVERLAY || timespec_to_ns(p->st.st_ctim) > a->folder_born_ns);
}

/* ---- hold ---- */

void hold_take(struct hold *h, const struct place *p)
{
    enum { LOOK_MS = 10, WAIT_MS = 50 };
    static int left_ms = 1000; /* of all that is waited in one run */

    h->fd = -1;
    if (!S_ISREG(p->st.st_mode))
        return;
    h->fd = openat(p->dir, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (h->fd < 0)
        return; /* without it a rename is still checked afterwards */
    for (int waited_ms = 0; fcntl(h->fd, F_SETLEASE, F_RDLCK) < 0; waited_ms += LOOK_MS) {
        if (errno != EAGAIN || waited_ms >= WAIT_MS || left_ms <= 0)
            return;
        (void)poll(NULL, 0, LOOK_MS);
        left_ms -= LOOK_MS;
    }
}

void hold_drop(struct hold *h)
{
    if (h->fd >= 0)
        close(h->fd);
    h->fd = -1;
}

/* ---- giving ---- */

static bool looks_same(const struct stat *now, const struct stat *was)
{
    return stat_is_same(now, was->st_ino, (uint64_t)was->st_size, timespec_to_ns(was->st_mtim));
}

bool place_is_same(struct place *p)
{
    const struct place was = *p;

    return place_look(p) == 0 && p->there == was.there &&
           (!p->there || (looks_same(&p->st, &was.st) &&
                          timespec_to_ns(p->st.st_ctim) == timespec_to_ns(was.st.st_ctim)));
}

static int place_new(const struct temp *t, struct place *p)
{
    int r = rename_at(t->dir, t->name, p->dir, p->name, RENAME_KEEP);

    if (rename_is_unknown(r)) {
        r = linkat(t->dir, t->name, p->dir, p->name, 0) < 0 ? -errno : 0;
        if (r == 0)
            (void)unlinkat(t->dir, t->name, 0);
    }
    if (r != -EEXIST)
        return r;
    (void)place_look(p);
    return 1;
}

/* It is not done. That is written down before the file that would tell goes, or that could later
 * not be told from one that took its name and lost it again. */
static int undone(struct apply *a, const struct temp *t, uint64_t ino)
{
    const struct intent intent = {.stage = INTENT_BUILD, .beside = t->beside, .old_ino = ino};
    const int r = apply_intent(a, &intent);

    if (r == 0)
        (void)unlinkat(t->dir, t->name, 0);
    return r;
}

/* What a name was given, or what came out for it, is to be known again. */
static struct intent returning(const struct temp *t, const struct stat *given,
                               const struct stat *taken)
{
    return (struct intent){.stage = INTENT_RETURN,
                           .beside = t->beside,
                           .ino = given->st_ino,
                           .old_ino = taken->st_ino,
                           .old_size = (uint64_t)taken->st_size,
                           .old_mtime_ns = timespec_to_ns(taken->st_mtim)};
}

/* Theirs cannot go back to its name: at least it is not taken for a leftover of ours. */
static void keep_aside(const struct apply *a, const struct temp *t)
{
    char name[48];

    text_make(name, sizeof(name), "kept-%x-%x", (unsigned)a->record.number,
              (unsigned)a->record.settled);
    (void)rename_at(t->dir, t->name, a->record.dir, name, 0);
}

/*
 * The name was given one file, and another came out for it, which is theirs: it goes back. If the
 * one that comes out for that is not the one that was given, it was saved since, and is newer than
 * the one that is there now: then that one goes back, and so on. So what is deleted in the end is
 * ours, or what they have replaced themselves. What is in hand is held open: nothing else can get
 * its number. The intent is written by the caller and, as it moves on, here.
 */
static int give_back(struct apply *a, const struct temp *t, struct stat given, struct stat taken,
                     struct place *p)
{
    enum { TRIES = 1000 }; /* each needs another save of theirs between two calls */
    int pins[2] = {-1, -1}, r = 0;
    struct stat st;

    for (int i = 0; i < TRIES && (r == 0 || r == -EEXIST); i++) {
        const struct intent intent = returning(t, &given, &taken);

        r = apply_intent(a, &intent);
        if (r < 0)
            break;
        if (pins[i % 2] >= 0)
            close(pins[i % 2]);
        pins[i % 2] = openat(t->dir, t->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        apply_step();
        r = rename_at(t->dir, t->name, p->dir, p->name, RENAME_SWAP);
        if (r == -ENOENT) { /* what was there, ours, was deleted, or moved away */
            r = rename_at(t->dir, t->name, p->dir, p->name, RENAME_KEEP);
            if (r == 0)
                break;
            continue;
        }
        if (r == 0)
            r = fstatat(t->dir, t->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        apply_step();
        if (r == 0 && looks_same(&st, &given)) {
            r = undone(a, t, given.st_ino);
            break;
        }
        given = taken;
        taken = st;
    }
    for (int i = 0; i < 2; i++)
        if (pins[i] >= 0)
            close(pins[i]);
    if (r < 0 && r != -EAGAIN)
        keep_aside(a, t);
    (void)place_look(p);
    return r == -EAGAIN ? r : 1;
}

/* After a kill: how far it came is told by which of them is left. */
static int go_on_giving_back(struct apply *a, const struct temp *t, const struct intent *doubt,
                             const struct stat *left, struct place *p)
{
    struct stat given = {.st_ino = doubt->ino};
    struct stat taken = {.st_ino = doubt->old_ino,
                         .st_size = (off_t)doubt->old_size,
                         .st_mtim = ns_to_timespec(doubt->old_mtime_ns)};

    if (left->st_ino == given.st_ino)
        return undone(a, t, doubt->ino) < 0 ? -EAGAIN : 1;
    if (left->st_ino != taken.st_ino)
        return give_back(a, t, taken, *left, p);
    if (p->there && p->st.st_ino == given.st_ino)
        given = p->st;
    return give_back(a, t, given, taken, p);
}

static int place_swapped(struct apply *a, const struct temp *t, const struct stat *ours,
                         struct place *p, const struct stat *old)
{
    struct stat st;

    apply_step();
    if (fstatat(t->dir, t->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !looks_same(&st, old))
        return give_back(a, t, *ours, st, p);
    (void)unlinkat(t->dir, t->name, 0);
    return 0;
}

static int place_over(struct apply *a, const struct temp *t, const struct stat *ours,
                      struct place *p)
{
    const struct stat old = p->st;
    const bool swap = swap_is_cheap(a, p);
    struct hold hold;
    int r = 1;

    hold_take(&hold, p);
    if (place_is_same(p)) {
        r = swap ? rename_at(t->dir, t->name, p->dir, p->name, RENAME_SWAP) : -EINVAL;
        if (r == 0)
            r = place_swapped(a, t, ours, p, &old);
        else if (rename_is_unknown(r))
            r = rename_at(t->dir, t->name, p->dir, p->name, 0);
        if (r == -ENOENT) { /* not ours: that is there */
            (void)place_look(p);
            r = 1;
        }
    }
    hold_drop(&hold);
    return r;
}

int temp_place(struct apply *a, const struct temp *t, const struct stat *ours, struct place *p,
               bool any)
{
    int r;

    apply_step();
    if (any)
        r = rename_at(t->dir, t->name, p->dir, p->name, 0);
    else
        r = p->there ? place_over(a, t, ours, p) : place_new(t, p);
    apply_step();
    if (r != 0 && r != -EAGAIN && undone(a, t, ours->st_ino) < 0)
        r = -EAGAIN;
    return r;
}

int temp_decide(struct apply *a, struct place *p, const struct intent *doubt)
{
    struct temp t;
    struct stat st;
    bool left, old, ours = p->there && p->st.st_ino == doubt->ino;

    temp_name(a, p, doubt->beside, &t);
    left = fstatat(t.dir, t.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (doubt->stage == INTENT_RETURN)
        return left ? go_on_giving_back(a, &t, doubt, &st, p) : 1;
    old = left && stat_is_same(&st, doubt->old_ino, doubt->old_size, doubt->old_mtime_ns);
    if (left && st.st_ino == doubt->ino && !ours) {
        (void)undone(a, &t, doubt->ino);
        return -EAGAIN;
    }
    if (left && st.st_ino != doubt->ino && !old && ours)
        return give_back(a, &t, p->st, st, p);
    if (left) /* the old one; or ours, which was linked and has both names */
        (void)unlinkat(t.dir, t.name, 0);
    if (!left && !ours && p->there && p->st.st_ino == doubt->old_ino)
        return -EAGAIN;
    return !left || old || ours ? place_look(p) : 1;
}

/* ---- taking ---- */

static int taken(const struct temp *t, struct place *p, bool same)
{
    if (same)
        return unlinkat(t->dir, t->name, 0) < 0 ? -errno : 0;
    /* What they have saved in its place since is newer. */
    if (rename_at(t->dir, t->name, p->dir, p->name, RENAME_KEEP) == -EEXIST)
        (void)unlinkat(t->dir, t->name, 0);
    (void)place_look(p);
    return 1;
}

static int take_away(struct apply *a, struct place *p)
{
    const struct stat old = p->st;
    struct temp t;
    struct stat st;
    int r;

    temp_name(a, p, temp_goes_beside(a, p), &t);
    r = rename_at(p->dir, p->name, t.dir, t.name, RENAME_KEEP);
    if (r == -EXDEV)
        a->folder_is_apart = true;
    apply_step();
    if (r == 0)
        return taken(
            &t, p, fstatat(t.dir, t.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && looks_same(&st, &old));
    return r;
}

int temp_remove(struct apply *a, struct place *p, bool any)
{
    struct hold hold;
    int r = -EINVAL;

    if (any)
        return unlinkat(p->dir, p->name, 0) < 0 ? -errno : 0;
    hold_take(&hold, p);
    if (!place_is_same(p)) {
        hold_drop(&hold);
        return 1;
    }
    if (swap_is_cheap(a, p) && !S_ISDIR(p->st.st_mode))
        r = take_away(a, p);
    if (rename_is_unknown(r) || r == -EEXIST)
        r = unlinkat(p->dir, p->name, 0) < 0 ? -errno : 0;
    hold_drop(&hold);
    if (r == -ENOENT) {
        (void)place_look(p);
        r = 1;
    }
    apply_step();
    return r;
}

int temp_remove_decide(struct apply *a, struct place *p, const struct intent *doubt)
{
    struct temp t;
    struct stat st;

    temp_name(a, p, doubt->beside, &t);
    if (fstatat(t.dir, t.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return taken(&t, p, stat_is_same(&st, doubt->ino, doubt->old_size, doubt->old_mtime_ns));
    if (!p->there)
        return 0;
    return p->st.st_ino == doubt->ino ? -EAGAIN : 1;
}
