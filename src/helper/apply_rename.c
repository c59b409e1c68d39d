/* One name for another, over what is expected there and nothing else. */
#include "helper/apply.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const struct intent none; /* nothing was begun */

static int rename2(const struct place *from, const struct place *to, unsigned flags)
{
    apply_step();
    return rename_at(from->dir, from->name, to->dir, to->name, flags);
}

/* What was moved in place of what was meant; or, what they have saved over it since. */
static void bring_back(const struct place *from, const struct place *to, const struct temp *t,
                       ino_t ino)
{
    struct stat st;
    const struct place *back = to;

    apply_step();
    if (fstatat(t->dir, t->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (st.st_ino == ino)
        back = from;
    if (rename_at(t->dir, t->name, back->dir, back->name, RENAME_KEEP) == -EEXIST)
        (void)unlinkat(t->dir, t->name, 0); /* newer work of theirs is there */
}

/* What was moved is what was meant, or it goes back. */
static int check_moved(struct apply *a, struct place *from, struct place *to, ino_t ino)
{
    struct intent intent = {.stage = INTENT_NAMES, .ino = ino};
    struct temp t;
    int r;

    if (place_look(to) < 0 || !to->there || to->st.st_ino == ino)
        return 0;
    intent.old_ino = to->st.st_ino;
    r = apply_intent(a, &intent);
    if (r < 0)
        return r;
    temp_name(a, to, true, &t);
    /* By way of a temporary name: they may save over the new one just now. */
    if (rename_at(to->dir, to->name, t.dir, t.name, RENAME_KEEP) == 0)
        bring_back(from, to, &t, intent.old_ino);
    (void)place_look(from);
    (void)place_look(to);
    return 1;
}

/* What was renamed by way of a second name loses the first, unless that is another file's by now.
 */
static int drop_first(struct place *from, ino_t ino)
{
    if (place_look(from) < 0 || !from->there || from->st.st_ino != ino)
        return 0;
    return unlinkat(from->dir, from->name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int link_temp(struct apply *a, const struct place *from, const struct place *to, struct temp *t)
{
    struct stat st;
    int r;

    temp_name(a, to, temp_goes_beside(a, to), t);
    (void)unlinkat(t->dir, t->name, 0); /* of an attempt that was cut off */
    r = linkat(from->dir, from->name, t->dir, t->name, 0) < 0 ? -errno : 0;
    if (r == -EXDEV && !t->beside) {
        a->folder_is_apart = true;
        return link_temp(a, from, to, t);
    }
    apply_step();
    if (r == 0 &&
        (fstatat(t->dir, t->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != from->st.st_ino)) {
        (void)unlinkat(t->dir, t->name, 0);
        r = 1;
    }
    return r;
}

/* Over a file that is to be what was looked at. */
static int rename_over(struct apply *a, struct place *from, struct place *to)
{
    struct intent intent = {.stage = INTENT_PLACE,
                            .ino = from->st.st_ino,
                            .old_ino = to->st.st_ino,
                            .old_size = (uint64_t)to->st.st_size,
                            .old_mtime_ns = timespec_to_ns(to->st.st_mtim)};
    struct temp t;
    int r = swap_is_cheap(a, to) ? link_temp(a, from, to, &t) : -EPERM;

    if (r > 0)
        return r;
    if (r < 0) { /* no second names here */
        const struct stat old = to->st;

        if (place_look(to) < 0 || !to->there ||
            !stat_is_same(&to->st, old.st_ino, (uint64_t)old.st_size, timespec_to_ns(old.st_mtim)))
            return 1;
        return rename2(from, to, 0);
    }
    intent.beside = t.beside;
    r = apply_intent(a, &intent);
    if (r == 0)
        r = temp_place(a, &t, &from->st, to, false);
    if (r != -EAGAIN)
        (void)unlinkat(t.dir, t.name, 0);
    return r == 0 ? drop_first(from, intent.ino) : r;
}

/* It may have been placed: then its first name goes. */
static int decide_over(struct apply *a, struct place *from, struct place *to,
                       const struct intent *doubt)
{
    const int r = temp_decide(a, to, doubt);

    return r == 0 ? drop_first(from, doubt->ino) : r;
}

static int rename_to_none(struct apply *a, struct place *from, struct place *to)
{
    const ino_t ino = from->st.st_ino;
    struct temp t;
    int r = -EPERM;

    if (to->there)
        return -EEXIST;
    /* Of a file that is at the new name afterwards nobody could tell whether it was moved there, or
     * saved there since: so what is moved is linked first. */
    if (!S_ISDIR(from->st.st_mode) && swap_is_cheap(a, from))
        r = link_temp(a, from, to, &t);
    if (r == 0) {
        r = temp_place(a, &t, &from->st, to, false);
        return r == 0 ? drop_first(from, ino) : r > 0 ? -EEXIST : r;
    }
    if (r > 0)
        return r;
    r = rename2(from, to, RENAME_KEEP);
    apply_step();
    if (rename_is_unknown(r) && S_ISDIR(from->st.st_mode)) {
        r = rename2(from, to, 0); /* over an empty directory at worst */
    } else if (rename_is_unknown(r)) {
        r = linkat(from->dir, from->name, to->dir, to->name, 0) < 0 ? -errno : 0;
        if (r == 0)
            (void)unlinkat(from->dir, from->name, 0);
        else if (r != -EEXIST)
            r = rename2(from, to, 0);
    }
    return r == 0 ? check_moved(a, from, to, ino) : r;
}

static int exchange(struct place *from, struct place *to)
{
    const ino_t ino = from->st.st_ino, ino2 = to->st.st_ino;
    int r;

    if (!to->there)
        return -ENOENT;
    r = rename2(from, to, RENAME_SWAP);
    if (r < 0)
        return r;
    (void)place_look(from);
    (void)place_look(to);
    if (to->there && to->st.st_ino == ino && from->there && from->st.st_ino == ino2)
        return 0;
    (void)rename2(from, to, RENAME_SWAP);
    return 1;
}

static int move(struct apply *a, const struct batch_change *c, struct place *from, struct place *to)
{
    if (!from->there)
        return -ENOENT;
    if (c->flags & BATCH_EXCHANGE)
        return exchange(from, to);
    if ((c->flags & BATCH_NOREPLACE) || c->at2.means == BATCH_ABSENT)
        return rename_to_none(a, from, to);
    if (to->there && c->at2.means != BATCH_ANY && !S_ISDIR(to->st.st_mode) &&
        !S_ISDIR(from->st.st_mode) && to->st.st_ino != from->st.st_ino)
        return rename_over(a, from, to);
    return rename2(from, to, 0);
}

/* What is written into it meanwhile would go with it, unseen by who moves it away. */
static int keep_and_move(struct apply *a, const struct batch_change *c, struct place *from,
                         struct place *to)
{
    const bool any = c->at.means == BATCH_ANY || !from->there;
    struct hold hold = {.fd = -1};
    int r = 0;

    if (!any)
        hold_take(&hold, from);
    if (!any && !place_is_same(from))
        r = 1;
    if (r == 0)
        r = keep_make(a, c, to);
    if (r == 0)
        r = move(a, c, from, to);
    hold_drop(&hold);
    return r;
}

/* 0: it was done; 1: something else is there; -EAGAIN: nothing was. */
static int decide_move(struct apply *a, const struct batch_change *c, struct place *from,
                       struct place *to, const struct intent *doubt)
{
    const bool moved = to->there && to->st.st_ino == doubt->ino;
    struct temp t;

    if (doubt->old_ino != 0) { /* it was on its way back */
        temp_name(a, to, true, &t);
        if (!to->there || to->st.st_ino != doubt->old_ino)
            bring_back(from, to, &t, doubt->old_ino);
        else
            return check_moved(a, from, to, doubt->ino);
        return 1;
    }
    if (c->flags & BATCH_EXCHANGE)
        return moved ? 0 : from->there && from->st.st_ino == doubt->ino ? -EAGAIN : 1;
    if (!moved) /* somebody may have moved it on since; what is there now is theirs */
        return from->there && from->st.st_ino == doubt->ino ? -EAGAIN : to->there ? 1 : 0;
    if (!from->there)
        return 0;
    if (from->st.st_ino == doubt->ino && from->st.st_nlink > 1 && !S_ISDIR(from->st.st_mode))
        return drop_first(from, doubt->ino); /* it was linked first */
    return 0;                                /* a new file of somebody's has the old name */
}

static int rename_places(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                         struct place *from, struct place *to, struct batch_result *ret)
{
    struct intent intent = {.stage = INTENT_NAMES, .ino = from->there ? from->st.st_ino : 0};
    int r;

    if (doubt->stage) {
        r = doubt->stage == INTENT_BUILD   ? -EAGAIN
            : doubt->stage == INTENT_NAMES ? decide_move(a, c, from, to, doubt)
                                           : decide_over(a, from, to, doubt);
        if (r == -EAGAIN)
            return r;
    } else {
        r = apply_intent(a, &intent);
        if (r < 0)
            return r;
        r = keep_and_move(a, c, from, to);
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
    return names_done(c, to, doubt->stage ? doubt->ino : intent.ino, ret);
}

/* It was looked at, and its ctime may have moved by the second name that it got; as nobody could
 * tell that from another version, it is done even where nothing else is begun. */
static int finish_begun(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                        struct batch_result *ret)
{
    const bool closing = a->closing;
    struct batch_change again = *c;
    int r;

    again.at = (struct batch_object){
        .means = BATCH_SAME, .ino = doubt->stage == INTENT_BUILD ? doubt->old_ino : doubt->ino};
    a->closing = false;
    r = apply_rename(a, &again, &none, ret);
    a->closing = closing;
    return r;
}

int apply_rename(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                 struct batch_result *ret)
{
    struct place from, to;
    int r = names_enter(a, c->path, &c->at, doubt, &from, ret), other;

    if (r == 0) {
        r = names_enter(a, c->path2, &c->at2, doubt, &to, ret);
        if (r == 0) {
            other = c->flags & BATCH_EXCHANGE ? -1 : other_open(&to);
            r = rename_places(a, c, doubt, &from, &to, ret);
            other_tell(other, ret);
            if (r != -EAGAIN)
                keep_tell(a, c, ret);
            place_done(&to);
        }
        place_done(&from);
    }
    if (r == -EAGAIN && doubt->stage && !a->stopped)
        return finish_begun(a, c, doubt, ret);
    return r < 0 ? r : 0;
}
