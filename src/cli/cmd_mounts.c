/* daytonafs mounts */
#include "cli/cli.h"

#include "mount/registry.h"

#include "util/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static const struct cli_column columns[] = {
    {"SANDBOX", "sandbox", CELL_TEXT}, {"PATH", "path", CELL_TEXT},   {"DIR", "dir", CELL_TEXT},
    {"SINCE", "since", CELL_TEXT},     {"PID", "pid", CELL_NUMBER},   {NULL, "id", CELL_TEXT},
    {NULL, "api_url", CELL_TEXT},      {NULL, "ctl_name", CELL_TEXT},
};
enum { WIDTH = sizeof(columns) / sizeof(columns[0]) };

static int add_row(struct cli_rows *rows, const struct registry_entry *e)
{
    const time_t since_s = (time_t)(e->since_ns / NS_PER_S);
    char since[32], pid[16];
    struct tm tm;

    if (!gmtime_r(&since_s, &tm) || !strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm))
        since[0] = '\0';
    snprintf(pid, sizeof(pid), "%" PRIdMAX, (intmax_t)e->pid);
    return cli_rows_add(rows, (const char *[WIDTH]){e->sandbox_name, e->path, e->dir, since, pid,
                                                    e->sandbox_id, e->api_url, e->ctl_name});
}

static int run(struct cli *cli)
{
    struct registry_entry *list;
    struct cli_rows rows;
    size_t count;
    int r;

    r = registry_list(&list, &count);
    if (r < 0)
        return cli_fail_errno(r, "cannot read the list of mounts");
    cli_rows_init(&rows, columns, WIDTH);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_row(&rows, &list[i]);
    r = r < 0 ? cli_fail_errno(r, "cannot list the mounts")
              : cli_rows_print(&rows, cli_has(cli, "json"));
    cli_rows_done(&rows);
    registry_list_free(list, count);
    return r;
}

const struct cli_command cmd_mounts = {
    .name = "mounts",
    .run = run,
    .usage = "",
    .summary = "list what this user has mounted",
    .flags = CLI_JSON,
};
