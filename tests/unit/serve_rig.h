/* serve_rig.h - the local server, a client of it and a started sandbox: the SDK's calls for real.
 */
#ifndef TESTS_SERVE_RIG_H
#define TESTS_SERVE_RIG_H

#include "sdk_rig.h"
#include "unit.h"

#include "server/server.h"

#define SERVE_KEY "local-test-key"

struct serve_rig {
    bool new_daemon;
    char state[64];
    struct server *server;
    struct daytona_client *client;
    struct daytona_sandbox *box;
    char *dir; /* its work-dir */
    char path[4096];
};
extern struct serve_rig fx;

/* For cmocka: *state is a bool, whether the daemon is a new one. */
int serve_rig_start(void **state);
int serve_rig_stop(void **state);

void set_fault(const char *spec);
const char *at(const char *name); /* a path below the work-dir; valid until the next one */

extern bool old_daemon, new_daemon;
#define WITH(test, kind)                                                                           \
    {                                                                                              \
#test " (" #kind ")", test, serve_rig_start, serve_rig_stop, &kind                         \
    }
#define BOTH(test) WITH(test, old_daemon), WITH(test, new_daemon)

#endif
