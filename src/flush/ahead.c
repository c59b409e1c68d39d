/*
 * ahead.c - data of a file that is still open, put into the sandbox before anything of it may be
 * seen there: what it has written since, up to a few MiB, is a round. When the file's changes go,
 * what is there already need not be sent (staging_new takes it over); what was written over, or
 * belongs to a file that is gone, was sent in vain. All with the lock held.
 *
 * While a blob of a group is on its way, its changes are not chosen: they would send the same.
 */
#include "flush/flush_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUSY_MAX = 2,     /* blobs on their way: the other uploaders are for what is due */
    BLOBS_MAX = 2048, /* of one file: a batch has a limit */
    IN_VAIN = 8,      /* rounds, and as much again as there is: it is written over all the time */
};

/* In a round, at most. */
static uint64_t round_max(const struct flush *f)
{
    return 2 * f->config.ahead_bytes;
}

/* In one blob: who comes meanwhile waits for that. */
static uint64_t part_max(const struct flush *f)
{
    return f->config.ahead_bytes / 2;
}

void ahead_note(struct group *g, const struct change *c)
{
    g->last_seq = c->seq;
    if (c->kind == JOURNAL_APPEND)
        g->no_ahead = true; /* it goes as it is */
    if (c->kind != JOURNAL_PATCH)
        return;
    if (g->unstaged == 0)
        g->unstaged_ns = c->since_ns;
    g->unstaged += c->bytes;
    g->claimed = g->claimed && g->uploading > 0;
}

/* ---- a round ---- */

/* What would be seen now of what the group wrote. */
static int live(const struct flush *f, const struct group *g, struct content *x)
{
    int r = 0;

    for (const struct change *c = f->head; c && r == 0; c = c->next) {
        const struct piece p = {c->begin, c->bytes, c->seq, 0};

        if (c->group != g)
            continue;
        if (c->kind == JOURNAL_PATCH)
            r = content_write(x, &p);
        else if (c->kind == JOURNAL_TRUNCATE)
            content_resize(x, c->begin);
    }
    return r;
}

static int by_seq(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Those that were not in an earlier round, up to max; whole records only. */
static void select_new(struct group *g, uint64_t max, struct content *x, uint64_t *ret_live)
{
    uint64_t bytes = 0, last = g->staged_seq;
    size_t count = 0;

    *ret_live = 0;
    qsort(x->v, x->count, sizeof(*x->v), by_seq);
    for (size_t i = 0; i < x->count; i++) {
        *ret_live += x->v[i].len;
        if (x->v[i].seq <= g->staged_seq || (bytes >= max && x->v[i].seq != last))
            continue;
        bytes += x->v[i].len;
        last = x->v[i].seq;
        x->v[count++] = x->v[i];
    }
    x->count = count;
    g->staged_seq = last;
    g->staged += bytes;
    g->unstaged = g->unstaged > bytes ? g->unstaged - bytes : 0;
    if (bytes < max) /* what it wrote over itself does not count */
        g->unstaged = 0;
    g->unstaged_ns = clock_mono_ns();
}

static void begin_round(struct flush *f, struct group *g)
{
    struct ahead *a = calloc(1, sizeof(*a));
    struct content x = CONTENT_INIT;
    uint64_t bytes = 0;
    int r = a ? live(f, g, &x) : -ENOMEM;

    if (r == 0 && x.count > 0)
        select_new(g, round_max(f), &x, &bytes);
    else
        g->unstaged = 0;
    if (r == 0 && g->staged > 2 * bytes + IN_VAIN * f->config.ahead_bytes)
        g->no_ahead = true;
    if (r == 0 && x.count > 0 && !g->no_ahead)
        a->staging = staging_of(x.v, x.count, part_max(f));
    content_done(&x);
    if (!a || !a->staging) {
        free(a);
        return;
    }
    a->group = g;
    a->next = f->aheads;
    f->aheads = a;
    g->ahead += a->staging->count;
    stage_call(f, a->staging->count);
}

static bool is_on_its_way(const struct ahead *a)
{
    return a->group && a->there < a->staging->count;
}

/* May more of g go ahead? */
static bool may_begin(const struct flush *f, const struct group *g)
{
    if (g->no_ahead || g->claimed || g->last_seq <= g->ready_seq || g->ahead >= BLOBS_MAX)
        return false;
    for (const struct ahead *a = f->aheads; a; a = a->next)
        if (a->group == g && is_on_its_way(a))
            return false;
    return true;
}

int64_t ahead_begin(struct flush *f, int64_t now_ns)
{
    int64_t until_ns = INT64_MAX;

    for (struct ahead *a = f->aheads; a; a = a->next)
        if (a->err) { /* the pause after it is over */
            a->err = 0;
            stage_call(f, a->staging->count);
        }
    for (struct group *g = f->groups; g; g = g->hh.next) {
        const int64_t due_ns = g->unstaged_ns + f->config.open_ns;

        if (g->unstaged <= f->config.inline_bytes || !may_begin(f, g))
            continue;
        if (g->unstaged >= f->config.ahead_bytes || due_ns <= now_ns)
            begin_round(f, g);
        else if (due_ns < until_ns)
            until_ns = due_ns;
    }
    return until_ns;
}

/* ---- on its way ---- */

struct ahead *ahead_job(struct flush *f, size_t *ret_blob)
{
    size_t busy = 0;

    for (const struct ahead *a = f->aheads; a; a = a->next)
        busy += a->busy;
    if (f->paused || busy >= BUSY_MAX)
        return NULL;
    for (struct ahead *a = f->aheads; a; a = a->next)
        for (size_t i = 0; a->group && !a->group->claimed && !a->err && i < a->staging->count; i++)
            if (a->staging->states[i] == BLOB_WAITS) {
                *ret_blob = i;
                return a;
            }
    return NULL;
}

static void unlink_ahead(struct flush *f, struct ahead *a)
{
    struct ahead **at = &f->aheads;

    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    staging_free(a->staging);
    free(a);
}

/* Nobody needs it any more. */
static void give_up(struct flush *f, struct ahead *a)
{
    if (a->group)
        a->group->uploading -= a->busy;
    a->group = NULL;
    if (a->busy > 0)
        return; /* who uploads it comes back here */
    for (size_t i = 0; i < a->staging->count; i++)
        if (a->staging->states[i] == BLOB_THERE)
            staging_drop(f, &a->staging->blobs[i]);
    unlink_ahead(f, a);
}

void ahead_upload(struct flush *f, struct ahead *a, size_t i)
{
    const bool was = remote_in_background();
    struct remote_blob blob;
    int r;

    a->staging->states[i] = BLOB_BUSY;
    a->busy++;
    a->group->uploading++;
    lock_drop(&f->lock);
    (void)remote_bind_background(true);
    r = staging_put(f, a->staging, i, true, &blob);
    (void)remote_bind_background(was);
    lock_take(&f->lock);
    a->busy--;
    if (r < 0)
        staging_drop(f, &blob);
    a->staging->states[i] = r == 0 ? BLOB_THERE : BLOB_WAITS;
    if (r == 0) {
        a->staging->blobs[i] = blob;
        a->there++;
        f->progress_ns = clock_mono_ns();
        if (f->line)
            f->ahead_said = 1;
    }
    if (!a->group) {
        give_up(f, a);
        return;
    }
    if (send_is_damaged(r)) /* that is told of once it goes */
        a->group->no_ahead = a->group->claimed = true;
    else if (r < 0)
        a->err = f->ahead_said = r;
    if (--a->group->uploading == 0 || f->ahead_said)
        pthread_cond_signal(&f->work);
}

/* ---- the end ---- */

void ahead_leave(struct flush *f, struct group *g)
{
    for (struct ahead *a = f->aheads, *next; a; a = next) {
        next = a->next;
        if (a->group == g)
            give_up(f, a);
    }
}

void ahead_begin_anew(struct flush *f, struct group *g)
{
    ahead_leave(f, g);
    g->ahead = 0;
    g->staged = g->staged_seq = 0;
    g->claimed = false;
}

const struct slice *ahead_find(struct flush *f, uint64_t seq, uint64_t at, uint64_t *len,
                               struct staging **ret)
{
    const struct change *c = change_find(f, seq);

    for (struct ahead *a = f->aheads; a && c; a = a->next) {
        const struct slice *s;

        if (a->group != c->group || !a->group)
            continue;
        s = staging_look(a->staging, seq, at, len);
        if (!s)
            continue;
        *ret = a->staging;
        return a->staging->states[s->blob] >= BLOB_THERE ? s : NULL;
    }
    return NULL;
}

int ahead_adopt(struct flush *f, const struct sending *s, struct staging *g)
{
    int r = 0;

    for (struct ahead *a = f->aheads; a && r == 0; a = a->next)
        for (size_t i = 0; r == 0 && i < a->staging->count; i++)
            if (a->staging->states[i] == BLOB_NEEDED)
                r = staging_add_blob(g, a->staging, i);
    if (r < 0)
        return r;
    for (size_t i = 0; i < s->change_count; i++) {
        struct group *group = s->changes[i]->group;

        if (group && group->ahead > 0)
            ahead_begin_anew(f, group); /* what is needed is in g now */
    }
    return 0;
}

void ahead_forget(struct flush *f)
{
    for (struct ahead *a = f->aheads; a; a = a->next)
        for (size_t i = 0; i < a->staging->count; i++)
            if (a->staging->states[i] == BLOB_NEEDED)
                a->staging->states[i] = BLOB_THERE;
}

void ahead_done(struct flush *f)
{
    while (f->aheads)
        unlink_ahead(f, f->aheads);
}
