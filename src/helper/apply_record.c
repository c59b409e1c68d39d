/*
 * The record: frames as on the wire, of these kinds, one after the other.
 *
 *   HEAD    number, count, renew, digest
 *   INTENT  stage, beside, ino, off, old_ino, old_size, old_mtime_ns and when_ns (signed)
 *   RESULT  struct batch_result; of the first change that has none yet
 *   CLOSED  nothing more will be done
 *
 * It is appended to with one write a frame. What does not read well at its end was not all written:
 * it counts as not there, and the next frame goes over it.
 */
#include "helper/apply.h"

#include "util/clock.h"
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_HEAD = 1, RECORD_INTENT = 2, RECORD_RESULT = 3, RECORD_CLOSED = 4 };
enum { RECORD_MAX = 16 << 20, SPARE = 1 << 20 };

void record_done(struct record *r)
{
    if (r->fd >= 0)
        close(r->fd);
    if (r->dir >= 0)
        close(r->dir);
    free(r->results);
    *r = (struct record){.dir = -1, .fd = -1};
}

bool record_finished(const struct record *r)
{
    return r->number > 0 && (r->closed || r->settled == r->count);
}

/* ---- reading ---- */

static uint8_t *take_digest(struct proto_in *in)
{
    uint8_t *p = (uint8_t *)in->p;

    if (in->end - in->p < BATCH_DIGEST)
        return NULL;
    in->p += BATCH_DIGEST;
    return p;
}

static bool take_head(struct record *r, struct proto_in *in)
{
    const uint64_t number = proto_get_uint(in), count = proto_get_uint(in);
    const uint64_t renew = proto_get_uint(in);
    const uint8_t *digest = take_digest(in);

    if (!digest || in->bad || number == 0 || count == 0 || count > BATCH_CHANGES_MAX)
        return false;
    r->results = calloc(count, sizeof(*r->results));
    if (!r->results)
        return false;
    r->number = number;
    r->count = count;
    r->renew = renew;
    memcpy(r->digest, digest, BATCH_DIGEST);
    return true;
}

static bool take_intent(struct record *r, struct proto_in *in)
{
    struct intent i = {.stage = (enum intent_stage)proto_get_uint(in)};

    i.beside = proto_get_uint(in);
    i.ino = proto_get_uint(in);
    i.off = proto_get_uint(in);
    i.old_ino = proto_get_uint(in);
    i.old_size = proto_get_uint(in);
    i.old_mtime_ns = proto_get_int(in);
    i.when_ns = proto_get_int(in);
    if (in->bad)
        return false;
    r->doubt = i;
    return true;
}

static bool take_frame(struct record *r, const struct proto_frame *f)
{
    struct proto_in in = proto_in_frame(f);

    if (((int)f->kind == RECORD_HEAD) != (r->number == 0))
        return false;
    switch ((int)f->kind) {
    case RECORD_HEAD:
        return take_head(r, &in);
    case RECORD_INTENT:
        return take_intent(r, &in);
    case RECORD_RESULT:
        if (r->settled == r->count || !batch_get_result(&in, &r->results[r->settled]))
            return false;
        r->settled++;
        r->doubt = (struct intent){0};
        return true;
    case RECORD_CLOSED:
        r->closed = true;
        return true;
    default:
        return false;
    }
}

int record_load(struct record *r)
{
    struct buf all = BUF_INIT(RECORD_MAX);
    struct proto_frame f;
    size_t at = 0;
    int err;

    r->fd = openat(r->dir, "record", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (r->fd < 0)
        return errno == ENOENT ? 0 : -errno;
    err = io_read_rest(r->fd, &all);
    while (err == 0 && at < all.len) {
        const ssize_t n = proto_get_frame((uint8_t *)all.data + at, all.len - at, &f);

        if (n <= 0 || !take_frame(r, &f))
            break;
        at += (size_t)n;
    }
    if (err == 0 && at < all.len && ftruncate(r->fd, (off_t)at) < 0)
        err = -errno;
    if (err == 0 && lseek(r->fd, (off_t)at, SEEK_SET) < 0)
        err = -errno;
    buf_done(&all);
    return err;
}

/* ---- writing ---- */

bool spare_free(int dir)
{
    const int err = errno; /* why that was asked */
    const bool had = unlinkat(dir, "spare", 0) == 0;

    errno = err;
    return had;
}

void spare_make(int dir)
{
    const int fd = openat(dir, "spare", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return;
    (void)fallocate(fd, 0, 0, SPARE); /* without it there is none; nothing else changes */
    close(fd);
}

static int write_frame(struct record *r, int fd, const struct buf *frame)
{
    const off_t at = lseek(fd, 0, SEEK_CUR);
    size_t done = 0;

    while (done < frame->len) {
        const ssize_t n = write(fd, frame->data + done, frame->len - done);

        if (n < 0 && errno == ENOSPC && spare_free(r->dir))
            continue;
        if (n < 0 && errno != EINTR) {
            const int err = -errno;

            if (ftruncate(fd, at) == 0) /* else it reads as torn */
                (void)lseek(fd, at, SEEK_SET);
            return err;
        }
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

static int append(struct record *r, int fd, int kind, const struct buf *body)
{
    struct buf frame = BUF_INIT(PROTO_BODY_MAX);
    int err = proto_put_frame(&frame, (enum proto_kind)kind, body);

    if (err == 0)
        err = write_frame(r, fd, &frame);
    buf_done(&frame);
    return err;
}

int record_begin(struct record *r, const struct batch_head *head)
{
    struct record next = {.dir = r->dir, .fd = -1};
    struct buf body = BUF_INIT(1024);
    int err = 0;

    next.results = calloc(head->count, sizeof(*next.results));
    next.number = head->number;
    next.count = head->count;
    next.renew = head->mode == BATCH_RENEW;
    memcpy(next.digest, head->digest, BATCH_DIGEST);
    if (!next.results || proto_put_uint(&body, next.number) < 0 ||
        proto_put_uint(&body, next.count) < 0 || proto_put_uint(&body, next.renew) < 0 ||
        buf_append(&body, next.digest, BATCH_DIGEST) < 0)
        err = -ENOMEM;
    if (err == 0) {
        next.fd =
            openat(r->dir, "record.new", O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        err = next.fd < 0 ? -errno : append(r, next.fd, RECORD_HEAD, &body);
    }
    apply_step();
    if (err == 0 && renameat(r->dir, "record.new", r->dir, "record") < 0)
        err = -errno;
    buf_done(&body);
    if (err < 0) {
        if (next.fd >= 0)
            close(next.fd);
        free(next.results);
        return err;
    }
    if (r->fd >= 0)
        close(r->fd);
    free(r->results);
    *r = next;
    apply_step();
    return 0;
}

int record_intent(struct record *r, const struct intent *i)
{
    const uint64_t v[] = {i->stage, i->beside, i->ino, i->off, i->old_ino, i->old_size};
    struct buf body = BUF_INIT(1024);
    int err = 0;

    apply_step();
    for (size_t k = 0; k < sizeof(v) / sizeof(*v) && err == 0; k++)
        err = proto_put_uint(&body, v[k]);
    if (err == 0)
        err = proto_put_int(&body, i->old_mtime_ns);
    if (err == 0)
        err = proto_put_int(&body, clock_real_ns());
    if (err == 0)
        err = append(r, r->fd, RECORD_INTENT, &body);
    buf_done(&body);
    apply_step();
    return err;
}

int record_result(struct record *r, const struct batch_result *result)
{
    struct buf body = BUF_INIT(1024);
    int err = batch_put_result(&body, result);

    apply_step();
    if (err == 0)
        err = append(r, r->fd, RECORD_RESULT, &body);
    if (err == 0) {
        r->results[r->settled++] = *result;
        r->doubt = (struct intent){0};
    }
    buf_done(&body);
    apply_step();
    return err;
}

int record_close(struct record *r)
{
    const struct buf nothing = BUF_INIT(0);
    const int err = append(r, r->fd, RECORD_CLOSED, &nothing);

    if (err == 0)
        r->closed = true;
    return err;
}

int record_sync(struct record *r)
{
    return fdatasync(r->fd) < 0 || fsync(r->dir) < 0 ? -errno : 0;
}
