/*
 * Bytes at the end of a file, once: each part is one write, and before it is written down how large
 * the file was. Whoever continues looks for the part behind that.
 */
#include "helper/apply_data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PART = 1 << 20, PAGE = 4096 };

/* As memmem, which would be an eightieth of the program: a sum that rolls along, so that what looks
 * alike everywhere takes no longer. */
static bool holds(const unsigned char *in, size_t len, const unsigned char *p, size_t n)
{
    const uint64_t base = 0x100000001b3;
    uint64_t want = 0, sum = 0, top = 1;

    if (n > len)
        return false;
    for (size_t i = 0; i < n; i++) {
        want = want * base + p[i];
        sum = sum * base + in[i];
        top *= base;
    }
    for (size_t at = 0; sum != want || memcmp(in + at, p, n) != 0; at++) {
        if (at + n == len)
            return false;
        sum = sum * base + in[at + n] - top * in[at];
    }
    return true;
}

/* How much of the part at p stands in the file behind size. */
static size_t find_part(int fd, uint64_t size, const char *p, size_t n)
{
    struct stat st;
    uint64_t len;
    char *file;
    size_t found = 0;

    if (fstat(fd, &st) < 0 || (uint64_t)st.st_size <= size)
        return 0;
    len = (uint64_t)st.st_size - size;
    if (len > 16 * PART) /* so much came from others meanwhile: ours is at the start of it */
        len = 16 * PART;
    file = malloc((size_t)len);
    if (!file || pread(fd, file, (size_t)len, (off_t)size) != (ssize_t)len)
        goto out;
    if (holds((unsigned char *)file, (size_t)len, (const unsigned char *)p, n)) {
        found = n;
        goto out;
    }
    /* A write that was killed stops between two pages. */
    while (found < n && found < len && file[found] == p[found])
        found++;
    if ((size + found) % PAGE != 0)
        found = 0;
out:
    free(file);
    return found;
}

static int write_part(struct apply *a, const struct place *p, int fd, uint64_t off,
                      const char *part, size_t n)
{
    struct intent intent = {.stage = INTENT_APPEND, .old_ino = p->st.st_ino, .off = off};
    struct stat st;
    int r = fstat(fd, &st) < 0 ? -errno : 0;

    intent.old_size = (uint64_t)st.st_size;
    if (r == 0)
        r = apply_intent(a, &intent);
    while (r == 0 && n > 0) {
        const ssize_t w = write(fd, part, n);

        if (w < 0 && errno != EINTR)
            r = -errno;
        if (w > 0) {
            part += w;
            n -= (size_t)w;
        }
    }
    apply_step();
    return r;
}

/* From off on. */
static int append_fd(struct apply *a, const struct batch_change *c, const struct place *p, int fd,
                     uint64_t off)
{
    const uint64_t total = data_total(c);
    const size_t room = total < PART ? (size_t)total : PART;
    char *part = malloc(room + 1);
    int r = part ? 0 : -ENOMEM;

    while (r == 0 && off < total) {
        const size_t n = total - off < room ? (size_t)(total - off) : room;

        r = data_gather(a, c, off, part, n);
        if (r == 0)
            r = write_part(a, p, fd, off, part, n);
        off += n;
    }
    free(part);
    return r;
}

/* What was begun: off is moved behind what is there. */
static int find_begun(struct apply *a, const struct batch_change *c, int fd,
                      const struct intent *doubt, uint64_t *off)
{
    const uint64_t total = data_total(c);
    const uint64_t left = total > doubt->off ? total - doubt->off : 0;
    const size_t n = left < PART ? (size_t)left : PART;
    char *part = malloc(n + 1);
    int r = part ? data_gather(a, c, doubt->off, part, n) : -ENOMEM;

    if (r == 0)
        *off = doubt->off + (n > 0 ? find_part(fd, doubt->old_size, part, n) : 0);
    free(part);
    return r;
}

static int finish(const struct batch_change *c, const struct place *p, int fd,
                  struct batch_result *ret)
{
    struct stat st;
    int r;

    if (fstat(fd, &st) < 0)
        return -errno;
    r = attr_set_fd(fd, &st, c);
    if (r < 0)
        return result_failed(ret, r);
    if ((c->flags & BATCH_FSYNC_TOO) && fsync(fd) < 0)
        return result_failed(ret, -errno);
    if (c->flags & BATCH_FSYNC_TOO)
        (void)place_sync(&(struct place){.dir = p->dir, .name = p->name});
    if (fstat(fd, &st) < 0)
        return -errno;
    (void)result_done(ret, &st);
    result_born(ret, fd, "");
    return 0;
}

bool append_is_there(struct apply *a, const struct batch_change *c, int fd, uint64_t size)
{
    const uint64_t total = data_total(c);
    const struct intent then = {.old_size = size - total};
    uint64_t off = 0;

    return size != BATCH_ALL && find_begun(a, c, fd, &then, &off) == 0 && off >= total;
}

static int append_to(struct apply *a, const struct batch_change *c, struct place *p,
                     const struct intent *doubt, struct batch_result *ret)
{
    const bool make = !p->there && c->at.means <= BATCH_ABSENT;
    const int flags = O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    struct intent intent = *doubt;
    struct batch_change made = *c;
    uint64_t off = 0;
    struct stat st;
    int fd, r;

    if (!p->there && !make)
        return result_conflict(ret, p);
    if (p->there && !S_ISREG(p->st.st_mode))
        return result_failed(ret, S_ISDIR(p->st.st_mode)   ? -EISDIR
                                  : S_ISLNK(p->st.st_mode) ? -ELOOP
                                                           : -EINVAL);
    if (doubt->stage == 0 && p->there)
        intent = (struct intent){
            .stage = INTENT_APPEND, .old_ino = p->st.st_ino, .old_size = (uint64_t)p->st.st_size};
    fd = data_open(a, p, flags | (make ? O_CREAT : 0), c->set & BATCH_SET_MODE ? c->mode : 0644,
                   &intent);
    if (fd < 0)
        return fd == -EAGAIN ? fd : result_failed(ret, fd);
    r = fstat(fd, &st) < 0 ? -errno : 0;
    p->st = st;
    if (!make)
        made.set &= ~(unsigned)BATCH_SET_MODE;
    if (r == 0 && doubt->stage == INTENT_APPEND && doubt->old_ino == st.st_ino)
        r = find_begun(a, c, fd, doubt, &off);
    if (r == 0)
        r = data_reserve(c, fd, (uint64_t)st.st_size);
    if (r == 0)
        r = append_fd(a, c, p, fd, off);
    if (r == 0)
        r = finish(&made, p, fd, ret);
    else if (!is_about_the_batch(r))
        r = result_failed(ret, r);
    if (r == 0 && ret->outcome == BATCH_DONE && !make && doubt->stage == 0)
        result_other(ret, &st);
    close(fd);
    return r;
}

int apply_append(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                 struct batch_result *ret)
{
    struct place p;
    int r;

    if (a->closing && doubt->stage == 0)
        return result_open(ret);
    r = place_open(a, c->path, &p);
    if (r < 0)
        return result_failed(ret, r);
    r = append_to(a, c, &p, doubt, ret);
    place_done(&p);
    return r;
}
