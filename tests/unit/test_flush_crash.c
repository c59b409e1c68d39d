/*
 * A process that stops at every step of its journal and of the network, in the middle of everyday
 * work. Another one goes on with the journal, and in the end the sandbox is what a plain directory
 * would be that got each operation that was promised, perhaps the one in flight, and no other.
 * If the machine loses power, too, the last ones may be missing, but none that was waited for, and
 * none before one that is there.
 */
#include "flush_scenarios.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what must hold afterwards ---- */

/* The sandbox is what it would be after some number of operations, from least to most. */
static void expect_some(struct flush_rig *g, flush_scenario scenario, unsigned least, unsigned most,
                        const char *where)
{
    char *first = NULL;

    for (unsigned n = most;; n--) {
        char *what;

        if (flush_scenario_is(g, scenario, n, &what))
            break;
        if (n == least)
            fail_msg("%s: after %u to %u operations: %s", where, least, most, first ? first : what);
        if (first)
            free(what);
        else
            first = what;
    }
    free(first);
}

/* Another process does, and nothing fails any more. */
static void start_well(struct flush_rig *g)
{
    rig_die_after(-1);
    remote_fault_set(g->fault, 0, REMOTE_FAULT_BEFORE, 0);
    remote_mem_stop_after(g->mem, SIZE_MAX, 0);
    fr_restart(g);
}

static void go_on(struct flush_rig *g, flush_scenario scenario, unsigned least, unsigned most,
                  const char *where)
{
    start_well(g);
    fr_sync(g);
    expect_some(g, scenario, least, most, where);
}

static void lose_power(const struct flush_rig *g, enum rig_loss loss)
{
    char *dir = rig_path(&g->disk, "");

    rig_lose_power(dir, loss);
    free(dir);
}

static const struct flush_config configs[] = {
    {.paused = true, .linger_ns = 1},
    {.paused = true, .linger_ns = 1, .inline_bytes = 100}, /* nearly all is staged */
    {.linger_ns = 1,
     .inline_bytes = 100,
     .ahead_bytes = 5000,
     .join_bytes = 5000,
     .lot_bytes = 20000}, /* as soon as it can */
};

/* That a journal which is dead cannot be written is no news. */
static void quiet(bool on)
{
    static int saved = -1;

    if (on) {
        const int null = open("/dev/null", O_WRONLY);

        saved = dup(STDERR_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    } else {
        dup2(saved, STDERR_FILENO);
        close(saved);
    }
}

enum stop { AT_THE_DISK, BEFORE_A_CALL, AFTER_A_CALL, AMID_A_BATCH };

static void stop_at(struct flush_rig *g, enum stop stop, unsigned n)
{
    if (stop == AT_THE_DISK)
        rig_die_after((long)n);
    else if (stop == AMID_A_BATCH)
        remote_mem_stop_after(g->mem, n, -ECONNRESET);
    else
        remote_fault_set(g->fault, n + 1,
                         stop == AFTER_A_CALL ? REMOTE_FAULT_AFTER : REMOTE_FAULT_BEFORE,
                         -ECONNRESET);
}

enum { POWER_STAYS = -1, POWER_LATER = -2 }; /* and else enum rig_loss */

static void stop_there(struct flush_rig *g)
{
    rig_kill();
    g->flush = flush_free(g->flush);
    g->journal = journal_free(g->journal);
}

/* Only after another process has asked how far it came. */
static void lose_power_later(struct flush_rig *g)
{
    rig_die_after(-1);
    remote_fault_set(g->fault, 1, REMOTE_FAULT_AFTER, -ECONNRESET);
    fr_restart(g);
    (void)flush_barrier(g->flush, NULL, NULL, NULL);
    stop_there(g);
    lose_power(g, RIG_KEEP_LOG);
    rig_die_after(-1);
    remote_fault_set(g->fault, 0, REMOTE_FAULT_BEFORE, 0);
    fr_restart(g);
    (void)fr_create(g, "/again");
    fr_sync(g);
    fr_expect(g, "/again", "");
}

/* Stops at the n-th step; loss: what becomes of the disk. True if there was none. */
static bool run_until(flush_scenario scenario, const struct flush_config *config, enum stop stop,
                      unsigned n, int loss)
{
    struct flush_rig *g = malloc(sizeof(*g));
    struct flush_model *m = malloc(sizeof(*m));
    char where[96];
    unsigned most;
    bool whole;

    snprintf(where, sizeof(where), "stop %d at %u, loss %d, inline %u", (int)stop, n, loss,
             (unsigned)config->inline_bytes);
    fr_up_on(g, config, &rig_disk);
    model_up(m, g);
    stop_at(g, stop, n);
    quiet(true);
    scenario(m);
    whole = m->err == 0 && !rig_died();
    stop_there(g);
    quiet(false);
    if (loss >= 0)
        lose_power(g, (enum rig_loss)loss);
    most = m->taken + (m->err == -EIO);
    if (loss == POWER_LATER)
        lose_power_later(g);
    else
        go_on(g, scenario, loss < 0 ? m->taken : m->waited, most, where);
    model_down(m);
    fr_down(g);
    free(m);
    free(g);
    return whole;
}

enum { UNNOTICED = 6 };

static void run_all(enum stop stop, int loss)
{
    for (size_t i = 0; i < FLUSH_SCENARIOS; i++)
        for (size_t k = 0; k < ARRAY_LEN(configs); k++) {
            unsigned n = 0;

            if (loss >= 0 && (i + k + (size_t)loss) % 2 == 1)
                continue; /* half of them show the same */
            if (loss != POWER_LATER && !configs[k].paused && flush_scenarios[i] != flush_steps)
                continue;
            /* While somebody sends who is not asked to, a failure need not be noticed. */
            while (!run_until(flush_scenarios[i], &configs[k], stop, n, loss) ||
                   (!configs[k].paused && n < UNNOTICED))
                n++;
            assert_true(n > 0);
        }
}

TEST(a_process_that_stops_at_any_step_of_its_journal_loses_nothing)
{
    run_all(AT_THE_DISK, POWER_STAYS);
}

TEST(a_process_that_stops_before_any_request_loses_nothing)
{
    run_all(BEFORE_A_CALL, POWER_STAYS);
}

TEST(a_process_that_stops_after_any_request_does_nothing_twice)
{
    run_all(AFTER_A_CALL, POWER_STAYS);
}

TEST(a_batch_that_was_cut_off_at_any_change_is_done_once)
{
    run_all(AMID_A_BATCH, POWER_STAYS);
}

/* Two changes of a file are in conflict with theirs. */
static void make_conflict(struct flush_rig *g)
{
    struct journal_record rec = {
        .kind = JOURNAL_PUT, .path = "/f", .data = "ours", .data_len = 4, .size = 4};
    struct remote_attr old;
    uint64_t seq;

    fr_put(g, "/f", "old");
    old = fr_stat(g, "/f");
    fr_put(g, "/f", "theirs");
    rec.object[JOURNAL_AT] = (struct journal_object){
        .means = JOURNAL_IS,
        .identity = {old.dev, old.ino, old.size, old.mtime_ns, old.ctime_ns},
    };
    seq = fr_add(g, &rec);
    seq = fr_data(g, JOURNAL_APPEND, "/f", seq, 0, ", and more");
    assert_int_equal(flush_wait(g->flush, seq, false), -EIO);
}

/* True if there was no n-th step. */
static bool keep_until(enum stop stop, unsigned n, int loss)
{
    struct flush_rig *g = malloc(sizeof(*g));
    struct flush_usage usage;
    bool whole;

    fr_up_on(g, &configs[0], &rig_disk);
    make_conflict(g);
    stop_at(g, stop, n);
    quiet(true);
    whole = flush_keep(g->flush, "/f", true) == 0 && !rig_died();
    stop_there(g);
    quiet(false);
    if (loss >= 0)
        lose_power(g, (enum rig_loss)loss);
    start_well(g);
    (void)flush_barrier(g->flush, NULL, NULL, NULL);
    flush_usage(g->flush, &usage);
    if ((stop == AT_THE_DISK && n == 0) || (loss >= 0 && usage.parked > 0)) {
        assert_int_equal(usage.parked, 2); /* it was not said, then, of any */
        fr_expect(g, "/f", "theirs");
        assert_int_equal(flush_keep(g->flush, "/f", true), 0);
    }
    fr_expect(g, "/f", "ours, and more");
    fr_restart(g);
    flush_usage(g->flush, &usage);
    assert_int_equal(usage.waiting + usage.parked, 0);
    fr_down(g);
    free(g);
    return whole;
}

TEST(that_ours_counts_is_remembered_by_the_next_process)
{
    for (enum stop stop = AT_THE_DISK; stop <= AMID_A_BATCH; stop++)
        for (int loss = POWER_STAYS; loss < RIG_LOSSES; loss++) {
            unsigned n = 0;

            while (!keep_until(stop, n, loss))
                n++;
            assert_true(n > 0);
        }
}

TEST(what_waits_is_synced_after_a_while)
{
    const struct flush_config config = {.paused = true, .sync_ns = 20 * NS_PER_MS};
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;
    struct flush_rig *g = malloc(sizeof(*g));

    fr_up_on(g, &config, &rig_disk);
    (void)fr_data(g, JOURNAL_PUT, "/f", 0, 0, "a text");
    while (journal_unsynced_ns(g->journal) != 0) {
        assert_true(clock_mono_ns() < until_ns);
        usleep(1000);
    }
    stop_there(g);
    lose_power(g, RIG_LOSE_ALL);
    start_well(g);
    fr_sync(g);
    fr_expect(g, "/f", "a text");
    fr_down(g);
    free(g);
}

/* Nothing in it is left to be done: but the sandbox counts batches. */
TEST(a_batch_of_an_fsync_alone_that_never_arrived_stops_nothing)
{
    for (enum stop stop = BEFORE_A_CALL; stop <= AFTER_A_CALL; stop++)
        for (int loss = POWER_STAYS; loss < RIG_LOSSES; loss++) {
            struct flush_rig *g = malloc(sizeof(*g));

            fr_up_on(g, &configs[0], &rig_disk);
            (void)fr_create(g, "/f");
            fr_sync(g);
            stop_at(g, stop, 0);
            assert_true(flush_fsync(g->flush, "/f") < 0);
            stop_there(g);
            if (loss >= 0)
                lose_power(g, (enum rig_loss)loss);
            start_well(g);
            (void)fr_create(g, "/again");
            fr_sync(g);
            fr_expect(g, "/again", "");
            fr_down(g);
            free(g);
        }
}

TEST(what_one_process_began_and_another_asked_for_is_not_forgotten_by_a_loss_of_power)
{
    run_all(AT_THE_DISK, POWER_LATER);
    run_all(AFTER_A_CALL, POWER_LATER);
}

TEST(a_machine_that_loses_power_at_any_step_loses_no_more_than_the_last_changes)
{
    for (int loss = 0; loss < RIG_LOSSES; loss++)
        run_all(AT_THE_DISK, loss);
}

TEST(a_machine_that_loses_power_around_any_request_does_nothing_twice)
{
    for (int loss = 0; loss < RIG_LOSSES; loss++) {
        run_all(BEFORE_A_CALL, loss);
        run_all(AFTER_A_CALL, loss);
        run_all(AMID_A_BATCH, loss);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_stops_at_any_step_of_its_journal_loses_nothing),
        cmocka_unit_test(a_process_that_stops_before_any_request_loses_nothing),
        cmocka_unit_test(a_process_that_stops_after_any_request_does_nothing_twice),
        cmocka_unit_test(a_batch_that_was_cut_off_at_any_change_is_done_once),
        cmocka_unit_test(that_ours_counts_is_remembered_by_the_next_process),
        cmocka_unit_test(what_waits_is_synced_after_a_while),
        cmocka_unit_test(a_batch_of_an_fsync_alone_that_never_arrived_stops_nothing),
        cmocka_unit_test(
            what_one_process_began_and_another_asked_for_is_not_forgotten_by_a_loss_of_power),
        cmocka_unit_test(
            a_machine_that_loses_power_at_any_step_loses_no_more_than_the_last_changes),
        cmocka_unit_test(a_machine_that_loses_power_around_any_request_does_nothing_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
