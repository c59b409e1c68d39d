#include "unit.h"

#include "fuse/interrupt.h"
#include "fuse/notify.h"
#include "fuse/slow.h"
#include "util/clock.h"
#include "util/lock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ten times what is promised: the machine may be busy. */
#define SOON_NS (2 * NS_PER_S)

struct job {
    struct slow_job slow; /* first */
    int64_t sleep_ns;
    int r;
    atomic_int ran;
};

static void run(struct slow_job *job)
{
    struct job *j = (struct job *)job;

    j->r = cancel_sleep(j->sleep_ns);
    atomic_fetch_add(&j->ran, 1);
}

static void job_init(struct job *j, int64_t sleep_ns)
{
    memset(j, 0, sizeof(*j));
    j->slow.run = run;
    j->slow.cancel = cancel_new();
    j->sleep_ns = sleep_ns;
}

static bool ran_within(struct job *j, int64_t ns)
{
    const int64_t until_ns = clock_mono_ns() + ns;

    while (atomic_load(&j->ran) == 0 && clock_mono_ns() < until_ns)
        (void)cancel_sleep(NS_PER_MS);
    return atomic_load(&j->ran) == 1;
}

static struct slow *pool(unsigned meta, unsigned data)
{
    const struct slow_config config = {.threads = {[SLOW_META] = meta, [SLOW_DATA] = data},
                                       .queue_max = 200};
    struct slow *s;

    assert_int_equal(slow_new(&config, &s), 0);
    return s;
}

TEST(a_full_lane_does_not_delay_the_other)
{
    struct slow *s = pool(2, 4);
    struct job data[50], meta;

    for (size_t i = 0; i < ARRAY_LEN(data); i++) {
        job_init(&data[i], 60 * NS_PER_S);
        assert_int_equal(slow_run(s, SLOW_DATA, &data[i].slow), 0);
    }
    job_init(&meta, 0);
    assert_int_equal(slow_run(s, SLOW_META, &meta.slow), 0);
    assert_true(ran_within(&meta, SOON_NS));
    assert_true(slow_threads(s) <= 6);

    assert_null(slow_free(s)); /* cancels the rest, and each of them has run */
    for (size_t i = 0; i < ARRAY_LEN(data); i++) {
        assert_int_equal(atomic_load(&data[i].ran), 1);
        assert_int_equal(data[i].r, -EINTR);
        cancel_unref(data[i].slow.cancel);
    }
    cancel_unref(meta.slow.cancel);
}

TEST(a_cancelled_job_ends_at_once_at_work_and_in_line)
{
    struct slow *s = pool(1, 1);
    struct job first, second, third;

    job_init(&first, 60 * NS_PER_S);
    job_init(&second, 60 * NS_PER_S);
    job_init(&third, 60 * NS_PER_S);
    assert_int_equal(slow_run(s, SLOW_DATA, &first.slow), 0);
    assert_int_equal(slow_run(s, SLOW_DATA, &second.slow), 0);
    slow_cancel(s, &second.slow); /* waits behind the first */
    assert_true(ran_within(&second, SOON_NS));
    assert_int_equal(second.r, -EINTR);
    assert_int_equal(atomic_load(&first.ran), 0);

    cancel_fire(third.slow.cancel); /* before it is handed over */
    assert_int_equal(slow_run(s, SLOW_DATA, &third.slow), 0);
    assert_true(ran_within(&third, SOON_NS));

    slow_cancel(s, &first.slow);
    assert_true(ran_within(&first, SOON_NS));
    assert_int_equal(first.r, -EINTR);
    slow_free(s);
    cancel_unref(first.slow.cancel);
    cancel_unref(second.slow.cancel);
    cancel_unref(third.slow.cancel);
}

TEST(the_line_has_an_end)
{
    struct slow *s = pool(1, 1);
    struct job *jobs = calloc(203, sizeof(*jobs));
    int refused = 0;

    for (int i = 0; i < 203; i++) {
        job_init(&jobs[i], 60 * NS_PER_S);
        if (slow_run(s, SLOW_DATA, &jobs[i].slow) == -EAGAIN)
            refused++;
    }
    assert_true(refused >= 2 && refused <= 3); /* 200 in line, perhaps one at work */
    slow_free(s);
    for (int i = 0; i < 203; i++)
        cancel_unref(jobs[i].slow.cancel);
    free(jobs);
}

/* ---- signals ---- */

#define BIT(sig) (UINT64_C(1) << ((sig)-1))

TEST(only_signals_that_mean_it_end_a_wait)
{
    static const struct {
        enum interrupt_kind kind;
        uint64_t pending, blocked, ignored, caught;
        bool want;
    } rows[] = {
        {INTERRUPT_FILE, BIT(SIGKILL), 0, 0, 0, true},
        {INTERRUPT_FILE, BIT(SIGINT), 0, 0, 0, true},              /* kills */
        {INTERRUPT_FILE, BIT(SIGINT), 0, 0, BIT(SIGINT), true},    /* an editor's ^C */
        {INTERRUPT_FILE, BIT(SIGINT), BIT(SIGINT), 0, 0, false},   /* blocked */
        {INTERRUPT_FILE, BIT(SIGINT), 0, BIT(SIGINT), 0, false},   /* ignored */
        {INTERRUPT_FILE, BIT(SIGALRM), 0, 0, BIT(SIGALRM), false}, /* git's progress */
        {INTERRUPT_FILE, BIT(SIGALRM), 0, 0, 0, true},             /* kills */
        {INTERRUPT_FILE, BIT(SIGURG), 0, 0, BIT(SIGURG), false},   /* Go's scheduler */
        {INTERRUPT_FILE, BIT(SIGCHLD), 0, 0, 0, false},
        {INTERRUPT_FILE, BIT(SIGTSTP), 0, 0, 0, false},
        {INTERRUPT_FILE, 0, 0, 0, 0, false},
        {INTERRUPT_STREAM, BIT(SIGALRM), 0, 0, BIT(SIGALRM), true}, /* as a pipe */
        {INTERRUPT_STREAM, BIT(SIGCHLD), 0, 0, BIT(SIGCHLD), false},
        {INTERRUPT_STREAM, BIT(SIGWINCH), 0, 0, BIT(SIGWINCH), false},
        {INTERRUPT_STREAM, BIT(SIGUSR1), 0, 0, BIT(SIGUSR1), true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (interrupt_wanted(rows[i].kind, rows[i].pending, rows[i].blocked, rows[i].ignored,
                             rows[i].caught) != rows[i].want)
            fail_msg("row %zu", i);
}

struct waiting {
    struct waiter waiter; /* first */
    atomic_int fired, freed;
};

static void count_fire(struct waiter *w)
{
    atomic_fetch_add(&((struct waiting *)w)->fired, 1);
}

static void count_free(struct waiter *w)
{
    atomic_fetch_add(&((struct waiting *)w)->freed, 1);
}

static void waiting_init(struct waiting *w, pid_t tid)
{
    memset(w, 0, sizeof(*w));
    w->waiter =
        (struct waiter){.tid = tid, .kind = INTERRUPT_FILE, .fire = count_fire, .free = count_free};
    atomic_init(&w->waiter.refs, 1);
}

static void wait_for(atomic_int *value, int want)
{
    const int64_t until_ns = clock_mono_ns() + SOON_NS;

    while (atomic_load(value) < want && clock_mono_ns() < until_ns)
        (void)cancel_sleep(NS_PER_MS);
    assert_true(atomic_load(value) >= want);
}

TEST(an_interrupted_waiter_is_fired_until_it_is_settled)
{
    struct interrupts *in;
    struct waiting dying, calm;

    assert_int_equal(interrupts_new(&in), 0);
    waiting_init(&dying, 0);       /* nothing is known of its caller */
    waiting_init(&calm, getpid()); /* has nothing pending */
    interrupts_add(in, &calm.waiter);
    interrupts_add(in, &dying.waiter);
    interrupts_add(in, &dying.waiter);
    wait_for(&dying.fired, 2);
    assert_int_equal(atomic_load(&calm.fired), 0);
    interrupts_settle(in, &dying.waiter);
    interrupts_settle(in, &calm.waiter);
    interrupts_add(in, &dying.waiter); /* too late: does nothing */
    waiter_unref(&dying.waiter);
    waiter_unref(&calm.waiter);
    interrupts_free(in);
    assert_int_equal(atomic_load(&dying.freed), 1);
    assert_int_equal(atomic_load(&calm.freed), 1);
}

/* A stopped process keeps what it is sent pending, as one does that waits in the kernel. */
TEST(a_signal_after_the_reported_one_is_seen_too)
{
    struct interrupts *in;
    struct waiting w;
    int ready[2];
    pid_t pid;
    char c;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        signal(SIGTERM, SIG_DFL);
        (void)!write(ready[1], "", 1); /* fork blocks signals for a while, with TSan */
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
    assert_int_equal(interrupts_new(&in), 0);
    waiting_init(&w, pid);
    interrupts_add(in, &w.waiter);
    kill(pid, SIGWINCH);
    (void)cancel_sleep(250 * NS_PER_MS);
    assert_int_equal(atomic_load(&w.fired), 0);
    kill(pid, SIGTERM);
    wait_for(&w.fired, 1);
    interrupts_settle(in, &w.waiter);
    waiter_unref(&w.waiter);
    interrupts_free(in);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- telling the kernel ---- */

struct kernel {
    struct lock lock;
    int inodes, entries;
    int64_t delay_ns;
};

static void hear_inode(void *arg, uint64_t ino)
{
    struct kernel *k = arg;

    (void)cancel_sleep(k->delay_ns);
    lock_take(&k->lock);
    k->inodes++;
    lock_drop(&k->lock);
}

static void hear_entry(void *arg, uint64_t parent, const char *name)
{
    struct kernel *k = arg;

    lock_take(&k->lock);
    k->entries += parent == 1 && strcmp(name, "a") == 0;
    lock_drop(&k->lock);
}

TEST(drain_returns_when_the_kernel_has_been_told)
{
    static const struct notify_target target = {.inode = hear_inode, .entry = hear_entry};
    struct kernel k = {.lock = LOCK_INIT, .delay_ns = 5 * NS_PER_MS};
    struct notify *n;

    assert_int_equal(notify_new(&n), 0);
    notify_for_fs.inode(n, 7); /* nobody to tell yet: dropped */
    notify_start(n, &target, &k);
    for (int i = 0; i < 20; i++)
        notify_for_fs.inode(n, 2);
    notify_for_fs.entry(n, 1, "a");
    assert_int_equal(notify_for_fs.drain(n, NS_PER_S), 0);
    assert_int_equal(k.inodes, 20);
    assert_int_equal(k.entries, 1);
    notify_for_fs.inode(n, 2);
    notify_stop(n);
    notify_for_fs.inode(n, 2);
    assert_int_equal(notify_for_fs.drain(n, NS_PER_S), 0);
    assert_true(k.inodes <= 21);
    notify_free(n);
    lock_done(&k.lock);
}

TEST(drain_does_not_wait_for_ever)
{
    static const struct notify_target target = {.inode = hear_inode, .entry = hear_entry};
    struct kernel k = {.lock = LOCK_INIT, .delay_ns = 3 * NS_PER_S};
    const int64_t start_ns = clock_mono_ns();
    struct notify *n;

    assert_int_equal(notify_new(&n), 0);
    notify_start(n, &target, &k);
    notify_for_fs.inode(n, 2);
    assert_int_equal(notify_drain(n, NS_PER_S), -ETIMEDOUT);
    assert_true(clock_mono_ns() - start_ns < 5 * NS_PER_S / 2);
    notify_free(n);
    lock_done(&k.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_lane_does_not_delay_the_other),
        cmocka_unit_test(a_cancelled_job_ends_at_once_at_work_and_in_line),
        cmocka_unit_test(the_line_has_an_end),
        cmocka_unit_test(only_signals_that_mean_it_end_a_wait),
        cmocka_unit_test(an_interrupted_waiter_is_fired_until_it_is_settled),
        cmocka_unit_test(a_signal_after_the_reported_one_is_seen_too),
        cmocka_unit_test(drain_returns_when_the_kernel_has_been_told),
        cmocka_unit_test(drain_does_not_wait_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
