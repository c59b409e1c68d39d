/* daytonafs serve: a local server of sandboxes; it reads its own arguments. */
#include "cli/cli.h"

#include "server/server.h"

static int run(struct cli *cli)
{
    return serve_main(cli->argc, cli->argv);
}

/* For the manual and the completions; src/server parses them. */
static const struct cli_option options[] = {
    {"listen", 0, "ADDR:PORT", "loopback only; default 127.0.0.1:0, any free port"},
    {"public-url", 0, "URL", "the base of the URLs it hands out, for a relay in between"},
    {"state", 0, "DIR", "where sandboxes are kept"},
    {"key-file", 0, "FILE", "holds the API key that requests need"},
    {"sandbox", 0, "NAME=DIR", "serve an existing directory as that sandbox's home"},
    {"fault", 0, "SPEC", "break requests on purpose"},
    {"no-isolation", 0, NULL, "commands see the whole host"},
    {0},
};

const struct cli_command cmd_serve = {
    .name = "serve",
    .run = run,
    .usage = "",
    .summary = "serve local sandboxes behind the same API, without an account",
    .text = "Stays in the foreground and prints one JSON line with its URL when it is ready.",
    .options = options,
    .flags = CLI_RAW,
    .max = -1,
};
