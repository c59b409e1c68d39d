#include "serve_rig.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct serve_rig fx;
bool old_daemon = false, new_daemon = true;

const char *at(const char *name)
{
    snprintf(fx.path, sizeof(fx.path), "%s/%s", fx.dir, name);
    return fx.path;
}

static int start_server(void)
{
    struct buf why = BUF_INIT(4096);
    struct server_config config = {
        .state_dir = fx.state,
        .key = SERVE_KEY,
        .key_len = strlen(SERVE_KEY),
        .fault = "state-delay=20ms",
        .new_daemon = fx.new_daemon,
    };
    int r = server_start(&config, &fx.server, &why);

    if (r == -EPERM) { /* a machine where nothing may be isolated */
        config.no_isolation = true;
        r = server_start(&config, &fx.server, &why);
    }
    if (r < 0)
        print_error("%s\n", buf_str(&why));
    buf_done(&why);
    return r;
}

void set_fault(const char *spec)
{
    struct buf why = BUF_INIT(4096);

    assert_int_equal(server_set_fault(fx.server, spec, &why), 0);
    buf_done(&why);
}

int serve_rig_start(void **state)
{
    const struct daytona_sandbox_params params = {.name = "box"};
    struct daytona_config config = {.api_key = SERVE_KEY, .stall_timeout_ms = 5000};

    unsetenv("DAYTONA_API_URL");
    fx = (struct serve_rig){.new_daemon = *(bool *)*state, .state = "/tmp/daytona-sdk-XXXXXX"};
    if (!mkdtemp(fx.state) || start_server() < 0)
        return -1;
    config.api_url = server_url(fx.server);
    if (daytona_client_new(&config, &fx.client) < 0 ||
        daytona_sandbox_create(fx.client, &params, 20000, &fx.box) < 0 ||
        daytona_sandbox_work_dir(fx.box, &fx.dir) < 0) {
        print_error("%s\n", daytona_last_error()->message);
        return -1;
    }
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

int serve_rig_stop(void **state)
{
    daytona_sandbox_unref(fx.box);
    daytona_client_free(fx.client);
    server_free(fx.server);
    free(fx.dir);
    return nftw(fx.state, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
