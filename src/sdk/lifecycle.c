/* Sandboxes made, found and moved from state to state. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The service itself waits up to 30 s for the state before it answers. */
static const int64_t lifecycle_stall_ns = 90 * NS_PER_S;

static const int64_t poll_first_ns = 100 * NS_PER_MS; /* for poll_steady_ns, then slower */
static const int64_t poll_steady_ns = 5 * NS_PER_S;
static const int64_t poll_last_ns = NS_PER_S;
static const int64_t busy_retry_ns = 500 * NS_PER_MS;

/* INT64_MAX: no end. */
static int64_t deadline_ns(int64_t timeout_ms)
{
    const int64_t now_ns = clock_mono_ns();

    if (timeout_ms <= 0 || timeout_ms > (INT64_MAX - now_ns) / NS_PER_MS)
        return INT64_MAX;
    return now_ns + timeout_ms * NS_PER_MS;
}

/* What a request may take of it; at least a little, so that it can be tried. */
static int64_t left_ns(int64_t until_ns)
{
    const int64_t left = until_ns - clock_mono_ns();

    if (until_ns == INT64_MAX)
        return 0;
    return left > NS_PER_MS ? left : NS_PER_MS;
}

static int late(struct daytona_sandbox *sb, const char *wanted)
{
    char state[64];

    lock_take(&sb->lock);
    snprintf(state, sizeof(state), "%s", sb->data.state);
    lock_drop(&sb->lock);
    return error_set(-ETIMEDOUT, "sandbox %s is not %s in time: it is %s", sb->id, wanted, state);
}

static int went_wrong(struct daytona_sandbox *sb)
{
    char state[64], reason[256];

    lock_take(&sb->lock);
    snprintf(state, sizeof(state), "%s", sb->data.state);
    snprintf(reason, sizeof(reason), "%s", sb->data.error_reason);
    lock_drop(&sb->lock);
    return error_set(-EIO, "sandbox %s is in state %s%s%s", sb->id, state, reason[0] ? ": " : "",
                     reason);
}

static int refresh(struct daytona_sandbox *sb, int64_t until_ns)
{
    struct wire_sandbox data = {0};
    int r;

    r = sandbox_fetch(sb->client, sb->id, left_ns(until_ns), &data);
    if (r < 0)
        return r;
    if (strcmp(data.id, sb->id) != 0) {
        wire_sandbox_done(&data);
        return error_set(-EPROTO, "the API answered about another sandbox");
    }
    sandbox_update(sb, &data);
    return 0;
}

static bool is_failed(enum daytona_state state)
{
    return state == DAYTONA_STATE_ERROR || state == DAYTONA_STATE_BUILD_FAILED;
}

/* What is archived or gone is stopped as well, and no call would stop it further. */
static bool is_reached(enum daytona_state state, enum daytona_state wanted)
{
    if (state == wanted)
        return true;
    return wanted == DAYTONA_STATE_STOPPED &&
           (state == DAYTONA_STATE_ARCHIVED || state == DAYTONA_STATE_ARCHIVING ||
            state == DAYTONA_STATE_DESTROYED);
}

static const char *wanted_name(enum daytona_state wanted)
{
    switch (wanted) {
    case DAYTONA_STATE_STARTED:
        return "started";
    case DAYTONA_STATE_STOPPED:
        return "stopped";
    case DAYTONA_STATE_ARCHIVED:
        return "archived";
    case DAYTONA_STATE_PAUSED:
        return "paused";
    case DAYTONA_STATE_DESTROYED:
        return "gone";
    default:
        return "in the state that was asked for";
    }
}

/* gone_is_fine: a sandbox that is not there any more has reached the state. */
static int wait_for(struct daytona_sandbox *sb, enum daytona_state wanted, bool gone_is_fine,
                    int64_t until_ns)
{
    const int64_t start_ns = clock_mono_ns();
    int64_t pause_ns = poll_first_ns;

    for (;;) {
        const enum daytona_state state = daytona_sandbox_state(sb);
        int r;

        if (is_reached(state, wanted))
            return 0;
        if (is_failed(state) || (state == DAYTONA_STATE_DESTROYED && !gone_is_fine))
            return went_wrong(sb);
        if (clock_mono_ns() >= until_ns)
            return late(sb, wanted_name(wanted));
        r = cancel_sleep(pause_ns);
        if (r < 0)
            return error_set(r, "cancelled");
        r = refresh(sb, until_ns);
        if (r == -ENOENT && gone_is_fine)
            return 0;
        if (r == -ETIMEDOUT && clock_mono_ns() >= until_ns)
            return late(sb, wanted_name(wanted));
        if (r < 0)
            return r;
        if (clock_mono_ns() - start_ns > poll_steady_ns && pause_ns < poll_last_ns)
            pause_ns += pause_ns / 10;
    }
}

int call_sandbox(struct daytona_sandbox *sb, const struct call *call)
{
    struct wire_sandbox data = {0};
    struct http_response response;
    int r;

    r = call_api(sb->client, call, &response);
    if (r < 0)
        return r;
    if (response.body.len > 0 && /* some servers answer delete with nothing */
        wire_sandbox_read(response.body.data, response.body.len, &data) == 0) {
        if (strcmp(data.id, sb->id) == 0)
            sandbox_update(sb, &data);
        else
            wire_sandbox_done(&data);
    } else {
        r = refresh(sb, INT64_MAX);
    }
    http_response_done(&response);
    return r;
}

/*
 * call_sandbox(), again and again while another change is under way. *ret_done: there is nothing
 * left to do, as the state has been reached.
 */
static int change_patiently(struct daytona_sandbox *sb, struct call *call,
                            enum daytona_state wanted, int64_t until_ns, bool wait, bool *ret_done)
{
    *ret_done = false;
    for (;;) {
        struct daytona_error why;
        enum daytona_state state;
        int r;

        call->total_timeout_ns = left_ns(until_ns);
        r = call_sandbox(sb, call);
        if (r != -EBUSY && r != -EINVAL)
            return r;
        why = *error_now();
        r = refresh(sb, until_ns);
        if (r < 0)
            return r;
        state = daytona_sandbox_state(sb);
        if (is_reached(state, wanted)) {
            *ret_done = true;
            return 0;
        }
        *error_now() = why;
        if (why.err != -EBUSY || !wait)
            return why.err;
        if (is_failed(state) || state == DAYTONA_STATE_DESTROYED)
            return went_wrong(sb);
        if (clock_mono_ns() >= until_ns)
            return late(sb, wanted_name(wanted));
        r = cancel_sleep(busy_retry_ns);
        if (r < 0)
            return error_set(r, "cancelled");
    }
}

int daytona_sandbox_refresh(struct daytona_sandbox *sb)
{
    error_begin("getSandbox");
    return refresh(sb, INT64_MAX);
}

int daytona_sandbox_wait(struct daytona_sandbox *sb, enum daytona_state state, int64_t timeout_ms)
{
    const int64_t until_ns = deadline_ns(timeout_ms);
    const bool gone_is_fine = state == DAYTONA_STATE_STOPPED || state == DAYTONA_STATE_DESTROYED;
    int r;

    error_begin("waitForState");
    r = refresh(sb, until_ns); /* what is known may be old */
    if (r == -ENOENT && gone_is_fine)
        r = 0;
    else if (r == 0)
        r = wait_for(sb, state, gone_is_fine, timeout_ms < 0 ? 0 : until_ns);
    if (r == 0)
        error_begin("waitForState"); /* a 404 on the way was no error */
    return r;
}

int daytona_sandbox_start(struct daytona_sandbox *sb, int64_t timeout_ms)
{
    const int64_t until_ns = deadline_ns(timeout_ms);
    struct call call = {
        .name = "startSandbox",
        .method = "POST",
        .id = sb->id,
        .path = "/start",
        .stall_timeout_ns = lifecycle_stall_ns,
    };
    bool done;
    int r;

    error_begin("startSandbox");
    r = change_patiently(sb, &call, DAYTONA_STATE_STARTED, until_ns, timeout_ms >= 0, &done);
    if (r == 0 && !done && timeout_ms >= 0)
        r = wait_for(sb, DAYTONA_STATE_STARTED, false, until_ns);
    if (r == 0)
        error_begin("startSandbox");
    return r;
}

int daytona_sandbox_stop(struct daytona_sandbox *sb, bool force, int64_t timeout_ms)
{
    const int64_t until_ns = deadline_ns(timeout_ms);
    struct call call = {
        .name = "stopSandbox",
        .method = "POST",
        .id = sb->id,
        .path = "/stop",
        .query = {{"force", force ? "true" : NULL}},
        .stall_timeout_ns = lifecycle_stall_ns,
    };
    bool done = false;
    int r;

    error_begin("stopSandbox");
    r = change_patiently(sb, &call, DAYTONA_STATE_STOPPED, until_ns, timeout_ms >= 0, &done);
    if (r == 0 && !done && timeout_ms >= 0)
        r = wait_for(sb, DAYTONA_STATE_STOPPED, true, until_ns);
    if (r == -ENOENT)
        r = 0; /* an ephemeral sandbox goes away when it stops */
    if (r == 0)
        error_begin("stopSandbox");
    return r;
}

int daytona_sandbox_delete(struct daytona_sandbox *sb, int64_t timeout_ms)
{
    const int64_t until_ns = deadline_ns(timeout_ms);
    struct call call = {
        .name = "deleteSandbox",
        .method = "DELETE",
        .id = sb->id,
        .path = "",
        .stall_timeout_ns = lifecycle_stall_ns,
        .total_timeout_ns = left_ns(until_ns),
    };
    struct http_response response;
    int r;

    error_begin("deleteSandbox");
    while ((r = call_api(sb->client, &call, &response)) == -EBUSY && timeout_ms >= 0) {
        if (clock_mono_ns() >= until_ns)
            return r;
        r = cancel_sleep(busy_retry_ns);
        if (r < 0)
            return error_set(r, "cancelled");
        call.total_timeout_ns = left_ns(until_ns);
    }
    if (r < 0)
        return r;
    http_response_done(&response);
    if (timeout_ms >= 0) {
        r = refresh(sb, until_ns);
        if (r == 0)
            r = wait_for(sb, DAYTONA_STATE_DESTROYED, true, until_ns);
        else if (r == -ENOENT)
            r = 0;
    }
    if (r == 0)
        error_begin("deleteSandbox");
    return r;
}

/* Changes that end in a state of their own. */
static int change_to(struct daytona_sandbox *sb, const char *name, const char *path,
                     const char *skip_start, enum daytona_state wanted, int64_t timeout_ms)
{
    const int64_t until_ns = deadline_ns(timeout_ms);
    struct call call = {
        .name = name,
        .method = "POST",
        .id = sb->id,
        .path = path,
        .query = {{"skipStart", skip_start}},
        .stall_timeout_ns = lifecycle_stall_ns,
    };
    bool done;
    int r;

    error_begin(name);
    r = change_patiently(sb, &call, wanted, until_ns, timeout_ms >= 0, &done);
    if (r == 0 && !done && timeout_ms >= 0)
        r = wait_for(sb, wanted, false, until_ns);
    if (r == 0)
        error_begin(name);
    return r;
}

int daytona_sandbox_archive(struct daytona_sandbox *sb, int64_t timeout_ms)
{
    return change_to(sb, "archiveSandbox", "/archive", NULL, DAYTONA_STATE_ARCHIVED, timeout_ms);
}

int daytona_sandbox_pause(struct daytona_sandbox *sb, int64_t timeout_ms)
{
    return change_to(sb, "pauseSandbox", "/pause", NULL, DAYTONA_STATE_PAUSED, timeout_ms);
}

int daytona_sandbox_recover(struct daytona_sandbox *sb, bool skip_start, int64_t timeout_ms)
{
    return change_to(sb, "recoverSandbox", "/recover", skip_start ? "true" : NULL,
                     skip_start ? DAYTONA_STATE_STOPPED : DAYTONA_STATE_STARTED, timeout_ms);
}

static bool is_in(struct daytona_sandbox *sb, const char *state)
{
    bool is;

    lock_take(&sb->lock);
    is = strcmp(sb->data.state, state) == 0;
    lock_drop(&sb->lock);
    return is;
}

/* Changes that pass through a state and come back to the one before. body is done here. */
static int change_within(struct daytona_sandbox *sb, struct call *call, struct json_out *body,
                         const char *passing, int64_t timeout_ms)
{
    const int64_t until_ns = deadline_ns(timeout_ms);
    int r;

    call->method = "POST";
    call->id = sb->id;
    call->stall_timeout_ns = lifecycle_stall_ns;
    call->total_timeout_ns = left_ns(until_ns);
    call->json = body->buf->data;
    call->json_len = body->buf->len;
    r = error_default(body->err);
    if (r == 0)
        r = call_sandbox(sb, call);
    buf_done(body->buf);
    while (r == 0 && timeout_ms >= 0 && is_in(sb, passing)) {
        if (clock_mono_ns() >= until_ns)
            return late(sb, "done");
        r = cancel_sleep(poll_first_ns);
        if (r < 0)
            return error_set(r, "cancelled");
        r = refresh(sb, until_ns);
    }
    return r == 0 && is_failed(daytona_sandbox_state(sb)) ? went_wrong(sb) : r;
}

static void put_number(struct json_out *o, const char *key, double value)
{
    if (value > 0) {
        json_key(o, key);
        json_double(o, value);
    }
}

int daytona_sandbox_resize(struct daytona_sandbox *sb, double cpu, double memory_gib,
                           double disk_gib, int64_t timeout_ms)
{
    struct call call = {.name = "resizeSandbox", .path = "/resize"};
    struct buf body = BUF_INIT(1024);
    struct json_out o = {.buf = &body};

    error_begin("resizeSandbox");
    json_open(&o, '{');
    put_number(&o, "cpu", cpu);
    put_number(&o, "memory", memory_gib);
    put_number(&o, "disk", disk_gib);
    json_close(&o, '}');
    return change_within(sb, &call, &o, "resizing", timeout_ms);
}

int daytona_sandbox_snapshot(struct daytona_sandbox *sb, const char *name, bool include_memory,
                             int64_t timeout_ms)
{
    struct call call = {.name = "createSandboxSnapshot", .path = "/snapshot"};
    struct buf body = BUF_INIT(64 << 10);
    struct json_out o = {.buf = &body};

    error_begin("createSandboxSnapshot");
    json_open(&o, '{');
    json_key(&o, "name");
    json_string(&o, name);
    if (include_memory) {
        json_key(&o, "includeMemory");
        json_bool(&o, true);
    }
    json_close(&o, '}');
    return change_within(sb, &call, &o, "snapshotting", timeout_ms);
}

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
        r = wait_for(sb, DAYTONA_STATE_STARTED, false, until_ns);
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
    const int64_t until_ns = deadline_ns(timeout_ms);
    struct buf body = BUF_INIT(1 << 20);
    struct call call = {
        .name = "createSandbox",
        .method = "POST",
        .path = "",
        .stall_timeout_ns = lifecycle_stall_ns,
        .total_timeout_ns = left_ns(until_ns),
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
    const int64_t until_ns = deadline_ns(timeout_ms);
    struct buf body = BUF_INIT(64 << 10);
    struct json_out o = {.buf = &body};
    struct call call = {
        .name = "forkSandbox",
        .method = "POST",
        .id = sb->id,
        .path = "/fork",
        .stall_timeout_ns = lifecycle_stall_ns,
        .total_timeout_ns = left_ns(until_ns),
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
