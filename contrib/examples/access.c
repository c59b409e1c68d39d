/* access - the ways into a sandbox from outside: access SANDBOX PORT */
#include <daytona/daytona.h>

#include <stdio.h>
#include <stdlib.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 1;
}

static int show_ports(struct daytona_sandbox *sandbox)
{
    uint16_t *ports;
    size_t count;

    if (daytona_ports_list(sandbox, &ports, &count) < 0)
        return fail();
    for (size_t i = 0; i < count; i++)
        printf("listening on %u\n", ports[i]);
    free(ports);
    return 0;
}

/* A link for ten minutes, taken back at once. */
static int show_links(struct daytona_sandbox *sandbox, uint16_t port)
{
    struct daytona_preview plain = {0}, with_key = {0};
    struct daytona_ssh ssh = {0};
    int status = 0;

    if (daytona_preview_url(sandbox, port, &plain) < 0 ||
        daytona_preview_signed_url(sandbox, port, 600, &with_key) < 0 ||
        daytona_preview_expire(sandbox, port, with_key.token) < 0 ||
        daytona_ssh_create(sandbox, 10, &ssh) < 0 || daytona_ssh_revoke(sandbox, ssh.token) < 0)
        status = fail();
    else
        printf("%s\n%s until %s\n", plain.url, ssh.command, ssh.expires_at);
    daytona_preview_done(&plain);
    daytona_preview_done(&with_key);
    daytona_ssh_done(&ssh);
    return status;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    int status;

    if (argc != 3) {
        fprintf(stderr, "usage: access SANDBOX PORT\n");
        return 2;
    }
    if (daytona_client_new(NULL, &client) < 0 || daytona_sandbox_get(client, argv[1], &sandbox) < 0)
        status = fail();
    else
        status = show_ports(sandbox) || show_links(sandbox, (uint16_t)atoi(argv[2]));
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
