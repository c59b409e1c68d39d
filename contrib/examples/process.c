/*
 * process - commands that go on by themselves:
 *     process SANDBOX start COMMAND    prints its number
 *     process SANDBOX list
 *     process SANDBOX connect PID      its output until it has ended, and its exit code
 *     process SANDBOX type PID TEXT
 *     process SANDBOX kill PID
 */
#include <daytona/daytona.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 125;
}

static int show(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    FILE *to = stream == DAYTONA_STDERR ? stderr : stdout;

    return fwrite(p, 1, n, to) == n && fflush(to) == 0 ? 0 : -1;
}

static int start(struct daytona_sandbox *sandbox, const char *command)
{
    const struct daytona_process_params params = {.command = command};
    uint32_t pid;

    if (daytona_process_start(sandbox, &params, &pid) < 0)
        return fail();
    printf("%u\n", (unsigned)pid);
    return 0;
}

static int list(struct daytona_sandbox *sandbox)
{
    struct daytona_process *v;
    size_t count;

    if (daytona_process_list(sandbox, &v, &count) < 0)
        return fail();
    for (size_t i = 0; i < count; i++)
        printf("%u %s %s\n", (unsigned)v[i].pid, v[i].running ? "running" : "ended", v[i].command);
    daytona_process_list_free(v, count);
    return 0;
}

static int use(struct daytona_sandbox *sandbox, int argc, char **argv)
{
    const uint32_t pid = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    int code = 0;

    if (strcmp(argv[2], "list") == 0)
        return list(sandbox);
    if (strcmp(argv[2], "start") == 0 && argc == 4)
        return start(sandbox, argv[3]);
    if (strcmp(argv[2], "connect") == 0 && argc == 4)
        return daytona_process_connect(sandbox, pid, show, NULL, &code) < 0 ? fail() : code;
    if (strcmp(argv[2], "type") == 0 && argc == 5)
        return daytona_process_send_stdin(sandbox, pid, argv[4], strlen(argv[4])) < 0 ? fail() : 0;
    if (strcmp(argv[2], "kill") == 0 && argc == 4)
        return daytona_process_kill(sandbox, pid) < 0 ? fail() : 0;
    fprintf(stderr, "process: start COMMAND, list, connect PID, type PID TEXT, or kill PID\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    int status;

    if (argc < 3) {
        fprintf(stderr, "usage: process SANDBOX start|list|connect|type|kill ...\n");
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
