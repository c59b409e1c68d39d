/* daytonafs help [COMMAND], and what the build makes from the same rows. */
#include "cli/cli.h"

#include <stdio.h>

static int help_on(const struct cli *cli, struct buf *out)
{
    const struct cli_command *command;
    bool group;

    if (cli->argc == 0) {
        cli_help_overview(out);
        return EXITCODE_OK;
    }
    command = cli_find(cli->argv[0], cli->argc > 1 ? cli->argv[1] : NULL, &group);
    if (group && cli->argc == 1)
        return cli_help_group(cli->argv[0], true);
    if (!command || group)
        return cli_unknown_command(group ? cli->argv[1] : cli->argv[0],
                                   group ? cli->argv[0] : NULL);
    cli_help_command(out, command);
    return EXITCODE_OK;
}

static int run(struct cli *cli)
{
    const char *shell = cli_value(cli, "completion"), *page = cli_value(cli, "man");
    struct buf out = BUF_INIT(1 << 20);
    int r = EXITCODE_OK;

    if (shell) {
        if (cli_completion(&out, shell) < 0)
            r = cli_fail_usage(cli, "there are completions for bash and zsh, not for '%s'", shell);
    } else if (page) {
        if (cli_man(&out, page) < 0)
            r = cli_fail_usage(cli, "there are pages daytonafs and daytonafs-ctl, not '%s'", page);
    } else {
        r = help_on(cli, &out);
    }
    if (r == EXITCODE_OK)
        fputs(buf_str(&out), stdout);
    buf_done(&out);
    return r;
}

static const struct cli_option options[] = {
    {"man", 0, "PAGE", "print the manual page daytonafs or daytonafs-ctl as roff"},
    {"completion", 0, "SHELL", "print the completions for bash or zsh"},
    {0},
};

const struct cli_command cmd_help = {
    .name = "help",
    .run = run,
    .usage = "[COMMAND]",
    .summary = "explain a command",
    .options = options,
    .max = 2,
};
