/*
 * The one errno for a sandbox that does not run is EHOSTDOWN, whatever the reason: what is queued
 * waits for it, and is never taken for refused. The reason is in .ctl/errors and sandbox/state.
 */
#include "ctl/states.h"

#include <errno.h>

/* clang-format off */
const struct states_row states_table[] = {
    {DAYTONA_STATE_STARTED, "started", false, 0, "it runs"},
    {DAYTONA_STATE_STOPPED, "stopped", true, -EHOSTDOWN, "it can be started in seconds"},
    {DAYTONA_STATE_PAUSED, "paused pausing resuming", true, -EHOSTDOWN,
     "start goes on where it was"},
    {DAYTONA_STATE_ARCHIVED, "archived", true, -EHOSTDOWN, "it can be started, which takes longer"},
    {DAYTONA_STATE_STARTING, "starting", true, -EHOSTDOWN, "it will run in a moment"},
    {DAYTONA_STATE_RESTORING, "restoring", true, -EHOSTDOWN, "it comes back from the archive"},
    {DAYTONA_STATE_CREATING, "creating", true, -EHOSTDOWN, "it is being made"},
    {DAYTONA_STATE_PULLING, "pulling_snapshot", true, -EHOSTDOWN,
     "what it is made from is fetched"},
    {DAYTONA_STATE_BUILDING, "pending_build building_snapshot", true, -EHOSTDOWN,
     "what it is made from is built"},
    {DAYTONA_STATE_STOPPING, "stopping", true, -EHOSTDOWN, "it can be started when it has stopped"},
    {DAYTONA_STATE_ARCHIVING, "archiving", true, -EHOSTDOWN, "start ends that"},
    {DAYTONA_STATE_ERROR, "error", false, -EHOSTDOWN,
     "sandbox/error says why; the verb recover may help"},
    {DAYTONA_STATE_BUILD_FAILED, "build_failed", false, -EHOSTDOWN, "it never ran, and will not"},
    {DAYTONA_STATE_DESTROYING, "destroying", false, -EHOSTDOWN, "it is being deleted"},
    {DAYTONA_STATE_DESTROYED, "destroyed", false, -EHOSTDOWN,
     "it is gone: unmount; what was not sent is kept here"},
    {DAYTONA_STATE_OTHER, "any other", true, 0, "it is tried"},
    {DAYTONA_STATE_OTHER, NULL, false, 0, NULL},
};
/* clang-format on */

const struct states_row *states_row(enum daytona_state state)
{
    const struct states_row *row = states_table;

    while (row->state != state && row->state != DAYTONA_STATE_OTHER)
        row++;
    return row;
}
