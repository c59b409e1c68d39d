#include "box_rig.h"

#include "server/server.h"
#include "unit.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY "local-test-key"

static void count_request(void *arg, const struct daytona_attempt *attempt)
{
    struct box_rig *rig = arg;

    atomic_fetch_add(&rig->requests, 1);
}

unsigned box_rig_requests(struct box_rig *rig)
{
    return atomic_exchange(&rig->requests, 0);
}

void box_rig_fault(struct box_rig *rig, const char *spec)
{
    struct buf why = BUF_INIT(4096);

    if (server_set_fault(rig->server, spec, &why) < 0)
        fail_msg("%s", buf_str(&why));
    buf_done(&why);
}

static int start_server(struct box_rig *rig, struct buf *why)
{
    struct server_config config = {
        .state_dir = rig->state, .key = KEY, .key_len = strlen(KEY), .fault = "state-delay=20ms"};
    int r = server_start(&config, &rig->server, why);

    if (r == -EPERM) { /* a machine where nothing may be isolated */
        buf_truncate(why, 0);
        config.no_isolation = true;
        r = server_start(&config, &rig->server, why);
    }
    return r;
}

static int open_remote(struct box_rig *rig, const char *helper, struct buf *why)
{
    int r = remote_plain_new(rig->sandbox, 30, &rig->remote);

    if (r == 0 && helper)
        r = remote_helper_new(rig->sandbox, rig->remote, helper, &rig->remote, why);
    return r;
}

int box_rig_start(struct box_rig *rig, const char *helper)
{
    const struct daytona_sandbox_params params = {.name = "box"};
    struct daytona_config config = {
        .api_key = KEY, .stall_timeout_ms = 5000, .observe = count_request, .observe_arg = rig};
    struct buf why = BUF_INIT(4096);
    int r;

    *rig = (struct box_rig){.state = "/tmp/daytonafs-box-XXXXXX"};
    unsetenv("DAYTONA_API_URL");
    r = mkdtemp(rig->state) ? start_server(rig, &why) : -errno;
    if (r == 0) {
        config.api_url = server_url(rig->server);
        r = daytona_client_new(&config, &rig->client);
    }
    if (r == 0)
        r = daytona_sandbox_create(rig->client, &params, 20000, &rig->sandbox);
    if (r == 0)
        r = daytona_sandbox_work_dir(rig->sandbox, &rig->home);
    if (r == 0)
        r = open_remote(rig, helper, &why);
    if (r < 0)
        print_error("%d %s %s\n", r, buf_str(&why), daytona_last_error()->message);
    buf_done(&why);
    box_rig_requests(rig);
    return r < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

void box_rig_stop(struct box_rig *rig)
{
    rig->remote = remote_free(rig->remote);
    daytona_sandbox_unref(rig->sandbox);
    daytona_client_free(rig->client);
    server_free(rig->server);
    free(rig->home);
    (void)nftw(rig->state, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
