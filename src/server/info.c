/* info.c - what a sandbox says of itself. */
#include "server/server_internal.h"

static void answer(struct request *rq, const char *key, const char *value)
{
    struct json_out o = reply_json(rq, 200);

    json_open(&o, '{');
    json_key(&o, key);
    json_string(&o, value);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

void info_version(struct request *rq)
{
    answer(rq, "version", rq->srv->new_daemon ? "v0.205.0" : "v0.190.0");
}

/* The sandbox's image has no WORKDIR: work-dir, home and the old project-dir are one. */
void info_work_dir(struct request *rq)
{
    answer(rq, "dir", view_work_dir(rq));
}
