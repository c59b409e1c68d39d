/* daytonafs ports, daytonafs url */
#include "cli/site.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_column columns[] = {
    {"PORT", "port", CELL_NUMBER},
    {"URL", "url", CELL_TEXT},
    {NULL, "token", CELL_TEXT}, /* opens the port: only for programs that ask */
};

/* ---- ports ---- */

static int add_port(struct cli_rows *rows, struct site *site, uint16_t port, bool url)
{
    struct daytona_preview preview = {0};
    char number[16];
    int r = 0;

    snprintf(number, sizeof(number), "%u", port);
    if (url)
        r = api_check(&site->api, daytona_preview_url(site->api.sandbox, port, &preview));
    if (r == EXITCODE_OK &&
        cli_rows_add(rows, (const char *[]){number, preview.url, preview.token}) < 0)
        r = cli_fail_errno(-ENOMEM, "cannot list the ports");
    daytona_preview_done(&preview);
    return r;
}

static int run_ports(struct cli *cli)
{
    const bool url = cli_has(cli, "url");
    struct site site;
    struct cli_rows rows;
    uint16_t *list = NULL;
    size_t count = 0;
    int r;

    cli_rows_init(&rows, columns, url ? 3 : 1);
    r = site_open(&site, cli, cli->argc > 0 ? cli->argv[0] : NULL, false);
    if (r == EXITCODE_OK)
        r = site_check(&site, daytona_ports_list(site.api.sandbox, &list, &count),
                       "cannot list the ports");
    for (size_t i = 0; r == EXITCODE_OK && i < count; i++)
        r = add_port(&rows, &site, list[i], url);
    if (r == EXITCODE_OK)
        r = cli_rows_print(&rows, cli_has(cli, "json"));
    cli_rows_done(&rows);
    free(list);
    site_done(&site);
    return r;
}

/* ---- url ---- */

/* 0: it is no port but a path. */
static uint16_t port_of(const char *word)
{
    const long port = strtol(word, NULL, 10);

    if (!*word || strlen(word) > 5 || strspn(word, "0123456789") != strlen(word))
        return 0;
    return port > 65535 ? 0 : (uint16_t)port;
}

/* A signed link holds "PORT-TOKEN"; anything else is the token. *ret is the caller's. */
static char *token_of(const char *link, uint16_t port)
{
    char mark[16];
    const char *at;

    snprintf(mark, sizeof(mark), "/%u-", port);
    at = strstr(link, mark);
    at = at ? at + strlen(mark) : link;
    return strndup(at, strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789"));
}

static int print_link(const struct cli *cli, const char *url, const char *token)
{
    static const struct cli_column link[] = {
        {"URL", "url", CELL_TEXT},
        {NULL, "token", CELL_TEXT},
    };
    struct cli_rows rows;
    int r = EXITCODE_OK;

    if (!cli_has(cli, "json")) {
        printf("%s\n", url);
        return EXITCODE_OK;
    }
    cli_rows_init(&rows, link, token ? 2 : 1);
    if (cli_rows_add(&rows, (const char *[]){url, token}) < 0)
        r = cli_fail_errno(-ENOMEM, "cannot print the link");
    if (r == EXITCODE_OK)
        r = cli_rows_print_one(&rows, true);
    cli_rows_done(&rows);
    return r;
}

static int end_link(const struct cli *cli, struct site *site, uint16_t port)
{
    char *token = token_of(cli_value(cli, "expire"), port);
    int r;

    if (!token)
        return cli_fail_errno(-ENOMEM, "cannot end the link");
    r = site_check(site, daytona_preview_expire(site->api.sandbox, port, token),
                   "cannot end the link");
    free(token);
    return r;
}

static int link_to_port(const struct cli *cli, struct site *site, uint16_t port, uint32_t ttl_s)
{
    struct daytona_preview preview = {0};
    int r;

    if (cli_has(cli, "expire"))
        return end_link(cli, site, port);
    r = cli_has(cli, "signed")
            ? daytona_preview_signed_url(site->api.sandbox, port, ttl_s, &preview)
            : daytona_preview_url(site->api.sandbox, port, &preview);
    r = site_check(site, r, "cannot make a link");
    if (r == EXITCODE_OK)
        r = print_link(cli, preview.url, preview.token);
    daytona_preview_done(&preview);
    return r;
}

/* Links need absolute paths. A new string. An exit code. */
static int absolute(struct site *site, const char *path, char **ret)
{
    char *dir = NULL;
    int r = EXITCODE_OK;

    *ret = site_path(site, path);
    if (*ret && **ret != '/') {
        r = site_check(site, daytona_sandbox_work_dir(site->api.sandbox, &dir),
                       "cannot make a link");
        free(*ret);
        *ret = r == EXITCODE_OK ? path_resolve(dir, path) : NULL;
        free(dir);
    }
    return r != EXITCODE_OK || *ret ? r : cli_fail_errno(-ENOMEM, "cannot make a link");
}

static int link_to_file(const struct cli *cli, struct site *site, const char *path, uint32_t ttl_s)
{
    char *full = NULL, *url = NULL;
    int r, err;

    if (cli_has(cli, "revoke"))
        err = daytona_files_revoke_urls(site->api.sandbox);
    else if ((r = absolute(site, path, &full)) != EXITCODE_OK)
        return r;
    else if (cli_has(cli, "upload"))
        err = daytona_files_upload_url(site->api.sandbox, full, ttl_s, &url);
    else
        err = daytona_files_download_url(site->api.sandbox, full, ttl_s, &url);
    if (err == -EOPNOTSUPP)
        r = cli_fail(EXITCODE_OTHER,
                     "this service has no links to files: use `daytonafs ssh "
                     "--print` and scp, or the port of a web server in the sandbox");
    else
        r = site_check(site, err, "cannot make a link");
    if (r == EXITCODE_OK && url)
        r = print_link(cli, url, NULL);
    free(full);
    free(url);
    return r;
}

static int read_ttl(const struct cli *cli, uint32_t *ret_s)
{
    int64_t ns = 3600 * NS_PER_S;
    int r = cli_duration(cli, "ttl", &ns);

    if (r == EXITCODE_OK && (ns / NS_PER_S > UINT32_MAX || (ns > 0 && ns < NS_PER_S)))
        r = cli_fail_usage(cli, "--ttl=%s is not within 1s and 136 years", cli_value(cli, "ttl"));
    *ret_s = (uint32_t)(ns / NS_PER_S);
    return r;
}

/* What an option is about: a port or a path. */
static int check_options(const struct cli *cli, uint16_t port)
{
    static const struct {
        const char *option;
        bool port;
    } about[] = {{"signed", true}, {"expire", true}, {"upload", false}, {"revoke", false}};

    for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++) {
        if (cli_has(cli, about[i].option) && about[i].port != (port > 0))
            return cli_fail_usage(cli, "--%s is for %s", about[i].option,
                                  about[i].port ? "ports" : "paths");
    }
    return EXITCODE_OK;
}

static int run_url(struct cli *cli)
{
    const char *what = cli->argv[cli->argc - 1];
    const uint16_t port = port_of(what);
    const char *word = cli->argc > 1 ? cli->argv[0] : NULL;
    char *local = NULL;
    uint32_t ttl_s;
    struct site site;
    int r = read_ttl(cli, &ttl_s);

    if (r == EXITCODE_OK)
        r = check_options(cli, port);
    if (r == EXITCODE_OK && !*what)
        r = cli_fail_usage(cli, "the path is empty");
    if (r != EXITCODE_OK)
        return r;
    if (!word && !port) {
        /* A path alone is one in a mount here. */
        local = target_is_path(what) ? strdup(what) : path_join(".", what);
        if (!local)
            return cli_fail_errno(-ENOMEM, "cannot make a link");
        word = local;
        what = NULL;
    }
    r = site_open(&site, cli, word, port == 0);
    if (r == EXITCODE_OK)
        r = port ? link_to_port(cli, &site, port, ttl_s) : link_to_file(cli, &site, what, ttl_s);
    site_done(&site);
    free(local);
    return r;
}

/* ---- the commands ---- */

static const struct cli_option ports_options[] = {
    {"url", 'u', NULL, "the way to each, too; with --json also its token"},
    {0},
};
static const struct cli_option url_options[] = {
    {"signed", 's', NULL, "of a port: a link that needs no token or login"},
    {"ttl", 't', "DURATION", "how long a signed link is good; default 1h; of a path 0: for ever"},
    {"upload", 0, NULL, "of a path: to POST a file to, as part `file` of a form"},
    {"expire", 0, "LINK", "of a port: end a signed link now"},
    {"revoke", 0, NULL, "of a path: end all links to files of the sandbox now"},
    {0},
};

const struct cli_command cmd_ports = {
    .name = "ports",
    .run = run_ports,
    .usage = "[MOUNT|SANDBOX]",
    .summary = "list the ports on which programs in the sandbox listen",
    .options = ports_options,
    .flags = CLI_API | CLI_JSON,
    .max = 1,
};
const struct cli_command cmd_url = {
    .name = "url",
    .run = run_url,
    .usage = "[MOUNT|SANDBOX] PATH|PORT",
    .summary = "print a link to a file or a port of the sandbox",
    .text = "A number is a port. Its link wants a login, or the token that --json shows in the "
            "header X-Daytona-Preview-Token, unless --signed. A path alone is one in a mount; its "
            "link is signed, good for this one file, and needs nothing else, where the service "
            "has such links. Whoever has a signed link gets in until it ends.",
    .options = url_options,
    .flags = CLI_API | CLI_JSON,
    .min = 1,
    .max = 2,
};
