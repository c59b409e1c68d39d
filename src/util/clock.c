#include "util/clock.h"

static int64_t now(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return timespec_to_ns(ts);
}

int64_t clock_mono_ns(void)
{
    return now(CLOCK_MONOTONIC);
}

int64_t clock_real_ns(void)
{
    return now(CLOCK_REALTIME);
}

int64_t clock_offset_ns(int64_t offset_ns, int64_t theirs_ns, int64_t start_ns, int64_t end_ns)
{
    int64_t least, most;

    if (__builtin_sub_overflow(theirs_ns, end_ns, &least) ||
        __builtin_sub_overflow(theirs_ns, start_ns, &most) || least > most)
        return offset_ns;
    if (offset_ns < least)
        return least;
    return offset_ns > most ? most : offset_ns;
}

struct timespec ns_to_timespec(int64_t ns)
{
    struct timespec ts = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};

    if (ts.tv_nsec < 0) {
        ts.tv_nsec += NS_PER_S;
        ts.tv_sec--;
    }
    return ts;
}

int64_t timespec_to_ns(struct timespec ts)
{
    int64_t ns;

    if (__builtin_mul_overflow((int64_t)ts.tv_sec, NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)ts.tv_nsec, &ns))
        return ts.tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}
