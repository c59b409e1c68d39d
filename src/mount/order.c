#include "mount/order.h"

#include "util/buf.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/path.h"
#include "util/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_MAX = 64 << 10, QUEUE_MAX = 4 << 20, LIST_LINES = 20, BAR = 20 };
#define LOOK_NS (200 * NS_PER_MS)
#define SETTLE_NS (500 * NS_PER_MS) /* what is sooner over needs no bar */

int order_open(const char *dir, const char *ctl_name, const char *file, int flags)
{
    struct buf path = BUF_INIT(PATH_LEN_MAX);
    int fd = buf_printf(&path, "%s/%s/%s", dir, ctl_name, file);

    if (fd == 0) {
        fd = open(buf_str(&path), flags | O_CLOEXEC);
        if (fd < 0)
            fd = -errno;
    }
    buf_done(&path);
    return fd;
}

static int read_control(const char *dir, const char *ctl_name, const char *file, struct buf *out)
{
    const int fd = order_open(dir, ctl_name, file, O_RDONLY);
    char bytes[16384];
    ssize_t n;
    int r = 0;

    if (fd < 0)
        return fd;
    while (r == 0 && (n = read(fd, bytes, sizeof(bytes))) != 0) {
        if (n > 0)
            r = buf_append(out, bytes, (size_t)n);
        else if (errno != EINTR)
            r = -errno;
    }
    close(fd);
    return r;
}

/* ---- the bar ---- */

struct bar {
    const char *dir, *ctl_name;
    int64_t start_ns;
    uint64_t most, most_bytes; /* that waited since it began */
    uint64_t last_bytes;
    int64_t last_ns;
    double rate; /* bytes a second, of late */
    bool drawn;
};

static uint64_t value_of(const struct buf *status, const char *key)
{
    const size_t len = strlen(key);
    const char *p = buf_str(status);

    while (*p && (strncmp(p, key, len) != 0 || p[len] != ' ')) {
        p += strcspn(p, "\n");
        p += *p == '\n';
    }
    return *p ? strtoull(p + len + 1, NULL, 10) : 0;
}

static void put_size(struct buf *out, double bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    unsigned i = 0;

    while (bytes >= 1000 && i < 4) {
        bytes /= 1000;
        i++;
    }
    (void)buf_printf(out, i == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[i]);
}

static void draw(struct bar *b, uint64_t left, uint64_t bytes)
{
    /* Many small files, or few large ones: whatever says more of how far it is. */
    const double by_count = b->most ? 1 - (double)left / (double)b->most : 0;
    const double by_bytes = b->most_bytes ? 1 - (double)bytes / (double)b->most_bytes : by_count;
    const double done = by_count < by_bytes ? by_count : by_bytes;
    const int full = (int)(done * BAR);
    struct buf line = BUF_INIT(512);

    (void)buf_printf(&line, "\r[%.*s%*s] %3.0f %%  %" PRIu64 " of %" PRIu64 " changes left, ", full,
                     "####################", BAR - full, "", done * 100, left, b->most);
    put_size(&line, (double)bytes);
    if (b->rate > 0) {
        (void)buf_puts(&line, ", ");
        put_size(&line, b->rate);
        (void)buf_puts(&line, "/s");
    }
    (void)buf_puts(&line, "\033[K");
    fputs(buf_str(&line), stderr);
    fflush(stderr);
    buf_done(&line);
    b->drawn = true;
}

static void look(struct bar *b)
{
    struct buf status = BUF_INIT(STATUS_MAX);
    const int64_t now_ns = clock_mono_ns();
    uint64_t left, bytes;

    if (read_control(b->dir, b->ctl_name, "status", &status) == 0) {
        left = value_of(&status, "unsent_files");
        bytes = value_of(&status, "unsent_bytes");
        b->most = left > b->most ? left : b->most;
        b->most_bytes = bytes > b->most_bytes ? bytes : b->most_bytes;
        if (b->last_ns && bytes < b->last_bytes) {
            const double seconds = (double)(now_ns - b->last_ns) / NS_PER_S;
            const double rate = (double)(b->last_bytes - bytes) / seconds;

            b->rate = b->rate > 0 ? b->rate * 0.8 + rate * 0.2 : rate;
        }
        b->last_bytes = bytes;
        b->last_ns = now_ns;
        if (b->most > 0 && now_ns - b->start_ns > SETTLE_NS)
            draw(b, left, bytes);
    }
    buf_done(&status);
}

static void wipe(struct bar *b)
{
    if (b->drawn)
        fputs("\r\033[K", stderr);
}

/* ---- the order ---- */

struct order {
    int fd;
    const char *line;
    struct lock lock; /* guards what follows */
    pthread_cond_t over;
    bool done;
    int r; /* valid when done */
};

static void *give_order(void *arg)
{
    struct order *o = arg;
    const ssize_t n = write(o->fd, o->line, strlen(o->line));
    const int r = n < 0 ? -errno : 0;

    lock_take(&o->lock);
    o->r = r;
    o->done = true;
    pthread_cond_signal(&o->over);
    lock_drop(&o->lock);
    return NULL;
}

static void nothing(int signal)
{
    (void)signal; /* the write that it interrupts is what matters */
}

static void wait_over(struct order *o, struct bar *b, pthread_t thread, int64_t timeout_ns,
                      bool *ret_late)
{
    const bool shows = isatty(STDERR_FILENO);
    const int64_t end_ns = b->start_ns + timeout_ns;

    lock_take(&o->lock);
    while (!o->done) {
        int64_t until_ns = clock_mono_ns() + LOOK_NS;

        if (timeout_ns > 0 && until_ns > end_ns && !*ret_late)
            until_ns = end_ns;
        if (lock_wait_until(&o->lock, &o->over, until_ns) == 0)
            continue;
        *ret_late = timeout_ns > 0 && clock_mono_ns() >= end_ns;
        if (*ret_late)
            pthread_kill(thread, SIGUSR1); /* again each time: the first may come too early */
        if (!shows)
            continue;
        lock_drop(&o->lock);
        look(b);
        lock_take(&o->lock);
    }
    lock_drop(&o->lock);
}

int order_sync(const char *dir, const char *ctl_name, const char *line, int64_t timeout_ns)
{
    const struct sigaction interrupts = {.sa_handler = nothing}; /* no SA_RESTART */
    struct bar b = {.dir = dir, .ctl_name = ctl_name, .start_ns = clock_mono_ns()};
    struct order o = {.line = line};
    bool late = false;
    pthread_t thread;
    int r;

    o.fd = order_open(dir, ctl_name, "ctl", O_WRONLY);
    if (o.fd < 0)
        return o.fd;
    lock_init(&o.lock);
    lock_cond_init(&o.over);
    (void)sigaction(SIGUSR1, &interrupts, NULL);
    r = -pthread_create(&thread, NULL, give_order, &o);
    if (r == 0) {
        wait_over(&o, &b, thread, timeout_ns, &late);
        pthread_join(thread, NULL);
        r = late && o.r == -EINTR ? -ETIMEDOUT : o.r;
    }
    wipe(&b);
    close(o.fd);
    pthread_cond_destroy(&o.over);
    lock_done(&o.lock);
    return r;
}

void order_list_left(const char *dir, const char *ctl_name)
{
    struct buf queue = BUF_INIT(QUEUE_MAX);
    size_t lines = 0;

    if (read_control(dir, ctl_name, "queue", &queue) == 0) {
        for (const char *p = buf_str(&queue); *p; lines++) {
            const size_t len = strcspn(p, "\n");

            if (lines < LIST_LINES)
                fprintf(stderr, "  %.*s\n", (int)len, p);
            p += len;
            p += *p == '\n';
        }
        if (lines > LIST_LINES)
            fprintf(stderr, "  and %zu more\n", lines - LIST_LINES);
    }
    buf_done(&queue);
}
