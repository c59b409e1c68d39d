/* daytonafs umount DIR */
#include "cli/cli.h"

#include "mount/umount.h"

static int run(struct cli *cli)
{
    struct umount_params params = {
        .dir = cli->argv[0],
        .force = cli_has(cli, "force"),
        .lazy = cli_has(cli, "lazy"),
    };
    const int r = cli_duration(cli, "timeout", &params.timeout_ns);

    return r != EXITCODE_OK ? r : umount_main(&params);
}

static const struct cli_option options[] = {
    {"force", 'f', NULL, "unmount even if something could not be sent"},
    {"lazy", 'l', NULL, "unmount now, and clean up when nobody uses it any more"},
    {"timeout", 0, "TIME", "give up after so long (1s, 5m), and leave it mounted"},
    {0},
};

const struct cli_command cmd_umount = {
    .name = "umount",
    .run = run,
    .usage = "DIR",
    .summary = "send what is pending and take a mount away",
    .text = "Ends when everything has arrived in the sandbox and the mount is gone. If something "
            "could not be sent it stays mounted, and the exit code is 8.",
    .options = options,
    .min = 1,
    .max = 1,
};
