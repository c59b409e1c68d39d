/*
 * Each request that carries changes, or their data, meets what can become of it, in the middle of
 * everyday work; and in the end the sandbox is what a plain directory would be that got the same.
 * After each the process may die, and another one go on. Where the same is shown of the helper, or
 * of a real line, and what cannot be shown here:
 *
 *   it never arrives, its   whatever_becomes_of_a_request_each_change_is_made_once, faults.sh
 *   answer is lost or cut,
 *   it comes twice, 429, 502
 *   twice at once           what_is_asked_twice_at_once_is_made_once
 *   it comes late, or last  other_behind_ahead_and_unknown_are_told_apart_and_touch_nothing
 *   the helper is killed    killed_at_any_step_it_goes_on_where_it_was
 *   the sandbox stops       a_sandbox_that_stops_meanwhile_goes_on_there, storm.sh (stop)
 *   its data is swept       a_blob_that_is_missing_or_damaged_is_asked_for_and_nothing_is_done
 *   the record is deleted   restored.sh, a_folder_that_was_deleted_is_told_as_unknown_...
 *   and the answer is lost  however_far_it_came_it_goes_on_there,
 *                           a_record_that_was_deleted_with_the_answer_lost_changes_nothing
 *   all is an older copy    restored.sh, an_older_record_stops_everything_until_it_is_told_...
 *   the sandbox's disk is   full.sh, a_full_disk_fails_what_needs_room_and_nothing_else,
 *   full, or read-only      whatever_room_there_is_what_does_not_fit_is_as_it_was,
 *                           read_only_from_any_step_on
 */
#include "flush_scenarios.h"

#include "remote/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum fate {
    LOST_BEFORE,
    LOST_AFTER,
    TWICE,
    AT_ONCE,
    LATE,
    LAST,
    CUT,
    LIMITED,
    GATEWAY,
    STOPPED,
    STOPPING,
    SWEPT,
    FORGOTTEN,
    FATES
};

static const char *const names[FATES] = {
    "lost before", "lost after", "twice",   "twice at once", "late",  "last",     "cut",
    "429",         "502",        "stopped", "stopping",      "swept", "forgotten"};

/* ---- a copy of a batch, for a request that is still on its way when its sender has given up ----
 */

struct copy {
    struct remote_batch b;
    struct remote_change *v;
    struct remote_piece *pieces;
    struct remote_blob *blobs;
    struct remote_joined *joined;
    uint8_t (*hashes)[2][REMOTE_DIGEST];
    char *data, client[REMOTE_CLIENT_LEN + 1];
};

static char *copy_text(const char *s)
{
    return s ? strdup(s) : NULL;
}

static struct copy *copy_of(const struct remote_batch *b)
{
    struct copy *c = calloc(1, sizeof(*c));
    size_t pieces = 0;

    assert_non_null(c);
    c->b = *b;
    snprintf(c->client, sizeof(c->client), "%s", b->client);
    c->b.client = c->client;
    for (size_t i = 0; b->v && i < b->count; i++)
        pieces += b->v[i].piece_count;
    c->v = calloc(b->count + 1, sizeof(*c->v));
    c->pieces = calloc(pieces + 1, sizeof(*c->pieces));
    c->blobs = calloc(b->blob_count + 1, sizeof(*c->blobs));
    c->hashes = calloc(b->count + 1, sizeof(*c->hashes));
    c->data = calloc(1, b->data_len + 1);
    c->joined = calloc(b->count + 1, sizeof(*c->joined));
    assert_true(c->v && c->pieces && c->blobs && c->hashes && c->data && c->joined);
    if (b->data_len)
        memcpy(c->data, b->data, b->data_len);
    if (b->blob_count)
        memcpy(c->blobs, b->blobs, b->blob_count * sizeof(*c->blobs));
    pieces = 0;
    for (size_t i = 0; b->v && i < b->count; i++) {
        struct remote_change *v = &c->v[i];

        *v = b->v[i];
        v->path = copy_text(v->path);
        v->path2 = copy_text(v->path2);
        if (v->piece_count)
            memcpy(c->pieces + pieces, v->pieces, v->piece_count * sizeof(*v->pieces));
        v->pieces = c->pieces + pieces;
        pieces += v->piece_count;
        if (v->joined)
            v->joined = memcpy(&c->joined[i], v->joined, sizeof(*v->joined));
        if (v->at.hash)
            v->at.hash = memcpy(c->hashes[i][0], v->at.hash, REMOTE_DIGEST);
        if (v->at2.hash)
            v->at2.hash = memcpy(c->hashes[i][1], v->at2.hash, REMOTE_DIGEST);
    }
    c->b.v = b->v ? c->v : NULL;
    c->b.data = c->data;
    c->b.blobs = c->blobs;
    return c;
}

static void copy_free(struct copy *c)
{
    for (size_t i = 0; c->b.v && i < c->b.count; i++) {
        free((char *)c->v[i].path);
        free((char *)c->v[i].path2);
    }
    free(c->v);
    free(c->pieces);
    free(c->blobs);
    free(c->joined);
    free(c->hashes);
    free(c->data);
    free(c);
}

/* ---- the line ---- */

struct line {
    struct remote remote;
    struct remote *inner;
    struct lock lock; /* guards what follows */
    enum fate fate;
    unsigned nth, calls, down; /* down: so many more find nobody */
    struct copy *under_way;
};

/* Who asked is not there any more. */
static void arrive(struct line *l)
{
    struct remote_applied a = {0};

    if (!l->under_way)
        return;
    if (remote_apply(l->inner, &l->under_way->b, &a) == 0)
        remote_applied_done(&a);
    copy_free(l->under_way);
    l->under_way = NULL;
}

static void *arrive_too(void *arg)
{
    struct line *l = arg;

    arrive(l);
    return NULL;
}

static int at_once(struct line *l, const struct remote_batch *b, struct remote_applied *ret)
{
    pthread_t thread;
    int r;

    l->under_way = copy_of(b);
    assert_int_equal(pthread_create(&thread, NULL, arrive_too, l), 0);
    r = remote_apply(l->inner, b, ret);
    pthread_join(thread, NULL);
    return r;
}

static int meet(struct line *l, const struct remote_batch *b, struct remote_applied *ret)
{
    int r = 0;

    switch (l->fate) {
    case LOST_BEFORE:
        return -ECONNRESET;
    case TWICE:
    case LOST_AFTER:
    case FORGOTTEN:
        r = remote_apply(l->inner, b, ret);
        if (r == 0 && l->fate != FORGOTTEN)
            remote_applied_done(ret);
        if (l->fate == TWICE)
            return remote_apply(l->inner, b, ret);
        if (l->fate == FORGOTTEN)
            remote_mem_rewind(l->inner, 0);
        return l->fate == LOST_AFTER ? -ECONNRESET : r;
    case AT_ONCE:
        return at_once(l, b, ret);
    case LATE:
    case LAST:
        l->under_way = copy_of(b);
        return -ETIMEDOUT;
    case CUT:
    case STOPPING:
        remote_mem_stop_after(l->inner, 1, l->fate == CUT ? -ECONNRESET : -EHOSTDOWN);
        l->down = l->fate == STOPPING ? 2 : 0;
        return remote_apply(l->inner, b, ret);
    case LIMITED:
        return -EIO;
    case GATEWAY:
        return -EHOSTDOWN;
    case STOPPED:
        l->down = 2;
        return -EHOSTDOWN;
    case SWEPT:
        (void)remote_mem_blobs(l->inner, true);
        break;
    case FATES:
        break;
    }
    return remote_apply(l->inner, b, ret);
}

static int line_apply(struct remote *r, const struct remote_batch *b, struct remote_applied *ret)
{
    struct line *l = (struct line *)r;
    int err;

    lock_take(&l->lock);
    l->calls++;
    if (l->calls == l->nth) {
        err = meet(l, b, ret);
    } else if (l->down > 0) {
        l->down--;
        err = -EHOSTDOWN;
    } else {
        err = remote_apply(l->inner, b, ret);
        if (l->fate == LATE)
            arrive(l);
    }
    lock_drop(&l->lock);
    return err;
}

/* What is staged: is it made, and does its answer come? */
static bool line_is_well(struct line *l, bool *ret_made)
{
    bool hit;

    lock_take(&l->lock);
    hit = ++l->calls == l->nth;
    *ret_made = l->fate == LOST_AFTER || l->fate == LATE || l->fate == LAST;
    if (!hit && l->down > 0) {
        l->down--;
        hit = true;
    }
    lock_drop(&l->lock);
    return !hit || l->fate == SWEPT || l->fate == FORGOTTEN || l->fate == TWICE ||
           l->fate == AT_ONCE;
}

static int line_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret)
{
    struct line *l = (struct line *)r;
    bool made;
    int err;

    if (line_is_well(l, &made))
        return remote_stage(l->inner, stage, ret);
    err = made ? remote_stage(l->inner, stage, ret) : 0;
    return err < 0 ? err : -ECONNRESET;
}

static int line_join(struct remote *r, const struct remote_join *join, struct remote_joined *to)
{
    struct line *l = (struct line *)r;
    bool made;
    int err;

    if (line_is_well(l, &made))
        return remote_join(l->inner, join, to);
    err = made ? remote_join(l->inner, join, to) : 0;
    return err < 0 ? err : -ECONNRESET;
}

static const struct remote_ops line_ops = {
    .name = "line", .apply = line_apply, .stage = line_stage, .join = line_join};

/* ---- the runs ---- */

static const struct flush_config configs[] = {
    {.paused = true, .linger_ns = 1, .op_timeout_ns = 1000000000},
    {.paused = true,
     .linger_ns = 1,
     .op_timeout_ns = 1000000000,
     .inline_bytes = 100,
     .join_bytes = 10000},
};

/* Until everything is there: the n-th may come only now. */
static void settle(struct flush_rig *g)
{
    int r = -EHOSTDOWN;

    for (int i = 0; i < 20 && (r == -EHOSTDOWN || r == -ETIMEDOUT); i++)
        r = flush_barrier(g->flush, NULL, NULL, NULL);
    if (r < 0)
        fr_sync(g); /* which says what is left */
}

/* True if no request was the n-th. */
static bool run(flush_scenario scenario, const struct flush_config *config, enum fate fate,
                unsigned nth, bool dies)
{
    struct line l = {.remote.ops = &line_ops, .fate = fate, .nth = nth};
    struct flush_rig *g = malloc(sizeof(*g));
    struct flush_model *m = malloc(sizeof(*m));
    struct remote *gate;
    char *what;
    bool none;

    lock_init(&l.lock);
    fr_up(g, config);
    l.inner = g->mem;
    gate = g->gate;
    g->gate = &l.remote;
    fr_restart(g);
    model_up(m, g);
    m->patient = !dies;
    scenario(m);
    none = l.calls < nth;
    if (dies)
        fr_restart(g);
    settle(g);
    arrive(&l);
    if (!flush_scenario_is(g, scenario, m->taken, &what))
        fail_msg("%s at %u%s, inline %u: after %u operations: %s", names[fate], nth,
                 dies ? ", and it dies" : "", (unsigned)config->inline_bytes, m->taken, what);
    fr_restart(g); /* and nothing is left in the journal */
    arrive(&l);
    settle(g);
    if (!flush_scenario_is(g, scenario, m->taken, &what))
        fail_msg("%s at %u: after another mount: %s", names[fate], nth, what);
    model_down(m);
    g->gate = gate;
    fr_down(g);
    lock_done(&l.lock);
    free(m);
    free(g);
    return none;
}

static void run_all(bool dies)
{
    for (enum fate fate = 0; fate < FATES; fate++)
        for (size_t i = 0; i < FLUSH_SCENARIOS; i++)
            for (size_t k = 0; k < ARRAY_LEN(configs); k++) {
                unsigned n = 1;

                while (!run(flush_scenarios[i], &configs[k], fate, n, dies))
                    n++;
                assert_true(n > 1);
            }
}

TEST(whatever_becomes_of_a_request_the_work_goes_on)
{
    run_all(false);
}

TEST(whatever_becomes_of_a_request_before_the_process_dies)
{
    run_all(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_becomes_of_a_request_the_work_goes_on),
        cmocka_unit_test(whatever_becomes_of_a_request_before_the_process_dies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
