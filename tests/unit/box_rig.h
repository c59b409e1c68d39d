/* box_rig.h - a local server, a sandbox, and what remote makes of it, for tests. */
#ifndef TESTS_BOX_RIG_H
#define TESTS_BOX_RIG_H

#include "remote/backends.h"

#include <daytona/daytona.h>
#include <stdatomic.h>

struct box_rig {
    char state[64];
    struct server *server;
    struct daytona_client *client;
    struct daytona_sandbox *sandbox;
    char *home;            /* in the sandbox */
    struct remote *remote; /* with the helper, or (NULL) plain */
    atomic_uint requests;
};

/* helper: the program, or NULL for plain mode. 0, or -1 with what went wrong printed. */
int box_rig_start(struct box_rig *rig, const char *helper);
void box_rig_stop(struct box_rig *rig);
void box_rig_fault(struct box_rig *rig, const char *spec);
unsigned box_rig_requests(struct box_rig *rig); /* since the last call */

#endif
