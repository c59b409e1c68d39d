/* signals.h - signals as people name them. */
#ifndef UTIL_SIGNALS_H
#define UTIL_SIGNALS_H

/* "TERM", "sigterm", "15"; 0 to 64. -EINVAL. */
int signals_parse(const char *word);

#endif
