/* The files of a session and of its commands: one row each. */
#include "ctl/session.h"

#include "ctl/box.h"
#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* ---- logs ---- */

struct taking {
    struct buf *out;       /* or */
    struct ctl_flow *flow; /* where it goes */
    unsigned streams;      /* 1 << enum daytona_stream: those that are wanted */
};

enum { OUT = 1 << DAYTONA_STDOUT, ERR = 1 << DAYTONA_STDERR };

static int take(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    struct taking *t = arg;

    if (!(t->streams & (1u << stream)))
        return 0;
    return t->out ? buf_append(t->out, p, n) : ctl_flow_put(t->flow, p, n);
}

static int show_log(struct ctl *ctl, const struct session_command *c, unsigned streams,
                    struct buf *out, struct buf *why)
{
    struct taking t = {.out = out, .streams = streams};
    int r = daytona_session_logs(ctl->host.sandbox, c->session->name, c->id, take, &t);

    if (r < 0)
        ctl_sdk_why(why, r, "its output cannot be fetched");
    return r;
}

static int show_out(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return show_log(ctl, obj, OUT, out, why);
}

static int show_err(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return show_log(ctl, obj, ERR, out, why);
}

static int show_both(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return show_log(ctl, obj, OUT | ERR, out, why);
}

static int flow_log(struct ctl *ctl, const struct session_command *c, unsigned streams,
                    struct ctl_flow *flow, int *ret_exit, struct buf *why)
{
    struct taking t = {.flow = flow, .streams = streams};
    int r = daytona_session_follow(ctl->host.sandbox, c->session->name, c->id, take, &t, ret_exit);

    /* What it changed is seen by whoever was told of its end. */
    fs_refresh(ctl->fs, NULL);
    if (r < 0 && r != -EINTR)
        ctl_sdk_why(why, r, "its output cannot be followed");
    return r;
}

static int flow_both(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why)
{
    return flow_log(ctl, obj, OUT | ERR, flow, NULL, why);
}

static int flow_out(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why)
{
    return flow_log(ctl, obj, OUT, flow, NULL, why);
}

static int flow_err(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why)
{
    return flow_log(ctl, obj, ERR, flow, NULL, why);
}

static int flow_wait(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why)
{
    char text[16];
    int code = 0, r = flow_log(ctl, obj, 0, flow, &code, why);

    if (r < 0)
        return r;
    (void)snprintf(text, sizeof(text), "%d\n", code);
    return ctl_flow_put(flow, text, strlen(text));
}

/* ---- a command ---- */

static int show_command(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    struct daytona_command now;
    const char *mark;
    int r = session_command_now(ctl, obj, &now);

    if (r < 0) {
        ctl_sdk_why(why, r, "not known");
        return r;
    }
    mark = strstr(now.command, SESSION_MARK);
    r = buf_append(out, now.command, mark ? (size_t)(mark - now.command) : strlen(now.command));
    if (r == 0 && out->len > 0 && out->data[out->len - 1] != '\n')
        r = buf_putc(out, '\n');
    daytona_command_done(&now);
    return r;
}

static int show_command_exit(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    struct daytona_command now;
    int r = session_command_now(ctl, obj, &now);

    if (r < 0) {
        ctl_sdk_why(why, r, "not known");
        return r;
    }
    if (!now.running)
        r = buf_printf(out, "%d\n", now.exit_code);
    daytona_command_done(&now);
    return r;
}

static int put_stdin(struct ctl *ctl, void *obj, const char *data, size_t len, struct buf *why)
{
    const struct session_command *c = obj;
    int r = daytona_session_input(ctl->host.sandbox, c->session->name, c->id, data, len);

    if (r < 0)
        ctl_sdk_why(why, r, "not typed");
    return r;
}

static const struct ctl_row command_rows[] = {
    {.name = "command",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .waits = true,
     .show = show_command,
     .help = "what it is"},
    {.name = "stdout",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .waits = true,
     .show = show_out,
     .help = "what it has printed so far, in whole lines"},
    {.name = "stderr",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .waits = true,
     .show = show_err,
     .help = "the same of its stderr"},
    {.name = "output",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .waits = true,
     .show = show_both,
     .help = "both, in the order in which they came to the log"},
    {.name = "exit",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .waits = true,
     .show = show_command_exit,
     .help = "its exit code; empty while it runs"},
    {.name = "stdin",
     .mode = 0600,
     .kind = CTL_SINK,
     .put = put_stdin,
     .takes = "LINES",
     .help = "is typed to it, and shown in its output; only if it was made by start"},
    CTL_FOLLOW_ROWS(flow_both, flow_out, flow_err),
    {.name = "wait",
     .mode = 0400,
     .kind = CTL_FLOW,
     .unlisted = true,
     .flow = flow_wait,
     .help = "waits for its end; its exit code"},
    {.name = NULL},
};

const struct ctl_row session_command_row = {.mode = 0700, .kind = CTL_DIR, .rows = command_rows};

/* ---- a session ---- */

/* UTF-8 is all that can be sent. Each is another text, so that it can be found. *ret is the
 * caller's. */
static int script_of(const char *text, size_t len, char **ret, struct buf *why)
{
    if (memchr(text, '\0', len)) {
        (void)buf_puts(why, "not run: a script cannot hold a NUL byte");
        return -EINVAL;
    }
    if (asprintf(ret, "%.*s" SESSION_MARK "%llx\n", (int)len, text,
                 (unsigned long long)clock_real_ns()) < 0)
        *ret = NULL;
    return *ret ? 0 : -ENOMEM;
}

/* ---- a command that takes longer, or will never end ---- */

enum {
    OUTPUT_TAIL = sizeof(SESSION_ENDED) + 8,
    QUICK_MS = 3000, /* longer ones are followed, which tells their end a second late */
};

/* What a command prints, while somebody looks for the end of its shell. */
struct waiting {
    struct buf *out;
    int ended; /* the shell's exit code; -1: it lives */
};

static int take_waited(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    struct waiting *w = arg;
    const size_t from = w->out->len > OUTPUT_TAIL ? w->out->len - OUTPUT_TAIL : 0;
    const char *at;
    int r = buf_append(w->out, p, n);

    if (r < 0)
        return r;
    at = memmem(w->out->data + from, w->out->len - from, SESSION_ENDED, strlen(SESSION_ENDED));
    if (!at || !memchr(at, '\n', (size_t)(w->out->data + w->out->len - at)))
        return 0;
    w->ended = atoi(at + strlen(SESSION_ENDED)) & 0xff;
    return -EPIPE;
}

/* The command of this text. *ret is the caller's. */
static int find_command(struct ctl *ctl, const char *session, const char *text, char **ret)
{
    struct daytona_session now = {0};
    int r = daytona_session_get(ctl->host.sandbox, session, &now);

    for (size_t i = 0; r == 0 && i < now.command_count && !*ret; i++)
        if (strcmp(now.commands[i].command, text) == 0)
            *ret = strdup(now.commands[i].id);
    daytona_session_done(&now);
    return r == 0 && !*ret ? -ENOENT : r;
}

/* It was handed over and has not ended: its log is followed until it, or its shell, has. */
static int wait_on(struct ctl *ctl, struct session *s, const char *text,
                   struct daytona_session_result *ret)
{
    struct buf out = BUF_INIT(ctl->output_max);
    struct waiting w = {.out = &out, .ended = -1};
    int r = find_command(ctl, s->name, text, &ret->command_id);

    if (r == 0)
        r = daytona_session_follow(ctl->host.sandbox, s->name, ret->command_id, take_waited, &w,
                                   &ret->exit_code);
    if (w.ended >= 0)
        r = -EPIPE;
    if (r == 0) {
        ret->out_len = out.len;
        ret->out = buf_take(&out);
    }
    buf_done(&out);
    return r;
}

static int execute(struct ctl *ctl, struct session *s, const char *text, size_t len, bool async,
                   struct daytona_session_result *ret, struct buf *why)
{
    struct daytona_session_execute e = {
        .async = async, .output_max = ctl->output_max, .timeout_ms = async ? 0 : QUICK_MS};
    char *script = NULL;
    int r = script_of(text, len, &script, why);

    if (r == 0)
        r = ctl_barrier(ctl->fs, why);
    if (r == 0) {
        e.command = script;
        r = daytona_session_execute(ctl->host.sandbox, s->name, &e, ret);
        if (r == -ETIMEDOUT && !async)
            r = wait_on(ctl, s, script, ret);
        session_stale(s);
        fs_refresh(ctl->fs, NULL);
        if (r == -EINTR)
            (void)buf_puts(why, "nobody waited for the command any more: it goes on, and those "
                                "that follow wait for it");
        else if (r == -EPIPE)
            (void)buf_puts(why, "the session's shell has ended, as exit and exec end it: remove "
                                "the session and make another; `return N` sets an exit code");
        else if (r < 0)
            ctl_sdk_why(why, r, "not run, or how it ended is not known");
    }
    free(script);
    return r;
}

/* The answer's text came as JSON: if it was not UTF-8, the log has it as it was. */
static int put_output(struct ctl *ctl, struct session *s, const struct daytona_session_result *res,
                      struct buf *out, struct buf *why)
{
    const struct session_command c = {.session = s, .id = res->command_id};
    int r;

    if ((res->out_len && memmem(res->out, res->out_len, REPLACEMENT, 3)) ||
        (res->err_len && memmem(res->err, res->err_len, REPLACEMENT, 3)))
        return show_log(ctl, &c, OUT | ERR, out, why);
    r = res->out_len ? buf_append(out, res->out, res->out_len) : 0;
    return r == 0 && res->err_len ? buf_append(out, res->err, res->err_len) : r;
}

static int ask_session_run(struct ctl *ctl, void *obj, const char *text, size_t len,
                           struct buf *out, struct buf *why)
{
    struct daytona_session_result result = {0};
    int r = execute(ctl, obj, text, len, false, &result, why);

    session_keep_exit(obj, r == 0        ? result.exit_code
                           : r == -EINTR ? EXIT_INTERRUPTED
                                         : EXIT_NOT_RUN);
    if (r == 0)
        r = put_output(ctl, obj, &result, out, why);
    daytona_session_result_done(&result);
    return r;
}

static int ask_start(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
                     struct buf *why)
{
    struct daytona_session_result result = {0};
    int r = execute(ctl, obj, text, len, true, &result, why);

    if (r == 0)
        r = buf_printf(out, "%s\n", result.command_id);
    daytona_session_result_done(&result);
    return r;
}

static int show_exit(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    const int code = session_last_exit(obj);

    return code < 0 ? 0 : buf_printf(out, "%d\n", code);
}

static const struct ctl_row rows[] = {
    {.name = "run",
     .mode = 0600,
     .kind = CTL_QUERY,
     .ask = ask_session_run,
     .question_max = QUESTION_MAX,
     .takes = "SCRIPT",
     .help = "runs it in the session's shell; the answer is stdout, then stderr",
     .example = "echo cd src > $/sessions/a/run; cat $/sessions/a/run"},
    {.name = "exit",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .show = show_exit,
     .help = "exit code of the run that ended last, as the other exit"},
    {.name = "start",
     .mode = 0600,
     .kind = CTL_QUERY,
     .ask = ask_start,
     .question_max = QUESTION_MAX,
     .takes = "SCRIPT",
     .help = "the same without waiting; the answer is its ID"},
    {.name = "commands",
     .mode = 0700,
     .kind = CTL_DIR,
     .waits = true,
     .dir = &session_commands_dir,
     .help = "what was run and started"},
    {.name = NULL},
};

const struct ctl_row session_row = {.mode = 0700, .kind = CTL_DIR, .rows = rows};
