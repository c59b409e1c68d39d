/* session - follows a command in a session of its own, its streams apart: session SANDBOX COMMAND
 */
#include <daytona/daytona.h>

#include <stdio.h>
#include <unistd.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 125;
}

static int show(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    FILE *to = ((FILE **)arg)[stream == DAYTONA_STDERR];

    return fwrite(p, 1, n, to) == n && fflush(to) == 0 ? 0 : -1;
}

static int run(struct daytona_sandbox *sandbox, const char *session, const char *command)
{
    const struct daytona_session_execute execute = {.command = command, .async = true};
    struct daytona_session_result started = {0};
    FILE *files[] = {stdout, stderr};
    int status = 0;

    if (daytona_session_execute(sandbox, session, &execute, &started) < 0 ||
        daytona_session_follow(sandbox, session, started.command_id, show, files, &status) < 0)
        status = fail();
    daytona_session_result_done(&started);
    return status;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    char session[64];
    int status;

    if (argc != 3) {
        fprintf(stderr, "usage: session SANDBOX COMMAND\n");
        return 2;
    }
    snprintf(session, sizeof(session), "example-%ld", (long)getpid());
    if (daytona_client_new(NULL, &client) < 0 ||
        daytona_sandbox_get(client, argv[1], &sandbox) < 0 ||
        daytona_session_create(sandbox, session) < 0) {
        status = fail();
    } else {
        status = run(sandbox, session, argv[2]);
        if (daytona_session_delete(sandbox, session) < 0)
            status = fail();
    }
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
