/* Is what has a name what the change means? And how a change ended. */
#include "helper/apply.h"

#include "helper/mounts.h"
#include "helper/walk.h"
#include "util/clock.h"
#include "util/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct batch_attr attr_of(const struct stat *st)
{
    return (struct batch_attr){
        .dev = mounts_device(st->st_dev, 0),
        .ino = st->st_ino,
        .size = (uint64_t)st->st_size,
        .rdev = st->st_rdev,
        .mode = st->st_mode,
        .nlink = (uint32_t)st->st_nlink,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .mtime_ns = timespec_to_ns(st->st_mtim),
        .ctime_ns = timespec_to_ns(st->st_ctim),
    };
}

int result_done(struct batch_result *ret, const struct stat *st)
{
    *ret = (struct batch_result){.outcome = BATCH_DONE};
    if (st)
        ret->now = attr_of(st);
    return 0;
}

void result_born(struct batch_result *ret, int dir, const char *name)
{
    struct look attr;

    if (look_at(dir, name, &attr) < 0 || attr.birth_ns == INT64_MIN ||
        attr.st.st_ino != ret->now.ino)
        return;
    ret->now.has_birth = true;
    ret->now.birth_ns = attr.birth_ns;
}

int other_open(const struct place *p)
{
    struct stat st;
    int fd;

    if (!p->there || S_ISDIR(p->st.st_mode) || p->st.st_nlink < 2)
        return -1;
    fd = openat(p->dir, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_ino != p->st.st_ino)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void result_other(struct batch_result *ret, const struct stat *st)
{
    ret->other = attr_of(st);
}

void other_tell(int fd, struct batch_result *ret)
{
    struct stat st;

    if (fd < 0)
        return;
    if (ret->outcome == BATCH_DONE && fstat(fd, &st) == 0 && st.st_nlink > 0)
        result_other(ret, &st);
    close(fd);
}

int result_failed(struct batch_result *ret, int err)
{
    *ret = (struct batch_result){.outcome = BATCH_FAILED, .err = err};
    return 0;
}

int result_conflict(struct batch_result *ret, const struct place *p)
{
    *ret = (struct batch_result){.outcome = BATCH_CONFLICT, .err = -EBUSY};
    if (p && p->there)
        ret->now = attr_of(&p->st);
    return 0;
}

int result_open(struct batch_result *ret)
{
    *ret = (struct batch_result){.outcome = BATCH_OPEN};
    return 0;
}

/* ---- places ---- */

void place_done(struct place *p)
{
    if (p->dir >= 0)
        close(p->dir);
    p->dir = -1;
}

int place_look(struct place *p)
{
    p->there = fstatat(p->dir, p->name, &p->st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0;
    return p->there || errno == ENOENT ? 0 : -errno;
}

int place_open(struct apply *a, const char *path, struct place *ret)
{
    int r;

    *ret = (struct place){.name = "."};
    ret->dir = path[1] ? walk_parent(a->root, path + 1, &ret->name)
                       : openat(a->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (ret->dir < 0)
        return path[1] ? ret->dir : -errno;
    r = place_look(ret);
    if (r < 0)
        place_done(ret);
    return r;
}

/* ---- objects ---- */

bool stat_is_same(const struct stat *a, uint64_t ino, uint64_t size, int64_t mtime_ns)
{
    return a->st_ino == ino && (uint64_t)a->st_size == size &&
           timespec_to_ns(a->st_mtim) == mtime_ns;
}

bool file_has_hash(int dir, const char *name, const struct stat *st, const uint8_t hash[BATCH_HASH])
{
    const int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat after;
    bool same =
        fd >= 0 && fstat(fd, &after) == 0 && after.st_ino == st->st_ino && S_ISREG(after.st_mode);
    uint8_t sum[SHA256_BYTES];

    same = same && sha256_fd(fd, (uint64_t)st->st_size, sum) == 0 && fstat(fd, &after) == 0 &&
           stat_is_same(&after, st->st_ino, (uint64_t)st->st_size, timespec_to_ns(st->st_mtim)) &&
           memcmp(sum, hash, sizeof(sum)) == 0;
    if (fd >= 0)
        close(fd);
    return same;
}

bool place_is(const struct place *p, uint64_t ino, uint32_t birth)
{
    struct look now;

    if (!p->there || p->st.st_ino != ino)
        return false;
    return birth == 0 || look_at(p->dir, p->name, &now) < 0 || now.st.st_ino != ino ||
           now.birth_ns == INT64_MIN || proto_birth(now.birth_ns) == birth;
}

/* A directory is the same as long as it is the same one: its times move with every name in it. */
static bool is_version(const struct place *p, const struct batch_object *o)
{
    const struct stat *st = &p->st;

    if (st->st_ino == o->ino && S_ISDIR(st->st_mode))
        return true;
    if (stat_is_same(st, o->ino, o->size, o->mtime_ns) &&
        (o->ctime_ns == 0 || timespec_to_ns(st->st_ctim) == o->ctime_ns) &&
        place_is(p, o->ino, o->birth))
        return true;
    return o->hash && S_ISREG(st->st_mode) && (uint64_t)st->st_size == o->size &&
           file_has_hash(p->dir, p->name, st, o->hash);
}

/* Its ctime may have moved: by the link it got, or the other name it lost. */
static bool is_left(const struct place *p, const struct batch_attr *left)
{
    return p->st.st_ino == left->ino &&
           (S_ISDIR(p->st.st_mode) || stat_is_same(&p->st, left->ino, left->size, left->mtime_ns));
}

static bool is_one_of_several(const struct place *p, uint64_t ino, uint32_t birth)
{
    return p->st.st_nlink > 1 && place_is(p, ino, birth);
}

static uint32_t birth_of(const struct batch_attr *a)
{
    return a->has_birth ? proto_birth(a->birth_ns) : 0;
}

static enum found find(const struct apply *a, const struct batch_object *o, bool name,
                       const struct place *p)
{
    const struct batch_result *left;
    bool same = false;

    switch (o->means) {
    case BATCH_ANY:
        return FOUND_IT;
    case BATCH_ABSENT:
        return p->there ? FOUND_OTHER : FOUND_IT;
    case BATCH_SAME:
        same = place_is(p, o->ino, o->birth);
        break;
    case BATCH_VERSION:
        same = p->there && (is_version(p, o) || (name && is_one_of_several(p, o->ino, o->birth)));
        break;
    case BATCH_LEFT_BY:
        left = &a->record.results[o->change];
        if (left->outcome != BATCH_DONE)
            return FOUND_POISON;
        if (p->there)
            same = left->now.mode != 0 &&
                   (is_left(p, &left->now) ||
                    (name && is_one_of_several(p, left->now.ino, birth_of(&left->now))));
        else
            same = left->now.mode == 0;
        break;
    }
    return same ? FOUND_IT : FOUND_OTHER;
}

int place_check(struct apply *a, const char *path, const struct batch_object *o, bool name,
                struct place *p, struct batch_result *ret)
{
    const bool expected = o->means >= BATCH_SAME;
    const int r = place_open(a, path, p);

    if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
        return r;
    if (r < 0) {
        /* The way there is gone, or leads elsewhere: so is what was meant. */
        if (expected && (r == -ENOENT || r == -ENOTDIR || r == -ELOOP))
            (void)result_conflict(ret, NULL);
        else
            (void)result_failed(ret, r);
        return 1;
    }
    switch (find(a, o, name, p)) {
    case FOUND_IT:
        return 0;
    case FOUND_OTHER:
        (void)result_conflict(ret, p);
        break;
    case FOUND_POISON:
        *ret = (struct batch_result){.outcome = BATCH_POISONED, .err = -ECANCELED};
        break;
    }
    place_done(p);
    return 1;
}
