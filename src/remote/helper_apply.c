/*
 * Batches, on their way to the helper. A small one is one request, on the program's stdin; what is
 * larger goes into a file beside the helper first, as bytes. It may arrive twice, or be asked again
 * until it is finished: the helper keeps a record of what it did.
 */
#include "remote/helper_internal.h"

#include "remote/batch_wire.h"
#include "remote/plain_internal.h"
#include "util/base64.h"
#include "util/cancel.h"
#include "util/crc32c.h"

#include <daytona/files.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    INLINE_MAX = 384 << 10, /* bytes of frames on stdin: the data of a batch and some more */
    ANSWER_MAX = 4 << 20,
    MORE_S = 30,     /* the helper stops by itself long before */
    STILL_MAX = 100, /* answers in a row that tell of no change settled: one may be a large file */
};

/* ---- bytes into the helper's folder ---- */

struct source {
    const struct remote_stage *stage;
    uint64_t next; /* how far the checksum goes */
    uint32_t crc;
};

static ssize_t read_source(void *arg, uint64_t off, void *p, size_t n)
{
    struct source *s = arg;
    const ssize_t got = s->stage->read(s->stage->arg, off, p, n);

    if (off == 0) {
        s->crc = 0;
        s->next = 0;
    }
    if (got > 0 && off == s->next) {
        s->crc = crc32c(s->crc, p, (size_t)got);
        s->next += (uint64_t)got;
    }
    return got;
}

static int upload(struct helper *h, const char *name, struct source *s)
{
    char path[HELPER_DIR_MAX + REMOTE_BLOB_NAME + 2];
    const struct daytona_upload up = {
        .path = path,
        .fd = -1,
        .len = s->stage->len,
        .read = read_source,
        .read_arg = s,
        .background = s->stage->background,
    };
    int r;

    lock_take(&h->lock);
    snprintf(path, sizeof(path), "%s/%s", h->dir, name);
    lock_drop(&h->lock);
    r = daytona_files_upload_many(h->sandbox, &up, 1, NULL);
    if (r < 0)
        return plain_net_error(r);
    return s->next == s->stage->len ? 0 : -EIO;
}

int helper_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret)
{
    struct helper *h = helper_of(r);
    struct source s = {.stage = stage};
    struct remote_blob blob = {.len = stage->len};
    char token[HELPER_TOKEN_LEN + 1];
    unsigned installs;
    int err = helper_token(token);

    if (err < 0)
        return err;
    snprintf(blob.name, sizeof(blob.name), "s-%s", token);
    lock_take(&h->lock);
    installs = h->installs;
    lock_drop(&h->lock);
    err = upload(h, blob.name, &s);
    if (err == -ENOENT || err == -ENOTDIR) { /* its folder is gone */
        err = helper_install(h, installs, true, NULL, NULL);
        if (err == 0)
            err = upload(h, blob.name, &s);
    }
    blob.crc = s.crc;
    *ret = blob;
    return err == -EOPNOTSUPP ? -EIO : err;
}

/* ---- batches ---- */

static ssize_t read_buf(void *arg, uint64_t off, void *p, size_t n)
{
    const struct buf *b = arg;

    if (off >= b->len)
        return 0;
    if (n > b->len - off)
        n = b->len - (size_t)off;
    memcpy(p, b->data + off, n);
    return (ssize_t)n;
}

/* In its place comes the name of a file that holds it. */
static int stage_message(struct helper *h, struct buf *message, bool background)
{
    const struct remote_stage stage = {
        .read = read_buf, .arg = message, .len = message->len, .background = background};
    struct remote_blob blob;
    int r = helper_stage(&h->remote, &stage, &blob);

    if (r < 0)
        return r;
    buf_truncate(message, 0);
    return batch_put_file(message, blob.name);
}

/* Takes what is in message. */
static int ask(struct helper *h, struct buf *message, bool background, struct buf *raw)
{
    const struct helper_way way = {
        .background = background, .answer_max = ANSWER_MAX, .more_s = MORE_S};
    struct buf word = BUF_INIT(2 * INLINE_MAX);
    int r = 0;

    if (message->len > INLINE_MAX)
        r = stage_message(h, message, background);
    if (r == 0)
        r = base64_encode(&word, buf_str(message), message->len);
    if (r == 0)
        r = helper_ask_word(h, &word, &way, raw);
    buf_done(&word);
    return r;
}

static int made_no_sense(int r)
{
    return r == -EPROTO || r == -EBADMSG ? -EIO : r;
}

static int ask_once(struct helper *h, const struct remote_batch *b, bool whole,
                    struct remote_applied *ret, bool *ret_more, uint64_t *ret_settled)
{
    struct buf message = BUF_INIT(BATCH_MESSAGE_MAX), raw = BUF_INIT(ANSWER_MAX);
    int r = batch_wire_put(b, whole, &message);

    if (r == 0)
        r = ask(h, &message, b->background, &raw);
    if (r == 0)
        r = answer_applied(&raw, b->count, ret, ret_more, ret_settled);
    buf_done(&message);
    buf_done(&raw);
    return made_no_sense(r);
}

int helper_apply(struct remote *r, const struct remote_batch *b, struct remote_applied *ret)
{
    struct helper *h = helper_of(r);
    const bool close = b->mode == REMOTE_BATCH_CLOSE;
    bool whole = !close, more = true;
    uint64_t settled = 0, before = 0;
    int err = 0;

    for (unsigned still = 0; more && still < STILL_MAX; still++) {
        if (cancel_fired(cancel_bound()))
            return -EINTR;
        err = ask_once(h, b, whole, ret, &more, &settled);
        if (err == -ENOMSG && !whole && !close) { /* it does not know the batch any more */
            whole = true;
            continue;
        }
        if (err < 0)
            return err;
        whole = false; /* it has all of it */
        if (settled != before)
            still = 0;
        before = settled;
    }
    return more ? -ETIMEDOUT : 0;
}

/* ---- files that are put together ahead ---- */

static int join_once(struct helper *h, const struct remote_join *join, struct remote_joined *to,
                     bool *ret_more)
{
    struct buf message = BUF_INIT(BATCH_MESSAGE_MAX), raw = BUF_INIT(ANSWER_MAX);
    int r = batch_wire_put_join(join, to, &message);

    if (r == 0)
        r = ask(h, &message, join->background, &raw);
    if (r == 0)
        r = answer_joined(&raw, to, ret_more);
    buf_done(&message);
    buf_done(&raw);
    return made_no_sense(r);
}

int helper_join(struct remote *r, const struct remote_join *join, struct remote_joined *to)
{
    char token[HELPER_TOKEN_LEN + 1];
    bool more = true;
    int err = 0;

    if (to->name[0] == '\0') {
        err = helper_token(token);
        if (err < 0)
            return err;
        snprintf(to->name, sizeof(to->name), "s-%s", token);
    }
    for (unsigned n = 0; more && err == 0 && n < STILL_MAX; n++)
        err = cancel_fired(cancel_bound()) ? -EINTR : join_once(helper_of(r), join, to, &more);
    return err == 0 && more ? -ETIMEDOUT : err;
}
