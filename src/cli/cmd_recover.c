/* daytonafs recover [JOURNAL] */
#include "cli/cli.h"

#include "mount/recover.h"
#include "util/clock.h"

#include <errno.h>
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

static int tell(int code, struct buf *why)
{
    if (code == EXITCODE_OK)
        printf("%s\n", buf_str(why));
    else
        cli_fail(code, "%s", buf_str(why));
    buf_done(why);
    return code;
}

static int save_or_discard(const struct cli *cli, const struct recover_journal *j)
{
    const char *dir = cli_value(cli, "export");
    struct buf why = BUF_INIT(65536);

    return tell(dir ? recover_export(j, dir, &why) : recover_discard(j, &why), &why);
}

/* ---- sending ---- */

/* j, or, if that is NULL, all that no mount has. The first exit code that is not 0. */
static int send_each(const struct recover_journal *j, const struct recover_journal *list,
                     size_t count, const struct options *options, int64_t until_ns)
{
    int worst = EXITCODE_OK;
    bool any = false;

    for (size_t i = 0; i < count; i++) {
        struct buf why = BUF_INIT(65536);
        int code;

        if (j ? &list[i] != j : list[i].pid != 0)
            continue;
        any = true;
        code = tell(recover_send(&list[i], options, until_ns, &why), &why);
        worst = worst == EXITCODE_OK ? code : worst;
    }
    if (!any)
        printf("nothing is left to send\n");
    return worst;
}

static int send_left(const struct cli *cli, const char *base, const struct recover_journal *j,
                     const struct recover_journal *list, size_t count)
{
    int64_t timeout_ns = 0;
    struct options options;
    int r = cli_duration(cli, "timeout", &timeout_ns);

    if (r != EXITCODE_OK)
        return r;
    r = options_init(&options);
    if (r < 0)
        return cli_fail_errno(r, "cannot send");
    options.helper = HELPER_REQUIRE;
    r = options_set_service(&options, cli_value(cli, "api-url"), cli_value(cli, "credentials"));
    if (r == 0 && base)
        r = options_set_journal_dir(&options, base);
    if (r < 0)
        r = cli_fail_errno(r, "cannot send");
    else
        r = send_each(j, list, count, &options,
                      timeout_ns > 0 ? clock_mono_ns() + timeout_ns : INT64_MAX);
    options_done(&options);
    return r;
}

/* ---- the command ---- */

/* What was asked for makes sense. */
static int check(const struct cli *cli)
{
    const int what = cli_has(cli, "send") + cli_has(cli, "export") + cli_has(cli, "discard");

    if (what > 1)
        return cli_fail_usage(
            cli, "--send, --export and --discard are three things: do one after the other");
    if (cli_has(cli, "timeout") && !cli_has(cli, "send"))
        return cli_fail_usage(cli, "--timeout is for --send");
    if (cli->argc == 0 && what && !cli_has(cli, "send"))
        return cli_fail_usage(cli, "say which journal: `daytonafs recover` lists what there is");
    if (cli->argc == 1 && !what)
        return cli_fail_usage(cli, "say what to do with it: --send, --export DIR or --discard");
    return EXITCODE_OK;
}

static int run(struct cli *cli)
{
    struct buf why = BUF_INIT(65536);
    const struct recover_journal *j = NULL;
    const char *base = cli_value(cli, "journal-dir");
    struct recover_journal *list;
    size_t count;
    int r = check(cli);

    if (r != EXITCODE_OK)
        return r;
    r = recover_list(base, &list, &count);
    if (r == -EACCES || r == -ELOOP)
        return cli_fail(EXITCODE_OTHER,
                        "the journals belong to somebody else, or are open to others: chmod 700 "
                        "the directory that they are in (~/.local/state/daytonafs/journals, or "
                        "what --journal-dir says)");
    if (r < 0)
        return cli_fail_errno(r, "cannot read the journals");
    if (cli->argc == 1)
        j = recover_find(list, count, cli->argv[0], &why);
    if (cli->argc == 1 && !j)
        r = cli_fail(EXITCODE_NOT_FOUND, "%s", buf_str(&why));
    else if (cli_has(cli, "send"))
        r = send_left(cli, base, j, list, count);
    else
        r = j ? save_or_discard(cli, j) : show(cli, list, count);
    recover_list_free(list, count);
    buf_done(&why);
    return r;
}

static const struct cli_option options[] = {
    {"send", 0, NULL, "send it to its sandbox now, or all that no mount has"},
    {"timeout", 0, "TIME", "with --send: give up after so long (1s, 5m); what is left stays"},
    {"export", 0, "DIR", "write what never arrived to this new directory; the journal stays"},
    {"discard", 0, NULL, "throw away what never arrived"},
    {"journal-dir", 0, "DIR", "where the mount kept its journal, if it had -o journal_dir="},
    {0},
};

const struct cli_command cmd_recover = {
    .name = "recover",
    .run = run,
    .usage = "[JOURNAL|DIR|SANDBOX_ID]",
    .summary = "list changes that are not in their sandbox yet; send them, or save them elsewhere",
    .text = "Each mount keeps its changes in a journal until the sandbox has them. What a mount "
            "left behind is sent by the next mount of the same sandbox, or by --send without one; "
            "each change is made once, and the journal of a mount that is there is left to it. The "
            "exit code is 8 if something is still not in the sandbox; that is listed. --export and "
            "--discard are for when nothing of that helps: the sandbox is gone, or the journal is "
            "damaged.",
    .options = options,
    .flags = CLI_JSON | CLI_API,
    .max = 1,
};
