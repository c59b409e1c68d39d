#include "sdk/client.h"

#include "http/url.h"
#include "sdk/credentials.h"
#include "sdk/error.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_api_url[] = "https://app.daytona.io/api";

static const char *env(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static void observe(void *arg, const struct http_attempt *a)
{
    const struct daytona_client *client = arg;

    client->observe(client->observe_arg, &(struct daytona_attempt){
                                             .call = a->name,
                                             .method = a->method,
                                             .url = a->url,
                                             .http_status = a->status,
                                             .err = a->err,
                                             .attempt = a->attempt,
                                             .sent = a->sent,
                                             .received = a->received,
                                             .duration_ns = a->duration_ns,
                                         });
}

static int set_api_url(struct daytona_client *c, const struct daytona_config *config,
                       const char *from_credentials)
{
    const char *const from_env = env("DAYTONA_API_URL");
    const char *const old_env = env("DAYTONA_SERVER_URL");
    const char *const url = config->api_url    ? config->api_url
                            : from_credentials ? from_credentials
                            : from_env         ? from_env
                            : old_env          ? old_env
                                               : default_api_url;
    size_t len = strlen(url);

    if (!url_is_valid(url) || strchr(url, '?') || strchr(url, '#'))
        return error_set(-EINVAL, "%s is no URL of an API (like %s)", url, default_api_url);
    if (!url_is_safe(url))
        return error_set(-EINVAL, "%s: plain http to another host would show it the key; use https",
                         url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    c->api_url = strndup(url, len);
    return c->api_url ? 0 : -ENOMEM;
}

/* A header line with one value, which must not be able to add others. */
static int set_header(char **to, const char *name, const char *value)
{
    if (!credentials_valid(value))
        return error_set(-EINVAL, "%s: not printable ASCII without blanks", name);
    return asprintf(to, "%s: %s", name, value) < 0 ? -ENOMEM : 0;
}

static int set_headers(struct daytona_client *c, const struct daytona_config *config,
                       const struct credentials *who)
{
    const char *target = config->target ? config->target : env("DAYTONA_TARGET");
    int r;

    c->target = strdup(target ? target : "");
    if (!c->target)
        return -ENOMEM;
    r = set_header(&c->source_header, "X-Daytona-Source",
                   config->source ? config->source : "libdaytona");
    if (r == 0 && who->organization_id)
        r = set_header(&c->organization_header, "X-Daytona-Organization-ID", who->organization_id);
    if (r == 0)
        r = secret_set(&c->authorization, "Authorization: Bearer ", who->token.text);
    if (r == 0)
        r = secret_set(&c->token, who->token.text, "");
    return r;
}

int daytona_client_new(const struct daytona_config *config, struct daytona_client **ret)
{
    static const struct daytona_config defaults;
    const struct daytona_config *const cfg = config ? config : &defaults;
    struct daytona_client *c = NULL;
    struct credentials who = {0};
    struct http_config http = {
        .user_agent = "libdaytona/" DAYTONAFS_VERSION,
        .connect_timeout_ns = cfg->connect_timeout_ms * NS_PER_MS,
        .stall_timeout_ns = cfg->stall_timeout_ms * NS_PER_MS,
    };
    int r;

    error_begin("newClient");
    if (cfg->connect_timeout_ms < 0 || cfg->connect_timeout_ms > 3600 * 1000 ||
        cfg->stall_timeout_ms < 0 || cfg->stall_timeout_ms > 24 * 3600 * 1000)
        return error_set(-EINVAL, "a timeout is negative or longer than a day");
    r = credentials_find(cfg, &who);
    if (r < 0)
        goto out;
    r = -ENOMEM;
    c = calloc(1, sizeof(*c));
    if (!c)
        goto out;
    c->observe = cfg->observe;
    c->observe_arg = cfg->observe_arg;
    c->connect_timeout_ms = cfg->connect_timeout_ms ? cfg->connect_timeout_ms : 10 * 1000;
    r = set_api_url(c, cfg, who.api_url);
    if (r == 0)
        r = set_headers(c, cfg, &who);
    if (r < 0)
        goto out;
    if (c->observe) {
        http.observe = observe;
        http.observe_arg = c;
    }
    r = http_new(&http, &c->http);
    if (r < 0)
        goto out;
    *ret = c;
    c = NULL;
out:
    daytona_client_free(c);
    credentials_done(&who);
    return error_default(r);
}

struct daytona_client *daytona_client_free(struct daytona_client *c)
{
    if (!c)
        return NULL;
    http_free(c->http);
    secret_done(&c->token);
    secret_done(&c->authorization);
    free(c->organization_header);
    free(c->source_header);
    free(c->target);
    free(c->api_url);
    free(c);
    return NULL;
}

const char *daytona_client_api_url(const struct daytona_client *client)
{
    return client->api_url;
}
