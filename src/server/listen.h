/* listen.h - a socket that only this machine can reach. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include "util/buf.h"

enum { LISTEN_URL_MAX = 120 };

/*
 * text is "127.0.0.1:8090", "[::1]:0", "localhost:0" …; port 0 is any free one. *ret is a
 * listening socket, the caller's; url becomes "http://ADDR:PORT" as it is. On failure why has a
 * sentence: -EINVAL not understood, -EACCES not loopback, -EADDRINUSE …
 */
int listen_loopback(const char *text, int *ret, char url[LISTEN_URL_MAX], struct buf *why);

#endif
