/* daytonafs exec [MOUNT|SANDBOX] [--] COMMAND... */
#include "cli/exec.h"

#include "cli/relay.h"
#include "cli/script.h"
#include "wire/json.h"

#include "util/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* With --json the output waits for its end; else it goes out as it comes. */
static int take_output(void *arg, bool err, const void *p, size_t n)
{
    struct exec *e = arg;

    if (e->json)
        return buf_append(err ? &e->err : &e->out, p, n);
    return io_write(err ? STDERR_FILENO : STDOUT_FILENO, p, n);
}

static int put_json(const struct exec *e)
{
    struct buf text = BUF_INIT((size_t)EXEC_OUTPUT_MAX * 8);
    struct json_out o = {.buf = &text};
    int r;

    json_open(&o, '{');
    json_key(&o, "exit_code");
    json_int(&o, e->exit_code);
    json_key(&o, "stdout");
    json_bytes(&o, buf_str(&e->out), e->out.len);
    json_key(&o, "stderr");
    json_bytes(&o, buf_str(&e->err), e->err.len);
    json_close(&o, '}');
    r = o.err < 0 ? o.err : buf_putc(&text, '\n');
    if (r == 0)
        fwrite(text.data, 1, text.len, stdout);
    buf_done(&text);
    return r;
}

/* ---- what is to be run ---- */

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

static int read_options(struct exec *e, int64_t *ret_timeout_ns)
{
    const struct cli *cli = e->cli;
    const char *pair;
    size_t n = 0;

    if (cli_has(cli, "detach") && (cli_has(cli, "interactive") || cli_has(cli, "timeout")))
        return cli_fail_usage(cli, "--detach goes with neither --interactive nor --timeout");
    if (cli_has(cli, "tty") && (cli_has(cli, "detach") || cli_has(cli, "json")))
        return cli_fail_usage(cli, "--tty goes with neither --detach nor --json");
    if (cli_value(cli, "name") && !cli_has(cli, "detach"))
        return cli_fail_usage(cli, "--name goes with --detach");
    e->env = calloc(cli->value_count + 1, sizeof(*e->env));
    if (!e->env)
        return cli_fail_errno(-ENOMEM, "cannot run the command");
    for (size_t i = 0; (pair = cli_each_value(cli, "env", &i));) {
        if (!script_env_valid(pair))
            return cli_fail_usage(cli, "--env=%s is not NAME=VALUE", pair);
        e->env[n++] = pair;
    }
    e->json = cli_has(cli, "json");
    return cli_duration(cli, "timeout", ret_timeout_ns);
}

/* ---- running it ---- */

static struct cli_job_spec to_spec(const struct exec *e)
{
    return (struct cli_job_spec){.script = buf_str(&e->command),
                                 .cwd = e->cwd,
                                 .env = e->env,
                                 .name = cli_value(e->cli, "name"),
                                 .input_open = cli_has(e->cli, "interactive"),
                                 .passing = !cli_has(e->cli, "detach")};
}

static int without_jobs(struct exec *e)
{
    const struct cli *cli = e->cli;

    if (cli_has(cli, "interactive") || cli_has(cli, "detach") || cli_has(cli, "timeout"))
        return cli_fail(EXEC_NOT_RUN,
                        "this sandbox has nothing that --interactive, --detach or --timeout could "
                        "stand on%s%s",
                        e->place.why.len > 0 ? ": " : "", buf_str(&e->place.why));
    return exec_plain(e);
}

static int start_and_leave(struct exec *e)
{
    const struct cli_job_spec spec = to_spec(e);
    struct cli_job j;
    uint64_t id;
    int r = cli_job_begin(&j, &e->place, &spec, take_output, e);

    if (r == 0)
        r = cli_job_id(&j, &id);
    cli_job_done(&j);
    if (r == -EOPNOTSUPP)
        return without_jobs(e);
    if (r < 0)
        return cli_job_place_fail(&e->place, EXEC_NOT_RUN, r, "cannot start the command");
    if (e->json)
        printf("{\"id\":%llu}\n", (unsigned long long)id);
    else
        printf("%llu\n", (unsigned long long)id);
    return EXITCODE_OK;
}

/* Output and errors go to one place, as on a terminal. */
static bool shown_together(const struct exec *e)
{
    struct stat out, err;

    return !e->json && fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
           out.st_dev == err.st_dev && out.st_ino == err.st_ino;
}

static int run_and_wait(struct exec *e, int64_t timeout_ns)
{
    const struct cli_job_spec spec = to_spec(e);
    struct relay *relay = NULL;
    bool timed_out;
    struct cli_job j;
    int r = relay_new(timeout_ns, &relay);

    if (r < 0)
        return cli_fail_errno(r, "cannot run the command");
    r = cli_job_begin(&j, &e->place, &spec, take_output, e);
    if (r == 0)
        r = relay_start(relay, &j, spec.input_open);
    if (r == 0)
        r = cli_job_follow(&j, shown_together(e), &e->exit_code);
    if (r == -EPIPE)
        (void)cli_job_kill(&j, "PIPE"); /* as a local command would learn that nobody reads */
    timed_out = relay_stop(relay);
    if (r == 0)
        cli_job_leave(&j);
    cli_job_done(&j);
    if (r == -EPIPE)
        return EXITCODE_OTHER;
    if (r == -EOPNOTSUPP)
        return without_jobs(e);
    if (r < 0)
        return cli_job_place_fail(&e->place, EXEC_NOT_RUN, r, "cannot run the command");
    if (timed_out)
        return cli_fail(EXEC_TIMED_OUT, "the command took longer than --timeout=%s and was ended",
                        cli_value(e->cli, "timeout"));
    if (e->exit_code < 0)
        return cli_fail(EXEC_NOT_RUN, "the command was cut off: the sandbox was stopped");
    if (e->exit_code == EXEC_NOT_RUN && e->place.why.len > 0)
        return cli_fail(EXEC_NOT_RUN, "cannot start in %s: %s", e->cwd ? e->cwd : "the sandbox",
                        buf_str(&e->place.why));
    return EXITCODE_OK;
}

static int run(struct cli *cli)
{
    struct exec e = {.cli = cli, .exit_code = -1};
    int64_t timeout_ns = 0;
    const char *word;
    int r;

    buf_init(&e.command, EXEC_SCRIPT_MAX);
    buf_init(&e.out, EXEC_OUTPUT_MAX);
    buf_init(&e.err, EXEC_OUTPUT_MAX);
    r = read_command(&e, &word);
    if (r == EXITCODE_OK)
        r = read_options(&e, &timeout_ns);
    if (r != EXITCODE_OK)
        goto out;
    if (cli_has(cli, "tty")) {
        r = exec_terminal(&e, word, timeout_ns);
        goto out;
    }
    relay_block_signals(); /* before any thread is there that might get them */
    r = cli_job_place_find(&e.place, cli, word);
    if (r != EXITCODE_OK)
        goto out;
    e.cwd = cli_value(cli, "workdir");
    if (!e.cwd && *e.place.target.rest)
        e.cwd = e.place.target.rest;
    if (cli_has(cli, "detach")) {
        r = start_and_leave(&e);
        goto out;
    }
    r = run_and_wait(&e, timeout_ns);
    if (r != EXITCODE_OK)
        goto out;
    r = e.exit_code;
    if (e.json && put_json(&e) < 0)
        r = cli_fail_errno(-ENOMEM, "cannot print the answer");
out:
    cli_job_place_done(&e.place);
    free(e.env);
    buf_done(&e.command);
    buf_done(&e.out);
    buf_done(&e.err);
    return r;
}

static const struct cli_option options[] = {
    {"command", 'c', "LINE", "a line for the sandbox's shell, instead of words"},
    {"interactive", 'i', NULL, "pass stdin on, and its end"},
    {"tty", 't', NULL, "give it a terminal; with -i what is typed here goes to it key by key"},
    {"workdir", 'w', "DIR", "where it starts; default: this directory's place in the sandbox"},
    {"env", 'e', "NAME=VALUE", "environment; may be given more than once"},
    {"timeout", 0, "TIME", "end it after so long, with exit code 124"},
    {"detach", 'd', NULL, "print the job's number and do not wait; see jobs, logs, attach, kill"},
    {"name", 0, "NAME", "with --detach: a name beside its number"},
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
        "Output and errors are passed on byte for byte, as they come and as much as there is, also "
        "over a connection that breaks. Ctrl-C sends SIGINT to the command, a second one ends it. "
        "The exit code is the command's, 128 and more if a signal ended it; 125: it could not be "
        "started, 126: it cannot be executed, 127: it was not found.\n\n"
        "With --tty it gets a terminal of the size of this one, which follows; output and errors "
        "are one then. With -it all keys are the command's, Ctrl-C and Ctrl-Z too; ~. at the start "
        "of a line ends it, ~~ is a ~. It ends when the connection is lost or this program is "
        "ended. A terminal is a login shell that becomes the command, so its profile is read "
        "first.\n\n"
        "Without the helper all of this is done with the sandbox's own tools (sh, base64, stat, "
        "tail): see jobs in .ctl/help for what is weaker. Where they are missing, output and "
        "errors come together when the command ends, at most 64 MiB, stdin is empty, and a broken "
        "connection is an error.",
    .options = options,
    .flags = CLI_API | CLI_JSON | CLI_COMMAND_LINE,
    .max = -1,
};
