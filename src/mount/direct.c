#include "mount/direct.h"

#include "remote/backends.h"
#include "util/path.h"

#include <errno.h>

enum { OP_TIMEOUT_S = 60 };

static bool has_jobs(struct remote *r)
{
    struct remote_info info;
    bool has;

    if (remote_info(r, &info) < 0)
        return false;
    has = info.caps & REMOTE_CAP_JOBS;
    remote_info_done(&info);
    return has;
}

int direct_open(struct daytona_sandbox *sandbox, struct remote **ret, struct buf *why)
{
    struct remote *plain;
    int r = remote_plain_new(sandbox, OP_TIMEOUT_S, &plain);

    if (r < 0)
        return r;
    r = remote_helper_new(sandbox, plain, NULL, ret, why);
    if (r == -EOPNOTSUPP) {
        if (has_jobs(plain))
            buf_truncate(why, 0); /* nothing is missing */
        *ret = plain;
        return 0;
    }
    if (r < 0)
        remote_free(plain);
    return r;
}

int direct_path(struct remote *r, const char *path, char **ret)
{
    struct remote_info info;
    int err = remote_info(r, &info);

    if (err < 0)
        return err;
    *ret = path_resolve(info.work_dir, path ? path : "");
    remote_info_done(&info);
    return *ret ? 0 : -ENOMEM;
}
