#include "util/log.h"

#include "util/clock.h"
#include "util/text.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

static enum log_level max_level = LOG_WARN;
static bool use_syslog;

void log_set_level(enum log_level level)
{
    max_level = level;
}

void log_to_syslog(const char *name)
{
    openlog(name, LOG_PID, LOG_DAEMON);
    use_syslog = true;
}

bool log_wants(enum log_level level)
{
    return level <= max_level;
}

/* What names and answers from a sandbox hold must neither steer a terminal nor make up a line. */
static void make_plain(char *line)
{
    for (size_t n; *line; line += n ? n : 1) {
        n = text_control(line);
        memset(line, '?', n);
    }
}

/* A terminal that was stopped, or a pipe that nobody reads, holds nobody up for longer. */
enum { PATIENCE_MS = 1000 };

/* As it fits: a pipe that is ready takes a whole line. */
static void put_line(const char *line)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static unsigned long lost;
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    char note[64];

    pthread_mutex_lock(&mutex);
    if (poll(&p, 1, lost > 0 ? 0 : PATIENCE_MS) == 0) {
        lost++;
    } else {
        if (lost > 0) {
            snprintf(note, sizeof(note), "daytonafs: %lu lines are missing here\n", lost);
            (void)!write(STDERR_FILENO, note, strlen(note));
            lost = 0;
        }
        (void)!write(STDERR_FILENO, line, strlen(line));
    }
    pthread_mutex_unlock(&mutex);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
    static const int priority[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_DEBUG};
    char line[2048], full[sizeof(line) + 64];
    va_list ap;

    if (!log_wants(level))
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    make_plain(line);

    if (use_syslog) {
        syslog(priority[level], "%s", line);
        return;
    }
    if (level == LOG_DETAIL)
        snprintf(full, sizeof(full), "%.6f %s\n", (double)clock_mono_ns() / NS_PER_S, line);
    else
        snprintf(full, sizeof(full), "daytonafs: %s\n", line);
    put_line(full);
}
