#include "helper/apply_data.h"

#include "helper/text.h"

#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CHUNK = 64 << 10, STEP = 4 << 20 }; /* how much is copied between two looks at the clock */

static char chunk[CHUNK];

bool is_about_the_batch(int r)
{
    return r == -EAGAIN || r == -EBADMSG || r == -ENODATA || r == -ENOMEM;
}

struct shape shape_of(const struct batch_change *c, uint64_t old_size)
{
    struct shape s = {.keep = c->keep < old_size ? c->keep : old_size};
    uint64_t covered = 0, end = 0;

    for (size_t i = 0; i < c->piece_count; i++) {
        const struct batch_piece *p = &c->pieces[i];

        end = p->off + p->len;
        s.bytes += p->len;
        if (p->off < s.keep)
            covered += end < s.keep ? p->len : s.keep - p->off;
    }
    s.size = c->size != BATCH_ALL ? c->size : end > old_size ? end : old_size;
    if (s.keep > s.size)
        s.keep = s.size;
    s.copied = s.keep > covered ? s.keep - covered : 0;
    return s;
}

uint64_t data_total(const struct batch_change *c)
{
    return c->piece_count > 0
               ? c->pieces[c->piece_count - 1].off + c->pieces[c->piece_count - 1].len
               : 0;
}

/* Through memory, where the kernel cannot do it alone. Moves *from and *to. */
static int copy_slowly(int in, off_t *from, int out, off_t *to, uint64_t len)
{
    while (len > 0) {
        const ssize_t n = pread(in, chunk, len < CHUNK ? len : CHUNK, *from);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ESTALE; /* it has become shorter */
        r = io_pwrite(out, chunk, (size_t)n, (uint64_t)*to);
        if (r < 0)
            return r;
        *from += n;
        *to += n;
        len -= (uint64_t)n;
    }
    return 0;
}

static int copy_range(struct apply *a, int in, uint64_t from, int out, uint64_t *to, uint64_t end)
{
    static bool missing;
    off_t in_at = (off_t)from, out_at = (off_t)*to;
    int r = 0;

    while (r == 0 && *to < end) {
        const uint64_t left = end - *to, want = left < STEP ? left : STEP;
        ssize_t n = -1;

        if (!missing)
            n = syscall(SYS_copy_file_range, in, &in_at, out, &out_at, want, 0);
        if (n < 0) {
            missing = missing || errno == ENOSYS || errno == EPERM;
            r = copy_slowly(in, &in_at, out, &out_at, want);
        } else if (n == 0) {
            r = copy_slowly(in, &in_at, out, &out_at, want); /* some say so of what they cannot */
        }
        *to = (uint64_t)out_at;
        if (r == 0 && *to < end && apply_late(a))
            r = -EAGAIN;
    }
    return r;
}

/* The bytes of a piece that are behind *off. */
static int put_piece(struct apply *a, const struct batch_piece *p, int fd, uint64_t *off)
{
    struct message *m = &a->message;
    const uint64_t skip = *off - p->off, end = p->off + p->len;
    const uint64_t have = p->blob == 0                    ? m->head.data_len
                          : p->blob <= m->head.blob_count ? m->blobs[p->blob - 1].len
                                                          : 0;
    int r;

    if (p->len > have || p->at > have - p->len)
        return -EBADMSG;
    if (p->blob > 0) {
        r = message_blob(m, a->folder, (size_t)p->blob);
        return r < 0 ? r : copy_range(a, r, p->at + skip, fd, off, end);
    }
    r = io_pwrite(fd, m->data + p->at + skip, (size_t)(p->len - skip), *off);
    if (r == 0)
        *off = end;
    return r;
}

/* What was there, up to end; what is a hole stays one. */
static int put_old(struct apply *a, int old, int fd, uint64_t *off, uint64_t end)
{
    int r = 0;

    while (r == 0 && *off < end) {
        const off_t data = lseek(old, (off_t)*off, SEEK_DATA);
        off_t hole;

        if (data < 0 && errno == ENXIO) /* nothing but a hole from here on */
            break;
        if (data >= 0 && (uint64_t)data >= end)
            break;
        hole = data < 0 ? -1 : lseek(old, data, SEEK_HOLE);
        if (data > 0 && (uint64_t)data > *off)
            *off = (uint64_t)data;
        r = copy_range(a, old, *off, fd, off,
                       hole > 0 && (uint64_t)hole < end ? (uint64_t)hole : end);
    }
    if (r == 0)
        *off = end;
    return r;
}

/* ---- opening ---- */

enum { LIFTED = 1 << 12, MODE_BITS = LIFTED - 1 };

/* Through its O_PATH descriptor, so that it is that file and no other. */
static int open_lifted(const struct place *p, int flags)
{
    const int path_fd = openat(p->dir, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    char path[32];
    struct stat st;
    int fd = -1;

    if (path_fd < 0)
        return -1;
    text_make(path, sizeof(path), "/proc/self/fd/%d", path_fd);
    if (fstat(path_fd, &st) == 0 && st.st_ino == p->st.st_ino &&
        chmod(path, (st.st_mode & MODE_BITS) | S_IRUSR | S_IWUSR) == 0) {
        apply_step();
        fd = open(path, flags & ~O_NOFOLLOW);
    }
    close(path_fd);
    return fd;
}

static int open_as_is(const struct place *p, int flags, mode_t made)
{
    const int fd = openat(p->dir, p->name, flags, made);

    if (fd >= 0 || errno != EACCES || (flags & O_ACCMODE) != O_RDWR)
        return fd;
    return openat(p->dir, p->name, (flags & ~O_ACCMODE) | O_WRONLY, made);
}

int data_open(struct apply *a, const struct place *p, int flags, mode_t made, struct intent *intent)
{
    int fd = open_as_is(p, flags, made), r;

    if (fd < 0 && errno == EACCES && p->there && S_ISREG(p->st.st_mode) &&
        p->st.st_uid == geteuid()) {
        intent->ino = LIFTED | (p->st.st_mode & MODE_BITS);
        r = apply_intent(a, intent);
        if (r < 0)
            return r;
        fd = open_lifted(p, flags);
    }
    if (fd < 0)
        return -errno;
    if (intent->ino & LIFTED)
        (void)fchmod(fd, intent->ino & MODE_BITS); /* it was ours to lift */
    return fd;
}

int data_build(struct apply *a, const struct batch_change *c, const struct shape *s, int old,
               int fd, uint64_t *off)
{
    int r = 0;

    for (size_t i = 0; i <= c->piece_count && r == 0; i++) {
        const struct batch_piece *p = i < c->piece_count ? &c->pieces[i] : NULL;
        const uint64_t gap_end = p ? p->off : s->size;
        const uint64_t kept_end = gap_end < s->keep ? gap_end : s->keep;

        if (*off < kept_end)
            r = put_old(a, old, fd, off, kept_end);
        if (r == 0 && *off < gap_end)
            *off = gap_end;
        if (r == 0 && p && *off < p->off + p->len)
            r = put_piece(a, p, fd, off);
    }
    if (r == 0 && ftruncate(fd, (off_t)s->size) < 0)
        r = -errno;
    return r;
}

int data_patch(struct apply *a, const struct batch_change *c, int fd, uint64_t *off)
{
    int r = 0;

    for (size_t i = 0; i < c->piece_count && r == 0; i++) {
        const struct batch_piece *p = &c->pieces[i];

        if (*off >= p->off + p->len)
            continue;
        if (*off < p->off)
            *off = p->off;
        r = put_piece(a, p, fd, off);
        apply_step();
    }
    return r;
}

int data_reserve(const struct batch_change *c, int fd, uint64_t base)
{
    for (size_t i = 0; i < c->piece_count; i++) {
        const struct batch_piece *p = &c->pieces[i];

        if (p->len > 0 &&
            fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)(base + p->off), (off_t)p->len) < 0 &&
            (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
            return -errno;
    }
    return 0;
}

int data_gather(struct apply *a, const struct batch_change *c, uint64_t off, char *out, size_t n)
{
    struct message *m = &a->message;

    memset(out, 0, n);
    for (size_t i = 0; i < c->piece_count; i++) {
        const struct batch_piece *p = &c->pieces[i];
        const uint64_t first = p->off > off ? p->off : off;
        const uint64_t end = p->off + p->len < off + n ? p->off + p->len : off + n;
        const uint64_t have = p->blob == 0                    ? m->head.data_len
                              : p->blob <= m->head.blob_count ? m->blobs[p->blob - 1].len
                                                              : 0;
        char *to = out + (first - off);

        if (first >= end)
            continue;
        if (p->len > have || p->at > have - p->len)
            return -EBADMSG;
        if (p->blob == 0) {
            memcpy(to, m->data + p->at + (first - p->off), (size_t)(end - first));
            continue;
        }
        const int fd = message_blob(m, a->folder, (size_t)p->blob);

        if (fd < 0)
            return fd;
        if (pread(fd, to, (size_t)(end - first), (off_t)(p->at + (first - p->off))) !=
            (ssize_t)(end - first))
            return -EIO;
    }
    return 0;
}

bool data_is_there(struct apply *a, const struct batch_change *c, const struct shape *s, int fd)
{
    char *want = malloc(CHUNK);
    struct stat st;
    bool same = want && fstat(fd, &st) == 0 && (uint64_t)st.st_size == s->size;

    for (size_t i = 0; i < c->piece_count && same; i++) {
        const struct batch_piece *p = &c->pieces[i];

        for (uint64_t done = 0; done < p->len && same;) {
            const size_t n = p->len - done < CHUNK ? (size_t)(p->len - done) : CHUNK;

            same = data_gather(a, c, p->off + done, want, n) == 0 &&
                   pread(fd, chunk, n, (off_t)(p->off + done)) == (ssize_t)n &&
                   memcmp(chunk, want, n) == 0;
            done += n;
        }
    }
    free(want);
    return same;
}
