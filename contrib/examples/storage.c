/* storage - a new sandbox that has a volume at /data, made if need be: storage SANDBOX VOLUME */
#include <daytona/daytona.h>

#include <errno.h>
#include <stdio.h>

enum { WAIT_MS = 60000 };

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 1;
}

static int get_volume(struct daytona_client *client, const char *name, struct daytona_volume *ret)
{
    int r = daytona_volume_get(client, name, ret);

    return r == -ENOENT ? daytona_volume_create(client, name, WAIT_MS, ret) : r;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_volume volume = {0};
    struct daytona_volume_mount mount = {.path = "/data"};
    struct daytona_sandbox_params params = {.volumes = &mount, .volume_count = 1};
    int status = 0;

    if (argc != 3) {
        fprintf(stderr, "usage: storage SANDBOX VOLUME\n");
        return 2;
    }
    params.name = argv[1];
    if (daytona_client_new(NULL, &client) < 0 || get_volume(client, argv[2], &volume) < 0) {
        status = fail();
    } else {
        mount.volume_id = volume.id;
        if (daytona_sandbox_create(client, &params, WAIT_MS, &sandbox) < 0)
            status = fail();
        else
            printf("%s\n", daytona_sandbox_id(sandbox));
    }
    daytona_volume_done(&volume);
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
