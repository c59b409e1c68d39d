/* lifecycle - a sandbox from its beginning to its end: lifecycle NAME */
#include <daytona/daytona.h>

#include <stdio.h>

enum { WAIT_MS = 60000 };

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 1;
}

static int show(struct daytona_sandbox *sandbox)
{
    struct daytona_sandbox_info info;

    if (daytona_sandbox_info(sandbox, &info) < 0)
        return -1;
    printf("%s stops after %lld min\n", info.state_name, (long long)info.auto_stop_min);
    daytona_sandbox_info_done(&info);
    return 0;
}

static int live(struct daytona_sandbox *sandbox)
{
    struct daytona_pair label = {(char *)"stage", (char *)"old"};

    if (daytona_sandbox_set_auto_stop(sandbox, 30) < 0 || show(sandbox) < 0 ||
        daytona_sandbox_set_labels(sandbox, &label, 1) < 0 ||
        daytona_sandbox_stop(sandbox, false, WAIT_MS) < 0 || show(sandbox) < 0 ||
        daytona_sandbox_archive(sandbox, WAIT_MS) < 0 || show(sandbox) < 0 ||
        daytona_sandbox_start(sandbox, WAIT_MS) < 0 || show(sandbox) < 0)
        return fail();
    return 0;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_sandbox_params params = {0};
    int status;

    if (argc != 2) {
        fprintf(stderr, "usage: lifecycle NAME\n");
        return 2;
    }
    params.name = argv[1];
    if (daytona_client_new(NULL, &client) < 0 ||
        daytona_sandbox_create(client, &params, WAIT_MS, &sandbox) < 0) {
        status = fail();
    } else {
        status = live(sandbox);
        if (daytona_sandbox_delete(sandbox, WAIT_MS) < 0)
            status = fail();
    }
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
