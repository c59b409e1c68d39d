/* A batch as it came, and the blobs it speaks of. */
#include "helper/apply.h"

#include "util/crc32c.h"
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void message_done(struct message *m)
{
    if (m->blob_open > 0)
        close(m->blob_fd);
    buf_done(&m->raw);
    free(m->blobs);
    free(m->good);
    batch_changes_done(&m->changes);
    *m = (struct message){0};
}

static int take_head(struct message *m, const struct proto_frame *f)
{
    int r = batch_get_head(f, &m->head);

    if (r < 0)
        return r;
    m->blobs = calloc(m->head.blob_count + 1, sizeof(*m->blobs));
    m->good = calloc(m->head.blob_count + 1, sizeof(*m->good));
    if (!m->blobs || !m->good)
        return -ENOMEM;
    for (size_t i = 0; i < m->head.blob_count; i++)
        (void)batch_get_blob(&m->head.blobs, &m->blobs[i]); /* were looked at */
    return 0;
}

static int take_frame(struct message *m, const struct proto_frame *f)
{
    switch ((int)f->kind) {
    case PROTO_BATCH:
        return m->blobs ? -EBADMSG : take_head(m, f);
    case PROTO_BATCH_CHANGES: /* all in one: no more of them fit into a batch */
        if (m->changes.in.p)
            return -EBADMSG;
        m->changes.in = proto_in_frame(f);
        return 0;
    case PROTO_BATCH_DATA:
        if (m->data || f->len != m->head.data_len)
            return -EBADMSG;
        m->data = (const char *)f->body;
        return 0;
    default:
        return -EBADMSG;
    }
}

static bool is_whole(const struct message *m, const struct proto_end *end)
{
    if (!m->blobs)
        return false;
    if (!(m->head.flags & BATCH_WHOLE))
        return !m->changes.in.p && !m->data && end->entries == 0;
    return m->changes.in.p && end->entries == m->head.count && !m->data == !m->head.data_len;
}

int message_take(struct message *m, struct buf *raw)
{
    struct proto_frame f;
    struct proto_end end;
    size_t at = 0;

    m->raw = *raw;
    *raw = (struct buf){.max = raw->max};
    while (at < m->raw.len) {
        const ssize_t n = proto_get_frame((uint8_t *)m->raw.data + at, m->raw.len - at, &f);
        int r;

        if (n <= 0)
            return -EBADMSG;
        at += (size_t)n;
        if (f.kind == PROTO_END)
            return proto_get_end(&f, &end) == 0 && at == m->raw.len && is_whole(m, &end) ? 0
                                                                                         : -EBADMSG;
        r = take_frame(m, &f);
        if (r < 0)
            return r;
    }
    return -EBADMSG;
}

int message_next(struct message *m, struct batch_change *ret)
{
    return batch_get_change(&m->changes, ret);
}

int message_read(int dir, const char *name, struct buf *ret_raw)
{
    const int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int r = fd < 0 ? -errno : io_read_rest(fd, ret_raw);

    if (fd >= 0)
        close(fd);
    return r == -ENOENT ? -ENODATA : r;
}

int message_save(const struct message *m, int dir)
{
    const int fd =
        openat(dir, "batch.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    size_t done = 0;
    int r = fd < 0 ? -errno : 0;

    while (r == 0 && done < m->raw.len) {
        const ssize_t n = write(fd, m->raw.data + done, m->raw.len - done);

        if (n < 0 && errno == ENOSPC && spare_free(dir))
            continue;
        if (n < 0 && errno != EINTR)
            r = -errno;
        if (n > 0)
            done += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    if (r == 0 && renameat(dir, "batch.new", dir, "batch") < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir, "batch.new", 0);
    return r;
}

/* ---- blobs ---- */

static int blob_open(const struct message *m, int folder, size_t blob)
{
    const struct batch_blob *b = &m->blobs[blob - 1];
    struct stat st;
    const int fd = openat(folder, b->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? -ENODATA : -errno;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != b->len) {
        close(fd);
        return -ENODATA;
    }
    return fd;
}

static bool checksum_fits(int fd, const struct batch_blob *b)
{
    char chunk[64 << 10];
    uint64_t off = 0;
    uint32_t crc = 0;

    while (off < b->len) {
        const ssize_t n = pread(fd, chunk, sizeof(chunk), (off_t)off);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        crc = crc32c(crc, chunk, (size_t)n);
        off += (uint64_t)n;
    }
    return off == b->len && crc == b->crc;
}

int message_blob(struct message *m, int folder, size_t blob)
{
    int fd;

    if (blob == 0 || blob > m->head.blob_count)
        return -EBADMSG;
    if (m->blob_open == blob)
        return m->blob_fd;
    if (m->blob_open > 0)
        close(m->blob_fd);
    m->blob_open = 0;
    fd = blob_open(m, folder, blob);
    if (fd < 0)
        return fd;
    if (!m->good[blob - 1] && !checksum_fits(fd, &m->blobs[blob - 1])) {
        close(fd);
        return -ENODATA;
    }
    m->good[blob - 1] = true;
    m->blob_fd = fd;
    m->blob_open = blob;
    return fd;
}

int message_blobs_there(const struct message *m, int folder)
{
    for (size_t i = 1; i <= m->head.blob_count; i++) {
        int fd;

        if (m->blobs[i - 1].len == 0) /* it only goes */
            continue;
        fd = blob_open(m, folder, i);
        if (fd < 0)
            return fd;
        close(fd);
    }
    return 0;
}

/* To free what is much takes a while, for which nobody who has the answer need wait. */
void message_drop_blobs(const struct message *m, int folder, int root)
{
    enum { MUCH = 32 << 20 };
    uint64_t bytes = 0;
    pid_t child = -1;

    for (size_t i = 0; i < m->head.blob_count; i++)
        bytes += m->blobs[i].len;
    if (bytes > MUCH)
        child = fork();
    if (child > 0)
        return;
    for (int fd = 0; child == 0 && fd <= STDERR_FILENO; fd++)
        close(fd);
    for (size_t i = 0; i < m->head.blob_count; i++)
        joined_drop(folder, root, m->blobs[i].name);
    if (child == 0)
        _exit(0);
}
