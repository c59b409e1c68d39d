#include "sdk/call.h"
#include "sdk/error.h"

#include "util/clock.h"
#include "wire/process.h"

#include <daytona/process.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_MAX = 64 << 20, COMMAND_MAX = 64 << 20 };

/* What the service may need besides the command's own time: to say that it is over, and for all of
 * the answer to come. */
static const int64_t margin_ns = NS_PER_S, answer_ns = 5 * NS_PER_S;

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

/* Sends what call->json holds and takes the output. */
static int run(struct daytona_sandbox *sb, struct call *call, uint32_t timeout_s,
               struct daytona_result *ret)
{
    struct wire_result result = {0};
    struct http_response response;
    int r;

    if (timeout_s > 0) {
        call->flags &= ~(unsigned)HTTP_NO_STALL;
        call->stall_timeout_ns = timeout_s * NS_PER_S + margin_ns;
        call->total_timeout_ns = timeout_s * NS_PER_S + answer_ns;
        call->total_timeout_ns += sb->client->connect_timeout_ms * NS_PER_MS;
    }
    r = call_toolbox(sb, call, &response);
    if (r < 0)
        return r;
    r = wire_result_read(buf_str(&response.body), response.body.len, &result);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    if (r == 0)
        *ret = (struct daytona_result){result.exit_code, result.output, result.len};
    return r;
}

int daytona_process_execute(struct daytona_sandbox *sb, const struct daytona_execute *e,
                            struct daytona_result *ret)
{
    struct buf body = BUF_INIT(COMMAND_MAX);
    struct call call = {
        .name = "executeCommand",
        .method = "POST",
        .path = "/process/execute",
        .flags = HTTP_CHUNKED | HTTP_NO_STALL,
        .body_max = e->output_max ? e->output_max : OUTPUT_MAX,
        .header = e->background ? CALL_BACKGROUND : NULL,
    };
    int r;

    error_begin("executeCommand");
    r = write_body(e, &body);
    call.json = body.data;
    call.json_len = body.len;
    if (r == 0)
        r = run(sb, &call, e->timeout_s, ret);
    buf_done(&body);
    return r;
}

static int write_code(const struct daytona_code_run *c, struct buf *out)
{
    const struct json_strings argv = {(char **)c->argv, c->argc};
    struct json_out o = {.buf = out};

    if (!json_utf8_valid(c->code, strlen(c->code)))
        return error_set(-EINVAL, "the code is not UTF-8");
    json_open(&o, '{');
    json_key(&o, "code");
    json_string(&o, c->code);
    json_key(&o, "language");
    json_string(&o, c->language);
    if (c->argc > 0) {
        json_key(&o, "argv");
        json_strings(&o, &argv);
    }
    if (c->env_count > 0) {
        json_key(&o, "envs");
        call_pairs(&o, c->env, c->env_count);
    }
    if (c->timeout_s > 0) {
        json_key(&o, "timeout");
        json_int(&o, c->timeout_s);
    }
    json_close(&o, '}');
    return error_default(o.err);
}

int daytona_process_code_run(struct daytona_sandbox *sb, const struct daytona_code_run *c,
                             struct daytona_result *ret)
{
    struct buf body = BUF_INIT(COMMAND_MAX);
    struct call call = {
        .name = "codeRun",
        .method = "POST",
        .path = "/process/code-run",
        .flags = HTTP_CHUNKED | HTTP_NO_STALL,
        .body_max = c->output_max ? c->output_max : OUTPUT_MAX,
    };
    int r;

    error_begin("codeRun");
    r = write_code(c, &body);
    call.json = body.data;
    call.json_len = body.len;
    if (r == 0)
        r = run(sb, &call, c->timeout_s, ret);
    buf_done(&body);
    return r;
}
