/* daytonafs serve: a local server of sandboxes; it reads its own arguments. */
#include "cli/cli.h"

#include "server/server.h"

static int run(struct cli *cli)
{
    return serve_main(cli->argc, cli->argv);
}

/* For the manual and the completions; src/server parses them, and unit.cli compares the two. */
static const struct cli_option options[] = {
    {"listen", 0, "ADDR:PORT", "where to listen, loopback only (127.0.0.1, any free port)"},
    {"public-url", 0, "URL", "base of the URLs it hands out, for a relay in between"},
    {"state", 0, "DIR", "where sandboxes live ($XDG_STATE_HOME/daytonafs/serve)"},
    {"key-file", 0, "FILE", "holds the API key; without it one is made in the state directory"},
    {"sandbox", 0, "NAME=DIR", "serve DIR as that sandbox's home; may be repeated"},
    {"fault", 0, "SPEC", "break things on purpose; `daytonafs serve --help` says how"},
    {"daemon", 0, "KIND", "the toolbox to imitate: 0.190 (default) or new"},
    {"no-isolation", 0, NULL, "processes see the host as it is: for trusted code only"},
    {0},
};

const struct cli_command cmd_serve = {
    .name = "serve",
    .run = run,
    .usage = "",
    .summary = "serve local sandboxes behind the same API, without an account",
    .text = "Stays in the foreground and prints one line of JSON when it is ready: its URL, and "
            "where the API key is. SIGINT or SIGTERM ends it and what runs in the sandboxes; they "
            "are there again at the next start.",
    .options = options,
    .flags = CLI_RAW,
    .max = -1,
};
