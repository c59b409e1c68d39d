/* url.h - putting URLs together. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "util/buf.h"

#include <stdbool.h>

/* Appends s with every byte outside the unreserved characters as %XX (RFC 3986). */
int url_escape(struct buf *out, const char *s);

/* Appends "?key=value" or "&key=value" with the value escaped. value NULL: does nothing. */
int url_query(struct buf *url, const char *key, const char *value);

/* True for https, and for http to a loopback address or "localhost". */
bool url_is_safe(const char *url);

#endif
