/* interpreter - Python that remembers, one run for each argument: interpreter SANDBOX CODE... */
#include <daytona/daytona.h>

#include <stdio.h>

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

static int run(struct daytona_sandbox *sandbox, const char *context, const char *code)
{
    const struct daytona_interpreter_run run = {.code = code, .context = context};
    struct daytona_interpreter_result result;
    int status;

    if (daytona_interpreter_run(sandbox, &run, show, NULL, &result) < 0)
        return fail();
    status = result.raised;
    if (result.raised)
        fprintf(stderr, "%s: %s\n", result.name, result.value);
    daytona_interpreter_result_done(&result);
    return status;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_interpreter_context context;
    int status = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: interpreter SANDBOX CODE...\n");
        return 2;
    }
    if (daytona_client_new(NULL, &client) < 0 ||
        daytona_sandbox_get(client, argv[1], &sandbox) < 0 ||
        daytona_interpreter_create(sandbox, NULL, &context) < 0) {
        status = fail();
    } else {
        for (int i = 2; i < argc && status == 0; i++)
            status = run(sandbox, context.id, argv[i]);
        if (daytona_interpreter_delete(sandbox, context.id) < 0)
            status = fail();
        daytona_interpreter_context_done(&context);
    }
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
