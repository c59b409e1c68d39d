#include "cli/site.h"

#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int site_open(struct site *p, const struct cli *cli, const char *word, bool send)
{
    const struct target *t = &p->target;
    int r;

    *p = (struct site){0};
    r = target_find(&p->target, cli, word);
    if (r != EXITCODE_OK)
        return r;
    if (send && t->mounted && *t->mount.ctl_name) {
        r = target_order(t, "sync\n");
        if (r < 0)
            return target_fail(t, r == -ENOTCONN ? EXITCODE_OTHER : EXITCODE_QUEUED, r,
                               "what was written here cannot be sent");
    }
    /* By its id: a name may belong to another sandbox by now. */
    r = api_open_at(&p->api, cli, t->sandbox ? NULL : t->mount.api_url);
    if (r == EXITCODE_OK)
        r = api_open_sandbox(&p->api, cli, t->mounted ? t->mount.sandbox_id : t->sandbox);
    if (t->mounted)
        p->api.name = t->sandbox ? t->sandbox : t->mount.sandbox_name;
    return r;
}

void site_done(struct site *p)
{
    api_done(&p->api);
    target_done(&p->target);
}

int site_check(const struct site *p, int err, const char *what)
{
    const struct daytona_error *detail = daytona_last_error();

    if (err >= 0)
        return EXITCODE_OK;
    if (detail->err != err || detail->infra || detail->auth || detail->http_status == 0)
        return api_check(&p->api, err);
    return cli_fail((int)exitcode_of(err, detail), "%s: %s", what, detail->message);
}

void site_changed(const struct site *p)
{
    if (p->target.mounted && *p->target.mount.ctl_name)
        (void)target_order(&p->target, "refresh\n"); /* it looks again by itself, a second later */
}

char *site_path(const struct site *p, const char *path)
{
    const struct target *t = &p->target;
    char *base, *full;

    if (!t->mounted)
        return strdup(path ? path : ".");
    base = path_resolve(t->mount.path, t->rest);
    if (!base || !path)
        return base;
    full = path_resolve(base, path);
    free(base);
    return full;
}
