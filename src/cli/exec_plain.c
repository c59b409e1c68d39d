/* exec where there are no jobs: through a mount's run, or the API's execute. */
#include "cli/exec.h"

#include "cli/script.h"

#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOKEN_SIZE = SCRIPT_TOKEN_LEN + 1 };

/* With --json the output waits for its end; else it goes out as it comes. */
static int put_output(struct exec *e, size_t keep)
{
    size_t n = e->out.len > keep ? e->out.len - keep : 0;
    int r;

    if (n == 0 || e->json)
        return 0;
    r = io_write(STDOUT_FILENO, e->out.data, n);
    buf_consume(&e->out, n);
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

    if (target_ask(&e->place.target, "exit", NULL, 0, &text) == 0 && text.len > 0)
        code = (int)strtol(buf_str(&text), NULL, 10);
    buf_done(&text);
    return code >= 0 && code <= 255 ? code : -1;
}

static int run_in_mount(struct exec *e, const char token[TOKEN_SIZE])
{
    const struct script script = {
        .command = buf_str(&e->command), .cwd = e->cwd, .env = e->env, .token = token};
    struct buf text = BUF_INIT(EXEC_SCRIPT_MAX);
    int fd = -1, r = script_build(&text, &script);

    if (r < 0)
        goto out;
    fd = r = target_open(&e->place.target, "run", O_RDWR);
    if (r < 0)
        goto out;
    r = io_write(fd, text.data, text.len);
    if (r == 0)
        r = copy_answer(e, fd);
    if (r == 0) {
        buf_truncate(&e->out, script_tail(buf_str(&e->out), e->out.len, token, &e->exit_code));
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

static int run_by_api(struct exec *e, const char token[TOKEN_SIZE])
{
    const struct script script = {.command = buf_str(&e->command),
                                  .cwd = e->cwd,
                                  .env = e->env,
                                  .token = token,
                                  .encode = true};
    struct buf text = BUF_INIT(EXEC_SCRIPT_MAX);
    struct daytona_execute execute = {.output_max = (uint64_t)EXEC_OUTPUT_MAX * 2};
    struct daytona_result result = {0};
    int r = script_build(&text, &script);

    if (r < 0)
        goto out;
    execute.command = buf_str(&text);
    r = daytona_process_execute(e->place.api.sandbox, &execute, &result);
    if (r < 0)
        goto out;
    r = script_decode(&e->out, result.output ? result.output : "", result.len, token,
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

static int not_run(struct exec *e, int err)
{
    if (err == -EPIPE)
        return EXITCODE_OTHER; /* nobody reads any more */
    if (err == -EFBIG && e->exit_code >= 0)
        return cli_fail(EXITCODE_OTHER, "the output is larger than %d MiB", EXEC_OUTPUT_MAX >> 20);
    if (err == -EFBIG)
        return cli_fail(EXEC_NOT_RUN, "the command or its output is too large: put it in a file");
    return cli_job_place_fail(&e->place, EXEC_NOT_RUN, err, "cannot run the command");
}

int exec_plain(struct exec *e)
{
    char token[TOKEN_SIZE];
    int r;

    buf_truncate(&e->place.why, 0); /* why there is no helper: not what fails from here on */
    if (script_token(token) < 0)
        return cli_fail(EXEC_NOT_RUN, "the system has no random numbers");
    r = e->place.api.sandbox ? run_by_api(e, token) : run_in_mount(e, token);
    if (r < 0)
        return not_run(e, r);
    if (e->exit_code < 0)
        return cli_fail(EXEC_NOT_RUN,
                        "the command could not be run, or its shell was killed%s%.500s",
                        e->out.len > 0 ? ": " : "", buf_str(&e->out));
    return EXITCODE_OK;
}
