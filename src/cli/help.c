/* Help, from the rows of the commands. */
#include "cli/cli.h"

#include "mount/options.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 80, INDENT = 2, TEXT_COLUMN = 28 };

/*
 * The buffer's ceiling is far above all the help there is, so an append that fails is out of
 * memory: then the text is short, which whoever reads it sees.
 */
static void put(struct buf *out, const char *s)
{
    (void)buf_puts(out, s);
}

static void put_spaces(struct buf *out, size_t n)
{
    (void)buf_printf(out, "%*s", (int)n, "");
}

/* Words from the current column on, wrapped and indented. An empty line begins a paragraph. */
static void put_wrapped(struct buf *out, const char *text, size_t column, size_t indent)
{
    bool first = true;

    while (*text) {
        const size_t len = strcspn(text, " \n");

        if (len > 0) {
            if (!first && column + 1 + len > WIDTH) {
                put(out, "\n");
                put_spaces(out, indent);
                column = indent;
            } else if (!first) {
                put(out, " ");
                column++;
            }
            (void)buf_append(out, text, len);
            column += len;
            first = false;
        }
        text += len;
        if (strncmp(text, "\n\n", 2) == 0) {
            put(out, "\n\n");
            put_spaces(out, indent);
            column = indent;
            first = true;
        }
        text += strspn(text, " \n");
    }
    put(out, "\n");
}

/* "  left        right, wrapped" */
static void put_entry(struct buf *out, const char *left, const char *right)
{
    size_t column = INDENT + strlen(left);

    put_spaces(out, INDENT);
    put(out, left);
    if (column + 2 > TEXT_COLUMN) {
        put(out, "\n");
        column = 0;
    }
    put_spaces(out, TEXT_COLUMN - column);
    put_wrapped(out, right, TEXT_COLUMN, TEXT_COLUMN);
}

static void put_option(struct buf *out, const struct cli_option *o)
{
    char left[128];

    snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
             o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name, o->arg ? " " : "",
             o->arg ? o->arg : "");
    put_entry(out, left, o->help);
}

void cli_help_command(struct buf *out, const struct cli_command *command)
{
    const struct cli_option *o;
    size_t i = 0;

    (void)buf_printf(out, "usage: daytonafs %s%s%s%s\n\n", command->name,
                     command->options || command->flags ? " [OPTION...]" : "",
                     *command->usage ? " " : "", command->usage);
    put_wrapped(out, command->summary, 0, 0);
    if (command->text) {
        put(out, "\n");
        put_wrapped(out, command->text, 0, 0);
    }
    put(out, "\nOptions:\n");
    while ((o = cli_each_option(command, &i)))
        put_option(out, o);
    if (command->flags & CLI_MOUNT_OPTIONS) {
        put(out, "\nWhat can follow -o:\n");
        (void)options_help(out);
    }
}

static void put_command(struct buf *out, const struct cli_command *c)
{
    char left[128];

    snprintf(left, sizeof(left), "%s%s%s", c->name, *c->usage ? " " : "", c->usage);
    put_entry(out, left, c->summary);
}

void cli_help_overview(struct buf *out)
{
    put(out, "usage: daytonafs COMMAND [ARG...]\n"
             "       daytonafs SANDBOX[:PATH] DIR [-o OPTION,...]\n\n"
             "Daytona sandboxes as directories.\n\nCommands:\n");
    for (size_t i = 0; i < cli_command_count; i++)
        put_command(out, cli_commands[i]);
    put(out, "\nExit codes:\n");
    for (const struct cli_exit *e = cli_exits; e->help; e++) {
        char left[16];

        snprintf(left, sizeof(left), "%d", e->code);
        put_entry(out, left, e->help);
    }
    put(out, "\n`daytonafs help COMMAND` says more.\n");
}

int cli_help_group(const char *first, bool asked)
{
    const size_t len = strlen(first);
    struct buf out = BUF_INIT(1 << 20);

    (void)buf_printf(&out, "usage: daytonafs %s COMMAND [ARG...]\n\nCommands:\n", first);
    for (size_t i = 0; i < cli_command_count; i++) {
        if (strncmp(cli_commands[i]->name, first, len) == 0 && cli_commands[i]->name[len] == ' ')
            put_command(&out, cli_commands[i]);
    }
    (void)buf_printf(&out, "\n`daytonafs help %s COMMAND` says more.\n", first);
    fputs(buf_str(&out), asked ? stdout : stderr);
    buf_done(&out);
    return asked ? EXITCODE_OK : EXITCODE_USAGE;
}

const struct cli_exit cli_exits[] = {
    {EXITCODE_OK, "it worked"},
    {EXITCODE_OTHER, "it failed for a reason without a code of its own"},
    {EXITCODE_USAGE, "the command line is wrong"},
    {EXITCODE_NOT_FOUND, "no such sandbox, file or mount"},
    {EXITCODE_AUTH, "no credential, or it was refused"},
    {EXITCODE_CONFLICT, "something else is there, or another change is going on"},
    {EXITCODE_TIMEOUT, "no answer in time"},
    {EXITCODE_TRANSIENT, "the network or the service: trying again later may work"},
    {EXITCODE_QUEUED, "data is still to be sent"},
    {EXITCODE_NOT_RUNNING, "the sandbox is not running"},
    {0, NULL},
};
