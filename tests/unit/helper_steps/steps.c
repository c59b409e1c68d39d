/* The helper as the tests build it: it dies where it is told to, and its time is short. */
#include "helper/apply.h"
#include "helper/walk.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static long from_environment(const char *name)
{
    const char *value = getenv(name);

    return value ? strtol(value, NULL, 10) : 0;
}

void apply_step(void)
{
    static long count;

    if (++count == from_environment("HELPER_DIES_AT"))
        kill(getpid(), SIGKILL);
}

int64_t apply_limit_ns(void)
{
    const long ms = from_environment("HELPER_LIMIT_MS");

    return (ms > 0 ? ms : 10000) * INT64_C(1000000);
}

/* So many times the file movesN gets the next name, before the next entry is looked at. */
void walk_step(int dir)
{
    static long moved;
    char from[32], to[32];

    if (moved >= from_environment("HELPER_MOVES"))
        return;
    snprintf(from, sizeof(from), "moves%ld", moved);
    snprintf(to, sizeof(to), "moves%ld", moved + 1);
    if (renameat(dir, from, dir, to) == 0)
        moved++;
}
