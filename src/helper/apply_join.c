/*
 * A large file, put together of staged blobs ahead of the batch that gives it its name: with no
 * lock held, so that nobody's changes wait for it. The batch names it with a seal, which says that
 * it is what it was when that was told: the same file, untouched since, and in memory or on the
 * disk as one start of the sandbox left it. If it is not, the batch has the blobs all the same.
 *
 * It grows in the folder, as NAME, while blobs still arrive. From there nothing can be renamed to
 * another mount: where the file is to be on one, it is made beside it, once all is there, so that
 * it is not seen for longer than it takes; NAME is then a link that says where it is.
 */
#include "helper/apply_data.h"

#include "helper/folder.h"
#include "helper/text.h"
#include "helper/verbs.h"
#include "util/clock.h"
#include "util/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define BESIDE ".daytonafs-00000000-" /* clients hide it */

/* Never 0. */
static uint64_t seal_of(const struct stat *st)
{
    struct {
        char start[START_NAME];
        uint64_t v[5];
    } what = {.v = {st->st_dev, st->st_ino, (uint64_t)st->st_size,
                    (uint64_t)timespec_to_ns(st->st_mtim), (uint64_t)timespec_to_ns(st->st_ctim)}};
    uint8_t sum[SHA256_BYTES];
    uint64_t seal;

    start_name(-1, what.start);
    sha256(&what, sizeof(what), sum);
    memcpy(&seal, sum, sizeof(seal));
    return seal | 1;
}

/* ---- where it is ---- */

void joined_done(struct joined *j)
{
    if (j->fd >= 0)
        close(j->fd);
    if (j->beside && j->dir >= 0)
        close(j->dir);
}

static void find(int folder, int root, const char *name, struct joined *ret)
{
    const ssize_t n = readlinkat(folder, name, ret->path, sizeof(ret->path) - 1);

    ret->path[n > 0 ? n : 0] = '\0';
    ret->fd = -1;
    ret->dir = folder;
    ret->name = name;
    ret->beside = n > 0;
    if (!ret->beside)
        return;
    ret->dir = ret->path[0] == '/' ? walk_parent(root, ret->path + 1, &ret->name) : -1;
    if (ret->dir >= 0 && strncmp(ret->name, BESIDE, strlen(BESIDE)) != 0) {
        close(ret->dir);
        ret->dir = -1;
    }
}

void joined_drop(int folder, int root, const char *name)
{
    struct joined j;

    find(folder, root, name, &j);
    if (j.beside && j.dir >= 0)
        (void)unlinkat(j.dir, j.name, 0);
    joined_done(&j);
    (void)unlinkat(folder, name, 0); /* those that stay are swept */
}

bool joined_is_idle(int folder, int root, const char *name, time_t since)
{
    struct joined j;
    struct stat st;
    bool is;

    find(folder, root, name, &j);
    is = j.beside && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         st.st_mtim.tv_sec < since &&
         (j.dir < 0 || fstatat(j.dir, j.name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
          st.st_mtim.tv_sec < since);
    joined_done(&j);
    return is;
}

/* The lock is given up with the descriptor: a copy of a request that came late may be at work. */
static int open_sealed(struct joined *j, uint64_t seal, struct stat *st)
{
    const int made = seal ? 0 : O_CREAT | O_EXCL;

    if (j->dir < 0)
        return -ESTALE;
    j->fd = openat(j->dir, j->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | made, 0600);
    if (j->fd < 0) /* EWOULDBLOCK: somebody has a lease on it, and must not have touched it */
        return errno == ENOENT || errno == EEXIST || errno == ELOOP || errno == EWOULDBLOCK
                   ? -ESTALE
                   : -errno;
    return flock(j->fd, LOCK_EX | LOCK_NB) == 0 && fstat(j->fd, st) == 0 && S_ISREG(st->st_mode) &&
                   (!seal || seal_of(st) == seal)
               ? 0
               : -ESTALE;
}

static const struct batch_joined *named(const struct message *m, uint64_t change)
{
    for (size_t i = 0; i < m->head.joined_count; i++)
        if (m->head.joined[i].change == change)
            return &m->head.joined[i];
    return NULL;
}

bool joined_open(const struct apply *a, uint64_t size, bool beside, struct joined *ret,
                 struct stat *st)
{
    const struct message *m = &a->message;
    const struct batch_joined *j = named(m, a->record.settled);

    if (!j || j->seal == 0)
        return false;
    find(a->folder, a->root, m->blobs[j->blob - 1].name, ret);
    if (ret->beside == beside && open_sealed(ret, j->seal, st) == 0 && st->st_nlink == 1 &&
        (uint64_t)st->st_size == size)
        return true;
    joined_done(ret);
    return false;
}

/* ---- the request ---- */

/* Where it is to be: in *j, which is of NAME; and the link is made. */
static int go_beside(const struct apply *a, const struct batch_change *c, const char *name,
                     struct joined *j)
{
    const char *const slash = strrchr(c->path, '/');

    if (c->size == BATCH_ALL)
        return -EXDEV;
    if (text_make(j->path, sizeof(j->path), "%s", c->path) >= sizeof(j->path) - 64)
        return -ENAMETOOLONG;
    text_make(j->path + (slash + 1 - c->path), 64, BESIDE "%s", name);
    if (symlinkat(j->path, a->folder, name) < 0)
        return errno == EEXIST ? -ESTALE : -errno;
    find(a->folder, a->root, name, j);
    return 0;
}

static int begin(struct apply *a, const struct batch_change *c, const char *name, struct joined *j)
{
    struct place p;
    bool apart;
    int r = place_open(a, c->path, &p);

    if (r < 0)
        return r;
    apart = temp_goes_beside(a, &p);
    place_done(&p);
    return apart ? go_beside(a, c, name, j) : 0;
}

static int add_pieces(struct apply *a, const struct batch_change *c, int fd, struct stat *st)
{
    const struct shape s = shape_of(c, 0);
    uint64_t off = (uint64_t)st->st_size;
    int r;

    apply_step();
    r = s.size < off ? -EINVAL : data_build(a, c, &s, -1, fd, &off);
    apply_step();
    /* Some file systems begin to write what takes another's name when it does. */
    (void)sync_file_range(fd, st->st_size, 0, SYNC_FILE_RANGE_WRITE);
    if (r == 0 && (c->flags & BATCH_FSYNC_TOO) && fsync(fd) < 0)
        r = -errno;
    return fstat(fd, st) < 0 ? -errno : r;
}

static int grow(struct apply *a, const struct batch_change *c, struct stat *st)
{
    const struct message *m = &a->message;
    const struct batch_joined *named_by = named(m, 0);
    struct joined j;
    int r = 0;

    if (!named_by || c->kind != BATCH_WRITE || c->keep != 0 || (c->flags & BATCH_APPEND))
        return -EINVAL;
    find(a->folder, a->root, m->blobs[named_by->blob - 1].name, &j);
    if (named_by->seal == 0)
        r = j.beside ? -ESTALE : begin(a, c, j.name, &j);
    if (r == 0)
        r = open_sealed(&j, named_by->seal, st);
    if (r == 0)
        r = add_pieces(a, c, j.fd, st);
    joined_done(&j);
    return r;
}

int apply_join(struct emit *e, struct apply *a, bool *ret_more)
{
    struct batch_change c;
    struct stat st;
    int r = message_next(&a->message, &c) == 1 ? grow(a, &c, &st) : -EINVAL;

    if (r < 0 && r != -EAGAIN)
        return r == -EBADMSG ? -EINVAL : r;
    *ret_more = r == -EAGAIN;
    EMIT(e, batch_put_state,
         (&(struct batch_state){
             .settled = (uint64_t)st.st_size, .number = seal_of(&st), .now_ns = clock_real_ns()}));
    return 0;
}
