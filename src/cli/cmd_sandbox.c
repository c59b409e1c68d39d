/* daytonafs sandbox list|create|info */
#include "cli/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int run_list(struct cli *cli)
{
    struct daytona_sandbox_info *list = NULL;
    struct daytona_pair *labels = NULL;
    struct api api = {0};
    struct cli_rows rows;
    size_t label_count, count = 0;
    int r;

    cli_rows_init(&rows, sandbox_columns, SANDBOX_COLUMNS);
    r = sandbox_read_pairs(cli, "label", &labels, &label_count);
    if (r == EXITCODE_OK)
        r = api_open(&api, cli);
    if (r == EXITCODE_OK)
        r = api_check(&api, daytona_sandbox_list(api.client, labels, label_count, &list, &count));
    for (size_t i = 0; r == EXITCODE_OK && i < count; i++) {
        if (sandbox_add_row(&rows, &list[i]) < 0)
            r = cli_fail_errno(-ENOMEM, "cannot list the sandboxes");
    }
    if (r == EXITCODE_OK)
        r = cli_rows_print(&rows, cli_has(cli, "json"));
    cli_rows_done(&rows);
    daytona_sandbox_list_free(list, count);
    free(labels);
    api_done(&api);
    return r;
}

static int run_info(struct cli *cli)
{
    struct api api = {0};
    int r = api_open_sandbox(&api, cli, cli->argv[0]);

    if (r == EXITCODE_OK)
        r = sandbox_print(&api, cli, true);
    api_done(&api);
    return r;
}

static int read_minutes(const struct cli *cli, const char *option, int64_t *minutes,
                        const int64_t **ret)
{
    const char *text = cli_value(cli, option);
    char *end;

    if (!text)
        return EXITCODE_OK;
    errno = 0;
    *minutes = strtoll(text, &end, 10);
    if (errno || end == text || *end || *minutes < -1)
        return cli_fail_usage(cli, "--%s=%s is no number of minutes (-1: never)", option, text);
    *ret = minutes;
    return EXITCODE_OK;
}

static int read_params(const struct cli *cli, struct daytona_sandbox_params *p, int64_t minutes[3])
{
    struct daytona_pair *env, *labels;
    int r = sandbox_read_pairs(cli, "env", &env, &p->env_count);

    if (r != EXITCODE_OK)
        return r;
    p->env = env;
    r = sandbox_read_pairs(cli, "label", &labels, &p->label_count);
    if (r != EXITCODE_OK)
        return r;
    p->labels = labels;
    p->name = cli->argc > 0 ? cli->argv[0] : NULL;
    p->snapshot = cli_value(cli, "snapshot");
    p->image = cli_value(cli, "image");
    p->user = cli_value(cli, "user");
    p->is_public = cli_has(cli, "public");
    p->ephemeral = cli_has(cli, "ephemeral");
    r = sandbox_read_number(cli, "cpu", &p->cpu);
    if (r == EXITCODE_OK)
        r = sandbox_read_number(cli, "memory", &p->memory_gib);
    if (r == EXITCODE_OK)
        r = sandbox_read_number(cli, "disk", &p->disk_gib);
    if (r == EXITCODE_OK)
        r = read_minutes(cli, "auto-stop", &minutes[0], &p->auto_stop_min);
    if (r == EXITCODE_OK)
        r = read_minutes(cli, "auto-archive", &minutes[1], &p->auto_archive_min);
    if (r == EXITCODE_OK)
        r = read_minutes(cli, "auto-delete", &minutes[2], &p->auto_delete_min);
    if (r == EXITCODE_OK && !p->image && (p->cpu > 0 || p->memory_gib > 0 || p->disk_gib > 0))
        r = cli_fail_usage(cli, "--cpu, --memory and --disk need --image: a snapshot has its own");
    return r;
}

static int run_create(struct cli *cli)
{
    struct daytona_sandbox_params params = {0};
    struct api api = {.name = cli->argc > 0 ? cli->argv[0] : NULL};
    int64_t timeout_ms, minutes[3];
    int r = read_params(cli, &params, minutes);

    if (r == EXITCODE_OK)
        r = sandbox_read_timeout(cli, &timeout_ms);
    if (r == EXITCODE_OK)
        r = api_open(&api, cli);
    if (r == EXITCODE_OK) {
        r = api_check(&api, daytona_sandbox_create(api.client, &params, timeout_ms, &api.sandbox));
    }
    if (r == EXITCODE_OK)
        r = sandbox_print(&api, cli, false);
    free((void *)params.env);
    free((void *)params.labels);
    api_done(&api);
    return r;
}

static const struct cli_option list_options[] = {
    {"label", 'l', "KEY=VALUE", "only those that have it; may be given more than once"},
    {0},
};
static const struct cli_option create_options[] = {
    {"snapshot", 0, "NAME", "what it is made from; default: the organization's"},
    {"image", 0, "IMAGE", "a container image, instead of a snapshot"},
    {"user", 0, "USER", "who commands run as"},
    {"env", 'e', "KEY=VALUE", "environment; may be given more than once"},
    {"label", 'l', "KEY=VALUE", "label; may be given more than once"},
    {"cpu", 0, "N", "cores; with --image"},
    {"memory", 0, "GIB", "memory; with --image"},
    {"disk", 0, "GIB", "disk; with --image"},
    {"auto-stop", 0, "MINUTES", "stop when idle so long; 0: never"},
    {"auto-archive", 0, "MINUTES", "archive when stopped so long"},
    {"auto-delete", 0, "MINUTES", "delete when stopped so long; -1: never"},
    {"public", 0, NULL, "anyone may reach its ports"},
    {"ephemeral", 0, NULL, "delete it when it stops"},
    SANDBOX_WAIT_OPTIONS,
    {0},
};
const struct cli_command cmd_sandbox_list = {
    .name = "sandbox list",
    .run = run_list,
    .usage = "",
    .summary = "list the account's sandboxes",
    .options = list_options,
    .flags = CLI_API | CLI_JSON,
};
const struct cli_command cmd_sandbox_create = {
    .name = "sandbox create",
    .run = run_create,
    .usage = "[NAME]",
    .summary = "create a sandbox and wait until it is started; prints its name",
    .options = create_options,
    .flags = CLI_API | CLI_JSON,
    .max = 1,
};
const struct cli_command cmd_sandbox_info = {
    .name = "sandbox info",
    .run = run_info,
    .usage = "SANDBOX",
    .summary = "print what is known of a sandbox",
    .flags = CLI_API | CLI_JSON,
    .min = 1,
    .max = 1,
};
