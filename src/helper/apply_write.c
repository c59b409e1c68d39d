/* A file's content: by a new file that takes the name, or in place. */
#include "helper/apply_data.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COPY_MAX = 4 << 20, /* more than this, and that many times what changes, is not copied */
    COPY_TIMES = 4,
};

/* ---- in place ---- */

/* What was there, and is to stay, beyond which everything is new. */
static int cut_to(int fd, const struct batch_change *c, const struct shape *s)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (c->keep < (uint64_t)st.st_size && ftruncate(fd, (off_t)c->keep) < 0)
        return -errno;
    return 0;
}

static int finish_fd(int fd, const struct batch_change *c, struct batch_result *ret)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (attr_set_fd(fd, &st, c) < 0)
        return result_failed(ret, -errno);
    if ((c->flags & BATCH_FSYNC_TOO) && fsync(fd) < 0)
        return result_failed(ret, -errno);
    if (fstat(fd, &st) < 0)
        return -errno;
    (void)result_done(ret, &st);
    result_born(ret, fd, "");
    return 0;
}

/* off: where it goes on; old_size: what it had before it was begun. */
static int write_fd(struct apply *a, const struct batch_change *c, int fd, struct intent *intent,
                    struct batch_result *ret)
{
    const struct shape s = shape_of(c, intent->old_size);
    uint64_t off = intent->off;
    int r = data_reserve(c, fd, 0);

    if (r == 0 && off == 0)
        r = cut_to(fd, c, &s);
    apply_step();
    if (r == 0)
        r = data_patch(a, c, fd, &off);
    if (r == -EAGAIN) {
        intent->off = off;
        (void)apply_intent(a, intent);
        return -EAGAIN;
    }
    if (r == 0 && ftruncate(fd, (off_t)s.size) < 0)
        r = -errno;
    apply_step();
    if (is_about_the_batch(r))
        return r;
    return r < 0 ? result_failed(ret, r) : finish_fd(fd, c, ret);
}

static int write_in_place(struct apply *a, const struct batch_change *c, struct place *p,
                          struct intent *intent, struct batch_result *ret)
{
    const int flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    struct stat st;
    int fd, r;

    fd = data_open(a, p, flags | (p->there ? 0 : O_CREAT | O_EXCL), 0600, intent);
    if (fd == -EAGAIN)
        return fd;
    if (fd == -EEXIST) {
        (void)place_look(p);
        return result_conflict(ret, p);
    }
    if (fd < 0)
        return result_failed(ret, fd);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (p->there && st.st_ino != p->st.st_ino)) {
        close(fd);
        (void)place_look(p);
        return result_conflict(ret, p);
    }
    r = write_fd(a, c, fd, intent, ret);
    close(fd);
    if (r == 0 && ret->outcome == BATCH_DONE && (c->flags & BATCH_FSYNC_TOO))
        (void)place_sync(p); /* what is in it is there; so is the name, which was not made now */
    return r;
}

static int begin_in_place(struct apply *a, const struct batch_change *c, struct place *p,
                          struct batch_result *ret)
{
    struct intent intent = {.stage = INTENT_WRITE};
    struct batch_change made = *c;
    int r;

    if (p->there) {
        intent.old_ino = p->st.st_ino;
        intent.old_size = (uint64_t)p->st.st_size;
    } else if (!(c->set & BATCH_SET_MODE)) {
        made.set |= BATCH_SET_MODE;
        made.mode = 0644;
    }
    r = apply_intent(a, &intent);
    return r < 0 ? r : write_in_place(a, &made, p, &intent, ret);
}

/* It was begun: it is brought to its end, whatever was asked since. */
static int go_on_in_place(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                          struct batch_result *ret)
{
    struct intent intent = *doubt;
    struct place p;
    int r = place_open(a, c->path, &p);

    if (r < 0)
        return result_failed(ret, r);
    if (doubt->old_ino == 0 && !p.there)
        r = begin_in_place(a, c, &p, ret);
    else if (p.there && S_ISREG(p.st.st_mode) &&
             (p.st.st_ino == doubt->old_ino || (doubt->old_ino == 0 && p.st.st_uid == geteuid())))
        r = write_in_place(a, c, &p, &intent, ret);
    else
        r = result_conflict(ret, &p);
    place_done(&p);
    return r;
}

/* ---- by a new file ---- */

struct build {
    struct temp t;
    int fd;
    struct stat st;
};

/* The file that was put together ahead becomes it. 1: there is none. */
static int build_adopt(struct apply *a, const struct shape *s, struct build *b, uint64_t *ret_off)
{
    struct intent intent = {.stage = INTENT_BUILD, .beside = b->t.beside, .off = s->size};
    struct joined j;
    int r;

    if (s->copied > 0 || !joined_open(a, s->size, b->t.beside, &j, &b->st))
        return 1;
    intent.ino = b->st.st_ino;
    r = apply_intent(a, &intent);
    apply_step();
    if (r == 0 && renameat(j.dir, j.name, b->t.dir, b->t.name) < 0)
        r = 1;
    apply_step();
    if (r == 0) {
        b->fd = j.fd;
        j.fd = -1;
        *ret_off = s->size;
    }
    joined_done(&j);
    return r;
}

/* The new file with what has been written of it: *ret_off. */
static int build_open(struct apply *a, const struct shape *s, struct build *b,
                      const struct intent *doubt, uint64_t *ret_off)
{
    int r;

    *ret_off = 0;
    if (doubt->stage == INTENT_BUILD && doubt->beside == b->t.beside) {
        b->fd = openat(b->t.dir, b->t.name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (b->fd >= 0 && fstat(b->fd, &b->st) == 0 && b->st.st_ino == doubt->ino) {
            *ret_off = doubt->off;
            return 0;
        }
        if (b->fd >= 0)
            close(b->fd);
    }
    (void)unlinkat(b->t.dir, b->t.name, 0); /* of an attempt that was cut off */
    r = build_adopt(a, s, b, ret_off);
    if (r <= 0)
        return r;
    b->fd = openat(b->t.dir, b->t.name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    apply_step();
    return b->fd < 0 || fstat(b->fd, &b->st) < 0 ? -errno : 0;
}

/* As the old one was, where nothing else is asked for; a new one as any program would make it. */
static struct batch_change wanted_attr(const struct batch_change *c, const struct place *p)
{
    struct batch_change want = *c;
    struct stat dir;
    mode_t mask;

    want.set |= BATCH_SET_MODE;
    if (p->there) {
        want.set |= BATCH_SET_UID | BATCH_SET_GID | BATCH_SET_ATIME | BATCH_SET_MTIME;
        if (!(c->set & BATCH_SET_UID))
            want.uid = p->st.st_uid;
        if (!(c->set & BATCH_SET_GID))
            want.gid = p->st.st_gid;
        if (!(c->set & BATCH_SET_ATIME))
            want.atime_ns = timespec_to_ns(p->st.st_atim);
        if (!(c->set & BATCH_SET_MTIME))
            want.mtime_ns = timespec_to_ns(p->st.st_mtim);
        if (!(c->set & BATCH_SET_MODE))
            want.mode = p->st.st_mode & 07777;
        return want;
    }
    if (!(c->set & BATCH_SET_MODE)) {
        mask = umask(0);
        umask(mask);
        want.mode = 0666 & ~mask;
    }
    if (!(c->set & BATCH_SET_GID) && fstat(p->dir, &dir) == 0 && (dir.st_mode & S_ISGID)) {
        want.set |= BATCH_SET_GID;
        want.gid = dir.st_gid;
    }
    return want;
}

static int build_content(struct apply *a, const struct batch_change *c, const struct place *p,
                         const struct shape *s, struct build *b, uint64_t off)
{
    struct intent intent = {.stage = INTENT_BUILD, .beside = b->t.beside, .ino = b->st.st_ino};
    struct stat st;
    int old = -1, r = 0;

    if (s->copied > 0) {
        old = openat(p->dir, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (old < 0 || fstat(old, &st) < 0)
            r = -errno;
        else if (st.st_ino != p->st.st_ino || !S_ISREG(st.st_mode))
            r = -ESTALE;
    }
    if (r == 0)
        r = data_build(a, c, s, old, b->fd, &off);
    if (old >= 0)
        close(old);
    if (r == -EAGAIN) {
        intent.off = off;
        (void)apply_intent(a, &intent);
        return -EAGAIN;
    }
    return r;
}

static int build_file(struct apply *a, const struct batch_change *c, const struct place *p,
                      const struct intent *doubt, struct build *b)
{
    const struct shape s = shape_of(c, p->there ? (uint64_t)p->st.st_size : 0);
    const struct batch_change want = wanted_attr(c, p);
    uint64_t off;
    int r = build_open(a, &s, b, doubt, &off);

    if (r == 0)
        r = build_content(a, c, p, &s, b, off);
    if (r == 0)
        r = attr_set_fd(b->fd, &b->st, &want);
    if (r == 0 && (c->flags & BATCH_FSYNC_TOO) && fsync(b->fd) < 0)
        r = -errno;
    if (r == 0 && fstat(b->fd, &b->st) < 0)
        r = -errno;
    return r;
}

static int give_name(struct apply *a, const struct batch_change *c, struct place *p,
                     const struct build *b)
{
    struct intent intent = {.stage = INTENT_PLACE, .beside = b->t.beside, .ino = b->st.st_ino};
    int r;

    if (c->at.means == BATCH_SAME) { /* what happened to it meanwhile is not minded */
        const ino_t ino = p->st.st_ino;

        if (place_look(p) < 0 || !p->there || p->st.st_ino != ino)
            return 1;
    }
    if (p->there) {
        intent.old_ino = p->st.st_ino;
        intent.old_size = (uint64_t)p->st.st_size;
        intent.old_mtime_ns = timespec_to_ns(p->st.st_mtim);
    }
    r = apply_intent(a, &intent);
    if (r < 0)
        return r;
    return temp_place(a, &b->t, &b->st, p, c->at.means == BATCH_ANY);
}

/* It has the name now. If somebody has written to it since, that is not what we left. */
static int tell_new(const struct batch_change *c, const struct place *p, const struct build *b,
                    struct batch_result *ret)
{
    struct stat st;

    if (fstat(b->fd, &st) < 0 ||
        !stat_is_same(&st, b->st.st_ino, (uint64_t)b->st.st_size, timespec_to_ns(b->st.st_mtim)))
        st = b->st;
    if (c->flags & BATCH_FSYNC_TOO)
        (void)place_sync(&(struct place){.dir = p->dir, .name = p->name});
    (void)result_done(ret, &st);
    result_born(ret, b->fd, "");
    return 0;
}

/* What means that this cannot be done by a new file here. */
static bool better_in_place(const struct batch_change *c, int r)
{
    return r == -EPERM || r == -EACCES || r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP ||
           r == -EXDEV || r == -EBUSY || r == -ENAMETOOLONG;
}

static int replace_once(struct apply *a, const struct batch_change *c, struct place *p,
                        const struct intent *doubt, bool beside, struct batch_result *ret)
{
    struct build b = {.fd = -1};
    int r;

    temp_name(a, p, beside, &b.t);
    r = build_file(a, c, p, doubt, &b);
    if (r == 0)
        r = give_name(a, c, p, &b);
    if (r == 0)
        r = tell_new(c, p, &b, ret);
    else if (r != -EAGAIN && r != -ENODATA)
        (void)unlinkat(b.t.dir, b.t.name, 0);
    if (b.fd >= 0)
        close(b.fd);
    if (r == -ESTALE) {
        (void)place_look(p);
        r = 1;
    }
    if (r > 0)
        r = result_conflict(ret, p);
    return r;
}

static int replace(struct apply *a, const struct batch_change *c, struct place *p,
                   const struct intent *doubt, struct batch_result *ret)
{
    const bool beside = temp_goes_beside(a, p);
    int r = replace_once(a, c, p, doubt, beside, ret);

    if (r == -EXDEV && !beside) { /* one device, and two mounts of it */
        a->folder_is_apart = true;
        r = replace_once(a, c, p, &(struct intent){0}, true, ret);
    }
    if (better_in_place(c, r))
        return begin_in_place(a, c, p, ret);
    return r < 0 && !is_about_the_batch(r) ? result_failed(ret, r) : r;
}

/* ---- which way ---- */

static bool goes_in_place(const struct batch_change *c, const struct place *p)
{
    const struct shape s = shape_of(c, p->there ? (uint64_t)p->st.st_size : 0);

    if (!p->there)
        return false;
    return (c->flags & BATCH_IN_PLACE) || p->st.st_nlink > 1 ||
           (p->st.st_uid != geteuid() && geteuid() != 0) ||
           (s.copied > COPY_MAX && s.copied / COPY_TIMES > s.bytes) ||
           faccessat(p->dir, ".", W_OK, AT_EACCESS) < 0;
}

static int wrong_type(const struct place *p)
{
    return S_ISDIR(p->st.st_mode) ? -EISDIR : S_ISLNK(p->st.st_mode) ? -ELOOP : -EINVAL;
}

static int write_now(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                     struct batch_result *ret)
{
    struct place p;
    int r = place_check(a, c->path, &c->at, false, &p, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    if (p.there && !S_ISREG(p.st.st_mode))
        r = result_failed(ret, wrong_type(&p));
    else if (goes_in_place(c, &p))
        r = begin_in_place(a, c, &p, ret);
    else
        r = replace(a, c, &p, doubt, ret);
    place_done(&p);
    return r;
}

/* The new file may have the name. -EAGAIN: it has not, and all is as before. */
static int decide_place(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                        struct batch_result *ret)
{
    struct place p;
    struct stat gone = {.st_ino = doubt->ino, .st_mode = S_IFREG};
    int r = place_open(a, c->path, &p);

    if (r < 0)
        return result_failed(ret, r);
    r = temp_decide(a, &p, doubt);
    if (r == 0) /* what was replaced since is told as something that is not there any more */
        r = result_done(ret, p.there && p.st.st_ino == doubt->ino ? &p.st : &gone);
    else if (r > 0)
        r = result_conflict(ret, &p);
    if (r == 0 && (c->flags & BATCH_FSYNC_TOO))
        (void)place_sync(&p);
    place_done(&p);
    return r;
}

/* A new file that is not needed. */
static void drop_begun(struct apply *a, const struct batch_change *c)
{
    struct place p;

    if (place_open(a, c->path, &p) < 0)
        return;
    temp_drop(a, &p);
    place_done(&p);
}

int apply_write(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                struct batch_result *ret)
{
    int r;

    if (c->flags & BATCH_APPEND)
        return apply_append(a, c, doubt, ret);
    if (doubt->stage == INTENT_WRITE)
        return go_on_in_place(a, c, doubt, ret);
    if (doubt->stage == INTENT_PLACE || doubt->stage == INTENT_RETURN) {
        r = decide_place(a, c, doubt, ret);
        if (r != -EAGAIN)
            return r;
    }
    if (!a->closing) {
        r = write_now(a, c, doubt, ret);
        if (r == 0 && doubt->stage && ret->outcome != BATCH_DONE)
            drop_begun(a, c);
        return r;
    }
    drop_begun(a, c);
    return result_open(ret);
}
