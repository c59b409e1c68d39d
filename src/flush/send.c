/*
 * send.c - one batch, and the line: an attempt at sending it, and what its answer means. The
 * sender's, without the lock.
 *
 * The journal is synced before the sandbox hears of a batch, also of one that an earlier process
 * began: what a loss of power takes from it must not be known there.
 */
#include "flush/flush_internal.h"

#include "util/array.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { STAGINGS_MAX = 5 };

const char send_journal_why[] =
    "the journal on this machine's disk cannot be read or written, so nothing more can be changed "
    "here; unmount and mount again, which sends what it holds";
static const char answer_why[] =
    "the sandbox answered what makes no sense; unmount and mount again, which asks once more";
static const int64_t retry_first_ns = NS_PER_S, retry_most_ns = 60 * NS_PER_S;

/* ---- the line ---- */

static void tell_line(struct flush *f, int err)
{
    struct flush_owner owner;

    lock_take(&f->lock);
    owner = f->owner;
    lock_drop(&f->lock);
    if (owner.line)
        owner.line(owner.arg, err);
}

void send_well(struct flush *f)
{
    bool was_down;

    lock_take(&f->lock);
    was_down = f->line != 0;
    f->line = 0;
    f->line_waited = false;
    f->failures = 0;
    f->retry_ns = 0;
    f->progress_ns = clock_mono_ns();
    lock_drop(&f->lock);
    if (was_down)
        tell_line(f, 0);
}

/* waited: it was done for somebody, who is told now. */
void send_failed(struct flush *f, int err, bool waited)
{
    int64_t pause_ns = retry_first_ns;
    bool was_up;

    lock_take(&f->lock);
    was_up = f->line == 0;
    for (unsigned i = 0; i < f->failures && pause_ns < retry_most_ns; i++)
        pause_ns *= 2;
    f->failures++;
    f->retry_ns = clock_mono_ns() + (pause_ns < retry_most_ns ? pause_ns : retry_most_ns);
    f->line = err;
    f->line_waited = waited;
    f->probe = false;
    lock_drop(&f->lock);
    if (was_up)
        tell_line(f, err);
    lock_take(&f->lock);
    if (waited)
        wait_failed(f, err == -ETIMEDOUT ? err : -EHOSTDOWN);
    else
        f->probe = wait_any(f);
    lock_drop(&f->lock);
}

/* What to do about it is for the user to say. */
static void halt_as(struct flush *f, enum stuck stuck, int err, const char *why)
{
    struct flush_owner owner;

    log_msg(LOG_ERROR, "changes are no longer sent: %s (%s)", why, errtext_sentence(err));
    lock_take(&f->lock);
    f->halted = err;
    f->line = err;
    f->stuck = stuck;
    f->stuck_why = why;
    owner = f->owner;
    wait_failed(f, err);
    lock_drop(&f->lock);
    if (owner.stuck)
        owner.stuck(owner.arg, err, why);
    tell_line(f, err);
}

void send_halt(struct flush *f, int err, const char *why)
{
    halt_as(f, STUCK_FOR_GOOD, err, why);
}

/* What is short is short here, not on the way. */
bool send_is_local(int err)
{
    return err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

/* ---- the end of a batch ---- */

/* What has several names gets another ctime with each that comes or goes, in an order of its own.
 */
static void identity_of(const struct remote_attr *a, struct journal_identity *ret)
{
    const bool several = a->nlink > 1 && !S_ISDIR(a->mode);

    *ret = (struct journal_identity){.dev = a->dev,
                                     .ino = a->ino,
                                     .size = a->size,
                                     .mtime_ns = a->mtime_ns,
                                     .ctime_ns = several ? 0 : a->ctime_ns,
                                     .birth = a->birth};
}

/* A name that was to go and is gone: whoever removed it. */
static bool gone_anyway(enum journal_kind kind, const struct remote_result *res)
{
    if (kind != JOURNAL_UNLINK && kind != JOURNAL_RMDIR)
        return false;
    return (res->outcome == REMOTE_CONFLICT && res->now.ino == 0 && res->now.mode == 0) ||
           (res->outcome == REMOTE_FAILED && res->err == -ENOENT);
}

static void judge(enum journal_kind kind, const struct remote_result *res, struct end *e)
{
    switch (res->outcome) {
    case REMOTE_OPEN:
        e->outcome = JOURNAL_OPEN;
        return;
    case REMOTE_DONE:
        e->outcome = JOURNAL_DONE;
        break;
    case REMOTE_CONFLICT:
        e->outcome = JOURNAL_CONFLICT;
        break;
    case REMOTE_FAILED:
    case REMOTE_POISONED:
        e->outcome = JOURNAL_REJECTED;
        break;
    }
    e->err = e->outcome == JOURNAL_DONE ? 0 : res->err < 0 ? res->err : -EIO;
    if (gone_anyway(kind, res)) {
        e->outcome = JOURNAL_DONE;
        e->err = 0;
        return;
    }
    e->now = res->now;
    e->other = res->other;
    e->has_now = res->now.ino != 0 || res->now.mode != 0;
    identity_of(&res->now, &e->known);
}

static void end_fsyncs(struct flush *f, struct sending *s, const struct remote_applied *a)
{
    lock_take(&f->lock);
    for (size_t i = 0; i < s->count; i++) {
        struct waiter *w = s->ops[i].waiter;

        if (!w)
            continue;
        w->done = true;
        w->err = a->v[i].outcome == REMOTE_DONE ? 0 : a->v[i].err < 0 ? a->v[i].err : -EIO;
        if (w->err == -ENOENT && w->seq)
            w->err = 0; /* a later change took the name away */
        s->ops[i].waiter = NULL;
    }
    pthread_cond_broadcast(&f->news);
    lock_drop(&f->lock);
}

/* By seq: s->changes are. Those that were not tried wait again. */
static int collect(struct flush *f, struct sending *s, const struct remote_applied *a,
                   struct end **ret, size_t *ret_count)
{
    struct end *v = calloc(s->change_count + 1, sizeof(*v));
    struct journal_result *results = calloc(s->change_count + 1, sizeof(*results));
    struct journal_result *open = calloc(s->change_count + 1, sizeof(*open));
    size_t count = 0, open_count = 0;
    int r = v && results && open ? 0 : -ENOMEM;

    for (size_t i = 0; i < s->change_count && r == 0; i++) {
        struct change *c = s->changes[i];
        struct end e = {.c = c, .told_ns = a->now_ns};

        judge(s->ops[c->op].last->kind, &a->v[c->op], &e);
        e.has_now = e.has_now && (c == s->ops[c->op].last || e.outcome == JOURNAL_CONFLICT);
        results[i] =
            (struct journal_result){.seq = c->seq, .said = e.outcome, .err = e.err, .now = e.known};
        if (e.outcome != JOURNAL_OPEN)
            v[count++] = e;
        else
            open[open_count++] = (struct journal_result){.seq = c->seq, .settled = JOURNAL_OPEN};
    }
    if (r == 0)
        r = journal_applied(f->journal, s->batch.number, results, s->change_count);
    if (r == 0)
        r = journal_settle(f->journal, open, open_count);
    free(results);
    free(open);
    if (r < 0)
        free(v);
    *ret = r < 0 ? NULL : v;
    *ret_count = count;
    return r;
}

void send_release(struct flush *f, struct sending *s)
{
    lock_take(&f->lock);
    for (size_t i = 0; i < s->change_count; i++)
        s->changes[i]->state = CHANGE_WAITS;
    f->sending = batch_free(s);
    lock_drop(&f->lock);
}

static void finish(struct flush *f, struct sending *s, const struct remote_applied *a)
{
    struct end *v = NULL;
    size_t count = 0;
    int r = a->count == s->count ? 0 : -EPROTO;

    if (r == 0)
        r = collect(f, s, a, &v, &count);
    if (end_may_retry(f, r) || send_is_local(r)) { /* asked again, the sandbox says the same */
        send_failed(f, r, s->waited);
        return;
    }
    if (r == 0)
        end_fsyncs(f, s, a);
    if (r == 0)
        send_well(f);
    /* Before they end: they point to changes that are freed then. */
    send_release(f, s);
    if (r == 0)
        r = end_changes(f, v, count);
    if (r < 0)
        send_halt(f, r, r == -EPROTO ? answer_why : send_journal_why);
}

/* ---- sending ---- */

static bool had_failures(struct flush *f)
{
    bool had;

    lock_take(&f->lock);
    had = f->failures > 0;
    lock_drop(&f->lock);
    return had;
}

/* What comes after one attempt. */
enum next { NEXT_ENDED, NEXT_AGAIN, NEXT_FAILED, NEXT_HALT };

/* What the sandbox says of a batch that it does not take. */
static const struct {
    enum remote_batch_state state;
    enum stuck stuck;
    const char *why;
} refusals[] = {
    {REMOTE_BATCH_BEHIND, STUCK_BEHIND,
     "the sandbox was restored from an older copy, so what was sent since may be missing there; "
     "write `retry` to .ctl/ctl to send what waits all the same: what then differs is listed in "
     ".ctl/conflicts"},
    {REMOTE_BATCH_AHEAD, STUCK_RETRY,
     "the sandbox has later changes of this journal than the journal itself, which must be an old "
     "copy, so none of it is sent; unmount, save what it holds with `daytonafs recover --export`, "
     "and then `--discard` it"},
    {REMOTE_BATCH_OTHER, STUCK_RETRY,
     "the sandbox has another batch under this number, so there must be two copies of this "
     "journal, and none of it is sent; unmount, save what it holds with `daytonafs recover "
     "--export`, and then `--discard` it"},
};

static enum next halt_at(struct flush *f, enum remote_batch_state state)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (refusals[i].state == state)
            halt_as(f, refusals[i].stuck, -EIO, refusals[i].why);
    return NEXT_HALT;
}

static bool may_renew(struct flush *f)
{
    bool may;

    lock_take(&f->lock);
    may = f->renew;
    f->renew = false;
    lock_drop(&f->lock);
    return may;
}

static enum next answered(struct flush *f, struct sending *s, const struct remote_applied *a,
                          int *ret_err)
{
    switch (a->state) {
    case REMOTE_BATCH_FINISHED:
        finish(f, s, a);
        return NEXT_ENDED;
    case REMOTE_BATCH_UNKNOWN:
    case REMOTE_BATCH_BEHIND:
        if (s->batch.mode == REMOTE_BATCH_RENEW)
            break;
        if (s->batch.mode == REMOTE_BATCH_RUN) {
            /* Who deleted the record did not undo what it tells of. */
            if (a->state == REMOTE_BATCH_BEHIND && !may_renew(f))
                return halt_at(f, a->state);
            s->batch.mode = REMOTE_BATCH_RENEW;
            return NEXT_AGAIN;
        }
        *ret_err = batch_forget(f, s);
        if (*ret_err < 0)
            return NEXT_FAILED;
        send_release(f, s);
        return NEXT_ENDED;
    case REMOTE_BATCH_AHEAD:
    case REMOTE_BATCH_OTHER:
        return halt_at(f, a->state);
    }
    *ret_err = -EPROTO;
    return NEXT_FAILED;
}

static enum next apply(struct flush *f, struct sending *s, int *ret_err)
{
    const bool was = remote_bind_background(!s->waited && !had_failures(f));
    struct remote_applied a = {0};
    enum next next;
    bool other = false;
    int r = s->staged || !s->staging ? 0 : staging_again(f, s->staging, !s->waited, &other);

    s->staged = r == 0;
    batch_name_blobs(s);
    if (other && s->begun) /* only the same bytes may go under its number */
        s->batch.mode = REMOTE_BATCH_CLOSE;
    if (r == 0 && !s->begun)
        r = batch_begin(f, s);
    if (r == 0 && !s->synced)
        r = journal_sync(f->journal);
    s->synced = s->synced || r == 0;
    if (r == 0)
        r = remote_apply(f->remote, &s->batch, &a);
    remote_bind_background(was);
    *ret_err = r;
    if (r == -ENODATA && s->staging && s->stagings++ < STAGINGS_MAX) {
        s->staged = false;
        return NEXT_AGAIN;
    }
    next = r < 0 ? NEXT_FAILED : answered(f, s, &a, ret_err);
    remote_applied_done(&a);
    return next;
}

/* The op that cannot be sent fails; the others are chosen again. */
int send_reject(struct flush *f, struct sending *s)
{
    struct end *v = NULL;
    size_t count = 0;
    int err = 0;

    for (size_t i = 0; i < s->count && !err; i++) {
        const struct op *op = &s->ops[i];

        err = op->err;
        if (!err)
            continue;
        v = calloc(s->change_count, sizeof(*v));
        for (struct change *c = op->first; v && c; c = c->op_next)
            v[count++] = (struct end){
                .c = c, .outcome = JOURNAL_REJECTED, .err = err == -EBADMSG ? -EIO : err};
    }
    send_release(f, s);
    return v ? end_changes(f, v, count) : -ENOMEM;
}

/* What is wrong with the batch itself, not with the way to the sandbox. */
static void refused(struct flush *f, struct sending *s, int err)
{
    const bool alone = s->count == 1, known = s->begun;

    if (err == -E2BIG && !known && !alone) {
        lock_take(&f->lock);
        f->lot_max = s->change_count / 2 + 1;
        lock_drop(&f->lock);
        send_release(f, s);
        return;
    }
    if (!known && s->count > 0) {
        s->ops[0].err = err;
        err = send_reject(f, s);
        if (err < 0)
            send_halt(f, err, send_journal_why);
        return;
    }
    send_halt(f, err, "a batch was refused");
}

/* Of the journal's own bytes. */
bool send_is_damaged(int err)
{
    return err == -EBADMSG || err == -ENOENT;
}

static bool is_stopping(struct flush *f)
{
    bool stop;

    lock_take(&f->lock);
    stop = f->stop;
    lock_drop(&f->lock);
    return stop;
}

static bool is_refused(int err)
{
    return err == -E2BIG || err == -EINVAL || err == -EOPNOTSUPP;
}

void send_attempt(struct flush *f, struct sending *s)
{
    const bool waited = s->waited;
    enum next next;
    int err = 0;

    do
        next = apply(f, s, &err);
    while (next == NEXT_AGAIN);
    if (next != NEXT_FAILED)
        return;
    if (is_refused(err)) {
        refused(f, s, err);
        return;
    }
    if (!s->begun)
        send_release(f, s);
    if (journal_failed(f->journal) < 0) {
        send_halt(f, err, send_journal_why);
        return;
    }
    if (!(err == -EINTR && is_stopping(f)))
        send_failed(f, send_is_local(err) ? -EAGAIN : err, waited);
}
