/* session - shells that live on: what a command does to one, the next one finds */
#include "example.h"

static int make(const struct example *e)
{
    return daytona_session_create(e->sandbox, e->argv[0]);
}

static int list(const struct example *e)
{
    struct daytona_session *v;
    size_t count;
    int r = daytona_session_list(e->sandbox, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %zu commands\n", v[i].id, v[i].command_count);
    daytona_session_list_free(v, count);
    return 0;
}

static int commands(const struct example *e)
{
    struct daytona_session session;
    int r = daytona_session_get(e->sandbox, e->argv[0], &session);

    if (r < 0)
        return r;
    for (size_t i = 0; i < session.command_count; i++)
        printf("%s %s %s\n", session.commands[i].id,
               session.commands[i].running ? "running" : "ended", session.commands[i].command);
    daytona_session_done(&session);
    return 0;
}

/* Waits for it; the exit code becomes ours. */
static int run(const struct example *e)
{
    const struct daytona_session_execute execute = {.command = e->argv[1]};
    struct daytona_session_result result = {0};
    int r = daytona_session_execute(e->sandbox, e->argv[0], &execute, &result);

    if (r == 0) {
        fwrite(result.out, 1, result.out_len, stdout);
        fwrite(result.err, 1, result.err_len, stderr);
        r = result.exit_code;
    }
    daytona_session_result_done(&result);
    return r;
}

static int start(const struct example *e)
{
    const struct daytona_session_execute execute = {
        .command = e->argv[1], .async = true, .suppress_input_echo = true};
    struct daytona_session_result started = {0};
    int r = daytona_session_execute(e->sandbox, e->argv[0], &execute, &started);

    if (r == 0)
        printf("%s\n", started.command_id);
    daytona_session_result_done(&started);
    return r;
}

static int follow(const struct example *e)
{
    int code = 0;
    int r = daytona_session_follow(e->sandbox, e->argv[0], e->argv[1], example_show, NULL, &code);

    return r < 0 ? r : code;
}

/* What it has printed so far, and how it stands. */
static int show_log(const struct example *e)
{
    struct daytona_command command;
    int r = daytona_session_logs(e->sandbox, e->argv[0], e->argv[1], example_show, NULL);

    if (r == 0)
        r = daytona_session_command(e->sandbox, e->argv[0], e->argv[1], &command);
    if (r < 0)
        return r;
    if (command.running)
        printf("running\n");
    else
        printf("exit code %d\n", command.exit_code);
    daytona_command_done(&command);
    return 0;
}

static int type(const struct example *e)
{
    return daytona_session_input(e->sandbox, e->argv[0], e->argv[1], e->argv[2],
                                 strlen(e->argv[2]));
}

static int end(const struct example *e)
{
    return daytona_session_delete(e->sandbox, e->argv[0]);
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"make", 1, 1, "SESSION", make},
        {"list", 0, 0, "", list},
        {"commands", 1, 1, "SESSION", commands},
        {"run", 2, 2, "SESSION COMMAND", run},
        {"start", 2, 2, "SESSION COMMAND", start},
        {"follow", 2, 2, "SESSION ID", follow},
        {"log", 2, 2, "SESSION ID", show_log},
        {"type", 3, 3, "SESSION ID TEXT", type},
        {"end", 1, 1, "SESSION", end},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
