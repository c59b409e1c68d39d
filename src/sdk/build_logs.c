/* What a build says, of a sandbox or of a snapshot. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "wire/file.h"

#include <daytona/snapshot.h>
#include <stdlib.h>

struct text_sink {
    daytona_text text;
    void *arg;
};

static int take_text(void *arg, uint64_t off, const void *p, size_t n)
{
    const struct text_sink *sink = arg;

    return sink->text(sink->arg, p, n);
}

/* The API says where they are. base NULL: a sandbox's. */
static int build_logs(struct daytona_client *client, const char *base, const char *id, bool follow,
                      daytona_text text, void *arg)
{
    struct text_sink sink = {text, arg};
    const struct call where = {
        .name = "getBuildLogsUrl",
        .method = "GET",
        .base = base,
        .id = id,
        .path = "/build-logs-url",
        .flags = HTTP_IDEMPOTENT,
    };
    const struct call logs = {
        .name = "getBuildLogs",
        .method = "GET",
        .query = {{"follow", follow ? "true" : NULL}},
        .flags = HTTP_NO_STALL,
        .sink = take_text,
        .sink_arg = &sink,
    };
    struct http_response response;
    char *url = NULL;
    int r;

    error_begin("getBuildLogs");
    r = call_api(client, &where, &response);
    if (r < 0)
        return r;
    r = wire_string_read(buf_str(&response.body), response.body.len, "url", &url);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    if (r == 0)
        r = call_url(client, &logs, url, &response);
    if (r == 0)
        http_response_done(&response);
    free(url);
    return r;
}

int daytona_sandbox_build_logs(struct daytona_sandbox *sb, bool follow, daytona_text text,
                               void *arg)
{
    return build_logs(sb->client, NULL, sb->id, follow, text, arg);
}

int daytona_snapshot_build_logs(struct daytona_client *client, const char *id, bool follow,
                                daytona_text text, void *arg)
{
    return build_logs(client, "/snapshots", id, follow, text, arg);
}
