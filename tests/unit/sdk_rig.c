#include "sdk_rig.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

void sdk_rig_clear_environment(void)
{
    static const char *const names[] = {
        "DAYTONA_API_KEY",    "DAYTONA_JWT_TOKEN", "DAYTONA_ORGANIZATION_ID", "DAYTONA_API_URL",
        "DAYTONA_SERVER_URL", "DAYTONA_TARGET",    "XDG_CONFIG_HOME",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
    setenv("DAYTONA_CONFIG_DIR", "/nonexistent", 1);
}

int sdk_rig_start(struct sdk_rig *r)
{
    static const struct step steps[] = {
        {.request = "GET /api/sandbox/box", .status = 200, .body = RIG_SANDBOX("started")},
        RIG_END,
    };
    char url[80];
    struct daytona_config config = {.api_url = url, .api_key = RIG_KEY, .stall_timeout_ms = 5000};

    sdk_rig_clear_environment();
    *r = (struct sdk_rig){0};
    script_start(&r->script);
    snprintf(url, sizeof(url), "%s/api/", r->script.base);
    if (daytona_client_new(&config, &r->client) < 0)
        return -1;
    script_set(&r->script, steps);
    return daytona_sandbox_get(r->client, "box", &r->box);
}

void sdk_rig_stop(struct sdk_rig *r)
{
    daytona_sandbox_unref(r->box);
    daytona_client_free(r->client);
    script_stop(&r->script);
}

struct sdk_rig rig;

int sdk_rig_setup(void **state)
{
    return sdk_rig_start(&rig);
}

int sdk_rig_teardown(void **state)
{
    sdk_rig_stop(&rig);
    return 0;
}

void sdk_expect(int r, int wanted, const char *file, int line)
{
    if (r == wanted)
        return;
    print_error("got %d, wanted %d: %s\n", r, wanted, daytona_last_error()->message);
    _fail(file, line);
}
