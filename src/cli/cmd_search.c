/* daytonafs find|grep|replace: looked for where the files are. */
#include "cli/site.h"

#include "util/path.h"
#include "util/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 256 << 20 };

/* ---- from where, and how what was found is called ---- */

struct scope {
    const struct cli *cli;
    struct site site;
    char *base;   /* what is searched, as the sandbox takes it */
    char *prefix; /* the same as the user has it; "" for here */
};

/* WORD (may be NULL) is the target, path (may be NULL) is below it. */
static int open_scope(struct scope *s, const struct cli *cli, const char *word, const char *path)
{
    const char *local = word && target_is_path(word) ? word : NULL;
    int r;

    s->cli = cli;
    r = site_open(&s->site, cli, word, true);
    if (r != EXITCODE_OK)
        return r;
    s->base = site_path(&s->site, path);
    s->prefix = local && path ? path_join(local, path) : strdup(local ? local : path ? path : "");
    return s->base && s->prefix ? EXITCODE_OK : cli_fail_errno(-ENOMEM, "cannot search");
}

static void close_scope(struct scope *s)
{
    site_done(&s->site);
    free(s->base);
    free(s->prefix);
}

/* A new string: found with the user's name for where the search began. NULL without memory. */
static char *named(const struct scope *s, const char *found)
{
    const size_t n = strlen(s->base);

    if (strncmp(found, s->base, n) != 0 || (found[n] && found[n] != '/' && s->base[n - 1] != '/'))
        return strdup(found);
    found += n;
    found += strspn(found, "/");
    if (!*found)
        return strdup(*s->prefix ? s->prefix : ".");
    return *s->prefix ? path_join(s->prefix, found) : strdup(found);
}

/* ---- printing: bytes for programs, nothing that steers a terminal for people ---- */

static int put(struct buf *out, const char *text)
{
    return isatty(STDOUT_FILENO) ? text_plain(out, text) : buf_puts(out, text);
}

static int put_line(struct buf *out, const char *name, const struct daytona_match *m, bool whole,
                    char end)
{
    int r = put(out, name);

    if (r == 0 && whole)
        r = buf_printf(out, ":%lld:", (long long)m->line);
    if (r == 0 && whole)
        r = put(out, m->content);
    return r == 0 ? buf_putc(out, end) : r;
}

static const struct cli_column columns[] = {
    {"FILE", "file", CELL_TEXT},
    {"LINE", "line", CELL_NUMBER},
    {"CONTENT", "content", CELL_TEXT},
};

/* whole: with line and content; else names, each once. */
static int print(const struct scope *s, const struct daytona_match *list, size_t count, bool whole)
{
    const char end = cli_has(s->cli, "null") ? '\0' : '\n';
    struct buf out = BUF_INIT(TEXT_MAX);
    struct cli_rows rows;
    int r = 0;

    cli_rows_init(&rows, columns, whole ? 3 : 1);
    for (size_t i = 0; r == 0 && i < count; i++) {
        char *name, line[24];

        if (!whole && i > 0 && strcmp(list[i].file, list[i - 1].file) == 0)
            continue;
        snprintf(line, sizeof(line), "%lld", (long long)list[i].line);
        name = named(s, list[i].file);
        if (!name)
            r = -ENOMEM;
        else if (cli_has(s->cli, "json"))
            r = cli_rows_add(&rows, (const char *[]){name, line, list[i].content});
        else
            r = put_line(&out, name, &list[i], whole, end);
        free(name);
    }
    if (r < 0)
        r = cli_fail_errno(r, "cannot print what was found");
    else if (cli_has(s->cli, "json"))
        r = cli_rows_print(&rows, true);
    else
        fwrite(buf_str(&out), 1, out.len, stdout);
    cli_rows_done(&rows);
    buf_done(&out);
    return r == EXITCODE_OK && count == 0 ? EXITCODE_NOT_FOUND : r;
}

/* ---- find, grep ---- */

typedef int (*search_fn)(struct daytona_sandbox *sandbox, const char *path, const char *pattern,
                         struct daytona_match **ret, size_t *ret_count);

/* Two words are MOUNT|SANDBOX TEXT; or TEXT PATH, as grep has it, where there is such a path in a
 * mount. 1: the first is MOUNT|SANDBOX. */
static int has_target(const struct cli *cli)
{
    struct registry_entry mount;
    char *rest;

    if (cli->before_dashes >= 0)
        return cli->before_dashes > 0;
    if (cli->argc != 2 || target_is_path(cli->argv[0]))
        return cli->argc > 1;
    if (access(cli->argv[1], F_OK) < 0 || registry_find_path(".", &mount, &rest) < 0)
        return 1;
    registry_entry_done(&mount);
    free(rest);
    return 0;
}

static int run_search(struct cli *cli, search_fn search, bool whole)
{
    const int named_target = has_target(cli), rest = cli->argc - named_target;
    char *const *operands = cli->argv + named_target;
    struct daytona_match *list = NULL;
    const char *pattern;
    struct scope s = {0};
    size_t count = 0;
    int r;

    if (cli->before_dashes > 1 || rest > 2)
        return cli_fail_usage(cli, "one argument too many: '%s'", cli->argv[cli->argc - 1]);
    if (rest < 1 || !*operands[0])
        return cli_fail_usage(cli, "what is looked for is empty");
    pattern = operands[0];
    r = open_scope(&s, cli, named_target ? cli->argv[0] : NULL, rest > 1 ? operands[1] : NULL);
    if (r == EXITCODE_OK) {
        r = search(s.site.api.sandbox, s.base, pattern, &list, &count);
        r = r < 0 ? site_check(&s.site, r, "cannot search") : print(&s, list, count, whole);
    }
    daytona_matches_free(list, count);
    close_scope(&s);
    return r;
}

static int run_find(struct cli *cli)
{
    return run_search(cli, daytona_files_search, false);
}

static int run_grep(struct cli *cli)
{
    return run_search(cli, daytona_files_find, !cli_has(cli, "files"));
}

/* ---- replace ---- */

static int report(const struct scope *s, const struct daytona_match *list, size_t count, int err)
{
    static const struct cli_column result[] = {
        {"FILE", "file", CELL_TEXT},
        {"ERROR", "error", CELL_TEXT},
    };
    struct cli_rows rows;
    int r = 0;

    cli_rows_init(&rows, result, 2);
    for (size_t i = 0; r == 0 && i < count; i++) {
        char *name = named(s, list[i].file);
        const char *error = *list[i].content ? list[i].content : NULL;

        if (!name)
            r = -ENOMEM;
        else
            r = cli_rows_add(&rows, (const char *[]){name, error});
        if (r == 0 && error && !cli_has(s->cli, "json"))
            cli_fail(0, "%s: %s", name, error);
        free(name);
    }
    if (r < 0)
        r = cli_fail_errno(r, "cannot say what was replaced");
    else if (cli_has(s->cli, "json"))
        r = cli_rows_print(&rows, true);
    cli_rows_done(&rows);
    return r == EXITCODE_OK && err < 0 ? (int)exitcode_of(err, NULL) : r;
}

static int replace(struct scope *s, char *const *operands, int count)
{
    const size_t n = (size_t)count - 2;
    char **files = calloc(n + 1, sizeof(*files));
    struct daytona_match *list = NULL;
    size_t found = 0;
    int r = files ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++) {
        files[i] = site_path(&s->site, operands[2 + i]);
        r = files[i] ? 0 : -ENOMEM;
    }
    if (r < 0) {
        r = cli_fail_errno(r, "cannot replace");
    } else {
        r = daytona_files_replace(s->site.api.sandbox, (const char *const *)files, n, operands[0],
                                  operands[1], &list, &found);
        r = r < 0 && !list ? site_check(&s->site, r, "cannot replace") : report(s, list, found, r);
        site_changed(&s->site);
    }
    daytona_matches_free(list, found);
    for (size_t i = 0; files && i < n; i++)
        free(files[i]);
    free(files);
    return r;
}

static int run_replace(struct cli *cli)
{
    const int named_target = cli->before_dashes > 0;
    struct scope s = {0};
    int r;

    if (cli->before_dashes > 1)
        return cli_fail_usage(cli, "one argument too many before --: '%s'", cli->argv[1]);
    if (cli->argc - named_target < 3)
        return cli_fail_usage(cli, "something is missing: daytonafs replace %s",
                              cli->command->usage);
    if (!*cli->argv[named_target])
        return cli_fail_usage(cli, "what is replaced is empty");
    r = open_scope(&s, cli, named_target ? cli->argv[0] : NULL, NULL);
    if (r == EXITCODE_OK)
        r = replace(&s, cli->argv + named_target, cli->argc - named_target);
    close_scope(&s);
    return r;
}

/* ---- the commands ---- */

static const struct cli_option find_options[] = {
    {"null", '0', NULL, "end each name with a NUL byte"},
    {0},
};
static const struct cli_option grep_options[] = {
    {"files", 'l', NULL, "only the names of files"},
    {"null", '0', NULL, "end each line with a NUL byte"},
    {0},
};

const struct cli_command cmd_find = {
    .name = "find",
    .run = run_find,
    .usage = "[MOUNT|SANDBOX [--]] GLOB [PATH]",
    .summary = "find files and directories by name, searched in the sandbox",
    .text = "GLOB is a name with * ? [..]; PATH is where to begin. Of two words below a mount the "
            "second is a PATH if it is there. The sandbox searches: one request, however large the "
            "tree. Links are found and not followed. The exit code is 3 if there is none.",
    .options = find_options,
    .flags = CLI_API | CLI_JSON,
    .min = 1,
    .max = 3,
};
const struct cli_command cmd_grep = {
    .name = "grep",
    .run = run_grep,
    .usage = "[MOUNT|SANDBOX [--]] TEXT [PATH]",
    .summary = "find lines that hold a text, searched in the sandbox",
    .text = "Prints FILE:LINE:CONTENT. TEXT is taken literally, upper and lower case matter. PATH "
            "is a file, or a directory with all that is below it. Of two words below a mount the "
            "second is a PATH if it is there. The sandbox searches: one request, however large the "
            "tree. It leaves out binary files, and what follows a line above 64 KiB. The exit code "
            "is 3 if there is none.",
    .options = grep_options,
    .flags = CLI_API | CLI_JSON,
    .min = 1,
    .max = 3,
};
const struct cli_command cmd_replace = {
    .name = "replace",
    .run = run_replace,
    .usage = "[MOUNT|SANDBOX --] TEXT NEW FILE...",
    .summary = "replace a text in files, in the sandbox",
    .text = "TEXT is taken literally, wherever it stands. Each file is rewritten in place, even "
            "without it. What fails is said for each file, and the others are done.",
    .flags = CLI_API | CLI_JSON,
    .max = -1,
};
