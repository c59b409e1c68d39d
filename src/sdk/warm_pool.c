/* Warm pools of the organization. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"

#include <daytona/warm_pool.h>
#include <string.h>

enum { LIST_MAX = 16 << 20, BODY_MAX = 64 << 10 };

#define FIELD(member, key, type, flags)                                                            \
    JSON_FIELD(struct daytona_warm_pool, member, key, type, flags)

static const struct json_field fields[] = {
    FIELD(id, "id", JSON_STRING, JSON_REQUIRED),
    FIELD(snapshot, "snapshot", JSON_STRING, 0),
    FIELD(target, "target", JSON_STRING, JSON_LENIENT),
    FIELD(error_reason, "errorReason", JSON_STRING, JSON_LENIENT),
    FIELD(created_at, "createdAt", JSON_STRING, JSON_LENIENT),
    FIELD(updated_at, "updatedAt", JSON_STRING, JSON_LENIENT),
    FIELD(pool, "pool", JSON_INT, 0),
    FIELD(current_size, "currentSize", JSON_INT, JSON_LENIENT),
    FIELD(cpu, "cpu", JSON_DOUBLE, JSON_LENIENT),
    FIELD(memory_gib, "mem", JSON_DOUBLE, JSON_LENIENT),
    FIELD(disk_gib, "disk", JSON_DOUBLE, JSON_LENIENT),
};
static const struct json_shape shape = {
    .fields = fields,
    .count = ARRAY_LEN(fields),
    .size = sizeof(struct daytona_warm_pool),
};

void daytona_warm_pool_done(struct daytona_warm_pool *pool)
{
    json_unload(fields, ARRAY_LEN(fields), pool);
}

void daytona_warm_pool_list_free(struct daytona_warm_pool *list, size_t count)
{
    json_free_list(&shape, list, count);
}

static struct call pool_call(const char *name, const char *method, const char *id)
{
    return (struct call){
        .name = name,
        .method = method,
        .base = "/warm-pools",
        .id = id,
        .path = "",
        .flags = strcmp(method, "GET") == 0 ? HTTP_IDEMPOTENT : 0,
        .body_max = LIST_MAX,
    };
}

int daytona_warm_pool_list(struct daytona_client *client, struct daytona_warm_pool **ret,
                           size_t *ret_count)
{
    const struct call call = pool_call("listWarmPools", "GET", NULL);

    error_begin("listWarmPools");
    return call_api_list(client, &call, NULL, &shape, (void **)ret, ret_count);
}

static int send(struct daytona_client *client, struct call *call, const char *snapshot,
                unsigned pool, const char *target, struct daytona_warm_pool *ret)
{
    struct buf body = BUF_INIT(BODY_MAX);
    struct json_out o = {.buf = &body};
    int r;

    json_open(&o, '{');
    if (snapshot) {
        json_key(&o, "snapshot");
        json_string(&o, snapshot);
    }
    json_key(&o, "pool");
    json_int(&o, pool);
    if (target) {
        json_key(&o, "target");
        json_string(&o, target);
    }
    json_close(&o, '}');
    r = call_body(call, &o);
    if (r == 0)
        r = call_api_object(client, call, fields, ARRAY_LEN(fields), ret);
    buf_done(&body);
    return r;
}

int daytona_warm_pool_create(struct daytona_client *client, const char *snapshot, unsigned pool,
                             const char *target, struct daytona_warm_pool *ret)
{
    struct call call = pool_call("createWarmPool", "POST", NULL);
    struct daytona_warm_pool made = {0};
    int r;

    error_begin("createWarmPool");
    r = send(client, &call, snapshot, pool, target, &made);
    if (r == 0)
        *ret = made;
    return r;
}

int daytona_warm_pool_update(struct daytona_client *client, const char *id, unsigned pool)
{
    struct call call = pool_call("updateWarmPool", "PATCH", id);
    struct daytona_warm_pool now = {0};
    int r;

    error_begin("updateWarmPool");
    r = send(client, &call, NULL, pool, NULL, &now);
    if (r == 0)
        daytona_warm_pool_done(&now);
    return r;
}

int daytona_warm_pool_delete(struct daytona_client *client, const char *id)
{
    const struct call call = pool_call("deleteWarmPool", "DELETE", id);

    error_begin("deleteWarmPool");
    return call_api_only(client, &call);
}
