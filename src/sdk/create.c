/* Sandboxes found and made. */
#include "sdk/error.h"
#include "sdk/lifecycle.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int daytona_sandbox_get(struct daytona_client *client, const char *id_or_name,
                        struct daytona_sandbox **ret)
{
    struct wire_sandbox data = {0};
    int r;

    error_begin("getSandbox");
    r = sandbox_fetch(client, id_or_name, 0, &data);
    if (r < 0)
        return r;
    return error_default(sandbox_new(client, &data, ret));
}

/* The caller's pairs, and one more if it is not among them. Everything is borrowed. */
static int borrow_pairs(const struct daytona_pair *list, size_t count, const char *key,
                        const char *value, struct json_pairs *ret)
{
    struct json_pair *copy = calloc(count + 1, sizeof(*copy));

    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        copy[i] = (struct json_pair){list[i].key, list[i].value};
        if (key && strcmp(list[i].key, key) == 0)
            key = NULL;
    }
    if (key)
        copy[count++] = (struct json_pair){(char *)key, (char *)value};
    *ret = (struct json_pairs){.list = copy, .count = count};
    return 0;
}

static int64_t given(const int64_t *minutes)
{
    return minutes ? *minutes : JSON_ABSENT;
}

static int write_create(const struct daytona_client *client, const struct daytona_sandbox_params *p,
                        struct buf *out)
{
    struct buf dockerfile = BUF_INIT(4096);
    struct wire_create body = {
        .name = (char *)p->name,
        .snapshot = (char *)p->snapshot,
        .user = (char *)p->user,
        .target = client->target,
        .is_public = p->is_public,
        .network_block_all = p->network_block_all,
        .cpu = p->cpu,
        .memory_gib = p->memory_gib,
        .disk_gib = p->disk_gib,
        .auto_stop_min = given(p->auto_stop_min),
        .auto_archive_min = given(p->auto_archive_min),
        .auto_delete_min = p->ephemeral ? 0 : given(p->auto_delete_min),
        .auto_pause_min = given(p->auto_pause_min),
        .ttl_min = given(p->ttl_min),
        .network_allow_list = (char *)p->network_allow_list,
        .domain_allow_list = (char *)p->network_allow_domains,
    };
    int r = 0;

    _Static_assert(sizeof(struct wire_volume_mount) == sizeof(struct daytona_volume_mount) &&
                       offsetof(struct wire_volume_mount, subpath) ==
                           offsetof(struct daytona_volume_mount, subpath),
                   "the public list of volumes is written as wire's");

    body.volumes = (struct wire_volume_mount *)p->volumes;
    body.volume_count = p->volume_count;
    if (!!p->image + !!p->snapshot + !!p->dockerfile > 1)
        return error_set(-EINVAL, "a sandbox comes from an image, a Dockerfile or a snapshot");
    if (p->image)
        r = buf_printf(&dockerfile, "FROM %s\n", p->image);
    if (r == 0)
        body.dockerfile = p->image ? dockerfile.data : (char *)p->dockerfile;
    if (r == 0)
        r = borrow_pairs(p->env, p->env_count, NULL, NULL, &body.env);
    if (r == 0)
        r = borrow_pairs(p->labels, p->label_count, p->language ? "code-toolbox-language" : NULL,
                         p->language, &body.labels);
    if (r == 0)
        r = wire_create_write(out, &body);
    free(body.env.list);
    free(body.labels.list);
    buf_done(&dockerfile);
    return error_default(r);
}

/* It exists, and the caller gets no handle on it. */
static void name_what_was_made(const struct daytona_sandbox *sb)
{
    const struct daytona_error before = *error_now();

    if (!strstr(before.message, sb->id))
        error_set(before.err, "sandbox %s was created: %s", sb->id, before.message);
}

/* A call that answers with a new sandbox. */
static int make(struct daytona_client *client, const struct call *call, bool wait, int64_t until_ns,
                struct daytona_sandbox **ret)
{
    struct http_response response;
    struct wire_sandbox data = {0};
    struct daytona_sandbox *sb = NULL;
    int r;

    r = call_api(client, call, &response);
    if (r < 0)
        return r;
    r = wire_sandbox_read(buf_str(&response.body), response.body.len, &data);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    if (r == 0)
        r = error_default(sandbox_new(client, &data, &sb));
    if (r == 0 && wait)
        r = lifecycle_wait(sb, DAYTONA_STATE_STARTED, false, until_ns);
    if (r < 0 && sb)
        name_what_was_made(sb);
    if (r == 0)
        *ret = sb;
    else
        daytona_sandbox_unref(sb);
    return r;
}

int daytona_sandbox_create(struct daytona_client *client,
                           const struct daytona_sandbox_params *params, int64_t timeout_ms,
                           struct daytona_sandbox **ret)
{
    static const struct daytona_sandbox_params defaults;
    const int64_t until_ns = lifecycle_until_ns(timeout_ms);
    struct buf body = BUF_INIT(1 << 20);
    struct call call = {
        .name = "createSandbox",
        .method = "POST",
        .path = "",
        .stall_timeout_ns = lifecycle_stall_ns,
        .total_timeout_ns = lifecycle_left_ns(until_ns),
    };
    int r;

    error_begin("createSandbox");
    r = write_create(client, params ? params : &defaults, &body);
    call.json = body.data;
    call.json_len = body.len;
    if (r == 0)
        r = make(client, &call, timeout_ms >= 0, until_ns, ret);
    buf_done(&body);
    return r;
}

int daytona_sandbox_fork(struct daytona_sandbox *sb, const char *name, int64_t timeout_ms,
                         struct daytona_sandbox **ret)
{
    const int64_t until_ns = lifecycle_until_ns(timeout_ms);
    struct buf body = BUF_INIT(64 << 10);
    struct json_out o = {.buf = &body};
    struct call call = {
        .name = "forkSandbox",
        .method = "POST",
        .id = sb->id,
        .path = "/fork",
        .stall_timeout_ns = lifecycle_stall_ns,
        .total_timeout_ns = lifecycle_left_ns(until_ns),
    };
    int r;

    error_begin("forkSandbox");
    json_open(&o, '{');
    if (name) {
        json_key(&o, "name");
        json_string(&o, name);
    }
    json_close(&o, '}');
    r = call_body(&call, &o);
    if (r == 0)
        r = make(sb->client, &call, timeout_ms >= 0, until_ns, ret);
    buf_done(&body);
    return r;
}
