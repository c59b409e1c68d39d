/* The first frame of an answer: when and where it was given. */
#include "helper/verbs.h"

#include "helper/mounts.h"
#include "helper/text.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The kernel's boot, the first process's start (a container restarts without the former), and what
 * is mounted: when one of them is another, nothing that was known need be true. */
void start_name(int root, char ret[START_NAME])
{
    char boot[64], stat[1024];
    const char *p;
    unsigned long long started = 0;

    memset(ret, 0, START_NAME);
    text_read("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    boot[strcspn(boot, "\n")] = '\0';
    text_read("/proc/1/stat", stat, sizeof(stat));
    p = strrchr(stat, ')'); /* the name before it may hold anything */
    for (int field = 3; p && field <= 22; field++)
        p = strchr(p + 1, ' ');
    if (p)
        started = text_number(&p, 10);
    text_make(ret, START_NAME, "%s.%llu.%x", boot, started, root < 0 ? 0 : mounts_around(root));
}

void start_emit(struct emit *e, int root)
{
    struct timespec uptime;
    char boot[START_NAME];
    struct proto_start start;

    if (e->sent == 0 && e->count == 0)
        buf_truncate(&e->raw, 0); /* one that was there is out of date */
    start_name(root, boot);
    clock_gettime(CLOCK_BOOTTIME, &uptime);
    start = (struct proto_start){.now_ns = clock_real_ns(),
                                 .uptime_ns = timespec_to_ns(uptime),
                                 .boot = boot,
                                 .boot_len = strlen(boot)};
    EMIT(e, proto_put_start, &start);
}
