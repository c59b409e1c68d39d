/* daytonafs shell [MOUNT|SANDBOX] */
#include "cli/converse.h"
#include "cli/script.h"
#include "cli/site.h"

#include "util/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ID_MAX = 64 };

struct shell {
    const struct cli *cli;
    struct site site;
    char id[ID_MAX];
    bool named; /* by the user: it outlives a terminal that is closed */
    struct converse talk;
};

static int show(void *arg, const void *p, size_t n)
{
    return io_write(STDOUT_FILENO, p, n);
}

/* ---- its end ---- */

/* Where it goes on, and how one gets back there. */
static int say_left(const struct shell *s, int code, const char *why)
{
    return cli_fail(code, "%s; the shell goes on in the sandbox: `daytonafs shell %s --name %s`",
                    why, s->site.api.name, s->id);
}

/* The terminal was closed, or somebody ends this program: only who has a name stays. */
static int end_by_signal(struct shell *s)
{
    if (!s->named)
        (void)daytona_pty_kill(s->site.api.sandbox, s->id); /* it may be ending by itself */
    else
        say_left(s, 0, "ended by a signal");
    return 128 + s->talk.signal;
}

static int outcome(struct shell *s, int r, const struct daytona_pty_exit *end)
{
    struct daytona_pty_info info;
    char why[600];

    if (r == 0)
        return end->code >= 0 && end->code <= 255 ? end->code : EXITCODE_OTHER;
    if (r == -EINTR && s->talk.left == CONVERSE_SIGNAL)
        return end_by_signal(s);
    if (r == -EINTR && s->talk.left == CONVERSE_KEY)
        return say_left(s, EXITCODE_OK, "left");
    if (r == -EPIPE || r == -EIO) { /* nobody sees the output any more */
        (void)daytona_pty_kill(s->site.api.sandbox, s->id);
        return EXITCODE_OTHER;
    }
    snprintf(why, sizeof(why), "the connection was lost (%.400s)", daytona_last_error()->message);
    /* Perhaps it is not the line: a sandbox that was stopped took its shells along. */
    r = daytona_pty_info(s->site.api.sandbox, s->id, &info);
    if (r == 0)
        daytona_pty_info_done(&info);
    if (r == -ENOENT)
        return cli_fail(EXITCODE_TRANSIENT, "%s, and the shell has ended", why);
    if (r == -EHOSTDOWN)
        return api_check(&s->site.api, r);
    return say_left(s, EXITCODE_TRANSIENT, why);
}

/* ---- arguments ---- */

static int read_env(const struct cli *cli, struct daytona_pair **ret, size_t *ret_count)
{
    struct daytona_pair *env = calloc(cli->value_count + 1, sizeof(*env));
    const char *pair;
    size_t n = 0;

    if (!env)
        return cli_fail_errno(-ENOMEM, "cannot start a shell");
    *ret = env;
    for (size_t i = 0; (pair = cli_each_value(cli, "env", &i));) {
        if (!script_env_valid(pair))
            return cli_fail_usage(cli, "--env=%s is not NAME=VALUE", pair);
        *strchr(pair, '=') = '\0'; /* argv is ours to cut */
        env[n++] = (struct daytona_pair){(char *)pair, (char *)pair + strlen(pair) + 1};
    }
    *ret_count = n;
    return EXITCODE_OK;
}

static int choose_id(struct shell *s)
{
    const char *name = cli_value(s->cli, "name");
    char token[SCRIPT_TOKEN_LEN + 1];

    s->named = name != NULL;
    if (!name && script_token(token) < 0)
        return cli_fail(EXITCODE_OTHER, "the system has no random numbers");
    if (!name)
        snprintf(s->id, sizeof(s->id), "shell-%.12s", token);
    else if (!*name || strlen(name) >= sizeof(s->id) || strchr(name, '/'))
        return cli_fail_usage(s->cli, "--name=%s is no name", name);
    else
        snprintf(s->id, sizeof(s->id), "%s", name);
    return EXITCODE_OK;
}

/* A terminal of that name that is there already is attached to, as it is. */
static int open_terminal(struct shell *s, const struct daytona_pty_params *params)
{
    struct daytona_sandbox *sandbox = s->site.api.sandbox;
    int r = -EEXIST;

    if (s->named) {
        r = daytona_pty_attach(sandbox, s->id, &s->talk.pty);
        if (r == 0)
            converse_resize(&s->talk);
        if (r != -ENOENT)
            return r;
    }
    return daytona_pty_open(sandbox, params, &s->talk.pty);
}

static int use_shell(struct shell *s, struct daytona_pair *env, size_t env_count)
{
    const struct target *t = &s->site.target;
    const char *workdir = cli_value(s->cli, "workdir");
    char *cwd = workdir || t->mounted ? site_path(&s->site, workdir) : NULL;
    struct daytona_pty_params params = {
        .id = s->id, .cwd = cwd, .env = env, .env_count = env_count};
    struct daytona_pty_exit end = {0};
    int r;

    if (!cwd && (workdir || t->mounted))
        return cli_fail_errno(-ENOMEM, "cannot start a shell");
    converse_size(&params.cols, &params.rows);
    s->talk =
        (struct converse){.sandbox = s->site.api.sandbox, .id = s->id, .keys = true, .show = show};
    r = api_check(&s->site.api, open_terminal(s, &params));
    if (r == EXITCODE_OK)
        r = outcome(s, converse(&s->talk, &end), &end);
    daytona_pty_detach(s->talk.pty);
    site_changed(&s->site);
    free(cwd);
    return r;
}

static const struct cli_column columns[] = {
    {"NAME", "name", CELL_TEXT},       {"COLUMNS", "columns", CELL_NUMBER},
    {"ROWS", "rows", CELL_NUMBER},     {"RUNNING", "running", CELL_BOOL},
    {"CREATED", "created", CELL_TEXT},
};

static int list_shells(struct shell *s)
{
    struct daytona_pty_info *list = NULL;
    struct cli_rows rows;
    size_t count = 0;
    int r = api_check(&s->site.api, daytona_pty_list(s->site.api.sandbox, &list, &count));

    cli_rows_init(&rows, columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; r == EXITCODE_OK && i < count; i++) {
        char cols[24], lines[24];

        snprintf(cols, sizeof(cols), "%lld", (long long)list[i].cols);
        snprintf(lines, sizeof(lines), "%lld", (long long)list[i].rows);
        if (cli_rows_add(&rows, (const char *[]){list[i].id, cols, lines,
                                                 list[i].active ? "true" : "false",
                                                 list[i].created_at}) < 0)
            r = cli_fail_errno(-ENOMEM, "cannot list the shells");
    }
    if (r == EXITCODE_OK)
        r = cli_rows_print(&rows, cli_has(s->cli, "json"));
    cli_rows_done(&rows);
    daytona_pty_list_free(list, count);
    return r;
}

static int run(struct cli *cli)
{
    struct shell s = {.cli = cli};
    struct daytona_pair *env = NULL;
    size_t env_count = 0;
    int r;

    if (cli_has(cli, "json") && !cli_has(cli, "list"))
        return cli_fail_usage(cli, "--json goes with --list");
    r = choose_id(&s);
    if (r == EXITCODE_OK)
        r = read_env(cli, &env, &env_count);
    if (r == EXITCODE_OK) {
        r = site_open(&s.site, cli, cli->argc > 0 ? cli->argv[0] : NULL, true);
        if (r == EXITCODE_OK)
            r = cli_has(cli, "list") ? list_shells(&s) : use_shell(&s, env, env_count);
        site_done(&s.site);
    }
    free(env);
    return r;
}

static const struct cli_option options[] = {
    {"name", 'n', "NAME", "go to the shell of that name, or start one that stays when it is left"},
    {"workdir", 'w', "DIR", "where it starts; default: this directory's place in the sandbox"},
    {"env", 'e', "NAME=VALUE", "environment; may be given more than once"},
    {"list", 0, NULL, "show which shells there are"},
    {0},
};

const struct cli_command cmd_shell = {
    .name = "shell",
    .run = run,
    .usage = "[MOUNT|SANDBOX]",
    .summary = "use a shell in a sandbox, in this terminal",
    .text =
        "A login shell. Below a mount the sandbox need not be named, and the "
        "shell starts in the same directory. If the sandbox is mounted here, what was written "
        "through the mount is sent first; what the shell changes is seen here as any change in the "
        "sandbox, and all of it when it ends. The exit code is the shell's.\n\n"
        "~. at the start of a line leaves it and lets it go on; --name goes back to it, as after a "
        "connection that was lost. What it says while nobody looks is not kept. A shell without a "
        "name ends with the terminal it is shown in. stdin that is no terminal is typed into it as "
        "it comes.",
    .options = options,
    .flags = CLI_API | CLI_JSON,
    .max = 1,
};
