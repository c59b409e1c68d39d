/* Completions for bash and zsh, from the rows of the commands and of the mount options. */
#include "cli/cli.h"

#include "mount/options.h"

#include <errno.h>
#include <string.h>

static void put(struct buf *out, const char *s)
{
    (void)buf_puts(out, s);
}

/* The first words of all commands, each once. */
static void put_first_words(struct buf *out)
{
    const char *before = "";
    size_t before_len = 0;

    for (size_t i = 0; i < cli_command_count; i++) {
        const char *name = cli_commands[i]->name;
        const size_t len = strcspn(name, " ");

        if (len == before_len && memcmp(name, before, len) == 0)
            continue; /* commands of a group stand together */
        (void)buf_append(out, name, len);
        put(out, " ");
        before = name;
        before_len = len;
    }
}

/* The second words of a group, or nothing. */
static void put_second_words(struct buf *out, const char *first, size_t len)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const char *name = cli_commands[i]->name;

        if (strncmp(name, first, len) == 0 && name[len] == ' ') {
            put(out, name + len + 1);
            put(out, " ");
        }
    }
}

static void put_options(struct buf *out, const struct cli_command *c)
{
    const struct cli_option *o;

    for (size_t i = 0; (o = cli_each_option(c, &i));) {
        (void)buf_printf(out, "--%s ", o->name);
        if (o->letter)
            (void)buf_printf(out, "-%c ", o->letter);
    }
}

static void put_mount_options(struct buf *out)
{
    for (size_t i = 0; i < options_count; i++) {
        const struct option_row *row = &options_table[i];

        if (!row->help)
            continue;
        put(out, row->name);
        if (row->type != OPTION_FLAG)
            put(out, "=");
        put(out, " ");
    }
}

/* One `case` arm for each command: its options; for a group its second words. */
static void put_cases(struct buf *out)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = cli_commands[i];

        (void)buf_printf(out, "        '%s') offered='", c->name);
        put_options(out, c);
        put(out, "' ;;\n");
    }
}

/* The length of a group's name if the i-th command is its first, else 0. */
static size_t begins_group(size_t i)
{
    const char *name = cli_commands[i]->name;
    const size_t len = strcspn(name, " ");

    if (name[len] == '\0' || (i > 0 && strncmp(cli_commands[i - 1]->name, name, len + 1) == 0))
        return 0;
    return len;
}

static void put_group_names(struct buf *out)
{
    const char *between = "";

    for (size_t i = 0; i < cli_command_count; i++) {
        if (begins_group(i) == 0)
            continue;
        put(out, between);
        (void)buf_append(out, cli_commands[i]->name, begins_group(i));
        between = "|";
    }
}

static void put_groups(struct buf *out)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const size_t len = begins_group(i);

        if (len == 0)
            continue;
        (void)buf_printf(out, "        %.*s) offered='", (int)len, cli_commands[i]->name);
        put_second_words(out, cli_commands[i]->name, len);
        put(out, "' ;;\n");
    }
}

/*
 * Both shells run the same function: it sets words from the command line so far. Names of sandboxes
 * are not offered: that would ask the network at every press of a key.
 */
static void put_function(struct buf *out)
{
    put(out, "# Sets offered to what may come; files are offered beside it.\n"
             "_daytonafs_words()\n{\n"
             "    # the word before, the words after the program\n"
             "    local before=$1; shift\n"
             "    offered=\n"
             "    if [ \"$before\" = -o ]; then offered='");
    put_mount_options(out);
    put(out, "'; return; fi\n"
             "    if [ $# -eq 0 ]; then offered='");
    put_first_words(out);
    put(out, "'; return; fi\n"
             "    if [ $# -eq 1 ]; then\n        case $1 in\n");
    put_groups(out);
    put(out, "        esac\n        [ -z \"$offered\" ] || return\n    fi\n"
             "    case $1 in\n        ");
    put_group_names(out);
    put(out, ") set -- \"$1 $2\" ;;\n        help) offered='");
    put_first_words(out);
    put(out, "'; return ;;\n    esac\n"
             "    case $1 in\n");
    put_cases(out);
    put(out, "    esac\n}\n");
}

/* bash parts words at '=', so "-o wake=never,ro" is four; the last part of a list is completed. */
static const char bash_tail[] =
    "_daytonafs()\n{\n"
    "    local offered list= i=$((COMP_CWORD-1)) cur=${COMP_WORDS[COMP_CWORD]} IFS=$' \\t\\n'\n"
    "    while [ $i -gt 1 ] && [ \"${COMP_WORDS[i]}\" = = ]; do i=$((i-2)); done\n"
    "    _daytonafs_words \"${COMP_WORDS[i]}\" \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
    "    if [ \"${COMP_WORDS[i]}\" = -o ]; then\n"
    "        case $cur in\n"
    "            *,*) list=${cur%,*}, cur=${cur##*,} ;;\n"
    "            *) [ $i -eq $((COMP_CWORD-1)) ] || offered= ;; # a value\n"
    "        esac\n"
    "        compopt -o nospace 2>/dev/null\n"
    "    fi\n"
    "    COMPREPLY=($(compgen -P \"$list\" -W \"$offered\" -- \"$cur\"))\n"
    "}\n"
    "complete -o default -F _daytonafs daytonafs\n";

static const char zsh_tail[] =
    "_daytonafs()\n{\n"
    "    local words_before=(\"${(@)words[2,CURRENT-1]}\") before=$words[CURRENT-1]\n"
    "    () {\n"
    "        local offered\n"
    "        _daytonafs_words \"$@\"\n"
    "        reply=(${=offered})\n"
    "    } \"$before\" \"${(@)words_before}\"\n"
    "    compadd -- $reply\n"
    "    (( CURRENT == 2 )) || _files\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _daytonafs ]; then _daytonafs \"$@\"; "
    "else compdef _daytonafs daytonafs; fi\n";

int cli_completion(struct buf *out, const char *shell)
{
    const bool zsh = strcmp(shell, "zsh") == 0;

    if (!zsh && strcmp(shell, "bash") != 0)
        return -ENOENT;
    put(out, zsh ? "#compdef daytonafs\n" : "# bash completion for daytonafs\n");
    put_function(out);
    put(out, zsh ? zsh_tail : bash_tail);
    return 0;
}
