/* Search in files, for names, and replace. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/errtext.h"
#include "wire/file.h"

#include <daytona/files.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MATCHES_BODY_MAX = 256 << 20, REPLACE_BODY_MAX = 16 << 20 };

void daytona_matches_free(struct daytona_match *matches, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(matches[i].file);
        free(matches[i].content);
    }
    free(matches);
}

/* Takes list over, also on error. */
static int to_public(struct wire_match *list, size_t count, struct daytona_match **ret,
                     size_t *ret_count)
{
    struct daytona_match *matches = calloc(count + 1, sizeof(*matches));

    if (!matches) {
        wire_matches_free(list, count);
        return error_default(-ENOMEM);
    }
    for (size_t i = 0; i < count; i++)
        matches[i] = (struct daytona_match){list[i].file, list[i].line, list[i].content};
    free(list);
    *ret = matches;
    *ret_count = count;
    return 0;
}

int daytona_files_find(struct daytona_sandbox *sb, const char *path, const char *pattern,
                       struct daytona_match **ret, size_t *ret_count)
{
    const struct call call = {
        .name = "findFiles",
        .method = "GET",
        .path = "/files/find",
        .query = {{"path", path}, {"pattern", pattern}},
        .flags = HTTP_IDEMPOTENT | HTTP_NO_STALL, /* it reads whole trees before it answers */
        .body_max = MATCHES_BODY_MAX,
    };
    struct wire_match *list = NULL;
    struct http_response response;
    size_t count = 0;
    int r;

    error_begin("findFiles");
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = wire_found_read(buf_str(&response.body), response.body.len, &list, &count);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r < 0 ? r : to_public(list, count, ret, ret_count);
}

/* The strings move. */
static int from_names(struct json_strings *names, struct daytona_match **ret, size_t *ret_count)
{
    struct daytona_match *matches = calloc(names->count + 1, sizeof(*matches));

    for (size_t i = 0; i < names->count && matches; i++) {
        matches[i].file = names->list[i];
        names->list[i] = NULL;
        matches[i].content = strdup("");
        if (!matches[i].content) {
            daytona_matches_free(matches, i + 1);
            matches = NULL;
        }
    }
    if (!matches)
        return error_default(-ENOMEM);
    *ret = matches;
    *ret_count = names->count;
    return 0;
}

int daytona_files_search(struct daytona_sandbox *sb, const char *path, const char *pattern,
                         struct daytona_match **ret, size_t *ret_count)
{
    const struct call call = {
        .name = "searchFiles",
        .method = "GET",
        .path = "/files/search",
        .query = {{"path", path}, {"pattern", pattern}},
        .flags = HTTP_IDEMPOTENT | HTTP_NO_STALL,
        .body_max = MATCHES_BODY_MAX,
    };
    struct json_strings names = {0};
    struct http_response response;
    int r;

    error_begin("searchFiles");
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = wire_searched_read(buf_str(&response.body), response.body.len, &names);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    if (r == 0)
        r = from_names(&names, ret, ret_count);
    json_strings_done(&names);
    return r;
}

/* The first file that was not changed, as errno. */
static int first_failure(const struct daytona_match *matches, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *error = matches[i].content;
        int r;

        if (!*error)
            continue;
        r = errtext_parse(error);
        return error_set(r < 0 ? r : -EIO, "%s: %s", matches[i].file, error);
    }
    return 0;
}

int daytona_files_replace(struct daytona_sandbox *sb, const char *const *files, size_t count,
                          const char *pattern, const char *new_value, struct daytona_match **ret,
                          size_t *ret_count)
{
    const struct wire_replace replace = {
        .files = {.list = (char **)files, .count = count},
        .pattern = (char *)pattern,
        .new_value = (char *)new_value,
    };
    struct buf body = BUF_INIT(REPLACE_BODY_MAX);
    struct call call = {
        .name = "replaceInFiles",
        .method = "POST",
        .path = "/files/replace",
        .flags = HTTP_CHUNKED | HTTP_NO_STALL, /* done twice it may replace twice */
        .body_max = REPLACE_BODY_MAX,
    };
    struct wire_match *list = NULL;
    struct http_response response;
    size_t list_count = 0;
    int r;

    error_begin("replaceInFiles");
    r = wire_replace_write(&body, &replace);
    if (r < 0) {
        error_set(r == -EILSEQ ? -EINVAL : r, "the request: %s", errtext_sentence(r));
        r = error_now()->err;
        goto out;
    }
    call.json = body.data;
    call.json_len = body.len;
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        goto out;
    r = wire_replaced_read(buf_str(&response.body), response.body.len, &list, &list_count);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    if (r == 0)
        r = to_public(list, list_count, ret, ret_count);
    if (r == 0)
        r = first_failure(*ret, *ret_count);
out:
    buf_done(&body);
    return r;
}
