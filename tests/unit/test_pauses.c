/* Waits that are long, at their full length, by a clock that a test moves: see slow_clock.h. */
#include "unit.h"

#include "remote/backends.h"
#include "sdk_rig.h"
#include "slow_clock.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* ---- the probe of a sandbox that does not answer ---- */

/* What a busy machine may lose between two steps is far less of this clock. */
#define EARLY_NS (NS_PER_S / 2)

static void expect_state(struct remote *r, const char *text)
{
    struct buf is = BUF_INIT(200);

    assert_int_equal(remote_wake_text(r, &is), 0);
    assert_non_null(strstr(buf_str(&is), text));
    buf_done(&is);
}

/* Of a call that fails at once: was there a question before? */
static unsigned asked(struct remote *r, struct remote_fault *f)
{
    const unsigned before = remote_fault_calls(f);

    assert_int_equal(remote_create(r, "/f", 0644, NULL), -EHOSTDOWN);
    return remote_fault_calls(f) - before;
}

TEST(after_a_timeout_calls_fail_fast_until_a_probe_is_answered)
{
    struct remote_fault *f;
    struct remote *r = remote_fault_new(remote_mem_new(0, 0), &f);
    unsigned before;

    r = remote_wake_new(r, NULL, NULL);
    assert_non_null(r);
    remote_fault_down(f, 0, -ETIMEDOUT);
    assert_int_equal(remote_create(r, "/f", 0644, NULL), -ETIMEDOUT);
    expect_state(r, "unreachable since 2");
    for (int i = 0; i < 100; i++)
        assert_int_equal(asked(r, f), 0);
    slow_clock_pass(NS_PER_S + EARLY_NS);
    assert_int_equal(asked(r, f), 1); /* one probe, in vain */
    remote_fault_down(f, 0, 0);
    assert_int_equal(asked(r, f), 0); /* two seconds now */
    slow_clock_pass(2 * NS_PER_S + EARLY_NS);
    before = remote_fault_calls(f);
    assert_int_equal(remote_create(r, "/f", 0644, &(struct remote_attr){0}), 0);
    assert_int_equal(remote_fault_calls(f) - before, 2); /* the probe, then the call */
    expect_state(r, "online");
    remote_free(r);
}

TEST(a_sandbox_that_does_not_answer_is_asked_with_pauses_of_up_to_a_minute)
{
    static const int64_t pauses_s[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    struct remote_attr attr;
    struct remote_fault *f;
    struct remote *r = remote_fault_new(remote_mem_new(0, 0), &f);

    r = remote_wake_new(r, NULL, NULL);
    assert_non_null(r);
    for (int outage = 0; outage < 2; outage++) {
        remote_fault_down(f, 0, -ETIMEDOUT);
        assert_int_equal(remote_stat(r, "/", &attr, NULL), -ETIMEDOUT);
        for (size_t i = 0; i < ARRAY_LEN(pauses_s); i++) {
            slow_clock_pass(pauses_s[i] * NS_PER_S - EARLY_NS);
            assert_int_equal(asked(r, f), 0);
            slow_clock_pass(2 * EARLY_NS);
            assert_int_equal(asked(r, f), 1);
            expect_state(r, "unreachable since 2");
        }
        /* Up again, which nobody knows before it is asked. */
        remote_fault_down(f, 0, 0);
        assert_int_equal(asked(r, f), 0);
        slow_clock_pass(60 * NS_PER_S + EARLY_NS);
        assert_int_equal(remote_stat(r, "/", &attr, NULL), 0);
        expect_state(r, "online");
    }
    remote_free(r);
}

/* ---- a sandbox that does not start ---- */

enum { POLLS = 2000 };

static struct step steps[POLLS + 2];
static atomic_bool ended;

/* Bound to a cancel, as a call of a mount is; else it would sleep by the machine's own clock. */
static void *start_box(void *arg)
{
    int r;

    cancel_bind(arg);
    r = daytona_sandbox_start(rig.box, 120000);
    cancel_bind(NULL);
    ended = true;
    return (void *)(intptr_t)r;
}

static size_t steps_taken(void)
{
    size_t next;

    lock_take(&rig.script.lock);
    next = rig.script.next;
    lock_drop(&rig.script.lock);
    return next;
}

static void await_steps(size_t more)
{
    const size_t want = steps_taken() + more;

    for (int i = 0; i < 2000 && steps_taken() < want; i++)
        usleep(10000);
    assert_true(steps_taken() >= want);
}

TEST(a_sandbox_that_does_not_start_is_waited_for_two_minutes_and_no_longer)
{
    struct cancel *cancel = cancel_new();
    pthread_t thread;
    void *result;

    assert_non_null(cancel);
    steps[0] = (struct step){
        .request = "POST /api/sandbox/sb-1/start", .status = 200, .body = RIG_SANDBOX("starting")};
    for (size_t i = 1; i <= POLLS; i++)
        steps[i] = (struct step){
            .request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("starting")};
    script_set(&rig.script, steps);
    pthread_create(&thread, NULL, start_box, cancel);
    await_steps(2);
    slow_clock_pass(115 * NS_PER_S);
    await_steps(3); /* it is asked, again and again */
    assert_false(ended);
    slow_clock_pass(6 * NS_PER_S);
    pthread_join(thread, &result);
    cancel_unref(cancel);
    assert_int_equal((intptr_t)result, -ETIMEDOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_timeout_calls_fail_fast_until_a_probe_is_answered),
        cmocka_unit_test(a_sandbox_that_does_not_answer_is_asked_with_pauses_of_up_to_a_minute),
        RIG_TEST(a_sandbox_that_does_not_start_is_waited_for_two_minutes_and_no_longer),
    };

    sdk_rig_clear_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
