/* The first frame of an answer: when and where it was given. */
#include "helper/verbs.h"

#include "util/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The first line of a file, without its end; "" if there is none. */
static void read_line(const char *path, char *out, size_t size)
{
    FILE *f = fopen(path, "re");

    if (!f || !fgets(out, (int)size, f))
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (f)
        fclose(f);
}

/* The kernel's boot and the first process's start: a container restarts without the former. */
static void name_boot(char *out, size_t size)
{
    char boot[64], stat[1024];
    const char *p;
    unsigned long long started = 0;

    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    read_line("/proc/1/stat", stat, sizeof(stat));
    p = strrchr(stat, ')'); /* the name before it may hold anything */
    for (int field = 3; p && field <= 22; field++)
        p = strchr(p + 1, ' ');
    if (p)
        (void)sscanf(p, "%llu", &started);
    snprintf(out, size, "%s.%llu", boot, started);
}

void start_emit(struct emit *e)
{
    struct timespec uptime;
    char boot[128];
    struct proto_start start;

    if (e->sent == 0 && e->count == 0)
        buf_truncate(&e->raw, 0); /* one that was there is out of date */
    name_boot(boot, sizeof(boot));
    clock_gettime(CLOCK_BOOTTIME, &uptime);
    start = (struct proto_start){.now_ns = clock_real_ns(),
                                 .uptime_ns = timespec_to_ns(uptime),
                                 .boot = boot,
                                 .boot_len = strlen(boot)};
    EMIT(e, proto_put_start, &start);
}
