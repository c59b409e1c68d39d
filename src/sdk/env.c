/* The environment of a sandbox, and the secrets in it. */
#include "sdk/call.h"
#include "sdk/error.h"

#include <daytona/sandbox.h>

enum { BODY_MAX = 4 << 20 };

int daytona_sandbox_update_env(struct daytona_sandbox *sb, const struct daytona_pair *set,
                               size_t set_count, const char *const *unset, size_t unset_count)
{
    const struct json_strings gone = {(char **)unset, unset_count};
    struct call call = {.name = "updateEnv", .method = "POST", .path = "/env", .json_errors = true};
    struct buf body = BUF_INIT(BODY_MAX);
    struct json_out o = {.buf = &body};
    int r;

    error_begin("updateEnv");
    json_open(&o, '{');
    json_key(&o, "set");
    call_pairs(&o, set, set_count);
    if (unset_count > 0) {
        json_key(&o, "unset");
        json_strings(&o, &gone);
    }
    json_close(&o, '}');
    r = call_body(&call, &o);
    if (r == 0)
        r = call_toolbox_only(sb, &call);
    buf_done(&body);
    return r;
}

int daytona_sandbox_set_secrets(struct daytona_sandbox *sb, const struct daytona_pair *secrets,
                                size_t count)
{
    struct call call = {
        .name = "updateSandboxSecrets", .method = "PUT", .id = sb->id, .path = "/secrets"};
    struct buf body = BUF_INIT(BODY_MAX);
    struct json_out o = {.buf = &body};
    int r;

    error_begin("updateSandboxSecrets");
    json_open(&o, '{');
    json_key(&o, "secrets");
    json_open(&o, '[');
    for (size_t i = 0; i < count; i++) {
        json_open(&o, '{');
        json_key(&o, secrets[i].key);
        json_string(&o, secrets[i].value);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    json_close(&o, '}');
    r = call_body(&call, &o);
    if (r == 0)
        r = call_sandbox(sb, &call);
    buf_done(&body);
    return r;
}
