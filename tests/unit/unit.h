/* unit.h - cmocka with what it wants included first, and a shorter way to list tests. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "util/array.h"

/* A test is a function; its name says the behaviour: TEST(replay_stops_at_a_torn_tail) { … } */
#define TEST(name) static void name(void **state)

#endif
