/* Names that come and go; attributes; what is to be on the disk. */
#include "helper/apply.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct intent nothing; /* was begun */

int names_done(const struct batch_change *c, struct place *p, uint64_t ino,
               struct batch_result *ret)
{
    const struct stat gone = {.st_ino = ino, .st_mode = S_IFREG};

    (void)place_look(p);
    if (ino != 0 && (!p->there || p->st.st_ino != ino))
        return result_done(ret, &gone);
    if (c->flags & BATCH_FSYNC_TOO)
        (void)place_sync(p);
    (void)result_done(ret, p->there ? &p->st : NULL);
    if (p->there)
        result_born(ret, p->dir, p->name);
    return 0;
}

/* Is it what the change was to make, though that was not known to be so? */
static bool is_ours(const struct place *p, const struct intent *doubt)
{
    static const int64_t coarse_ns = 20 * NS_PER_MS;

    return p->there && p->st.st_uid == geteuid() &&
           timespec_to_ns(p->st.st_ctim) >= doubt->when_ns - coarse_ns;
}

int names_enter(struct apply *a, const char *path, const struct batch_object *at,
                const struct intent *doubt, struct place *p, struct batch_result *ret)
{
    int r;

    if (doubt->stage == 0 && a->closing) {
        (void)result_open(ret);
        return 1;
    }
    if (doubt->stage == 0)
        return place_check(a, path, at, true, p, ret);
    r = place_open(a, path, p);
    if (r < 0)
        (void)result_failed(ret, r);
    return r < 0;
}

/* ---- mkdir ---- */

int names_finish_dir(const struct batch_change *c, struct place *p, struct batch_result *ret)
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
    return r < 0 ? result_failed(ret, r) : names_done(c, p, 0, ret);
}

int apply_mkdir(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                struct batch_result *ret)
{
    const struct intent intent = {.stage = INTENT_NAMES};
    struct place p;
    int r = names_enter(a, c->path, &c->at, doubt, &p, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    if (doubt->stage && p.there) {
        r = S_ISDIR(p.st.st_mode) && is_ours(&p, doubt) ? names_finish_dir(c, &p, ret)
                                                        : result_conflict(ret, &p);
    } else if (a->closing) {
        r = result_open(ret);
    } else { /* nothing is there, as it should be */
        r = apply_intent(a, &intent);
        if (r == 0) {
            apply_step();
            r = mkdirat(p.dir, p.name, 0700) < 0 ? -errno : 0;
            apply_step();
            (void)place_look(&p);
            if (r == -EEXIST && c->at.means == BATCH_ABSENT)
                r = result_conflict(ret, &p);
            else
                r = r < 0 ? result_failed(ret, r) : names_finish_dir(c, &p, ret);
        }
    }
    place_done(&p);
    return r;
}

/* ---- symlink ---- */

bool place_has_target(const struct place *p, const char *target)
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
    int r = names_enter(a, c->path, &c->at, doubt, &p, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    if (doubt->stage && p.there) {
        r = place_has_target(&p, c->path2) && is_ours(&p, doubt) ? names_done(c, &p, 0, ret)
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
                r = r < 0 ? result_failed(ret, r) : names_done(c, &p, 0, ret);
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
    struct temp t;
    int r;

    if (!from->there)
        return result_failed(ret, -ENOENT);
    if (to->there)
        return result_failed(ret, -EEXIST);
    r = apply_intent(a, &intent);
    if (r < 0)
        return r;
    apply_step();
    r = link_temp(a, from, to, &t);
    if (r == 0) {
        r = temp_place(a, &t, &from->st, to, false);
        if (r > 0 && c->at2.means != BATCH_ABSENT)
            r = -EEXIST;
    }
    if (r == -EAGAIN)
        return r;
    (void)place_look(to);
    if (r > 0)
        return result_conflict(ret, to);
    return r < 0 ? result_failed(ret, r) : names_done(c, to, from->st.st_ino, ret);
}

int apply_link(struct apply *a, const struct batch_change *c, const struct intent *doubt,
               struct batch_result *ret)
{
    const bool closing = a->closing;
    struct batch_change again = *c; /* its ctime has moved by the second name that it got */
    struct place from, to;
    int r = names_enter(a, c->path, &c->at, doubt, &from, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    again.at = (struct batch_object){
        .means = BATCH_SAME, .ino = doubt->stage == INTENT_BUILD ? doubt->old_ino : doubt->ino};
    r = names_enter(a, c->path2, &c->at2, doubt, &to, ret);
    if (r == 0) {
        if (doubt->stage && to.there)
            r = to.st.st_ino == doubt->ino ? names_done(c, &to, 0, ret) : result_conflict(ret, &to);
        else
            r = doubt->stage ? -EAGAIN : link_now(a, c, &from, &to, ret);
        if (doubt->stage)
            temp_drop(a, &to);
        place_done(&to);
    }
    place_done(&from);
    if (r == -EAGAIN && doubt->stage && !a->stopped) {
        a->closing = false; /* nobody could tell it from another version */
        r = apply_link(a, &again, &nothing, ret);
        a->closing = closing;
    }
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
    temp_drop(a, p); /* what is there after a kill is what was taken away */
    r = apply_intent(a, &intent);
    if (r < 0)
        return r;
    apply_step();
    if (c->kind == BATCH_RMDIR)
        return unlinkat(p->dir, p->name, AT_REMOVEDIR) < 0 ? -errno : 0;
    r = keep_make(a, c, p);
    if (r == 0)
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
    int r = names_enter(a, c->path, &c->at, doubt, &p, ret), other;

    if (r != 0)
        return r < 0 ? r : 0;
    other = other_open(&p);
    r = doubt->stage ? decide_remove(a, c, &p, doubt) : remove_now(a, c, &p);
    if (r == -EAGAIN && doubt->stage) {
        place_done(&p);
        other_tell(other, ret);
        return apply_unlink(a, c, &nothing, ret);
    }
    if (r == 0) {
        p.there = false;
        if (c->flags & BATCH_FSYNC_TOO)
            (void)place_sync(&p);
        r = result_done(ret, NULL);
    } else if (r > 0) {
        r = result_conflict(ret, &p);
    } else if (r != -EAGAIN) {
        r = result_failed(ret, r);
    }
    other_tell(other, ret);
    if (r != -EAGAIN)
        keep_tell(a, c, ret);
    place_done(&p);
    return r;
}

/* ---- setattr, fsync: twice is as good as once ---- */

int apply_setattr(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                  struct batch_result *ret)
{
    struct intent intent = {.stage = INTENT_NAMES};
    struct place p;
    int r = names_enter(a, c->path, &c->at, doubt, &p, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    intent.ino = p.there ? p.st.st_ino : 0;
    if (doubt->stage && doubt->ino != intent.ino) {
        r = result_conflict(ret, &p);
        place_done(&p);
        return r;
    }
    r = p.there ? apply_intent(a, &intent) : -ENOENT; /* after it the times may be others */
    if (r == 0)
        r = attr_set(&p, c);
    apply_step();
    if (r == 0)
        r = names_done(c, &p, 0, ret);
    else if (r == -ESTALE && place_look(&p) == 0)
        r = result_conflict(ret, &p);
    else if (r != -EAGAIN)
        r = result_failed(ret, r);
    place_done(&p);
    return r;
}

int apply_fsync(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                struct batch_result *ret)
{
    struct place p;
    int r = names_enter(a, c->path, &c->at, doubt, &p, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    r = p.there ? place_sync(&p) : -ENOENT;
    r = r < 0 ? result_failed(ret, r) : result_done(ret, &p.st);
    place_done(&p);
    return r;
}
