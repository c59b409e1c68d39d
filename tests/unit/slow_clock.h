/*
 * slow_clock.h - time as a test wants it: it goes on when the test says so, and by itself only a
 * sixteenth as fast as it really does, so that a busy machine does not end a window of time. For
 * programs that CMakeLists.txt links with it; waits until a time of this clock end in time.
 */
#ifndef UNIT_SLOW_CLOCK_H
#define UNIT_SLOW_CLOCK_H

#include <stdint.h>

void slow_clock_pass(int64_t ns);

#endif
