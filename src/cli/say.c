/* What the commands say to people: one line, on stderr. */
#include "cli/cli.h"

#include "util/errtext.h"
#include "util/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 8192 };

/* Messages may quote names and answers from a sandbox: none of that may reach a terminal raw. */
static void say(const char *fmt, va_list ap, const char *tail)
{
    struct buf text = BUF_INIT(LINE_MAX_BYTES), line = BUF_INIT(LINE_MAX_BYTES);

    if (buf_vprintf(&text, fmt, ap) < 0 || text_plain(&line, buf_str(&text)) < 0)
        buf_puts(&line, "a message was too long to be shown"); /* short: it fits */
    fprintf(stderr, "daytonafs: %s%s\n", buf_str(&line), tail);
    buf_done(&text);
    buf_done(&line);
}

int cli_fail(int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(fmt, ap, "");
    va_end(ap);
    return code;
}

int cli_fail_usage(const struct cli *cli, const char *fmt, ...)
{
    char tail[128];
    va_list ap;

    snprintf(tail, sizeof(tail), " (see `daytonafs help%s%s`)", cli->command ? " " : "",
             cli->command ? cli->command->name : "");
    va_start(ap, fmt);
    say(fmt, ap, tail);
    va_end(ap);
    return EXITCODE_USAGE;
}

void cli_hint_path(const char *word)
{
    if (access(word, F_OK) == 0)
        cli_fail(0, "a local path is written with a slash: ./%s", word);
}

int cli_fail_errno(int err, const char *what)
{
    return cli_fail(exitcode_of(err, NULL), "%s: %s", what, errtext_sentence(err));
}

void cli_note(const char *fmt, ...)
{
    va_list ap;

    if (!isatty(STDERR_FILENO))
        return;
    va_start(ap, fmt);
    say(fmt, ap, "");
    va_end(ap);
}

int cli_end(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    /* The reader of a pipe that has seen enough is no failure worth a line. */
    if (errno != EPIPE)
        cli_fail(EXITCODE_OTHER, "cannot write the answer: %s", strerror(errno));
    return code == EXITCODE_OK ? EXITCODE_OTHER : code;
}
