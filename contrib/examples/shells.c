/*
 * shells - the sessions and terminals of a sandbox:
 *     shells SANDBOX                        lists them, and what was run in the sessions
 *     shells SANDBOX log SESSION COMMAND    what a command has printed so far, and how it stands
 *     shells SANDBOX type SESSION COMMAND TEXT
 *     shells SANDBOX size TERMINAL COLUMNS ROWS
 *     shells SANDBOX end TERMINAL
 */
#include <daytona/daytona.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 1;
}

static int list_sessions(struct daytona_sandbox *sandbox)
{
    struct daytona_session *v;
    size_t count;

    if (daytona_session_list(sandbox, &v, &count) < 0)
        return fail();
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < v[i].command_count; j++)
            printf("session %s %s %s %s\n", v[i].id, v[i].commands[j].id,
                   v[i].commands[j].running ? "running" : "ended", v[i].commands[j].command);
    daytona_session_list_free(v, count);
    return 0;
}

static int list_terminals(struct daytona_sandbox *sandbox)
{
    struct daytona_pty_info *v;
    size_t count;

    if (daytona_pty_list(sandbox, &v, &count) < 0)
        return fail();
    for (size_t i = 0; i < count; i++)
        printf("terminal %s %lldx%lld\n", v[i].id, (long long)v[i].cols, (long long)v[i].rows);
    daytona_pty_list_free(v, count);
    return 0;
}

static int show(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    return fwrite(p, 1, n, stream == DAYTONA_STDERR ? stderr : stdout) == n ? 0 : -1;
}

static int show_log(struct daytona_sandbox *sandbox, const char *session, const char *id)
{
    struct daytona_command command;

    if (daytona_session_logs(sandbox, session, id, show, NULL) < 0 ||
        daytona_session_command(sandbox, session, id, &command) < 0)
        return fail();
    if (command.running)
        printf("running\n");
    else
        printf("exit code %d\n", command.exit_code);
    daytona_command_done(&command);
    return 0;
}

static int resize(struct daytona_sandbox *sandbox, const char *id, const char *cols,
                  const char *rows)
{
    struct daytona_pty_info info;

    if (daytona_pty_resize(sandbox, id, (unsigned)atoi(cols), (unsigned)atoi(rows)) < 0 ||
        daytona_pty_info(sandbox, id, &info) < 0)
        return fail();
    printf("terminal %s %lldx%lld\n", info.id, (long long)info.cols, (long long)info.rows);
    daytona_pty_info_done(&info);
    return 0;
}

static int use(struct daytona_sandbox *sandbox, int argc, char **argv)
{
    const char *what = argc > 2 ? argv[2] : "";

    if (argc == 2)
        return list_sessions(sandbox) || list_terminals(sandbox);
    if (strcmp(what, "log") == 0 && argc == 5)
        return show_log(sandbox, argv[3], argv[4]);
    if (strcmp(what, "type") == 0 && argc == 6)
        return daytona_session_input(sandbox, argv[3], argv[4], argv[5], strlen(argv[5])) < 0
                   ? fail()
                   : 0;
    if (strcmp(what, "size") == 0 && argc == 6)
        return resize(sandbox, argv[3], argv[4], argv[5]);
    if (strcmp(what, "end") == 0 && argc == 4)
        return daytona_pty_kill(sandbox, argv[3]) < 0 ? fail() : 0;
    fprintf(stderr, "shells: log, type, size or end\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    int status;

    if (argc < 2) {
        fprintf(stderr, "usage: shells SANDBOX [log|type|size|end ...]\n");
        return 2;
    }
    if (daytona_client_new(NULL, &client) < 0 || daytona_sandbox_get(client, argv[1], &sandbox) < 0)
        status = fail();
    else
        status = use(sandbox, argc, argv);
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
