#include "cli/place.h"

#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int place_open(struct place *p, const struct cli *cli, const char *word)
{
    const struct target *t = &p->target;
    int r;

    *p = (struct place){0};
    r = target_find(&p->target, cli, word);
    if (r != EXITCODE_OK)
        return r;
    if (t->mounted && *t->mount.ctl_name) {
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

void place_done(struct place *p)
{
    api_done(&p->api);
    target_done(&p->target);
}

void place_changed(const struct place *p)
{
    if (p->target.mounted && *p->target.mount.ctl_name)
        (void)target_order(&p->target, "refresh\n"); /* it looks again by itself, a second later */
}

char *place_path(const struct place *p, const char *path)
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
