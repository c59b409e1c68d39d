#include "wire/sandbox.h"

#include "util/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[] = {
    [WIRE_STATE_OTHER] = "",
    [WIRE_STATE_CREATING] = "creating",
    [WIRE_STATE_RESTORING] = "restoring",
    [WIRE_STATE_DESTROYED] = "destroyed",
    [WIRE_STATE_DESTROYING] = "destroying",
    [WIRE_STATE_STARTED] = "started",
    [WIRE_STATE_STOPPED] = "stopped",
    [WIRE_STATE_STARTING] = "starting",
    [WIRE_STATE_STOPPING] = "stopping",
    [WIRE_STATE_ERROR] = "error",
    [WIRE_STATE_BUILD_FAILED] = "build_failed",
    [WIRE_STATE_PENDING_BUILD] = "pending_build",
    [WIRE_STATE_BUILDING_SNAPSHOT] = "building_snapshot",
    [WIRE_STATE_UNKNOWN] = "unknown",
    [WIRE_STATE_PULLING_SNAPSHOT] = "pulling_snapshot",
    [WIRE_STATE_ARCHIVED] = "archived",
    [WIRE_STATE_ARCHIVING] = "archiving",
    [WIRE_STATE_RESIZING] = "resizing",
    [WIRE_STATE_SNAPSHOTTING] = "snapshotting",
    [WIRE_STATE_FORKING] = "forking",
    [WIRE_STATE_PAUSING] = "pausing",
    [WIRE_STATE_PAUSED] = "paused",
    [WIRE_STATE_RESUMING] = "resuming",
};

const char *wire_state_name(enum wire_state state)
{
    return state < ARRAY_LEN(state_names) ? state_names[state] : "";
}

enum wire_state wire_state_find(const char *name)
{
    for (size_t i = 1; i < ARRAY_LEN(state_names); i++) {
        if (strcmp(name, state_names[i]) == 0)
            return (enum wire_state)i;
    }
    return WIRE_STATE_OTHER;
}

#define FIELD(member, key, type, flags) JSON_FIELD(struct wire_sandbox, member, key, type, flags)

/* env is first, so that the form without it is the rest of the table. */
static const struct json_field sandbox_fields[] = {
    FIELD(env, "env", JSON_PAIRS, JSON_LENIENT),
    FIELD(id, "id", JSON_STRING, JSON_REQUIRED),
    FIELD(organization_id, "organizationId", JSON_STRING, 0),
    FIELD(name, "name", JSON_STRING, 0),
    FIELD(snapshot, "snapshot", JSON_STRING, JSON_OMIT),
    FIELD(user, "user", JSON_STRING, 0),
    FIELD(labels, "labels", JSON_PAIRS, JSON_LENIENT),
    FIELD(is_public, "public", JSON_BOOL, JSON_LENIENT),
    FIELD(network_block_all, "networkBlockAll", JSON_BOOL, JSON_LENIENT),
    FIELD(target, "target", JSON_STRING, 0),
    FIELD(cpu, "cpu", JSON_DOUBLE, JSON_LENIENT),
    FIELD(gpu, "gpu", JSON_DOUBLE, JSON_LENIENT),
    FIELD(memory_gib, "memory", JSON_DOUBLE, JSON_LENIENT),
    FIELD(disk_gib, "disk", JSON_DOUBLE, JSON_LENIENT),
    FIELD(state, "state", JSON_STRING, JSON_OMIT),
    FIELD(desired_state, "desiredState", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(error_reason, "errorReason", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(recoverable, "recoverable", JSON_BOOL, JSON_LENIENT),
    FIELD(backup_state, "backupState", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(auto_stop_min, "autoStopInterval", JSON_INT, JSON_OMIT | JSON_LENIENT),
    FIELD(auto_archive_min, "autoArchiveInterval", JSON_INT, JSON_OMIT | JSON_LENIENT),
    FIELD(auto_delete_min, "autoDeleteInterval", JSON_INT, JSON_OMIT | JSON_LENIENT),
    FIELD(auto_pause_min, "autoPauseInterval", JSON_INT, JSON_OMIT | JSON_LENIENT),
    FIELD(network_allow_list, "networkAllowList", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(domain_allow_list, "domainAllowList", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(created_at, "createdAt", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(updated_at, "updatedAt", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(last_activity_at, "lastActivityAt", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(sandbox_class, "sandboxClass", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(daemon_version, "daemonVersion", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(runner_id, "runnerId", JSON_STRING, JSON_OMIT | JSON_LENIENT),
    FIELD(toolbox_url, "toolboxProxyUrl", JSON_STRING, JSON_OMIT),
};

void wire_sandbox_done(struct wire_sandbox *s)
{
    json_unload(sandbox_fields, ARRAY_LEN(sandbox_fields), s);
}

/* The id goes into URLs and file names as it is. */
static bool id_is_plain(const char *id)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    const size_t len = strlen(id);

    return len > 0 && len <= 128 && id[0] != '.' && strspn(id, plain) == len;
}

static int load_sandbox(const cJSON *json, struct wire_sandbox *ret)
{
    struct wire_sandbox s = {
        .auto_stop_min = JSON_ABSENT,
        .auto_archive_min = JSON_ABSENT,
        .auto_delete_min = JSON_ABSENT,
        .auto_pause_min = JSON_ABSENT,
    };
    int r;

    r = json_load(json, sandbox_fields, ARRAY_LEN(sandbox_fields), &s);
    if (r < 0)
        return r;
    if (!id_is_plain(s.id)) {
        wire_sandbox_done(&s);
        return -EPROTO;
    }
    *ret = s;
    return 0;
}

int wire_sandbox_read(const void *text, size_t len, struct wire_sandbox *ret)
{
    cJSON *json = NULL;
    int r;

    r = json_parse(text, len, &json);
    if (r == 0)
        r = load_sandbox(json, ret);
    cJSON_Delete(json);
    return r;
}

void wire_sandbox_write(struct json_out *o, const struct wire_sandbox *s, bool as_item)
{
    const size_t skip = as_item ? 1 : 0;

    json_open(o, '{');
    json_fields(o, sandbox_fields + skip, ARRAY_LEN(sandbox_fields) - skip, s);
    json_close(o, '}');
}

void wire_page_done(struct wire_page *p)
{
    for (size_t i = 0; i < p->count; i++)
        wire_sandbox_done(&p->items[i]);
    free(p->items);
    free(p->next_cursor);
    *p = (struct wire_page){0};
}

static int load_page(const cJSON *json, struct wire_page *p)
{
    const cJSON *items =
        cJSON_IsArray(json) ? json : cJSON_GetObjectItemCaseSensitive(json, "items");
    const cJSON *next = cJSON_GetObjectItemCaseSensitive(json, "nextCursor");
    const cJSON *item;

    if (!cJSON_IsArray(items))
        return -EPROTO;
    p->items = calloc((size_t)cJSON_GetArraySize(items) + 1, sizeof(*p->items));
    p->next_cursor = strdup(cJSON_IsString(next) ? next->valuestring : "");
    if (!p->items || !p->next_cursor)
        return -ENOMEM;
    cJSON_ArrayForEach(item, items) {
        const int r = load_sandbox(item, &p->items[p->count]);

        if (r < 0)
            return r;
        p->count++;
    }
    return 0;
}

int wire_page_read(const void *text, size_t len, struct wire_page *ret)
{
    struct wire_page p = {0};
    cJSON *json = NULL;
    int r;

    r = json_parse(text, len, &json);
    if (r == 0)
        r = load_page(json, &p);
    cJSON_Delete(json);
    if (r < 0)
        wire_page_done(&p);
    else
        *ret = p;
    return r;
}

#undef FIELD
#define FIELD(member, key, type) JSON_FIELD(struct wire_create, member, key, type, JSON_OMIT)

static const struct json_field create_fields[] = {
    FIELD(name, "name", JSON_STRING),
    FIELD(snapshot, "snapshot", JSON_STRING),
    FIELD(user, "user", JSON_STRING),
    FIELD(env, "env", JSON_PAIRS),
    FIELD(labels, "labels", JSON_PAIRS),
    FIELD(is_public, "public", JSON_BOOL),
    FIELD(network_block_all, "networkBlockAll", JSON_BOOL),
    FIELD(target, "target", JSON_STRING),
    FIELD(cpu, "cpu", JSON_DOUBLE),
    FIELD(memory_gib, "memory", JSON_DOUBLE),
    FIELD(disk_gib, "disk", JSON_DOUBLE),
    FIELD(auto_stop_min, "autoStopInterval", JSON_INT),
    FIELD(auto_archive_min, "autoArchiveInterval", JSON_INT),
    FIELD(auto_delete_min, "autoDeleteInterval", JSON_INT),
    FIELD(auto_pause_min, "autoPauseInterval", JSON_INT),
    FIELD(ttl_min, "ttlMinutes", JSON_INT),
    FIELD(network_allow_list, "networkAllowList", JSON_STRING),
    FIELD(domain_allow_list, "domainAllowList", JSON_STRING),
};

#undef FIELD
#define FIELD(member, key, flags)                                                                  \
    JSON_FIELD(struct wire_volume_mount, member, key, JSON_STRING, flags)

static const struct json_field volume_fields[] = {
    FIELD(id, "volumeId", JSON_REQUIRED),
    FIELD(path, "mountPath", JSON_REQUIRED),
    FIELD(subpath, "subpath", JSON_OMIT),
};
static const struct json_shape volume_shape = {
    .fields = volume_fields,
    .count = ARRAY_LEN(volume_fields),
    .size = sizeof(struct wire_volume_mount),
};

void wire_create_done(struct wire_create *c)
{
    json_free_list(&volume_shape, c->volumes, c->volume_count);
    c->volumes = NULL;
    c->volume_count = 0;
    json_unload(create_fields, ARRAY_LEN(create_fields), c);
    free(c->dockerfile);
    c->dockerfile = NULL;
}

static int load_create(const cJSON *json, struct wire_create *c)
{
    const cJSON *build = cJSON_GetObjectItemCaseSensitive(json, "buildInfo");
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(build, "dockerfileContent");
    const cJSON *volumes = cJSON_GetObjectItemCaseSensitive(json, "volumes");
    int r;

    if (build && !cJSON_IsNull(build) && !cJSON_IsString(text))
        return -EPROTO;
    r = json_load(json, create_fields, ARRAY_LEN(create_fields), c);
    if (r == 0 && volumes)
        r = json_load_list(volumes, &volume_shape, (void **)&c->volumes, &c->volume_count);
    if (r < 0)
        return r;
    c->dockerfile = strdup(cJSON_IsString(text) ? text->valuestring : "");
    return c->dockerfile ? 0 : -ENOMEM;
}

int wire_create_read(const void *text, size_t len, struct wire_create *ret)
{
    struct wire_create c = {
        .auto_stop_min = JSON_ABSENT,
        .auto_archive_min = JSON_ABSENT,
        .auto_delete_min = JSON_ABSENT,
        .auto_pause_min = JSON_ABSENT,
        .ttl_min = JSON_ABSENT,
    };
    cJSON *json = NULL;
    int r;

    r = json_parse(text, len, &json);
    if (r == 0)
        r = load_create(json, &c);
    cJSON_Delete(json);
    if (r < 0)
        wire_create_done(&c);
    else
        *ret = c;
    return r;
}

int wire_create_write(struct buf *out, const struct wire_create *c)
{
    const size_t start = out->len;
    struct json_out o = {.buf = out};

    json_open(&o, '{');
    json_fields(&o, create_fields, ARRAY_LEN(create_fields), c);
    if (c->dockerfile && c->dockerfile[0]) {
        json_key(&o, "buildInfo");
        json_open(&o, '{');
        json_key(&o, "dockerfileContent");
        json_string(&o, c->dockerfile);
        json_close(&o, '}');
    }
    if (c->volume_count > 0) {
        json_key(&o, "volumes");
        json_open(&o, '[');
        for (size_t i = 0; i < c->volume_count; i++) {
            json_open(&o, '{');
            json_fields(&o, volume_fields, ARRAY_LEN(volume_fields), &c->volumes[i]);
            json_close(&o, '}');
        }
        json_close(&o, ']');
    }
    json_close(&o, '}');
    if (o.err < 0)
        buf_truncate(out, start);
    return o.err;
}

int wire_labels_read(const void *text, size_t len, struct json_pairs *ret)
{
    const struct json_field field = {.key = "labels", .type = JSON_PAIRS, .flags = JSON_REQUIRED};
    struct json_pairs p = {0};
    const int r = json_read(text, len, &field, 1, &p);

    if (r == 0)
        *ret = p;
    return r;
}
