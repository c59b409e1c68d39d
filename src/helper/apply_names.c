/* Names that come, move and go; attributes; what is to be on the disk. */
#include "helper/apply.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOREPLACE = 1, EXCHANGE = 2 };

static int rename2(const struct place *from, const struct place *to, unsigned flags)
{
    apply_step();
    return syscall(SYS_renameat2, from->dir, from->name, to->dir, to->name, flags) < 0 ? -errno : 0;
}

static bool is_unknown(int err)
{
    return err == -EINVAL || err == -ENOSYS || err == -EOPNOTSUPP;
}

/* ino: what is to have the name; what somebody else put there since is not told as ours. 0: any. */
static int done_with(const struct batch_change *c, struct place *p, uint64_t ino,
                     struct batch_result *ret)
{
    const struct stat gone = {.st_ino = ino, .st_mode = S_IFREG};

    (void)place_look(p);
    if (ino != 0 && (!p->there || p->st.st_ino != ino))
        return result_done(ret, &gone);
    if (c->flags & BATCH_FSYNC_TOO)
        (void)place_sync(p);
    return result_done(ret, p->there ? &p->st : NULL);
}

static int done_now(const struct batch_change *c, struct place *p, struct batch_result *ret)
{
    return done_with(c, p, 0, ret);
}

/* Is it what the change was to make, though that was not known to be so? */
static bool is_ours(const struct place *p, const struct intent *doubt)
{
    static const int64_t coarse_ns = 20 * NS_PER_MS;

    return p->there && p->st.st_uid == geteuid() &&
           timespec_to_ns(p->st.st_ctim) >= doubt->when_ns - coarse_ns;
}

/* 0: at is as it should be, and p is open; 1: ret says it. What was begun is not looked at again,
 * and with nothing begun a batch that is closed does not go on. */
static int enter(struct apply *a, const char *path, const struct batch_object *at,
                 const struct intent *doubt, struct place *p, struct batch_result *ret)
{
    int r;

    if (doubt->stage == 0 && a->closing) {
        (void)result_open(ret);
        return 1;
    }
    if (doubt->stage == 0)
        return place_check(a, path, at, p, ret);
    r = place_open(a, path, p);
    if (r < 0)
        (void)result_failed(ret, r);
    return r < 0;
}

/* A batch that is asked again from its start: what is there may be what was to be made. */
static bool looks_again(const struct apply *a, const struct batch_result *ret)
{
    return a->record.renew && ret->outcome == BATCH_CONFLICT;
}

/* ---- mkdir ---- */

static int finish_dir(const struct batch_change *c, struct place *p, struct batch_result *ret)
{
    struct batch_change want = *c;
    int r = place_look(p);

    if (r == 0 && (!p->there || !S_ISDIR(p->st.st_mode)))
        r = -ESTALE;
    if (r == 0 && !(c->set & BATCH_SET_MODE) && (p->st.st_mode & 0777) == 0700) {
        want.set |= BATCH_SET_MODE;
        want.mode = 0755 | (p->st.st_mode & 07000);
    }
    if (r == 0)
        r = attr_set(p, &want);
    if (r == -ESTALE)
        return result_conflict(ret, p);
    return r < 0 ? result_failed(ret, r) : done_now(c, p, ret);
}

int apply_mkdir(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                struct batch_result *ret)
{
    const struct intent intent = {.stage = INTENT_NAMES};
    struct place p;
    int r = enter(a, c->path, &c->at, doubt, &p, ret);

    if (r > 0 && looks_again(a, ret) && place_open(a, c->path, &p) == 0) {
        if (p.there && S_ISDIR(p.st.st_mode))
            (void)finish_dir(c, &p, ret);
        place_done(&p);
    }
    if (r != 0)
        return r < 0 ? r : 0;
    if (doubt->stage && p.there) {
        r = S_ISDIR(p.st.st_mode) && is_ours(&p, doubt) ? finish_dir(c, &p, ret)
                                                        : result_conflict(ret, &p);
    } else if (a->closing) {
        r = result_open(ret);
    } else {
        r = apply_intent(a, &intent);
        if (r == 0) {
            apply_step();
            r = mkdirat(p.dir, p.name, 0700) < 0 ? -errno : 0;
            apply_step();
            (void)place_look(&p);
            if (r == -EEXIST && c->at.means == BATCH_ABSENT)
                r = result_conflict(ret, &p);
            else
                r = r < 0 ? result_failed(ret, r) : finish_dir(c, &p, ret);
        }
    }
    place_done(&p);
    return r;
}

/* ---- symlink ---- */

static bool has_target(const struct place *p, const char *target)
{
    const size_t len = strlen(target);
    char *link = malloc(len + 2);
    const bool same = link && p->there && S_ISLNK(p->st.st_mode) &&
                      readlinkat(p->dir, p->name, link, len + 1) == (ssize_t)len &&
                      memcmp(link, target, len) == 0;

    free(link);
    return same;
}

int apply_symlink(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                  struct batch_result *ret)
{
    const struct intent intent = {.stage = INTENT_NAMES};
    struct place p;
    int r = enter(a, c->path, &c->at, doubt, &p, ret);

    if (r > 0 && looks_again(a, ret) && place_open(a, c->path, &p) == 0) {
        if (has_target(&p, c->path2))
            (void)done_now(c, &p, ret);
        place_done(&p);
    }
    if (r != 0)
        return r < 0 ? r : 0;
    if (doubt->stage && p.there) {
        r = has_target(&p, c->path2) && is_ours(&p, doubt) ? done_now(c, &p, ret)
                                                           : result_conflict(ret, &p);
    } else if (a->closing) {
        r = result_open(ret);
    } else {
        r = apply_intent(a, &intent);
        if (r == 0) {
            apply_step();
            r = symlinkat(c->path2, p.dir, p.name) < 0 ? -errno : 0;
            apply_step();
            (void)place_look(&p);
            if (r == -EEXIST && c->at.means == BATCH_ABSENT)
                r = result_conflict(ret, &p);
            else
                r = r < 0 ? result_failed(ret, r) : done_now(c, &p, ret);
        }
    }
    place_done(&p);
    return r;
}

/* ---- link ---- */

static int link_now(struct apply *a, const struct batch_change *c, const struct place *from,
                    struct place *to, struct batch_result *ret)
{
    const struct intent intent = {.stage = INTENT_NAMES, .ino = from->st.st_ino};
    int r;

    if (!from->there)
        return result_failed(ret, -ENOENT);
    r = apply_intent(a, &intent);
    if (r < 0)
        return r;
    apply_step();
    r = linkat(from->dir, from->name, to->dir, to->name, 0) < 0 ? -errno : 0;
    apply_step();
    (void)place_look(to);
    if (r == -EEXIST && c->at2.means == BATCH_ABSENT)
        return result_conflict(ret, to);
    if (r < 0)
        return result_failed(ret, r);
    if (to->there && to->st.st_ino != from->st.st_ino) { /* another file had the name by then */
        (void)unlinkat(to->dir, to->name, 0);
        return result_conflict(ret, to);
    }
    return done_with(c, to, from->st.st_ino, ret);
}

int apply_link(struct apply *a, const struct batch_change *c, const struct intent *doubt,
               struct batch_result *ret)
{
    struct place from, to;
    int r = enter(a, c->path, &c->at, doubt, &from, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    r = enter(a, c->path2, &c->at2, doubt, &to, ret);
    if (r > 0 && looks_again(a, ret) && place_open(a, c->path2, &to) == 0) {
        if (to.there && from.there && to.st.st_ino == from.st.st_ino)
            (void)done_now(c, &to, ret);
        place_done(&to);
    }
    if (r == 0) {
        if (doubt->stage && to.there)
            r = to.st.st_ino == doubt->ino ? done_now(c, &to, ret) : result_conflict(ret, &to);
        else
            r = a->closing ? result_open(ret) : link_now(a, c, &from, &to, ret);
        place_done(&to);
    }
    place_done(&from);
    return r < 0 ? r : 0;
}

/* ---- unlink, rmdir ---- */

static int remove_now(struct apply *a, const struct batch_change *c, struct place *p)
{
    struct intent intent = {.stage = INTENT_NAMES,
                            .ino = p->st.st_ino,
                            .old_size = (uint64_t)p->st.st_size,
                            .old_mtime_ns = timespec_to_ns(p->st.st_mtim)};
    int r;

    if (!p->there)
        return -ENOENT;
    if (c->kind == BATCH_UNLINK && S_ISDIR(p->st.st_mode))
        return -EISDIR;
    intent.beside = temp_goes_beside(a, p);
    r = apply_intent(a, &intent);
    if (r < 0)
        return r;
    apply_step();
    if (c->kind == BATCH_RMDIR)
        return unlinkat(p->dir, p->name, AT_REMOVEDIR) < 0 ? -errno : 0;
    r = temp_remove(a, p, c->at.means == BATCH_ANY);
    if (r == -EXDEV && !intent.beside) {
        intent.beside = true;
        r = apply_intent(a, &intent);
        if (r == 0)
            r = temp_remove(a, p, false);
    }
    return r;
}

static int decide_remove(struct apply *a, const struct batch_change *c, struct place *p,
                         const struct intent *doubt)
{
    if (c->kind == BATCH_UNLINK)
        return temp_remove_decide(a, p, doubt);
    if (!p->there)
        return 0;
    return p->st.st_ino == doubt->ino ? -EAGAIN : 1;
}

int apply_unlink(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                 struct batch_result *ret)
{
    struct place p;
    int r = enter(a, c->path, &c->at, doubt, &p, ret);

    if (r > 0 && looks_again(a, ret) && ret->now.mode == 0) /* it is not there: so it should be */
        return result_done(ret, NULL);
    if (r != 0)
        return r < 0 ? r : 0;
    r = doubt->stage ? decide_remove(a, c, &p, doubt) : -EAGAIN;
    if (r == -EAGAIN && a->closing) {
        place_done(&p);
        return result_open(ret);
    }
    if (r == -EAGAIN)
        r = remove_now(a, c, &p);
    if (r == 0) {
        p.there = false;
        if (c->flags & BATCH_FSYNC_TOO)
            (void)place_sync(&p);
        r = result_done(ret, NULL);
    } else if (r > 0) {
        r = result_conflict(ret, &p);
    } else if (r == -ENOENT && a->record.renew) {
        r = result_done(ret, NULL);
    } else if (r != -EAGAIN) {
        r = result_failed(ret, r);
    }
    place_done(&p);
    return r;
}

/* ---- rename ---- */

/* What was moved is what was meant, or it goes back. */
static int check_moved(struct place *from, struct place *to, ino_t ino)
{
    if (place_look(to) == 0 && to->there && to->st.st_ino != ino) {
        (void)rename2(to, from, NOREPLACE);
        (void)place_look(from);
        return 1;
    }
    return 0;
}

static bool looks_same(const struct stat *now, const struct stat *was)
{
    return stat_is_same(now, was->st_ino, (uint64_t)was->st_size, timespec_to_ns(was->st_mtim));
}

/* Over a file that is to be what was looked at: the two change places, and then it goes. */
static int rename_over(struct apply *a, struct place *from, struct place *to)
{
    const struct stat source = from->st, old = to->st;
    struct hold hold;
    int r;

    hold_take(&hold, to);
    r = place_look(to) == 0 && to->there && looks_same(&to->st, &old) ? 0 : 1;
    if (r == 0)
        r = swap_is_cheap(a, to) ? rename2(from, to, EXCHANGE) : -EINVAL;
    if (r == 0) {
        apply_step();
        (void)place_look(from);
        (void)place_look(to);
        if (from->there && looks_same(&from->st, &old) && to->there &&
            to->st.st_ino == source.st_ino) {
            r = unlinkat(from->dir, from->name, 0) < 0 ? -errno : 0;
        } else { /* one of them was not what it had been */
            (void)rename2(from, to, EXCHANGE);
            (void)place_look(from);
            (void)place_look(to);
            r = 1;
        }
    } else if (is_unknown(r)) {
        r = rename2(from, to, 0);
    }
    hold_drop(&hold);
    return r;
}

static int rename_to_none(struct place *from, struct place *to)
{
    const ino_t ino = from->st.st_ino;
    int r = rename2(from, to, NOREPLACE);

    if (is_unknown(r) && S_ISDIR(from->st.st_mode)) {
        r = rename2(from, to, 0); /* over an empty directory at worst */
    } else if (is_unknown(r)) {
        r = linkat(from->dir, from->name, to->dir, to->name, 0) < 0 ? -errno : 0;
        if (r == 0)
            (void)unlinkat(from->dir, from->name, 0);
        else if (r != -EEXIST)
            r = rename2(from, to, 0);
    }
    return r == 0 ? check_moved(from, to, ino) : r;
}

static int exchange(struct place *from, struct place *to)
{
    const ino_t ino = from->st.st_ino, ino2 = to->st.st_ino;
    int r;

    if (!to->there)
        return -ENOENT;
    r = rename2(from, to, EXCHANGE);
    if (r < 0)
        return r;
    (void)place_look(from);
    (void)place_look(to);
    if (to->there && to->st.st_ino == ino && from->there && from->st.st_ino == ino2)
        return 0;
    (void)rename2(from, to, EXCHANGE);
    return 1;
}

static int move(struct apply *a, const struct batch_change *c, struct place *from, struct place *to)
{
    if (!from->there)
        return -ENOENT;
    if (c->flags & BATCH_EXCHANGE)
        return exchange(from, to);
    if ((c->flags & BATCH_NOREPLACE) || c->at2.means == BATCH_ABSENT)
        return rename_to_none(from, to);
    if (to->there && c->at2.means != BATCH_ANY && !S_ISDIR(to->st.st_mode) &&
        !S_ISDIR(from->st.st_mode) && to->st.st_ino != from->st.st_ino)
        return rename_over(a, from, to);
    return rename2(from, to, 0);
}

/* 0: it was done; 1: something else is there; -EAGAIN: nothing was. */
static int decide_move(const struct batch_change *c, struct place *from, struct place *to,
                       const struct intent *doubt)
{
    const bool moved = to->there && to->st.st_ino == doubt->ino;

    if (c->flags & BATCH_EXCHANGE)
        return moved ? 0 : from->there && from->st.st_ino == doubt->ino ? -EAGAIN : 1;
    if (!moved) /* somebody may have moved it on since; what is there now is theirs */
        return from->there && from->st.st_ino == doubt->ino ? -EAGAIN : to->there ? 1 : 0;
    if (!from->there)
        return 0;
    if (from->st.st_ino == doubt->ino && from->st.st_nlink > 1 && !S_ISDIR(from->st.st_mode))
        return unlinkat(from->dir, from->name, 0) < 0 ? -errno : 0; /* it was linked first */
    if (from->st.st_ino != doubt->old_ino)
        return 0; /* a new file of somebody's has the old name */
    if (stat_is_same(&from->st, doubt->old_ino, doubt->old_size, doubt->old_mtime_ns))
        return unlinkat(from->dir, from->name, 0) < 0 ? -errno : 0;
    (void)rename2(from, to, EXCHANGE);
    (void)place_look(to);
    return 1;
}

static int rename_places(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                         struct place *from, struct place *to, struct batch_result *ret)
{
    struct intent intent = {.stage = INTENT_NAMES, .ino = from->there ? from->st.st_ino : 0};
    int r = doubt->stage ? decide_move(c, from, to, doubt) : -EAGAIN;

    if (r == -EAGAIN && a->closing)
        return result_open(ret);
    if (r == -EAGAIN) {
        if (to->there) {
            intent.old_ino = to->st.st_ino;
            intent.old_size = (uint64_t)to->st.st_size;
            intent.old_mtime_ns = timespec_to_ns(to->st.st_mtim);
        }
        r = apply_intent(a, &intent);
        if (r < 0)
            return r;
        r = move(a, c, from, to);
        apply_step();
        if (r == -EEXIST && c->at2.means == BATCH_ABSENT) {
            (void)place_look(to);
            r = 1;
        }
    }
    if (r > 0)
        return result_conflict(ret, to);
    if (r < 0)
        return result_failed(ret, r);
    if (c->flags & BATCH_FSYNC_TOO)
        (void)place_sync(&(struct place){.dir = from->dir, .name = from->name});
    return done_with(c, to, doubt->stage ? doubt->ino : intent.ino, ret);
}

/* Nothing is at path, and at path2 is what should have come there. */
static bool was_renamed(struct apply *a, const struct batch_change *c)
{
    const struct batch_object *o = &c->at;
    struct place p;
    bool was = false;

    if (place_open(a, c->path, &p) == 0) {
        was = !p.there;
        place_done(&p);
    }
    if (!was || place_open(a, c->path2, &p) < 0)
        return false;
    if (o->means == BATCH_SAME)
        was = p.there && p.st.st_ino == o->ino;
    else if (o->means == BATCH_VERSION)
        was = p.there && (stat_is_same(&p.st, o->ino, o->size, o->mtime_ns) ||
                          (o->hash && S_ISREG(p.st.st_mode) && (uint64_t)p.st.st_size == o->size &&
                           file_has_hash(p.dir, p.name, &p.st, o->hash)));
    else if (o->means == BATCH_LEFT_BY)
        was = p.there && p.st.st_ino == a->record.results[o->change].now.ino;
    else
        was = false;
    place_done(&p);
    return was;
}

int apply_rename(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                 struct batch_result *ret)
{
    struct place from, to;
    int r = enter(a, c->path, &c->at, doubt, &from, ret);

    if (r == 0) {
        r = enter(a, c->path2, &c->at2, doubt, &to, ret);
        if (r == 0) {
            r = rename_places(a, c, doubt, &from, &to, ret);
            place_done(&to);
        }
        place_done(&from);
    }
    if (r >= 0 && looks_again(a, ret) && was_renamed(a, c) && place_open(a, c->path2, &to) == 0) {
        (void)done_now(c, &to, ret);
        place_done(&to);
    }
    return r < 0 ? r : 0;
}

/* ---- setattr, fsync: twice is as good as once ---- */

int apply_setattr(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                  struct batch_result *ret)
{
    struct place p;
    int r = enter(a, c->path, &c->at, doubt, &p, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    r = p.there ? attr_set(&p, c) : -ENOENT;
    apply_step();
    if (r == 0)
        r = done_now(c, &p, ret);
    else if (r == -ESTALE && place_look(&p) == 0)
        r = result_conflict(ret, &p);
    else
        r = result_failed(ret, r);
    place_done(&p);
    return r;
}

int apply_fsync(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                struct batch_result *ret)
{
    struct place p;
    int r = enter(a, c->path, &c->at, doubt, &p, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    r = p.there ? place_sync(&p) : -ENOENT;
    r = r < 0 ? result_failed(ret, r) : result_done(ret, &p.st);
    place_done(&p);
    return r;
}
