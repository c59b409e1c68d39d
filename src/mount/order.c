#include "mount/order.h"

#include "mount/bar.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/lock.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_MAX = 64 << 10, QUEUE_MAX = 4 << 20, LIST_LINES = 20 };
#define LOOK_NS (200 * NS_PER_MS)

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
    int r;

    if (fd < 0)
        return fd;
    r = io_read_rest(fd, out);
    close(fd);
    return r;
}

/* ---- the order ---- */

struct order {
    const char *dir, *ctl_name;
    int fd;
    const char *line;
    struct bar bar;
    struct lock lock; /* guards what follows */
    pthread_cond_t over;
    bool done;
    int r; /* valid when done */
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

static void look(struct order *o)
{
    struct buf status = BUF_INIT(STATUS_MAX);

    if (read_control(o->dir, o->ctl_name, "status", &status) == 0)
        bar_show(&o->bar, value_of(&status, "unsent_files"), value_of(&status, "unsent_bytes"));
    buf_done(&status);
}

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

static void wait_over(struct order *o, pthread_t thread, int64_t timeout_ns, bool *ret_late)
{
    const int64_t end_ns = o->bar.start_ns + timeout_ns;

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
        if (!o->bar.shows)
            continue;
        lock_drop(&o->lock);
        look(o);
        lock_take(&o->lock);
    }
    lock_drop(&o->lock);
}

int order_sync(const char *dir, const char *ctl_name, const char *line, int64_t timeout_ns)
{
    const struct sigaction interrupts = {.sa_handler = nothing}; /* no SA_RESTART */
    struct order o = {.dir = dir, .ctl_name = ctl_name, .line = line};
    bool late = false;
    pthread_t thread;
    int r;

    o.fd = order_open(dir, ctl_name, "ctl", O_WRONLY);
    if (o.fd < 0)
        return o.fd;
    bar_begin(&o.bar);
    lock_init(&o.lock);
    lock_cond_init(&o.over);
    (void)sigaction(SIGUSR1, &interrupts, NULL);
    r = -pthread_create(&thread, NULL, give_order, &o);
    if (r == 0) {
        wait_over(&o, thread, timeout_ns, &late);
        pthread_join(thread, NULL);
        r = late && o.r == -EINTR ? -ETIMEDOUT : o.r;
    }
    bar_end(&o.bar);
    close(o.fd);
    pthread_cond_destroy(&o.over);
    lock_done(&o.lock);
    return r;
}

void order_list(const char *lines)
{
    size_t count = 0;

    for (const char *p = lines; *p; count++) {
        const size_t len = strcspn(p, "\n");

        if (count < LIST_LINES)
            fprintf(stderr, "  %.*s\n", (int)len, p);
        p += len;
        p += *p == '\n';
    }
    if (count > LIST_LINES)
        fprintf(stderr, "  and %zu more\n", count - LIST_LINES);
}

void order_list_left(const char *dir, const char *ctl_name)
{
    struct buf queue = BUF_INIT(QUEUE_MAX);

    if (read_control(dir, ctl_name, "queue", &queue) == 0)
        order_list(buf_str(&queue));
    buf_done(&queue);
}
