/* info.c - what a sandbox says of itself. */
#include "server/server_internal.h"

#include "util/clock.h"
#include "wire/time.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

static void answer(struct request *rq, const char *key, const char *value)
{
    struct json_out o = reply_json(rq, 200);

    json_open(&o, '{');
    json_key(&o, key);
    json_string(&o, value);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

void info_version(struct request *rq)
{
    answer(rq, "version", rq->srv->new_daemon ? "v0.205.0" : "v0.190.0");
}

/* The sandbox's image has no WORKDIR: work-dir, home and the old project-dir are one. */
void info_work_dir(struct request *rq)
{
    answer(rq, "dir", view_work_dir(rq));
}

/* The machine's: a sandbox has no share of its own here. */
void info_metrics(struct request *rq)
{
    struct buf when = BUF_INIT(64);
    struct sysinfo info = {0};
    struct statvfs disk = {0};
    struct json_out o;
    double used;
    int fd;

    (void)sysinfo(&info);
    /* The load of the last minute, as a share of the processors. */
    used = (double)info.loads[0] / 65536 * 100 / (double)sysconf(_SC_NPROCESSORS_ONLN);
    fd = view_open(rq, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        (void)fstatvfs(fd, &disk);
        close(fd);
    }
    (void)time_write_rfc3339(&when, clock_real_ns(), 0);
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "cpuCount");
    json_int(&o, sysconf(_SC_NPROCESSORS_ONLN));
    json_key(&o, "cpuUsedPct");
    json_double(&o, used < 100 ? used : 100);
    json_key(&o, "memTotal");
    json_int(&o, (int64_t)info.totalram * info.mem_unit);
    json_key(&o, "memUsed");
    json_int(&o, (int64_t)(info.totalram - info.freeram) * info.mem_unit);
    json_key(&o, "memCache");
    json_int(&o, (int64_t)info.bufferram * info.mem_unit);
    json_key(&o, "diskTotal");
    json_int(&o, (int64_t)(disk.f_blocks * disk.f_frsize));
    json_key(&o, "diskUsed");
    json_int(&o, (int64_t)((disk.f_blocks - disk.f_bfree) * disk.f_frsize));
    json_key(&o, "diskFree");
    json_int(&o, (int64_t)(disk.f_bavail * disk.f_frsize));
    json_key(&o, "timestamp");
    json_string(&o, buf_str(&when));
    json_close(&o, '}');
    reply_json_end(rq, &o);
    buf_done(&when);
}
