/* daytonafs recover [JOURNAL] */
#include "cli/cli.h"

#include "mount/recover.h"
#include "util/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct cli_column columns[] = {
    {"JOURNAL", "journal", CELL_TEXT},   {"SANDBOX", "sandbox", CELL_TEXT},
    {"DIR", "dir", CELL_TEXT},           {"SINCE", "since", CELL_TEXT},
    {"CHANGES", "changes", CELL_NUMBER}, {"BYTES", "bytes", CELL_NUMBER},
    {"STATE", "state", CELL_TEXT},       {NULL, "api_url", CELL_TEXT},
};
enum { WIDTH = sizeof(columns) / sizeof(columns[0]), NAME_SHOWN = 8 };

static int add_row(struct cli_rows *rows, const struct recover_journal *j, bool json)
{
    const time_t since_s = (time_t)(j->made_ns / NS_PER_S);
    char name[64], since[32] = "", changes[24], bytes[24], state[48];
    struct tm tm;

    if (gmtime_r(&since_s, &tm))
        (void)strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm);
    /* People need only the part that tells mounts apart. */
    snprintf(name, sizeof(name), "%.*s", json ? (int)sizeof(name) - 1 : NAME_SHOWN,
             json ? j->name : recover_short_name(j));
    snprintf(changes, sizeof(changes), "%zu", j->changes);
    snprintf(bytes, sizeof(bytes), "%" PRIu64, j->bytes);
    if (j->pid)
        snprintf(state, sizeof(state), "mounted, process %d", j->pid);
    else
        snprintf(state, sizeof(state), "%s", j->damaged ? "damaged" : "waits for a mount");
    return cli_rows_add(rows, (const char *[WIDTH]){name, j->sandbox_id, j->dir, since, changes,
                                                    bytes, state, j->api_url});
}

static int show(const struct cli *cli, const struct recover_journal *list, size_t count)
{
    const bool json = cli_has(cli, "json");
    struct cli_rows rows;
    int r = 0;

    cli_rows_init(&rows, columns, WIDTH);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_row(&rows, &list[i], json);
    r = r < 0 ? cli_fail_errno(r, "cannot list the journals") : cli_rows_print(&rows, json);
    cli_rows_done(&rows);
    return r;
}

static int act(const struct cli *cli, const struct recover_journal *j)
{
    const char *dir = cli_value(cli, "export");
    struct buf why = BUF_INIT(65536);
    int code;

    if (dir)
        code = recover_export(j, dir, &why);
    else
        code = recover_discard(j, &why);
    if (code == EXITCODE_OK)
        printf("%s\n", buf_str(&why));
    else
        cli_fail(code, "%s", buf_str(&why));
    buf_done(&why);
    return code;
}

static int run(struct cli *cli)
{
    const bool export = cli_has(cli, "export"), discard = cli_has(cli, "discard");
    struct buf why = BUF_INIT(65536);
    const struct recover_journal *j;
    struct recover_journal *list;
    size_t count;
    int r;

    if (export && discard)
        return cli_fail_usage(cli, "--export and --discard are two things: do one after the other");
    if (cli->argc == 0 && (export || discard))
        return cli_fail_usage(cli, "say which journal: `daytonafs recover` lists what there is");
    if (cli->argc == 1 && !export && !discard)
        return cli_fail_usage(cli, "say what to do with it: --export DIR or --discard; the next "
                                   "mount of its sandbox sends it");
    r = recover_list(&list, &count);
    if (r < 0)
        return cli_fail_errno(r, "cannot read the journals");
    if (cli->argc == 0) {
        r = show(cli, list, count);
    } else {
        j = recover_find(list, count, cli->argv[0], &why);
        r = j ? act(cli, j) : cli_fail(EXITCODE_NOT_FOUND, "%s", buf_str(&why));
    }
    recover_list_free(list, count);
    buf_done(&why);
    return r;
}

static const struct cli_option options[] = {
    {"export", 0, "DIR", "write what never arrived to this new directory; the journal stays"},
    {"discard", 0, NULL, "throw away what never arrived"},
    {0},
};

const struct cli_command cmd_recover = {
    .name = "recover",
    .run = run,
    .usage = "[JOURNAL|DIR|SANDBOX_ID]",
    .summary = "list changes that are not in their sandbox yet, and save them without it",
    .text = "Each mount keeps its changes in a journal until the sandbox has them. What a mount "
            "left behind is sent by the next mount of the same sandbox; this command is for when "
            "there will be none: the sandbox is gone, or the journal is damaged.",
    .options = options,
    .flags = CLI_JSON,
    .max = 1,
};
