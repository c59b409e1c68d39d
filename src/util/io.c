#include "util/io.h"

#include <errno.h>
#include <unistd.h>

int io_write(int fd, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        const ssize_t put = write(fd, (const char *)p + done, n - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        done += (size_t)put;
    }
    return 0;
}

int io_pwrite(int fd, const void *p, size_t n, uint64_t off)
{
    for (size_t done = 0; done < n;) {
        const ssize_t put = pwrite(fd, (const char *)p + done, n - done, (off_t)(off + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? -errno : -EIO;
        done += (size_t)put;
    }
    return 0;
}

int io_pread(int fd, void *p, size_t n, uint64_t off)
{
    for (size_t done = 0; done < n;) {
        const ssize_t got = pread(fd, (char *)p + done, n - done, (off_t)(off + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EBADMSG;
        done += (size_t)got;
    }
    return 0;
}

int io_read_rest(int fd, struct buf *out)
{
    char chunk[16 << 10];

    for (;;) {
        const ssize_t got = read(fd, chunk, sizeof(chunk));
        int r;

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        r = buf_append(out, chunk, (size_t)got);
        if (r < 0)
            return r;
    }
}

/* Within one file system the kernel does it. It refuses some files, and of others says that there
 * is nothing in them: what read(2) says counts. */
int io_copy(int from, int to)
{
    char chunk[64 << 10];
    ssize_t n;

    do {
        n = copy_file_range(from, NULL, to, NULL, 64 << 20, 0);
    } while (n > 0 || (n < 0 && errno == EINTR));
    for (;;) {
        int r;

        n = read(from, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        r = io_write(to, chunk, (size_t)n);
        if (r < 0)
            return r;
    }
}
