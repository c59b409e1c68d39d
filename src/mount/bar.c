#include "mount/bar.h"

#include "util/buf.h"
#include "util/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { WIDTH = 20 };
#define SETTLE_NS (500 * NS_PER_MS) /* what is sooner over needs no bar */

void bar_begin(struct bar *b)
{
    *b = (struct bar){.start_ns = clock_mono_ns(), .shows = isatty(STDERR_FILENO)};
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
    const int full = (int)(done * WIDTH);
    struct buf line = BUF_INIT(512);

    (void)buf_printf(&line, "\r[%.*s%*s] %3.0f %%  %" PRIu64 " of %" PRIu64 " changes left, ", full,
                     "####################", WIDTH - full, "", done * 100, left, b->most);
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

void bar_show(struct bar *b, uint64_t changes, uint64_t bytes)
{
    const int64_t now_ns = clock_mono_ns();

    if (!b->shows)
        return;
    b->most = changes > b->most ? changes : b->most;
    b->most_bytes = bytes > b->most_bytes ? bytes : b->most_bytes;
    if (b->last_ns && bytes < b->last_bytes) {
        const double seconds = (double)(now_ns - b->last_ns) / NS_PER_S;
        const double rate = (double)(b->last_bytes - bytes) / seconds;

        b->rate = b->rate > 0 ? b->rate * 0.8 + rate * 0.2 : rate;
    }
    b->last_bytes = bytes;
    b->last_ns = now_ns;
    if (b->most > 0 && now_ns - b->start_ns > SETTLE_NS)
        draw(b, changes, bytes);
}

void bar_end(struct bar *b)
{
    if (b->drawn)
        fputs("\r\033[K", stderr);
    b->drawn = false;
}
