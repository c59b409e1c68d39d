/* A sandbox as an object: what is known of it, and its toolbox's address. Public calls that change
 * its state are in lifecycle.c. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "http/url.h"
#include "util/array.h"
#include "wire/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static enum daytona_state public_state(const char *name)
{
    static const enum daytona_state states[WIRE_STATE_COUNT] = {
        [WIRE_STATE_CREATING] = DAYTONA_STATE_CREATING,
        [WIRE_STATE_RESTORING] = DAYTONA_STATE_RESTORING,
        [WIRE_STATE_DESTROYED] = DAYTONA_STATE_DESTROYED,
        [WIRE_STATE_DESTROYING] = DAYTONA_STATE_DESTROYING,
        [WIRE_STATE_STARTED] = DAYTONA_STATE_STARTED,
        [WIRE_STATE_STOPPED] = DAYTONA_STATE_STOPPED,
        [WIRE_STATE_STARTING] = DAYTONA_STATE_STARTING,
        [WIRE_STATE_STOPPING] = DAYTONA_STATE_STOPPING,
        [WIRE_STATE_ERROR] = DAYTONA_STATE_ERROR,
        [WIRE_STATE_BUILD_FAILED] = DAYTONA_STATE_BUILD_FAILED,
        [WIRE_STATE_PENDING_BUILD] = DAYTONA_STATE_BUILDING,
        [WIRE_STATE_BUILDING_SNAPSHOT] = DAYTONA_STATE_BUILDING,
        [WIRE_STATE_PULLING_SNAPSHOT] = DAYTONA_STATE_PULLING,
        [WIRE_STATE_ARCHIVED] = DAYTONA_STATE_ARCHIVED,
        [WIRE_STATE_ARCHIVING] = DAYTONA_STATE_ARCHIVING,
        [WIRE_STATE_PAUSED] = DAYTONA_STATE_PAUSED,
        [WIRE_STATE_RESUMING] = DAYTONA_STATE_STARTING,
    };

    return states[wire_state_find(name)]; /* the rest is DAYTONA_STATE_OTHER */
}

int sandbox_new(struct daytona_client *client, struct wire_sandbox *data,
                struct daytona_sandbox **ret)
{
    struct daytona_sandbox *sb = calloc(1, sizeof(*sb));

    if (sb)
        sb->id = strdup(data->id);
    if (!sb || !sb->id) {
        free(sb);
        wire_sandbox_done(data);
        return -ENOMEM;
    }
    sb->client = client;
    atomic_init(&sb->refs, 1);
    lock_init(&sb->lock);
    sb->data = *data;
    *data = (struct wire_sandbox){0};
    *ret = sb;
    return 0;
}

void sandbox_update(struct daytona_sandbox *sb, struct wire_sandbox *data)
{
    struct wire_sandbox old;

    lock_take(&sb->lock);
    if (!data->toolbox_url[0]) { /* older servers give it only when asked */
        char *none = data->toolbox_url;

        data->toolbox_url = sb->data.toolbox_url;
        sb->data.toolbox_url = none;
    }
    old = sb->data;
    sb->data = *data;
    lock_drop(&sb->lock);
    wire_sandbox_done(&old);
    *data = (struct wire_sandbox){0};
}

struct daytona_sandbox *daytona_sandbox_ref(struct daytona_sandbox *sb)
{
    if (sb)
        atomic_fetch_add(&sb->refs, 1);
    return sb;
}

struct daytona_sandbox *daytona_sandbox_unref(struct daytona_sandbox *sb)
{
    if (!sb || atomic_fetch_sub(&sb->refs, 1) > 1)
        return NULL;
    wire_sandbox_done(&sb->data);
    lock_done(&sb->lock);
    free(sb->id);
    free(sb);
    return NULL;
}

const char *daytona_sandbox_id(const struct daytona_sandbox *sb)
{
    return sb->id;
}

enum daytona_state daytona_sandbox_state(struct daytona_sandbox *sb)
{
    enum daytona_state state;

    lock_take(&sb->lock);
    state = public_state(sb->data.state);
    lock_drop(&sb->lock);
    return state;
}

static void free_pairs(struct daytona_pair *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].key);
        free(list[i].value);
    }
    free(list);
}

static int copy_pairs(const struct json_pairs *from, struct daytona_pair **ret, size_t *ret_count)
{
    struct daytona_pair *list = calloc(from->count + 1, sizeof(*list));

    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < from->count; i++) {
        list[i].key = strdup(from->list[i].key);
        list[i].value = strdup(from->list[i].value);
        if (!list[i].key || !list[i].value) {
            free_pairs(list, i + 1);
            return -ENOMEM;
        }
    }
    *ret = list;
    *ret_count = from->count;
    return 0;
}

/* The strings of the public struct and where they come from. */
static const struct {
    size_t to, from;
} info_strings[] = {
#define COPY(to, from)                                                                             \
    {                                                                                              \
        offsetof(struct daytona_sandbox_info, to), offsetof(struct wire_sandbox, from)             \
    }
    COPY(id, id),
    COPY(name, name),
    COPY(organization_id, organization_id),
    COPY(user, user),
    COPY(target, target),
    COPY(snapshot, snapshot),
    COPY(state_name, state),
    COPY(error_reason, error_reason),
    COPY(toolbox_url, toolbox_url),
    COPY(daemon_version, daemon_version),
    COPY(created_at, created_at),
    COPY(updated_at, updated_at),
    COPY(last_activity_at, last_activity_at),
    COPY(sandbox_class, sandbox_class),
    COPY(backup_state, backup_state),
    COPY(network_allow_list, network_allow_list),
    COPY(network_allow_domains, domain_allow_list),
#undef COPY
};

void daytona_sandbox_info_done(struct daytona_sandbox_info *info)
{
    for (size_t i = 0; i < ARRAY_LEN(info_strings); i++)
        free(*(char **)((char *)info + info_strings[i].to));
    free_pairs(info->labels, info->label_count);
    free_pairs(info->env, info->env_count);
    *info = (struct daytona_sandbox_info){0};
}

static int64_t interval(int64_t minutes, int64_t off)
{
    return minutes == JSON_ABSENT || minutes == off || minutes < 0 ? -1 : minutes;
}

int sandbox_info_fill(const struct wire_sandbox *data, struct daytona_sandbox_info *ret)
{
    struct daytona_sandbox_info info = {
        .state = public_state(data->state),
        .recoverable = data->recoverable,
        .is_public = data->is_public,
        .network_block_all = data->network_block_all,
        .cpu = data->cpu,
        .gpu = data->gpu,
        .memory_gib = data->memory_gib,
        .disk_gib = data->disk_gib,
        .auto_stop_min = interval(data->auto_stop_min, 0), /* the service's "never" */
        .auto_archive_min = interval(data->auto_archive_min, -1),
        .auto_delete_min = interval(data->auto_delete_min, -1),
        .auto_pause_min = interval(data->auto_pause_min, 0),
    };
    int r;

    for (size_t i = 0; i < ARRAY_LEN(info_strings); i++) {
        const char *from = *(char *const *)((const char *)data + info_strings[i].from);
        char **to = (char **)((char *)&info + info_strings[i].to);

        *to = strdup(from);
        if (!*to) {
            r = -ENOMEM;
            goto out;
        }
    }
    r = copy_pairs(&data->labels, &info.labels, &info.label_count);
    if (r == 0)
        r = copy_pairs(&data->env, &info.env, &info.env_count);
out:
    if (r < 0)
        daytona_sandbox_info_done(&info);
    else
        *ret = info;
    return r;
}

int daytona_sandbox_info(struct daytona_sandbox *sb, struct daytona_sandbox_info *ret)
{
    int r;

    error_begin("sandboxInfo");
    lock_take(&sb->lock);
    r = sandbox_info_fill(&sb->data, ret);
    lock_drop(&sb->lock);
    return error_default(r);
}

int sandbox_fetch(struct daytona_client *client, const char *id_or_name, int64_t total_timeout_ns,
                  struct wire_sandbox *ret)
{
    const struct call call = {
        .name = "getSandbox",
        .method = "GET",
        .id = id_or_name,
        .path = "",
        .flags = HTTP_IDEMPOTENT,
        .total_timeout_ns = total_timeout_ns,
    };
    struct http_response response;
    int r;

    r = call_api(client, &call, &response);
    if (r < 0)
        return r;
    r = wire_sandbox_read(buf_str(&response.body), response.body.len, ret);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

static int ask_toolbox_url(struct daytona_sandbox *sb, char **ret)
{
    const struct call call = {
        .name = "getToolboxProxyUrl",
        .method = "GET",
        .id = sb->id,
        .path = "/toolbox-proxy-url",
        .flags = HTTP_IDEMPOTENT,
    };
    struct http_response response;
    int r;

    r = call_api(sb->client, &call, &response);
    if (r < 0)
        return r;
    r = wire_string_read(buf_str(&response.body), response.body.len, "url", ret);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

/* The key goes there, so the service may not choose just any place. */
static int check_toolbox_url(const char *url)
{
    if (url_is_safe(url) && !strchr(url, '?') && !strchr(url, '#'))
        return 0;
    error_now()->infra = true;
    return error_set(
        -EPROTO,
        "the API gave %s as the toolbox's address: the key is sent only over https, or "
        "to this machine",
        url);
}

int sandbox_toolbox_url(struct daytona_sandbox *sb, char **ret)
{
    char *url, *copy;
    size_t len;
    int r;

    lock_take(&sb->lock);
    url = strdup(sb->data.toolbox_url);
    lock_drop(&sb->lock);
    if (url && !url[0]) {
        free(url);
        r = ask_toolbox_url(sb, &url);
        if (r < 0)
            return r;
        copy = strdup(url);
        if (copy) {
            char *old;

            lock_take(&sb->lock);
            old = sb->data.toolbox_url;
            sb->data.toolbox_url = copy;
            lock_drop(&sb->lock);
            free(old);
        }
    }
    if (!url)
        return error_default(-ENOMEM);
    len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        url[--len] = '\0';
    r = check_toolbox_url(url);
    if (r < 0)
        free(url);
    else
        *ret = url;
    return r;
}
