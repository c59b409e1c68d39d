/*
 * process.c - execute: the command goes to a shell's standard input, what it prints comes back.
 */
#include "server/run.h"
#include "server/server_internal.h"

#include "util/array.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/path.h"
#include "wire/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 64 << 20 };

/* ---- one run ---- */

struct run {
    struct request *rq;
    const char *text; /* what is still to be written to the shell */
    size_t left;
    int in, out, status; /* our ends; -1 when closed */
    uint32_t id;
    struct buf output;
    bool overflow;
    bool exited;
    struct jail_event event;
    int64_t deadline_ns; /* of the command; INT64_MAX: none */
    int64_t linger_ns;
    bool timed_out;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void feed_shell(struct run *run)
{
    const ssize_t n = write(run->in, run->text, run->left);

    if (n > 0) {
        run->text += n;
        run->left -= (size_t)n;
    }
    if (run->left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&run->in); /* a shell that has gone does not read the rest */
}

static void drain_output(struct run *run)
{
    char block[64 << 10];
    const ssize_t n = read(run->out, block, sizeof(block));

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_fd(&run->out);
    else if (n > 0 && buf_append(&run->output, block, (size_t)n) < 0)
        run->overflow = true; /* read on, so that the command is not stuck */
}

static void take_status(struct run *run)
{
    const ssize_t n = read(run->status, &run->event, sizeof(run->event));

    if (n < 0 && errno == EINTR)
        return;
    if (n != (ssize_t)sizeof(run->event)) /* the sandbox has ended */
        run->event = (struct jail_event){.kind = JAIL_EXITED, .value = SIGKILL};
    run->exited = true;
    close_fd(&run->status);
}

/* Until the shell has ended and nobody holds its output, or the time is over. */
static void wait_run(struct run *run)
{
    int64_t until = run->deadline_ns;

    while (run->out >= 0 || !run->exited) {
        struct pollfd fds[3] = {{.fd = run->in, .events = POLLOUT},
                                {.fd = run->out, .events = POLLIN},
                                {.fd = run->status, .events = POLLIN}};
        const int64_t now = clock_mono_ns();
        const bool was_running = !run->exited;
        int timeout = -1;

        if (until != INT64_MAX)
            timeout = now >= until ? 0
                                   : (int)((until - now) / NS_PER_MS + 1 < 60000
                                               ? (until - now) / NS_PER_MS + 1
                                               : 60000);
        if (poll(fds, 3, timeout) < 0 && errno != EINTR)
            return;
        if (fds[0].revents)
            feed_shell(run);
        if (fds[1].revents)
            drain_output(run);
        if (fds[2].revents)
            take_status(run);
        if (was_running && run->exited) {
            close_fd(&run->in);
            if (until > clock_mono_ns() + run->linger_ns)
                until = clock_mono_ns() + run->linger_ns;
        }
        if (clock_mono_ns() >= until) {
            run->timed_out = until == run->deadline_ns;
            return;
        }
    }
}

static int start_run(struct run *run, const char *const *argv, const char *cwd,
                     struct shell_env *env)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, r = 0;
    struct jail_job job = {
        .cwd = cwd, .argv = argv, .env = (const char *const *)env->list, .fd_count = 3};

    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        r = -errno;
    job.fds[0] = in[0];
    job.fds[1] = job.fds[2] = out[1];
    if (r == 0)
        r = jail_spawn(run->rq->jail, &job, &run->status, &run->id);
    close_fd(&in[0]);
    close_fd(&out[1]);
    if (r < 0) {
        close_fd(&in[1]);
        close_fd(&out[0]);
        return r;
    }
    run->in = in[1];
    run->out = out[0];
    (void)fcntl(run->in, F_SETFL, O_NONBLOCK);
    (void)fcntl(run->out, F_SETFL, O_NONBLOCK);
    return 0;
}

static void answer_result(struct request *rq, int exit_code, const char *text, size_t len)
{
    const struct wire_result result = {.exit_code = exit_code, .output = (char *)text, .len = len};

    reply_header(rq, "Content-Type", "application/json; charset=utf-8");
    buf_truncate(&rq->reply.text, 0);
    reply_status(rq, wire_result_write(&rq->reply.text, &result) < 0 ? 500 : 200);
}

static void answer_failed(struct request *rq, const char *what, const char *which, int err)
{
    char text[4400];
    const char *sentence = strerror(err);

    snprintf(text, sizeof(text), "%s %s: %c%s", what, which, tolower((unsigned char)*sentence),
             sentence + 1);
    answer_result(rq, -1, text, strlen(text));
}

static void answer_run(struct request *rq, struct run *run, const char *shell, const char *cwd)
{
    if (run->timed_out) {
        reply_error(rq, 408, "REQUEST_TIMEOUT", "request timeout: command execution timeout");
    } else if (run->event.kind == JAIL_NO_CWD) {
        answer_failed(rq, "chdir", cwd, run->event.value);
    } else if (run->event.kind == JAIL_NO_EXEC) {
        answer_failed(rq, "fork/exec", shell, run->event.value);
    } else if (run->overflow) {
        static const char text[] = "the output is larger than this server holds";

        answer_result(rq, -1, text, sizeof(text) - 1);
    } else {
        const int status = run->event.value;

        answer_result(rq, WIFEXITED(status) ? WEXITSTATUS(status) : -1, buf_str(&run->output),
                      run->output.len);
    }
}

static void execute(struct request *rq, const struct wire_execute *e)
{
    struct fault_settings settings;
    struct run run = {.rq = rq,
                      .text = e->command,
                      .left = strlen(e->command),
                      .in = -1,
                      .out = -1,
                      .status = -1,
                      .deadline_ns = INT64_MAX};
    const char *argv[3] = {NULL};
    char shell[256], *cwd = NULL;
    struct shell_env *env;
    int r = -ENOMEM;

    fault_settings(rq->srv->fault, &settings);
    run.linger_ns = settings.linger_ns;
    buf_init(&run.output, OUTPUT_MAX);
    shell_choose(rq, shell);
    argv[0] = shell;
    if (strcmp(path_base(shell), "busybox") == 0)
        argv[1] = "sh"; /* it is many programs: it is told which */
    env = calloc(1, sizeof(*env));
    cwd = view_absolute(rq, e->cwd && *e->cwd ? e->cwd : view_work_dir(rq));
    if (env && cwd)
        r = shell_env_fill(rq, &e->env, env);
    if (r == 0 && strcmp(shell, "none") == 0) {
        static const char text[] = "exec: \"sh\": executable file not found in $PATH";

        answer_result(rq, -1, text, sizeof(text) - 1);
        goto out;
    }
    if (r == 0 && e->timeout_s > 0)
        run.deadline_ns = clock_mono_ns() + e->timeout_s * NS_PER_S;
    if (r == 0)
        r = start_run(&run, argv, cwd, env);
    if (r < 0) {
        answer_failed(rq, "fork/exec", shell, -r);
        goto out;
    }
    wait_run(&run);
    if (run.timed_out)
        (void)jail_kill_group(rq->jail, run.id); /* fails only when all of it has ended */
    answer_run(rq, &run, shell, cwd);
out:
    close_fd(&run.in);
    close_fd(&run.out);
    close_fd(&run.status);
    buf_done(&run.output);
    if (env)
        shell_env_done(env);
    free(env);
    free(cwd);
}

static bool envs_valid(struct request *rq, const struct json_pairs *env)
{
    for (size_t i = 0; i < env->count; i++) {
        if (shell_env_key_valid(env->list[i].key))
            continue;
        reply_error(rq, 400, "BAD_REQUEST",
                    "bad request: invalid environment variable name: %.100s", env->list[i].key);
        return false;
    }
    return true;
}

/* ---- code-run ---- */

struct language {
    const char *name, *command;
};
static const struct language languages[] = {
    {"python", "python3 -u -"}, {"javascript", "node -"}, {"typescript", "npx ts-node"}};

struct code_json {
    char *code, *language;
    struct json_strings argv;
    struct json_pairs env;
    int64_t timeout_s;
};
static const struct json_field code_fields[] = {
    JSON_FIELD(struct code_json, code, "code", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct code_json, language, "language", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct code_json, argv, "argv", JSON_STRINGS, 0),
    JSON_FIELD(struct code_json, env, "envs", JSON_PAIRS, 0),
    JSON_FIELD(struct code_json, timeout_s, "timeout", JSON_INT, 0),
};

/* The code travels as base64 in a line of the shell's, arguments unquoted: as in the real one. */
static int put_code_command(const struct code_json *c, const char *command, struct buf *out)
{
    const bool file = strcmp(c->language, "typescript") == 0;
    int r;

    r = buf_puts(out, "printf '%s' '");
    if (r == 0)
        r = base64_encode(out, c->code, strlen(c->code));
    if (r == 0)
        r = buf_printf(out, "' | base64 -d %s%s", file ? "> /tmp/dtn_$$.ts && " : "| ", command);
    if (r == 0 && file)
        r = buf_puts(out, " /tmp/dtn_$$.ts");
    for (size_t i = 0; r == 0 && i < c->argv.count; i++)
        r = buf_printf(out, " %s", c->argv.list[i]);
    return r < 0 ? r : buf_puts(out, file ? " </dev/null\n" : "\n");
}

void process_code_run(struct request *rq)
{
    struct buf command = BUF_INIT(2 * BODY_MAX);
    struct code_json c = {0};
    struct wire_execute e = {0};
    const char *program = NULL;

    if (request_json(rq, code_fields, ARRAY_LEN(code_fields), &c) == 0) {
        for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
            if (strcmp(languages[i].name, c.language) == 0)
                program = languages[i].command;
        }
    }
    if (!program || !*c.code || c.timeout_s < 0 || c.timeout_s > UINT32_MAX) {
        reply_error(rq, 400, "BAD_REQUEST", "bad request: code or language is missing or unknown");
    } else if (!envs_valid(rq, &c.env)) {
        /* refused there */
    } else if (put_code_command(&c, program, &command) == 0) {
        e = (struct wire_execute){.command = command.data, .env = c.env, .timeout_s = c.timeout_s};
        execute(rq, &e); /* borrows all of it */
    }
    buf_done(&command);
    json_unload(code_fields, ARRAY_LEN(code_fields), &c);
}

/* ---- for other calls ---- */

int run_program(struct request *rq, const struct run_params *params, struct buf *out)
{
    struct run run = {.rq = rq,
                      .text = params->input,
                      .left = params->input_len,
                      .in = -1,
                      .out = -1,
                      .status = -1,
                      .deadline_ns = INT64_MAX};
    struct shell_env *env = calloc(1, sizeof(*env));
    struct fault_settings settings;
    int r = env ? 0 : -ENOMEM;

    fault_settings(rq->srv->fault, &settings);
    run.linger_ns = settings.linger_ns;
    buf_init(&run.output, OUTPUT_MAX);
    if (params->timeout_ns > 0)
        run.deadline_ns = clock_mono_ns() + params->timeout_ns;
    if (r == 0)
        r = shell_env_fill(rq, params->env, env);
    if (r == 0)
        r = start_run(&run, params->argv, params->cwd, env);
    if (r == 0) {
        wait_run(&run);
        if (run.timed_out)
            (void)jail_kill_group(rq->jail, run.id); /* fails only when all of it has ended */
        if (run.timed_out)
            r = -ETIMEDOUT;
        else if (run.event.kind != JAIL_EXITED)
            r = -run.event.value;
        else if (run.overflow)
            r = -EFBIG;
        else
            r = WIFEXITED(run.event.value) ? WEXITSTATUS(run.event.value)
                                           : 128 + WTERMSIG(run.event.value);
    }
    close_fd(&run.in);
    close_fd(&run.out);
    close_fd(&run.status);
    *out = run.output;
    if (env)
        shell_env_done(env);
    free(env);
    return r;
}

void process_execute(struct request *rq)
{
    struct wire_execute e = {0};

    if (wire_execute_read(buf_str(&rq->body), rq->body.len, &e) < 0) {
        reply_error(rq, 400, "BAD_REQUEST", "bad request: command is required");
        return;
    }
    if (!envs_valid(rq, &e.env)) {
        wire_execute_done(&e);
        return;
    }
    execute(rq, &e);
    wire_execute_done(&e);
}
