/*
 * keepalive.h - keepalive=busy: while there is work that the sandbox must not be stopped in, the
 * service is told now and then that it is in use. What is told costs one small request, and an idle
 * mount tells nothing.
 */
#ifndef MOUNT_KEEPALIVE_H
#define MOUNT_KEEPALIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <daytona/sandbox.h>

struct keepalive;

/* busy is asked on a thread of its own, every so often. -EAGAIN: there can be no thread. */
int keepalive_new(struct daytona_sandbox *sandbox, bool (*busy)(void *arg), void *arg,
                  int64_t every_ns, struct keepalive **ret);
struct keepalive *keepalive_free(struct keepalive *k); /* takes NULL; does not wait for answers */

#endif
