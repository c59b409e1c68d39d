/* daytonafs exec [MOUNT|SANDBOX] [--] COMMAND... */
#include "cli/api.h"
#include "cli/script.h"
#include "cli/target.h"

#include "util/clock.h"
#include "wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCRIPT_MAX = 1 << 20, OUTPUT_MAX = 64 << 20 };

struct exec {
    const struct cli *cli;
    struct target target;
    const char *cwd; /* as the sandbox's shell starts it */
    const char **env;
    struct buf command;
    char token[SCRIPT_TOKEN_LEN + 1];
    struct buf out; /* what came and is not yet written */
    int exit_code;  /* of the command; -1: not known */
};

/* With --json the output waits for its end; else it goes out as it comes. */
static int put_output(struct exec *e, size_t keep)
{
    size_t n = e->out.len > keep ? e->out.len - keep : 0;
    int r;

    if (n == 0 || cli_has(e->cli, "json"))
        return 0;
    r = fd_write_all(STDOUT_FILENO, e->out.data, n);
    buf_consume(&e->out, n);
    return r;
}

static int put_json(struct exec *e, int code)
{
    struct buf text = BUF_INIT((size_t)OUTPUT_MAX * 8);
    struct json_out o = {.buf = &text};
    int r;

    json_open(&o, '{');
    json_key(&o, "exit_code");
    json_int(&o, code);
    json_key(&o, "output");
    json_bytes(&o, buf_str(&e->out), e->out.len);
    json_close(&o, '}');
    r = o.err < 0 ? o.err : buf_putc(&text, '\n');
    if (r == 0)
        fwrite(text.data, 1, text.len, stdout);
    buf_done(&text);
    return r;
}

/* Reads to the end of the answer. Its last bytes may be the script's own, so they are held back. */
static int copy_answer(struct exec *e, int fd)
{
    for (;;) {
        ssize_t n;
        int r = buf_reserve(&e->out, 65536);

        if (r < 0)
            return r;
        n = read(fd, e->out.data + e->out.len, 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        e->out.len += (size_t)n;
        r = put_output(e, SCRIPT_TAIL_MAX);
        if (r < 0)
            return r;
    }
}

/* The mount's own record, for a script that did not reach its end. */
static int read_exit_file(const struct exec *e)
{
    struct buf text = BUF_INIT(4096);
    int code = -1;

    if (target_ask(&e->target, "exit", NULL, 0, &text) == 0 && text.len > 0)
        code = (int)strtol(buf_str(&text), NULL, 10);
    buf_done(&text);
    return code >= 0 && code <= 255 ? code : -1;
}

static int run_in_mount(struct exec *e)
{
    const struct script script = {
        .command = buf_str(&e->command), .cwd = e->cwd, .env = e->env, .token = e->token};
    struct buf text = BUF_INIT(SCRIPT_MAX);
    int fd = -1, r = script_build(&text, &script);

    if (r < 0)
        goto out;
    fd = r = target_open(&e->target, "run", O_RDWR);
    if (r < 0)
        goto out;
    r = fd_write_all(fd, text.data, text.len);
    if (r == 0)
        r = copy_answer(e, fd);
    if (r == 0) {
        buf_truncate(&e->out, script_tail(buf_str(&e->out), e->out.len, e->token, &e->exit_code));
        r = put_output(e, 0);
        if (e->exit_code < 0)
            e->exit_code = read_exit_file(e);
    }
out:
    if (fd >= 0)
        close(fd);
    buf_done(&text);
    return r;
}

static int run_by_api(struct exec *e, struct api *api)
{
    const struct script script = {.command = buf_str(&e->command),
                                  .cwd = e->cwd,
                                  .env = e->env,
                                  .token = e->token,
                                  .encode = true};
    struct buf text = BUF_INIT(SCRIPT_MAX);
    struct daytona_execute execute = {.output_max = (uint64_t)OUTPUT_MAX * 2};
    struct daytona_result result = {0};
    int r = script_build(&text, &script);

    if (r < 0)
        goto out;
    execute.command = buf_str(&text);
    r = daytona_process_execute(api->sandbox, &execute, &result);
    if (r < 0)
        goto out;
    r = script_decode(&e->out, result.output ? result.output : "", result.len, e->token,
                      &e->exit_code);
    /* Without the script's own end only the shell's code is known: -1 if it never started. */
    if (e->exit_code < 0 && result.exit_code >= 0)
        e->exit_code = result.exit_code;
    if (r == 0 && e->exit_code >= 0) /* otherwise it is not output, but why there is none */
        r = put_output(e, 0);
    daytona_result_done(&result);
out:
    buf_done(&text);
    return r;
}

/* 125, unless the frozen codes have a better word for why the sandbox was not reached. */
static int not_run(struct exec *e, int err, struct api *api)
{
    const int code = exitcode_of(err, api ? daytona_last_error() : NULL);

    if (err == -EPIPE)
        return EXITCODE_OTHER; /* nobody reads any more */
    if (err == -EFBIG && e->exit_code >= 0)
        cli_fail(EXITCODE_OTHER, "the output is larger than %d MiB", OUTPUT_MAX >> 20);
    else if (err == -EFBIG)
        cli_fail(EXITCODE_OTHER, "the command or its output is too large: put it in a file");
    else if (api)
        api_check(api, err);
    else
        target_fail(&e->target, code, err, "cannot run the command");
    return code == EXITCODE_OTHER ? SCRIPT_NOT_RUN : code;
}

static int read_command(struct exec *e, const char **ret_word)
{
    const struct cli *cli = e->cli;
    const char *line = cli_value(cli, "command");
    const bool named = cli->argc > 0 && cli->before_dashes != 0;
    char **words = cli->argv + (named ? 1 : 0);
    int r;

    *ret_word = named ? cli->argv[0] : NULL;
    /* The parser stops at the second operand, so a "--" before it is still there. */
    if (*words && cli->before_dashes < 0 && strcmp(*words, "--") == 0)
        words++;
    if (cli->before_dashes > 1)
        return cli_fail_usage(cli, "one argument too many before --: '%s'", cli->argv[1]);
    if (line && *words)
        return cli_fail_usage(cli, "give either --command or words after --, not both");
    if (!line && !*words && named && cli->before_dashes < 0)
        return cli_fail_usage(cli, "which command? daytonafs exec %s -- COMMAND", cli->argv[0]);
    if (!line && !*words)
        return cli_fail_usage(cli, "which command? daytonafs exec -- COMMAND");
    r = line ? buf_puts(&e->command, line) : script_words(&e->command, words);
    return r < 0 ? cli_fail_errno(r, "cannot run the command") : EXITCODE_OK;
}

static int read_env(struct exec *e)
{
    const char *pair;
    size_t n = 0;

    e->env = calloc(e->cli->value_count + 1, sizeof(*e->env));
    if (!e->env)
        return cli_fail_errno(-ENOMEM, "cannot run the command");
    for (size_t i = 0; (pair = cli_each_value(e->cli, "env", &i));) {
        if (!script_env_valid(pair))
            return cli_fail_usage(e->cli, "--env=%s is not NAME=VALUE", pair);
        e->env[n++] = pair;
    }
    return EXITCODE_OK;
}

static int run_somewhere(struct exec *e)
{
    struct api api = {0};
    int r;

    if (e->target.mounted && *e->target.mount.ctl_name) {
        r = run_in_mount(e);
        return r < 0 ? not_run(e, r, NULL) : EXITCODE_OK;
    }
    if (e->target.mounted && !e->target.sandbox) {
        return cli_fail(SCRIPT_NOT_RUN,
                        "%s is mounted with ctl=off: name the sandbox instead of the directory",
                        e->target.mount.dir);
    }
    r = api_open_sandbox(&api, e->cli, e->target.sandbox);
    if (r == EXITCODE_OK) {
        r = run_by_api(e, &api);
        r = r < 0 ? not_run(e, r, &api) : EXITCODE_OK;
    }
    api_done(&api);
    return r;
}

static int run(struct cli *cli)
{
    struct exec e = {.cli = cli, .exit_code = -1};
    const char *word;
    int r;

    buf_init(&e.command, SCRIPT_MAX);
    buf_init(&e.out, OUTPUT_MAX);
    r = read_command(&e, &word);
    if (r == EXITCODE_OK)
        r = read_env(&e);
    if (r == EXITCODE_OK)
        r = target_find(&e.target, cli, word);
    if (r != EXITCODE_OK)
        goto out;
    e.cwd = cli_value(cli, "workdir");
    if (!e.cwd && *e.target.rest)
        e.cwd = e.target.rest;
    if (script_token(e.token) < 0)
        r = cli_fail(SCRIPT_NOT_RUN, "the system has no random numbers");
    else
        r = run_somewhere(&e);
    if (r != EXITCODE_OK)
        goto out;
    if (e.exit_code < 0)
        r = cli_fail(SCRIPT_NOT_RUN,
                     "the command could not be run, or its shell was killed%s%.500s",
                     e.out.len > 0 ? ": " : "", buf_str(&e.out));
    else
        r = e.exit_code;
    if (cli_has(cli, "json") && put_json(&e, r) < 0)
        r = cli_fail_errno(-ENOMEM, "cannot print the answer");
out:
    target_done(&e.target);
    free(e.env);
    buf_done(&e.command);
    buf_done(&e.out);
    return r;
}

static const struct cli_option options[] = {
    {"command", 'c', "LINE", "a line for the sandbox's shell, instead of words"},
    {"workdir", 'w', "DIR", "where it starts; default: this directory's place in the sandbox"},
    {"env", 'e', "NAME=VALUE", "environment; may be given more than once"},
    {0},
};

const struct cli_command cmd_exec = {
    .name = "exec",
    .run = run,
    .usage = "[MOUNT|SANDBOX] -- COMMAND [ARG...]",
    .summary = "run a command in a sandbox",
    .text =
        "The words after -- become one command; the sandbox's shell does not look into them. With "
        "--command it is a line for that shell, pipes and all. Below a mount the sandbox need not "
        "be named, and the command starts in the same directory. If the sandbox is mounted here, "
        "what was written through the mount is sent before the command starts, and what the "
        "command changed is seen after it.\n\n"
        "Output and errors come together on stdout. The command's stdin is empty: this version "
        "does not forward it. The exit code is the command's; 125: it could not be started, 126: "
        "it cannot be executed, 127: it was not found.",
    .options = options,
    .flags = CLI_API | CLI_JSON | CLI_COMMAND_LINE,
    .max = -1,
};
