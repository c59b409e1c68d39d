#include "cli/script.h"

#include "util/base64.h"
#include "util/random.h"
#include "util/words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int script_words(struct buf *out, char *const *words)
{
    int r = 0;

    for (size_t i = 0; r == 0 && words[i]; i++) {
        if (i > 0)
            r = buf_putc(out, ' ');
        if (r == 0)
            r = words_quote(out, words[i]);
    }
    return r;
}

int script_token(char ret[SCRIPT_TOKEN_LEN + 1])
{
    return random_hex(ret, SCRIPT_TOKEN_LEN);
}

bool script_env_valid(const char *pair)
{
    const char *p = pair;

    if (!isalpha((unsigned char)*p) && *p != '_')
        return false;
    while (isalnum((unsigned char)*p) || *p == '_')
        p++;
    return *p == '=';
}

static int put_env(struct buf *out, const char *pair)
{
    const size_t name = (size_t)(strchr(pair, '=') - pair) + 1;
    int r = buf_puts(out, "export ");

    if (r == 0)
        r = buf_append(out, pair, name);
    if (r == 0)
        r = words_quote(out, pair + name);
    return r == 0 ? buf_putc(out, '\n') : r;
}

/* A cd that means the path whatever it looks like: not "-", not an option, not below CDPATH. */
static int put_cd(struct buf *out, const char *cwd)
{
    int r = buf_puts(out, cwd[0] == '/' ? "cd " : "cd ./");

    if (r == 0)
        r = words_quote(out, cwd);
    return r == 0 ? buf_printf(out, " || exit %d\n", SCRIPT_NOT_RUN) : r;
}

/* The beginning of a shell of its own: its variables and its directory. */
static int put_place(struct buf *out, const struct script *s)
{
    int r = buf_puts(out, "(\n");

    for (size_t i = 0; r == 0 && s->env && s->env[i]; i++)
        r = put_env(out, s->env[i]);
    return r == 0 && s->cwd ? put_cd(out, s->cwd) : r;
}

/*
 * The command in a shell of its own that cannot eat the rest of the script from stdin. What goes on
 * in the background holds the file, not the way to the caller, who need not wait for it. The
 * shell's own complaint about a line that is no command goes to the caller as it is.
 */
static int put_group(struct buf *out, const struct script *s)
{
    int r = put_place(out, s);

    if (r == 0)
        r = buf_puts(out, s->command);
    if (r == 0)
        r = buf_puts(out, "\n) </dev/null");
    if (r == 0 && s->encode)
        r = buf_puts(out, " >\"${dfs_out:-/dev/stdout}\" 2>&1");
    return r == 0 ? buf_puts(out, "\ndfs_exit=$?\n") : r;
}

int script_build(struct buf *out, const struct script *s)
{
    int r = 0;

    if (s->encode) {
        r = buf_puts(out, "command -v base64 >/dev/null 2>&1 && "
                          "dfs_out=$(mktemp 2>/dev/null) || dfs_out=\n");
    }
    if (r == 0)
        r = put_group(out, s);
    if (r == 0 && s->encode) {
        r = buf_printf(out,
                       "if [ -n \"$dfs_out\" ]; then printf '\\n%%s\\n' '%s'; "
                       "base64 <\"$dfs_out\"; rm -f -- \"$dfs_out\"; fi\n",
                       s->token);
    }
    if (r == 0)
        r = buf_printf(out, "printf '\\n%%s %%s\\n' '%s' \"$dfs_exit\"\n", s->token);
    return r == 0 ? buf_puts(out, "exit \"$dfs_exit\"\n") : r;
}

/*
 * Signals that keys send are for the command: the shell around it lives on to tell its end. The
 * command is for the shell that the terminal began with, whose name is $0 here, as login shells
 * have it. The service may lose what is printed in the last moment.
 */
int script_terminal(struct buf *out, const struct script *s)
{
    int r = buf_printf(out,
                       "unset " SCRIPT_TERMINAL_ENV " HISTFILE\n"
                       "trap : INT QUIT\n"
                       "dfs_sh=${0#-}; command -v \"$dfs_sh\" >/dev/null 2>&1 || dfs_sh=sh\n"
                       "printf %%s '%s'\n",
                       s->token);

    if (r == 0)
        r = put_place(out, s);
    if (r == 0)
        r = buf_puts(out, "exec \"$dfs_sh\" -c ");
    if (r == 0)
        r = words_quote(out, s->command);
    return r == 0 ? buf_puts(out, "\n)\ndfs_exit=$?\nsleep 0.1 2>/dev/null\nexit $dfs_exit\n") : r;
}

size_t script_tail(const char *p, size_t len, const char *token, int *ret_exit)
{
    const size_t most = len < SCRIPT_TAIL_MAX ? len : SCRIPT_TAIL_MAX;
    char tail[SCRIPT_TAIL_MAX + 1];

    memcpy(tail, p + len - most, most);
    tail[most] = '\0';
    for (size_t i = 0; i + SCRIPT_TOKEN_LEN + 3 < most; i++) {
        char *end;
        long code;

        if (tail[i] != '\n' || memcmp(tail + i + 1, token, SCRIPT_TOKEN_LEN) != 0)
            continue;
        code = strtol(tail + i + 1 + SCRIPT_TOKEN_LEN, &end, 10);
        if (*end != '\n' || end[1] != '\0' || code < 0 || code > 255)
            continue;
        *ret_exit = (int)code;
        return len - most + i;
    }
    return len;
}

int script_decode(struct buf *out, const char *p, size_t len, const char *token, int *ret_exit)
{
    const size_t end = script_tail(p, len, token, ret_exit);
    char mark[SCRIPT_TOKEN_LEN + 3];
    const char *at;

    snprintf(mark, sizeof(mark), "\n%s\n", token);
    at = memmem(p, end, mark, strlen(mark));
    if (!at)
        return buf_append(out, p, end);
    at += strlen(mark);
    return base64_decode(out, at, (size_t)(p + end - at));
}
