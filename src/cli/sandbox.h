/* sandbox.h - what the commands of the group `sandbox` share. */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include "cli/api.h"

enum { SANDBOX_COLUMNS = 18 };
extern const struct cli_column sandbox_columns[SANDBOX_COLUMNS];
int sandbox_add_row(struct cli_rows *rows, const struct daytona_sandbox_info *info);

/* What a command says of a sandbox: its row in JSON; else with whole all of it, or its name. */
int sandbox_print(struct api *api, const struct cli *cli, bool whole);

/* Splits "KEY=VALUE" of each --option. *ret is one allocation, the caller's. An exit code. */
int sandbox_read_pairs(const struct cli *cli, const char *option, struct daytona_pair **ret,
                       size_t *ret_count);
/* --cpu and such; a number above 0. *ret stays as it is if it is not given. An exit code. */
int sandbox_read_number(const struct cli *cli, const char *option, double *ret);

/* The options that say how long to wait, and their value in the SDK's terms: 0 is for ever, -1 not
 * at all. An exit code. */
#define SANDBOX_WAIT_OPTIONS                                                                       \
    {"timeout", 0, "DURATION", "how long to wait: 120s, or 0 for ever"},                           \
    {                                                                                              \
        "no-wait", 0, NULL, "do not wait for the new state"                                        \
    }
int sandbox_read_timeout(const struct cli *cli, int64_t *ret_ms);

/* Does act with each sandbox that is named, and goes on after a failure. The first exit code that
 * is not 0. */
typedef int (*sandbox_act)(struct api *api, const struct cli *cli, int64_t timeout_ms);
int sandbox_each(struct cli *cli, sandbox_act act);

#endif
