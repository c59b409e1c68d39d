/* access - the ways into a sandbox from outside: ports, links, ssh */
#include "example.h"

static int ports(const struct example *e)
{
    uint16_t *list;
    size_t count;
    int r = daytona_ports_list(e->sandbox, &list, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%u\n", list[i]);
    free(list);
    return 0;
}

static uint16_t port_of(const struct example *e)
{
    return (uint16_t)example_number(e, 0);
}

/* Exit code 0: something listens there. */
static int in_use(const struct example *e)
{
    int r = daytona_ports_in_use(e->sandbox, port_of(e));

    return r < 0 ? r : !r;
}

/* For whoever sends the token in the header X-Daytona-Preview-Token. */
static int preview(const struct example *e)
{
    struct daytona_preview p = {0};
    int r = daytona_preview_url(e->sandbox, port_of(e), &p);

    if (r == 0)
        printf("%s\n%s\n", p.url, p.token);
    daytona_preview_done(&p);
    return r;
}

/* For whoever has the link. */
static int signed_link(const struct example *e)
{
    struct daytona_preview p = {0};
    int r = daytona_preview_signed_url(e->sandbox, port_of(e), (uint32_t)example_number(e, 1), &p);

    if (r == 0)
        printf("%s\n%s\n", p.url, p.token);
    daytona_preview_done(&p);
    return r;
}

static int expire(const struct example *e)
{
    return daytona_preview_expire(e->sandbox, port_of(e), e->argv[1]);
}

static int ssh(const struct example *e)
{
    struct daytona_ssh access = {0};
    int r = daytona_ssh_create(e->sandbox, (uint32_t)example_number(e, 0), &access);

    if (r == 0)
        printf("%s\n%s until %s\n", access.token, access.command, access.expires_at);
    daytona_ssh_done(&access);
    return r;
}

/* Exit code 0: the token lets in. */
static int ssh_check(const struct example *e)
{
    char *id = NULL;
    int r = daytona_ssh_validate(e->client, e->argv[0], &id);

    if (r == 1)
        printf("%s\n", id);
    free(id);
    return r < 0 ? r : !r;
}

static int ssh_end(const struct example *e)
{
    return daytona_ssh_revoke(e->sandbox, example_arg(e, 0));
}

/* Links to one file, which need no key. */
static int download_link(const struct example *e)
{
    char *url = NULL;
    int r =
        daytona_files_download_url(e->sandbox, e->argv[0], (uint32_t)example_number(e, 1), &url);

    return example_print(r, url);
}

static int upload_link(const struct example *e)
{
    char *url = NULL;
    int r = daytona_files_upload_url(e->sandbox, e->argv[0], (uint32_t)example_number(e, 1), &url);

    return example_print(r, url);
}

static int end_links(const struct example *e)
{
    return daytona_files_revoke_urls(e->sandbox);
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"ports", 0, 0, "", ports},
        {"in-use", 1, 1, "PORT", in_use},
        {"preview", 1, 1, "PORT", preview},
        {"signed", 2, 2, "PORT SECONDS", signed_link},
        {"expire", 2, 2, "PORT TOKEN", expire},
        {"ssh", 1, 1, "MINUTES", ssh},
        {"ssh-check", 1, 1, "TOKEN", ssh_check},
        {"ssh-end", 0, 1, "[TOKEN]", ssh_end},
        {"download", 2, 2, "PATH SECONDS", download_link},
        {"upload", 2, 2, "PATH SECONDS", upload_link},
        {"end-links", 0, 0, "", end_links},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
