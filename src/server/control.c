/* control.c - the control plane: sandboxes as the API shows and changes them. */
#include "server/server_internal.h"
#include "server/tree.h"

#include "util/clock.h"
#include "wire/sandbox.h"
#include "wire/time.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORGANIZATION "00000000-0000-4000-8000-000000000001"

enum { LIST_DEFAULT = 100, LIST_MAX = 200 };

static const char *const state_names[] = {
    [SB_CREATING] = "creating",
    [SB_STARTING] = "starting",
    [SB_STARTED] = "started",
    [SB_STOPPING] = "stopping",
    [SB_STOPPED] = "stopped",
    [SB_DESTROYING] = "destroying",
    [SB_DESTROYED] = "destroyed",
    [SB_ARCHIVING] = "archiving",
    [SB_ARCHIVED] = "archived",
    [SB_RESTORING] = "restoring",
    [SB_ERROR] = "error",
    [SB_BUILDING] = "building_snapshot",
    [SB_BUILD_FAILED] = "build_failed",
    [SB_PAUSING] = "pausing",
    [SB_PAUSED] = "paused",
    [SB_RESUMING] = "resuming",
    [SB_RESIZING] = "resizing",
    [SB_SNAPSHOTTING] = "snapshotting",
    [SB_FORKING] = "forking",
};
static const char *const desired_names[] = {
    [SB_CREATING] = "started",     [SB_STARTING] = "started",   [SB_STARTED] = "started",
    [SB_STOPPING] = "stopped",     [SB_STOPPED] = "stopped",    [SB_DESTROYING] = "destroyed",
    [SB_DESTROYED] = "destroyed",  [SB_ARCHIVING] = "archived", [SB_ARCHIVED] = "archived",
    [SB_RESTORING] = "started",    [SB_ERROR] = "started",      [SB_BUILDING] = "started",
    [SB_BUILD_FAILED] = "started", [SB_PAUSING] = "paused",     [SB_PAUSED] = "paused",
    [SB_RESUMING] = "started",     [SB_RESIZING] = "resized",   [SB_SNAPSHOTTING] = "started",
    [SB_FORKING] = "started",
};

static void put_time(char out[40], int64_t ms)
{
    struct buf b = BUF_INIT(39);

    (void)time_write_rfc3339(&b, ms * NS_PER_MS, 0);
    snprintf(out, 40, "%s", buf_str(&b));
    buf_done(&b);
}

/* The DTO borrows everything. */
void api_put_sandbox_locked(struct json_out *o, const struct sandbox *sb, bool as_item)
{
    struct server *s = sb->srv;
    char created[40], updated[40], active[40], toolbox[512];
    const struct wire_sandbox dto = {
        .id = sb->id,
        .organization_id = (char *)ORGANIZATION,
        .name = sb->name,
        .snapshot = sb->snapshot,
        .user = sb->user,
        .target = sb->target,
        .state = (char *)state_names[sb->state],
        .desired_state = (char *)desired_names[sb->state],
        .error_reason = (char *)(sb->state == SB_ERROR          ? "an error was asked for"
                                 : sb->state == SB_BUILD_FAILED ? "the Dockerfile does not begin "
                                                                  "with FROM"
                                                                : ""),
        .recoverable = sb->state == SB_ERROR,
        .backup_state = (char *)(sb->archived ? "Completed" : "None"),
        .sandbox_class = sb->sandbox_class,
        .created_at = created,
        .updated_at = updated,
        .last_activity_at = active,
        .daemon_version = (char *)(s->new_daemon ? "0.205.0" : "0.190.0"),
        .runner_id = (char *)"local",
        .toolbox_url = toolbox,
        .env = sb->env,
        .labels = sb->labels,
        .is_public = sb->is_public,
        .network_block_all = sb->network_block_all,
        .network_allow_list = sb->network_allow_list,
        .domain_allow_list = sb->domain_allow_list,
        .cpu = sb->cpu,
        .memory_gib = sb->memory_gib,
        .disk_gib = sb->disk_gib,
        .auto_stop_min = sb->auto_stop_min,
        .auto_archive_min = sb->auto_archive_min,
        .auto_delete_min = sb->auto_delete_min,
        .auto_pause_min = sandbox_is_vm(sb) ? sb->auto_pause_min : JSON_ABSENT,
    };

    put_time(created, sb->created_ms);
    put_time(updated, sb->updated_ms);
    put_time(active, sb->active_ms);
    snprintf(toolbox, sizeof(toolbox), "%s/toolbox", s->origin);
    wire_sandbox_write(o, &dto, as_item);
}

void api_answer_sandbox(struct request *rq, int status)
{
    struct json_out o = reply_json(rq, status);

    lock_take(&rq->srv->lock);
    sandbox_sweep_locked(rq->srv);
    api_put_sandbox_locked(&o, rq->sandbox, false);
    lock_drop(&rq->srv->lock);
    reply_json_end(rq, &o);
}

void api_config(struct request *rq)
{
    struct json_out o = reply_json(rq, 200);
    char url[512];

    snprintf(url, sizeof(url), "%s/toolbox", rq->srv->origin);
    json_open(&o, '{');
    json_key(&o, "version");
    json_string(&o, rq->srv->new_daemon ? "v0.205.0" : "v0.190.0");
    json_key(&o, "proxyToolboxUrl");
    json_string(&o, url);
    json_key(&o, "defaultSnapshot");
    json_string(&o, "daytona-local");
    json_key(&o, "maxAutoArchiveInterval");
    json_int(&o, 43200);
    json_key(&o, "environment");
    json_string(&o, "local");
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

static bool name_allowed(const char *name)
{
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
        if (*p < 0x20 || *p == 0x7f || *p == '<' || *p == '>')
            return false;
    }
    return !strstr(name, "://");
}

static bool params_allowed(struct request *rq, const struct wire_create *c)
{
    const bool build = c->dockerfile && *c->dockerfile, snapshot = c->snapshot && *c->snapshot;

    if (c->name && !name_allowed(c->name))
        reply_api_error(rq, 400, "name must not contain HTML tags, URLs or control characters");
    else if (build && snapshot)
        reply_api_error(rq, 400, "Cannot specify a snapshot when using a build info entry");
    else if (!build && snapshot && (c->cpu || c->memory_gib || c->disk_gib))
        reply_api_error(rq, 400, "Cannot specify Sandbox resources when using a snapshot");
    else
        return volumes_check(rq, c);
    return false;
}

static int take_snapshot(struct sandbox *sb, struct snapshot_use *use)
{
    if (use->sandbox_class) {
        char *before = sb->sandbox_class;

        lock_take(&sb->srv->lock);
        sb->sandbox_class = use->sandbox_class;
        sb->cpu = use->cpu;
        sb->memory_gib = use->memory_gib;
        sb->disk_gib = use->disk_gib;
        lock_drop(&sb->srv->lock);
        use->sandbox_class = before;
    }
    return use->dir ? tree_copy_path(use->dir, sb->folder) : 0;
}

static void start_new(struct request *rq, const struct wire_create *c, struct snapshot_use *use)
{
    const bool build = c->dockerfile && *c->dockerfile;
    struct buf why = BUF_INIT(1024);
    int r;

    r = take_snapshot(rq->sandbox, use);
    if (r < 0)
        (void)buf_printf(&why, "copying the snapshot: %s", strerror(-r));
    if (r == 0 && build && !build_possible(c->dockerfile))
        sandbox_fail_build(rq->sandbox);
    else if (r == 0)
        r = sandbox_start(rq->sandbox, &why);
    if (r < 0) {
        reply_api_error(rq, 400, "The sandbox could not be started: %s", buf_str(&why));
    } else {
        if (!build) /* who builds is answered at once */
            api_wait_started(rq);
        api_answer_sandbox(rq, 200);
    }
    buf_done(&why);
}

static void create_from(struct request *rq, const struct wire_create *c)
{
    struct snapshot_use use;
    int r;

    if (!params_allowed(rq, c) || !snapshot_check(rq, c, &use))
        return;
    r = sandbox_create(rq->srv, c, NULL, &rq->sandbox);
    if (r == -EEXIST)
        reply_api_error(rq, 409, "Sandbox with name %s already exists", c->name);
    else if (r < 0)
        reply_api_error(rq, 400, "The sandbox could not be created: %s", strerror(-r));
    else
        start_new(rq, c, &use);
    free(use.dir);
    free(use.sandbox_class);
}

void api_create(struct request *rq)
{
    struct wire_create c = {0};
    const int r =
        wire_create_read(rq->body.len ? rq->body.data : "{}", rq->body.len ? rq->body.len : 2, &c);

    if (r < 0) {
        reply_api_error(rq, 400, "the body is not what a sandbox is created from");
        return;
    }
    create_from(rq, &c);
    wire_create_done(&c);
}

/* ---- lists ---- */

struct filter {
    struct json_pairs labels;
    size_t limit, skip;
};

static bool starts_with_nocase(const char *s, const char *prefix)
{
    return !prefix || strncasecmp(s, prefix, strlen(prefix)) == 0;
}

static bool has_labels(const struct sandbox *sb, const struct json_pairs *want)
{
    for (size_t i = 0; i < want->count; i++) {
        bool found = false;

        for (size_t k = 0; !found && k < sb->labels.count; k++)
            found = strcmp(sb->labels.list[k].key, want->list[i].key) == 0 &&
                    strcmp(sb->labels.list[k].value, want->list[i].value) == 0;
        if (!found)
            return false;
    }
    return true;
}

/* No `states` at all means every state. */
static bool state_wanted(const struct request *rq, enum sandbox_state state)
{
    bool any = false;

    for (size_t i = 0; i < rq->param_count; i++) {
        if (strcmp(rq->params[i].key, "states") != 0)
            continue;
        any = true;
        if (strcmp(rq->params[i].value, state_names[state]) == 0)
            return true;
    }
    return !any;
}

static bool wanted(const struct request *rq, const struct filter *f, const struct sandbox *sb)
{
    return starts_with_nocase(sb->id, request_query(rq, "id")) &&
           starts_with_nocase(sb->name, request_query(rq, "name")) && has_labels(sb, &f->labels) &&
           state_wanted(rq, sb->state);
}

static size_t number(const char *s, size_t otherwise)
{
    char *end;
    unsigned long v;

    if (!s)
        return otherwise;
    errno = 0;
    v = strtoul(s, &end, 10);
    return errno || *end || !isdigit((unsigned char)*s) ? SIZE_MAX : v;
}

static bool read_filter(struct request *rq, struct filter *f)
{
    const char *labels = request_query(rq, "labels");
    struct buf wrapped = BUF_INIT(1 << 20);
    int r = 0;

    f->limit = number(request_query(rq, "limit"), LIST_DEFAULT);
    if (f->limit < 1 || f->limit > LIST_MAX) {
        reply_api_error(rq, 400, "limit must not be less than 1, or greater than 200");
        return false;
    }
    if (labels) {
        r = buf_printf(&wrapped, "{\"labels\":%s}", labels);
        if (r == 0)
            r = wire_labels_read(wrapped.data, wrapped.len, &f->labels);
        buf_done(&wrapped);
    }
    if (r < 0)
        reply_api_error(rq, 400, "Invalid labels: not a JSON object of strings");
    return r == 0;
}

/* Writes the page's items; returns how many match in all. */
static size_t put_items_locked(struct request *rq, struct json_out *o, const struct filter *f)
{
    size_t seen = 0;

    sandbox_sweep_locked(rq->srv);
    json_key(o, "items");
    json_open(o, '[');
    for (const struct sandbox *sb = rq->srv->sandboxes; sb; sb = sb->next) {
        if (!wanted(rq, f, sb))
            continue;
        if (seen >= f->skip && seen < f->skip + f->limit)
            api_put_sandbox_locked(o, sb, true);
        seen++;
    }
    json_close(o, ']');
    return seen;
}

void api_list(struct request *rq)
{
    struct filter f = {0};
    struct json_out o;
    char cursor[32];
    size_t total;

    if (!read_filter(rq, &f))
        return;
    f.skip = number(request_query(rq, "cursor"), 0);
    if (f.skip == SIZE_MAX) {
        reply_api_error(rq, 400, "Invalid cursor");
        json_pairs_done(&f.labels);
        return;
    }
    o = reply_json(rq, 200);
    json_open(&o, '{');
    lock_take(&rq->srv->lock);
    total = put_items_locked(rq, &o, &f);
    lock_drop(&rq->srv->lock);
    json_key(&o, "nextCursor");
    snprintf(cursor, sizeof(cursor), "%zu", f.skip + f.limit);
    if (f.skip + f.limit < total)
        json_string(&o, cursor);
    else
        json_null(&o);
    json_close(&o, '}');
    reply_json_end(rq, &o);
    json_pairs_done(&f.labels);
}

void api_list_paginated(struct request *rq)
{
    const size_t page = number(request_query(rq, "page"), 1);
    struct filter f = {0};
    struct json_out o;
    size_t total;

    if (page < 1 || page > 1000000) {
        reply_api_error(rq, 400, "page must not be less than 1");
        return;
    }
    if (!read_filter(rq, &f))
        return;
    f.skip = (page - 1) * f.limit;
    o = reply_json(rq, 200);
    json_open(&o, '{');
    lock_take(&rq->srv->lock);
    total = put_items_locked(rq, &o, &f);
    lock_drop(&rq->srv->lock);
    json_key(&o, "total");
    json_int(&o, (int64_t)total);
    json_key(&o, "page");
    json_int(&o, (int64_t)page);
    json_key(&o, "totalPages");
    json_int(&o, (int64_t)((total + f.limit - 1) / f.limit));
    json_close(&o, '}');
    reply_json_end(rq, &o);
    json_pairs_done(&f.labels);
}

/* ---- one sandbox ---- */

void api_get(struct request *rq)
{
    api_answer_sandbox(rq, 200);
}

/* The store cannot always be written; the change holds as long as the server does. */
void api_answer_saved(struct request *rq, int status)
{
    lock_take(&rq->srv->lock);
    rq->sandbox->updated_ms = clock_real_ns() / NS_PER_MS;
    (void)store_save_locked(rq->srv);
    lock_drop(&rq->srv->lock);
    api_answer_sandbox(rq, status);
}

void api_labels(struct request *rq)
{
    struct json_pairs labels = {0}, old;

    if (wire_labels_read(buf_str(&rq->body), rq->body.len, &labels) < 0) {
        reply_api_error(rq, 400, "labels must be an object");
        return;
    }
    lock_take(&rq->srv->lock);
    old = rq->sandbox->labels;
    rq->sandbox->labels = labels;
    lock_drop(&rq->srv->lock);
    json_pairs_done(&old);
    api_answer_saved(rq, 200);
}

void api_public(struct request *rq)
{
    lock_take(&rq->srv->lock);
    rq->sandbox->is_public = strcmp(rq->capture[1], "true") == 0;
    lock_drop(&rq->srv->lock);
    api_answer_saved(rq, 201);
}

void api_last_activity(struct request *rq)
{
    lock_take(&rq->srv->lock);
    rq->sandbox->active_ms = clock_real_ns() / NS_PER_MS;
    lock_drop(&rq->srv->lock);
    reply_status(rq, 201);
}

void api_toolbox_url(struct request *rq)
{
    struct json_out o = reply_json(rq, 200);
    char url[512];

    snprintf(url, sizeof(url), "%s/toolbox", rq->srv->origin);
    json_open(&o, '{');
    json_key(&o, "url");
    json_string(&o, url);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

/* ---- the server's own: faults ---- */

void api_fault_get(struct request *rq)
{
    struct json_out o = reply_json(rq, 200);
    struct fault_counts counts;

    fault_counts(rq->srv->fault, &counts);
    json_open(&o, '{');
    json_key(&o, "requests");
    json_int(&o, (int64_t)counts.requests);
    json_key(&o, "broken");
    json_int(&o, (int64_t)counts.broken);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

/* The body is the specification, as text. */
void api_fault_set(struct request *rq)
{
    struct buf why = BUF_INIT(1024);

    if (fault_set(rq->srv->fault, buf_str(&rq->body), &why) < 0) {
        reply_text(rq, 400, "text/plain", "%s\n", buf_str(&why));
    } else {
        sandbox_hurry(rq->srv);
        api_fault_get(rq);
    }
    buf_done(&why);
}
