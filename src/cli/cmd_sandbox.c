/* daytonafs sandbox list|create|info|start|stop|delete */
#include "cli/api.h"

#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_column columns[] = {
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
enum { WIDTH = ARRAY_LEN(columns) };

static const char *number(char text[32], double v)
{
    if (!isfinite(v))
        return NULL;
    snprintf(text, 32, "%.15g", v);
    return text;
}

static int add_row(struct cli_rows *rows, const struct daytona_sandbox_info *info)
{
    char text[6][32];

    return cli_rows_add(rows, (const char *[WIDTH]){
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

/* Splits "KEY=VALUE" of each --option. *ret is one allocation, the caller's. */
static int read_pairs(const struct cli *cli, const char *option, struct daytona_pair **ret,
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

static int run_list(struct cli *cli)
{
    struct daytona_sandbox_info *list = NULL;
    struct daytona_pair *labels = NULL;
    struct api api = {0};
    struct cli_rows rows;
    size_t label_count, count = 0;
    int r;

    cli_rows_init(&rows, columns, WIDTH);
    r = read_pairs(cli, "label", &labels, &label_count);
    if (r == EXITCODE_OK)
        r = api_open(&api, cli);
    if (r == EXITCODE_OK)
        r = api_check(&api, daytona_sandbox_list(api.client, labels, label_count, &list, &count));
    for (size_t i = 0; r == EXITCODE_OK && i < count; i++) {
        if (add_row(&rows, &list[i]) < 0)
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

/* What a command that changed a sandbox says: its row in JSON, or what word (may be NULL) asks. */
static int print_info(struct api *api, const struct cli *cli, bool whole)
{
    struct daytona_sandbox_info info;
    struct cli_rows rows;
    int r = api_check(api, daytona_sandbox_info(api->sandbox, &info));

    if (r != EXITCODE_OK)
        return r;
    cli_rows_init(&rows, columns, WIDTH);
    if (add_row(&rows, &info) < 0)
        r = cli_fail_errno(-ENOMEM, "cannot describe the sandbox");
    else if (whole || cli_has(cli, "json"))
        r = cli_rows_print_one(&rows, cli_has(cli, "json"));
    else
        printf("%s\n", *info.name ? info.name : info.id);
    cli_rows_done(&rows);
    daytona_sandbox_info_done(&info);
    return r;
}

static int run_info(struct cli *cli)
{
    struct api api = {0};
    int r = api_open_sandbox(&api, cli, cli->argv[0]);

    if (r == EXITCODE_OK)
        r = print_info(&api, cli, true);
    api_done(&api);
    return r;
}

/* How long to wait, in the SDK's terms: 0 is for ever, -1 not at all. */
static int read_timeout(const struct cli *cli, int64_t *ret_ms)
{
    int64_t ns = 120 * NS_PER_S;
    int r = cli_duration(cli, "timeout", &ns);

    *ret_ms = cli_has(cli, "no-wait") ? -1 : ns > 0 && ns < NS_PER_MS ? 1 : ns / NS_PER_MS;
    return r;
}

/* --cpu and such; a number above 0. */
static int read_number(const struct cli *cli, const char *option, double *ret)
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
    int r = read_pairs(cli, "env", &env, &p->env_count);

    if (r != EXITCODE_OK)
        return r;
    p->env = env;
    r = read_pairs(cli, "label", &labels, &p->label_count);
    if (r != EXITCODE_OK)
        return r;
    p->labels = labels;
    p->name = cli->argc > 0 ? cli->argv[0] : NULL;
    p->snapshot = cli_value(cli, "snapshot");
    p->image = cli_value(cli, "image");
    p->user = cli_value(cli, "user");
    p->is_public = cli_has(cli, "public");
    p->ephemeral = cli_has(cli, "ephemeral");
    r = read_number(cli, "cpu", &p->cpu);
    if (r == EXITCODE_OK)
        r = read_number(cli, "memory", &p->memory_gib);
    if (r == EXITCODE_OK)
        r = read_number(cli, "disk", &p->disk_gib);
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
        r = read_timeout(cli, &timeout_ms);
    if (r == EXITCODE_OK)
        r = api_open(&api, cli);
    if (r == EXITCODE_OK) {
        r = api_check(&api, daytona_sandbox_create(api.client, &params, timeout_ms, &api.sandbox));
    }
    if (r == EXITCODE_OK)
        r = print_info(&api, cli, false);
    free((void *)params.env);
    free((void *)params.labels);
    api_done(&api);
    return r;
}

/* start, stop and delete take one sandbox or several, and go on after a failure. */
static int each_sandbox(struct cli *cli,
                        int (*act)(struct api *api, const struct cli *cli, int64_t timeout_ms))
{
    int64_t timeout_ms;
    int worst = read_timeout(cli, &timeout_ms);

    for (int i = 0; i < cli->argc && worst != EXITCODE_USAGE; i++) {
        struct api api = {0};
        int r = api_open_sandbox(&api, cli, cli->argv[i]);

        if (r == EXITCODE_OK)
            r = api_check(&api, act(&api, cli, timeout_ms));
        if (r == EXITCODE_OK && !cli_has(cli, "json"))
            printf("%s\n", cli->argv[i]);
        else if (r == EXITCODE_OK)
            r = print_info(&api, cli, false);
        if (worst == EXITCODE_OK)
            worst = r;
        api_done(&api);
    }
    return worst;
}

static int do_start(struct api *api, const struct cli *cli, int64_t timeout_ms)
{
    return daytona_sandbox_start(api->sandbox, timeout_ms);
}

static int do_stop(struct api *api, const struct cli *cli, int64_t timeout_ms)
{
    return daytona_sandbox_stop(api->sandbox, cli_has(cli, "force"), timeout_ms);
}

static int do_delete(struct api *api, const struct cli *cli, int64_t timeout_ms)
{
    return daytona_sandbox_delete(api->sandbox, timeout_ms);
}

static int run_start(struct cli *cli)
{
    return each_sandbox(cli, do_start);
}

static int run_stop(struct cli *cli)
{
    return each_sandbox(cli, do_stop);
}

static int run_delete(struct cli *cli)
{
    return each_sandbox(cli, do_delete);
}

#define WAIT_OPTIONS                                                                               \
    {"timeout", 0, "DURATION", "how long to wait: 120s, or 0 for ever"},                           \
    {                                                                                              \
        "no-wait", 0, NULL, "do not wait for the new state"                                        \
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
    WAIT_OPTIONS,
    {0},
};
static const struct cli_option wait_options[] = {
    WAIT_OPTIONS,
    {0},
};
static const struct cli_option stop_options[] = {
    {"force", 'f', NULL, "kill what runs in it"},
    WAIT_OPTIONS,
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
const struct cli_command cmd_sandbox_start = {
    .name = "sandbox start",
    .run = run_start,
    .usage = "SANDBOX...",
    .summary = "start sandboxes and wait until they run",
    .options = wait_options,
    .flags = CLI_API | CLI_JSON,
    .min = 1,
    .max = -1,
};
const struct cli_command cmd_sandbox_stop = {
    .name = "sandbox stop",
    .run = run_stop,
    .usage = "SANDBOX...",
    .summary = "stop sandboxes; their files stay",
    .options = stop_options,
    .flags = CLI_API | CLI_JSON,
    .min = 1,
    .max = -1,
};
const struct cli_command cmd_sandbox_delete = {
    .name = "sandbox delete",
    .run = run_delete,
    .usage = "SANDBOX...",
    .summary = "delete sandboxes and all that is in them",
    .options = wait_options,
    .flags = CLI_API | CLI_JSON,
    .min = 1,
    .max = -1,
};
