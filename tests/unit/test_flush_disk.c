/*
 * This machine's disk fails at every step of the journal, in the middle of everyday work: it has no
 * room, cannot be written to, once or from then on, or writes less than it was given. Whoever made
 * a change was told that it failed, or the change is in the sandbox in the end; either the mount
 * goes on, or it says that it does not, and another one does.
 */
#include "flush_scenarios.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum failure { NO_ROOM, ONE_ERROR, SHORT, BROKEN, FAILURES };
static const char *const names[FAILURES] = {"no room", "an error", "a short write", "broken"};

static const struct flush_config configs[] = {
    {.paused = true, .linger_ns = 1, .op_timeout_ns = NS_PER_S},
    {.paused = true, .linger_ns = 1, .op_timeout_ns = NS_PER_S, .inline_bytes = 100},
};

static void fail_at(enum failure failure, long n)
{
    if (failure == BROKEN)
        rig_die_after(n);
    else
        rig_fail_at(n, failure == NO_ROOM ? -ENOSPC : failure == SHORT ? 0 : -EIO);
}

/* What nobody can write to says so, takes no more, and sends no more. */
static void expect_refused(struct flush_rig *g)
{
    const struct journal_record rec = {.kind = JOURNAL_MKDIR, .path = "/never"};
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;
    struct flush_usage usage = {0};
    uint64_t seq;

    assert_true(flush_append(g->flush, &rec, &seq) < 0);
    while (!usage.stuck) {
        assert_true(clock_mono_ns() < until_ns);
        usleep(1000);
        flush_usage(g->flush, &usage);
    }
    assert_non_null(strstr(usage.stuck, "mount again"));
    assert_true(flush_barrier(g->flush, NULL, NULL, NULL) < 0 || usage.waiting == 0);
}

/* True if there was no n-th step. */
static bool run(flush_scenario scenario, const struct flush_config *config, enum failure failure,
                long n)
{
    struct flush_rig *g = malloc(sizeof(*g));
    struct flush_model *m = malloc(sizeof(*m));
    bool none;
    char *what;

    fr_up_on(g, config, &rig_disk);
    model_up(m, g);
    m->patient = true;
    fail_at(failure, n);
    scenario(m);
    none = !rig_died();
    if (failure == SHORT)
        assert_int_equal(m->err, 0); /* nobody hears of it */
    if (journal_failed(g->journal) < 0) {
        expect_refused(g);
        rig_die_after(-1);
        fr_restart(g);
    } else if (failure == BROKEN && flush_barrier(g->flush, NULL, NULL, NULL) < 0) {
        rig_die_after(-1);
        fr_restart(g);
    }
    fr_sync(g); /* the mount went on, if nothing was in doubt */
    if (!flush_scenario_is(g, scenario, m->taken, &what))
        fail_msg("%s at step %ld, inline %u: after %u operations%s: %s", names[failure], n,
                 (unsigned)config->inline_bytes, m->taken, m->err ? ", the next was refused" : "",
                 what);
    model_down(m);
    fr_down(g);
    free(m);
    free(g);
    return none;
}

static void run_all(enum failure failure)
{
    for (size_t i = 0; i < FLUSH_SCENARIOS; i++)
        for (size_t k = 0; k < ARRAY_LEN(configs); k++) {
            long n = 0;

            while (!run(flush_scenarios[i], &configs[k], failure, n))
                n++;
            assert_true(n > 5);
        }
}

TEST(a_disk_without_room_at_any_step_costs_nothing_that_was_taken)
{
    run_all(NO_ROOM);
}

TEST(a_step_that_fails_once_costs_nothing_that_was_taken)
{
    run_all(ONE_ERROR);
}

TEST(a_write_that_is_short_is_gone_on_with)
{
    run_all(SHORT);
}

TEST(a_disk_that_breaks_at_any_step_costs_nothing_that_was_taken_and_is_told)
{
    run_all(BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_without_room_at_any_step_costs_nothing_that_was_taken),
        cmocka_unit_test(a_step_that_fails_once_costs_nothing_that_was_taken),
        cmocka_unit_test(a_write_that_is_short_is_gone_on_with),
        cmocka_unit_test(a_disk_that_breaks_at_any_step_costs_nothing_that_was_taken_and_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
