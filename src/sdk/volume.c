/* Volumes of the organization. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <daytona/volume.h>
#include <errno.h>
#include <string.h>

enum { LIST_MAX = 16 << 20 };

static const int64_t poll_ns = 500 * NS_PER_MS;

#define FIELD(member, key, flags) JSON_FIELD(struct daytona_volume, member, key, JSON_STRING, flags)

static const struct json_field fields[] = {
    FIELD(id, "id", JSON_REQUIRED),
    FIELD(name, "name", JSON_REQUIRED),
    FIELD(state, "state", 0),
    FIELD(error_reason, "errorReason", JSON_LENIENT),
    FIELD(created_at, "createdAt", JSON_LENIENT),
    FIELD(updated_at, "updatedAt", JSON_LENIENT),
    FIELD(last_used_at, "lastUsedAt", JSON_LENIENT),
};
static const struct json_shape shape = {
    .fields = fields,
    .count = ARRAY_LEN(fields),
    .size = sizeof(struct daytona_volume),
};

void daytona_volume_done(struct daytona_volume *volume)
{
    json_unload(fields, ARRAY_LEN(fields), volume);
}

void daytona_volume_list_free(struct daytona_volume *list, size_t count)
{
    json_free_list(&shape, list, count);
}

int daytona_volume_list(struct daytona_client *client, struct daytona_volume **ret,
                        size_t *ret_count)
{
    const struct call call = {
        .name = "listVolumes",
        .method = "GET",
        .base = "/volumes",
        .path = "",
        .flags = HTTP_IDEMPOTENT,
        .body_max = LIST_MAX,
    };

    error_begin("listVolumes");
    return call_api_list(client, &call, NULL, &shape, (void **)ret, ret_count);
}

/* base: whether id is one, or a name. */
static int get(struct daytona_client *client, const char *base, const char *id,
               struct daytona_volume *ret)
{
    const struct call call = {
        .name = "getVolume",
        .method = "GET",
        .base = base,
        .id = id,
        .path = "",
        .flags = HTTP_IDEMPOTENT,
    };
    struct daytona_volume volume = {0};
    int r;

    r = call_api_object(client, &call, fields, ARRAY_LEN(fields), &volume);
    if (r == 0)
        *ret = volume;
    return r;
}

int daytona_volume_get(struct daytona_client *client, const char *name, struct daytona_volume *ret)
{
    error_begin("getVolume");
    return get(client, "/volumes/by-name", name, ret);
}

/* Replaces *volume by what it is when it is ready. */
static int wait_ready(struct daytona_client *client, struct daytona_volume *volume,
                      int64_t until_ns)
{
    while (strcmp(volume->state, "ready") != 0) {
        struct daytona_volume now;
        int r;

        if (strcmp(volume->state, "error") == 0)
            return error_set(-EIO, "volume %s is in error: %s", volume->name, volume->error_reason);
        if (clock_mono_ns() >= until_ns)
            return error_set(-ETIMEDOUT, "volume %s is not ready in time: it is %s", volume->name,
                             volume->state);
        r = cancel_sleep(poll_ns);
        if (r < 0)
            return error_set(r, "cancelled");
        r = get(client, "/volumes", volume->id, &now);
        if (r < 0)
            return r;
        daytona_volume_done(volume);
        *volume = now;
    }
    return 0;
}

int daytona_volume_create(struct daytona_client *client, const char *name, int64_t timeout_ms,
                          struct daytona_volume *ret)
{
    const int64_t until_ns = timeout_ms > 0 ? clock_mono_ns() + timeout_ms * NS_PER_MS : INT64_MAX;
    struct buf body = BUF_INIT(64 << 10);
    struct json_out o = {.buf = &body};
    struct call call = {.name = "createVolume", .method = "POST", .base = "/volumes", .path = ""};
    struct daytona_volume volume = {0};
    int r;

    error_begin("createVolume");
    json_open(&o, '{');
    json_key(&o, "name");
    json_string(&o, name);
    json_close(&o, '}');
    r = call_body(&call, &o);
    if (r == 0)
        r = call_api_object(client, &call, fields, ARRAY_LEN(fields), &volume);
    buf_done(&body);
    if (r < 0)
        return r;
    if (timeout_ms >= 0)
        r = wait_ready(client, &volume, until_ns);
    if (r < 0)
        daytona_volume_done(&volume);
    else
        *ret = volume;
    return r;
}

int daytona_volume_delete(struct daytona_client *client, const char *id)
{
    const struct call call = {
        .name = "deleteVolume", .method = "DELETE", .base = "/volumes", .id = id, .path = ""};

    error_begin("deleteVolume");
    return call_api_only(client, &call);
}
