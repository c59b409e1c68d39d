/* What a sandbox is told about itself: labels, intervals, network; and what it says of its load. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"
#include "wire/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int daytona_sandbox_set_labels(struct daytona_sandbox *sb, const struct daytona_pair *labels,
                               size_t count)
{
    struct buf body = BUF_INIT(1 << 20);
    struct json_out o = {.buf = &body};
    struct call call = {
        .name = "replaceLabels",
        .method = "PUT",
        .id = sb->id,
        .path = "/labels",
        .flags = HTTP_IDEMPOTENT,
    };
    int r;

    error_begin("replaceLabels");
    json_open(&o, '{');
    json_key(&o, "labels");
    call_pairs(&o, labels, count);
    json_close(&o, '}');
    r = call_body(&call, &o);
    if (r == 0)
        r = call_sandbox(sb, &call);
    buf_done(&body);
    return r;
}

/* never: what the service takes for it. */
static int set_minutes(struct daytona_sandbox *sb, const char *name, const char *what,
                       int64_t minutes, int never)
{
    char path[64];
    const struct call call = {
        .name = name,
        .method = "POST",
        .id = sb->id,
        .path = path,
        .flags = HTTP_IDEMPOTENT,
    };

    error_begin(name);
    snprintf(path, sizeof(path), "/%s/%lld", what, (long long)(minutes < 0 ? never : minutes));
    return call_sandbox(sb, &call);
}

int daytona_sandbox_set_auto_stop(struct daytona_sandbox *sb, int64_t minutes)
{
    return set_minutes(sb, "setAutostopInterval", "autostop", minutes, 0);
}

int daytona_sandbox_set_auto_archive(struct daytona_sandbox *sb, int64_t minutes)
{
    return set_minutes(sb, "setAutoArchiveInterval", "autoarchive", minutes, 0);
}

int daytona_sandbox_set_auto_delete(struct daytona_sandbox *sb, int64_t minutes)
{
    return set_minutes(sb, "setAutoDeleteInterval", "autodelete", minutes, -1);
}

int daytona_sandbox_set_auto_pause(struct daytona_sandbox *sb, int64_t minutes)
{
    return set_minutes(sb, "setAutoPauseInterval", "autopause", minutes, 0);
}

int daytona_sandbox_set_ttl(struct daytona_sandbox *sb, int64_t minutes)
{
    return set_minutes(sb, "setTtl", "ttl", minutes, 0);
}

int daytona_sandbox_set_public(struct daytona_sandbox *sb, bool is_public)
{
    const struct call call = {
        .name = "updatePublicStatus",
        .method = "POST",
        .id = sb->id,
        .path = is_public ? "/public/true" : "/public/false",
        .flags = HTTP_IDEMPOTENT,
    };

    error_begin("updatePublicStatus");
    return call_sandbox(sb, &call);
}

int daytona_sandbox_set_network(struct daytona_sandbox *sb, const struct daytona_network *n)
{
    struct buf body = BUF_INIT(64 << 10);
    struct json_out o = {.buf = &body};
    struct call call = {
        .name = "updateNetworkSettings",
        .method = "POST",
        .id = sb->id,
        .path = "/network-settings",
        .flags = HTTP_IDEMPOTENT,
    };
    int r;

    error_begin("updateNetworkSettings");
    if (!n->block_all && !n->allow_list && !n->allow_domains)
        return error_set(-EINVAL, "no setting of the network is given");
    json_open(&o, '{');
    if (n->block_all) {
        json_key(&o, "networkBlockAll");
        json_bool(&o, *n->block_all);
    }
    if (n->allow_list) {
        json_key(&o, "networkAllowList");
        json_string(&o, n->allow_list);
    }
    if (n->allow_domains) {
        json_key(&o, "domainAllowList");
        json_string(&o, n->allow_domains);
    }
    json_close(&o, '}');
    r = call_body(&call, &o);
    if (r == 0)
        r = call_sandbox(sb, &call);
    buf_done(&body);
    return r;
}

int daytona_sandbox_keep_alive(struct daytona_sandbox *sb)
{
    const struct call call = {
        .name = "updateLastActivity",
        .method = "POST",
        .id = sb->id,
        .path = "/last-activity",
        .flags = HTTP_IDEMPOTENT,
    };

    error_begin("updateLastActivity");
    return call_api_only(sb->client, &call);
}

#define FIELD(member, key, type) JSON_FIELD(struct daytona_metrics, member, key, type, JSON_LENIENT)

static const struct json_field metrics_fields[] = {
    FIELD(cpu_count, "cpuCount", JSON_DOUBLE),  FIELD(cpu_used_percent, "cpuUsedPct", JSON_DOUBLE),
    FIELD(memory_total, "memTotal", JSON_SIZE), FIELD(memory_used, "memUsed", JSON_SIZE),
    FIELD(memory_cache, "memCache", JSON_SIZE), FIELD(disk_total, "diskTotal", JSON_SIZE),
    FIELD(disk_used, "diskUsed", JSON_SIZE),    FIELD(disk_free, "diskFree", JSON_SIZE),
    FIELD(timestamp, "timestamp", JSON_STRING),
};

void daytona_metrics_done(struct daytona_metrics *metrics)
{
    json_unload(metrics_fields, ARRAY_LEN(metrics_fields), metrics);
}

int daytona_sandbox_metrics(struct daytona_sandbox *sb, struct daytona_metrics *ret)
{
    const struct call call = {
        .name = "getSystemMetrics",
        .method = "GET",
        .path = "/system/metrics",
        .flags = HTTP_IDEMPOTENT,
    };
    struct daytona_metrics metrics = {0};
    int r;

    error_begin("getSystemMetrics");
    r = call_toolbox_object(sb, &call, metrics_fields, ARRAY_LEN(metrics_fields), &metrics);
    if (r == -ENOENT)
        return error_set(-EOPNOTSUPP, "this daemon does not have the call");
    if (r == 0)
        *ret = metrics;
    return r;
}
