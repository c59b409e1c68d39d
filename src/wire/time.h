/*
 * time.h - points in time as the service writes them, to nanoseconds since the epoch (UTC).
 *
 * Years beyond what 64 bits of nanoseconds hold (1677 to 2262) saturate: files may carry any date.
 * The readers want the whole string to be a time: -EPROTO otherwise.
 */
#ifndef WIRE_TIME_H
#define WIRE_TIME_H

#include "util/buf.h"

#include <stdint.h>

/* "2026-06-01T10:00:00.123456789Z", "…+02:00": RFC 3339, no or up to 9 digits of fraction. */
int time_read_rfc3339(const char *s, int64_t *ret_ns);
/* "2026-06-01 10:00:00.123456789 +0000 UTC": Go's String(). The zone's name is not looked at. */
int time_read_go(const char *s, int64_t *ret_ns);
/* "Mon, 01 Jun 2026 10:00:00 GMT": Last-Modified. Seconds. */
int time_read_http(const char *s, int64_t *ret_s);

/* Trailing zeros of the fraction are left out, as Go does. offset_s: of the zone, east positive. */
int time_write_rfc3339(struct buf *out, int64_t ns, int offset_s);
int time_write_go(struct buf *out, int64_t ns, int offset_s, const char *zone);
int time_write_http(struct buf *out, int64_t s);

#endif
