/* daytonafs sandbox start|stop|delete|archive|recover|resize|labels|autostop|... */
#include "cli/sandbox.h"

#include "util/array.h"
#include "util/clock.h"
#include "util/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- from one state to another: these take one sandbox or several ---- */

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

static int do_archive(struct api *api, const struct cli *cli, int64_t timeout_ms)
{
    return daytona_sandbox_archive(api->sandbox, timeout_ms);
}

static int do_recover(struct api *api, const struct cli *cli, int64_t timeout_ms)
{
    return daytona_sandbox_recover(api->sandbox, cli_has(cli, "no-start"), timeout_ms);
}

static int do_resize(struct api *api, const struct cli *cli, int64_t timeout_ms)
{
    double cpu = 0, memory = 0, disk = 0;

    /* Read once already, and found good. */
    (void)sandbox_read_number(cli, "cpu", &cpu);
    (void)sandbox_read_number(cli, "memory", &memory);
    (void)sandbox_read_number(cli, "disk", &disk);
    return daytona_sandbox_resize(api->sandbox, cpu, memory, disk, timeout_ms);
}

static int run_start(struct cli *cli)
{
    return sandbox_each(cli, do_start);
}

static int run_stop(struct cli *cli)
{
    return sandbox_each(cli, do_stop);
}

static int run_delete(struct cli *cli)
{
    return sandbox_each(cli, do_delete);
}

static int run_archive(struct cli *cli)
{
    return sandbox_each(cli, do_archive);
}

static int run_recover(struct cli *cli)
{
    return sandbox_each(cli, do_recover);
}

static int run_resize(struct cli *cli)
{
    static const char *const sizes[] = {"cpu", "memory", "disk"};
    double value = 0;
    int r = EXITCODE_OK;

    for (size_t i = 0; r == EXITCODE_OK && i < ARRAY_LEN(sizes); i++)
        r = sandbox_read_number(cli, sizes[i], &value);
    if (r == EXITCODE_OK && value == 0)
        r = cli_fail_usage(cli, "give --cpu, --memory or --disk");
    return r == EXITCODE_OK ? sandbox_each(cli, do_resize) : r;
}

/* ---- labels: those that are there, and changes to them ---- */

struct labels {
    struct daytona_pair *list; /* borrowed strings */
    size_t count;
};

static void set_label(struct labels *l, const char *key, const char *value)
{
    size_t i = 0;

    while (i < l->count && strcmp(l->list[i].key, key) != 0)
        i++;
    if (value) {
        l->list[i] = (struct daytona_pair){(char *)key, (char *)value};
        l->count += i == l->count;
    } else if (i < l->count) {
        l->list[i] = l->list[--l->count];
    }
}

/* "KEY=VALUE" or "KEY-". */
static int change_labels(const struct cli *cli, struct labels *l)
{
    for (int i = 1; i < cli->argc; i++) {
        char *word = cli->argv[i], *equals = strchr(word, '=');
        const size_t n = strlen(word);

        if (equals && equals > word) {
            *equals = '\0'; /* argv is ours to cut */
            set_label(l, word, equals + 1);
        } else if (!equals && n > 1 && word[n - 1] == '-') {
            word[n - 1] = '\0';
            set_label(l, word, NULL);
        } else {
            return cli_fail_usage(cli, "'%s' is neither KEY=VALUE nor KEY-", word);
        }
    }
    return EXITCODE_OK;
}

static int print_labels(const struct cli *cli, const struct labels *l)
{
    static const struct cli_column columns[] = {
        {"KEY", "key", CELL_TEXT},
        {"VALUE", "value", CELL_TEXT},
    };
    struct cli_rows rows;
    int r = EXITCODE_OK;

    cli_rows_init(&rows, columns, ARRAY_LEN(columns));
    for (size_t i = 0; r == EXITCODE_OK && i < l->count; i++) {
        if (cli_rows_add(&rows, (const char *[]){l->list[i].key, l->list[i].value}) < 0)
            r = cli_fail_errno(-ENOMEM, "cannot list the labels");
    }
    if (r == EXITCODE_OK)
        r = cli_rows_print(&rows, cli_has(cli, "json"));
    cli_rows_done(&rows);
    return r;
}

static int run_labels(struct cli *cli)
{
    struct daytona_sandbox_info info = {0};
    struct labels labels = {0};
    struct api api = {0};
    int r = api_open_sandbox(&api, cli, cli->argv[0]);

    if (r == EXITCODE_OK)
        r = api_check(&api, daytona_sandbox_info(api.sandbox, &info));
    if (r == EXITCODE_OK) {
        labels.list = calloc(info.label_count + (size_t)cli->argc, sizeof(*labels.list));
        r = labels.list ? EXITCODE_OK : cli_fail_errno(-ENOMEM, "cannot change the labels");
    }
    for (size_t i = 0; r == EXITCODE_OK && i < info.label_count; i++)
        labels.list[labels.count++] = info.labels[i];
    if (r == EXITCODE_OK)
        r = change_labels(cli, &labels);
    if (r == EXITCODE_OK && cli->argc > 1)
        r = api_check(&api, daytona_sandbox_set_labels(api.sandbox, labels.list, labels.count));
    if (r == EXITCODE_OK)
        r = print_labels(cli, &labels);
    free(labels.list);
    daytona_sandbox_info_done(&info);
    api_done(&api);
    return r;
}

/* ---- what happens by itself after some time ---- */

/* Minutes as a number, any duration, or "never". Parts of a minute count as one. */
static int read_minutes(const struct cli *cli, const char *text, int64_t *ret)
{
    int64_t ns;

    if (strcmp(text, "never") == 0)
        *ret = -1;
    else if (*text && strlen(text) < 10 && strspn(text, "0123456789") == strlen(text))
        *ret = strtoll(text, NULL, 10);
    else if (units_parse_duration(text, &ns) == 0)
        *ret = (ns + 60 * NS_PER_S - 1) / (60 * NS_PER_S);
    else
        return cli_fail_usage(cli, "'%s' is no time: write 30 (minutes), 2h or never", text);
    return EXITCODE_OK;
}

static int set_interval(struct cli *cli, int (*set)(struct daytona_sandbox *sandbox, int64_t min))
{
    struct api api = {0};
    int64_t minutes;
    int r = read_minutes(cli, cli->argv[1], &minutes);

    if (r == EXITCODE_OK)
        r = api_open_sandbox(&api, cli, cli->argv[0]);
    if (r == EXITCODE_OK)
        r = api_check(&api, set(api.sandbox, minutes));
    if (r == EXITCODE_OK)
        r = sandbox_print(&api, cli, false);
    api_done(&api);
    return r;
}

static int run_autostop(struct cli *cli)
{
    return set_interval(cli, daytona_sandbox_set_auto_stop);
}

static int run_autoarchive(struct cli *cli)
{
    return set_interval(cli, daytona_sandbox_set_auto_archive);
}

static int run_autodelete(struct cli *cli)
{
    return set_interval(cli, daytona_sandbox_set_auto_delete);
}

static int run_ttl(struct cli *cli)
{
    return set_interval(cli, daytona_sandbox_set_ttl);
}

/* ---- the commands ---- */

static const struct cli_option wait_options[] = {
    SANDBOX_WAIT_OPTIONS,
    {0},
};
static const struct cli_option stop_options[] = {
    {"force", 'f', NULL, "kill what runs in it"},
    SANDBOX_WAIT_OPTIONS,
    {0},
};

static const struct cli_option recover_options[] = {
    {"no-start", 0, NULL, "leave it stopped then"},
    SANDBOX_WAIT_OPTIONS,
    {0},
};
static const struct cli_option resize_options[] = {
    {"cpu", 0, "N", "cores"},
    {"memory", 0, "GIB", "memory"},
    {"disk", 0, "GIB", "disk; of a stopped sandbox"},
    SANDBOX_WAIT_OPTIONS,
    {0},
};

#define MANY .flags = CLI_API | CLI_JSON, .min = 1, .max = -1
#define INTERVAL .usage = "SANDBOX TIME|never", .flags = CLI_API | CLI_JSON, .min = 2, .max = 2

const struct cli_command cmd_sandbox_start = {
    .name = "sandbox start",
    .run = run_start,
    .usage = "SANDBOX...",
    .summary = "start sandboxes and wait until they run",
    .options = wait_options,
    MANY,
};
const struct cli_command cmd_sandbox_stop = {
    .name = "sandbox stop",
    .run = run_stop,
    .usage = "SANDBOX...",
    .summary = "stop sandboxes; their files stay",
    .options = stop_options,
    MANY,
};
const struct cli_command cmd_sandbox_delete = {
    .name = "sandbox delete",
    .run = run_delete,
    .usage = "SANDBOX...",
    .summary = "delete sandboxes and all that is in them",
    .options = wait_options,
    MANY,
};
const struct cli_command cmd_sandbox_archive = {
    .name = "sandbox archive",
    .run = run_archive,
    .usage = "SANDBOX...",
    .summary = "move stopped sandboxes to cheaper storage; start brings them back",
    .options = wait_options,
    MANY,
};
const struct cli_command cmd_sandbox_recover = {
    .name = "sandbox recover",
    .run = run_recover,
    .usage = "SANDBOX...",
    .summary = "bring sandboxes back that are in error and can be recovered",
    .options = recover_options,
    MANY,
};
const struct cli_command cmd_sandbox_resize = {
    .name = "sandbox resize",
    .run = run_resize,
    .usage = "SANDBOX...",
    .summary = "give sandboxes more cores, memory or disk",
    .text = "While it runs only more cores and memory, stopped also more disk; never less.",
    .options = resize_options,
    MANY,
};
const struct cli_command cmd_sandbox_labels = {
    .name = "sandbox labels",
    .run = run_labels,
    .usage = "SANDBOX [KEY=VALUE|KEY-]...",
    .summary = "print the labels of a sandbox, or set some, or remove some with KEY-",
    MANY,
};
const struct cli_command cmd_sandbox_autostop = {
    .name = "sandbox autostop",
    .run = run_autostop,
    .summary = "stop a sandbox when it is idle so long",
    INTERVAL,
};
const struct cli_command cmd_sandbox_autoarchive = {
    .name = "sandbox autoarchive",
    .run = run_autoarchive,
    .summary = "archive a sandbox when it was stopped so long; never: as late as may be",
    INTERVAL,
};
const struct cli_command cmd_sandbox_autodelete = {
    .name = "sandbox autodelete",
    .run = run_autodelete,
    .summary = "delete a sandbox when it was stopped so long; 0: at once",
    INTERVAL,
};
const struct cli_command cmd_sandbox_ttl = {
    .name = "sandbox ttl",
    .run = run_ttl,
    .summary = "delete a sandbox so long after it was made; not for every class of sandbox",
    INTERVAL,
};
