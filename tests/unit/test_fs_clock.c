/*
 * fs where the sandbox's clock is set, as what changes is told by its ctime: nothing is missed.
 * What cannot be seen is a clock that is set back and forward again between two looks.
 */
#include "scene.h"

#include "util/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOUR_NS (3600 * NS_PER_S)

static const int64_t window_ns = 50 * NS_PER_MS;

enum { DIRS = 4, FILES = 3, ROUNDS = 40 };

static void idle(void)
{
    usleep(75000); /* the window, and what the backend takes for slack */
}

static void up(struct rig *g)
{
    char path[64];

    rig_up(g, &(struct rig_config){.changes = true, .coherence_ns = window_ns});
    for (unsigned d = 0; d < DIRS; d++) {
        snprintf(path, sizeof(path), "/d%u", d);
        inside_mkdir(g, path);
        for (unsigned f = 0; f < FILES; f++) {
            snprintf(path, sizeof(path), "/d%u/f%u", d, f);
            inside_create(g, path);
        }
    }
    rig_same_tree(g, "/");
}

/* Something is made, changed or removed in each directory, in the sandbox. */
static void change_all(struct rig *g, unsigned count)
{
    char path[64], text[64];

    for (unsigned d = 0; d < DIRS; d++) {
        const int len = snprintf(text, sizeof(text), "%u", count);
        FILE *f = tmpfile();
        const struct remote_put put = {
            .fd = fileno(f), .size = (uint64_t)len, .mtime_ns = NS_PER_S}; /* and is forged */
        struct remote_attr attr;

        assert_int_equal(pwrite(put.fd, text, (size_t)len, 0), len);
        snprintf(path, sizeof(path), "/d%u/f%u", d, count % FILES);
        assert_int_equal(remote_put(g->inside, path, &put, &attr), 0);
        snprintf(path, sizeof(path), "/d%u/new", d);
        if (remote_unlink(g->inside, path) < 0)
            inside_create(g, path);
        fclose(f);
    }
}

TEST(a_clock_that_is_set_forward_hides_nothing_and_costs_nothing)
{
    struct tally_counts c;
    struct rig g;

    up(&g);
    idle();
    rig_same_tree(&g, "/");
    change_all(&g, 1);
    remote_mem_set_clock(g.inside, HOUR_NS);
    change_all(&g, 2);
    idle();
    tally_take(g.tally);
    rig_same_tree(&g, "/");
    c = tally_take(g.tally);
    assert_int_equal(c.tree, 0);
    assert_true(c.changes >= 1 && c.since_ns != INT64_MIN);
    rig_down(&g);
}

TEST(a_clock_that_is_set_back_hides_nothing)
{
    static const int64_t steps_ns[] = {-HOUR_NS, -NS_PER_S, -15 * NS_PER_MS, -5 * NS_PER_MS};
    struct rig g;

    up(&g);
    for (size_t i = 0; i < 4 * ARRAY_LEN(steps_ns); i++) {
        idle();
        rig_same_tree(&g, "/");
        change_all(&g, 2 * i);
        remote_mem_set_clock(g.inside, steps_ns[i / 4]);
        change_all(&g, 2 * i + 1);
        idle();
        rig_same_tree(&g, "/");
    }
    rig_down(&g);
}

struct jump {
    struct rig *g;
    unsigned count;
    int64_t step_ns;
    bool done;
};

static void jump(void *arg)
{
    struct jump *j = arg;

    change_all(j->g, j->count);
    remote_mem_set_clock(j->g->inside, j->step_ns);
    change_all(j->g, j->count + 1);
    j->done = true;
}

/* Looks at everything, while the clock jumps; whether that is seen whole is not asked yet. */
static void look_while(struct jump *j)
{
    char names[4096], path[16];

    j->done = false;
    remote_mem_on_look(j->g->inside, jump, j);
    for (unsigned d = 0; d < DIRS; d++) {
        snprintf(path, sizeof(path), "/d%u", d);
        assert_int_equal(rig_names(j->g, path, names, sizeof(names)), 0);
    }
    assert_true(j->done);
}

TEST(a_clock_that_jumps_during_a_look_hides_nothing)
{
    static const int64_t steps_ns[] = {HOUR_NS, -HOUR_NS, -NS_PER_S, NS_PER_S, -5 * NS_PER_MS};
    struct jump j = {0};
    struct rig g;

    up(&g);
    j.g = &g;
    for (size_t i = 0; i < 2 * ARRAY_LEN(steps_ns); i++) {
        idle();
        j.step_ns = steps_ns[i / 2];
        j.count = 2 * i;
        look_while(&j);
        idle();
        rig_same_tree(&g, "/");
    }
    rig_down(&g);
}

static uint64_t next_random(uint64_t *x)
{
    *x = *x * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *x >> 33;
}

TEST(a_clock_that_is_set_at_any_time_hides_nothing)
{
    uint64_t rnd = 1;
    struct jump j = {0};
    bool back = false; /* since the last look began: forward again would hide that */
    struct rig g;

    up(&g);
    j.g = &g;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const int64_t by_ns = (int64_t)(next_random(&rnd) % 1000) * NS_PER_MS;
        const int64_t step_ns = back || next_random(&rnd) % 2 ? -by_ns : by_ns;

        idle();
        change_all(&g, 4 * i);
        if (next_random(&rnd) % 2) {
            remote_mem_set_clock(g.inside, step_ns);
            change_all(&g, 4 * i + 1);
        }
        back = false;
        if (next_random(&rnd) % 2) {
            idle();
            j.step_ns = next_random(&rnd) % 2 ? by_ns : -by_ns;
            j.count = 4 * i + 2;
            look_while(&j);
            back = j.step_ns < 0;
        } else {
            idle();
            rig_same_tree(&g, "/");
        }
    }
    idle();
    rig_same_tree(&g, "/");
    rig_down(&g);
}

/* As when a machine is put back to a snapshot of itself, and its clock is right again. */
TEST(a_sandbox_whose_host_lost_time_is_asked_for_in_full)
{
    struct tally_counts c;
    struct rig g;

    up(&g);
    idle();
    rig_same_tree(&g, "/");
    tally_lose(g.tally, 10 * NS_PER_S);
    tally_bend(g.tally, NULL, 0);
    idle();
    tally_take(g.tally);
    rig_same_tree(&g, "/");
    c = tally_take(g.tally);
    assert_true(c.since_ns == INT64_MIN);
    idle();
    tally_take(g.tally);
    rig_same_tree(&g, "/");
    c = tally_take(g.tally);
    assert_true(c.since_ns != INT64_MIN);
    rig_down(&g);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_is_set_forward_hides_nothing_and_costs_nothing),
        cmocka_unit_test(a_clock_that_is_set_back_hides_nothing),
        cmocka_unit_test(a_clock_that_jumps_during_a_look_hides_nothing),
        cmocka_unit_test(a_clock_that_is_set_at_any_time_hides_nothing),
        cmocka_unit_test(a_sandbox_whose_host_lost_time_is_asked_for_in_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
