/* daytonafs version */
#include "cli/cli.h"

#include <stdio.h>

static int run(struct cli *cli)
{
    if (cli_has(cli, "json"))
        printf("{\"version\":\"%s\"}\n", DAYTONAFS_VERSION);
    else
        printf("daytonafs %s\n", DAYTONAFS_VERSION);
    return EXITCODE_OK;
}

const struct cli_command cmd_version = {
    .name = "version",
    .run = run,
    .usage = "",
    .summary = "print the version",
    .flags = CLI_JSON,
};
