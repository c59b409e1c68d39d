/*
 * build.c - the logs of what is built from a Dockerfile. Nothing is built here: a line of the log
 * for each instruction, and an end when the time of a change of state is over.
 */
#include "server/server_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { STEP_MS = 20, LINE = 512 };

struct build {
    char *id;
    bool is_sandbox, follow, said_steps, said_end;
};

bool build_possible(const char *dockerfile)
{
    for (const char *p = dockerfile; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        p += strspn(p, " \t");
        if (*p && *p != '\n' && *p != '#')
            return strncasecmp(p, "FROM ", 5) == 0 || strncasecmp(p, "ARG ", 4) == 0;
    }
    return false;
}

/* Of who has it; 1: it goes on, 0: it is over, -ENOENT. *ret_text is a new string. */
static int look(struct request *rq, const struct build *b, char **ret_text, bool *ret_failed)
{
    struct server *s = rq->srv;
    const struct stored *item;
    int r = -ENOENT;

    *ret_text = NULL;
    lock_take(&s->lock);
    if (b->is_sandbox) {
        sandbox_sweep_locked(s);
        *ret_text = strdup(rq->sandbox->dockerfile);
        *ret_failed = rq->sandbox->state == SB_BUILD_FAILED;
        r = rq->sandbox->state == SB_BUILDING;
    } else if ((item = catalog_find_locked(s, ITEM_SNAPSHOT, b->id, NULL))) {
        *ret_text = strdup(item->dockerfile);
        *ret_failed = strcmp(item->state, "build_failed") == 0;
        r = item->then != NULL;
    }
    if (r >= 0 && !*ret_text)
        r = -ENOMEM;
    lock_drop(&s->lock);
    return r;
}

static int put_steps(struct request *rq, const char *dockerfile)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    unsigned total = 0, n = 0;
    int r = 0;

    for (int pass = 0; r == 0 && pass < 2; pass++) {
        for (const char *p = dockerfile; r == 0 && *p; p += strcspn(p, "\n"), p += *p == '\n') {
            if (!*p || *p == '\n' || *p == '#')
                continue;
            if (pass == 0)
                total++;
            else
                r = buf_printf(&text, "Step %u/%u : %.*s\n", ++n, total, (int)strcspn(p, "\n"), p);
        }
    }
    if (r == 0)
        r = reply_piece_text(rq, buf_str(&text), text.len);
    buf_done(&text);
    return r;
}

static int put_end(struct request *rq, bool failed)
{
    const char *text = failed ? "The build has failed: no FROM in the first instruction\n"
                              : "Successfully built\n";

    return reply_piece_text(rq, text, strlen(text));
}

/* The connection's own thread, so it may wait. */
static int more(struct request *rq)
{
    const struct timespec step = {.tv_nsec = STEP_MS * NS_PER_MS};
    struct build *b = rq->build;
    char *dockerfile = NULL;
    bool failed = false;
    int r;

    if (b->said_end)
        return 0;
    r = look(rq, b, &dockerfile, &failed);
    if (r >= 0 && !b->said_steps) {
        b->said_steps = true;
        r = put_steps(rq, dockerfile) < 0 ? -ENOMEM : 1;
        free(dockerfile);
        return r;
    }
    while (r == 1 && b->follow && !request_abandoned(rq)) {
        free(dockerfile);
        nanosleep(&step, NULL);
        r = look(rq, b, &dockerfile, &failed);
    }
    free(dockerfile);
    b->said_end = true;
    if (r != 0)
        return 0; /* it goes on, or has gone */
    return put_end(rq, failed) < 0 ? -ENOMEM : 1;
}

static void start(struct request *rq, const char *id, bool is_sandbox)
{
    const char *follow = request_query(rq, "follow");
    char *dockerfile = NULL;
    bool failed;
    int r;

    rq->build = calloc(1, sizeof(*rq->build));
    if (rq->build) {
        rq->build->id = strdup(id);
        rq->build->is_sandbox = is_sandbox;
        rq->build->follow = follow && strcmp(follow, "true") == 0;
    }
    r = rq->build && rq->build->id ? look(rq, rq->build, &dockerfile, &failed) : -ENOMEM;
    if (r == -ENOMEM)
        reply_status(rq, 500);
    else if (r < 0 || !*dockerfile)
        reply_api_error(rq, 404, "%s with ID or name %s has no build logs",
                        is_sandbox ? "Sandbox" : "Snapshot", id);
    free(dockerfile);
    if (rq->reply.status)
        return;
    reply_stream(rq, 200, -1);
    reply_header(rq, "Content-Type", "application/octet-stream");
    rq->reply.more = more;
}

static void put_url(struct request *rq, const char *kind, const char *id)
{
    struct json_out o = reply_json(rq, 200);
    char url[512];

    snprintf(url, sizeof(url), "%s/api/%s/%s/build-logs", rq->srv->origin, kind, id);
    json_open(&o, '{');
    json_key(&o, "url");
    json_string(&o, url);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

void api_build_logs_url(struct request *rq)
{
    if (!*rq->sandbox->dockerfile)
        reply_api_error(rq, 404, "Sandbox with ID or name %s has no build info", rq->capture[0]);
    else
        put_url(rq, "sandbox", rq->sandbox->id);
}

void api_build_logs(struct request *rq)
{
    start(rq, rq->sandbox->id, true);
}

void snapshot_logs_url(struct request *rq)
{
    struct server *s = rq->srv;
    const struct stored *item;

    lock_take(&s->lock);
    item = catalog_find_locked(s, ITEM_SNAPSHOT, rq->capture[0], NULL);
    if (item && *item->dockerfile)
        put_url(rq, "snapshots", item->id);
    else
        reply_api_error(rq, 404, "Snapshot with ID %s has no build info", rq->capture[0]);
    lock_drop(&s->lock);
}

void snapshot_logs(struct request *rq)
{
    start(rq, rq->capture[0], false);
}

void build_forget(struct request *rq)
{
    if (rq->build)
        free(rq->build->id);
    free(rq->build);
    rq->build = NULL;
}
