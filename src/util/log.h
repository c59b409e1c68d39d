/*
 * log.h - what the program says about itself: to stderr, or to the system log once it is in the
 * background. Whoever handles or drops an error logs it; code that returns one does not. Never
 * given a credential.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTE, LOG_DETAIL };

void log_set_level(enum log_level level); /* default LOG_WARN; call before threads start */
void log_to_syslog(const char *name);     /* name is kept by reference */
bool log_wants(enum log_level level);
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
