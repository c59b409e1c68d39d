/*
 * cli.h - what the commands share: the table that describes them, their arguments, and how they
 * speak to people.
 *
 * A command is one file, cmd_NAME.c, with one struct cli_command; commands.c lists them. The
 * parser, help, the manual and the completions all read that row. One thread.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "mount/exitcode.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli;

struct cli_option {
    const char *name; /* without the dashes; NULL ends the list */
    char letter;      /* 0: none */
    const char *arg;  /* what its value is called; NULL: it has none */
    const char *help; /* one line */
};

enum cli_flags {
    CLI_API = 1 << 0,          /* has --api-url and --credentials */
    CLI_JSON = 1 << 1,         /* has --json */
    CLI_RAW = 1 << 2,          /* argv is all that follows the name, not looked at */
    CLI_COMMAND_LINE = 1 << 3, /* the second operand ends the options: it begins a command */
    CLI_MOUNT_OPTIONS = 1 << 4 /* help lists what can follow -o */
};

struct cli_command {
    const char *name;                 /* "exec", or two words: "sandbox list" */
    int (*run)(struct cli *cli);      /* returns the exit code; has explained a failure on stderr */
    const char *usage;                /* the operands, as help shows them */
    const char *summary;              /* one line */
    const char *text;                 /* more: paragraphs, parted by an empty line; NULL: none */
    const struct cli_option *options; /* NULL: only the common ones */
    unsigned flags;                   /* enum cli_flags */
    int min, max;                     /* number of operands; max -1: any */
};

extern const struct cli_command *const cli_commands[]; /* in the order of help */
extern const size_t cli_command_count;

struct cli_exit {
    enum exitcode code;
    const char *help;
};
extern const struct cli_exit cli_exits[]; /* ended by a row without help */

/* The options that the flags give a command, ended by a row without a name. */
const struct cli_option *cli_common_options(unsigned flag);

struct cli_value {
    const struct cli_option *option;
    const char *value; /* NULL for a flag */
};

/* One invocation. Everything is borrowed from argv and lives as long as the process. */
struct cli {
    const struct cli_command *command;
    struct cli_value *values; /* in the order given */
    size_t value_count;
    char **argv; /* operands, ended by NULL; with CLI_RAW argv[0] is the command's name */
    int argc;
    int before_dashes; /* how many operands came before a "--"; -1: there was none */
};

/* The whole program. */
int cli_main(int argc, char **argv);

/* ---- arguments (args.c) ---- */

/* Sorts argv (without the command's name) into cli. An exit code; explained on stderr. */
int cli_parse(struct cli *cli, int argc, char **argv);
/* Walks the options of a command, its own first. *i begins at 0; NULL at the end. */
const struct cli_option *cli_each_option(const struct cli_command *command, size_t *i);
bool cli_has(const struct cli *cli, const char *option);
const char *cli_value(const struct cli *cli, const char *option); /* the last given; NULL: none */
/* Each value of an option that may be given often. *i begins at 0; NULL at the end. */
const char *cli_each_value(const struct cli *cli, const char *option, size_t *i);
/* A duration. *ret_ns keeps its default if it is not given. An exit code. */
int cli_duration(const struct cli *cli, const char *option, int64_t *ret_ns);

/* ---- words to people (say.c) ---- */

/* One line on stderr: "daytonafs: ...". Returns code. */
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_fail_usage(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* No memory, or stdout is gone. */
int cli_fail_errno(int err, const char *what);
/* word was taken for a sandbox, and there is none: a line more if it is a local file. */
void cli_hint_path(const char *word);
/* Progress for people: only when stderr is a terminal. */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Flushes stdout: a full disk or closed pipe becomes exit code 1. Returns code otherwise. */
int cli_end(int code);

/* ---- tables of answers (rows.c) ---- */

enum cli_cell { CELL_TEXT, CELL_NUMBER, CELL_BOOL };
struct cli_column {
    const char *title; /* over the column; NULL: only in JSON */
    const char *key;   /* in JSON */
    enum cli_cell type;
};
struct cli_rows {
    const struct cli_column *columns;
    size_t width;
    char **cells; /* owned; NULL is JSON's null */
    size_t count; /* of cells */
};
void cli_rows_init(struct cli_rows *rows, const struct cli_column *columns, size_t width);
void cli_rows_done(struct cli_rows *rows);
/* Exactly one string (or NULL) for each column, copied. 0 or -ENOMEM. */
int cli_rows_add(struct cli_rows *rows, const char *const *cells);
/* To stdout: aligned text under titles, or one JSON array of objects. An exit code. */
int cli_rows_print(const struct cli_rows *rows, bool json);
/* The first row only, as "key  value" lines or one JSON object. */
int cli_rows_print_one(const struct cli_rows *rows, bool json);

/* ---- help.c, man.c, completion.c ---- */

void cli_help_overview(struct buf *out);
/* The commands that share a first word: asked for on stdout, else on stderr. An exit code. */
int cli_help_group(const char *first, bool asked);
void cli_help_command(struct buf *out, const struct cli_command *command);
int cli_man(struct buf *out, const char *page);         /* -ENOENT: no such page */
int cli_completion(struct buf *out, const char *shell); /* -ENOENT: no such shell */
/* Explains, with the nearest name. group may be NULL. Returns the exit code. */
int cli_unknown_command(const char *word, const char *group);
/* NULL: none. Also finds the first of several that share a first word, as *ret_group. */
const struct cli_command *cli_find(const char *first, const char *second, bool *ret_group);

#endif
