/*
 * A process that stops at every step of its journal and of the network, in the middle of everyday
 * work. Another one goes on with the journal, and in the end the sandbox is what a plain directory
 * would be that got each operation that was promised, perhaps the one in flight, and no other.
 */
#include "flush_scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what must hold afterwards ---- */

static void go_on(struct flush_rig *g, flush_scenario scenario, unsigned taken, bool doubt,
                  const char *where)
{
    char *what, *what_next = NULL;

    rig_die_after(-1);
    remote_fault_set(g->fault, 0, REMOTE_FAULT_BEFORE, 0);
    remote_mem_stop_after(g->mem, SIZE_MAX, 0);
    fr_restart(g);
    fr_sync(g);
    if (!flush_scenario_is(g, scenario, taken, &what) &&
        (!doubt || !flush_scenario_is(g, scenario, taken + 1, &what_next)))
        fail_msg("%s: after %u operations: %s", where, taken, what);
    free(what);
    free(what_next);
}

static const struct flush_config configs[] = {
    {.paused = true, .linger_ns = 1},
    {.paused = true, .linger_ns = 1, .inline_bytes = 100}, /* nearly all is staged */
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

/* Stops at the n-th step. True if there was none. */
static bool run_until(flush_scenario scenario, const struct flush_config *config, enum stop stop,
                      unsigned n)
{
    struct flush_rig *g = malloc(sizeof(*g));
    struct flush_model *m = malloc(sizeof(*m));
    char where[64];
    bool whole;

    snprintf(where, sizeof(where), "stop %d at %u, inline %u", (int)stop, n,
             (unsigned)config->inline_bytes);
    rig_die_after(-1);
    fr_up_on(g, config, &rig_disk);
    model_up(m, g);
    if (stop == AT_THE_DISK)
        rig_die_after((long)n);
    else if (stop == AMID_A_BATCH)
        remote_mem_stop_after(g->mem, n, -ECONNRESET);
    else
        remote_fault_set(g->fault, n + 1,
                         stop == AFTER_A_CALL ? REMOTE_FAULT_AFTER : REMOTE_FAULT_BEFORE,
                         -ECONNRESET);
    quiet(true);
    scenario(m);
    whole = m->err == 0 && !rig_died();
    if (!whole)
        rig_kill();
    g->flush = flush_free(g->flush);
    quiet(false);
    go_on(g, scenario, m->taken, m->err == -EIO, where);
    model_down(m);
    fr_down(g);
    free(m);
    free(g);
    return whole;
}

static void run_all(enum stop stop)
{
    for (size_t i = 0; i < FLUSH_SCENARIOS; i++)
        for (size_t k = 0; k < ARRAY_LEN(configs); k++) {
            unsigned n = 0;

            while (!run_until(flush_scenarios[i], &configs[k], stop, n))
                n++;
            assert_true(n > 0);
        }
}

TEST(a_process_that_stops_at_any_step_of_its_journal_loses_nothing)
{
    run_all(AT_THE_DISK);
}

TEST(a_process_that_stops_before_any_request_loses_nothing)
{
    run_all(BEFORE_A_CALL);
}

TEST(a_process_that_stops_after_any_request_does_nothing_twice)
{
    run_all(AFTER_A_CALL);
}

TEST(a_batch_that_was_cut_off_at_any_change_is_done_once)
{
    run_all(AMID_A_BATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_stops_at_any_step_of_its_journal_loses_nothing),
        cmocka_unit_test(a_process_that_stops_before_any_request_loses_nothing),
        cmocka_unit_test(a_process_that_stops_after_any_request_does_nothing_twice),
        cmocka_unit_test(a_batch_that_was_cut_off_at_any_change_is_done_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
