/* The helper as the tests build it: it dies where it is told to, and its time is short. */
#include "helper/apply.h"
#include "helper/walk.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

static long from_environment(const char *name)
{
    const char *value = getenv(name);

    return value ? strtol(value, NULL, 10) : 0;
}

void apply_step(void)
{
    static long count;
    static bool read_only;
    const char *mount_point = getenv("HELPER_READ_ONLY");

    if (++count == from_environment("HELPER_DIES_AT"))
        kill(getpid(), SIGKILL);
    if (count == from_environment("HELPER_STOPS_AT"))
        kill(getpid(), SIGSTOP);
    /* Not as long as something on it is open for writing. */
    if (mount_point && !read_only && count >= from_environment("HELPER_READ_ONLY_AT"))
        read_only = mount(NULL, mount_point, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0;
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
