/* Commands with a number: each is the one command of a session of its own. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/random.h"
#include "util/words.h"

#include <daytona/process.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "daytona-process-"
/* Parts what was put before the command from it. */
#define BEGIN_LINE ": " PREFIX "command\n"
#define END_LINE "\n)"

enum { SCRIPT_MAX = 16 << 20, NAME_SIZE = 40, TRIES = 10 };

static void name_of(uint32_t pid, char ret[NAME_SIZE])
{
    snprintf(ret, NAME_SIZE, PREFIX "%" PRIu32, pid);
}

/* 0: it is another session's name. */
static uint32_t pid_of(const char *name)
{
    char again[NAME_SIZE];
    uint32_t pid;

    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return 0;
    pid = (uint32_t)strtoul(name + strlen(PREFIX), NULL, 10);
    name_of(pid, again);
    return strcmp(name, again) == 0 ? pid : 0;
}

/* ---- starting ---- */

static bool name_valid(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    while (isalnum((unsigned char)*name) || *name == '_')
        name++;
    return *name == '\0';
}

/* In a shell of its own: exit and exec must not end the session's. */
static int build(struct buf *out, const struct daytona_process_params *p)
{
    int r = buf_puts(out, "(\n");

    for (size_t i = 0; i < p->env_count && r == 0; i++) {
        if (!name_valid(p->env[i].key))
            return -EINVAL;
        r = buf_printf(out, "export %s=", p->env[i].key);
        if (r == 0)
            r = words_quote(out, p->env[i].value);
        if (r == 0)
            r = buf_putc(out, '\n');
    }
    if (r == 0 && p->cwd) {
        r = buf_puts(out, p->cwd[0] == '/' ? "cd " : "cd ./");
        if (r == 0)
            r = words_quote(out, p->cwd);
        if (r == 0)
            r = buf_puts(out, " || exit 125\n");
    }
    return r == 0 ? buf_printf(out, BEGIN_LINE "%s" END_LINE, p->command) : r;
}

/* A number that nobody has: the name of the session says so. */
static int make_session(struct daytona_sandbox *sb, uint32_t *ret_pid, char name[NAME_SIZE])
{
    int r = -EEXIST;

    for (int i = 0; i < TRIES && r == -EEXIST; i++) {
        uint32_t pid;

        if (random_bytes(&pid, sizeof(pid)) < 0)
            return error_set(-EIO, "the system has no random numbers");
        pid = pid % 999999999 + 1; /* an int anywhere, and short enough to type */
        name_of(pid, name);
        r = daytona_session_create(sb, name);
        *ret_pid = pid;
    }
    return r;
}

int daytona_process_start(struct daytona_sandbox *sb, const struct daytona_process_params *params,
                          uint32_t *ret_pid)
{
    struct daytona_session_execute execute = {.async = true, .suppress_input_echo = true};
    struct daytona_session_result started = {0};
    struct buf script = BUF_INIT(SCRIPT_MAX);
    char name[NAME_SIZE];
    uint32_t pid = 0;
    int r;

    error_begin("startProcess");
    r = build(&script, params);
    if (r < 0)
        r = error_set(r, r == -EINVAL ? "no name of a variable" : NULL);
    if (r == 0)
        r = make_session(sb, &pid, name);
    if (r == 0) {
        execute.command = script.data;
        r = daytona_session_execute(sb, name, &execute, &started);
        daytona_session_result_done(&started);
    }
    if (r == 0)
        *ret_pid = pid;
    buf_done(&script);
    return r;
}

/* ---- listing ---- */

/* The command as it was given. */
static char *unwrap(const char *script)
{
    const char *from = strstr(script, BEGIN_LINE);
    size_t len;

    from = from ? from + strlen(BEGIN_LINE) : script;
    len = strlen(from);
    while (len > 0 && from[len - 1] == '\n')
        len--;
    if (from != script && len >= strlen(END_LINE) &&
        memcmp(from + len - strlen(END_LINE), END_LINE, strlen(END_LINE)) == 0)
        len -= strlen(END_LINE);
    return strndup(from, len);
}

int daytona_process_list(struct daytona_sandbox *sb, struct daytona_process **ret,
                         size_t *ret_count)
{
    struct daytona_session *v = NULL;
    struct daytona_process *list;
    size_t count = 0, n = 0;
    int r = daytona_session_list(sb, &v, &count);

    if (r < 0)
        return r;
    list = calloc(count + 1, sizeof(*list));
    for (size_t i = 0; i < count && list && r == 0; i++) {
        const struct daytona_command *c = v[i].commands;

        if (pid_of(v[i].id) == 0 || v[i].command_count == 0)
            continue;
        list[n] = (struct daytona_process){.pid = pid_of(v[i].id),
                                           .command = unwrap(c->command ? c->command : ""),
                                           .running = c->running,
                                           .exit_code = c->exit_code};
        r = list[n].command ? 0 : -ENOMEM;
        n += r == 0;
    }
    daytona_session_list_free(v, count);
    if (!list || r < 0) {
        daytona_process_list_free(list, n);
        return error_set(-ENOMEM, NULL);
    }
    *ret = list;
    *ret_count = n;
    return 0;
}

void daytona_process_list_free(struct daytona_process *list, size_t count)
{
    for (size_t i = 0; list && i < count; i++)
        free(list[i].command);
    free(list);
}

/* ---- one of them ---- */

/* The id of its command, the caller's. */
static int find(struct daytona_sandbox *sb, const char *name, char **ret)
{
    struct daytona_session session = {0};
    int r = daytona_session_get(sb, name, &session);

    if (r < 0)
        return r;
    if (session.command_count == 0)
        r = error_set(-ENOENT, "%s has no command", name);
    else if (!(*ret = strdup(session.commands[0].id)))
        r = error_set(-ENOMEM, NULL);
    daytona_session_done(&session);
    return r;
}

int daytona_process_connect(struct daytona_sandbox *sb, uint32_t pid, daytona_output output,
                            void *arg, int *ret_exit_code)
{
    char name[NAME_SIZE], *command = NULL;
    int r;

    name_of(pid, name);
    r = find(sb, name, &command);
    if (r == 0)
        r = daytona_session_follow(sb, name, command, output, arg, ret_exit_code);
    free(command);
    return r;
}

int daytona_process_send_stdin(struct daytona_sandbox *sb, uint32_t pid, const void *data,
                               size_t len)
{
    char name[NAME_SIZE], *command = NULL;
    int r;

    name_of(pid, name);
    r = find(sb, name, &command);
    if (r == 0)
        r = daytona_session_input(sb, name, command, data, len);
    free(command);
    return r;
}

int daytona_process_kill(struct daytona_sandbox *sb, uint32_t pid)
{
    char name[NAME_SIZE];

    name_of(pid, name);
    return daytona_session_delete(sb, name);
}
