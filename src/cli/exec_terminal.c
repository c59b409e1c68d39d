/* exec --tty: a terminal in the sandbox whose shell becomes the command. */
#include "cli/converse.h"
#include "cli/exec.h"
#include "cli/script.h"
#include "cli/site.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SCRIPT_MAX = 96 << 10, /* a variable of the environment can be no larger than 128 KiB */
    FIRST_MAX = 4 << 10,   /* of what the shell says before the command begins */
    PIECE_MAX = 1 << 20,   /* of what comes at once */
};

/* A login shell with a long profile has so much time until the command begins. */
#define BEGIN_NS (60 * NS_PER_S)

struct tty {
    struct exec *e;
    struct site site;
    struct converse talk;
    char id[8 + SCRIPT_TOKEN_LEN];
    char token[SCRIPT_TOKEN_LEN + 1];
    struct buf script;
    struct buf first; /* before the command begins: not shown */
    bool begun;
    int64_t timeout_until_ns; /* monotonic; 0: no end */
};

/* ---- what comes ---- */

/* Until the token has come it is the shell's own: its greeting, its prompt, an echo. */
static int show(void *arg, const void *p, size_t n)
{
    struct tty *t = arg;
    const char *at;
    int r;

    if (t->begun)
        return io_write(STDOUT_FILENO, p, n);
    r = buf_append(&t->first, p, n);
    if (r < 0)
        return r;
    at = memmem(t->first.data, t->first.len, t->token, SCRIPT_TOKEN_LEN);
    if (!at) {
        if (t->first.len > FIRST_MAX)
            buf_consume(&t->first, t->first.len - FIRST_MAX);
        return 0;
    }
    t->begun = true;
    t->talk.until_ns = t->timeout_until_ns;
    converse_go(&t->talk);
    at += SCRIPT_TOKEN_LEN;
    return io_write(STDOUT_FILENO, at, t->first.len - (size_t)(at - t->first.data));
}

/* ---- its end ---- */

/* What the shell said instead: its last line, without what steers a terminal. */
static int not_begun(struct tty *t, const char *why)
{
    struct buf plain = BUF_INIT(4 * FIRST_MAX);
    const size_t most = t->first.len < 300 ? t->first.len : 300;
    int r;

    (void)text_plain(&plain, t->first.len > 0 ? buf_str(&t->first) + t->first.len - most : "");
    r = cli_fail(EXEC_NOT_RUN, "%s%s%s", why, most > 0 ? "; it said: " : "", buf_str(&plain));
    buf_done(&plain);
    return r;
}

static int was_left(struct tty *t)
{
    switch (t->talk.left) {
    case CONVERSE_SIGNAL:
        return 128 + t->talk.signal;
    case CONVERSE_TIME:
        if (t->timeout_until_ns == 0 || clock_mono_ns() < t->timeout_until_ns)
            return not_begun(t, "the sandbox's shell did not begin the command");
        return cli_fail(EXEC_TIMED_OUT, "the command took longer than --timeout=%s and was ended",
                        cli_value(t->e->cli, "timeout"));
    default:
        return cli_fail(EXITCODE_OTHER, "the command was ended by ~.");
    }
}

static int outcome(struct tty *t, int r, const struct daytona_pty_exit *end)
{
    if (r == 0 && !t->begun)
        return not_begun(t, "the sandbox's shell ended before it began the command");
    if (r == 0)
        return end->code >= 0 && end->code <= 255 ? end->code : EXITCODE_OTHER;
    /* Nobody is at its terminal any more. It may be ending by itself. */
    (void)daytona_pty_kill(t->site.api.sandbox, t->id);
    if (r == -EINTR)
        return was_left(t);
    if (r == -EPIPE || r == -EIO) /* nobody reads the output */
        return EXITCODE_OTHER;
    return cli_fail(EXITCODE_TRANSIENT, "the connection was lost (%.400s), and the command ended",
                    daytona_last_error()->message);
}

/* ---- its beginning ---- */

static int build(struct tty *t, const char *cwd)
{
    const struct script script = {
        .command = buf_str(&t->e->command),
        .cwd = cwd && cwd[0] == '/' ? cwd : NULL, /* relative: only the service knows to what */
        .env = t->e->env,
        .token = t->token,
    };
    int r = script_token(t->token);

    if (r == 0)
        r = script_terminal(&t->script, &script);
    if (r == -EFBIG)
        return cli_fail(EXEC_NOT_RUN, "with --tty a command has at most %d KiB: put it in a file",
                        SCRIPT_MAX >> 10);
    snprintf(t->id, sizeof(t->id), "exec-%.12s", t->token);
    return r < 0 ? cli_fail_errno(r, "cannot run the command") : EXITCODE_OK;
}

static int run_in_terminal(struct tty *t, const char *cwd)
{
    struct daytona_pair env[] = {{SCRIPT_TERMINAL_ENV, (char *)buf_str(&t->script)},
                                 {"HISTFILE", ""}};
    struct daytona_pty_params params = {.id = t->id, .cwd = cwd, .env = env, .env_count = 2};
    struct daytona_pty_exit end = {0};
    int64_t until_ns;
    int r;

    converse_size(&params.cols, &params.rows);
    r = daytona_pty_open(t->site.api.sandbox, &params, &t->talk.pty);
    if (r < 0) {
        r = site_check(&t->site, r, "cannot make a terminal");
        return r == EXITCODE_NOT_FOUND && !daytona_last_error()->infra ? EXEC_NOT_RUN : r;
    }
    until_ns = clock_mono_ns() + BEGIN_NS;
    if (t->timeout_until_ns > 0 && t->timeout_until_ns < until_ns)
        until_ns = t->timeout_until_ns;
    t->talk.until_ns = until_ns;
    r = daytona_pty_send(t->talk.pty, SCRIPT_TERMINAL_LINE, strlen(SCRIPT_TERMINAL_LINE));
    if (r == 0)
        r = converse(&t->talk, &end);
    r = outcome(t, r, &end);
    t->talk.pty = daytona_pty_detach(t->talk.pty);
    return r;
}

int exec_terminal(struct exec *e, const char *word, int64_t timeout_ns)
{
    struct tty t = {.e = e,
                    .script = BUF_INIT(SCRIPT_MAX),
                    .first = BUF_INIT(FIRST_MAX + PIECE_MAX),
                    .timeout_until_ns = timeout_ns > 0 ? clock_mono_ns() + timeout_ns : 0};
    const char *workdir = cli_value(e->cli, "workdir");
    char *cwd = NULL;
    int r = site_open(&t.site, e->cli, word, true);

    if (r == EXITCODE_OK && (workdir || t.site.target.mounted)) {
        cwd = site_path(&t.site, workdir);
        r = cwd ? EXITCODE_OK : cli_fail_errno(-ENOMEM, "cannot run the command");
    }
    if (r == EXITCODE_OK)
        r = build(&t, cwd);
    t.talk = (struct converse){.sandbox = t.site.api.sandbox,
                               .id = t.id,
                               .keys = cli_has(e->cli, "interactive"),
                               .waits = true,
                               .show = show,
                               .arg = &t};
    if (r == EXITCODE_OK) {
        r = run_in_terminal(&t, cwd);
        site_changed(&t.site);
    }
    site_done(&t.site);
    buf_done(&t.script);
    buf_done(&t.first);
    free(cwd);
    return r;
}
