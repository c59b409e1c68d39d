/* execute - runs a command in a sandbox; its exit code becomes this program's: execute SANDBOX CMD
 */
#include <daytona/daytona.h>

#include <stdio.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 125;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_execute execute = {.timeout_s = 60};
    struct daytona_result result = {0};
    int status;

    if (argc != 3) {
        fprintf(stderr, "usage: execute SANDBOX COMMAND\n");
        return 2;
    }
    execute.command = argv[2];
    if (daytona_client_new(NULL, &client) < 0 ||
        daytona_sandbox_get(client, argv[1], &sandbox) < 0 ||
        daytona_process_execute(sandbox, &execute, &result) < 0) {
        status = fail();
    } else {
        fwrite(result.output, 1, result.len, stdout);
        status = result.exit_code < 0 ? 125 : result.exit_code;
    }
    daytona_result_done(&result);
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
