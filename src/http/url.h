/* url.h - putting URLs together, and judging them as the code that connects would. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "util/buf.h"

#include <stdbool.h>

/* Appends s with every byte outside the unreserved characters as %XX (RFC 3986). */
int url_escape(struct buf *out, const char *s);

/* Appends "?key=value" or "&key=value" with the value escaped. value NULL: does nothing. */
int url_query(struct buf *url, const char *key, const char *value);

/* http or https, with a host, and no user or password in it. */
bool url_is_valid(const char *url);
/* A valid URL whose host is 127.0.0.0/8, ::1 or "localhost". */
bool url_is_loopback(const char *url);
/* True for https, and for http to a loopback address or "localhost". */
bool url_is_safe(const char *url);
/* Both valid, with the same scheme, host and port. */
bool url_same_origin(const char *a, const char *b);

#endif
