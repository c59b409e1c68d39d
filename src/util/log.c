#include "util/log.h"

#include "util/clock.h"
#include "util/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

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

void log_msg(enum log_level level, const char *fmt, ...)
{
    static const int priority[] = {LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_DEBUG};
    char line[2048];
    va_list ap;

    if (!log_wants(level))
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    make_plain(line);

    if (use_syslog)
        syslog(priority[level], "%s", line);
    else if (level == LOG_DETAIL)
        fprintf(stderr, "%.6f %s\n", (double)clock_mono_ns() / NS_PER_S, line);
    else
        fprintf(stderr, "daytonafs: %s\n", line);
}
