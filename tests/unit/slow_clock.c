#include "slow_clock.h"

#include "util/clock.h"
#include "util/lock.h"

#include <stdatomic.h>

enum { SLOWER = 16 };

/* The linker has all others call the ones named wrap, and these the true ones. */
int64_t __real_clock_mono_ns(void);
int64_t __real_clock_real_ns(void);
int __real_lock_wait_until(struct lock *l, pthread_cond_t *cond, int64_t until_ns);
int64_t __wrap_clock_mono_ns(void);
int64_t __wrap_clock_real_ns(void);
int __wrap_lock_wait_until(struct lock *l, pthread_cond_t *cond, int64_t until_ns);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int64_t start_ns, start_real_ns;
static _Atomic int64_t passed_ns;

static void start(void)
{
    start_ns = __real_clock_mono_ns();
    start_real_ns = __real_clock_real_ns();
}

static int64_t since_start_ns(void)
{
    pthread_once(&once, start);
    return (__real_clock_mono_ns() - start_ns) / SLOWER + passed_ns;
}

int64_t __wrap_clock_mono_ns(void)
{
    const int64_t since_ns = since_start_ns();

    return start_ns + since_ns;
}

int64_t __wrap_clock_real_ns(void)
{
    const int64_t since_ns = since_start_ns();

    return start_real_ns + since_ns;
}

/* Sooner than that, when it is far away: whoever waits tests again. */
int __wrap_lock_wait_until(struct lock *l, pthread_cond_t *cond, int64_t until_ns)
{
    const int64_t left_ns = until_ns - __wrap_clock_mono_ns();

    return __real_lock_wait_until(l, cond, __real_clock_mono_ns() + left_ns);
}

void slow_clock_pass(int64_t ns)
{
    passed_ns += ns;
}
