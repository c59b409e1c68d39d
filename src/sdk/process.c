#include "sdk/call.h"
#include "sdk/error.h"

#include "util/clock.h"
#include "wire/process.h"

#include <daytona/process.h>
#include <errno.h>
#include <stdlib.h>

enum { OUTPUT_MAX = 64 << 20, COMMAND_MAX = 64 << 20 };

/* What the service may need besides the command's own time. */
static const int64_t margin_ns = 5 * NS_PER_S;

void daytona_result_done(struct daytona_result *result)
{
    free(result->output);
    *result = (struct daytona_result){0};
}

static int write_body(const struct daytona_execute *e, struct buf *out)
{
    struct json_pair *pairs = calloc(e->env_count + 1, sizeof(*pairs));
    const struct wire_execute body = {
        .command = (char *)e->command,
        .cwd = (char *)e->cwd,
        .env = {.list = pairs, .count = e->env_count},
        .timeout_s = e->timeout_s,
    };
    int r;

    if (!pairs)
        return error_default(-ENOMEM);
    for (size_t i = 0; i < e->env_count; i++)
        pairs[i] = (struct json_pair){e->env[i].key, e->env[i].value};
    r = wire_execute_write(out, &body);
    free(pairs);
    if (r == -EILSEQ)
        return error_set(-EINVAL, "the command is not UTF-8");
    return error_default(r);
}

int daytona_process_execute(struct daytona_sandbox *sb, const struct daytona_execute *e,
                            struct daytona_result *ret)
{
    struct buf body = BUF_INIT(COMMAND_MAX);
    struct wire_result result = {0};
    struct http_response response;
    struct call call = {
        .name = "executeCommand",
        .method = "POST",
        .path = "/process/execute",
        .flags = HTTP_CHUNKED | HTTP_NO_STALL,
        .body_max = e->output_max ? e->output_max : OUTPUT_MAX,
        .header = e->background ? "X-Daytona-Skip-Last-Activity-Update: true" : NULL,
    };
    int r;

    error_begin("executeCommand");
    r = write_body(e, &body);
    if (r < 0)
        goto out;
    call.json = body.data;
    call.json_len = body.len;
    if (e->timeout_s > 0) {
        call.total_timeout_ns = e->timeout_s * NS_PER_S + margin_ns;
        call.total_timeout_ns += sb->client->connect_timeout_ms * NS_PER_MS;
    }
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        goto out;
    r = wire_result_read(buf_str(&response.body), response.body.len, &result);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    if (r == 0)
        *ret = (struct daytona_result){result.exit_code, result.output, result.len};
out:
    buf_done(&body);
    return r;
}
