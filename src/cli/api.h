/* api.h - a client and a sandbox for a command, and the line that says why there is none. */
#ifndef CLI_API_H
#define CLI_API_H

#include "cli/cli.h"

#include <daytona/daytona.h>

/* What a command that talks to the API holds. Zeroed before; api_done frees it. */
struct api {
    struct daytona_client *client;
    struct daytona_sandbox *sandbox;
    const char *name; /* of the sandbox, as written; borrowed */
};

/* Exit codes; a failure has been explained. */
int api_open(struct api *api, const struct cli *cli);
/* The API at url, unless --api-url says another; NULL: as api_open. */
int api_open_at(struct api *api, const struct cli *cli, const char *url);
int api_open_sandbox(struct api *api, const struct cli *cli, const char *name);
void api_done(struct api *api);

/* Explains err with the SDK's last error. Returns the exit code; 0 for 0. */
int api_check(const struct api *api, int err);

#endif
