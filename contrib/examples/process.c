/* process - commands that go on by themselves and have a number */
#include "example.h"

static int start(const struct example *e)
{
    const struct daytona_process_params params = {.command = e->argv[0]};
    uint32_t pid;
    int r = daytona_process_start(e->sandbox, &params, &pid);

    if (r == 0)
        printf("%u\n", (unsigned)pid);
    return r;
}

static int list(const struct example *e)
{
    struct daytona_process *v;
    size_t count;
    int r = daytona_process_list(e->sandbox, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%u %s %s\n", (unsigned)v[i].pid, v[i].running ? "running" : "ended", v[i].command);
    daytona_process_list_free(v, count);
    return 0;
}

static uint32_t pid_of(const struct example *e)
{
    return (uint32_t)example_number(e, 0);
}

/* All of its output until it has ended; its exit code becomes ours. */
static int connect(const struct example *e)
{
    int code = 0;
    int r = daytona_process_connect(e->sandbox, pid_of(e), example_show, NULL, &code);

    return r < 0 ? r : code;
}

static int type(const struct example *e)
{
    return daytona_process_send_stdin(e->sandbox, pid_of(e), e->argv[1], strlen(e->argv[1]));
}

static int end(const struct example *e)
{
    return daytona_process_kill(e->sandbox, pid_of(e));
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"start", 1, 1, "COMMAND", start}, {"list", 0, 0, "", list},
        {"connect", 1, 1, "PID", connect}, {"type", 2, 2, "PID TEXT", type},
        {"kill", 1, 1, "PID", end},        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
