#include "cli/sandbox.h"

#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct cli_column sandbox_columns[SANDBOX_COLUMNS] = {
    {"NAME", "name", CELL_TEXT},
    {"ID", "id", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},
    {NULL, "user", CELL_TEXT},
    {NULL, "snapshot", CELL_TEXT},
    {NULL, "target", CELL_TEXT},
    {NULL, "cpu", CELL_NUMBER},
    {NULL, "memory_gib", CELL_NUMBER},
    {NULL, "disk_gib", CELL_NUMBER},
    {NULL, "auto_stop_min", CELL_NUMBER},
    {NULL, "auto_archive_min", CELL_NUMBER},
    {NULL, "auto_delete_min", CELL_NUMBER},
    {NULL, "public", CELL_BOOL},
    {NULL, "recoverable", CELL_BOOL},
    {NULL, "error", CELL_TEXT},
    {NULL, "daemon", CELL_TEXT},
    {"CREATED", "created", CELL_TEXT},
    {NULL, "last_activity", CELL_TEXT},
};
static const char *number(char text[32], double v)
{
    if (!isfinite(v))
        return NULL;
    snprintf(text, 32, "%.15g", v);
    return text;
}

int sandbox_add_row(struct cli_rows *rows, const struct daytona_sandbox_info *info)
{
    char text[6][32];

    return cli_rows_add(rows, (const char *[SANDBOX_COLUMNS]){
                                  info->name,
                                  info->id,
                                  info->state_name,
                                  info->user,
                                  info->snapshot,
                                  info->target,
                                  number(text[0], info->cpu),
                                  number(text[1], info->memory_gib),
                                  number(text[2], info->disk_gib),
                                  number(text[3], (double)info->auto_stop_min),
                                  number(text[4], (double)info->auto_archive_min),
                                  number(text[5], (double)info->auto_delete_min),
                                  info->is_public ? "true" : "false",
                                  info->recoverable ? "true" : "false",
                                  info->error_reason,
                                  info->daemon_version,
                                  info->created_at,
                                  info->last_activity_at,
                              });
}

int sandbox_read_pairs(const struct cli *cli, const char *option, struct daytona_pair **ret,
                       size_t *ret_count)
{
    struct daytona_pair *pairs = calloc(cli->value_count + 1, sizeof(*pairs));
    const char *text;
    size_t n = 0;

    if (!pairs)
        return cli_fail_errno(-ENOMEM, "cannot read the arguments");
    for (size_t i = 0; (text = cli_each_value(cli, option, &i));) {
        char *equals = strchr(text, '=');

        if (!equals || equals == text) {
            free(pairs);
            return cli_fail_usage(cli, "--%s=%s is not KEY=VALUE", option, text);
        }
        *equals = '\0'; /* argv is ours to cut */
        pairs[n++] = (struct daytona_pair){.key = (char *)text, .value = equals + 1};
    }
    *ret = pairs;
    *ret_count = n;
    return EXITCODE_OK;
}

int sandbox_print(struct api *api, const struct cli *cli, bool whole)
{
    struct daytona_sandbox_info info;
    struct cli_rows rows;
    int r = api_check(api, daytona_sandbox_info(api->sandbox, &info));

    if (r != EXITCODE_OK)
        return r;
    cli_rows_init(&rows, sandbox_columns, SANDBOX_COLUMNS);
    if (sandbox_add_row(&rows, &info) < 0)
        r = cli_fail_errno(-ENOMEM, "cannot describe the sandbox");
    else if (whole || cli_has(cli, "json"))
        r = cli_rows_print_one(&rows, cli_has(cli, "json"));
    else
        printf("%s\n", *info.name ? info.name : info.id);
    cli_rows_done(&rows);
    daytona_sandbox_info_done(&info);
    return r;
}

int sandbox_read_timeout(const struct cli *cli, int64_t *ret_ms)
{
    int64_t ns = 120 * NS_PER_S;
    int r = cli_duration(cli, "timeout", &ns);

    *ret_ms = cli_has(cli, "no-wait") ? -1 : ns > 0 && ns < NS_PER_MS ? 1 : ns / NS_PER_MS;
    return r;
}

int sandbox_read_number(const struct cli *cli, const char *option, double *ret)
{
    const char *text = cli_value(cli, option);
    char *end;

    if (!text)
        return EXITCODE_OK;
    *ret = strtod(text, &end);
    if (end == text || *end || !isfinite(*ret) || *ret <= 0)
        return cli_fail_usage(cli, "--%s=%s is no number above 0", option, text);
    return EXITCODE_OK;
}

int sandbox_each(struct cli *cli,
                 int (*act)(struct api *api, const struct cli *cli, int64_t timeout_ms))
{
    int64_t timeout_ms;
    int worst = sandbox_read_timeout(cli, &timeout_ms);

    for (int i = 0; i < cli->argc && worst != EXITCODE_USAGE; i++) {
        struct api api = {0};
        int r = api_open_sandbox(&api, cli, cli->argv[i]);

        if (r == EXITCODE_OK)
            r = api_check(&api, act(&api, cli, timeout_ms));
        if (r == EXITCODE_OK && !cli_has(cli, "json"))
            printf("%s\n", cli->argv[i]);
        else if (r == EXITCODE_OK)
            r = sandbox_print(&api, cli, false);
        if (worst == EXITCODE_OK)
            worst = r;
        api_done(&api);
    }
    return worst;
}
