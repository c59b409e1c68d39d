/* Sandboxes moved from state to state. */
#include "sdk/lifecycle.h"

#include "sdk/error.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const int64_t lifecycle_stall_ns = 90 * NS_PER_S;

static const int64_t poll_first_ns = 100 * NS_PER_MS; /* for poll_steady_ns, then slower */
static const int64_t poll_steady_ns = 5 * NS_PER_S;
static const int64_t poll_last_ns = NS_PER_S;
static const int64_t busy_retry_ns = 500 * NS_PER_MS;

int64_t lifecycle_until_ns(int64_t timeout_ms)
{
    const int64_t now_ns = clock_mono_ns();

    if (timeout_ms <= 0 || timeout_ms > (INT64_MAX - now_ns) / NS_PER_MS)
        return INT64_MAX;
    return now_ns + timeout_ms * NS_PER_MS;
}

int64_t lifecycle_left_ns(int64_t until_ns)
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

    r = sandbox_fetch(sb->client, sb->id, lifecycle_left_ns(until_ns), &data);
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

int lifecycle_wait(struct daytona_sandbox *sb, enum daytona_state wanted, bool gone_is_fine,
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

        call->total_timeout_ns = lifecycle_left_ns(until_ns);
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
    const int64_t until_ns = lifecycle_until_ns(timeout_ms);
    const bool gone_is_fine = state == DAYTONA_STATE_STOPPED || state == DAYTONA_STATE_DESTROYED;
    int r;

    error_begin("waitForState");
    r = refresh(sb, until_ns); /* what is known may be old */
    if (r == -ENOENT && gone_is_fine)
        r = 0;
    else if (r == 0)
        r = lifecycle_wait(sb, state, gone_is_fine, timeout_ms < 0 ? 0 : until_ns);
    if (r == 0)
        error_begin("waitForState"); /* a 404 on the way was no error */
    return r;
}

int daytona_sandbox_start(struct daytona_sandbox *sb, int64_t timeout_ms)
{
    const int64_t until_ns = lifecycle_until_ns(timeout_ms);
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
        r = lifecycle_wait(sb, DAYTONA_STATE_STARTED, false, until_ns);
    if (r == 0)
        error_begin("startSandbox");
    return r;
}

int daytona_sandbox_stop(struct daytona_sandbox *sb, bool force, int64_t timeout_ms)
{
    const int64_t until_ns = lifecycle_until_ns(timeout_ms);
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
        r = lifecycle_wait(sb, DAYTONA_STATE_STOPPED, true, until_ns);
    if (r == -ENOENT)
        r = 0; /* an ephemeral sandbox goes away when it stops */
    if (r == 0)
        error_begin("stopSandbox");
    return r;
}

int daytona_sandbox_delete(struct daytona_sandbox *sb, int64_t timeout_ms)
{
    const int64_t until_ns = lifecycle_until_ns(timeout_ms);
    struct call call = {
        .name = "deleteSandbox",
        .method = "DELETE",
        .id = sb->id,
        .path = "",
        .stall_timeout_ns = lifecycle_stall_ns,
        .total_timeout_ns = lifecycle_left_ns(until_ns),
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
        call.total_timeout_ns = lifecycle_left_ns(until_ns);
    }
    if (r < 0)
        return r;
    http_response_done(&response);
    if (timeout_ms >= 0) {
        r = refresh(sb, until_ns);
        if (r == 0)
            r = lifecycle_wait(sb, DAYTONA_STATE_DESTROYED, true, until_ns);
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
    const int64_t until_ns = lifecycle_until_ns(timeout_ms);
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
        r = lifecycle_wait(sb, wanted, false, until_ns);
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
    const int64_t until_ns = lifecycle_until_ns(timeout_ms);
    int r;

    call->method = "POST";
    call->id = sb->id;
    call->stall_timeout_ns = lifecycle_stall_ns;
    call->total_timeout_ns = lifecycle_left_ns(until_ns);
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
