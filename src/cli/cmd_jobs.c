/* daytonafs jobs, logs, attach, kill: what exec --detach and a mount's jobs/ have started. */
#include "cli/exec.h"
#include "cli/relay.h"

#include "util/io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* [MOUNT|SANDBOX] JOB */
struct operands {
    const char *word, *job;
};

static struct operands operands_of(const struct cli *cli)
{
    return cli->argc > 1 ? (struct operands){cli->argv[0], cli->argv[1]}
                         : (struct operands){NULL, cli->argv[0]};
}

static int put(void *arg, bool err, const void *p, size_t n)
{
    return io_write(err ? STDERR_FILENO : STDOUT_FILENO, p, n);
}

static int fail(struct cli_job_place *p, int err, const char *job)
{
    if (err == -EPIPE)
        return EXITCODE_OTHER; /* nobody reads any more */
    if (err == -ENOENT)
        return cli_fail(EXITCODE_NOT_FOUND, "there is no job %s: `daytonafs jobs` lists them", job);
    if (err == -EOPNOTSUPP)
        return cli_fail(EXITCODE_OTHER, "no job can be run in this sandbox%s%s",
                        p->why.len > 0 ? ": " : "", buf_str(&p->why));
    if (err == -ESRCH)
        return cli_fail(EXITCODE_OTHER, "job %s has ended", job);
    if (err == -EBUSY)
        return cli_fail(EXITCODE_CONFLICT, "job %s is running: `daytonafs kill` ends it", job);
    return cli_job_place_fail(p, EXITCODE_OTHER, err, "cannot get at the job");
}

/* ---- jobs ---- */

static int print_list(struct cli_job_place *p, bool json)
{
    struct cli_rows rows;
    int r;

    cli_rows_init(&rows, cli_job_columns, cli_job_column_count);
    r = cli_job_rows(p, &rows);
    r = r < 0 ? fail(p, r, "") : cli_rows_print(&rows, json);
    cli_rows_done(&rows);
    return r;
}

static int remove_job(struct cli_job_place *p, const char *name)
{
    struct cli_job j;
    int r = cli_job_attach(&j, p, name, put, NULL);

    if (r == 0)
        r = cli_job_remove(&j);
    cli_job_done(&j);
    return r < 0 ? fail(p, r, name) : EXITCODE_OK;
}

static int run_jobs(struct cli *cli)
{
    const char *removed = cli_value(cli, "remove");
    struct cli_job_place p;
    int r = cli_job_place_find(&p, cli, cli->argc > 0 ? cli->argv[0] : NULL);

    if (r == EXITCODE_OK)
        r = removed ? remove_job(&p, removed) : print_list(&p, cli_has(cli, "json"));
    cli_job_place_done(&p);
    return r;
}

static const struct cli_option jobs_options[] = {
    {"remove", 0, "JOB", "remove one that has ended, and what it printed"},
    {0},
};

const struct cli_command cmd_jobs = {
    .name = "jobs",
    .run = run_jobs,
    .usage = "[MOUNT|SANDBOX]",
    .summary = "list the commands that go on in a sandbox",
    .text =
        "Those that `daytonafs exec --detach` and a mount's .ctl/jobs have started, ended ones "
        "until they are removed, and what runs for `daytonafs exec` just now. Jobs that were "
        "started with the helper are not seen without it, nor the other way round: ask with the "
        "same helper= as the mount that started them.",
    .options = jobs_options,
    .flags = CLI_API | CLI_JSON,
    .max = 1,
};

/* ---- logs and attach ---- */

static int follow(struct cli_job *j, int *ret_code)
{
    struct stat out, err;
    const bool together = fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0 &&
                          out.st_dev == err.st_dev && out.st_ino == err.st_ino;

    return cli_job_follow(j, together, ret_code);
}

static int run_logs(struct cli *cli)
{
    const struct operands o = operands_of(cli);
    struct cli_job_place p;
    struct cli_job j;
    int code, r = cli_job_place_find(&p, cli, o.word);

    if (r == EXITCODE_OK) {
        r = cli_job_attach(&j, &p, o.job, put, NULL);
        if (r == 0)
            r = cli_has(cli, "follow") ? follow(&j, &code) : cli_job_output(&j);
        cli_job_done(&j);
        r = r < 0 ? fail(&p, r, o.job) : EXITCODE_OK;
    }
    cli_job_place_done(&p);
    return r;
}

static const struct cli_option logs_options[] = {
    {"follow", 'f', NULL, "go on until the job has ended"},
    {0},
};

const struct cli_command cmd_logs = {
    .name = "logs",
    .run = run_logs,
    .usage = "[MOUNT|SANDBOX] JOB",
    .summary = "print what a job has printed",
    .text =
        "JOB is the number or the name of one. Its stdout goes to stdout, its stderr to stderr.",
    .options = logs_options,
    .flags = CLI_API,
    .min = 1,
    .max = 2,
};

static int attach(struct cli_job_place *p, const char *name, bool input)
{
    struct relay *relay = NULL;
    struct cli_job j;
    int code = -1, r = relay_new(0, &relay);

    if (r < 0)
        return cli_fail_errno(r, "cannot attach");
    r = cli_job_attach(&j, p, name, put, NULL);
    if (r == 0)
        r = relay_start(relay, &j, input);
    if (r == 0)
        r = follow(&j, &code);
    (void)relay_stop(relay);
    cli_job_done(&j);
    if (r < 0)
        return fail(p, r, name);
    return code >= 0 ? code
                     : cli_fail(EXEC_NOT_RUN, "job %s was cut off: the sandbox was stopped", name);
}

static int run_attach(struct cli *cli)
{
    const struct operands o = operands_of(cli);
    struct cli_job_place p;
    int r;

    relay_block_signals();
    r = cli_job_place_find(&p, cli, o.word);
    if (r == EXITCODE_OK)
        r = attach(&p, o.job, cli_has(cli, "interactive"));
    cli_job_place_done(&p);
    return r;
}

static const struct cli_option attach_options[] = {
    {"interactive", 'i', NULL, "pass stdin on; for a job whose stdin was left open"},
    {0},
};

const struct cli_command cmd_attach = {
    .name = "attach",
    .run = run_attach,
    .usage = "[MOUNT|SANDBOX] JOB",
    .summary = "be to a job as if it had been started here",
    .text = "Prints what it has printed and prints, until it ends; the exit code is the job's. "
            "Ctrl-C sends it SIGINT, a second one kills it.",
    .options = attach_options,
    .flags = CLI_API,
    .min = 1,
    .max = 2,
};

/* ---- kill ---- */

static int run_kill(struct cli *cli)
{
    const char *signal = cli_value(cli, "signal");
    const struct operands o = operands_of(cli);
    struct cli_job_place p;
    struct cli_job j;
    int r;

    if (signal && cli_job_signal(signal) < 0)
        return cli_fail_usage(cli, "--signal=%s is none: a number, or TERM, INT, KILL, HUP",
                              signal);
    r = cli_job_place_find(&p, cli, o.word);
    if (r == EXITCODE_OK) {
        r = cli_job_attach(&j, &p, o.job, put, NULL);
        if (r == 0)
            r = cli_job_kill(&j, signal ? signal : "TERM");
        cli_job_done(&j);
        r = r < 0 ? fail(&p, r, o.job) : EXITCODE_OK;
    }
    cli_job_place_done(&p);
    return r;
}

static const struct cli_option kill_options[] = {
    {"signal", 's', "SIGNAL", "a name or number; default: TERM"},
    {0},
};

const struct cli_command cmd_kill = {
    .name = "kill",
    .run = run_kill,
    .usage = "[MOUNT|SANDBOX] JOB",
    .summary = "send a signal to a job",
    .text = "All processes of the job get it, those in sessions of their own excepted.",
    .options = kill_options,
    .flags = CLI_API,
    .min = 1,
    .max = 2,
};
