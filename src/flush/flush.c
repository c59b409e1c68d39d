#include "flush/flush.h"

#include "flush/flush_internal.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>

static const struct flush_config defaults = {
    .linger_ns = 20 * NS_PER_MS,
    .open_ns = 5 * NS_PER_S,
    .sync_ns = 5 * NS_PER_S,
    .inline_bytes = REMOTE_BATCH_DATA,
    .ahead_bytes = 8 << 20,
    .join_bytes = 16 << 20,
    .lot_bytes = UPLOADS_MAX * (uint64_t)REMOTE_BLOB_MAX,
    .op_timeout_ns = 30 * NS_PER_S,
};

static void set_config(struct flush *f, const struct flush_config *config)
{
    struct flush_config *c = &f->config;

    *c = config ? *config : defaults;
    if (c->linger_ns == 0)
        c->linger_ns = defaults.linger_ns;
    if (c->open_ns == 0)
        c->open_ns = defaults.open_ns;
    if (c->sync_ns == 0)
        c->sync_ns = defaults.sync_ns;
    if (c->inline_bytes == 0 || c->inline_bytes > REMOTE_BATCH_DATA)
        c->inline_bytes = defaults.inline_bytes;
    if (c->ahead_bytes < 2)
        c->ahead_bytes = defaults.ahead_bytes;
    if (c->join_bytes == 0)
        c->join_bytes = defaults.join_bytes;
    if (c->lot_bytes < UPLOADS_MAX)
        c->lot_bytes = defaults.lot_bytes;
    if (c->op_timeout_ns == 0)
        c->op_timeout_ns = defaults.op_timeout_ns;
    f->paused = c->paused;
}

int flush_new(const struct flush_config *config, struct journal *journal, struct remote *remote,
              struct flush **ret)
{
    struct flush *f;
    int r;

    if (!remote->ops->apply || !remote->ops->stage)
        return -EOPNOTSUPP;
    f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->journal = journal;
    f->remote = remote;
    f->lot_max = REMOTE_BATCH_CHANGES;
    set_config(f, config);
    lock_init(&f->lock);
    lock_cond_init(&f->work);
    lock_cond_init(&f->news);
    lock_cond_init(&f->upload);
    f->cancel = cancel_new();
    r = f->cancel ? queue_init(f) : -ENOMEM;
    if (r == 0)
        r = replay(f);
    if (r < 0)
        flush_free(f);
    else
        *ret = f;
    return r;
}

void flush_own(struct flush *f, const struct flush_owner *owner)
{
    lock_take(&f->lock);
    f->owner = *owner;
    if (f->waiting > 0)
        send_wake(f);
    lock_drop(&f->lock);
}

struct flush *flush_free(struct flush *f)
{
    if (!f)
        return NULL;
    lock_take(&f->lock);
    f->stop = true;
    pthread_cond_signal(&f->work);
    pthread_cond_broadcast(&f->upload);
    lock_drop(&f->lock);
    cancel_fire(f->cancel);
    if (f->started)
        pthread_join(f->sender, NULL); /* which begins uploaders, and stops what they do */
    for (size_t i = 0; i < f->uploader_count; i++)
        cancel_fire(f->uploaders[i].cancel);
    for (size_t i = 0; i < f->uploader_count; i++) {
        pthread_join(f->uploaders[i].thread, NULL);
        cancel_unref(f->uploaders[i].cancel);
    }
    while (f->lots)
        lot_free(f, f->lots);
    ahead_done(f);
    f->sending = batch_free(f->sending);
    free(f->said);
    park_done(f);
    end_done(f);
    for (struct kept *k = f->kept, *next; k; k = next) {
        next = k->hh.next;
        HASH_DEL(f->kept, k);
        free(k);
    }
    queue_done(f);
    cancel_unref(f->cancel);
    pthread_cond_destroy(&f->work);
    pthread_cond_destroy(&f->news);
    pthread_cond_destroy(&f->upload);
    lock_done(&f->lock);
    free(f);
    return NULL;
}

/* ---- changes ---- */

/* What a maker that was told meanwhile left. True if it did not succeed. */
static bool look_after(struct flush *f, struct journal_object *o)
{
    const struct recent *e;

    if (o->means != JOURNAL_MADE || change_find(f, o->made_by))
        return false;
    e = end_recent(f, o->made_by);
    if (!e)
        return park_find(f, o->made_by) != NULL;
    if (e->outcome != JOURNAL_DONE)
        return e->outcome != JOURNAL_DROPPED;
    o->means = e->now.ino ? JOURNAL_IS : JOURNAL_ANY;
    o->identity = e->now;
    o->has_hash = false;
    return false;
}

/* Who gives a file its final name, or takes its only one away, has written what is to be seen. */
static void release_name(struct flush *f, const struct change *c)
{
    const struct change *maker = change_find(f, c->made[JOURNAL_AT]);

    if (maker && change_held(maker))
        maker->group->ready_seq = maker->seq;
}

static int append(struct flush *f, const struct journal_record *rec, struct kept *keep,
                  uint64_t *ret_seq)
{
    struct journal_record copy = *rec;
    struct change *c;
    bool lost = false;
    uint64_t seq;
    int r;

    lock_take(&f->lock);
    for (int i = 0; i < JOURNAL_ROLES; i++)
        lost = (look_after(f, &copy.object[i]) && change_is_of(i)) || lost;
    r = journal_append(f->journal, &copy, &seq);
    if (r < 0 && journal_failed(f->journal) < 0)
        send_wake(f); /* which says so */
    if (r == 0) {
        r = change_add(f, &copy, seq, &c);
        if (r < 0) { /* not to be replayed after it was refused */
            const struct journal_result dropped = {.seq = seq, .settled = JOURNAL_DROPPED};

            (void)journal_settle(f->journal, &dropped, 1);
        }
    }
    if (r == 0 && (c->at2 || c->only))
        release_name(f, c);
    if (r == 0)
        vain_note(f, c);
    if (r == 0) {
        c->lost = lost;
        f->lost += lost;
        *ret_seq = seq;
        if (keep) {
            keep->seq = seq;
            HASH_ADD(hh, f->kept, seq, sizeof(keep->seq), keep);
        }
        send_wake(f);
    }
    lock_drop(&f->lock);
    return r;
}

int flush_append(struct flush *f, const struct journal_record *rec, uint64_t *ret_seq)
{
    return append(f, rec, NULL, ret_seq);
}

/* ---- what stays readable ---- */

int flush_append_keep(struct flush *f, const struct journal_record *rec, uint64_t *ret_seq)
{
    struct kept *keep = calloc(1, sizeof(*keep));
    int r = keep ? append(f, rec, keep, ret_seq) : -ENOMEM;

    if (r < 0)
        free(keep);
    return r;
}

bool flush_may_keep(struct flush *f)
{
    bool may;

    lock_take(&f->lock);
    may = HASH_COUNT(f->kept) < REMOTE_KEPT;
    lock_drop(&f->lock);
    return may;
}

void flush_unkeep(struct flush *f, uint64_t seq)
{
    struct kept *keep = NULL;

    lock_take(&f->lock);
    HASH_FIND(hh, f->kept, &seq, sizeof(seq), keep);
    if (keep) {
        HASH_DEL(f->kept, keep);
        f->lets_go = true;
    }
    lock_drop(&f->lock);
    free(keep);
}

char *flush_kept_path(struct flush *f, const struct remote_info *info, uint64_t seq)
{
    return remote_kept_path(info, journal_client(f->journal), seq);
}

bool flush_lets_go(struct flush *f)
{
    bool lets_go;

    lock_take(&f->lock);
    lets_go = f->lets_go;
    lock_drop(&f->lock);
    return lets_go;
}

/*
 * What an append costs, in time. Squared: it begins gently, so that writers find the pace at which
 * the line carries off what they bring, and ends where none of them gets to the hard limit.
 */
static int64_t price_ns(const struct journal_pressure *p, uint64_t bytes)
{
    static const double most_ns = 10.0 * NS_PER_S, unit_bytes = 128 << 10;

    return (int64_t)(most_ns * (p->bytes * p->bytes * ((double)bytes / unit_bytes) +
                                p->records * p->records));
}

/* What it would wait now; less than it takes to wake up is nothing. */
static int64_t room_ns(struct flush *f, uint64_t bytes)
{
    static const int64_t least_ns = NS_PER_MS;
    struct journal_pressure pressure;
    int64_t wait_ns;

    journal_pressure(f->journal, &pressure);
    wait_ns = price_ns(&pressure, bytes);
    return wait_ns < least_ns ? 0 : wait_ns;
}

int flush_room_now(struct flush *f, uint64_t bytes)
{
    return room_ns(f, bytes) > 0 ? -EAGAIN : 0;
}

int flush_room(struct flush *f, uint64_t bytes)
{
    static const int64_t down_ns = NS_PER_S, pressed_ns = NS_PER_S;
    const int64_t now_ns = clock_mono_ns();
    int64_t wait_ns = room_ns(f, bytes);
    int r;

    if (wait_ns == 0)
        return 0;
    lock_take(&f->lock);
    if (wait_ns > f->config.op_timeout_ns)
        wait_ns = f->config.op_timeout_ns;
    if ((f->line || f->paused) && wait_ns > down_ns)
        wait_ns = down_ns;
    if (f->pressed_ns < now_ns)
        send_wake(f);
    f->pressed_ns = now_ns + wait_ns + pressed_ns;
    lock_drop(&f->lock);
    r = journal_wait_room(f->journal, now_ns + wait_ns);
    return r == -ETIMEDOUT ? 0 : r; /* slowed down enough */
}

void flush_ready(struct flush *f, uint64_t group)
{
    struct group *g;

    lock_take(&f->lock);
    HASH_FIND(hh, f->groups, &group, sizeof(group), g);
    if (g) {
        g->ready_seq = f->tail->seq;
        send_wake(f);
    }
    lock_drop(&f->lock);
}

/* ---- how it is sent ---- */

void flush_pause(struct flush *f)
{
    lock_take(&f->lock);
    f->paused = true;
    lock_drop(&f->lock);
}

void flush_resume(struct flush *f)
{
    lock_take(&f->lock);
    f->paused = false;
    send_wake(f);
    lock_drop(&f->lock);
}

void flush_retry(struct flush *f)
{
    lock_take(&f->lock);
    f->retry_ns = 0;
    if (f->stuck == STUCK_RETRY || f->stuck == STUCK_BEHIND) {
        f->renew = f->stuck == STUCK_BEHIND;
        f->stuck = STUCK_NOT;
        f->stuck_why = NULL;
        f->halted = f->line = 0;
    }
    send_wake(f);
    lock_drop(&f->lock);
}

void flush_usage(struct flush *f, struct flush_usage *ret)
{
    lock_take(&f->lock);
    *ret = (struct flush_usage){.waiting = f->waiting,
                                .bytes = f->waiting_bytes,
                                .parked = f->parked_count,
                                .done = f->done,
                                .done_bytes = f->done_bytes,
                                .paused = f->paused,
                                .line = f->line,
                                .stuck = f->stuck_why,
                                .goes_on = f->stuck == STUCK_BEHIND,
                                .retry_ns = f->halted ? 0 : f->retry_ns};
    lock_drop(&f->lock);
}
