/*
 * note.c - small things that outlive the process, beside the content that keeper.c keeps: a file
 * "note-NAME" each, of 8 bytes magic, 4 bytes crc32c of the rest (little-endian), and the rest.
 */
#include "cache/cache_internal.h"

#include "util/crc32c.h"
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_NAME "note.new"

enum { NAME_MAX_BYTES = 64, HEAD = 12 };

static const char magic[8] = "dtnote1";

static void put_head(uint8_t head[HEAD], const void *p, size_t n)
{
    const uint32_t crc = crc32c(0, p, n);

    memcpy(head, magic, sizeof(magic));
    for (int i = 0; i < 4; i++)
        head[8 + i] = (uint8_t)(crc >> 8 * i);
}

static int write_note(int fd, const void *p, size_t n)
{
    uint8_t head[HEAD];
    int r;

    put_head(head, p, n);
    r = io_pwrite(fd, head, HEAD, 0);
    return r < 0 ? r : io_pwrite(fd, p, n, HEAD);
}

int cache_note_put(struct cache *c, const char *name, const void *p, size_t n)
{
    char file[NAME_MAX_BYTES];
    int dir, fd, r;

    if (!c->keeper)
        return -ENOENT;
    if (n > CACHE_NOTE_MAX)
        return -EFBIG;
    snprintf(file, sizeof(file), "note-%s", name);
    dir = keeper_dir(c->keeper);
    fd = openat(dir, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    r = write_note(fd, p, n);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && renameat(dir, NEW_NAME, dir, file) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir, NEW_NAME, 0);
    return r;
}

static int read_note(int fd, struct buf *out)
{
    const size_t start = out->len;
    uint8_t head[HEAD], want[HEAD];
    struct stat st;
    size_t n;
    int r;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_size < HEAD ||
        st.st_size > HEAD + CACHE_NOTE_MAX)
        return -ENOENT;
    n = (size_t)st.st_size - HEAD;
    r = buf_reserve(out, n);
    if (r < 0)
        return r;
    if (io_pread(fd, head, HEAD, 0) < 0 || io_pread(fd, out->data + start, n, HEAD) < 0)
        return -ENOENT;
    out->len += n;
    out->data[out->len] = '\0';
    put_head(want, out->data + start, out->len - start);
    return memcmp(head, want, HEAD) == 0 ? 0 : -ENOENT;
}

int cache_note_get(struct cache *c, const char *name, struct buf *out)
{
    const size_t start = out->len;
    char file[NAME_MAX_BYTES];
    int fd, r;

    if (!c->keeper)
        return -ENOENT;
    snprintf(file, sizeof(file), "note-%s", name);
    fd = openat(keeper_dir(c->keeper), file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -ENOENT;
    r = read_note(fd, out);
    close(fd);
    if (r < 0)
        buf_truncate(out, start);
    return r;
}
