/* Snapshots of the organization. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <daytona/snapshot.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 16 << 20, PAGE = 100, PAGES_MAX = 1000, BODY_MAX = 1 << 20 };

static const int64_t poll_ns = NS_PER_S; /* as the official SDKs do */

#define FIELD(member, key, type, flags)                                                            \
    JSON_FIELD(struct daytona_snapshot, member, key, type, flags)

static const struct json_field fields[] = {
    FIELD(id, "id", JSON_STRING, JSON_REQUIRED),
    FIELD(name, "name", JSON_STRING, JSON_REQUIRED),
    FIELD(image_name, "imageName", JSON_STRING, JSON_LENIENT),
    FIELD(state, "state", JSON_STRING, 0),
    FIELD(error_reason, "errorReason", JSON_STRING, JSON_LENIENT),
    FIELD(created_at, "createdAt", JSON_STRING, JSON_LENIENT),
    FIELD(updated_at, "updatedAt", JSON_STRING, JSON_LENIENT),
    FIELD(last_used_at, "lastUsedAt", JSON_STRING, JSON_LENIENT),
    FIELD(cpu, "cpu", JSON_DOUBLE, JSON_LENIENT),
    FIELD(memory_gib, "mem", JSON_DOUBLE, JSON_LENIENT),
    FIELD(disk_gib, "disk", JSON_DOUBLE, JSON_LENIENT),
    FIELD(size_gib, "size", JSON_DOUBLE, JSON_LENIENT),
    FIELD(general, "general", JSON_BOOL, JSON_LENIENT),
};
static const struct json_shape shape = {
    .fields = fields,
    .count = ARRAY_LEN(fields),
    .size = sizeof(struct daytona_snapshot),
};

void daytona_snapshot_done(struct daytona_snapshot *snapshot)
{
    json_unload(fields, ARRAY_LEN(fields), snapshot);
}

void daytona_snapshot_list_free(struct daytona_snapshot *list, size_t count)
{
    json_free_list(&shape, list, count);
}

/* Appends one page; *ret_count is how many were on it. */
static int list_page(struct daytona_client *client, unsigned page, struct daytona_snapshot **all,
                     size_t *all_count, size_t *ret_count)
{
    char page_text[16], limit[16];
    const struct call call = {
        .name = "listSnapshots",
        .method = "GET",
        .base = "/snapshots",
        .path = "",
        .query = {{"page", page_text}, {"limit", limit}},
        .flags = HTTP_IDEMPOTENT,
        .body_max = LIST_MAX,
    };
    struct daytona_snapshot *list = NULL, *longer;
    size_t count = 0;
    int r;

    snprintf(page_text, sizeof(page_text), "%u", page);
    snprintf(limit, sizeof(limit), "%d", PAGE);
    r = call_api_list(client, &call, "items", &shape, (void **)&list, &count);
    if (r < 0)
        return r;
    longer = realloc(*all, (*all_count + count + 1) * sizeof(*longer));
    if (!longer) {
        daytona_snapshot_list_free(list, count);
        return error_default(-ENOMEM);
    }
    memcpy(longer + *all_count, list, count * sizeof(*list));
    free(list);
    *all = longer;
    *all_count += count;
    *ret_count = count;
    return 0;
}

int daytona_snapshot_list(struct daytona_client *client, struct daytona_snapshot **ret,
                          size_t *ret_count)
{
    struct daytona_snapshot *all = NULL;
    size_t all_count = 0, count = PAGE;
    int r = 0;

    error_begin("listSnapshots");
    for (unsigned page = 1; r == 0 && count >= PAGE; page++) {
        if (page > PAGES_MAX)
            r = error_set(-EFBIG, "more than %d pages of snapshots", PAGES_MAX);
        else
            r = list_page(client, page, &all, &all_count, &count);
    }
    if (r < 0) {
        daytona_snapshot_list_free(all, all_count);
        return r;
    }
    *ret = all;
    *ret_count = all_count;
    return 0;
}

static int get(struct daytona_client *client, const char *id, struct daytona_snapshot *ret)
{
    const struct call call = {
        .name = "getSnapshot",
        .method = "GET",
        .base = "/snapshots",
        .id = id,
        .path = "",
        .flags = HTTP_IDEMPOTENT,
    };
    struct daytona_snapshot snapshot = {0};
    int r;

    r = call_api_object(client, &call, fields, ARRAY_LEN(fields), &snapshot);
    if (r == 0)
        *ret = snapshot;
    return r;
}

int daytona_snapshot_get(struct daytona_client *client, const char *id_or_name,
                         struct daytona_snapshot *ret)
{
    error_begin("getSnapshot");
    return get(client, id_or_name, ret);
}

static void put_string(struct json_out *o, const char *key, const char *value)
{
    if (value) {
        json_key(o, key);
        json_string(o, value);
    }
}

static void put_number(struct json_out *o, const char *key, double value)
{
    if (value > 0) {
        json_key(o, key);
        json_double(o, value);
    }
}

static int write_create(const struct daytona_snapshot_params *p, struct buf *out)
{
    const struct json_strings entrypoint = {(char **)p->entrypoint, p->entrypoint_count};
    struct json_out o = {.buf = out};

    if (!p->name || !p->image == !p->dockerfile)
        return error_set(-EINVAL, "a snapshot has a name, and an image or a Dockerfile");
    json_open(&o, '{');
    put_string(&o, "name", p->name);
    put_string(&o, "imageName", p->image);
    if (p->dockerfile) {
        json_key(&o, "buildInfo");
        json_open(&o, '{');
        put_string(&o, "dockerfileContent", p->dockerfile);
        json_close(&o, '}');
    }
    if (p->entrypoint_count > 0) {
        json_key(&o, "entrypoint");
        json_strings(&o, &entrypoint);
    }
    put_number(&o, "cpu", p->cpu);
    put_number(&o, "memory", p->memory_gib);
    put_number(&o, "disk", p->disk_gib);
    put_string(&o, "regionId", p->region_id);
    json_close(&o, '}');
    return error_default(o.err);
}

/* Replaces *s by what it is when it is active. */
static int wait_active(struct daytona_client *client, struct daytona_snapshot *s, int64_t until_ns)
{
    while (strcmp(s->state, "active") != 0) {
        struct daytona_snapshot now;
        int r;

        if (strcmp(s->state, "error") == 0 || strcmp(s->state, "build_failed") == 0)
            return error_set(-EIO, "snapshot %s is in state %s: %s", s->name, s->state,
                             s->error_reason);
        if (clock_mono_ns() >= until_ns)
            return error_set(-ETIMEDOUT, "snapshot %s is not active in time: it is %s", s->name,
                             s->state);
        r = cancel_sleep(poll_ns);
        if (r < 0)
            return error_set(r, "cancelled");
        r = get(client, s->id, &now);
        if (r < 0)
            return r;
        daytona_snapshot_done(s);
        *s = now;
    }
    return 0;
}

int daytona_snapshot_create(struct daytona_client *client,
                            const struct daytona_snapshot_params *params, int64_t timeout_ms,
                            struct daytona_snapshot *ret)
{
    const int64_t until_ns = timeout_ms > 0 ? clock_mono_ns() + timeout_ms * NS_PER_MS : INT64_MAX;
    struct buf body = BUF_INIT(BODY_MAX);
    struct call call = {
        .name = "createSnapshot", .method = "POST", .base = "/snapshots", .path = ""};
    struct daytona_snapshot snapshot = {0};
    int r;

    error_begin("createSnapshot");
    r = write_create(params, &body);
    call.json = body.data;
    call.json_len = body.len;
    if (r == 0)
        r = call_api_object(client, &call, fields, ARRAY_LEN(fields), &snapshot);
    buf_done(&body);
    if (r < 0)
        return r;
    if (timeout_ms >= 0)
        r = wait_active(client, &snapshot, until_ns);
    if (r < 0)
        daytona_snapshot_done(&snapshot);
    else
        *ret = snapshot;
    return r;
}

static int act(struct daytona_client *client, const char *name, const char *method, const char *id,
               const char *what)
{
    const struct call call = {
        .name = name, .method = method, .base = "/snapshots", .id = id, .path = what};

    error_begin(name);
    return call_api_only(client, &call);
}

int daytona_snapshot_delete(struct daytona_client *client, const char *id)
{
    return act(client, "removeSnapshot", "DELETE", id, "");
}

int daytona_snapshot_activate(struct daytona_client *client, const char *id)
{
    return act(client, "activateSnapshot", "POST", id, "/activate");
}

int daytona_snapshot_deactivate(struct daytona_client *client, const char *id)
{
    return act(client, "deactivateSnapshot", "POST", id, "/deactivate");
}
