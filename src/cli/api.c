#include "cli/api.h"

#include <errno.h>

int api_check(const struct api *api, int err)
{
    const struct daytona_error *detail = daytona_last_error();
    struct exitcode_context context = {.sandbox = api->name};
    struct buf why = BUF_INIT(8192);
    int code;

    if (err >= 0)
        return EXITCODE_OK;
    if (detail->err != err)
        detail = NULL; /* that was about something else */
    if (api->client)
        context.api_url = daytona_client_api_url(api->client);
    code = exitcode_of(err, detail);
    if (exitcode_explain(&why, err, detail, &context) < 0)
        buf_truncate(&why, 0);
    cli_fail(code, "%s", why.len > 0 ? buf_str(&why) : "out of memory");
    buf_done(&why);
    return code;
}

int api_open(struct api *api, const struct cli *cli)
{
    return api_open_at(api, cli, NULL);
}

int api_open_at(struct api *api, const struct cli *cli, const char *url)
{
    const struct daytona_config config = {
        .api_url = cli_has(cli, "api-url") ? cli_value(cli, "api-url") : url,
        .credentials_file = cli_value(cli, "credentials"),
        .source = "daytonafs",
    };

    const int err = daytona_client_new(&config, &api->client);

    if (err == 0 || err == -ENOMEM || !*daytona_last_error()->message)
        return api_check(api, err);
    /* Nothing was sent yet: the SDK's sentence is about the configuration, and says it all. */
    return cli_fail(err == -EINVAL ? EXITCODE_USAGE : EXITCODE_AUTH, "%s",
                    daytona_last_error()->message);
}

int api_open_sandbox(struct api *api, const struct cli *cli, const char *name)
{
    int r = api->client ? EXITCODE_OK : api_open(api, cli);

    if (r != EXITCODE_OK)
        return r;
    api->name = name;
    r = api_check(api, daytona_sandbox_get(api->client, name, &api->sandbox));
    if (r == EXITCODE_NOT_FOUND)
        cli_hint_path(name);
    return r;
}

void api_done(struct api *api)
{
    api->sandbox = daytona_sandbox_unref(api->sandbox);
    api->client = daytona_client_free(api->client);
}
