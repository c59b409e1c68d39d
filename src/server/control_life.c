/* control_life.c - the control plane: states and what changes them, intervals. */
#include "server/server_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void api_wait_started(struct request *rq)
{
    struct fault_settings settings;

    fault_settings(rq->srv->fault, &settings);
    sandbox_wait_settled(rq->sandbox, clock_mono_ns() + settings.state_wait_ns);
}

void api_answer_change(struct request *rq, int r, const char *invalid)
{
    if (r == -EBUSY)
        reply_api_error(rq, 409, "Sandbox state change in progress");
    else if (r < 0)
        reply_api_error(rq, 400, "%s", invalid);
    else
        api_answer_sandbox(rq, 200);
}

void api_start(struct request *rq)
{
    struct buf why = BUF_INIT(1024);
    bool archived;
    int r;

    lock_take(&rq->srv->lock);
    archived = rq->sandbox->archived;
    lock_drop(&rq->srv->lock);
    r = sandbox_start(rq->sandbox, &why);
    if (r == 0 && !archived) /* a restore is not waited for */
        api_wait_started(rq);
    api_answer_change(rq, r, why.len ? buf_str(&why) : "Sandbox is not in valid state");
    buf_done(&why);
}

void api_stop(struct request *rq)
{
    api_answer_change(rq, sandbox_stop(rq->sandbox), "Sandbox is not in a stoppable state");
}

void api_delete(struct request *rq)
{
    bool forks;

    lock_take(&rq->srv->lock);
    sandbox_sweep_locked(rq->srv);
    forks = sandbox_has_forks_locked(rq->sandbox);
    lock_drop(&rq->srv->lock);
    if (forks)
        reply_api_error(rq, 400, "Sandbox has forks: delete them first");
    else
        api_answer_change(rq, sandbox_delete(rq->sandbox), "Sandbox is not in valid state");
}

void api_archive(struct request *rq)
{
    api_answer_change(rq, sandbox_archive(rq->sandbox), "Sandbox is not stopped");
}

void api_recover(struct request *rq)
{
    const char *skip = request_query(rq, "skipStart");
    struct buf why = BUF_INIT(1024);
    int r;

    r = sandbox_recover(rq->sandbox);
    if (r == 0 && !(skip && strcmp(skip, "true") == 0)) {
        r = sandbox_start(rq->sandbox, &why);
        if (r == 0)
            api_wait_started(rq);
    }
    api_answer_change(rq, r, why.len ? buf_str(&why) : "Sandbox is not in an error state");
    buf_done(&why);
}

/* The server's own: as if something had gone wrong with it. */
void api_break(struct request *rq)
{
    api_answer_change(rq, sandbox_break(rq->sandbox), "Sandbox is not in valid state");
}

/* ---- intervals ---- */

struct interval {
    const char *name;
    size_t offset;
    bool negative; /* allowed: off */
    int64_t max;   /* larger ones, and 0, become this; 0: no maximum */
};
static const struct interval intervals[] = {
    {"autostop", offsetof(struct sandbox, auto_stop_min), false, 0},
    {"autoarchive", offsetof(struct sandbox, auto_archive_min), false, 43200},
    {"ttl", offsetof(struct sandbox, ttl_min), false, 0},
    {"autodelete", offsetof(struct sandbox, auto_delete_min), true, 0},
    {"autopause", offsetof(struct sandbox, auto_pause_min), false, 0},
};

void api_interval(struct request *rq)
{
    char *end;
    long v;

    errno = 0;
    v = strtol(rq->capture[2], &end, 10);
    for (size_t i = 0; i < sizeof(intervals) / sizeof(intervals[0]); i++) {
        const struct interval *row = &intervals[i];

        if (strcmp(row->name, rq->capture[1]) != 0)
            continue;
        if (errno || *end || end == rq->capture[2] || (v < 0 && !row->negative)) {
            reply_api_error(rq, 400, "%s interval must be a non-negative number", row->name);
            return;
        }
        if (row->offset == offsetof(struct sandbox, auto_pause_min) &&
            !sandbox_is_vm(rq->sandbox)) {
            reply_api_error(rq, 422, "Operation autopause is not supported for sandbox class %s",
                            rq->sandbox->sandbox_class);
            return;
        }
        if (row->max && (v == 0 || v > row->max))
            v = row->max;
        lock_take(&rq->srv->lock);
        *(int64_t *)((char *)rq->sandbox + row->offset) = v;
        lock_drop(&rq->srv->lock);
        api_answer_saved(rq, 201); /* as the real one does, whatever its specification says */
        return;
    }
    reply_api_error(rq, 404, "Cannot %s %s", rq->method, rq->path);
}
