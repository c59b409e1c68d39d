/* ports.h - which TCP ports a sandbox's processes listen on. */
#ifndef SERVER_PORTS_H
#define SERVER_PORTS_H

struct request;

/* Does one of the sandbox's own processes, without isolation one of the host's? 1, 0, or -errno. */
int ports_has(const struct request *rq, unsigned port);

#endif
