/* From the command line to the command. */
#include "cli/cli.h"

#include "util/words.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COMMANDS_MAX = 64 };

const struct cli_command *cli_find(const char *first, const char *second, bool *ret_group)
{
    const size_t len = strlen(first);
    const struct cli_command *group = NULL;

    *ret_group = false;
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = cli_commands[i];

        if (strncmp(c->name, first, len) != 0)
            continue;
        if (c->name[len] == '\0' ||
            (c->name[len] == ' ' && second && strcmp(c->name + len + 1, second) == 0))
            return c;
        if (c->name[len] == ' ' && !group)
            group = c;
    }
    *ret_group = group != NULL;
    return group;
}

/* The nearest command to what was typed, or NULL. With a group, the nearest in it. */
static const char *nearest(const char *word, const char *group)
{
    const char *names[COMMANDS_MAX];
    const size_t skip = group ? strlen(group) + 1 : 0;
    size_t n = 0;

    for (size_t i = 0; i < cli_command_count && n < COMMANDS_MAX; i++) {
        const char *name = cli_commands[i]->name;

        if (!group || (strncmp(name, group, skip - 1) == 0 && name[skip - 1] == ' '))
            names[n++] = name + skip;
    }
    return words_nearest(word, names, n);
}

int cli_unknown_command(const char *word, const char *group)
{
    const struct cli none = {0};
    const char *near = nearest(word, group);
    const char *space = group ? " " : "";

    if (!group)
        group = "";
    if (near)
        return cli_fail_usage(&none, "there is no command '%s%s%s': did you mean '%s%s%s'?", group,
                              space, word, group, space, near);
    if (!*group)
        return cli_fail_usage(&none, "there is no command '%s'; to mount: daytonafs SANDBOX DIR",
                              word);
    return cli_fail_usage(&none, "there is no command '%s%s%s'", group, space, word);
}

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* `daytonafs SANDBOX[:PATH] DIR …`: not a command, and something follows that could be DIR. */
static bool is_short_mount(int argc, char **argv)
{
    if (argv[1][0] == '-')
        return true;
    if (argc < 3)
        return strchr(argv[1], ':') != NULL;
    /* A misspelt command is told apart by what follows it. */
    return !nearest(argv[1], NULL) || argv[2][0] == '-' || is_directory(argv[2]) ||
           strchr(argv[2], '/');
}

static int run(const struct cli_command *command, int argc, char **argv)
{
    struct cli cli = {.command = command, .argv = argv, .argc = argc};
    struct buf text = BUF_INIT(1 << 20);
    int code;

    if (command->flags & CLI_RAW)
        return cli_end(command->run(&cli));
    code = cli_parse(&cli, argc - 1, argv + 1);
    if (code == EXITCODE_OK && cli_has(&cli, "help")) {
        cli_help_command(&text, command);
        fputs(buf_str(&text), stdout);
    } else if (code == EXITCODE_OK) {
        code = command->run(&cli);
    }
    buf_done(&text);
    free(cli.values);
    free(cli.argv);
    return cli_end(code);
}

int cli_main(int argc, char **argv)
{
    static char help[] = "help", version[] = "version", mount[] = "mount";
    const struct cli_command *command;
    bool group;

    if (argc < 2) {
        struct buf text = BUF_INIT(1 << 20);

        cli_help_overview(&text);
        fputs(buf_str(&text), stderr);
        buf_done(&text);
        return EXITCODE_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        argv[1] = help;
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        argv[1] = version;
    command = cli_find(argv[1], argc > 2 ? argv[2] : NULL, &group);
    if (group) {
        if (argc > 2 && strcmp(argv[2], "--help") != 0 && strcmp(argv[2], "-h") != 0)
            return cli_unknown_command(argv[2], argv[1]);
        return cli_help_group(argv[1], argc > 2);
    }
    if (command)
        return run(command, argc - 1 - (strchr(command->name, ' ') != NULL),
                   argv + 1 + (strchr(command->name, ' ') != NULL));
    if (!is_short_mount(argc, argv))
        return cli_unknown_command(argv[1], NULL);
    argv[0] = mount;
    return run(cli_find(mount, NULL, &group), argc, argv);
}
