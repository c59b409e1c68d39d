/* clock.h - time in nanoseconds. Waiting uses the monotonic clock only. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

int64_t clock_mono_ns(void);
int64_t clock_real_ns(void); /* since the epoch, UTC */

/*
 * How far another clock is ahead of ours, when it showed theirs_ns at some moment between start_ns
 * and end_ns: offset_ns, which was known before, if that can be; else the nearest that can.
 */
int64_t clock_offset_ns(int64_t offset_ns, int64_t theirs_ns, int64_t start_ns, int64_t end_ns);

struct timespec ns_to_timespec(int64_t ns); /* negative times round towards the past */
int64_t timespec_to_ns(struct timespec ts); /* saturates at the ends of int64_t */

#endif
