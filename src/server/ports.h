/* ports.h - which TCP ports a sandbox's processes listen on. */
#ifndef SERVER_PORTS_H
#define SERVER_PORTS_H

#include <stddef.h>

enum { PORTS_MAX = 1024 };

struct request;

/* In order, each once. With isolation only those of the sandbox's own processes. */
int ports_list(const struct request *rq, unsigned ports[PORTS_MAX], size_t *ret_count);
int ports_has(const struct request *rq, unsigned port); /* 1, 0, or -errno */

#endif
