/* daytonafs mount SANDBOX[:PATH] DIR, and the short form without "mount". */
#include "cli/cli.h"

#include "mount/mount.h"

#include <stdlib.h>

static int read_options(const struct cli *cli, struct options *o)
{
    struct buf why = BUF_INIT(4096);
    const char *text;
    int r = 0;

    for (size_t i = 0; r == 0 && (text = cli_each_value(cli, "options", &i));)
        r = options_parse(o, text, &why);
    if (r == 0)
        r = options_set_service(o, cli_value(cli, "api-url"), cli_value(cli, "credentials"));
    if (r < 0 && why.len > 0)
        r = cli_fail_usage(cli, "%s", buf_str(&why));
    else if (r < 0)
        r = cli_fail_errno(r, "cannot read the options");
    buf_done(&why);
    return r;
}

static int run(struct cli *cli)
{
    struct options options;
    struct mount_params params = {
        .dir = cli->argv[1],
        .options = &options,
        .foreground = cli_has(cli, "foreground"),
        .debug = cli_has(cli, "debug"),
    };
    char *sandbox = NULL, *path = NULL;
    int r = options_init(&options);

    if (r < 0)
        return cli_fail_errno(r, "cannot mount");
    r = read_options(cli, &options);
    if (r != EXITCODE_OK)
        goto out;
    if (mount_parse_target(cli->argv[0], &sandbox, &path) < 0) {
        r = cli_fail_usage(cli, "'%s' is not SANDBOX or SANDBOX:PATH", cli->argv[0]);
        goto out;
    }
    params.sandbox = sandbox;
    params.path = path;
    r = mount_main(&params);
out:
    free(sandbox);
    free(path);
    options_done(&options);
    return r;
}

static const struct cli_option options[] = {
    {"options", 'o', "OPTION[,...]", "mount options, listed below; may be given more than once"},
    {"foreground", 'f', NULL, "stay in the foreground and log to stderr"},
    {"debug", 'd', NULL, "as -f, and log every call"},
    {0},
};

const struct cli_command cmd_mount = {
    .name = "mount",
    .run = run,
    .usage = "SANDBOX[:PATH] DIR",
    .summary = "show a sandbox's files at a local directory",
    .text =
        "PATH is in the sandbox; it defaults to the sandbox's work-dir. DIR must exist; what it "
        "holds is hidden while it is mounted. A sandbox that is stopped is started. The program "
        "goes to the background "
        "when the mount answers.\n\n"
        "The word \"mount\" may be left out: `daytonafs SANDBOX DIR`. DIR/.ctl holds control "
        "files; DIR/.ctl/help says what they do.",
    .options = options,
    .flags = CLI_API | CLI_MOUNT_OPTIONS,
    .min = 2,
    .max = 2,
};
