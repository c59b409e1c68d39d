#include "fuse/mappable.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef FUSE_CAP_DIRECT_IO_ALLOW_MMAP

int mappable_mounted(struct session *s)
{
    return 0;
}

void mappable_init(struct session *s, struct fuse_conn_info *conn)
{
    conn->want |= conn->capable & FUSE_CAP_DIRECT_IO_ALLOW_MMAP;
}

#elif FUSE_VERSION >= FUSE_MAKE_VERSION(3, 13)

/* As in newer headers of Linux; one that does not know it ignores it. */
#define FLAGS2_DIRECT_IO_ALLOW_MMAP (1U << (36 - 32))

/* The answer to INIT is the first with a number, as nothing else is asked before. */
static bool is_init_reply(struct session *s, const struct iovec *iov, int count)
{
    const struct fuse_out_header *head = iov[0].iov_base;

    return atomic_load(&s->initializing) && count == 2 && iov[0].iov_len == sizeof(*head) &&
           head->unique != 0 && iov[1].iov_len == sizeof(struct fuse_init_out);
}

static ssize_t reply(int fd, struct iovec *iov, int count, void *userdata)
{
    struct session *s = userdata;
    struct fuse_init_out out;
    struct iovec with[2];

    if (!is_init_reply(s, iov, count))
        return writev(fd, iov, count);
    atomic_store(&s->initializing, false);
    memcpy(&out, iov[1].iov_base, sizeof(out));
    out.flags |= FUSE_INIT_EXT;
    out.flags2 |= FLAGS2_DIRECT_IO_ALLOW_MMAP;
    with[0] = iov[0];
    with[1] = (struct iovec){.iov_base = &out, .iov_len = sizeof(out)};
    return writev(fd, with, 2);
}

static ssize_t receive(int fd, void *buf, size_t len, void *userdata)
{
    return read(fd, buf, len);
}

static ssize_t splice_in(int in, off_t *in_off, int out, off_t *out_off, size_t len, unsigned flags,
                         void *userdata)
{
    return splice(in, in_off, out, out_off, len, flags);
}

int mappable_mounted(struct session *s)
{
    const struct fuse_custom_io io = {
        .writev = reply, .read = receive, .splice_receive = splice_in, .splice_send = splice_in};

    return fuse_session_custom_io(s->fuse, &io, fuse_session_fd(s->fuse));
}

void mappable_init(struct session *s, struct fuse_conn_info *conn)
{
    atomic_store(&s->initializing, true);
}

#else

int mappable_mounted(struct session *s)
{
    return 0;
}

void mappable_init(struct session *s, struct fuse_conn_info *conn)
{
}

#endif
