/* Options and operands, sorted by the rows of the command. */
#include "cli/cli.h"

#include "util/array.h"
#include "util/units.h"
#include "util/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option api_options[] = {
    {"api-url", 0, "URL", "the API's base; default $DAYTONA_API_URL, else Daytona's own"},
    {"credentials", 0, "FILE", "holds the API key, mode 0600; default $DAYTONA_API_KEY"},
    {0},
};
static const struct cli_option json_options[] = {
    {"json", 0, NULL, "answer in JSON"},
    {0},
};
static const struct cli_option help_options[] = {
    {"help", 'h', NULL, "show this"},
    {0},
};

const struct cli_option *cli_common_options(unsigned flag)
{
    return flag == CLI_API ? api_options : flag == CLI_JSON ? json_options : help_options;
}

const struct cli_option *cli_each_option(const struct cli_command *command, size_t *i)
{
    static const unsigned commons[] = {CLI_JSON, CLI_API, 0};
    size_t skip = (*i)++;

    for (const struct cli_option *o = command->options; o && o->name; o++) {
        if (skip-- == 0)
            return o;
    }
    for (size_t k = 0; k < ARRAY_LEN(commons); k++) {
        if ((command->flags & commons[k]) != commons[k])
            continue;
        for (const struct cli_option *o = cli_common_options(commons[k]); o->name; o++) {
            if (skip-- == 0)
                return o;
        }
    }
    return NULL;
}

static const struct cli_option *find_long(const struct cli_command *command, const char *name,
                                          size_t len)
{
    const struct cli_option *o;

    for (size_t i = 0; (o = cli_each_option(command, &i));) {
        if (strlen(o->name) == len && memcmp(o->name, name, len) == 0)
            return o;
    }
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_command *command, char letter)
{
    const struct cli_option *o;

    for (size_t i = 0; (o = cli_each_option(command, &i));) {
        if (o->letter == letter)
            return o;
    }
    return NULL;
}

static int unknown_option(const struct cli *cli, const char *name)
{
    const char *names[64];
    const struct cli_option *o;
    const char *near;
    size_t n = 0;

    for (size_t i = 0; n < ARRAY_LEN(names) && (o = cli_each_option(cli->command, &i));)
        names[n++] = o->name;
    near = words_nearest(name, names, n);
    if (near)
        return cli_fail_usage(cli, "there is no option --%s: did you mean --%s?", name, near);
    return cli_fail_usage(cli, "there is no option --%s", name);
}

static void add_value(struct cli *cli, const struct cli_option *option, const char *value)
{
    cli->values[cli->value_count++] = (struct cli_value){.option = option, .value = value};
}

/* text is what follows the two dashes. *next is the next argument, moved on if it is taken. */
static int take_long(struct cli *cli, char *text, char ***next)
{
    char *equals = strchr(text, '=');
    const size_t len = equals ? (size_t)(equals - text) : strlen(text);
    const struct cli_option *o = find_long(cli->command, text, len);

    if (!o) {
        if (equals)
            *equals = '\0';
        return unknown_option(cli, text);
    }
    if (!o->arg) {
        if (equals)
            return cli_fail_usage(cli, "--%s takes no value", o->name);
        add_value(cli, o, NULL);
        return 0;
    }
    if (!equals && !**next)
        return cli_fail_usage(cli, "--%s wants %s", o->name, o->arg);
    add_value(cli, o, equals ? equals + 1 : *(*next)++);
    return 0;
}

/* text is what follows the dash: flags together, or a flag and its value. */
static int take_letters(struct cli *cli, const char *text, char ***next)
{
    for (; *text; text++) {
        const struct cli_option *o = find_letter(cli->command, *text);

        if (!o)
            return cli_fail_usage(cli, "there is no option -%c", *text);
        if (!o->arg) {
            add_value(cli, o, NULL);
            continue;
        }
        if (!text[1] && !**next)
            return cli_fail_usage(cli, "-%c wants %s", o->letter, o->arg);
        add_value(cli, o, text[1] ? text + 1 : *(*next)++);
        return 0;
    }
    return 0;
}

static int check_count(const struct cli *cli)
{
    const struct cli_command *c = cli->command;

    if (cli_has(cli, "help") || (cli->argc >= c->min && (c->max < 0 || cli->argc <= c->max)))
        return 0;
    if (cli->argc < c->min)
        return cli_fail_usage(cli, "something is missing: daytonafs %s %s", c->name, c->usage);
    return cli_fail_usage(cli, "one argument too many: '%s'", cli->argv[c->max]);
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
    char **next = argv;
    int r;

    cli->argc = 0;
    cli->before_dashes = -1;
    /* Never more values than argument bytes: -abc is three. */
    size_t most = 1;
    for (int i = 0; i < argc; i++)
        most += strlen(argv[i]);
    cli->values = calloc(most, sizeof(*cli->values));
    cli->argv = calloc((size_t)argc + 1, sizeof(*cli->argv));
    if (!cli->values || !cli->argv)
        return cli_fail_errno(-ENOMEM, "cannot read the arguments");

    while (*next) {
        char *arg = *next++;
        const bool ended =
            cli->before_dashes >= 0 || ((cli->command->flags & CLI_COMMAND_LINE) && cli->argc >= 2);

        if (!ended && strcmp(arg, "--") == 0) {
            cli->before_dashes = cli->argc;
            continue;
        }
        if (ended || arg[0] != '-' || arg[1] == '\0') {
            cli->argv[cli->argc++] = arg;
            continue;
        }
        r = arg[1] == '-' ? take_long(cli, arg + 2, &next) : take_letters(cli, arg + 1, &next);
        if (r != 0)
            return r;
    }
    return check_count(cli);
}

bool cli_has(const struct cli *cli, const char *option)
{
    for (size_t i = 0; i < cli->value_count; i++) {
        if (strcmp(cli->values[i].option->name, option) == 0)
            return true;
    }
    return false;
}

const char *cli_each_value(const struct cli *cli, const char *option, size_t *i)
{
    while (*i < cli->value_count) {
        const struct cli_value *v = &cli->values[(*i)++];

        if (strcmp(v->option->name, option) == 0)
            return v->value;
    }
    return NULL;
}

const char *cli_value(const struct cli *cli, const char *option)
{
    const char *last = NULL, *v;

    for (size_t i = 0; (v = cli_each_value(cli, option, &i));)
        last = v;
    return last;
}

int cli_duration(const struct cli *cli, const char *option, int64_t *ret_ns)
{
    const char *text = cli_value(cli, option);

    if (text && units_parse_duration(text, ret_ns) < 0)
        return cli_fail_usage(cli, "--%s=%s is no duration: write 500ms, 30s, 10m or 2h", option,
                              text);
    return 0;
}
