/* apply: which batch is it, how far did it come, go on, and what became of it. */
#include "helper/apply.h"

#include "helper/folder.h"
#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const apply_change kinds[] = {
    [BATCH_WRITE] = apply_write,  [BATCH_MKDIR] = apply_mkdir,     [BATCH_SYMLINK] = apply_symlink,
    [BATCH_LINK] = apply_link,    [BATCH_RENAME] = apply_rename,   [BATCH_UNLINK] = apply_unlink,
    [BATCH_RMDIR] = apply_unlink, [BATCH_SETATTR] = apply_setattr, [BATCH_FSYNC] = apply_fsync,
};

bool apply_late(const struct apply *a)
{
    return clock_mono_ns() >= a->until_ns;
}

int apply_intent(struct apply *a, const struct intent *intent)
{
    const int r = record_intent(&a->record, intent);

    if (r == 0)
        return 0;
    a->stopped = r;
    return -EAGAIN;
}

/* ---- the changes ---- */

static bool succeeded(const struct batch_result *r)
{
    return r->outcome == BATCH_DONE || r->outcome == BATCH_OPEN;
}

static bool has_two(const struct batch_change *c)
{
    return c->kind == BATCH_LINK || c->kind == BATCH_RENAME;
}

/* What stands on it shall fail, too. */
static int remember_failed(struct apply *a, const struct batch_change *c)
{
    const int r = pathset_add(&a->failed, c->path);

    return r == 0 && has_two(c) ? pathset_add(&a->failed, c->path2) : r;
}

static int make_change(struct apply *a, const struct batch_change *c, struct batch_result *ret)
{
    const struct intent doubt = a->record.doubt;

    if (pathset_covers(&a->failed, c->path) ||
        (has_two(c) && pathset_covers(&a->failed, c->path2))) {
        *ret = (struct batch_result){.outcome = BATCH_POISONED, .err = -ECANCELED};
        return 0;
    }
    if (doubt.stage == 0 && renewing_tell(a, a->record.settled, ret))
        return 0;
    return kinds[c->kind](a, c, &doubt, ret);
}

/* The next one. */
static int step(struct apply *a, const struct batch_change *c)
{
    struct batch_result result = {0};
    int r = make_change(a, c, &result);

    if (r == -EAGAIN && a->stopped)
        return a->stopped;
    if (r < 0)
        return r;
    a->synced = a->synced || c->kind == BATCH_FSYNC || (c->flags & BATCH_FSYNC_TOO);
    if (result.outcome != BATCH_OPEN)
        r = record_result(&a->record, &result);
    if (r == 0 && !succeeded(&result))
        r = remember_failed(a, c);
    return r;
}

/* Goes through what is settled and then makes the rest. -EAGAIN: late. */
static int make_changes(struct apply *a)
{
    struct batch_change c;
    int r;

    for (uint64_t i = 0; (r = message_next(&a->message, &c)) > 0; i++) {
        if (i >= a->record.count)
            return -EBADMSG;
        if (i < a->record.settled) {
            r = succeeded(&a->record.results[i]) ? 0 : remember_failed(a, &c);
        } else {
            r = step(a, &c);
            if (r == 0 && a->closing)
                return 0;
            if (r == 0 && a->record.settled < a->record.count && apply_late(a))
                r = -EAGAIN;
        }
        if (r < 0)
            return r;
    }
    return r < 0 ? r : a->record.settled == a->record.count ? 0 : -EBADMSG;
}

/* ---- beginning and ending ---- */

/* Every change can be read, and there are as many as was said. */
static int check_changes(struct message *m)
{
    const struct proto_in start = m->changes.in;
    struct batch_change c;
    uint64_t count = 0;
    int r;

    while ((r = message_next(m, &c)) > 0)
        count++;
    batch_changes_done(&m->changes);
    m->changes.in = start;
    return r < 0 ? r : count == m->head.count ? 0 : -EBADMSG;
}

static int begin(struct apply *a)
{
    const struct message *m = &a->message;
    int r;

    if (m->head.mode == BATCH_CLOSE) {
        r = record_begin(&a->record, &m->head);
        return r < 0 ? r : record_close(&a->record);
    }
    if (!(m->head.flags & BATCH_WHOLE))
        return -EAGAIN;
    r = check_changes(&a->message);
    if (r == 0)
        r = message_blobs_there(m, a->folder);
    if (r == 0)
        r = message_save(m, a->record.dir);
    apply_step();
    return r < 0 ? r : record_begin(&a->record, &m->head);
}

/* Of a batch that was begun: as it is kept, unless it was sent once more in whole. */
static int go_on(struct apply *a)
{
    struct buf raw = BUF_INIT(BATCH_MESSAGE_MAX);
    struct message kept = {0};
    int r;

    if (a->message.head.flags & BATCH_WHOLE) {
        r = check_changes(&a->message);
        if (r == 0)
            r = message_blobs_there(&a->message, a->folder);
        return r < 0 ? r : message_save(&a->message, a->record.dir);
    }
    r = message_read(a->record.dir, "batch", &raw);
    if (r == 0)
        r = message_take(&kept, &raw);
    if (r == 0 && (kept.head.number != a->record.number ||
                   memcmp(kept.head.digest, a->record.digest, BATCH_DIGEST) != 0))
        r = -EBADMSG;
    if (r == 0)
        r = check_changes(&kept);
    buf_done(&raw);
    if (r < 0) {
        message_done(&kept);
        return r == -ENODATA || r == -EBADMSG ? -EAGAIN : r;
    }
    message_done(&a->message);
    a->message = kept;
    return 0;
}

static int end(struct apply *a)
{
    int r = record_finished(&a->record) ? 0 : record_close(&a->record);

    if (r == 0 && a->synced)
        r = record_sync(&a->record);
    if (r < 0)
        return r;
    apply_step();
    message_drop_blobs(&a->message, a->folder, a->root);
    keep_drop(a);
    (void)unlinkat(a->record.dir, "batch", 0);
    spare_make(a->record.dir);
    return 0;
}

static int work(struct apply *a, bool begun)
{
    int r;

    a->closing = a->message.head.mode == BATCH_CLOSE;
    r = begun ? go_on(a) : begin(a);
    if (r == -EAGAIN && a->closing) /* what it was is not known any more: it stays undecided */
        return record_close(&a->record);
    if (r == -EAGAIN)
        return -ENOMSG; /* to be sent in whole */
    if (r == -EBADMSG)
        return -EINVAL; /* what arrived is what was sent */
    if (r == 0 && !record_finished(&a->record)) {
        if (a->record.renew && !a->closing)
            a->renewing = renewing_new(a);
        r = make_changes(a);
    }
    return r == 0 && !(a->closing && !begun) ? end(a) : r;
}

/* It was killed between its last change and the end. */
static void tidy(struct apply *a)
{
    if (faccessat(a->record.dir, "batch", F_OK, 0) == 0 && go_on(a) == 0)
        (void)end(a);
}

/* What the record says to this batch; *ret_begun: that it is of this one. */
static enum batch_state_kind judge(const struct apply *a, bool *ret_begun)
{
    const struct record *r = &a->record;
    const struct batch_head *h = &a->message.head;
    const bool renew = h->mode == BATCH_RENEW;

    *ret_begun = r->number == h->number;
    if (*ret_begun)
        return r->count == h->count && memcmp(r->digest, h->digest, BATCH_DIGEST) == 0
                   ? BATCH_FINISHED
                   : BATCH_OTHER;
    if (r->number > h->number)
        return BATCH_AHEAD;
    if (renew || (r->number == h->number - 1 && (r->number == 0 || record_finished(r))))
        return BATCH_FINISHED;
    return r->number == 0 ? BATCH_UNKNOWN : BATCH_BEHIND;
}

/* ---- the answer ---- */

static void emit_results(struct emit *e, const struct record *rec)
{
    enum { FLUSH = 32 << 10 };
    struct buf body = BUF_INIT(PROTO_BODY_MAX);

    for (uint64_t i = 0; i < rec->count; i++) {
        const int r = batch_put_result(&body, &rec->results[i]);

        if (r < 0) {
            emit_raw(e, r);
            break;
        }
        if (body.len >= FLUSH || i + 1 == rec->count) {
            emit_frame(e, (enum proto_kind)PROTO_BATCH_RESULTS, &body);
            buf_truncate(&body, 0);
        }
    }
    e->count = rec->count;
    buf_done(&body);
}

static void answer(struct emit *e, const struct apply *a, enum batch_state_kind state, bool results)
{
    const struct batch_state s = {.state = state,
                                  .settled = a->record.settled,
                                  .number = a->record.number,
                                  .now_ns = clock_real_ns()};

    EMIT(e, batch_put_state, &s);
    if (results)
        emit_results(e, &a->record);
}

/* -EAGAIN: another one works for this client, and has for as long as may be waited. */
static int take_lock(int dir, int64_t until_ns)
{
    enum { LOOK_MS = 5 };
    const int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        const int err = errno;

        if ((err != EWOULDBLOCK && err != EINTR) || clock_mono_ns() >= until_ns) {
            close(fd);
            return err == EWOULDBLOCK ? -EAGAIN : -err;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    return fd;
}

static int with_lock(struct emit *e, struct apply *a, bool *ret_more)
{
    enum batch_state_kind state;
    bool begun;
    int r = record_load(&a->record);

    if (r < 0)
        return r;
    state = judge(a, &begun);
    if (state == BATCH_FINISHED && begun && record_finished(&a->record))
        tidy(a);
    else if (state == BATCH_FINISHED)
        r = work(a, begun);
    if (r == 0 || r == -EAGAIN)
        answer(e, a, state, r == 0 && state == BATCH_FINISHED);
    *ret_more = r == -EAGAIN;
    return r == -EAGAIN ? 0 : r;
}

static int enter(struct apply *a)
{
    struct stat helper, st;

    a->folder = folder_open(&helper);
    if (a->folder < 0)
        return a->folder;
    a->folder_born_ns = timespec_to_ns(helper.st_mtim);
    a->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (a->root < 0 || fstat(a->folder, &st) < 0)
        return -errno;
    a->folder_dev = st.st_dev;
    return 0;
}

static int enter_client(struct apply *a)
{
    const int clients = folder_sub(a->folder, "clients");

    if (clients < 0)
        return clients;
    a->record.dir = folder_sub(clients, a->message.head.client);
    close(clients);
    return a->record.dir < 0 ? a->record.dir : 0;
}

/* What is asked may be in a file. */
static int take_message(struct apply *a, struct buf *raw)
{
    struct buf file = BUF_INIT(BATCH_MESSAGE_MAX);
    char name[BATCH_BLOB_NAME + 1];
    struct proto_frame f;
    int folder, r;

    if (raw->len == 0 || proto_get_frame((uint8_t *)raw->data, raw->len, &f) <= 0)
        return -EBADMSG;
    if ((int)f.kind == PROTO_BATCH)
        return message_take(&a->message, raw);
    r = batch_get_file(&f, name);
    if (r < 0)
        return r;
    folder = folder_open(NULL);
    if (folder < 0)
        return folder;
    r = message_read(folder, name, &file);
    if (r == 0)
        r = message_take(&a->message, &file);
    (void)unlinkat(folder, name, 0); /* the client's folder has a copy once it counts */
    close(folder);
    buf_done(&file);
    return r;
}

static int apply_batch(struct emit *e, struct apply *a, bool *ret_more)
{
    int lock, r = enter_client(a);

    if (r < 0)
        return r;
    lock = take_lock(a->record.dir, a->until_ns);
    if (lock >= 0) {
        r = with_lock(e, a, ret_more);
        apply_sweep(a->folder, a->root);
        (void)flock(lock, LOCK_UN); /* a child may have it, too */
        close(lock);
        return r;
    }
    *ret_more = lock == -EAGAIN;
    if (*ret_more)
        answer(e, a, BATCH_FINISHED, false);
    return *ret_more ? 0 : lock;
}

int verb_apply(struct emit *e, struct buf *raw, bool *ret_more)
{
    struct apply a = {.folder = -1, .root = -1, .record = {.dir = -1, .fd = -1}};
    int r;

    a.until_ns = clock_mono_ns() + apply_limit_ns();
    signal(SIGIO, SIG_IGN); /* somebody wants what hold_take holds: it is given back at once */
    r = take_message(&a, raw);
    if (r == 0)
        r = enter(&a);
    if (r == 0)
        r = a.message.head.mode == BATCH_JOIN ? apply_join(e, &a, ret_more)
                                              : apply_batch(e, &a, ret_more);
    message_done(&a.message);
    record_done(&a.record);
    pathset_done(&a.failed);
    (void)renewing_free(a.renewing);
    if (a.folder >= 0)
        close(a.folder);
    if (a.root >= 0)
        close(a.root);
    return r;
}
