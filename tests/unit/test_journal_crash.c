/* A process, or the machine, that dies at every step of what a journal does to the disk. */
#include "unit.h"

#include "journal_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BIG = 9000, CHANGES_MAX = 64 };

/* What the caller was told, and what it asked for and was not told. */
struct story {
    const struct journal_options *options;
    struct journal *j;
    uint64_t seq[CHANGES_MAX]; /* 0: not acknowledged */
    bool settled[CHANGES_MAX]; /* asked for */
    bool settled_ok[CHANGES_MAX];
    bool synced[CHANGES_MAX];
    bool begun_ok;
    int count; /* changes asked for */
};

static uint8_t byte_of(int i)
{
    return (uint8_t)('a' + i);
}

static size_t len_of(int i)
{
    return i % 3 == 0 ? BIG : (size_t)(i * 7 % 50);
}

static void change(struct story *s)
{
    const int i = s->count++;
    uint8_t data[BIG];
    char path[32];
    struct journal_record rec = {.kind = JOURNAL_PUT,
                                 .path = path,
                                 .data = data,
                                 .data_len = len_of(i),
                                 .size = (uint64_t)i,
                                 .when_ns = i};

    snprintf(path, sizeof(path), "/file%d", i);
    memset(data, byte_of(i), sizeof(data));
    if (journal_append(s->j, &rec, &s->seq[i]) < 0)
        s->seq[i] = 0;
}

static void settle(struct story *s, int i)
{
    const struct journal_result result = {.seq = s->seq[i], .settled = JOURNAL_DONE};

    if (!s->seq[i])
        return;
    s->settled[i] = true;
    s->settled_ok[i] = journal_settle(s->j, &result, 1) == 0;
}

static void sync_all(struct story *s)
{
    if (journal_sync(s->j) == 0)
        for (int i = 0; i < s->count; i++)
            s->synced[i] = s->seq[i] != 0;
}

static void batch(struct story *s, int first, int last)
{
    static const uint8_t digest[JOURNAL_DIGEST] = {7};
    const struct journal_range range = {s->seq[first], s->seq[last]};
    uint64_t number;

    if (s->seq[first] && s->seq[last])
        s->begun_ok = journal_begin_batch(s->j, &range, 1, digest, &number) == 0;
}

/* ---- scenarios ---- */

static void saves(struct story *s)
{
    for (int i = 0; i < 8; i++)
        change(s);
    sync_all(s);
    for (int i = 0; i < 4; i++)
        change(s);
}

static void saves_that_are_sent(struct story *s)
{
    for (int i = 0; i < 6; i++)
        change(s);
    batch(s, 0, 5);
    for (int i = 0; i < 5; i++)
        settle(s, i);
    change(s);
    sync_all(s);
    change(s);
}

static void compactions(struct story *s)
{
    for (int i = 0; i < 5; i++)
        change(s);
    settle(s, 0);
    settle(s, 3);
    (void)journal_compact(s->j);
    change(s);
    change(s);
    sync_all(s);
    settle(s, 1);
    settle(s, 6);
    change(s);
    (void)journal_compact(s->j);
    change(s);
}

/* Another process goes on; false: it cannot. */
static bool goes_on(struct story *s)
{
    s->j = journal_free(s->j);
    return journal_open(s->options, &rig_key, &s->j, NULL) == 0;
}

static void processes(struct story *s)
{
    for (int i = 0; i < 4; i++)
        change(s);
    sync_all(s);
    if (!goes_on(s))
        return;
    change(s);
    settle(s, 0);
    settle(s, 3);
    if (!goes_on(s)) /* which sweeps what they needed */
        return;
    change(s);
    sync_all(s);
    change(s);
    (void)journal_compact(s->j);
    if (!goes_on(s))
        return;
    change(s);
    batch(s, 5, 6);
    sync_all(s);
}

/* It is removed with the last of its records, and made anew. */
static void emptied(struct story *s)
{
    for (int i = 0; i < 4; i++)
        change(s);
    batch(s, 0, 3);
    sync_all(s);
    for (int i = 0; i < 4; i++)
        settle(s, i);
    (void)goes_on(s);
}

/* ---- what must hold afterwards ---- */

struct seen {
    const struct story *s;
    struct journal *j;
    bool found[CHANGES_MAX];
    int last;
};

static int look(void *arg, const struct journal_item *item)
{
    struct seen *seen = arg;
    struct buf data = BUF_INIT(2 * JOURNAL_EXTENT_MAX);
    const int i = (int)item->rec.when_ns;

    if (item->rec.kind == JOURNAL_BATCH)
        return 0;
    assert_true(i > seen->last && i < seen->s->count);
    seen->last = i;
    seen->found[i] = true;
    assert_int_equal(item->rec.size, i);
    assert_int_equal(journal_read(seen->j, item->rec.seq, 0, SIZE_MAX / 4, true, &data), 0);
    assert_int_equal(data.len, len_of(i));
    for (size_t k = 0; k < data.len; k++)
        assert_int_equal((uint8_t)data.data[k], byte_of(i));
    buf_done(&data);
    return 0;
}

static void check(struct journal_rig *rig, const struct story *s, bool power)
{
    struct seen seen = {.s = s, .last = -1};

    rig_die_after(-1);
    for (int pass = 0; pass < 2; pass++) { /* replaying changes nothing */
        bool lost = false;

        assert_int_equal(journal_open(&rig->options, &rig_key, &seen.j, NULL), 0);
        seen.last = -1;
        memset(seen.found, 0, sizeof(seen.found));
        assert_int_equal(journal_replay(seen.j, look, &seen), 0);
        for (int i = 0; i < s->count; i++) {
            if (power && s->seq[i] && !s->synced[i] && !seen.found[i] && !s->settled[i])
                lost = true;
            else if (power && seen.found[i])
                assert_false(lost); /* lost from the end only */
            if (s->seq[i] && !s->settled[i] && (!power || s->synced[i]))
                assert_true(seen.found[i]);
            if (!power && s->settled_ok[i])
                assert_false(seen.found[i]);
        }
        if (pass == 0) { /* and the journal goes on */
            struct story more = *s;

            more.j = seen.j;
            assert_true(more.count < CHANGES_MAX);
            change(&more);
            assert_true(more.seq[s->count] > 0);
            for (int i = 0; i < s->count; i++)
                assert_true(!seen.found[i] || power || more.seq[s->count] > s->seq[i]);
            settle(&more, s->count);
            assert_int_equal(journal_compact(seen.j), 0);
        }
        journal_free(seen.j);
    }
}

enum ending { PROCESS_DIES, POWER_LOST, GOES_ON };
static enum rig_loss loss; /* POWER_LOST: how */

static void lose_power(const struct journal_rig *rig)
{
    char *dir = rig_path(rig, "");

    rig_lose_power(dir, loss);
    free(dir);
}

/* True if the scenario ended before the disk died. */
static bool run_until(void (*scenario)(struct story *), long n, enum ending ending)
{
    struct journal_rig rig;
    struct story s = {0};
    bool whole;

    rig_make(&rig);
    rig.options.sys = &rig_disk;
    rig.options.limits.segment_bytes = 20000; /* two of the long ones */
    if (ending == GOES_ON)
        rig_fail_at(n, -ENOSPC);
    else
        rig_die_after(n);
    s.options = &rig.options;
    if (journal_open(&rig.options, &rig_key, &s.j, NULL) == 0)
        scenario(&s);
    whole = !rig_died();
    rig_kill(); /* giving it up must not tidy up either */
    journal_free(s.j);
    if (ending == POWER_LOST)
        lose_power(&rig);
    check(&rig, &s, ending == POWER_LOST);
    rig_remove(&rig);
    return whole;
}

static void run_all(enum ending ending)
{
    static void (*const scenarios[])(struct story *) = {saves, saves_that_are_sent, compactions,
                                                        processes, emptied};

    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        long n = 0;

        while (!run_until(scenarios[i], n, ending))
            n++;
        assert_true(n > 20);
    }
}

TEST(a_process_that_dies_at_any_step_loses_nothing)
{
    run_all(PROCESS_DIES);
}

TEST(a_machine_that_dies_at_any_step_loses_nothing_that_was_synced)
{
    for (loss = 0; loss < RIG_LOSSES; loss++)
        run_all(POWER_LOST);
}

TEST(a_call_that_fails_at_any_step_costs_nothing_that_was_promised)
{
    run_all(GOES_ON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_dies_at_any_step_loses_nothing),
        cmocka_unit_test(a_machine_that_dies_at_any_step_loses_nothing_that_was_synced),
        cmocka_unit_test(a_call_that_fails_at_any_step_costs_nothing_that_was_promised),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
