/* What the toolbox says about itself. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "wire/file.h"

#include <errno.h>

static int ask(struct daytona_sandbox *sb, const char *name, const char *path, const char *key,
               char **ret)
{
    const struct call call = {
        .name = name,
        .method = "GET",
        .path = path,
        .flags = HTTP_IDEMPOTENT,
    };
    struct http_response response;
    int r;

    error_begin(name);
    r = call_toolbox(sb, &call, &response);
    if (r == -ENOENT) /* no file is asked for: it is the call that is not there */
        return error_set(-EOPNOTSUPP, "this daemon does not have the call");
    if (r < 0)
        return r;
    r = wire_string_read(buf_str(&response.body), response.body.len, key, ret);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

int daytona_sandbox_work_dir(struct daytona_sandbox *sb, char **ret)
{
    return ask(sb, "getWorkDir", "/work-dir", "dir", ret);
}

int daytona_sandbox_home_dir(struct daytona_sandbox *sb, char **ret)
{
    return ask(sb, "getUserHomeDir", "/user-home-dir", "dir", ret);
}

int daytona_sandbox_version(struct daytona_sandbox *sb, char **ret)
{
    return ask(sb, "getVersion", "/version", "version", ret);
}
