/* stats.h - what went over the line, counted by API call. Any thread. */
#ifndef REMOTE_STATS_H
#define REMOTE_STATS_H

#include "util/buf.h"

#include <daytona/client.h>

struct stats;

struct stats *stats_new(void); /* NULL without memory */
struct stats *stats_free(struct stats *s);

/* A daytona_config.observe; arg is the struct stats. Every attempt counts as a request. */
void stats_observe(void *arg, const struct daytona_attempt *attempt);

/* "key value" lines: requests, retries, bytes_sent, bytes_received, requests.NAME … sorted. */
int stats_text(struct stats *s, struct buf *out);

#endif
